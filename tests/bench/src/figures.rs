//! Figures from several measurements: means with what they may be wrong by, and percentiles. Plain arithmetic.

use std::fmt;
use std::time::Duration;

/// A mean, and two standard errors of it where there is more than one figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mean {
    pub(crate) mean: f64,
    pub(crate) give: Option<f64>,
}

impl Mean {
    /// The mean of these figures; `None`: there are none.
    pub(crate) fn of(figures: &[f64]) -> Option<Self> {
        let count = figures.len() as f64;
        if figures.is_empty() {
            return None;
        }
        let mean = figures.iter().sum::<f64>() / count;
        let variance = figures.iter().map(|figure| (figure - mean).powi(2)).sum::<f64>() / (count - 1.0);
        Some(Self { mean, give: (count > 1.0).then(|| 2.0 * (variance / count).sqrt()) })
    }

    /// The mean of the ratios of figures that were measured side by side.
    pub(crate) fn of_ratios(figures: &[f64], by: &[f64]) -> Option<Self> {
        let pairs = figures.iter().zip(by).filter(|(_, by)| **by > 0.0);
        Self::of(&pairs.map(|(figure, by)| figure / by).collect::<Vec<_>>())
    }
}

impl fmt::Display for Mean {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = digits(self.mean);
        write!(f, "{:.digits$}", self.mean)?;
        self.give.map_or(Ok(()), |give| write!(f, " ± {give:.digits$}"))
    }
}

/// Digits behind the point that make three or four in all.
fn digits(figure: f64) -> usize {
    match figure.abs() {
        figure if figure >= 100.0 => 0,
        figure if figure >= 10.0 => 1,
        figure if figure >= 0.1 => 2,
        _ => 3,
    }
}

/// `p50, p99, max` of these times in milliseconds, by nearest rank.
pub(crate) fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
        times.get(rank).copied().unwrap_or_default().as_secs_f64() * 1e3
    };
    format!("{:.1}, {:.1}, {:.1} ms", at(50), at(99), at(100))
}

/// Bytes as MiB.
pub(crate) fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_tells_how_sure_it_is() {
        assert_eq!((Mean::of(&[]), Mean::of(&[5.0])), (None, Some(Mean { mean: 5.0, give: None })));
        // 0.4 and 0.6: their standard deviation is 0.1414, their mean's error 0.1.
        let ratio = Mean::of_ratios(&[4.0, 6.0, 1.0], &[10.0, 10.0, 0.0]).expect("two of them");
        assert!((ratio.mean - 0.5).abs() < 1e-9 && ratio.give.is_some_and(|give| (give - 0.2).abs() < 1e-9), "{ratio:?}");
        assert_eq!(ratio.to_string(), "0.50 ± 0.20");
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = (1..=200).map(Duration::from_millis).collect();
        assert_eq!(spread(times), "100.0, 198.0, 200.0 ms");
        assert_eq!(spread(Vec::new()), "0.0, 0.0, 0.0 ms");
    }
}
