//! What a webhook says about the way of its attempts out of the relay.
//!
//! Every part may hold a credential. So each is sealed on disk like a secret of the webhook, answers and logs show its values masked,
//! and a masked value is never taken for the value itself.

pub(crate) mod auth;
mod headers;
mod proxy;
mod tls;

use std::sync::Arc;

pub(crate) use auth::{Auth, ClientCredentials};
pub(crate) use headers::ExtraHeaders;
pub(crate) use proxy::{ByProxy, Proxy};
pub(crate) use tls::{OwnTls, TlsId};

use super::secret::Secret;
use super::settings::member::Member;
use super::settings::read::{Read, refused, text};
use crate::domain::dialect::Dialect;
use crate::domain::headers::Headers;
use crate::domain::refusal::Refusal;
use crate::domain::text::mask::is_mask;
use auth::AUTHORIZATION;

/// How the attempts of one webhook leave. The default is the way of a webhook without such settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Egress {
    pub(crate) headers: ExtraHeaders,
    pub(crate) auth: Option<Auth>,
    /// Shared with the connections that were made with it.
    pub(crate) tls: Option<Arc<OwnTls>>,
    /// `None`: as the config says for all. Shared with the connections that were made through it.
    pub(crate) proxy: Option<Arc<ByProxy>>,
}

/// One part of the way out with its value; an empty value takes the part away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Headers(ExtraHeaders),
    Auth(Option<Auth>),
    Tls(Option<Arc<OwnTls>>),
    Proxy(Option<ByProxy>),
    /// Whether the operator named the proxy that is set. No caller of the API gives it: it follows from who the caller is.
    IsOperatorsProxy(bool),
}

impl Part {
    /// Reads the part called `name` from JSON; `null` takes it away. `None` when no part has the name.
    pub(super) fn read(name: &str, json: &str) -> Option<Read<Self>> {
        let is_given = json != "null";
        Some(match name {
            HEADERS if !is_given => Ok(Self::Headers(ExtraHeaders::default())),
            HEADERS => ExtraHeaders::read(json).map(Self::Headers),
            AUTH => is_given.then(|| Auth::read(json)).transpose().map(Self::Auth),
            PROXY => is_given.then(|| ByProxy::read(json)).transpose().map(Self::Proxy),
            IS_OPERATORS_PROXY => Ok(Self::IsOperatorsProxy(json == "true")),
            TLS => is_given.then(|| OwnTls::read(json).map(Arc::new)).transpose().map(Self::Tls),
            _ => return None,
        })
    }

    /// What stands against the part with a webhook of this dialect, each reason with its pointer inside the part.
    pub(super) fn conflicts(&self, dialect: &Dialect) -> Vec<Refusal> {
        match self {
            Self::Headers(headers) => headers.conflicts(dialect),
            Self::Auth(auth) => auth.iter().flat_map(|auth| auth.conflicts(dialect)).collect(),
            Self::Tls(_) | Self::Proxy(_) | Self::IsOperatorsProxy(_) => Vec::new(),
        }
    }

    /// The part as the operator gives it, who may name a proxy at an address of a private network.
    pub(super) fn of_operator(self) -> Self {
        match self {
            Self::Proxy(Some(ByProxy::Through(proxy))) => Self::Proxy(Some(ByProxy::Through(proxy.of_operator()))),
            other => other,
        }
    }

    /// The URL in the part that is judged like the URL of a webhook, with its pointer inside the part.
    pub(super) fn url(&self) -> Option<(&'static str, &str)> {
        match self {
            Self::Auth(Some(Auth::OAuth2(credentials))) => Some(("/token_url", &credentials.token_url)),
            _ => None,
        }
    }
}

impl Egress {
    /// The way `of` with one part changed. `None` when no part is left.
    pub(super) fn with(of: Option<&Self>, part: Part) -> Option<Arc<Self>> {
        let mut changed = of.cloned().unwrap_or_default();
        match part {
            Part::Headers(headers) => changed.headers = headers,
            Part::Auth(auth) => changed.auth = auth,
            Part::Tls(tls) => changed.tls = tls,
            Part::Proxy(proxy) => changed.proxy = proxy.map(Arc::new),
            Part::IsOperatorsProxy(is) => changed.proxy = changed.proxy.map(|proxy| proxy.of_operator(is)),
        }
        (changed != Self::default()).then(|| Arc::new(changed))
    }

    /// The parts that are set, with their secret values masked.
    pub(super) fn members(&self) -> Vec<Member<'static>> {
        let headers = (!self.headers.is_empty()).then(|| Member { name: HEADERS, json: self.headers.masked_json().into() });
        let auth = self.auth.as_ref().map(|auth| Member { name: AUTH, json: auth.masked_json().into() });
        let tls = self.tls.as_ref().map(|tls| Member { name: TLS, json: tls.masked_json().into() });
        let proxy = self.masked_proxy_json().map(|json| Member { name: PROXY, json: json.into() });
        headers.into_iter().chain(auth).chain(tls).chain(proxy).collect()
    }

    /// The proxy that is set, or `none`, as JSON with a masked password.
    pub(super) fn masked_proxy_json(&self) -> Option<String> {
        self.proxy.as_ref().map(|proxy| quoted(&proxy.text(true)))
    }

    /// The parts that are set, each as JSON that [`Part::read`] reads.
    pub(super) fn secrets(&self) -> Vec<(&'static str, Secret)> {
        let headers = (!self.headers.is_empty()).then(|| (HEADERS, self.headers.json()));
        let auth = self.auth.as_ref().map(|auth| (AUTH, auth.json()));
        let tls = self.tls.as_ref().map(|tls| (TLS, tls.json()));
        let proxy = self.proxy.as_ref().map(|proxy| (PROXY, Secret::new(quoted(&proxy.text(false)))));
        let is_operators = self.proxy.as_ref().is_some_and(|proxy| proxy.is_operators());
        let is_operators = is_operators.then(|| (IS_OPERATORS_PROXY, Secret::new("true")));
        headers.into_iter().chain(auth).chain(tls).chain(proxy).chain(is_operators).collect()
    }

    /// Adds the headers of an attempt. A header that the dialect sends stays as the dialect has it, also an `Authorization`: the receiver
    /// verifies the signature by it. Else credentials of `auth` stand in the place of an `Authorization` among the headers.
    pub(crate) fn add_to(&self, headers: &mut Headers) {
        if let Some(authorization) = self.auth.as_ref().and_then(Auth::authorization)
            && headers.get(AUTHORIZATION).is_none()
        {
            headers.push(AUTHORIZATION, authorization.expose());
        }
        self.headers.add_to(headers, self.auth.is_some());
    }

    /// What stands against parts that are given together, with the name of the part and the reason inside it.
    pub(super) fn contradiction(&self) -> Option<(&'static str, Refusal)> {
        let both = self.auth.is_some() && self.headers.has(AUTHORIZATION);
        let reason = || Refusal::new("", "is what `auth` sets; give one of the two").inside("Authorization");
        both.then(|| (HEADERS, reason()))
    }

    /// What a token is asked for with, if an authorization server gives the token of each attempt. A dialect that sends an
    /// `Authorization` itself has no use for a token.
    pub(crate) fn client_credentials(&self, dialect: &Dialect) -> Option<&ClientCredentials> {
        match &self.auth {
            Some(Auth::OAuth2(credentials)) if !auth::is_sent_by(dialect) => Some(credentials),
            _ => None,
        }
    }

    /// Whether the log masks the header of this name.
    pub(crate) fn hides(&self, name: &str) -> bool {
        self.headers.has(name) || (self.auth.is_some() && name.eq_ignore_ascii_case(AUTHORIZATION))
    }
}

/// Text that is kept secret. A masked value is refused, since whoever sends one has read it in an answer.
fn secret(raw: &str) -> Read<Secret> {
    let text = text(raw)?;
    if is_mask(&text) { Err(refused(MASKED)) } else { Ok(Secret::new(text)) }
}

const MASKED: &str =
    "is masked, as answers show it; give the value itself, or in a PATCH leave the whole setting out, which keeps it";

pub(super) const HEADERS: &str = "headers";
pub(super) const AUTH: &str = "auth";
pub(super) const TLS: &str = "tls";
pub(super) const PROXY: &str = "proxy";

/// The store alone has a setting of this name.
pub(super) const IS_OPERATORS_PROXY: &str = "proxy.is_operators";

/// Text as JSON.
fn quoted(text: &Secret) -> String {
    serde_json::Value::from(text.expose()).to_string()
}

/// Whether the setting of this name is a part of the way out, so that its value is sealed on disk.
pub(super) fn is_part(name: &str) -> bool {
    [HEADERS, AUTH, TLS, PROXY, IS_OPERATORS_PROXY].contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::dialect::tests::dialect;

    fn egress(parts: &[(&str, &str)]) -> Egress {
        let put = |egress: Option<Arc<Egress>>, (name, json): &(&str, &str)| {
            Egress::with(egress.as_deref(), Part::read(name, json).expect(name).expect(json))
        };
        Egress::clone(&parts.iter().fold(None, put).expect("a part"))
    }

    #[test]
    fn credentials_stand_in_the_place_of_an_authorization_header() {
        let headers = (HEADERS, r#"{"authorization":"of the headers","X-A":"b"}"#);
        let sent = |egress: &Egress| {
            let mut headers = Headers::default();
            egress.add_to(&mut headers);
            headers.iter().map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>()
        };
        let alone = egress(&[headers]);
        assert_eq!((sent(&alone), alone.contradiction()), (vec!["authorization: of the headers".into(), "X-A: b".into()], None));
        let both = egress(&[headers, (AUTH, r#"{"type":"bearer","token":"t"}"#)]);
        assert_eq!(sent(&both), ["authorization: Bearer t", "X-A: b"]);
        assert!(both.contradiction().is_some_and(|(name, _)| name == HEADERS));
        let mut signed: Headers = [("Authorization", "of the dialect")].into_iter().collect();
        both.add_to(&mut signed);
        assert_eq!(signed.iter().collect::<Vec<_>>(), [("Authorization", "of the dialect"), ("X-A", "b")]);
        let oauth2 = r#"{"type":"oauth2","token_url":"https://a.test/","client_id":"i","client_secret":"s"}"#;
        let asked = egress(&[headers, (AUTH, oauth2)]);
        assert_eq!(sent(&asked), ["X-A: b"], "the token is not there yet");
        assert!(asked.hides("Authorization") && asked.hides("x-a") && !asked.hides("x-b"));
        assert!(asked.client_credentials(&dialect()).is_some() && both.client_credentials(&dialect()).is_none());
    }

    #[test]
    fn a_masked_value_is_refused_with_what_to_do() {
        let refusals = secret(r#""Bea…(41)""#).expect_err("masked");
        assert!(refusals[0].reason.starts_with("is masked"), "{refusals:?}");
        assert_eq!(secret(r#""Bearer x""#).map(|secret| secret.expose().to_owned()), Ok("Bearer x".into()));
        assert!(secret("7").is_err());
    }
}
