//! Limits how often one thing is logged.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// When the thing was logged last.
#[derive(Debug, Default)]
pub(super) struct Seldom(Mutex<Option<Instant>>);

impl Seldom {
    pub(super) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// Whether [`EVERY`] has passed since the last time that this was true.
    pub(super) fn is_time(&self, now: Instant) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = last.is_none_or(|last| now.saturating_duration_since(last) >= EVERY);
        if is_time {
            *last = Some(now);
        }
        is_time
    }
}

/// The least time between two log lines: often enough to be noticed, and seldom enough not to fill a log.
const EVERY: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_said_once_a_minute() {
        let (seldom, start) = (Seldom::new(), crate::clock::steady());
        let said = [0, 1, 59, 60, 61, 119, 120].map(|secs| seldom.is_time(start + Duration::from_secs(secs)));
        assert_eq!(said, [true, false, false, true, false, false, true]);
    }
}
