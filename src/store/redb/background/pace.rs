//! How often a slice of a job is done while others wait for the commits.
//!
//! A slice reads and writes tables, so its commit goes into the tables, with all that the journal holds, which takes many times as
//! long as a commit to the journal. While somebody waits, slices get a quarter of the time at most: each is followed by a rest of
//! three times what it took, its commit included, and the batches of the rest go to the journal. An idle store does one slice after
//! the other.

use std::time::Instant;

/// When the next slice may begin.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Pace {
    /// The slice of the turn before, whose commit has ended by this one.
    began: Option<Instant>,
    rests_until: Option<Instant>,
}

impl Pace {
    /// Whether a slice may begin in the turn that began at `now`, which is awaited by somebody or not. If it may, it does.
    pub(in crate::store) fn begin(&mut self, now: Instant, is_awaited: bool) -> bool {
        if let Some(began) = self.began.take() {
            self.rests_until = Some(now + now.saturating_duration_since(began) * REST);
        }
        let begins = !is_awaited || self.rests_until.is_none_or(|until| now >= until);
        if begins {
            self.began = Some(now);
        }
        begins
    }
}

/// How many times as long as the slice the rest behind it is.
const REST: u32 = 3;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::clock;

    /// In a second, how many turns of 1 ms do a slice, which makes a turn 10 ms long.
    fn slices(is_awaited: bool) -> (usize, usize) {
        let (start, mut pace) = (clock::steady(), Pace::default());
        let (mut now, mut with, mut without) = (start, 0, 0);
        while now < start + Duration::from_secs(1) {
            if pace.begin(now, is_awaited) {
                (now, with) = (now + Duration::from_millis(10), with + 1);
            } else {
                (now, without) = (now + Duration::from_millis(1), without + 1);
            }
        }
        (with, without)
    }

    #[test]
    fn slices_take_a_quarter_of_the_time_while_others_wait() {
        assert_eq!(slices(true), (25, 750));
    }

    #[test]
    fn an_idle_store_does_one_slice_after_the_other() {
        assert_eq!(slices(false), (100, 0));
    }
}
