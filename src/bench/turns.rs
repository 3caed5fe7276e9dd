//! The requests of a publisher, one after the other, until all are taken or the time is over.
//!
//! In a closed loop a request is due when it is taken. In an open loop request n is due at start + n / rate, and a thread of its
//! own says so, since the runtime's timers are too coarse for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::load::{End, Load};
use crate::clock;

/// One request: which events it holds, and when it was due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) due_us: u64,
}

/// Gives out requests until all are taken or the time is over.
pub(super) struct Turns {
    pub(super) load: Load,
    /// When the first request was due.
    pub(super) start_us: u64,
    end_us: u64,
    events_max: u64,
    /// The number of the next request.
    next: AtomicU64,
    /// In an open loop, a permit for each request that is due.
    due: Semaphore,
}

impl Turns {
    pub(super) fn start(load: Load) -> Arc<Self> {
        let start_us = clock::monotonic_micros();
        let (events_max, end_us) = match load.end {
            End::Events(events) => (events, u64::MAX),
            End::After(time) => (u64::MAX, later(start_us, time)),
        };
        let turns = Arc::new(Self { load, start_us, end_us, events_max, next: AtomicU64::new(0), due: Semaphore::new(0) });
        if turns.load.rate > 0.0 {
            let paced = Arc::clone(&turns);
            thread::spawn(move || paced.keep_pace());
        }
        turns
    }

    /// The next request; `None`: publishing is over. In an open loop it waits until the request is due.
    pub(super) async fn take(&self) -> Option<Turn> {
        let number = self.next.load(Relaxed);
        let (due_us, batch) = (self.due_us(number), self.load.batch);
        let first = number.checked_mul(batch)?;
        if first >= self.events_max || due_us >= self.end_us {
            return None;
        }
        // All connections share one thread, so none came between.
        self.next.store(number + 1, Relaxed);
        if self.load.rate > 0.0 {
            self.due.acquire().await.ok()?.forget();
        }
        Some(Turn { first, count: batch.min(self.events_max - first), due_us })
    }

    /// Events of all requests that were taken.
    pub(super) fn events_taken(&self) -> u64 {
        self.next.load(Relaxed).saturating_mul(self.load.batch).min(self.events_max)
    }

    fn due_us(&self, number: u64) -> u64 {
        if self.load.rate <= 0.0 {
            return clock::monotonic_micros();
        }
        later(self.start_us, Duration::from_secs_f64(number as f64 * self.load.batch as f64 / self.load.rate))
    }

    /// Adds a permit whenever a request becomes due. They are taken in the order of the requests, since the semaphore is fair.
    fn keep_pace(&self) {
        let all = (0..self.events_max.div_ceil(self.load.batch)).map(|number| self.due_us(number));
        for due_us in all.take_while(|due_us| *due_us < self.end_us) {
            let left_us = due_us.saturating_sub(clock::monotonic_micros());
            if left_us > 0 {
                thread::sleep(Duration::from_micros(left_us));
            }
            self.due.add_permits(1);
        }
    }
}

fn later(start_us: u64, time: Duration) -> u64 {
    start_us.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::super::load::tests::load;
    use super::*;

    #[tokio::test]
    async fn requests_cover_every_event_once_each_due_at_its_time() {
        let turns = Turns::start(Load { rate: 2_000.0, batch: 3, end: End::Events(7), ..load(3) });
        for (first, count, due_us) in [(0, 3, 0), (3, 3, 1_500), (6, 1, 3_000)] {
            let due_us = turns.start_us + due_us;
            assert_eq!(turns.take().await, Some(Turn { first, count, due_us }));
            assert!(clock::monotonic_micros() >= due_us);
        }
        assert_eq!((turns.take().await, turns.events_taken()), (None, 7));
    }
}
