//! What hookwheel did beside what it is compared with, and how sure that is.

use serde::Serialize;

use super::figures::divided;
use super::measured::Measured;
use super::plan::Run;

/// One figure of hookwheel divided by the same figure of another run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Ratio {
    pub(crate) figure: &'static str,
    pub(crate) by: Run,
    pub(crate) ratio: f64,
    /// By how much it may be wrong: two standard errors of its laps, where there are some.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) give: Option<f64>,
}

/// All of a report. Of two forward-only runs the quicker one is the limit, so that no ratio is better than it was.
pub(super) fn ratios(runs: &[Measured]) -> Vec<Ratio> {
    let of = |run: Run| runs.iter().filter(move |measured| measured.run == run);
    let Some(store) = of(Run::Store).next() else { return Vec::new() };
    let forward = of(Run::Forward).max_by(|one, other| one.rate.total_cmp(&other.rate));
    let compared = forward.into_iter().chain(of(Run::Base));
    compared.flat_map(|with| FIGURES.iter().filter_map(|figure| ratio(*figure, store, with))).collect()
}

type Figure = (&'static str, fn(&Measured) -> f64);

fn ratio((name, figure): Figure, store: &Measured, with: &Measured) -> Option<Ratio> {
    let give = if name == RATE { give(&store.lap_rates, &with.lap_rates) } else { None };
    divided(figure(store), figure(with)).map(|ratio| Ratio { figure: name, by: with.run, ratio, give })
}

/// Two standard errors of the mean of the ratios of laps that stand side by side.
fn give(laps: &[f64], with: &[f64]) -> Option<f64> {
    let ratios: Vec<f64> = laps.iter().zip(with).filter_map(|(lap, with)| divided(*lap, *with)).collect();
    let count = ratios.len() as f64;
    let mean = divided(ratios.iter().sum(), count)?;
    let variance = divided(ratios.iter().map(|ratio| (ratio - mean).powi(2)).sum(), count - 1.0)?;
    Some(2.0 * (variance / count).sqrt())
}

impl Ratio {
    /// Why it says little.
    pub(super) fn complaint(&self) -> Option<String> {
        let give = self.give.filter(|give| *give > self.ratio * GIVE_MAX)?;
        let (figure, by) = (self.figure, self.by.name());
        Some(format!("{figure} by {by} is {:.2} give or take {give:.2}: a longer run says more", self.ratio))
    }
}

const RATE: &str = "rate";

const FIGURES: [Figure; 4] = [
    (RATE, |measured| measured.rate),
    ("end_to_end_p50", |measured| measured.end_to_end.p50_us as f64),
    ("end_to_end_p99", |measured| measured.end_to_end.p99_us as f64),
    ("cpu_per_delivery", |measured| measured.relay.cpu_us_per_delivery.unwrap_or(0.0)),
];

/// A ratio that is known less well is no figure to hold anything against.
const GIVE_MAX: f64 = 0.1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn laps_tell_how_sure_a_ratio_is() {
        assert_eq!(give(&[5.0], &[10.0]), None);
        assert_eq!(give(&[5.0, 10.0, 20.0], &[10.0, 20.0, 40.0]), Some(0.0));
        // 0.4 and 0.6: their standard deviation is 0.1414, their mean's error 0.1.
        assert!(give(&[4.0, 6.0], &[10.0, 10.0]).is_some_and(|give| (give - 0.2).abs() < 1e-9));
    }
}
