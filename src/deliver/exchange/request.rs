//! The request of one attempt: a POST with every header that is sent.

use std::fmt::Write as _;
use std::io::Write as _;

use bytes::Bytes;

use crate::deliver::connect::tunnel::Via;
use crate::deliver::connect::way::Way;
use crate::domain::delivery::outcome::{Class, Failure};
use crate::domain::headers::{Headers, is_token};
use crate::domain::webhook::egress::auth::AUTHORIZATION;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::target::Target;

/// A request that is ready to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Request<'a> {
    pub(crate) target: &'a Target,
    pub(crate) way: Way,
    /// All headers, in the order in which they are sent.
    headers: Headers,
    /// An `Authorization` that is sent besides the headers.
    authorization: Option<Secret>,
    body: Bytes,
}

impl<'a> Request<'a> {
    /// A request with the usual headers and the dialect's. A dialect's `content-type`, `user-agent` and `accept` replace the
    /// usual ones.
    ///
    /// Fails on headers that HTTP cannot carry. It is a second line of defence: URLs are checked when they are set, and headers
    /// when an event is published.
    pub(crate) fn new(target: &'a Target, dialect: &Headers, body: Bytes) -> Result<Self, Failure> {
        if !target.path_and_query().bytes().chain(target.authority().bytes()).all(|byte| byte.is_ascii_graphic()) {
            return Err(unsendable("the URL"));
        }
        let mut headers = Headers::with_capacity(dialect.bytes() + target.authority().len() + USUAL_BYTES);
        headers.push("host", target.authority());
        let absent = |(name, _): &&(&str, &str)| dialect.get(name).is_none();
        USUAL.iter().filter(absent).for_each(|(name, value)| headers.push(name, value));
        headers.push_with("content-length", |to| {
            // Writing into memory cannot fail.
            let _ = write!(to, "{}", body.len());
        });
        for (name, value) in dialect.iter() {
            check(name, value)?;
            headers.push(name, value);
        }
        Ok(Self { target, way: Way::default(), headers, authorization: None, body })
    }

    /// The same request by this way.
    pub(crate) fn by(self, way: Way) -> Self {
        Self { way, ..self }
    }

    /// Sets the `Authorization` header, in place of the one that was set before. The headers have none.
    pub(crate) fn authorize(&mut self, value: Secret) {
        self.authorization = Some(value);
    }

    /// All headers that are sent.
    pub(crate) fn into_headers(mut self) -> Headers {
        if let Some(value) = &self.authorization {
            self.headers.push(AUTHORIZATION, value.expose());
        }
        self.headers
    }

    pub(in crate::deliver) fn body(&self) -> Bytes {
        self.body.clone()
    }

    /// Writes the request line and the headers (RFC 9112 section 3). Names are in lower case, as in HTTP/2. A proxy, if there is one,
    /// is asked for the address that was judged; the `host` header has the name.
    pub(in crate::deliver) fn write_head(&self, via: Option<&Via>, to: &mut Vec<u8>) {
        to.clear();
        let path = self.target.path_and_query();
        // Writing into memory cannot fail.
        let _ = match via {
            None => write!(to, "POST {path} HTTP/1.1\r\n"),
            Some(via) => write!(to, "POST http://{}{path} HTTP/1.1\r\n", via.address),
        };
        let authorization = self.authorization.iter().map(|value| (AUTHORIZATION, value.expose()));
        let of_proxy = via.and_then(|via| via.authorization.as_ref()).map(|value| (PROXY_AUTHORIZATION, value.expose()));
        for (name, value) in self.headers.iter().chain(authorization).chain(of_proxy) {
            to.extend(name.bytes().map(|byte| byte.to_ascii_lowercase()));
            to.extend_from_slice(b": ");
            to.extend_from_slice(value.as_bytes());
            to.extend_from_slice(b"\r\n");
        }
        to.extend_from_slice(b"\r\n");
    }
}

fn check(name: &str, value: &str) -> Result<(), Failure> {
    let is_ours = OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours));
    let is_name = !name.is_empty() && name.bytes().all(is_token);
    let is_value = value.bytes().all(|byte| !byte.is_ascii_control());
    if is_name && is_value && !is_ours { Ok(()) } else { Err(unsendable(&format!("the header {name}"))) }
}

fn unsendable(what: &str) -> Failure {
    Failure::new(Class::Policy, format!("{what} cannot be sent over HTTP; nothing was sent"))
}

/// The header that shows credentials to a proxy. It is added to a request on its way and is never logged.
const PROXY_AUTHORIZATION: &str = "proxy-authorization";

/// The `user-agent` of requests whose dialect sets none.
pub(crate) const USER_AGENT: &str = concat!("hookwheel/", env!("CARGO_PKG_VERSION"));

/// The headers that every request has unless the dialect sets them. `accept` is among them since firewalls in front of web
/// servers refuse requests without it (rule 920300 of the OWASP Core Rule Set).
const USUAL: &[(&str, &str)] = &[("content-type", "application/json"), ("user-agent", USER_AGENT), ("accept", "*/*")];

/// The room for the usual headers, `host` and `content-length`.
const USUAL_BYTES: usize = 160;

/// The headers that say how the message is framed and where it goes. No dialect may set them.
const OURS: &[&str] =
    &["host", "content-length", "transfer-encoding", "connection", "te", "trailer", "upgrade", "expect", "keep-alive"];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::webhook::target::{Guard, Schemes};

    fn target(url: &str) -> Target {
        Target::parse(url, Schemes { http: true }, &Guard::default()).unwrap()
    }

    fn head(dialect: &[(&str, &str)]) -> String {
        let target = target("https://example.com:8443/hook?a=b");
        let request = Request::new(&target, &dialect.iter().copied().collect(), Bytes::from_static(b"{}")).unwrap();
        let mut written = b"left from before".to_vec();
        request.write_head(None, &mut written);
        String::from_utf8(written).unwrap()
    }

    #[test]
    fn a_request_has_the_usual_headers_and_the_dialects() {
        let expected = format!(
            "POST /hook?a=b HTTP/1.1\r\nhost: example.com:8443\r\ncontent-type: application/json\r\nuser-agent: {USER_AGENT}\r\n\
             accept: */*\r\ncontent-length: 2\r\nx-acme-delivery: dlv_1\r\n\r\n"
        );
        assert_eq!(head(&[("X-Acme-Delivery", "dlv_1")]), expected);
    }

    #[test]
    fn of_two_authorizations_the_last_is_sent_and_none_is_seen_in_a_debug_form() {
        let target = target("https://example.com/");
        let mut request = Request::new(&target, &Headers::default(), Bytes::new()).unwrap();
        request.authorize(Secret::new("Bearer first"));
        request.authorize(Secret::new("Bearer second"));
        let mut written = Vec::new();
        request.write_head(None, &mut written);
        let head = String::from_utf8(written).unwrap();
        assert!(head.ends_with("\r\nauthorization: Bearer second\r\n\r\n") && !head.contains("first"), "{head}");
        assert!(!format!("{request:?}").contains("second"));
        assert_eq!(request.into_headers().get("authorization"), Some("Bearer second"));
    }

    #[test]
    fn a_dialect_can_set_the_usual_headers() {
        let head =
            head(&[("Accept", "application/json"), ("User-Agent", "acme/2"), ("Content-Type", "application/cloudevents+json")]);
        for once in ["accept: application/json\r\n", "user-agent: acme/2\r\n", "content-type: application/cloudevents+json\r\n"] {
            let name = once.split(':').next().unwrap();
            assert!(head.contains(once) && head.matches(&format!("\n{name}:")).count() == 1, "{head}");
        }
    }

    #[test]
    fn framing_headers_and_line_breaks_are_refused() {
        let target = target("https://example.com/");
        for (name, value) in [
            ("Host", "x"),
            ("Content-Length", "1"),
            ("transfer-encoding", "chunked"),
            ("Connection", "close"),
            ("x", "a\rb: c"),
            ("x", "a\0"),
            ("a b", "c"),
            ("\u{e9}", "c"),
            ("", "c"),
        ] {
            let refused = Request::new(&target, &[(name, value)].into_iter().collect(), Bytes::new()).unwrap_err();
            assert_eq!(refused.class, Class::Policy, "{name}: {value:?}");
        }
    }

    proptest! {
        #[test]
        fn every_target_makes_a_request_line(rest in "[/?]([!-~éß]|%[0-9a-f]{2}){0,40}") {
            if let Ok(target) = Target::parse(&format!("https://example.com{rest}"), Schemes { http: false }, &Guard::default()) {
                let request = Request::new(&target, &Headers::default(), Bytes::new());
                prop_assert!(request.is_ok(), "{}", target.path_and_query());
            }
        }
    }
}
