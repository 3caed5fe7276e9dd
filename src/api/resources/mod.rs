//! The calls, by what they are about. One file each.

pub(in crate::api) mod admin;
pub(in crate::api) mod catalogue;
pub(in crate::api) mod deliveries;
pub(in crate::api) mod documentation;
pub(in crate::api) mod event_types;
pub(in crate::api) mod events;
pub(in crate::api) mod explain;
pub(in crate::api) mod health;
pub(in crate::api) mod keys;
pub(in crate::api) mod metrics;
pub(in crate::api) mod near;
pub(in crate::api) mod publish;
pub(in crate::api) mod publish_batch;
pub(in crate::api) mod sessions;
pub(in crate::api) mod stats;
pub(in crate::api) mod webhooks;
