//! Figures from many single times: nearest rank, nothing interpolated.

use serde::{Deserialize, Serialize};

/// How times are spread, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

impl Spread {
    /// Of these times, which are sorted on the way.
    pub(super) fn of(times_us: &mut [u32]) -> Self {
        times_us.sort_unstable();
        Self {
            count: times_us.len() as u64,
            p50_us: percentile(times_us, 50),
            p99_us: percentile(times_us, 99),
            max_us: percentile(times_us, 100),
        }
    }
}

/// The least of the sorted times that so many percent of them do not exceed; 0 of none.
fn percentile(sorted_us: &[u32], percent: usize) -> u64 {
    let rank = (sorted_us.len() * percent).div_ceil(100).saturating_sub(1);
    sorted_us.get(rank).copied().unwrap_or_default().into()
}

/// How long something took, as it is kept: over an hour is an hour and more.
pub(super) fn took_us(from_us: u64, to_us: u64) -> u32 {
    u32::try_from(to_us.saturating_sub(from_us)).unwrap_or(u32::MAX)
}

/// One figure by another; `None` where there is nothing to divide by.
pub(super) fn per(figure: u64, by: u64) -> Option<f64> {
    divided(figure as f64, by as f64)
}

pub(super) fn divided(figure: f64, by: f64) -> Option<f64> {
    (by > 0.0).then(|| figure / by)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let mut times: Vec<u32> = (1..=200).rev().collect();
        assert_eq!(Spread::of(&mut times), Spread { count: 200, p50_us: 100, p99_us: 198, max_us: 200 });
        assert_eq!(Spread::of(&mut [7]), Spread { count: 1, p50_us: 7, p99_us: 7, max_us: 7 });
        assert_eq!(Spread::of(&mut []), Spread::default());
    }

    proptest! {
        #[test]
        fn at_least_so_many_percent_do_not_exceed_a_percentile(mut times in prop::collection::vec(any::<u32>(), 1..400)) {
            let spread = Spread::of(&mut times);
            let within = |limit: u64| times.iter().filter(|time| u64::from(**time) <= limit).count();
            prop_assert!(within(spread.p99_us) * 100 >= times.len() * 99);
            prop_assert!(within(spread.p50_us) * 2 >= times.len());
            prop_assert_eq!(within(spread.max_us), times.len());
        }
    }

    #[test]
    fn nothing_is_divided_by_nothing() {
        assert_eq!(per(6, 4), Some(1.5));
        assert_eq!(per(6, 0), None);
    }

    #[test]
    fn a_time_that_runs_backwards_is_none() {
        assert_eq!((took_us(5, 8), took_us(8, 5)), (3, 0));
        assert_eq!(took_us(0, u64::MAX), u32::MAX);
    }
}
