//! A start on a store full of deliveries that wait, left behind by a process that was killed.

use std::time::Duration;

use serde::Serialize;

use super::Error;
use super::fill::{self, Answer, Filled};
use super::machine;
use super::plan::Plan;
use super::service::Service;
use super::site::Site;

/// What the start took.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Restart {
    pub(crate) filled: Filled,
    /// Deliveries that the service knows of when it is ready: all that were put in, or some are lost.
    pub(crate) pending: u64,
    pub(crate) start_to_ready_ms: f64,
    /// When it was ready.
    pub(crate) resident_bytes: u64,
    /// A little later.
    pub(crate) resident_later_bytes: u64,
    pub(crate) peak_bytes: u64,
    pub(crate) store_bytes: u64,
}

/// Fills a store, kills whoever filled it, and starts the service on it.
pub(super) fn restart(plan: &Plan, pending: u64, mut tell: impl FnMut(&str)) -> Result<Restart, Error> {
    // Nothing is sent there: all of it is due in some hours.
    let site = Site::make(&plan.dir, &plan.load, plan.special, RECEIVER_PORT)?;
    let filled = fill::fill(&site, &plan.load, pending, Answer::Later, &mut tell)?;
    tell("measuring a start on that");
    let service = Service::start(site)?;
    let counts = service.api.counts().unwrap_or_default();
    std::thread::sleep(LATER);
    let later = machine::memory(service.id());
    Ok(Restart {
        filled,
        pending: counts.pending,
        start_to_ready_ms: service.start_to_ready.as_secs_f64() * 1e3,
        resident_bytes: service.idle.resident_bytes,
        resident_later_bytes: later.resident_bytes,
        peak_bytes: later.peak_bytes,
        store_bytes: service.site.store_bytes(),
    })
}

impl Restart {
    /// Why the run has failed.
    pub(super) fn fault(&self) -> Option<String> {
        let (now, before) = (self.pending, self.filled.deliveries);
        (now != before).then(|| format!("restart: {before} deliveries waited before, and {now} wait now"))
    }
}

/// One that a config may name.
const RECEIVER_PORT: u16 = 50_000;

const LATER: Duration = Duration::from_secs(3);
