//! How fast a replay may send, where it has a rate.

use std::time::{Duration, Instant};

use crate::domain::rate::Rate;

/// How much of a replay's rate is used up: the generic cell rate algorithm, with a burst of [`BURST`]'s worth.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// When the next delivery is due.
    next_at: Instant,
}

impl Pace {
    /// A pace that allows one at `now`, and no burst.
    pub(super) fn new(now: Instant) -> Self {
        Self { next_at: now }
    }

    /// How many deliveries may be sent at `now`.
    pub(super) fn allowed(self, rate: Rate, now: Instant) -> usize {
        let Some(late) = now.checked_duration_since(self.next_at) else { return 0 };
        let due = late.as_nanos() / rate.interval().as_nanos().max(1) + 1;
        usize::try_from(due).unwrap_or(usize::MAX).min(burst(rate))
    }

    pub(super) fn spend(&mut self, rate: Rate, sent: u64, now: Instant) {
        let count = u32::try_from(sent).unwrap_or(u32::MAX);
        let burst = rate.interval() * u32::try_from(burst(rate) - 1).unwrap_or(u32::MAX);
        let earliest = now.checked_sub(burst).unwrap_or(now);
        self.next_at = self.next_at.max(earliest) + rate.interval().saturating_mul(count);
    }

    /// How long until enough may be sent to be worth a commit: half a burst, and one at least.
    pub(super) fn wait(self, rate: Rate, now: Instant) -> Duration {
        let half = u32::try_from(burst(rate) / 2).unwrap_or(u32::MAX);
        (self.next_at + rate.interval() * half).saturating_duration_since(now)
    }
}

/// How many deliveries may be sent at once after a pause.
fn burst(rate: Rate) -> usize {
    let due = BURST.as_nanos() / rate.interval().as_nanos().max(1);
    usize::try_from(due).unwrap_or(usize::MAX).max(1)
}

/// What may be sent at once is a tenth of a second's worth.
const BURST: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn rate(text: &str) -> Rate {
        text.parse().expect("a rate")
    }

    /// How many are sent in a time, by looks every 10 ms, each of which sends at most `most`.
    fn sent(rate: Rate, time: Duration, most: usize) -> u64 {
        let (began, mut sent) = (clock::steady(), 0);
        let (mut pace, mut now) = (Pace::new(began), began);
        while now < began + time {
            let count = pace.allowed(rate, now).min(most) as u64;
            pace.spend(rate, count, now);
            (sent, now) = (sent + count, now + Duration::from_millis(10));
        }
        sent
    }

    #[test]
    fn a_rate_is_kept_and_begins_without_a_burst() {
        let ten_seconds = Duration::from_secs(10);
        assert_eq!(sent(rate("100/s"), ten_seconds, usize::MAX), 1_000);
        assert_eq!(sent(rate("1000/s"), ten_seconds, usize::MAX), 9_991, "the last look is 10 ms before the end");
        assert_eq!(sent(rate("30/m"), ten_seconds, usize::MAX), 5);
    }

    #[test]
    fn what_was_not_sent_in_a_pause_is_not_made_up_for() {
        let (mut pace, now) = (Pace::new(clock::steady()), clock::steady());
        let later = now + Duration::from_secs(60);
        assert_eq!(pace.allowed(rate("100/s"), later), 10, "a tenth of a second's worth");
        pace.spend(rate("100/s"), 10, later);
        assert_eq!(pace.allowed(rate("100/s"), later), 0);
        assert_eq!(pace.wait(rate("100/s"), later), Duration::from_millis(60));
    }
}
