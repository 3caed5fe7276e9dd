//! How long the requests of an HTTP/2 connection may take, as [`Pace`](super::pace) does for HTTP/1.1.
//!
//! Each request has its own deadline, and a connection that misses one ends with all its requests. Otherwise a peer that reads
//! nothing could keep its answers in memory by sending further requests.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::leaving::Watch;
use super::pace::{BUSY_MAX, HEAD_MAX, IDLE_MAX, STALLED_MAX};
use super::slots::Slot;
use crate::clock;

/// The requests that one connection carries.
pub(in crate::api) struct Streams {
    state: Mutex<State>,
    slot: Arc<Slot>,
}

struct State {
    /// The number and the deadline of each request under way.
    under_way: Vec<(u64, Instant)>,
    next: u64,
    /// The connection's deadline while no request is under way.
    idle: Instant,
}

impl Streams {
    /// A new connection, which must send its first request within [`HEAD_MAX`].
    pub(in crate::api) fn new(slot: Arc<Slot>, now: Instant) -> Arc<Self> {
        let state = State { under_way: Vec::new(), next: 0, idle: now + HEAD_MAX };
        Arc::new(Self { state: Mutex::new(state), slot })
    }

    pub(in crate::api) fn begin(self: &Arc<Self>, now: Instant) -> UnderWay {
        self.slot.works();
        self.with(|state| {
            let number = state.next;
            state.next += 1;
            state.under_way.push((number, now + BUSY_MAX));
            UnderWay { streams: self.clone(), number }
        })
    }

    /// When the connection is to be closed unless something happens before: the earliest deadline of its requests.
    pub(in crate::api) fn deadline(&self) -> Instant {
        self.with(|state| state.under_way.iter().map(|(_, deadline)| *deadline).min().unwrap_or(state.idle))
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A request from its head until its answer has left, or its peer wants no answer any more.
pub(in crate::api) struct UnderWay {
    streams: Arc<Streams>,
    number: u64,
}

impl UnderWay {
    /// Takes note that the answer is made and only has to be sent.
    pub(in crate::api) fn answered(&self, now: Instant) {
        self.set_deadline(now + IDLE_MAX);
    }

    fn set_deadline(&self, at: Instant) {
        self.streams.with(|state| {
            let mine = state.under_way.iter_mut().find(|(number, _)| *number == self.number);
            mine.into_iter().for_each(|(_, deadline)| *deadline = at);
        });
    }

    fn end(&self, now: Instant) {
        let was_under_way = self.streams.with(|state| {
            let before = state.under_way.len();
            state.under_way.retain(|(number, _)| *number != self.number);
            state.idle = now + IDLE_MAX;
            state.under_way.len() < before
        });
        if was_under_way {
            self.streams.slot.rests(now);
        }
    }
}

impl Watch for UnderWay {
    fn taken(&self) {
        self.set_deadline(clock::steady() + STALLED_MAX);
    }

    fn waits(&self) {
        self.set_deadline(clock::steady() + BUSY_MAX);
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.end(clock::steady());
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_that_does_not_leave_ends_its_connection() {
        let start = Instant::now();
        let later = |secs| start + Duration::from_secs(secs);
        let streams = Streams::new(Slot::alone(), start);
        let stuck = streams.begin(start);
        assert_eq!(streams.deadline(), start + BUSY_MAX);
        stuck.answered(later(5));
        for at in [20, 40, 60] {
            let other = streams.begin(later(at));
            other.answered(later(at));
            assert_eq!(streams.deadline(), later(5) + IDLE_MAX);
            other.end(later(at));
        }
        assert_eq!(streams.deadline(), later(5) + IDLE_MAX);
    }

    #[test]
    fn without_requests_a_connection_is_idle() {
        let start = Instant::now();
        let streams = Streams::new(Slot::alone(), start);
        assert_eq!(streams.deadline(), start + HEAD_MAX);
        let (first, second) = (streams.begin(start), streams.begin(start));
        first.end(start);
        assert_eq!(streams.deadline(), start + BUSY_MAX, "one is left");
        second.end(start);
        assert_eq!(streams.deadline(), start + IDLE_MAX);
    }

    #[test]
    fn a_request_that_nobody_waits_for_is_not_under_way() {
        let streams = Streams::new(Slot::alone(), clock::steady());
        drop(streams.begin(clock::steady()));
        assert!(streams.deadline() <= clock::steady() + IDLE_MAX);
    }
}
