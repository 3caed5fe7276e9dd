//! Decides which delivery is attempted next: a queue for each endpoint, and a ring in which endpoints take turns. Plain data: no
//! I/O, no clock.
//!
//! ```text
//!   manual ──┐  asked for by a person, first
//!   due ─────┼──▶ endpoint: at most `per_endpoint` at once ──▶ ring of endpoints that may start ──▶ `in_flight` over all
//!   backlog ─┤  alternates with due
//!   replayed ┘  last, in at most half of the slots
//! ```
//!
//! An endpoint at its limit is not in the ring, so it holds nobody up. An endpoint whose last attempt timed out or did not
//! connect has one slot until an attempt succeeds. An endpoint that may not start yet by its [rate limit](pace) is not in the ring
//! either. The last quarter of all slots is for endpoints without an attempt older than
//! [a second](endpoint::OLD), and each may have no more slots than are still free. So however many endpoints hang, the quick ones go on.

mod commit;
mod endpoint;
mod pace;
mod signal;
mod state;

use std::collections::{BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use crate::domain::id::{ByEndpoint, DeliveryKey, EndpointNo};
use crate::store::{Dropped, ENDPOINT_PERMITS, Lane, Ready};

use endpoint::{Idle, Queue, Running};

pub(crate) use signal::HealthSignal;
pub(crate) use state::State;

/// The queues of all endpoints. `W` is the handle by which a delivery is given to a worker that waits with a connection.
pub(crate) struct Queues<W> {
    endpoints: ByEndpoint<Queue<W>>,
    ring: VecDeque<EndpointNo>,
    /// The endpoints whose next attempt waits for their rate limit, by the time at which it may start. None of them is in the ring.
    paced: BTreeSet<(Instant, EndpointNo)>,
    in_flight: usize,
    idle: usize,
    limits: Limits,
    refills: Vec<EndpointNo>,
    rechecks: Vec<Ready>,
    stopped: bool,
}

/// How many attempts may be under way at once, in all and for each endpoint.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) in_flight: usize,
    pub(crate) per_endpoint: usize,
    /// The most connections without work that are kept, over all endpoints.
    pub(crate) kept: usize,
}

/// A delivery that may start, and the idle worker that shall make it, if its endpoint has one.
pub(crate) struct Start<W> {
    pub(crate) ready: Ready,
    pub(crate) worker: Option<W>,
}

impl<W> Queues<W> {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            endpoints: ByEndpoint::default(),
            ring: VecDeque::new(),
            paced: BTreeSet::new(),
            in_flight: 0,
            idle: 0,
            limits,
            refills: Vec::new(),
            rechecks: Vec::new(),
            stopped: false,
        }
    }

    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// From now on no delivery starts.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight
    }

    /// How long the delivery that waits longest has been held back by this relay alone: by the slots over all endpoints, or by
    /// memory although its endpoint answers.
    pub(crate) fn held_back(&self, now: Instant) -> Duration {
        let turns = self.ring.iter().filter_map(|no| self.endpoints.get(no));
        let for_slots = turns.map(|queue| queue.held_back(self.limits.per_endpoint, now)).max();
        let for_memory = self.endpoints.values().map(|queue| queue.waits_for_memory(now)).max();
        for_slots.max(for_memory).unwrap_or_default()
    }

    /// Queues a delivery. If an attempt of it is under way, the delivery is kept apart until that has ended; then the store
    /// rechecks whether it is still due.
    pub(crate) fn push(&mut self, ready: Ready) {
        let no = ready.key.endpoint;
        let queue = self.endpoints.entry(no).or_default();
        if queue.live.is_none() {
            queue.live = Some(ready.permit.live().clone());
        }
        if queue.is_running(ready.key) {
            queue.repeated.push(ready);
            return;
        }
        if ready.needs_recheck {
            self.rechecks.push(ready);
            return;
        }
        match ready.lane {
            Lane::Manual => queue.manual.push_back(ready),
            Lane::Due => queue.due.push_back(ready),
            Lane::Backlog => queue.backlog.push_back(ready),
            Lane::Replay => queue.replayed.push_back(ready),
        }
        self.enter(no);
    }

    /// Notes whether more of an endpoint's backlog waits on disk. The next piece is requested at once only when nothing of the
    /// endpoint is here; else when a delivery of it starts or ends, since before there may be no permit.
    pub(crate) fn backlog(&mut self, no: EndpointNo, more: bool) {
        let queue = self.endpoints.entry(no).or_default();
        queue.on_disk = more;
        queue.refill_requested = false;
        if queue.is_empty() && queue.running.is_empty() {
            self.request_refill(no);
        }
    }

    /// Drops the waiting deliveries of a webhook that was disabled or deleted; the store settles them. Tests stay while it is
    /// only disabled.
    pub(crate) fn clear(&mut self, no: EndpointNo, deleted: bool) {
        if let Some(queue) = self.endpoints.get_mut(&no) {
            let stays = |ready: &Ready| ready.is_test && !deleted;
            queue.lanes().for_each(|lane| lane.retain(stays));
            queue.repeated.retain(stays);
            queue.on_disk = false;
            queue.deleted = deleted;
            self.sweep(no);
        }
    }

    /// Drops waiting deliveries that have ended or are about to. Tests stay: whether a test has ended shows before its attempt.
    pub(crate) fn drop_waiting(&mut self, dropped: &Dropped) {
        let no = dropped.endpoint;
        let Some(queue) = self.endpoints.get_mut(&no) else { return };
        queue.lanes().for_each(|lane| lane.retain(|ready| ready.is_test || !dropped.covers(ready.key)));
        self.request_refill(no);
        self.sweep(no);
    }

    /// Takes the endpoints whose next piece of backlog is to be read.
    pub(crate) fn refills(&mut self) -> Vec<EndpointNo> {
        std::mem::take(&mut self.refills)
    }

    /// Takes the deliveries that came while an attempt of theirs was under way, or may have. The store must recheck whether they
    /// are still due.
    pub(crate) fn rechecks(&mut self) -> Vec<Ready> {
        std::mem::take(&mut self.rechecks)
    }

    /// Takes the next delivery that may start now. Endpoints take turns.
    pub(crate) fn start(&mut self, now: Instant) -> Option<Start<W>> {
        if self.stopped {
            return None;
        }
        for _ in 0..self.ring.len() {
            if self.in_flight >= self.limits.in_flight {
                return None;
            }
            let no = self.ring.pop_front()?;
            if self.has_slot(no) && !self.may_start(no, now) {
                // The endpoint gets its turn when more slots are free.
                self.ring.push_back(no);
            } else if let Some(ready) = self.take(no, now) {
                let worker = self.idle_worker(no);
                return Some(Start { ready, worker });
            }
        }
        None
    }

    /// Ends an attempt. Returns the endpoint's next delivery for the same worker, unless another endpoint waits for the slot.
    pub(crate) fn finish(&mut self, key: DeliveryKey, sign: HealthSignal, now: Instant) -> Option<Ready> {
        self.in_flight -= 1;
        let no = key.endpoint;
        let queue = self.endpoints.get_mut(&no)?;
        if !queue.is_free(self.limits.per_endpoint, now) {
            queue.free_since = Some(now);
        }
        // The attempt that ends is usually among the oldest.
        if let Some(ended) = queue.running.iter().position(|running| running.key == key) {
            queue.running.remove(ended);
        }
        self.rechecks.extend(queue.repeated.extract_if(.., |ready| ready.key == key));
        (queue.slow, queue.answers) = match sign {
            HealthSignal::Good => (false, true),
            HealthSignal::Slow => (true, false),
            HealthSignal::Neutral | HealthSignal::Unsent => (queue.slow, queue.answers),
        };
        if sign == HealthSignal::Unsent {
            self.give_back(no);
        }
        let queue = self.endpoints.get_mut(&no)?;
        queue.forget_paces(now);
        self.enter(no);
        self.request_refill(no);
        let alone = self.ring.front().is_none_or(|first| *first == no);
        let next = if !self.stopped && alone && self.may_start(no, now) {
            self.leave_ring(no);
            self.take(no, now)
        } else {
            None
        };
        self.sweep(no);
        next
    }

    /// Notes whether an attempt waits for memory. Returns true if memory given to it would soon come back: its endpoint answers,
    /// and none of the endpoint's other attempts has memory.
    pub(crate) fn set_waiting(&mut self, key: DeliveryKey, waits: bool) -> bool {
        let Some(queue) = self.endpoints.get_mut(&key.endpoint) else { return false };
        if let Some(running) = queue.running.iter_mut().find(|running| running.key == key) {
            running.waits = waits;
        }
        queue.answers && queue.running.iter().all(|running| running.waits)
    }

    /// Adds a worker that waits with a kept connection. Returns false when enough workers wait already, or after a stop.
    pub(crate) fn rest(&mut self, no: EndpointNo, id: u64, worker: W, since: Instant) -> bool {
        if self.stopped || self.idle >= self.limits.kept {
            return false;
        }
        self.idle += 1;
        self.endpoints.entry(no).or_default().idle.push(Idle { id, since, worker });
        true
    }

    /// Takes out the workers that have waited for longer than `kept`. They get no delivery any more. What nobody needs to remember
    /// of an endpoint is forgotten.
    pub(crate) fn retire(&mut self, kept: Duration, now: Instant) -> Vec<W> {
        let mut retired = Vec::new();
        for queue in self.endpoints.values_mut() {
            // Workers are added and taken at the end, so the oldest are at the front.
            let old = queue.idle.iter().take_while(|idle| now.saturating_duration_since(idle.since) > kept).count();
            retired.extend(queue.idle.drain(..old).map(|idle| idle.worker));
            queue.forget_paces(now);
        }
        self.idle -= retired.len();
        self.endpoints.retain(|_, queue| !queue.is_forgettable());
        retired
    }

    /// Takes out a waiting worker that gives up. Returns false when it was given a delivery meanwhile.
    pub(crate) fn leave(&mut self, no: EndpointNo, id: u64) -> bool {
        let Some(queue) = self.endpoints.get_mut(&no) else { return false };
        let before = queue.idle.len();
        queue.idle.retain(|idle| idle.id != id);
        let left = queue.idle.len() < before;
        self.idle -= usize::from(left);
        self.sweep(no);
        left
    }

    /// Puts an endpoint into the ring if it has a delivery to start and a slot for it, and does not wait for its rate limit.
    fn enter(&mut self, no: EndpointNo) {
        let Some(queue) = self.endpoints.get_mut(&no) else { return };
        let waits = queue.in_ring || queue.paced_until.is_some();
        if !waits && queue.has_startable(self.limits.per_endpoint) && queue.running.len() < queue.slots(self.limits.per_endpoint)
        {
            queue.in_ring = true;
            self.ring.push_back(no);
        }
    }

    fn leave_ring(&mut self, no: EndpointNo) {
        if self.ring.front() == Some(&no) {
            self.ring.pop_front();
        }
    }

    fn may_start(&self, no: EndpointNo, now: Instant) -> bool {
        let free = self.limits.in_flight.saturating_sub(self.in_flight);
        let plenty = free > self.limits.in_flight / 4;
        // The fewer slots are free, the fewer one endpoint may have, so a burst to endpoints that turn out to hang leaves some
        // free.
        let quick = || self.endpoints.get(&no).is_some_and(|queue| queue.is_quick(now) && queue.running.len() < free);
        free > 0 && self.has_slot(no) && (plenty || quick())
    }

    fn has_slot(&self, no: EndpointNo) -> bool {
        self.endpoints.get(&no).is_some_and(|queue| queue.running.len() < queue.slots(self.limits.per_endpoint))
    }

    /// Takes the next delivery of an endpoint that has just left the ring, and puts the endpoint back for the one after it.
    fn take(&mut self, no: EndpointNo, now: Instant) -> Option<Ready> {
        let may_start = self.has_slot(no) && self.has_permit(no, now);
        let queue = self.endpoints.get_mut(&no)?;
        queue.in_ring = false;
        let ready = if may_start { queue.pop_startable(self.limits.per_endpoint)? } else { return None };
        if let Some(rate) = queue.rate_limit() {
            queue.pace.spend(rate, now);
        }
        queue.running.push(Running { key: ready.key, since: now, waits: false, is_replayed: ready.lane == Lane::Replay });
        self.in_flight += 1;
        self.enter(no);
        self.request_refill(no);
        Some(ready)
    }

    fn idle_worker(&mut self, no: EndpointNo) -> Option<W> {
        let idle = self.endpoints.get_mut(&no)?.idle.pop()?;
        self.idle -= 1;
        Some(idle.worker)
    }

    fn request_refill(&mut self, no: EndpointNo) {
        let Some(queue) = self.endpoints.get_mut(&no) else { return };
        if queue.on_disk && !queue.refill_requested && queue.backlog.len() < LOW && queue.len() - queue.replayed.len() < FULL {
            queue.refill_requested = true;
            self.refills.push(no);
        }
    }

    /// Removes an endpoint that has nothing to remember.
    fn sweep(&mut self, no: EndpointNo) {
        if self.endpoints.get(&no).is_some_and(Queue::is_forgettable) {
            self.endpoints.remove(&no);
        }
    }
}

/// With so many of an endpoint's deliveries in memory no further piece of its backlog is read, since it would find no permit.
const FULL: usize = ENDPOINT_PERMITS as usize - LOW;

/// When fewer of an endpoint's backlog are in memory, the next piece is read.
const LOW: usize = 1_024;

#[cfg(test)]
mod tests;
