//! The names of headers that a dialect may send.

use std::fmt;

use crate::domain::headers::is_token;

/// A header's name as the dialect writes it. HTTP and hookwheel do not need the name for themselves.
#[derive(Clone, Debug)]
pub(crate) struct HeaderName {
    text: Box<str>,
    is_secret: bool,
}

impl HeaderName {
    /// Parses a name. Fails when it is no token (RFC 9110 section 5.6.2), and when it is reserved.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(is_token) {
            return Err("a header's name is 1 to 128 letters, digits and any of !#$%&'*+-.^_`|~");
        }
        let lower = text.to_ascii_lowercase();
        if RESERVED.contains(&lower.as_str()) || lower.starts_with(RESERVED_PREFIX) {
            return Err("this header belongs to HTTP itself or to hookwheel");
        }
        let is_secret = SECRET.iter().any(|part| lower.contains(part));
        Ok(Self { text: text.into(), is_secret })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the header's value is a credential, so that the log masks it. A signature is none, since it is made to be shown.
    pub(crate) fn is_secret(&self) -> bool {
        self.is_secret
    }
}

/// Names compare without case (RFC 9110 section 5.1).
impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.text.eq_ignore_ascii_case(&other.text)
    }
}

impl Eq for HeaderName {}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The longest name, in bytes, that common servers take.
const NAME_BYTES_MAX: usize = 128;

/// Headers of framing and connection control, in lower case. Only the relay writes them.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "hookwheel-test",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

const RESERVED_PREFIX: &str = "proxy-";

/// Texts that the name of a header with a credential contains, in lower case.
const SECRET: &[&str] = &["authorization", "cookie", "token", "secret", "password", "api-key", "apikey", "access-key"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_http_needs_are_refused_in_any_case() {
        for name in
            ["Host", "content-LENGTH", "Transfer-Encoding", "Connection", "Content-Encoding", "te", "Trailer", "Hookwheel-Test"]
        {
            assert!(HeaderName::parse(name).is_err(), "{name}");
        }
        for name in ["Upgrade", "Expect", "Keep-Alive", "Proxy-Authorization", "proxy-connection"] {
            assert!(HeaderName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn credentials_are_known_by_their_names_and_signatures_are_none() {
        let is_secret = |name: &str| HeaderName::parse(name).expect("valid").is_secret();
        for name in ["Authorization", "X-API-Key", "x-auth-TOKEN", "Cookie", "X-Shared-Secret"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["webhook-signature", "X-Decisio-Signature", "webhook-id", "Accept", "Content-Type"] {
            assert!(!is_secret(name), "{name}");
        }
    }

    #[test]
    fn a_name_that_is_no_token_is_refused() {
        for name in ["", "a b", "a:", "a\r\n", "é", "a(b)", &"x".repeat(129)] {
            assert!(HeaderName::parse(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_name_keeps_its_case_and_compares_without() {
        let name = HeaderName::parse("X-AIOKA-Signature").expect("valid");
        assert_eq!(name.as_str(), "X-AIOKA-Signature");
        assert_eq!(name, HeaderName::parse("x-aioka-signature").expect("valid"));
    }

    #[test]
    fn a_name_prints_as_it_was_written() {
        assert_eq!(HeaderName::parse("X-AIOKA-Signature").expect("valid").to_string(), "X-AIOKA-Signature");
    }
}
