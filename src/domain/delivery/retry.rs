//! When the next attempt is made: the delay from the end of the last attempt, by the number of the retry and a random draw.
//!
//! A new policy is a variant of [`Policy`]. Nothing else knows how delays are computed.

use std::time::Duration;

/// A dialect's retries after the first attempt.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Retry {
    pub(crate) policy: Policy,
    /// From 0 to 1. Each delay is multiplied by `1 - jitter + 2 × jitter × u` for a draw u; with 0.2 that is 0.8 + 0.4 u. It is 0
    /// with [`Policy::DecorrelatedJitter`].
    pub(crate) jitter: f64,
}

/// How a delay follows from the retry's number.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Policy {
    /// A list of delays, one for each retry.
    Schedule(Vec<Duration>),
    /// The delay `first`, and then each delay `factor` times the one before.
    Exponential { first: Duration, factor: f64, retries: u32 },
    /// Delays that are spread so that the retries of many deliveries do not meet. The median of the first delay is exactly
    /// `median`.
    ///
    /// With t = i + u and f(t) = 2^t · tanh(√(4t)): delay i = (f(t of i) − f(t of i−1)) / f(0.5) · median.
    DecorrelatedJitter { median: Duration, retries: u32 },
}

impl Retry {
    /// How many retries follow a first attempt that failed.
    pub(crate) fn retries(&self) -> u32 {
        match &self.policy {
            Policy::Schedule(delays) => u32::try_from(delays.len()).unwrap_or(u32::MAX),
            Policy::Exponential { retries, .. } | Policy::DecorrelatedJitter { retries, .. } => *retries,
        }
    }

    /// The time from the end of an attempt to retry number `retry`, counted from 0. `None` when there is no such retry. At most
    /// [`DELAY_MAX`].
    ///
    /// `draw` is uniform in [0, 1). `previous_draw` is the draw of the retry before, from which decorrelated jitter goes on; when
    /// it is not known, the median is used.
    pub(crate) fn delay(&self, retry: u32, draw: f64, previous_draw: Option<f64>) -> Option<Duration> {
        if retry >= self.retries() {
            return None;
        }
        let secs = match &self.policy {
            Policy::Schedule(delays) => delays.get(usize::try_from(retry).ok()?)?.as_secs_f64(),
            Policy::Exponential { first, factor, .. } => first.as_secs_f64() * factor.powf(f64::from(retry)),
            Policy::DecorrelatedJitter { median, .. } => median.as_secs_f64() * decorrelated(retry, draw, previous_draw),
        };
        Some(duration(secs * self.spread(draw)))
    }

    fn spread(&self, draw: f64) -> f64 {
        1.0 - self.jitter + 2.0 * self.jitter * draw
    }
}

/// The delay of a retry, as a multiple of the first delay's median.
fn decorrelated(retry: u32, draw: f64, previous_draw: Option<f64>) -> f64 {
    let here = reach(f64::from(retry) + draw);
    let before = match retry.checked_sub(1) {
        Some(previous) => reach(f64::from(previous) + previous_draw.unwrap_or(MEDIAN_DRAW)),
        None => 0.0,
    };
    (here - before) / reach(MEDIAN_DRAW)
}

/// The function f of [`Policy::DecorrelatedJitter`]. It rises from 0, so no delay is negative.
fn reach(t: f64) -> f64 {
    t.exp2() * (4.0 * t).sqrt().tanh()
}

fn duration(secs: f64) -> Duration {
    Duration::try_from_secs_f64(secs).unwrap_or(DELAY_MAX).min(DELAY_MAX)
}

/// The longest delay, whatever a factor makes of it: a year.
pub(crate) const DELAY_MAX: Duration = Duration::from_secs(365 * 24 * 3600);

const MEDIAN_DRAW: f64 = 0.5;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn vectors() -> Value {
        serde_json::from_str(include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/decorrelated-jitter.json")))
            .expect("the vectors are JSON")
    }

    fn decorrelated_30s() -> Retry {
        Retry { policy: Policy::DecorrelatedJitter { median: Duration::from_secs(30), retries: 3 }, jitter: 0.0 }
    }

    /// The delays in seconds for a row of draws.
    fn delays(retry: &Retry, draws: &[f64]) -> Vec<f64> {
        let delay = |at: usize| retry.delay(u32::try_from(at).unwrap(), draws[at], at.checked_sub(1).map(|before| draws[before]));
        (0..draws.len()).map(|at| delay(at).expect("a retry").as_secs_f64()).collect()
    }

    #[test]
    fn decorrelated_jitter_is_exact() {
        for row in vectors()["exact"].as_array().expect("a list") {
            let numbers =
                |name: &str| -> Vec<f64> { row[name].as_array().unwrap().iter().map(|n| n.as_f64().unwrap()).collect() };
            for (delay, expected) in delays(&decorrelated_30s(), &numbers("u")).iter().zip(numbers("delays_s")) {
                assert!((delay - expected).abs() < 2e-6, "{delay} is not {expected}");
            }
        }
    }

    #[test]
    fn decorrelated_jitter_has_its_quantiles() {
        const ROWS: usize = 100_000;
        let mut random = Xorshift(0x9e37_79b9_7f4a_7c15);
        let mut rows: Vec<Vec<f64>> =
            (0..ROWS).map(|_| delays(&decorrelated_30s(), &[random.draw(), random.draw(), random.draw()])).collect();
        for (at, quantiles) in vectors()["quantiles_s"].as_array().expect("a list").iter().enumerate() {
            rows.sort_by(|one, other| one[at].total_cmp(&other[at]));
            for (name, place) in [("p05", ROWS / 20), ("p50", ROWS / 2), ("p95", ROWS * 19 / 20)] {
                let (expected, seen) = (quantiles[name].as_f64().expect("a number"), rows[place][at]);
                assert!((seen / expected - 1.0).abs() < 0.02, "retry {} {name}: {seen} is not {expected}", at + 1);
            }
        }
    }

    #[test]
    fn a_schedule_ends() {
        let retry = Retry { policy: Policy::Schedule(vec![Duration::from_secs(60), Duration::from_secs(300)]), jitter: 0.0 };
        assert_eq!(retry.retries(), 2);
        assert_eq!(retry.delay(1, 0.9, Some(0.1)), Some(Duration::from_secs(300)));
        assert_eq!(retry.delay(2, 0.0, None), None);
    }

    #[test]
    fn exponential_delays_multiply() {
        let policy = Policy::Exponential { first: Duration::from_secs(5), factor: 5.0, retries: 3 };
        let retry = Retry { policy, jitter: 0.0 };
        assert_eq!(delays(&retry, &[0.0; 3]), [5.0, 25.0, 125.0]);
        assert_eq!(retry.delay(3, 0.0, None), None);
    }

    #[test]
    fn jitter_spreads_around_the_delay() {
        let retry = Retry { policy: Policy::Schedule(vec![Duration::from_secs(100)]), jitter: 0.2 };
        assert_eq!(retry.delay(0, 0.0, None), Some(Duration::from_secs(80)));
        assert_eq!(retry.delay(0, 0.5, None), Some(Duration::from_secs(100)));
        assert_eq!(retry.delay(0, 1.0, None), Some(Duration::from_secs(120)));
    }

    #[test]
    fn no_delay_is_longer_than_a_year() {
        let retry =
            Retry { policy: Policy::Exponential { first: Duration::from_secs(1), factor: 1e9, retries: 100 }, jitter: 0.0 };
        assert_eq!(retry.delay(99, 0.0, None), Some(DELAY_MAX));
    }

    proptest! {
        #[test]
        fn exactly_the_retries_of_a_policy_have_a_delay(retry in 0_u32..30, draw in 0.0..1.0_f64, previous in prop::option::of(0.0..1.0_f64)) {
            let policy = Policy::DecorrelatedJitter { median: Duration::from_secs(30), retries: 20 };
            prop_assert_eq!(Retry { policy, jitter: 0.0 }.delay(retry, draw, previous).is_some(), retry < 20);
        }
    }

    /// Marsaglia's xorshift64, which gives the same draws in every run.
    struct Xorshift(u64);

    impl Xorshift {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
        fn draw(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 11) as f64 / (1_u64 << 53) as f64
        }
    }
}
