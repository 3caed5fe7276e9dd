//! Everything between a due delivery and what came back from its endpoint.

pub(crate) mod attempt;
pub(crate) mod connect;
pub(crate) mod connection;

mod head;
mod wire;
