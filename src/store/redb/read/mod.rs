//! Reading, outside the writer: each call has a snapshot of its own, and what is committed but not in the tables yet. Besides,
//! `metrics.rs` has what the writer counts, next to what is counted by reading.

pub(in crate::store) mod attempts;
pub(in crate::store) mod audit;
pub(in crate::store) mod begin;
pub(in crate::store) mod followed;
pub(in crate::store) mod merged;
pub(in crate::store) mod metrics;
pub(in crate::store) mod queries;
pub(in crate::store) mod recover;
pub(in crate::store) mod rows;
pub(in crate::store) mod sizes;
pub(in crate::store) mod snapshot;
pub(in crate::store) mod stats;
pub(in crate::store) mod tenants;
pub(in crate::store) mod views;
pub(in crate::store) mod webhooks;

use std::sync::Arc;

use redb::Database;

use crate::store::shared::Shared;
use views::Views;

/// Reads the embedded store. Its calls never wait for the writer, and block for as long as the disk takes. Other rooms read through
/// the store's front, which decides on which thread each of them runs.
#[derive(Clone)]
pub(crate) struct Reader {
    pub(in crate::store) database: Arc<Database>,
    pub(in crate::store) views: Arc<Views>,
    pub(in crate::store) shared: Arc<Shared>,
}
