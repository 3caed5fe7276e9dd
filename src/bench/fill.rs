//! Fills a service's store before it starts, in a process of its own: through the store's own writer, with attempts that
//! nobody made.
//!
//! ```text
//!   lanes ── accept ──▶ writer ── commit ──▶ ready ──▶ synthetic ── finish ──▶ writer
//! ```
//!
//! What is killed after it has reported leaves a store as `kill -9` does: nothing is closed while it waits for orders.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::event::{self, Mark};
use super::part::{self, Part, Role};
use super::plan::Load;
use super::site::{self, OWNER, Site};
use super::synthetic;
use super::{Error, opened};
use crate::clock;
use crate::domain::dialect::Dialect;
use crate::store::{Committed, Publication, Store};

/// What to fill a store with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    config: PathBuf,
    load: Load,
    rows: u64,
    answer: Answer,
}

/// How each first attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Answer {
    /// 200. The store is closed in the end.
    Taken,
    /// 503, to be tried again in some hours. The store is never closed.
    Later,
}

/// What the process says.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Said {
    /// So many deliveries are in the store.
    Progress(u64),
    Done,
}

/// What was put into a store.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Filled {
    pub(crate) deliveries: u64,
    pub(crate) seconds: f64,
}

/// Fills a site's store, which does not exist yet, with so many deliveries of the load.
pub(super) fn fill(site: &Site, load: &Load, rows: u64, answer: Answer, mut tell: impl FnMut(&str)) -> Result<Filled, Error> {
    let started = clock::steady();
    let orders = Orders { config: site.folder().join(site::CONFIG), load: load.clone(), rows, answer };
    let mut part = Part::start(Role::Fill, &orders)?;
    while let Said::Progress(done) = part.hear()? {
        tell(&format!("filling the store: {done} of {rows} deliveries"));
    }
    Ok(Filled { deliveries: rows, seconds: clock::steady().saturating_duration_since(started).as_secs_f64() })
}

/// Fills, reports, and waits to be ended.
pub(super) fn play() -> Result<(), Error> {
    let Some(orders) = part::orders::<Orders>()? else { return Ok(()) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let filled = runtime.map_err(Error::io("start the runtime that fills"))?.block_on(fill_all(&orders));
    let (said, open) = match filled {
        Ok(store) => (Ok(Said::Done), (orders.answer == Answer::Later).then_some(store)),
        Err(what) => (Err(what), None),
    };
    part::report(said)?;
    let end = part::orders::<()>();
    drop(open);
    end.map(drop)
}

/// The store with all of it, its writer stopped.
async fn fill_all(orders: &Orders) -> Result<Store, String> {
    let answered = Arc::new(AtomicU64::new(0));
    let (answer, count) = (orders.answer, answered.clone());
    let opened = opened::open(&orders.config, move |store, committed| answer_all(store, committed, answer, &count)).await?;
    let (store, dialect) = (opened.store, opened.dialect);
    publish(orders, &store, dialect, &answered).await?;
    until_answered(orders.rows, &answered).await?;
    store.close();
    let (health, pending) = (store.health(), if answer == Answer::Later { orders.rows } else { 0 });
    if (health.events, health.pending) == (orders.rows, pending) {
        return Ok(store);
    }
    Err(format!("put in {} events of {}, of which {} wait and not {pending}", health.events, orders.rows, health.pending))
}

/// Answers what a commit made ready, at once, so that no queue builds up. Called by the store's writer.
fn answer_all(store: &Store, committed: Committed, answer: Answer, answered: &AtomicU64) {
    for ready in committed.ready {
        let number = answered.fetch_add(1, Relaxed);
        match answer {
            Answer::Taken => synthetic::finish(store, ready, synthetic::taken()),
            Answer::Later => synthetic::finish(store, ready, synthetic::later(number)),
        }
    }
    let more: BTreeSet<_> = committed.backlogs.into_iter().filter_map(|(no, more)| more.then_some(no)).collect();
    more.into_iter().for_each(|no| store.refill(no));
}

async fn publish(orders: &Orders, store: &Store, dialect: Arc<Dialect>, answered: &AtomicU64) -> Result<(), String> {
    let lane = Lane { store: store.clone(), dialect, load: orders.load.clone(), rows: orders.rows, next: Arc::default() };
    let mut lanes = JoinSet::new();
    (0..lanes_for(&orders.load)).for_each(|_| drop(lanes.spawn(lane.clone().run())));
    let mut look = tokio::time::interval(PROGRESS);
    loop {
        tokio::select! {
            ended = lanes.join_next() => match ended {
                Some(ended) => ended.map_err(|cause| cause.to_string())??,
                None => return Ok(()),
            },
            _ = look.tick() => say(answered)?,
        }
    }
}

fn say(answered: &AtomicU64) -> Result<(), String> {
    part::report(Ok(Said::Progress(answered.load(Relaxed)))).map_err(|cause| cause.to_string())
}

/// Several publish at once, so that one commit holds more than one slice of a batch; large bodies would fill the inbox.
fn lanes_for(load: &Load) -> usize {
    (INBOX_BYTES / (SLICE * load.data_bytes().max(1))).clamp(1, LANES_MAX)
}

async fn until_answered(rows: u64, answered: &AtomicU64) -> Result<(), String> {
    let (mut before, mut since) = (0, clock::steady());
    loop {
        match answered.load(Relaxed) {
            done if done >= rows => return Ok(()),
            done if done > before => (before, since) = (done, clock::steady()),
            done if clock::steady().saturating_duration_since(since) > PATIENCE => {
                return Err(format!("got no more than {done} of {rows} deliveries out of the store"));
            }
            _ => {}
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One of those who publish.
#[derive(Clone)]
struct Lane {
    store: Store,
    dialect: Arc<Dialect>,
    load: Load,
    rows: u64,
    next: Arc<AtomicU64>,
}

impl Lane {
    async fn run(self) -> Result<(), String> {
        loop {
            let first = self.next.fetch_add(BATCH, Relaxed);
            let batch: Vec<Publication> = (first..self.rows.min(first + BATCH)).map(|number| self.publication(number)).collect();
            if batch.is_empty() {
                return Ok(());
            }
            for result in self.store.accept(batch).await {
                result.map_err(|refusal| format!("was refused: {refusal}"))?;
            }
        }
    }

    fn publication(&self, number: u64) -> Publication {
        let mut data = Vec::with_capacity(self.load.data_bytes());
        event::write_data(Mark { number, due_us: 0 }, &self.load.data, &mut data);
        let kind = event::kind(self.load.to(number));
        Publication::of_type_and_data(OWNER.into(), OWNER.into(), self.dialect.clone(), &kind, data.into())
    }
}

/// Events of one call.
const BATCH: u64 = 500;
const SLICE: usize = 500;

/// With more, a commit would hold more deliveries of one endpoint than have a place in memory, and park the rest.
const LANES_MAX: usize = 6;

/// Half of what the store lets wait.
const INBOX_BYTES: usize = 16 << 20;

const PROGRESS: Duration = Duration::from_secs(5);

/// Without progress; a commit takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

const LOOK: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::plan::{End, Endpoints};

    #[test]
    fn large_bodies_are_published_by_fewer() {
        let lanes = |bytes| {
            let data = Load::padding(bytes);
            let endpoints = Endpoints::all_healthy(1);
            lanes_for(&Load { connections: 1, rate: 0.0, end: End::Events(1), batch: 1, endpoints, fan_out: false, data })
        };
        assert_eq!((lanes(700), lanes(10_000), lanes(1_000_000)), (6, 3, 1));
    }
}
