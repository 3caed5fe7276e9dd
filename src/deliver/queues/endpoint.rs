//! The queue of one endpoint: what waits for it, in four lanes, what is under way, and how it did last.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pace::Pace;
use crate::domain::id::DeliveryKey;
use crate::domain::rate::Rate;
use crate::store::{Live, Ready};

/// A worker that waits with an open connection.
pub(super) struct Idle<W> {
    pub(super) id: u64,
    pub(super) since: Instant,
    pub(super) worker: W,
}

/// An attempt under way.
pub(super) struct Running {
    pub(super) key: DeliveryKey,
    pub(super) since: Instant,
    /// Whether the attempt waits for memory, before anything was sent.
    pub(super) waits: bool,
    /// Whether a replay sent the delivery again.
    pub(super) is_replayed: bool,
}

/// The deliveries of one endpoint that wait in memory, and its attempts under way.
pub(super) struct Queue<W> {
    pub(super) manual: VecDeque<Ready>,
    pub(super) due: VecDeque<Ready>,
    pub(super) backlog: VecDeque<Ready>,
    pub(super) replayed: VecDeque<Ready>,
    pub(super) backlog_next: bool,
    /// The attempts under way, the oldest first.
    pub(super) running: Vec<Running>,
    /// Deliveries that came again while an attempt of theirs was under way.
    pub(super) repeated: Vec<Ready>,
    pub(super) slow: bool,
    /// Whether the last attempt that was not neutral succeeded.
    pub(super) answers: bool,
    /// When the endpoint last came below its own limit of slots, or got rid of an old attempt. `None` when it never was at
    /// either.
    pub(super) free_since: Option<Instant>,
    /// Whether more of the endpoint's backlog waits on disk.
    pub(super) on_disk: bool,
    pub(super) refill_requested: bool,
    pub(super) deleted: bool,
    pub(super) in_ring: bool,
    /// How much of the rate limit the starts have used up.
    pub(super) pace: Pace,
    /// How much of it the requests that left have used up.
    pub(super) sent: Pace,
    /// When the rate limit lets the next attempt start, while the endpoint waits for that and not in the ring.
    pub(super) paced_until: Option<Instant>,
    pub(super) idle: Vec<Idle<W>>,
    /// What the store knows about the endpoint; `None` before its first delivery.
    pub(super) live: Option<Arc<Live>>,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self {
            manual: VecDeque::new(),
            due: VecDeque::new(),
            backlog: VecDeque::new(),
            replayed: VecDeque::new(),
            backlog_next: false,
            running: Vec::new(),
            repeated: Vec::new(),
            slow: false,
            answers: false,
            free_since: None,
            on_disk: false,
            refill_requested: false,
            deleted: false,
            in_ring: false,
            pace: Pace::default(),
            sent: Pace::default(),
            paced_until: None,
            idle: Vec::new(),
            live: None,
        }
    }
}

impl<W> Queue<W> {
    pub(super) fn is_empty(&self) -> bool {
        self.is_without_new() && self.replayed.is_empty()
    }

    /// Whether nothing waits but what replays sent again.
    fn is_without_new(&self) -> bool {
        self.manual.is_empty() && self.due.is_empty() && self.backlog.is_empty()
    }

    /// Whether something waits for which there is a slot. Replays have at most half of the slots, and one at least.
    pub(super) fn has_startable(&self, per_endpoint: usize) -> bool {
        !self.is_without_new() || (!self.replayed.is_empty() && self.has_slot_for_replays(per_endpoint))
    }

    fn has_slot_for_replays(&self, per_endpoint: usize) -> bool {
        let theirs = self.running.iter().filter(|running| running.is_replayed).count();
        theirs < (self.slots(per_endpoint) / 2).max(1)
    }

    pub(super) fn lanes(&mut self) -> impl Iterator<Item = &mut VecDeque<Ready>> {
        [&mut self.manual, &mut self.due, &mut self.backlog, &mut self.replayed].into_iter()
    }

    pub(super) fn len(&self) -> usize {
        self.manual.len() + self.due.len() + self.backlog.len() + self.replayed.len()
    }

    pub(super) fn is_forgettable(&self) -> bool {
        let remembers = (self.slow || self.pace.is_used() || self.sent.is_used()) && !self.deleted;
        let remembers = remembers || self.on_disk || self.in_ring || self.paced_until.is_some();
        self.is_empty() && self.running.is_empty() && self.idle.is_empty() && !remembers
    }

    pub(super) fn is_running(&self, key: DeliveryKey) -> bool {
        self.running.iter().any(|running| running.key == key)
    }

    /// How many attempts may be under way at once: `per_endpoint`, unless the webhook says otherwise.
    pub(super) fn slots(&self, per_endpoint: usize) -> usize {
        let own = || self.live.as_ref().and_then(|live| live.concurrency());
        if self.slow { 1 } else { own().unwrap_or(per_endpoint) }
    }

    /// How often an attempt may start. `None`: as often as there is a slot.
    pub(super) fn rate_limit(&self) -> Option<Rate> {
        self.live.as_ref()?.rate_limit()
    }

    /// Forgets what of the rate limit is free again at `now`, if nothing waits.
    pub(super) fn forget_paces(&mut self, now: Instant) {
        if self.is_empty() {
            self.pace.forget(now);
            self.sent.forget(now);
        }
    }

    /// Whether neither the endpoint's limit of slots nor an old attempt keeps it from a further slot.
    pub(super) fn is_free(&self, per_endpoint: usize, now: Instant) -> bool {
        self.running.len() < self.slots(per_endpoint) && self.is_quick(now)
    }

    /// How long the delivery that waits longest could have started, had there been a slot for it.
    pub(super) fn held_back(&self, per_endpoint: usize, now: Instant) -> Duration {
        let oldest =
            [&self.manual, &self.due, &self.backlog].iter().filter_map(|lane| lane.front()).map(|ready| ready.since).min();
        let Some(oldest) = oldest.filter(|_| self.is_free(per_endpoint, now)) else { return Duration::ZERO };
        let permitted = self.rate_limit().and_then(|rate| self.pace.next_at(rate));
        let since = [self.free_since, permitted].into_iter().flatten().fold(oldest, Instant::max);
        now.saturating_duration_since(since)
    }

    pub(super) fn waits_for_memory(&self, now: Instant) -> Duration {
        let oldest = self.running.iter().find(|running| running.waits).filter(|_| self.answers);
        oldest.map_or(Duration::ZERO, |oldest| now.saturating_duration_since(oldest.since))
    }

    pub(super) fn is_quick(&self, now: Instant) -> bool {
        self.running.first().is_none_or(|oldest| now.saturating_duration_since(oldest.since) < OLD)
    }

    /// Takes the next delivery that is not under way. A delivery may be queued twice: by its entry, and by a person.
    pub(super) fn pop_startable(&mut self, per_endpoint: usize) -> Option<Ready> {
        loop {
            let ready = self.pop(per_endpoint)?;
            if !self.is_running(ready.key) {
                return Some(ready);
            }
            self.repeated.push(ready);
        }
    }

    fn pop(&mut self, per_endpoint: usize) -> Option<Ready> {
        if let Some(first) = self.manual.pop_front() {
            return Some(first);
        }
        let (first, second) =
            if self.backlog_next { (&mut self.backlog, &mut self.due) } else { (&mut self.due, &mut self.backlog) };
        self.backlog_next = !self.backlog_next;
        let next = first.pop_front().or_else(|| second.pop_front());
        next.or_else(|| if self.has_slot_for_replays(per_endpoint) { self.replayed.pop_front() } else { None })
    }
}

/// An endpoint with an attempt of this age or older gets none of the last quarter of the slots.
pub(super) const OLD: Duration = Duration::from_secs(1);
