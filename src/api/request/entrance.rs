//! By which way a request came in, and what that way demands besides a key.

use std::net::IpAddr;

use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, Method};
use ipnet::IpNet;

use crate::api::response::problem::Problem;

/// A way in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// The network: a key for everything but health.
    Tcp,
    /// The admin socket: the operator, by the permissions of a file.
    Admin,
    /// The laptop relay: no key, so no web page may come in.
    Dev,
}

/// How a request came in, and from where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) entrance: Entrance,
    /// Who is on the other side; `None` at the admin socket.
    pub(crate) peer: Option<IpAddr>,
    /// The number of the user on the other side of the admin socket, where the system tells it.
    pub(crate) user: Option<u32>,
}

impl Way {
    /// Whether metrics are shown without a key: to the admin socket, to the laptop itself, and to addresses that the config opens.
    pub(crate) fn is_open(self, allowed: &[IpNet]) -> bool {
        let peer = self.peer.map(|peer| peer.to_canonical());
        self.entrance != Entrance::Tcp || peer.is_some_and(|peer| allowed.iter().any(|network| network.contains(&peer)))
    }
}

impl Entrance {
    /// Refuses what a web page in the user's browser could have sent.
    pub(crate) fn check(self, method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
        if self != Self::Dev {
            return Ok(());
        }
        let host = text(headers, HOST).filter(|host| is_loopback(host));
        let host = host.ok_or_else(|| Problem::Forbidden("dev answers on loopback only; send Host: localhost".into()))?;
        if text(headers, ORIGIN).is_some_and(|origin| origin.strip_prefix("http://") != Some(host)) {
            return Err(Problem::Forbidden("dev takes nothing from a web page of another origin".into()));
        }
        if has_body(method) && !is_json(headers) {
            return Err(Problem::MediaType(JSON_ALONE));
        }
        Ok(())
    }
}

/// Refuses a body that is compressed: nothing here unpacks one.
pub(crate) fn check_encoding(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    match headers.get(CONTENT_ENCODING).filter(|_| has_body(method)) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Err(Problem::MediaType(ENCODED)),
        _ => Ok(()),
    }
}

fn has_body(method: &Method) -> bool {
    [Method::POST, Method::PUT, Method::PATCH].contains(method)
}

const ENCODED: &str = "a body with Content-Encoding is not taken; send it as it is, uncompressed and without that header";

/// Whether the body says that it is NDJSON.
pub(crate) fn is_ndjson(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|media| media.eq_ignore_ascii_case("application/x-ndjson"))
}

fn is_json(headers: &HeaderMap) -> bool {
    media_type(headers).is_some_and(|media| media.eq_ignore_ascii_case("application/json")) || is_ndjson(headers)
}

/// The content type without its parameters.
fn media_type(headers: &HeaderMap) -> Option<&str> {
    text(headers, CONTENT_TYPE)?.split(';').next().map(str::trim)
}

/// `localhost`, `127.0.0.0/8` or `[::1]`, with any port.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

const JSON_ALONE: &str = "send the header Content-Type: application/json (or application/x-ndjson); curl does with \
     -H 'Content-Type: application/json'";

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn check(method: Method, given: &[(http::HeaderName, &'static str)]) -> Option<u16> {
        let headers = given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        Entrance::Dev.check(&method, &headers).err().map(|problem| problem.status().as_u16())
    }

    #[test]
    fn dev_takes_json_on_loopback() {
        for host in ["localhost:8080", "127.0.0.1", "127.9.9.9:80", "[::1]:8080", "LOCALHOST"] {
            assert_eq!(check(Method::POST, &[(HOST, host), (CONTENT_TYPE, "application/json; charset=utf-8")]), None, "{host}");
        }
        assert_eq!(check(Method::GET, &[(HOST, "localhost")]), None);
    }

    #[test]
    fn dev_refuses_a_rebound_name() {
        for host in ["evil.example", "evil.example:8080", "localhost.evil.example", "10.0.0.1", "[::2]", "127.0.0.1.evil.example"]
        {
            assert_eq!(check(Method::GET, &[(HOST, host)]), Some(403), "{host}");
        }
        assert_eq!(check(Method::GET, &[]), Some(403));
    }

    #[test]
    fn dev_refuses_what_a_form_can_send() {
        for media in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"] {
            assert_eq!(check(Method::POST, &[(HOST, "localhost"), (CONTENT_TYPE, media)]), Some(415), "{media}");
        }
        assert_eq!(check(Method::POST, &[(HOST, "localhost")]), Some(415));
    }

    #[test]
    fn a_compressed_body_is_refused_by_the_name_of_its_header() {
        let check = |method, encoding: &'static str| {
            let headers = [(CONTENT_ENCODING, HeaderValue::from_static(encoding))].into_iter().collect();
            check_encoding(&method, &headers).err()
        };
        let refused = check(Method::POST, "gzip").expect("refused");
        assert_eq!(refused.status(), 415);
        assert!(refused.detail().contains("Content-Encoding"));
        assert!(check(Method::POST, "identity").is_none() && check(Method::GET, "gzip").is_none());
    }

    #[test]
    fn dev_refuses_a_foreign_origin() {
        let json = (CONTENT_TYPE, "application/json");
        for origin in ["https://evil.example", "http://localhost:3000", "null", "https://localhost:8080"] {
            assert_eq!(check(Method::POST, &[(HOST, "localhost:8080"), (ORIGIN, origin), json.clone()]), Some(403), "{origin}");
        }
        assert_eq!(check(Method::POST, &[(HOST, "localhost:8080"), (ORIGIN, "http://localhost:8080"), json]), None);
    }
}
