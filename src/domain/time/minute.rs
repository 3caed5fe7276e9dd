//! What is said at most once a minute: the first time at once, what follows as a count.

use std::time::{Duration, Instant};

/// How often something came that nobody was told of yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Minute {
    told: Option<Instant>,
    untold: u64,
}

impl Minute {
    /// Counts one; how many are to be told of now, if any. They count as told.
    pub(crate) fn add(&mut self, now: Instant) -> Option<u64> {
        self.untold = self.untold.saturating_add(1);
        self.due(now)
    }

    /// How many are to be told of although none came since, if any. They count as told.
    pub(crate) fn due(&mut self, now: Instant) -> Option<u64> {
        if self.untold == 0 || !self.is_quiet(now) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
    }

    /// Whether nothing was told for a minute.
    pub(crate) fn is_quiet(&self, now: Instant) -> bool {
        self.told.is_none_or(|told| now.saturating_duration_since(told) >= MINUTE)
    }
}

const MINUTE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_is_told_at_once_and_the_others_as_a_count() {
        let (mut minute, start) = (Minute::default(), Instant::now());
        let after = |secs| start + Duration::from_secs(secs);
        assert_eq!(minute.add(start), Some(1));
        assert_eq!((minute.add(after(1)), minute.add(after(59))), (None, None));
        assert_eq!(minute.add(after(60)), Some(3));
        assert_eq!(minute.due(after(200)), None, "nothing came");
        assert_eq!(minute.add(after(200)), Some(1));
    }

    #[test]
    fn what_came_last_is_told_although_nothing_follows() {
        let (mut minute, start) = (Minute::default(), Instant::now());
        minute.add(start);
        minute.add(start);
        assert_eq!(minute.due(start + Duration::from_secs(59)), None);
        assert_eq!(minute.due(start + Duration::from_secs(60)), Some(1));
    }
}
