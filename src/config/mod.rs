//! The config file: as typed, with its places, and as meant.

pub(crate) mod dialect;
pub(crate) mod document;
pub(crate) mod fault;
pub(crate) mod take;
pub(crate) mod units;

pub(crate) use crate::domain::nearest;
