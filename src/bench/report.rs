//! What the runs mean together: ratios, what went wrong, and whether the machine was quiet enough to believe them.

use serde::Serialize;

use super::measured::Measured;
use super::plan::{End, Endpoints, Plan, Run};
use super::ratio::{self, Ratio};
use super::restart::Restart;
use super::special::Special;
use super::{machine, site};

/// The result of one `bench`.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) load: Described,
    /// What hookwheel's config differs in from one that says nothing.
    pub(crate) differences: Vec<String>,
    /// In the order they were made.
    pub(crate) runs: Vec<Measured>,
    /// A start on a store that was left behind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) restart: Option<Restart>,
    /// Size of the program's file.
    pub(crate) binary_bytes: u64,
    /// hookwheel by what it is compared with.
    pub(crate) ratios: Vec<Ratio>,
    /// Why the figures say little; empty: they can be used.
    pub(crate) noisy: Vec<String>,
    /// Why the run has failed; empty: every event came exactly once.
    pub(crate) faults: Vec<String>,
}

/// The load as it is printed.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Described {
    pub(crate) connections: usize,
    /// Events per second; 0: closed loop.
    pub(crate) rate: f64,
    pub(crate) end: End,
    pub(crate) batch: u64,
    pub(crate) data_bytes: usize,
    pub(crate) endpoints: Endpoints,
    pub(crate) fan_out: bool,
    pub(crate) special: Special,
    /// Whether the plain load and the asked one took turns.
    pub(crate) alternate: bool,
    pub(crate) cores: usize,
}

impl Report {
    pub(super) fn new(plan: &Plan, runs: Vec<Measured>, restart: Option<Restart>) -> Self {
        let ratios = ratio::ratios(&runs);
        Self {
            load: Described::of(plan),
            differences: differences(plan),
            binary_bytes: machine::binary_bytes(),
            noisy: noisy(&runs, &ratios, plan.load.rate > 0.0),
            ratios,
            faults: runs.iter().flat_map(faults).chain(restart.iter().filter_map(Restart::fault)).collect(),
            runs,
            restart,
        }
    }
}

impl Described {
    fn of(plan: &Plan) -> Self {
        let load = &plan.load;
        Self {
            connections: load.connections,
            rate: load.rate,
            end: load.end,
            batch: load.batch,
            data_bytes: load.data_bytes(),
            endpoints: load.endpoints,
            fan_out: load.fan_out,
            special: plan.special,
            alternate: plan.alternate,
            cores: std::thread::available_parallelism().map_or(1, Into::into),
        }
    }
}

fn differences(plan: &Plan) -> Vec<String> {
    let one = |load: &super::Load| (load.endpoints.count == 1).then(|| load.slots());
    let slots = one(&plan.load).map(|slots| format!("{} = {slots}", site::ONE_ENDPOINT_DIFFERENCE));
    let base = plan.base_load().filter(|_| plan.has(Run::Base)).as_ref().and_then(one).filter(|_| slots.is_none());
    let base = base.map(|slots| format!("{} = {slots}, in the run to compare with alone", site::ONE_ENDPOINT_DIFFERENCE));
    [Some(site::DIFFERENCES.to_owned()), slots, base, plan.special.difference()].into_iter().flatten().collect()
}

fn faults(measured: &Measured) -> Vec<String> {
    let name = measured.run.name();
    let counted = [
        (measured.refused, "were not taken"),
        (measured.lost, "were taken and never came"),
        (measured.doubled, "came more than once"),
        (measured.astray, "came where they were not for"),
    ];
    let wrong = counted.into_iter().filter(|(count, _)| *count > 0);
    wrong.map(|(count, what)| format!("{name}: {count} events {what}")).collect()
}

fn noisy(runs: &[Measured], ratios: &[Ratio], paced: bool) -> Vec<String> {
    let forward: Vec<f64> = runs.iter().filter(|measured| measured.run == Run::Forward).map(|measured| measured.rate).collect();
    let beside = runs.iter().flat_map(|run| run.noise.complaints(paced).map(|what| format!("{}: {what}", run.run.name())));
    let short = runs.iter().filter(|run| run.besides.kept.is_some_and(|kept| kept.removed == 0));
    let short = short.map(|run| format!("{}: retention has removed nothing yet", run.run.name()));
    beside.chain(apart(&forward)).chain(short).chain(ratios.iter().filter_map(Ratio::complaint)).collect()
}

/// Whether the same run, made twice, gave two different results.
fn apart(rates: &[f64]) -> Option<String> {
    let (least, most) = (rates.iter().copied().reduce(f64::min)?, rates.iter().copied().reduce(f64::max)?);
    (most - least > most * APART_MAX)
        .then(|| format!("forward-only made {least:.0} deliveries/s once and {most:.0} another time"))
}

impl Run {
    /// As a person reads it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward-only",
            Self::Base => "plain load",
            Self::Store => "hookwheel",
        }
    }
}

/// Two runs of the same relay that differ by more were made on two different machines, so to speak.
const APART_MAX: f64 = 0.15;

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::figures::Spread;
    use super::super::fill::Filled;
    use super::super::kept::Kept;
    use super::super::machine::{Memory, Noise};
    use super::super::measured::{Besides, Relay};
    use super::super::plan::Load;
    use super::*;

    fn measured(run: Run, rate: f64) -> Measured {
        let spread = Spread { count: 10, p50_us: 1_000, p99_us: 2_000, max_us: 3_000 };
        let relay = Relay {
            cpu_us_per_delivery: Some(30.0),
            memory: Memory::default(),
            start_to_ready_ms: None,
            idle_bytes: None,
            written_bytes_per_delivery: None,
            store_bytes_per_delivery: None,
            commits_per_event: None,
        };
        Measured {
            run,
            events: 10,
            refused: 0,
            deliveries: 10,
            lost: 0,
            doubled: 0,
            astray: 0,
            seconds: 1.0,
            rate,
            lap_rates: vec![rate],
            end_to_end: spread,
            publish: spread,
            relay,
            publisher_cpu_us_per_delivery: None,
            receiver_cpu_us_per_delivery: None,
            noise: Noise::default(),
            besides: Besides::default(),
        }
    }

    fn plan(count: u32) -> Plan {
        let endpoints = Endpoints::all_healthy(count);
        let load =
            Load { connections: 1, rate: 0.0, end: End::Events(1), batch: 1, endpoints, fan_out: false, data: String::new() };
        Plan { dir: PathBuf::new(), load, only: Vec::new(), special: Special::Nothing, alternate: false }
    }

    fn report(runs: Vec<Measured>) -> Report {
        Report::new(&plan(1), runs, None)
    }

    #[test]
    fn the_ratio_is_to_the_quicker_forward_only_run() {
        let runs = vec![measured(Run::Forward, 100.0), measured(Run::Store, 54.0), measured(Run::Forward, 90.0)];
        let report = report(runs);
        assert_eq!(report.ratios[0], Ratio { figure: "rate", by: Run::Forward, ratio: 0.54, give: None });
        assert_eq!(report.ratios.len(), 4);
        assert!(report.noisy.is_empty() && report.faults.is_empty());
    }

    #[test]
    fn a_base_run_is_compared_with_too() {
        let ratios = |runs| report(runs).ratios;
        assert_eq!(
            ratios(vec![measured(Run::Base, 50.0), measured(Run::Store, 100.0)])[0],
            Ratio { figure: "rate", by: Run::Base, ratio: 2.0, give: None }
        );
        assert!(ratios(vec![measured(Run::Base, 1.0)]).is_empty());
    }

    #[test]
    fn laps_that_say_too_little_are_noisy() {
        let laps = |run, lap_rates: [f64; 2]| Measured { lap_rates: lap_rates.to_vec(), ..measured(run, 100.0) };
        let report = |rates| report(vec![laps(Run::Base, [100.0, 100.0]), laps(Run::Store, rates)]);
        assert_eq!(report([99.0, 101.0]).noisy, Vec::<String>::new());
        assert_eq!(report([80.0, 120.0]).noisy, ["rate by plain load is 1.00 give or take 0.40: a longer run says more"]);
    }

    #[test]
    fn what_was_lost_or_doubled_is_a_fault() {
        let lost = Measured { lost: 2, ..measured(Run::Store, 1.0) };
        let doubled = Measured { doubled: 1, refused: 3, ..measured(Run::Base, 1.0) };
        let expected = [
            "hookwheel: 2 events were taken and never came",
            "plain load: 3 events were not taken",
            "plain load: 1 events came more than once",
        ];
        assert_eq!(report(vec![lost, doubled]).faults, expected);
    }

    #[test]
    fn a_machine_that_changed_is_noisy() {
        let noisy = report(vec![measured(Run::Forward, 100.0), measured(Run::Forward, 84.0)]).noisy;
        assert_eq!(noisy, ["forward-only made 84 deliveries/s once and 100 another time"]);
        let beside = Measured { noise: Noise { steal: 0.0, others: 0.5 }, ..measured(Run::Store, 1.0) };
        assert_eq!(report(vec![beside]).noisy, ["hookwheel: other processes took 50.0 % of the processor"]);
    }

    #[test]
    fn a_run_without_removals_says_nothing_about_retention() {
        let kept = |deliveries| Measured {
            besides: Besides { kept: Some(Kept::of(9, deliveries, 0, 10)), ..Besides::default() },
            ..measured(Run::Store, 1.0)
        };
        assert_eq!(noisy(&[kept(10), kept(9)], &[], false), ["hookwheel: retention has removed nothing yet"]);
    }

    #[test]
    fn deliveries_that_a_restart_does_not_know_are_a_fault() {
        let restart = |pending| Restart {
            filled: Filled { deliveries: 5, seconds: 1.0 },
            pending,
            start_to_ready_ms: 1.0,
            resident_bytes: 1,
            resident_later_bytes: 1,
            peak_bytes: 1,
            store_bytes: 1,
        };
        let faults = |pending| Report::new(&plan(1), Vec::new(), Some(restart(pending))).faults;
        assert_eq!(faults(4), ["restart: 5 deliveries waited before, and 4 wait now"]);
        assert!(faults(5).is_empty());
    }

    #[test]
    fn differences_are_those_of_the_configs_that_were_used() {
        let said = |count| differences(&plan(count)).join("; ");
        assert_eq!(said(1), "allow_private = [\"127.0.0.0/8\"]; in_flight_per_endpoint = 256");
        assert!(said(2).ends_with("in_flight_per_endpoint = 256, in the run to compare with alone"));
        let late = Plan { special: Special::Late(1), ..plan(2) };
        let expected = ["allow_private = [\"127.0.0.0/8\"]", "retry: schedule = [\"5s\"], jitter = 0.0"];
        assert_eq!(differences(&late), expected);
    }
}
