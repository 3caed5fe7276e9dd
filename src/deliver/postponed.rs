//! Deliveries that could not be attempted for a shortage of this machine. They are tried again soon, and no attempt is counted.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::shortage::Shortage;
use crate::store::Ready;

/// Those that wait. As many as there are permits in memory, since each keeps its own.
#[derive(Debug, Default)]
pub(super) struct Postponed(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    ready: VecDeque<Ready>,
    last: Option<(Instant, Shortage)>,
    /// Somebody brings them back.
    is_attended: bool,
}

impl Postponed {
    /// Takes one in; whether somebody must begin to bring them back, after each [`PAUSE`] until none is left.
    pub(super) fn add(&self, ready: Ready, shortage: Shortage, now: Instant) -> bool {
        let mut waiting = self.lock();
        waiting.last = Some((now, shortage));
        // What is known of it in memory may be outdated by then.
        waiting.ready.push_back(Ready { known: None, ..ready });
        !std::mem::replace(&mut waiting.is_attended, true)
    }

    /// Those to try now, the oldest first: all, but while the shortage lasts no more than [`PROBES`]. `None`: all have gone.
    pub(super) fn take(&self, now: Instant) -> Option<Vec<Ready>> {
        let mut waiting = self.lock();
        let lasts = waiting.last.is_some_and(|(at, _)| now.saturating_duration_since(at) < PAUSE);
        let count = if lasts { PROBES.min(waiting.ready.len()) } else { waiting.ready.len() };
        waiting.is_attended = !waiting.ready.is_empty();
        waiting.is_attended.then(|| waiting.ready.drain(..count).collect())
    }

    /// What this machine lacks now.
    pub(super) fn shortage(&self, now: Instant) -> Option<Shortage> {
        let (at, shortage) = self.lock().last?;
        (now.saturating_duration_since(at) < LASTS).then_some(shortage)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Until a postponed delivery is tried again.
pub(super) const PAUSE: Duration = Duration::from_secs(1);

/// Tried after each [`PAUSE`] while a shortage lasts: enough to see its end, few enough to cost little.
const PROBES: usize = 64;

/// How long a shortage is told after it was seen last. While it lasts it is seen again after each [`PAUSE`].
const LASTS: Duration = Duration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
    use crate::store::Lane;

    #[test]
    fn a_shortage_is_told_while_it_is_seen_again_and_again() {
        let (postponed, start) = (Postponed::default(), crate::clock::steady());
        let ready = |event| Ready::alone(DeliveryKey { event: EventKey(event), endpoint: EndpointNo(1) }, Lane::Due, start);
        postponed.add(ready(1), Shortage::Ports, start);
        postponed.add(ready(2), Shortage::Ports, start + PAUSE);
        assert_eq!(postponed.shortage(start + LASTS), Some(Shortage::Ports));
        assert_eq!(postponed.shortage(start + PAUSE + LASTS), None);
    }

    #[test]
    fn few_are_tried_while_a_shortage_lasts_and_all_after_it() {
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
