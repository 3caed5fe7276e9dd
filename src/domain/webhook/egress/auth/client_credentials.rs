//! The client credentials grant of OAuth 2.0 (RFC 6749 section 4.4): what a token is asked for with, and how the asking looks.

use std::fmt;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::form_urlencoded::{self, byte_serialize};

use super::{OAUTH2, Print, basic, name, printable};
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::read::{Object, Read, refused, text};
use crate::domain::webhook::target::URL_BYTES_MAX;

/// What a webhook asks an authorization server for a token with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClientCredentials {
    /// Where the token is asked for. It is judged like the URL of a webhook, when it is set and when it is used.
    pub(crate) token_url: Box<str>,
    client_id: Box<str>,
    client_secret: Secret,
    scope: Option<Box<str>>,
    audience: Option<Box<str>>,
    style: Style,
    id: CredentialsId,
}

/// Where the client's id and secret stand in the asking (RFC 6749 section 2.3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// In the `Authorization` header, which every server must take.
    Basic,
    /// In the form.
    Form,
}

/// What tells credentials apart: a hash over all of them, the secret among them.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct CredentialsId([u8; 32]);

/// A hash of a weak secret could be guessed from, so it reaches no log.
impl fmt::Debug for CredentialsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CredentialsId(…)")
    }
}

impl ClientCredentials {
    /// Takes the members of an object whose `type` was taken already.
    pub(super) fn read(mut object: Object<'_>) -> Read<Self> {
        let token_url = object.required("token_url", token_url);
        let client_id = object.required("client_id", name);
        let client_secret = object.required("client_secret", printable);
        let scope = object.take("scope", name);
        let audience = object.take("audience", name);
        let style = object.take("style", |raw| style(&text(raw)?)).unwrap_or(Style::Basic);
        let whole = token_url.zip(client_id).zip(client_secret);
        object.finish(whole.map(|((token_url, client_id), client_secret)| {
            let parts = [&*token_url, &*client_id, client_secret.expose()];
            let id = CredentialsId::new(parts, [scope.as_deref(), audience.as_deref(), Some(style.name())]);
            Self { token_url, client_id, client_secret, scope, audience, style, id }
        }))
    }

    pub(super) fn object(&self, print: Print) -> Value {
        let mut object = json!({
            "type": OAUTH2,
            "token_url": self.token_url,
            "client_id": self.client_id,
            "client_secret": print(&self.client_secret),
        });
        let style = (self.style != Style::Basic).then(|| self.style.name().into());
        for (name, value) in [("scope", &self.scope), ("audience", &self.audience), ("style", &style)] {
            value.iter().for_each(|value| object[name] = json!(value));
        }
        object
    }

    pub(crate) fn id(&self) -> CredentialsId {
        self.id
    }

    /// The value of `Authorization` with which a token is asked for. `None` when the form has the secret.
    ///
    /// Id and secret are encoded before they are joined, so that a colon in the id does not end it (RFC 6749 section 2.3.1).
    pub(crate) fn authorization(&self) -> Option<Secret> {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let (id, secret) = (encoded(&self.client_id), Secret::new(encoded(self.client_secret.expose())));
        (self.style == Style::Basic).then(|| basic(&id, secret.expose()))
    }

    /// The form with which a token is asked for (RFC 6749 section 4.4.2).
    pub(crate) fn form(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        if self.style == Style::Form {
            form.append_pair("client_id", &self.client_id).append_pair("client_secret", self.client_secret.expose());
        }
        for (name, value) in [("scope", &self.scope), ("audience", &self.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        form.finish()
    }
}

impl Style {
    fn name(self) -> &'static str {
        match self {
            Self::Basic => "basic",
            Self::Form => "form",
        }
    }
}

impl CredentialsId {
    fn new(given: [&str; 3], optional: [Option<&str>; 3]) -> Self {
        let mut hash = Sha256::new();
        for part in given.map(Some).into_iter().chain(optional) {
            // The length stands before each part, so that no two lists of parts are the same bytes.
            hash.update(part.map_or(u64::MAX, |part| part.len() as u64).to_be_bytes());
            hash.update(part.unwrap_or_default());
        }
        Self(hash.finalize().into())
    }
}

fn token_url(raw: &str) -> Read<Box<str>> {
    let url = text(raw)?;
    if url.len() > URL_BYTES_MAX {
        Err(refused(format!("is longer than {URL_BYTES_MAX} bytes")))
    } else {
        Ok(url.as_ref().into())
    }
}

fn style(name: &str) -> Read<Style> {
    match name {
        "basic" => Ok(Style::Basic),
        "form" => Ok(Style::Form),
        _ => Err(refused("is neither `basic` nor `form`")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Auth;
    use super::*;

    fn read(raw: &str) -> Result<ClientCredentials, Vec<String>> {
        match Auth::read(raw) {
            Ok(Auth::OAuth2(credentials)) => Ok(*credentials),
            Ok(other) => panic!("{other:?}"),
            Err(refusals) => Err(refusals.into_iter().map(|one| format!("{} {}", one.pointer, one.reason)).collect()),
        }
    }

    fn with(more: &str) -> String {
        let all = r#""type":"oauth2","token_url":"https://a.test/token","client_id":"i:d","client_secret":"s+ c""#;
        format!("{{{all}{more}}}")
    }

    #[test]
    fn id_and_secret_are_encoded_in_the_header_as_rfc_6749_has_it() {
        let basic = read(&with("")).expect("valid");
        // base64 of `i%3Ad:s%2B+c`.
        assert_eq!(basic.authorization().expect("a header").expose(), "Basic aSUzQWQ6cyUyQitj");
        assert_eq!(basic.form(), "grant_type=client_credentials");
    }

    #[test]
    fn the_form_has_what_the_server_wants_to_know() {
        let form = read(&with(r#","style":"form","scope":"a b","audience":"https://api.test/""#)).expect("valid");
        assert_eq!(form.authorization(), None);
        assert_eq!(
            form.form(),
            "grant_type=client_credentials&client_id=i%3Ad&client_secret=s%2B+c&scope=a+b&audience=https%3A%2F%2Fapi.test%2F"
        );
    }

    #[test]
    fn credentials_read_back_and_are_shown_masked() {
        for raw in [with(""), with(r#","style":"form","scope":"a b","audience":"x""#)] {
            let auth = Auth::read(&raw).expect("valid");
            assert_eq!(Auth::read(auth.json().expose()), Ok(auth.clone()));
            assert!(auth.masked_json().contains(r#""client_secret":"…(4)""#), "{}", auth.masked_json());
            assert!(!format!("{auth:?}").contains("s+ c"));
        }
    }

    #[test]
    fn credentials_that_differ_anywhere_have_another_id() {
        let of = |more: &str| read(&with(more)).expect(more).id();
        let all = [
            of(""),
            of(r#","scope":"a""#),
            of(r#","audience":"a""#),
            of(r#","style":"form""#),
            of(r#","scope":"a","audience":"a""#),
        ];
        assert!((0..all.len()).all(|at| !all[..at].contains(&all[at])));
        assert_eq!(of(""), of(r#","style":"basic""#));
        let other = read(&with("").replace("s+ c", "s+ d")).expect("valid");
        assert_ne!(other.id(), of(""));
    }

    #[test]
    fn what_is_missing_or_wrong_is_told() {
        assert_eq!(
            read(r#"{"type":"oauth2","style":"post"}"#).expect_err("wrong"),
            [
                "/token_url is missing",
                "/client_id is missing",
                "/client_secret is missing",
                "/style is neither `basic` nor `form`"
            ]
        );
    }
}
