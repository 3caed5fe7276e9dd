//! Whose turn it is: the requests of a publisher, one after the other, until all are taken or the time is over.
//!
//! In a closed loop a request is due when it is taken. In an open loop a thread of its own gives out the turns, since the
//! runtime's timers are too coarse for that.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::Semaphore;

use super::pace::{Pace, Share};
use super::plan::{End, Load};
use crate::clock;

/// One request: so many events from this one, due at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) due_us: u64,
}

/// Gives out turns until all are taken or the time is over.
pub(super) struct Turns {
    start_us: u64,
    end_us: u64,
    batch: u64,
    events_max: u64,
    /// Number of the next request; those before this lap have the numbers before.
    next: AtomicU64,
    /// The turns that are due.
    paced: Option<(Pace, Arc<Semaphore>)>,
}

impl Turns {
    /// Of the lap that begins behind so many requests.
    pub(super) fn start(load: &Load, end: End, share: Share, requests: u64) -> Self {
        let start_us = clock::monotonic_micros();
        let (events_max, lasts) = match end {
            End::Events(events) => (events, None),
            End::After(time) => (u64::MAX, Some(time)),
        };
        let paced = Pace::of(load, share).map(|pace| (pace, Arc::new(Semaphore::new(0))));
        let lasts = lasts.map(|lasts| paced.as_ref().map_or(lasts, |(pace, _)| pace.end(lasts)));
        let end_us = lasts.map_or(u64::MAX, |lasts| later(start_us, lasts));
        let turns = Self { start_us, end_us, batch: load.batch, events_max, next: AtomicU64::new(requests), paced };
        if let Some((pace, due)) = &turns.paced {
            let (pace, due, turns_max) = (*pace, due.clone(), events_max.div_ceil(load.batch));
            std::thread::spawn(move || keep_pace(start_us, end_us, pace, turns_max, &due));
        }
        turns
    }

    /// The next request; `None`: publishing is over. In an open loop it waits until one is due.
    pub(super) async fn take(&self) -> Option<Turn> {
        let number = self.next.load(Relaxed);
        let due_us = self.due_us(number);
        let first = number.checked_mul(self.batch)?;
        if first >= self.events_max || due_us >= self.end_us {
            return None;
        }
        // One thread takes all turns, so nobody came between.
        self.next.store(number + 1, Relaxed);
        if let Some((_, due)) = &self.paced {
            due.acquire().await.ok()?.forget();
        }
        Some(Turn { first, count: self.batch.min(self.events_max - first), due_us })
    }

    /// When the first request was due.
    pub(super) fn first_us(&self) -> u64 {
        self.paced.as_ref().map_or(self.start_us, |_| self.due_us(0))
    }

    pub(super) fn requests_taken(&self) -> u64 {
        self.next.load(Relaxed)
    }

    pub(super) fn events_taken(&self) -> u64 {
        self.next.load(Relaxed).saturating_mul(self.batch).min(self.events_max)
    }

    fn due_us(&self, number: u64) -> u64 {
        self.paced.as_ref().map_or_else(clock::monotonic_micros, |(pace, _)| later(self.start_us, pace.due(number)))
    }
}

/// Adds a permit whenever a turn becomes due. They are taken in the order of the turns, since the semaphore is fair.
fn keep_pace(start_us: u64, end_us: u64, pace: Pace, turns_max: u64, due: &Semaphore) {
    for number in 0..turns_max {
        let due_us = later(start_us, pace.due(number));
        if due_us >= end_us {
            return;
        }
        let left_us = due_us.saturating_sub(clock::monotonic_micros());
        if left_us > 0 {
            std::thread::sleep(Duration::from_micros(left_us));
        }
        due.add_permits(1);
    }
}

fn later(start_us: u64, time: Duration) -> u64 {
    start_us.saturating_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::plan::Endpoints;

    fn load(rate: f64, batch: u64) -> Load {
        let (endpoints, end) = (Endpoints::all_healthy(3), End::Events(7));
        Load { connections: 1, rate, end, batch, endpoints, fan_out: false, data: String::new() }
    }

    #[tokio::test]
    async fn turns_cover_every_event_once() {
        let turns = Turns::start(&load(0.0, 3), End::Events(7), Share::All, 0);
        let mut taken = Vec::new();
        while let Some(turn) = turns.take().await {
            taken.push((turn.first, turn.count));
        }
        assert_eq!(taken, [(0, 3), (3, 3), (6, 1)]);
        assert_eq!(turns.events_taken(), 7);
    }

    #[tokio::test]
    async fn a_lap_goes_on_behind_the_one_before() {
        let first = Turns::start(&load(0.0, 3), End::Events(6), Share::All, 0);
        while first.take().await.is_some() {}
        let turns = Turns::start(&load(0.0, 3), End::Events(10), Share::All, first.requests_taken());
        let taken = [turns.take().await, turns.take().await, turns.take().await];
        assert_eq!(taken.map(|turn| turn.map(|turn| (turn.first, turn.count))), [Some((6, 3)), Some((9, 1)), None]);
        assert_eq!((first.events_taken(), turns.events_taken()), (6, 10));
    }

    #[tokio::test]
    async fn at_a_rate_every_turn_is_due_at_its_time() {
        let turns = Turns::start(&load(2_000.0, 2), End::After(Duration::from_millis(10)), Share::All, 0);
        let mut due = Vec::new();
        while let Some(turn) = turns.take().await {
            assert!(clock::monotonic_micros() >= turn.due_us);
            due.push(turn.due_us - turns.start_us);
        }
        assert_eq!(due, [0, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 8_000, 9_000]);
        assert_eq!(turns.events_taken(), 20);
    }
}
