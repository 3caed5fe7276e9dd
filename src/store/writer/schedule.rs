//! When the next delivery is due: the wheel for retries within its horizon, the due table for all others.
//!
//! ```text
//!   due table   ├── past ──┼────────── horizon ──────────┼───── later ─────▶ time
//!               now        │                             │
//!   in memory   expired    armed in the wheel            │ on disk alone
//!                                                  loaded up to here
//! ```
//!
//! Every entry of the due table up to `loaded` is in the wheel, has expired, or waits in an endpoint's queue. Every later entry is
//! on disk alone. The writer moves `loaded` and writes the table, so the two never disagree. The wheel counts milliseconds of
//! the service's time, as the table does, so a wall clock that jumps moves neither.
//!
//! Endpoints that name a time to come back may make a hundred thousand retries expire within one millisecond. So expired retries
//! are taken in pieces, one piece in a batch.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::store::record::key::{DueKey, due_key, read_due_key};
use crate::wheel::Wheel;

/// A retry in the wheel.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Armed {
    pub(in crate::store) key: DeliveryKey,
    pub(in crate::store) at: Timestamp,
}

/// The wheel, and how far the due table is loaded into it.
pub(in crate::store) struct Schedule {
    wheel: Wheel<Armed>,
    /// The expired retries: their time has come, and no batch has taken them yet. They are in order.
    expired: VecDeque<Armed>,
    /// The latest time that the schedule was advanced to.
    now: Timestamp,
    loaded: DueKey,
    /// Whether entries between `loaded` and the horizon are still on disk alone.
    behind: bool,
}

impl Schedule {
    pub(in crate::store) fn new(now: Timestamp) -> Self {
        Self { wheel: Wheel::new(now.as_millis()), expired: VecDeque::new(), now, loaded: [0; 20], behind: true }
    }

    /// Whether memory must know an entry of the due table.
    pub(in crate::store) fn is_loaded(&self, key: &DueKey) -> bool {
        *key <= self.loaded
    }

    pub(in crate::store) fn arm(&mut self, armed: Armed) {
        if !self.wheel.insert(armed.at.as_millis(), armed) {
            // The entry lies past the wheel's own horizon, so it stays on disk alone, as if it had not been loaded.
            self.loaded = self.loaded.min(before(armed.at));
        }
        if self.wheel.len() > ARMED_MAX {
            self.cut();
        }
    }

    /// Moves on to a time. Retries that are due by then expire.
    pub(in crate::store) fn advance(&mut self, now: Timestamp) {
        let expired = &mut self.expired;
        self.wheel.advance(now.as_millis(), |_, armed| expired.push_back(armed));
        self.now = now;
    }

    /// Adds a retry that was due before it was loaded.
    pub(in crate::store) fn expire(&mut self, armed: Armed) {
        self.expired.push_back(armed);
    }

    /// Forgets retries that were taken out of the due table. It goes through all retries in memory.
    pub(in crate::store) fn disarm(&mut self, gone: &HashSet<DueKey>) {
        let is_gone = |armed: &Armed| gone.contains(&due_key(armed.at, armed.key));
        self.wheel.drop_where(is_gone);
        self.expired.retain(|armed| !is_gone(armed));
    }

    /// Takes the next expired retry.
    pub(in crate::store) fn take_expired(&mut self) -> Option<Armed> {
        let next = self.expired.pop_front();
        if self.expired.is_empty() {
            self.expired.shrink_to(EXPIRED_KEPT);
        }
        next
    }

    pub(in crate::store) fn has_expired(&self) -> bool {
        !self.expired.is_empty()
    }

    /// The part of the due table to load next, as `(after, up to)`. `None` when enough is loaded.
    pub(in crate::store) fn to_load(&self, now: Timestamp) -> Option<(DueKey, DueKey)> {
        let ahead = if self.wheel.len() > ARMED_MAX / 2 { HORIZON / 16 } else { HORIZON };
        let near = before(now + ahead / 2);
        let wants = !self.has_expired() && (self.behind || self.loaded < near);
        wants.then(|| (self.loaded, before(now + ahead)))
    }

    /// Takes note that all entries up to `key` are loaded. `more` says whether the part named by [`Self::to_load`] has further
    /// entries.
    pub(in crate::store) fn loaded(&mut self, key: DueKey, more: bool) {
        self.loaded = self.loaded.max(key);
        self.behind = more && self.wheel.len() < ARMED_MAX / 2;
    }

    pub(in crate::store) fn is_behind(&self) -> bool {
        self.behind
    }

    /// When the writer must look again: at the next retry, or to load the next part. `steady` is the steady time of the last
    /// [`Self::advance`].
    pub(in crate::store) fn wake_at(&self, steady: Instant) -> Instant {
        let load = steady + HORIZON / 3;
        let next = self.wheel.next_deadline().map(|tick| steady + Timestamp::from_millis(tick).since(self.now));
        next.map_or(load, |next| next.min(load))
    }

    /// The time before which no entry of the due table is on disk alone.
    pub(in crate::store) fn loaded_up_to(&self) -> Timestamp {
        read_due_key(&self.loaded).0
    }

    pub(in crate::store) fn armed(&self) -> usize {
        self.wheel.len() + self.expired.len()
    }

    /// Forgets the later half of the horizon, again and again until the wheel is half empty. The entries stay on disk.
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

/// The key that is greater than every entry due before `at`.
fn before(at: Timestamp) -> DueKey {
    due_key(at, DeliveryKey { event: EventKey::MIN, endpoint: EndpointNo(0) })
}

/// How far ahead retries are kept in memory.
const HORIZON: Duration = Duration::from_secs(60);

/// The number of expired retries for which memory is kept after they were taken.
const EXPIRED_KEPT: usize = 1_024;

/// The most retries in memory, some 40 bytes each.
const ARMED_MAX: usize = 262_144;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_loaded_while_due_retries_are_taken() {
        let now = Timestamp::from_millis(1_000);
        let mut schedule = Schedule::new(now);
        let armed = |event| Armed { key: DeliveryKey { event: EventKey(event), endpoint: EndpointNo(1) }, at: now };
        for event in 1..=3 {
            schedule.arm(armed(event));
        }
        schedule.expire(armed(4));
        schedule.advance(now + Duration::from_millis(10));
        assert_eq!((schedule.armed(), schedule.has_expired(), schedule.to_load(now)), (4, true, None));
        let taken: Vec<u64> = std::iter::from_fn(|| schedule.take_expired()).map(|armed| armed.key.event.0).collect();
        assert_eq!(taken, [4, 1, 2, 3]);
        assert!(!schedule.has_expired() && schedule.to_load(now).is_some());
    }

    #[test]
    fn a_retry_taken_out_of_the_table_never_falls_due() {
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
        let left: Vec<u64> = std::iter::from_fn(|| schedule.take_expired()).map(|armed| armed.key.event.0).collect();
        assert_eq!(left, [2, 4, 1]);
    }
}
