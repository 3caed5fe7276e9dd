//! Everything between a due delivery and what came back from its endpoint.

pub(crate) mod attempt;
pub(crate) mod connect;
pub(crate) mod connection;
pub(crate) mod pump;
pub(crate) mod queues;

mod head;
mod wire;
