//! The pure core: what an event, a webhook, a delivery and a dialect are, and what follows from what.
//!
//! No I/O, no clock, no randomness: `now` and every random draw are arguments. Nothing here knows redb, hyper or serde's
//! on-disk forms, and nothing here imports from another room.

pub(crate) mod access;
pub(crate) mod delivery;
pub(crate) mod dialect;
pub(crate) mod ecmascript;
pub(crate) mod endpoint;
pub(crate) mod event;
pub(crate) mod exit;
pub(crate) mod headers;
pub(crate) mod id;
pub(crate) mod json;
pub(crate) mod minute;
pub(crate) mod nearest;
pub(crate) mod outcome;
pub(crate) mod pattern;
pub(crate) mod plain;
pub(crate) mod refusal;
pub(crate) mod retry;
pub(crate) mod secret;
pub(crate) mod signature;
pub(crate) mod tally;
pub(crate) mod target;
pub(crate) mod template;
pub(crate) mod time;
pub(crate) mod timekeeper;
