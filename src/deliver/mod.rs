//! Everything between a due delivery and what came back from its endpoint.

pub(crate) mod attempt;
mod complaints;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod cut;
pub(crate) mod pump;
pub(crate) mod queues;
pub(crate) mod request;
pub(crate) mod shortage;

mod body;
mod framing;
mod head;
mod postponed;
mod seldom;
mod stream;
mod tls_words;
mod words;
