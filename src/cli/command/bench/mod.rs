//! `bench`: what this machine relays, and how far that is from what it could forward.

mod lines;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};

use crate::bench::{End, Endpoints, Load, Plan, Role, Run, Special};
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::fate::file_failure;
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::words::count;
use crate::cli::{args, doors};

/// Measure what this machine can relay, beside what it could forward without a store
///
/// Publisher, relay and receiver share this machine, each in a process of its own. hookwheel runs as it is shipped, with a store
/// that is removed afterwards. In a closed loop, what is compared runs in laps of a second, by turns, so that a machine that changes
/// is the same to both. Exits with 1 when an event was lost or came twice.
#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// Connections of the publisher, each with one request under way
    #[arg(long, default_value_t = 256, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=CONNECTIONS_MAX))]
    connections: u16,

    /// Events per second, counted from when each was due; 0 sends as fast as answers come
    #[arg(long, default_value_t = 0.0, value_name = "RATE", value_parser = rate)]
    rate: f64,

    /// How long each run publishes [default: 10s]
    #[arg(long = "for", value_name = "TIME", value_parser = args::duration, conflicts_with = "events")]
    lasts: Option<Duration>,

    /// How many events each run publishes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=EVENTS_MAX))]
    events: Option<u64>,

    /// Size of an event's data; the least is 58
    #[arg(long, default_value_t = 700, value_name = "N", value_parser = clap::value_parser!(u32).range(58..=BODY_BYTES_MAX), conflicts_with = "body")]
    body_bytes: u32,

    /// A JSON file that every event carries instead
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,

    /// How many endpoints there are, each an origin of its own; events go to one after the other [default: 1; --late: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(crate::bench::ENDPOINTS_MAX)))]
    endpoints: Option<u32>,

    /// Send every event to all endpoints
    #[arg(long)]
    fan_out: bool,

    /// Share of the endpoints that fail, from 0 to 1: they hang, reset and answer 500 in turn
    #[arg(long, default_value_t = 0.0, value_name = "SHARE", value_parser = share, conflicts_with_all = ["hang", "reset"])]
    failing: f64,

    /// How many endpoints take requests and never answer
    #[arg(long, default_value_t = 0, value_name = "N")]
    hang: u32,

    /// How many endpoints reset every connection
    #[arg(long, default_value_t = 0, value_name = "N")]
    reset: u32,

    /// Events in one request, as NDJSON
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=BATCH_MAX))]
    batch: u64,

    /// Run on a store that holds so many finished deliveries already, beside one that is empty
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=EVENTS_MAX), group = "special", conflicts_with_all = ["fan_out", "failing", "hang", "reset"])]
    rows: Option<u64>,

    /// Only time a start after kill -9, with so many deliveries that wait for a retry
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=EVENTS_MAX), group = "special", conflicts_with_all = ["only", "rate", "lasts", "events", "batch", "connections", "fan_out", "failing", "hang", "reset"])]
    pending: Option<u64>,

    /// Only time retries: so many deliveries fail once, evenly over one second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=LATE_MAX), group = "special", conflicts_with_all = ["only", "rate", "lasts", "events", "fan_out", "failing", "hang", "reset"])]
    late: Option<u64>,

    /// Remove finished deliveries after so long, and measure what the store takes for each that is kept
    #[arg(long, value_name = "TIME", value_parser = args::duration, group = "special")]
    retention: Option<Duration>,

    /// At a rate, let the plain load and hookwheel take turns of 1.25 s, so that noisy neighbours disturb both alike; a closed loop does so anyway
    #[arg(long, conflicts_with_all = ["pending", "late"])]
    alternate: bool,

    /// Where the store lies [default: the current folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Only some of the runs, as in base,store
    #[arg(long, value_enum, value_delimiter = ',', value_name = "RUN")]
    only: Vec<Only>,
}

/// A run of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// The relay without a store
    Forward,
    /// hookwheel under the plain load to compare with
    Base,
    /// hookwheel under the load that was asked for
    Store,
}

impl Bench {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let plan = self.plan()?;
        let report = doors::bench(&plan, |what| {
            if !out.json {
                out.note(what);
            }
        })?;
        match out.json {
            true => out.line(serde_json::to_string(&report).unwrap_or_default())?,
            false => out.line(lines::lines(&report, out.paint))?,
        }
        Ok(if report.faults.is_empty() { Exit::Ok } else { Exit::Negative })
    }

    fn plan(self) -> Result<Plan, Failure> {
        let endpoints = self.failing_endpoints()?;
        let special = self.special();
        let only = self.only.iter().map(|only| only.run()).collect();
        let load = Load {
            connections: self.connections.into(),
            rate: self.late.map_or(self.rate, |late| late as f64),
            end: self.end(),
            batch: self.batch,
            endpoints,
            fan_out: self.fan_out,
            data: self.data()?,
        };
        let dir = self.dir.unwrap_or_else(|| ".".into());
        let dir = fs::canonicalize(&dir).map_err(|cause| file_failure("use the folder", &dir, &cause))?;
        usable(Plan { dir, load, only, special, alternate: self.alternate })
    }

    /// One at the most: they exclude each other on the command line.
    fn special(&self) -> Special {
        let rows = self.rows.map(Special::Rows).or(self.pending.map(Special::Pending));
        let late = self.late.map(Special::Late).or(self.retention.map(Special::Retention));
        rows.or(late).unwrap_or_default()
    }

    fn endpoints(&self) -> u32 {
        self.endpoints.unwrap_or(if self.late.is_some() { LATE_ENDPOINTS } else { 1 })
    }

    fn failing_endpoints(&self) -> Result<Endpoints, Failure> {
        let mut endpoints = Endpoints::all_healthy(self.endpoints()).with_failing_share(self.failing);
        (endpoints.hanging, endpoints.resetting) = (endpoints.hanging + self.hang, endpoints.resetting + self.reset);
        if endpoints.failing() < endpoints.count {
            return Ok(endpoints);
        }
        let message = format!("of {} none is left to measure", count(self.endpoints().into(), "endpoint"));
        Err(Failure::usage(message, None))
    }

    /// Fanned out, a time says little: all events of it may be taken within a moment.
    fn end(&self) -> End {
        match (self.events.or(self.late), self.lasts) {
            (Some(events), _) => End::Events(events),
            (None, Some(time)) => End::After(time),
            (None, None) if self.fan_out => End::Events(u64::from(FANNED_OUT / self.endpoints()).max(1)),
            (None, None) => End::After(LASTS),
        }
    }

    fn data(&self) -> Result<String, Failure> {
        let Some(path) = &self.body else { return Ok(Load::padding(usize::try_from(self.body_bytes).unwrap_or(0))) };
        let text = args::json(&format!("@{}", path.display()))?;
        Ok(Load::body(text.get()))
    }
}

impl Only {
    fn run(self) -> Run {
        match self {
            Self::Forward => Run::Forward,
            Self::Base => Run::Base,
            Self::Store => Run::Store,
        }
    }
}

/// Refuses what has nothing to measure.
fn usable(plan: Plan) -> Result<Plan, Failure> {
    if plan.is_empty() {
        return Err(Failure::usage(
            "this is the plain load, which has no other to compare with",
            Hint::again_with_value("--only", "store"),
        ));
    }
    if plan.alternate && plan.load.rate <= 0.0 {
        return Err(Failure::usage(
            "a closed loop takes turns anyway, where that can be",
            Hint::again_with_value("--rate", "1000"),
        ));
    }
    if plan.alternate && !plan.is_pair() {
        let hint = Hint::plain("bench --rate 1000 --endpoints 100 --hang 1 --alternate");
        return Err(Failure::usage("there are no two runs of hookwheel to alternate", hint));
    }
    Ok(plan)
}

/// One process of a measurement, started by `bench`
#[derive(Args, Debug)]
pub(crate) struct BenchPart {
    #[arg(value_parser = role())]
    role: Role,
}

impl BenchPart {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        doors::bench_part(self.role)?;
        Ok(Exit::Ok)
    }
}

fn role() -> impl TypedValueParser<Value = Role> {
    let find = |name: String| Role::ALL.into_iter().find(|role| role.as_str() == name).ok_or("no such part");
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).try_map(find)
}

fn rate(text: &str) -> Result<f64, String> {
    let read = text.parse().ok().filter(|rate| (0.0..=1e6).contains(rate));
    read.ok_or_else(|| "a rate is a number of events per second, as in 1000".into())
}

fn share(text: &str) -> Result<f64, String> {
    let read = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    read.ok_or_else(|| "a share is a number from 0 to less than 1, as in 0.2".into())
}

/// The API takes 2,048 at once; some are for whoever asks for the status.
const CONNECTIONS_MAX: i64 = 2_000;

const EVENTS_MAX: u64 = 1_000_000_000;

/// What one request of the API takes, with room for what stands around the data.
const BODY_BYTES_MAX: i64 = 1_000_000;

/// Lines of one NDJSON request.
const BATCH_MAX: u64 = 10_000;

/// A second of publishing holds no more.
const LATE_MAX: u64 = 1_000_000;

/// Of a run that times retries.
const LATE_ENDPOINTS: u32 = 100;

const LASTS: Duration = Duration::from_secs(10);

/// Deliveries of a run in which every event goes to all, when nothing else was said.
const FANNED_OUT: u32 = 100_000;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: Bench,
    }

    fn plan(line: &str) -> Result<Plan, Failure> {
        Line::try_parse_from(std::iter::once("bench").chain(line.split_whitespace())).expect("a line").bench.plan()
    }

    #[test]
    fn nothing_said_is_the_closed_loop_to_one_endpoint() {
        let plan = plan("").expect("a plan");
        assert_eq!((plan.load.connections, plan.load.rate, plan.load.batch), (256, 0.0, 1));
        assert_eq!(plan.load.end, End::After(Duration::from_secs(10)));
        assert_eq!(plan.load.endpoints, Endpoints::all_healthy(1));
        assert!(plan.dir.is_absolute() && plan.only.is_empty());
    }

    #[test]
    fn fanned_out_a_run_has_so_many_deliveries() {
        assert_eq!(plan("--fan-out --endpoints 10000").expect("a plan").load.end, End::Events(10));
        assert_eq!(plan("--fan-out --endpoints 100000").expect("a plan").load.end, End::Events(1));
        assert_eq!(plan("--fan-out --endpoints 5 --events 2").expect("a plan").load.end, End::Events(2));
    }

    #[test]
    fn retries_are_timed_over_one_second_and_a_hundred_endpoints() {
        let plan = plan("--late 500").expect("a plan");
        assert_eq!((plan.load.rate, plan.load.end, plan.load.endpoints.count), (500.0, End::Events(500), 100));
        assert_eq!(plan.special, Special::Late(500));
        assert_eq!(self::plan("--late 500 --endpoints 7").expect("a plan").load.endpoints.count, 7);
    }

    #[test]
    fn special_measurements_exclude_each_other_and_what_they_have_no_use_for() {
        for good in ["--rows 5", "--pending 5 --endpoints 3", "--retention 90s --only store", "--rows 5 --only base,store"] {
            assert!(plan(good).is_ok(), "{good}");
        }
        for bad in [
            "--rows 5 --pending 5",
            "--late 5 --retention 1m",
            "--rows 0",
            "--pending 5 --rate 9",
            "--pending 5 --only store",
            "--late 5 --events 9",
            "--late 5 --hang 1",
            "--rows 5 --fan-out",
        ] {
            let line = std::iter::once("bench").chain(bad.split_whitespace());
            assert!(Line::try_parse_from(line).is_err(), "{bad}");
        }
    }

    #[test]
    fn one_endpoint_must_be_healthy() {
        assert_eq!(plan("--hang 1").expect_err("none is left").exit, Exit::Usage);
        assert_eq!(plan("--hang 1 --reset 1 --endpoints 3").expect("a plan").load.endpoints.failing(), 2);
        assert_eq!(plan("--only base").expect_err("nothing to do").exit, Exit::Usage);
        assert_eq!(plan("--failing 0.2 --endpoints 10").expect("a plan").load.endpoints.failing(), 2);
    }

    #[test]
    fn two_runs_alternate_at_a_rate() {
        assert!(plan("--alternate --rate 9 --endpoints 3 --hang 1").expect("a plan").alternate);
        for bad in ["--endpoints 3 --hang 1", "--rate 9", "--rate 9 --endpoints 3 --only store"] {
            assert_eq!(plan(&format!("--alternate {bad}")).expect_err(bad).exit, Exit::Usage);
        }
    }

    #[test]
    fn rates_and_shares_are_numbers_in_their_bounds() {
        assert_eq!((rate("0"), rate("1000.5")), (Ok(0.0), Ok(1000.5)));
        assert_eq!((share("0"), share("0.5")), (Ok(0.0), Ok(0.5)));
        for bad in ["-1", "NaN", "inf", "many"] {
            assert!(rate(bad).is_err() && share(bad).is_err(), "{bad}");
        }
        assert!(share("1").is_err());
    }
}
