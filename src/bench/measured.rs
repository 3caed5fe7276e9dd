//! What one run gave: plain figures, as a report prints them.

use serde::Serialize;

use super::figures::Spread;
use super::fill::Filled;
use super::kept::Kept;
use super::late::Retried;
use super::machine::{Memory, Noise};
use super::plan::Run;

/// What one run gave.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Measured {
    pub(crate) run: Run,
    pub(crate) events: u64,
    /// That the relay did not take.
    pub(crate) refused: u64,
    /// To healthy endpoints, each counted once.
    pub(crate) deliveries: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) astray: u64,
    /// From the first publish to the last answer of the receiver.
    pub(crate) seconds: f64,
    /// Deliveries per second.
    pub(crate) rate: f64,
    /// The same of each lap.
    pub(crate) lap_rates: Vec<f64>,
    /// From when an event was due until an endpoint had it.
    pub(crate) end_to_end: Spread,
    /// From when a request was due until it was answered.
    pub(crate) publish: Spread,
    pub(crate) relay: Relay,
    /// CPU time of the publisher and the receiver.
    pub(crate) publisher_cpu_us_per_delivery: Option<f64>,
    pub(crate) receiver_cpu_us_per_delivery: Option<f64>,
    pub(crate) noise: Noise,
    #[serde(flatten)]
    pub(crate) besides: Besides,
}

/// What only some runs are asked for.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Besides {
    /// What the store held before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) filled: Option<Filled>,
    /// Calls of the API that list the newest 50 deliveries of one endpoint.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listing: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) retried: Option<Retried>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<Kept>,
}

/// What the relay's process needed.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Relay {
    pub(crate) cpu_us_per_delivery: Option<f64>,
    #[serde(flatten)]
    pub(crate) memory: Memory,
    /// From the start of its process until it was ready; nothing without a store.
    pub(crate) start_to_ready_ms: Option<f64>,
    /// What it held then, before the load; nothing without a store.
    pub(crate) idle_bytes: Option<u64>,
    /// What it made the system write.
    pub(crate) written_bytes_per_delivery: Option<f64>,
    /// What the store's file grew by; nothing without a store.
    pub(crate) store_bytes_per_delivery: Option<f64>,
    pub(crate) commits_per_event: Option<f64>,
}
