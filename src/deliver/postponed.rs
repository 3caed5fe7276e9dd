//! Deliveries that this machine could not attempt for a shortage of its own. They are tried again soon, and no attempt is
//! counted.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::shortage::Shortage;
use crate::store::Ready;

/// The postponed deliveries. Their number is bounded by the queue permits, since each keeps its permit.
#[derive(Debug, Default)]
pub(super) struct Postponed(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    ready: VecDeque<Ready>,
    last: Option<(Instant, Shortage)>,
    /// Whether a task is running that brings them back.
    is_attended: bool,
}

impl Postponed {
    /// Adds a delivery. Returns true when the caller must start the task that calls [`Postponed::take`] after each [`PAUSE`]
    /// until it gives `None`.
    pub(super) fn add(&self, ready: Ready, shortage: Shortage, now: Instant) -> bool {
        let mut waiting = self.lock();
        waiting.last = Some((now, shortage));
        // What memory knows of the delivery may be outdated when it is tried again.
        waiting.ready.push_back(Ready { known: None, ..ready });
        !std::mem::replace(&mut waiting.is_attended, true)
    }

    /// The deliveries to try now, oldest first: at most [`PROBES`] while the shortage lasts, else all. `None` when there are
    /// none, which ends the task that brings them back.
    pub(super) fn take(&self, now: Instant) -> Option<Vec<Ready>> {
        let mut waiting = self.lock();
        let lasts = waiting.last.is_some_and(|(at, _)| now.saturating_duration_since(at) < PAUSE);
        let count = if lasts { PROBES.min(waiting.ready.len()) } else { waiting.ready.len() };
        waiting.is_attended = !waiting.ready.is_empty();
        waiting.is_attended.then(|| waiting.ready.drain(..count).collect())
    }

    /// The shortage of this machine, if one was seen within [`LASTS`].
    pub(super) fn shortage(&self, now: Instant) -> Option<Shortage> {
        let (at, shortage) = self.lock().last?;
        (now.saturating_duration_since(at) < LASTS).then_some(shortage)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a postponed delivery waits until it is tried again.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// How many deliveries are tried after each [`PAUSE`] while a shortage lasts: enough to see its end, and few enough to cost
/// little.
const PROBES: usize = 64;

/// How long a shortage is reported after it was last seen. While it lasts it is seen again after each [`PAUSE`].
const LASTS: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
    use crate::store::Lane;

    #[test]
    fn a_shortage_is_reported_while_it_is_seen_again() {
        let (postponed, start) = (Postponed::default(), crate::clock::steady());
        let ready = |event| Ready::alone(DeliveryKey { event: EventKey(event), endpoint: EndpointNo(1) }, Lane::Due, start);
        postponed.add(ready(1), Shortage::Ports, start);
        postponed.add(ready(2), Shortage::Ports, start + PAUSE);
        assert_eq!(postponed.shortage(start + LASTS), Some(Shortage::Ports));
        assert_eq!(postponed.shortage(start + PAUSE + LASTS), None);
    }

    #[test]
    fn few_deliveries_are_tried_during_a_shortage_and_all_after_it() {
        let (postponed, start) = (Postponed::default(), crate::clock::steady());
        let ready = |event| Ready::alone(DeliveryKey { event: EventKey(event), endpoint: EndpointNo(1) }, Lane::Due, start);
        let begins: Vec<_> = (0..1_000).map(|event| postponed.add(ready(event), Shortage::Ports, start)).collect();
        assert!(begins[0] && !begins[1..].contains(&true), "one brings them all back");
        let taken = |after| postponed.take(start + after).map(|ready| ready.len());
        assert_eq!(taken(PAUSE / 2), Some(PROBES));
        assert!(!postponed.add(ready(0), Shortage::Ports, start + PAUSE));
        assert_eq!(taken(PAUSE * 3 / 2), Some(PROBES));
        assert_eq!(taken(PAUSE * 5 / 2), Some(1_001 - 2 * PROBES));
        assert_eq!(taken(PAUSE * 3), None);
        assert!(postponed.add(ready(1), Shortage::Ports, start), "whoever brought them back is gone");
    }
}
