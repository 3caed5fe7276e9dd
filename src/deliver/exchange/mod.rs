//! One request and its response over a connection, written, read and judged by the rules of HTTP/1.1.

pub(crate) mod body;
pub(crate) mod connection;
pub(crate) mod framing;
pub(crate) mod head;
pub(crate) mod request;
pub(crate) mod stream;
pub(crate) mod words;
