//! The pure core: events, webhooks, deliveries and dialects, and the rules about them.
//!
//! It does no I/O, reads no clock and draws no random numbers: `now` and every draw are arguments. Nothing here knows redb, hyper
//! or serde's on-disk forms, and nothing here imports from another room.

pub(crate) mod access;
pub(crate) mod channels;
pub(crate) mod delivery;
pub(crate) mod dialect;
pub(crate) mod event;
pub(crate) mod exit;
pub(crate) mod headers;
pub(crate) mod id;
pub(crate) mod json;
pub(crate) mod provider;
pub(crate) mod rate;
pub(crate) mod refusal;
pub(crate) mod resource;
pub(crate) mod schema;
pub(crate) mod signature;
pub(crate) mod template;
pub(crate) mod tenant;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod units;
pub(crate) mod webhook;
