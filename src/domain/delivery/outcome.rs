//! What came back from one attempt: a response, or why there is none.
//!
//! Plain values, made by `deliver`, kept by the store, shown by the API. Nothing here judges a status: what a success is, the
//! dialect says.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::headers::Headers;

/// One HTTP request of a delivery, done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) result: Result<Response, Failure>,
    /// From the start of the attempt, connecting included, to its end.
    pub(crate) duration: Duration,
}

/// What the endpoint answered.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// In the order in which they came, names in lower case, bytes that are not UTF-8 replaced.
    pub(crate) headers: Headers,
    /// At most the `response_capture` of the attempt.
    pub(crate) body: Bytes,
    /// Whether more of the body was there, or may have been, than is kept.
    pub(crate) truncated: bool,
    /// What was wrong with the body, in one sentence: it broke off, came too late, or its end was unclear. Changes no verdict.
    pub(crate) body_error: Option<Box<str>>,
}

impl Outcome {
    /// How much of a response is kept.
    pub(crate) fn bytes(&self) -> usize {
        let of = |response: &Response| {
            response.headers.bytes() + response.body.len() + response.body_error.as_ref().map_or(0, |error| error.len())
        };
        self.result.as_ref().map_or(0, of)
    }
}

/// Bodies and header values never reach a log.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let more = if self.truncated { " and more" } else { "" };
        write!(f, "Response({}, {} headers, {} bytes{more})", self.status, self.headers.iter().count(), self.body.len())
    }
}

/// Why an attempt has no response that counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    /// One sentence for the log, at most [`DETAIL_BYTES_MAX`] bytes.
    pub(crate) detail: String,
}

impl Failure {
    /// Cuts `detail` to its bound: parts of it, names in a certificate among them, are the peer's choice.
    pub(crate) fn new(class: Class, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        detail.truncate(detail.floor_char_boundary(DETAIL_BYTES_MAX));
        Self { class, detail }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.detail)
    }
}

/// The kinds of failure a delivery log tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// The name has no address, or nobody answered for it.
    Dns,
    /// No address of the endpoint took the connection.
    Connect,
    /// The handshake failed, or the certificate is not for this host.
    Tls,
    /// A stage or the whole attempt took longer than it may.
    Timeout,
    /// The connection ended before the response did.
    Reset,
    /// A response came, and its status is no success.
    Status,
    /// The relay may not send there.
    Policy,
    /// What came is not HTTP, or its head is more than is read.
    Response,
    /// The relay itself failed in the middle of the attempt.
    Internal,
}

impl Class {
    pub(crate) const ALL: [Self; 9] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Reset,
        Self::Status,
        Self::Policy,
        Self::Response,
        Self::Internal,
    ];

    /// As the log and the API print it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Status => "status",
            Self::Policy => "policy",
            Self::Response => "response",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Long enough for a sentence with a host name in it, short enough for a million log records.
pub(crate) const DETAIL_BYTES_MAX: usize = 400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        let cut = Failure::new(Class::Tls, "é".repeat(DETAIL_BYTES_MAX)).detail;
        assert_eq!(cut.len(), DETAIL_BYTES_MAX);
        let odd = Failure::new(Class::Tls, format!("x{}", "é".repeat(DETAIL_BYTES_MAX))).detail;
        assert_eq!(odd.len(), DETAIL_BYTES_MAX - 1);
    }

    #[test]
    fn debug_shows_no_body_and_no_header_value() {
        let headers = [("set-cookie", "sesame")].into_iter().collect();
        let response = Response { status: 200, headers, body: Bytes::from_static(b"sesame"), truncated: true, body_error: None };
        assert_eq!(format!("{response:?}"), "Response(200, 1 headers, 6 bytes and more)");
    }
}
