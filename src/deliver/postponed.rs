//! Deliveries that could not be attempted for a shortage of this machine. They are tried again soon, and no attempt is counted.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::shortage::Shortage;
use crate::store::Ready;

/// Those that wait. As many as there are seats in memory, since each keeps its own.
#[derive(Debug, Default)]
pub(super) struct Postponed(Mutex<Waiting>);

#[derive(Debug, Default)]
struct Waiting {
    ready: Vec<Ready>,
    last: Option<(Instant, Shortage)>,
}

impl Postponed {
    /// Takes one in; whether it is the first, so that somebody must bring them back after [`PAUSE`].
    pub(super) fn add(&self, ready: Ready, shortage: Shortage, now: Instant) -> bool {
        let mut waiting = self.lock();
        waiting.last = Some((now, shortage));
        // What is known of it in memory may be outdated by then.
        waiting.ready.push(Ready { known: None, ..ready });
        waiting.ready.len() == 1
    }

    pub(super) fn take(&self) -> Vec<Ready> {
        std::mem::take(&mut self.lock().ready)
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
        assert!(postponed.add(ready(1), Shortage::Ports, start));
        assert!(!postponed.add(ready(2), Shortage::Ports, start + PAUSE));
        assert_eq!(postponed.take().len(), 2);
        assert_eq!(postponed.shortage(start + LASTS), Some(Shortage::Ports));
        assert_eq!(postponed.shortage(start + PAUSE + LASTS), None);
        assert!(postponed.add(ready(3), Shortage::Memory, start), "whoever took the others is done");
    }
}
