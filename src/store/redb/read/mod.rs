//! Reading, outside the writer: each call has a snapshot of its own, and what is committed but not in the tables yet. Besides,
//! `metrics.rs` has what the writer counts, next to what is counted by reading.

pub(in crate::store) mod begin;
pub(in crate::store) mod everywhere;
pub(in crate::store) mod merged;
pub(in crate::store) mod metrics;
pub(in crate::store) mod queries;
pub(in crate::store) mod recover;
pub(in crate::store) mod rows;
pub(in crate::store) mod snapshot;
pub(in crate::store) mod stats;
pub(in crate::store) mod tenants;
pub(in crate::store) mod views;
pub(in crate::store) mod webhooks;
