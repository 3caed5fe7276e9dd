//! What came of one HTTP attempt: plain data that the attempt makes, the state machine judges and the log keeps.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// One attempt, from the start of the connection to the last byte of the response that was read.
#[derive(Clone, Debug)]
pub(crate) struct Outcome {
    pub(crate) result: Result<Response, Failure>,
    pub(crate) duration: Duration,
}

/// A complete response, whatever its status says.
#[derive(Clone)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// In the order received; values that are not UTF-8 are shown with replacement characters.
    pub(crate) headers: Vec<(String, String)>,
    /// At most `response_capture` bytes.
    pub(crate) body: Bytes,
    /// Whether the body went on after what was read.
    pub(crate) truncated: bool,
}

/// Why no complete response came.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) class: Class,
    /// For a person: what was tried and what happened; never names a refused address.
    pub(crate) detail: String,
}

/// The kinds of failure that the log tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// The name has no usable address.
    Dns,
    /// No TCP connection.
    Connect,
    /// No TLS session: certificate, protocol or handshake.
    Tls,
    /// The dialect's timeout or the connect timeout passed.
    Timeout,
    /// The connection ended before the response did.
    Reset,
    /// A response that the dialect does not count as success.
    Status,
    /// The address is one that must not be dialled.
    Policy,
    /// What came back is not an HTTP response, or breaks its limits.
    Response,
}

impl Class {
    pub(crate) const ALL: [Self; 8] =
        [Self::Dns, Self::Connect, Self::Tls, Self::Timeout, Self::Reset, Self::Status, Self::Policy, Self::Response];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Status => "status",
            Self::Policy => "policy",
            Self::Response => "response",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Response {
    /// The first value of a header, its name in any case (RFC 9110 section 5.1).
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// Response bodies may hold anything, so they never reach a log.
impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Response({}, {} bytes)", self.status, self.body.len())
    }
}
