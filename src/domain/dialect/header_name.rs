//! Names of headers that a dialect may send.

use std::fmt;

/// A header's name as the dialect writes it, none that HTTP or hookwheel needs for itself.
#[derive(Clone, Debug)]
pub(crate) struct HeaderName(Box<str>);

impl HeaderName {
    /// Refuses what is no token (RFC 9110 section 5.6.2), and names that are reserved.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() || text.len() > NAME_BYTES_MAX || !text.bytes().all(is_token) {
            return Err("a header's name is 1 to 128 letters, digits and any of !#$%&'*+-.^_`|~");
        }
        let lower = text.to_ascii_lowercase();
        if RESERVED.contains(&lower.as_str()) || lower.starts_with(RESERVED_PREFIX) {
            return Err("this header belongs to HTTP itself or to hookwheel");
        }
        Ok(Self(text.into()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// RFC 9110 section 5.1: names compare without case.
impl PartialEq for HeaderName {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for HeaderName {}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// Longest name, in bytes: what common servers take.
const NAME_BYTES_MAX: usize = 128;

/// In lower case. Framing and connection control, which only hyper may write, and what is the same in every dialect.
const RESERVED: &[&str] = &[
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
];

const RESERVED_PREFIX: &str = "proxy-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_http_needs_are_refused_in_any_case() {
        for name in ["Host", "content-LENGTH", "Transfer-Encoding", "Connection", "Content-Type", "USER-AGENT", "te", "Trailer"] {
            assert!(HeaderName::parse(name).is_err(), "{name}");
        }
        for name in ["Upgrade", "Expect", "Keep-Alive", "Proxy-Authorization", "proxy-connection"] {
            assert!(HeaderName::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_no_token_is_refused() {
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
}
