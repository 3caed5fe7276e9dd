//! The proxy through which attempts leave, as `http://[user:pass@]host:port`.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use url::Url;

use super::auth::basic;
use super::{MASKED, refused};
use crate::domain::text::mask::{is_mask, mask};
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::read::{Read, text};

/// Whether attempts leave through a proxy.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ByProxy {
    /// They go straight to the endpoint, also where the config names a proxy for all.
    Straight,
    Through(Proxy),
}

/// An HTTP proxy with the credentials that it wants.
#[derive(Clone, PartialEq)]
pub(crate) struct Proxy {
    /// `http://host:port/`.
    origin: Box<str>,
    user: Option<(Box<str>, Secret)>,
    /// Whether the operator named the proxy. Then it may be at an address of a private network.
    pub(crate) is_operators: bool,
}

impl ByProxy {
    /// Reads the JSON string of a proxy's URL, or of `none`.
    pub(super) fn read(raw: &str) -> Read<Self> {
        let text = text(raw)?;
        if text == NONE { Ok(Self::Straight) } else { Proxy::parse(&text).map(Self::Through).map_err(refused) }
    }

    pub(super) fn is_operators(&self) -> bool {
        matches!(self, Self::Through(proxy) if proxy.is_operators)
    }

    /// The same setting, named by the operator or by somebody else.
    pub(super) fn of_operator(&self, is_operators: bool) -> Arc<Self> {
        Arc::new(match self {
            Self::Straight => Self::Straight,
            Self::Through(proxy) => Self::Through(Proxy { is_operators, ..proxy.clone() }),
        })
    }

    /// The setting as text, with the password or with its mask.
    pub(super) fn text(&self, is_masked: bool) -> Secret {
        match self {
            Self::Straight => Secret::new(NONE),
            Self::Through(proxy) if is_masked => Secret::new(proxy.masked()),
            Self::Through(proxy) => Secret::new(proxy.url(|password| encoded(password.expose()).into())),
        }
    }
}

impl Proxy {
    /// Parses a URL. Fails with what is wrong, and never with the URL itself.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let rest = text.strip_prefix("http://").ok_or(FORM)?;
        let url = Url::parse(text).map_err(|_| FORM)?;
        let port = rest.trim_end_matches('/').rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok());
        let (Some(host), Some(port)) = (url.host_str(), port.filter(|port| *port > 0)) else { return Err(FORM) };
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !is_bare || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(FORM);
        }
        let (name, password) = (decoded(url.username())?, Secret::new(decoded(url.password().unwrap_or_default())?));
        if is_mask(password.expose()) {
            return Err(MASKED);
        }
        if name.contains(':') || name.is_empty() && !password.expose().is_empty() {
            return Err("has a password without a user name, or a user name with a colon");
        }
        let user = (!name.is_empty()).then(|| (name.as_str().into(), password));
        Ok(Self { origin: format!("http://{host}:{port}/").into(), user, is_operators: false })
    }

    /// The same proxy as one that the operator named.
    pub(crate) fn of_operator(self) -> Self {
        Self { is_operators: true, ..self }
    }

    /// The URL without the credentials.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// The value of `Proxy-Authorization`, if the proxy wants it.
    pub(crate) fn authorization(&self) -> Option<Secret> {
        self.user.as_ref().map(|(name, password)| basic(name, password.expose()))
    }

    /// The URL with a masked password.
    pub(crate) fn masked(&self) -> String {
        self.url(|password| mask(password.expose()))
    }

    fn url(&self, print: impl Fn(&Secret) -> String) -> String {
        let place = self.origin.trim_start_matches("http://").trim_end_matches('/');
        match &self.user {
            None => format!("http://{place}"),
            Some((name, password)) => format!("http://{}:{}@{place}", encoded(name), print(password)),
        }
    }
}

/// The password never reaches a log.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({})", self.masked())
    }
}

fn encoded(text: &str) -> Cow<'_, str> {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).into()
}

fn decoded(text: &str) -> Result<String, &'static str> {
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| "has credentials that are no text")?;
    match decoded.chars().any(char::is_control) {
        true => Err("has a control character in its credentials"),
        false => Ok(decoded.into_owned()),
    }
}

const FORM: &str = "is not http://host:port or http://user:password@host:port, without a path; `none` stands for no proxy";

const NONE: &str = "none";

#[cfg(test)]
mod tests {
    use super::*;

    fn told(raw: &str) -> String {
        ByProxy::read(raw).expect_err(raw)[0].reason.clone().into_owned()
    }

    #[test]
    fn a_proxy_reads_back_and_its_password_is_shown_nowhere() {
        for (url, masked) in [
            ("http://proxy.test:3128", "http://proxy.test:3128"),
            ("http://10.0.0.1:80", "http://10.0.0.1:80"),
            ("http://[::1]:8080", "http://[::1]:8080"),
            ("http://u:p%40ss%3Aword@proxy.test:3128", "http://u:…(9)@proxy.test:3128"),
            ("none", "none"),
        ] {
            let proxy = ByProxy::read(&format!("\"{url}\"")).expect(url);
            assert_eq!((proxy.text(false).expose(), proxy.text(true).expose()), (url, masked));
            assert!(!format!("{proxy:?}").contains("ss"), "{proxy:?}");
        }
        let Ok(ByProxy::Through(proxy)) = ByProxy::read("\"http://u:p%40@proxy.test:3128/\"") else { panic!("a proxy") };
        // base64 of `u:p@`.
        assert_eq!(proxy.authorization().expect("it has a user").expose(), "Basic dTpwQA==");
        assert_eq!(proxy.origin(), "http://proxy.test:3128/");
    }

    #[test]
    fn what_is_no_proxy_is_refused_without_the_url() {
        for url in [
            "https://proxy.test:3128",
            "socks5://proxy.test:1080",
            "proxy.test:3128",
            "http://proxy.test",
            "http://proxy.test:0",
            "http://proxy.test:3128/path",
            "http://proxy.test:3128?x",
            "http://sesame x@proxy.test:3128",
            "http://:3128",
            "",
        ] {
            assert_eq!(told(&format!("\"{url}\"")), FORM, "{url}");
        }
        assert!(told("\"http://u:…(9)@proxy.test:3128\"").starts_with("is masked"));
        assert!(told("\"http://:sesame@proxy.test:3128\"").starts_with("has a password without"));
        assert_eq!(told("7"), "is not a string");
    }

    #[test]
    fn credentials_of_a_proxy_are_text_without_control_characters() {
        assert_eq!(told("\"http://u%0a:p@proxy.test:3128\""), "has a control character in its credentials");
        assert_eq!(told("\"http://u:%ff@proxy.test:3128\""), "has credentials that are no text");
    }

    #[test]
    fn the_operators_proxy_is_marked_and_no_proxy_stays_none() {
        let read = |url: &str| ByProxy::read(&format!("\"{url}\"")).expect(url);
        let through = read("http://10.0.0.1:80");
        assert!(!through.is_operators() && through.of_operator(true).is_operators());
        assert!(!through.of_operator(true).of_operator(false).is_operators());
        let straight = read("none");
        assert_eq!(*straight.of_operator(true), straight);
    }
}
