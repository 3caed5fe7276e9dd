//! When the next delivery is due: the wheel for what lies within its horizon, the due table for the rest.
//!
//! ```text
//!   due table   ├── past ──┼────────── horizon ──────────┼───── later ─────▶ time
//!               now        │                             │
//!   in memory   fallen due armed in the wheel            │ on disk alone
//!                                                  loaded up to here
//! ```
//!
//! Every due entry at or before `loaded` is in the wheel, fell due, or waits in an endpoint's queue; every later one is on
//! disk alone. The writer moves `loaded` and writes the table, so the two never disagree. The wheel counts milliseconds of the
//! service's time, as the table does: a wall clock that jumps moves neither.
//!
//! An endpoint that names a time to come back may make a hundred thousand fall due within one millisecond: what fell due is taken
//! in pieces, one in a batch.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::store::redb::schema::{DueKey, due_key, read_due_key};
use crate::wheel::Wheel;

/// A retry in the wheel.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Armed {
    pub(in crate::store) key: DeliveryKey,
    pub(in crate::store) at: Timestamp,
}

/// The wheel and how far the due table is loaded.
pub(in crate::store) struct Schedule {
    wheel: Wheel<Armed>,
    /// What is due and was not taken yet, in order.
    fallen: VecDeque<Armed>,
    /// The latest time that it was moved to.
    now: Timestamp,
    loaded: DueKey,
    /// Entries between `loaded` and the horizon are still on disk.
    behind: bool,
}

impl Schedule {
    pub(in crate::store) fn new(now: Timestamp) -> Self {
        Self { wheel: Wheel::new(now.as_millis()), fallen: VecDeque::new(), now, loaded: [0; 20], behind: true }
    }

    /// Whether an entry of the due table is one that memory must know.
    pub(in crate::store) fn is_loaded(&self, key: &DueKey) -> bool {
        *key <= self.loaded
    }

    pub(in crate::store) fn arm(&mut self, armed: Armed) {
        if !self.wheel.insert(armed.at.as_millis(), armed) {
            // Past the wheel's own horizon: on disk, as if it had not been loaded.
            self.loaded = self.loaded.min(before(armed.at));
        }
        if self.wheel.len() > ARMED_MAX {
            self.cut();
        }
    }

    /// Moves to a time: what is due by then falls due.
    pub(in crate::store) fn advance(&mut self, now: Timestamp) {
        let fallen = &mut self.fallen;
        self.wheel.advance(now.as_millis(), |_, armed| fallen.push_back(armed));
        self.now = now;
    }

    /// Adds one that was due before it was loaded.
    pub(in crate::store) fn fall(&mut self, armed: Armed) {
        self.fallen.push_back(armed);
    }

    /// Forgets entries that were taken out of the due table: one pass over all that is armed.
    pub(in crate::store) fn disarm(&mut self, gone: &HashSet<DueKey>) {
        let is_gone = |armed: &Armed| gone.contains(&due_key(armed.at, armed.key));
        self.wheel.drop_where(is_gone);
        self.fallen.retain(|armed| !is_gone(armed));
    }

    /// The next of what fell due.
    pub(in crate::store) fn take_fallen(&mut self) -> Option<Armed> {
        let next = self.fallen.pop_front();
        if self.fallen.is_empty() {
            self.fallen.shrink_to(FALLEN_KEPT);
        }
        next
    }

    pub(in crate::store) fn has_fallen(&self) -> bool {
        !self.fallen.is_empty()
    }

    /// The part of the due table to load next, as `(after, up to)`; `None` when the horizon is far enough.
    pub(in crate::store) fn to_load(&self, now: Timestamp) -> Option<(DueKey, DueKey)> {
        let ahead = if self.wheel.len() > ARMED_MAX / 2 { HORIZON / 16 } else { HORIZON };
        let near = before(now + ahead / 2);
        let wants = !self.has_fallen() && (self.behind || self.loaded < near);
        wants.then(|| (self.loaded, before(now + ahead)))
    }

    /// Everything up to `key` is loaded; `more` of what [`Self::to_load`] named is left.
    pub(in crate::store) fn loaded(&mut self, key: DueKey, more: bool) {
        self.loaded = self.loaded.max(key);
        self.behind = more && self.wheel.len() < ARMED_MAX / 2;
    }

    pub(in crate::store) fn is_behind(&self) -> bool {
        self.behind
    }

    /// When to look again, seen from the moment of the last [`Self::advance`]: the next entry, or the next piece of the horizon.
    pub(in crate::store) fn wake_at(&self, steady: Instant) -> Instant {
        let load = steady + HORIZON / 3;
        let next = self.wheel.next_deadline().map(|tick| steady + Timestamp::from_millis(tick).since(self.now));
        next.map_or(load, |next| next.min(load))
    }

    /// The time before which nothing due is on disk alone.
    pub(in crate::store) fn loaded_up_to(&self) -> Timestamp {
        read_due_key(&self.loaded).0
    }

    pub(in crate::store) fn armed(&self) -> usize {
        self.wheel.len() + self.fallen.len()
    }

    /// Forgets the later half of the horizon, again and again until the wheel is half empty: it is on disk.
    fn cut(&mut self) {
        let mut span = HORIZON;
        while self.wheel.len() > ARMED_MAX / 2 && span > Duration::from_millis(1) {
            span /= 2;
            let mut earliest = self.loaded;
            self.wheel.truncate((self.now + span).as_millis(), |dropped| earliest = earliest.min(before(dropped.at)));
            self.loaded = earliest;
        }
    }
}

/// The key after every entry that is due before `at`.
fn before(at: Timestamp) -> DueKey {
    due_key(at, DeliveryKey { event: EventKey::MIN, endpoint: EndpointNo(0) })
}

/// How far ahead retries are kept in memory.
const HORIZON: Duration = Duration::from_secs(60);

/// Room that is kept for those that fell due.
const FALLEN_KEPT: usize = 1_024;

/// Retries in memory; some 40 bytes each.
const ARMED_MAX: usize = 262_144;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_falls_due_at_once_is_taken_one_by_one_and_nothing_is_loaded_meanwhile() {
        let now = Timestamp::from_millis(1_000);
        let mut schedule = Schedule::new(now);
        let armed = |event| Armed { key: DeliveryKey { event: EventKey(event), endpoint: EndpointNo(1) }, at: now };
        for event in 1..=3 {
            schedule.arm(armed(event));
        }
        schedule.fall(armed(4));
        schedule.advance(now + Duration::from_millis(10));
        assert_eq!((schedule.armed(), schedule.has_fallen(), schedule.to_load(now)), (4, true, None));
        let taken: Vec<u64> = std::iter::from_fn(|| schedule.take_fallen()).map(|armed| armed.key.event.0).collect();
        assert_eq!(taken, [4, 1, 2, 3]);
        assert!(!schedule.has_fallen() && schedule.to_load(now).is_some());
    }

    #[test]
    fn what_was_taken_out_of_the_table_never_falls_due() {
        let now = Timestamp::from_millis(1_000);
        let mut schedule = Schedule::new(now);
        let armed = |event, after| Armed {
            key: DeliveryKey { event: EventKey(event), endpoint: EndpointNo(1) },
            at: now + Duration::from_millis(after),
        };
        for (event, after) in [(1, 0), (2, 0), (3, 40_000), (4, 40_000), (1, 50_000)] {
            schedule.arm(armed(event, after));
        }
        schedule.advance(now);
        let gone = [armed(1, 0), armed(3, 40_000)].map(|armed| due_key(armed.at, armed.key));
        schedule.disarm(&gone.into());
        assert_eq!(schedule.armed(), 3);
        schedule.advance(now + Duration::from_secs(60));
        let left: Vec<u64> = std::iter::from_fn(|| schedule.take_fallen()).map(|armed| armed.key.event.0).collect();
        assert_eq!(left, [2, 4, 1]);
    }
}
