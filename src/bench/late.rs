//! The receiver's account of retries: how late each came. Plain data.
//!
//! A retry is due a fixed time after the receiver's own answer to the first attempt, so the relay's clock and books count for
//! nothing here, and what it needs to take that answer in is lateness too.

use serde::{Deserialize, Serialize};

use super::figures::{Spread, took_us};
use super::special::RETRY_AFTER;

/// Which first attempts were answered, and how late their retries came.
#[derive(Default)]
pub(super) struct Late {
    /// By place; 0: there was none.
    first_us: Vec<u64>,
    late_us: Vec<u32>,
    due_us: Option<(u64, u64)>,
}

/// What became of the retries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retried {
    pub(crate) lateness: Spread,
    /// From when the first was due until the last was.
    pub(crate) due_within_us: u64,
}

impl Late {
    /// Notes an attempt; true if it is the delivery's first.
    pub(super) fn is_first(&mut self, place: usize, now_us: u64) -> bool {
        if place >= self.first_us.len() {
            self.first_us.resize((place + 1).next_power_of_two(), 0);
        }
        let first = self.first_us[place] == 0;
        if first {
            self.first_us[place] = now_us;
        }
        first
    }

    /// Notes a retry.
    pub(super) fn retried(&mut self, place: usize, now_us: u64) {
        let Some(first_us) = self.first_us.get(place) else { return };
        let due_us = first_us + RETRY_AFTER_US;
        self.late_us.push(took_us(due_us, now_us));
        let (first, last) = self.due_us.unwrap_or((due_us, due_us));
        self.due_us = Some((first.min(due_us), last.max(due_us)));
    }

    /// Retries that came.
    pub(super) fn count(&self) -> u64 {
        self.late_us.len() as u64
    }

    /// The account so far.
    pub(super) fn account(&mut self) -> Retried {
        let due_within_us = self.due_us.map_or(0, |(first, last)| last - first);
        Retried { lateness: Spread::of(&mut self.late_us), due_within_us }
    }
}

const RETRY_AFTER_US: u64 = RETRY_AFTER.as_secs() * 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lateness_counts_from_five_seconds_after_the_first_answer() {
        let mut late = Late::default();
        assert!(late.is_first(0, 100) && late.is_first(7, 400));
        assert!(!late.is_first(7, 5_000_600));
        late.retried(7, 5_000_600);
        late.retried(0, 5_000_110);
        assert_eq!(late.count(), 2);
        let retried = late.account();
        assert_eq!(retried.lateness, Spread { count: 2, p50_us: 10, p99_us: 200, max_us: 200 });
        assert_eq!(retried.due_within_us, 300);
    }
}
