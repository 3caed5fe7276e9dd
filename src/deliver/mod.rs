//! The attempts: from a delivery that is due to the outcome at its endpoint.

pub(crate) mod attempt;
mod complaints;
pub(crate) mod connect;
pub(crate) mod cut;
pub(crate) mod exchange;
pub(crate) mod pump;
pub(crate) mod queues;
pub(crate) mod shortage;

mod permits;
mod postponed;
mod seldom;
mod tokens;
