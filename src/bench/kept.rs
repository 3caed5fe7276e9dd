//! What the store's file takes for each finished delivery that it keeps, while retention removes the older ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::JoinHandle;
use std::time::Duration;

use serde::Serialize;

use super::ask::{Api, Counts};
use super::figures::per;

/// Figures at the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Kept {
    pub(crate) store_bytes: u64,
    /// Finished deliveries in the store.
    pub(crate) deliveries: u64,
    pub(crate) bytes_per_delivery: Option<f64>,
    /// The most that were kept at any time. Retention removes once a minute and the file does not shrink, so this is what its
    /// size was made for.
    pub(crate) most_deliveries: u64,
    pub(crate) bytes_per_delivery_at_most: Option<f64>,
    /// Deliveries that were removed by then; with none, the run was too short to say anything.
    pub(crate) removed: u64,
}

impl Kept {
    /// From the end's counts, where so many deliveries were made in all.
    pub(super) fn of(store_bytes: u64, deliveries: u64, most: u64, made: u64) -> Self {
        let most_deliveries = most.max(deliveries);
        Self {
            store_bytes,
            deliveries,
            bytes_per_delivery: per(store_bytes, deliveries),
            most_deliveries,
            bytes_per_delivery_at_most: per(store_bytes, most_deliveries),
            removed: made.saturating_sub(deliveries),
        }
    }
}

/// Looks now and then how many are kept.
pub(super) struct Watch {
    api: Api,
    each: u64,
    most: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins; each event has so many deliveries.
    pub(super) fn start(api: Api, each: u64) -> Self {
        let (most, over) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (looks, seen, ended) = (api.clone(), most.clone(), over.clone());
        let thread = std::thread::spawn(move || {
            while !ended.load(Relaxed) {
                seen.fetch_max(looks.counts().map_or(0, |counts| finished(counts, each)), Relaxed);
                std::thread::park_timeout(LOOK);
            }
        });
        Self { api, each, most, over, thread: Some(thread) }
    }

    /// The end; `None` when the service does not answer.
    pub(super) fn end(self, store_bytes: u64, made: u64) -> Option<Kept> {
        let now = finished(self.api.counts()?, self.each);
        Some(Kept::of(store_bytes, now, self.most.load(Relaxed), made))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to say that would matter now.
            drop(thread.join());
        }
    }
}

fn finished(counts: Counts, each: u64) -> u64 {
    (counts.events * each).saturating_sub(counts.pending)
}

const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_shared_by_what_is_kept() {
        let kept = Kept::of(3_000, 2, 3, 10);
        assert_eq!((kept.bytes_per_delivery, kept.bytes_per_delivery_at_most), (Some(1_500.0), Some(1_000.0)));
        assert_eq!((kept.most_deliveries, kept.removed), (3, 8));
        assert_eq!(Kept::of(3_000, 2, 1, 2).removed, 0);
    }

    #[test]
    fn what_waits_is_not_finished() {
        let counts = Counts { commits: 0, events: 4, pending: 3 };
        assert_eq!((finished(counts, 1), finished(counts, 10)), (1, 37));
    }
}
