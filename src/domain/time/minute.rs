//! Limits how often a repeated thing is reported: the first time at once, and after that once a minute with a count.

use std::time::{Duration, Instant};

/// How often a thing came since it was reported last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Minute {
    told: Option<Instant>,
    untold: u64,
}

impl Minute {
    /// Counts the thing once. Returns the count to report now, if any, and counts it as reported.
    pub(crate) fn add(&mut self, now: Instant) -> Option<u64> {
        self.untold = self.untold.saturating_add(1);
        self.due(now)
    }

    /// Returns the count to report now although nothing came, if any, and counts it as reported.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u64> {
        if self.untold == 0 || !self.is_quiet(now) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }

    /// Whether nothing was reported for a minute.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        self.told.is_none_or(|told| now.saturating_duration_since(told) >= MINUTE)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_reported_at_once_and_others_as_a_count() {
        let (mut minute, start) = (Minute::default(), Instant::now());
        let after = |secs| start + Duration::from_secs(secs);
        assert_eq!(minute.add(start), Some(1));
        assert_eq!((minute.add(after(1)), minute.add(after(59))), (None, None));
        assert_eq!(minute.add(after(60)), Some(3));
        assert_eq!(minute.due(after(200)), None, "nothing came");
        assert_eq!(minute.add(after(200)), Some(1));
    }

    #[test]
    fn the_last_is_reported_although_nothing_follows() {
        let (mut minute, start) = (Minute::default(), Instant::now());
        minute.add(start);
        minute.add(start);
        assert_eq!(minute.due(start + Duration::from_secs(59)), None);
        assert_eq!(minute.due(start + Duration::from_secs(60)), Some(1));
    }
}
