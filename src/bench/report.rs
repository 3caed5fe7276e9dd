//! What the runs gave: plain figures, and what went wrong. The names of the fields are those of `bench --json`.

use serde::Serialize;

use super::load::Load;
use super::{event, site};

/// One kind of run of a report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Run {
    /// The relay without a store.
    Forward,
    /// hookwheel.
    #[default]
    Store,
}

/// The result of one `bench`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) load: Load,
    /// Length of an event's data.
    pub(crate) data_bytes: usize,
    /// Processors that this program may use.
    pub(crate) cores: usize,
    /// What hookwheel's config says and an empty config does not.
    pub(crate) differences: Vec<String>,
    /// In the order in which they were made.
    pub(crate) runs: Vec<Measured>,
    /// Why the measurement has failed; empty: every event came exactly once.
    pub(crate) faults: Vec<String>,
}

/// What one run gave.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Measured {
    pub(crate) run: Run,
    #[serde(flatten)]
    pub(crate) received: Received,
    /// From the first publish until the last delivery came.
    pub(crate) seconds: f64,
    /// Deliveries per second.
    pub(crate) rate: f64,
    /// From when a request was due until it was answered.
    pub(crate) publish: Spread,
    /// CPU time of the relay.
    pub(crate) cpu_us_per_delivery: Option<f64>,
    /// CPU time of publisher and receiver.
    pub(crate) load_cpu_us_per_delivery: Option<f64>,
    /// Memory that the relay held at the end.
    pub(crate) resident_bytes: u64,
    /// The most memory that the relay has held.
    pub(crate) peak_bytes: u64,
    /// From the start of the relay's process until it was ready.
    pub(crate) start_to_ready_ms: f64,
    /// The memory that it held then, before the load.
    pub(crate) idle_bytes: u64,
    /// Bytes that the relay made the system write.
    pub(crate) written_bytes_per_delivery: Option<f64>,
    /// Bytes that the store's files grew by.
    pub(crate) store_bytes_per_delivery: Option<f64>,
}

impl Run {
    /// The name that a person reads.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward-only",
            Self::Store => "hookwheel",
        }
    }
}

impl Report {
    pub(super) fn new(load: &Load, runs: Vec<Measured>) -> Self {
        Self {
            load: load.clone(),
            data_bytes: event::data_bytes(&load.data),
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            differences: site::differences(load),
            faults: runs.iter().flat_map(faults).collect(),
            runs,
        }
    }
}

fn faults(measured: &Measured) -> Vec<String> {
    let Received { refused, lost, doubled, .. } = measured.received;
    let counted =
        [(refused, "were not taken"), (lost, "were taken and never came"), (doubled, "came twice, or to a wrong endpoint")];
    let wrong = counted.into_iter().filter(|(count, _)| *count > 0);
    wrong.map(|(count, what)| format!("{}: {count} events {what}", measured.run.name())).collect()
}

/// What became of the events of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Received {
    pub(crate) events: u64,
    /// Events that the relay did not take.
    pub(crate) refused: u64,
    /// Deliveries to healthy endpoints, each counted once.
    pub(crate) deliveries: u64,
    /// Deliveries that were taken by the relay and never came.
    pub(crate) lost: u64,
    /// Arrivals of deliveries that had come before, or that nobody has sent so.
    pub(crate) doubled: u64,
    /// When the last delivery came.
    #[serde(skip)]
    pub(super) last_us: u64,
    /// From when each event was due until it came.
    pub(crate) end_to_end: Spread,
}

/// How times are spread, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Spread {
    pub(crate) count: u64,
    pub(crate) p50_us: u64,
    pub(crate) p99_us: u64,
    pub(crate) max_us: u64,
}

impl Spread {
    /// The spread of these times, which are sorted on the way.
    pub(super) fn of(times_us: &mut [u32]) -> Self {
        times_us.sort_unstable();
        let [p50_us, p99_us, max_us] = [50, 99, 100].map(|percent| percentile(times_us, percent));
        Self { count: times_us.len() as u64, p50_us, p99_us, max_us }
    }
}

/// The least of the sorted times that so many percent of them do not exceed; 0 without times.
fn percentile(sorted_us: &[u32], percent: usize) -> u64 {
    let rank = (sorted_us.len() * percent).div_ceil(100).saturating_sub(1);
    sorted_us.get(rank).copied().unwrap_or_default().into()
}

/// How long something took, in microseconds; more than an hour is kept as some 71 minutes.
pub(super) fn took_us(from_us: u64, to_us: u64) -> u32 {
    u32::try_from(to_us.saturating_sub(from_us)).unwrap_or(u32::MAX)
}

/// One figure for each of so many; `None` for each of none.
pub(super) fn per(figure: f64, by: f64) -> Option<f64> {
    (by > 0.0).then(|| figure / by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_and_doubled_events_are_faults() {
        let run = Measured { received: Received { lost: 2, doubled: 1, ..Received::default() }, ..Measured::default() };
        let expected =
            ["hookwheel: 2 events were taken and never came", "hookwheel: 1 events came twice, or to a wrong endpoint"];
        assert_eq!(faults(&run), expected);
        assert!(faults(&Measured { received: Received::default(), ..run }).is_empty());
    }

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let mut times: Vec<u32> = (1..=200).rev().collect();
        assert_eq!(Spread::of(&mut times), Spread { count: 200, p50_us: 100, p99_us: 198, max_us: 200 });
        assert_eq!(Spread::of(&mut [7]), Spread { count: 1, p50_us: 7, p99_us: 7, max_us: 7 });
        assert_eq!(Spread::of(&mut []), Spread::default());
    }
}
