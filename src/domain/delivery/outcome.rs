//! The outcome of one attempt: a response, or why there is none.
//!
//! These are plain values: `deliver` makes them, the store keeps them, and the API shows them. Nothing here judges a status,
//! since the dialect says what a success is.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::domain::headers::Headers;

/// The outcome of one HTTP request of a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) result: Result<Response, Failure>,
    /// The time from the start of the attempt, including connecting, to its end.
    pub(crate) duration: Duration,
}

/// What the endpoint answered.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// The headers in the order in which they came, with names in lower case and bytes that are not UTF-8 replaced.
    pub(crate) headers: Headers,
    /// The first bytes of the body, at most the attempt's `response_capture`.
    pub(crate) body: Bytes,
    /// Whether the body was, or may have been, longer than what is kept.
    pub(crate) truncated: bool,
    /// What was wrong with the body, in one sentence: it broke off, came too late, or its end was unclear. It does not change
    /// whether the attempt succeeded.
    pub(crate) body_error: Option<Box<str>>,
}

impl Outcome {
    /// How many bytes of the response are kept.
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
    /// One sentence for the delivery log, at most [`DETAIL_BYTES_MAX`] bytes.
    pub(crate) detail: String,
}

impl Failure {
    /// Makes a failure, and cuts `detail` to its bound. Parts of it are the peer's choice, such as names in a certificate.
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

/// The kinds of failure that a delivery log tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Class {
    /// The name has no address, or no name server answered for it.
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
    /// The response is not HTTP, or its head is larger than is read.
    Response,
    /// The relay itself failed during the attempt.
    Internal,
    /// No access token could be had, so nothing was sent to the endpoint, or nothing after its 401.
    Auth,
}

impl Class {
    pub(crate) const ALL: [Self; 10] = [
        Self::Dns,
        Self::Connect,
        Self::Tls,
        Self::Timeout,
        Self::Reset,
        Self::Status,
        Self::Policy,
        Self::Response,
        Self::Internal,
        Self::Auth,
    ];

    /// The name that the log and the API print.
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
            Self::Auth => "auth",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The longest detail in bytes: a sentence with a host name in it, and short enough for a million log records.
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

    #[test]
    fn a_failure_prints_its_class_and_its_detail() {
        let names = Class::ALL.map(|class| class.to_string());
        let expected = ["dns", "connect", "tls", "timeout", "reset", "status", "policy", "response", "internal", "auth"];
        assert_eq!(names, expected);
        assert_eq!(Failure::new(Class::Dns, "no address").to_string(), "dns: no address");
    }

    #[test]
    fn an_outcome_keeps_headers_body_and_what_was_wrong_with_it() {
        let headers: Headers = [("a", "bc")].into_iter().collect();
        let body = Bytes::from_static(b"0123456789");
        let of = |body_error: Option<Box<str>>| {
            let response = Response { status: 200, headers: headers.clone(), body: body.clone(), truncated: false, body_error };
            Outcome { result: Ok(response), duration: Duration::ZERO }.bytes()
        };
        assert_eq!((of(None), of(Some("late".into()))), (5 + 10, 5 + 10 + 4), "a header is kept as `a:bc` and a line feed");
        let failed = Outcome { result: Err(Failure::new(Class::Dns, "no address")), duration: Duration::ZERO };
        assert_eq!(failed.bytes(), 0);
    }
}
