//! `bench`: what this machine relays, and how far that is from what it could forward.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::PossibleValuesParser;
use clap::builder::TypedValueParser;
use clap::{Args, ValueEnum};

use super::exit::{Exit, Failure, file_failure};
use super::print::{Out, Paint};
use super::words::{count, duration, size, table};
use super::{args, doors};
use crate::bench::{End, Endpoints, Kept, Load, Measured, Plan, Ratio, Report, Restart, Retried, Role, Run, Special, Spread};

/// Measure what this machine can relay, beside what it could forward without a store
///
/// Publisher, relay and receiver share this machine, each in a process of its own. hookwheel runs as it is shipped, with a store
/// that is removed afterwards. Exits with 1 when an event was lost or came twice.
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

    /// Run the plain load and hookwheel at the same time, so that a noisy machine disturbs both alike; needs a rate
    #[arg(long, conflicts_with_all = ["pending", "late"])]
    side_by_side: bool,

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
            false => out.line(lines(&report, out.paint))?,
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
        usable(Plan { dir, load, only, special, side_by_side: self.side_by_side })
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
        Err(Failure::usage(message, "fewer that fail, or more --endpoints"))
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
        return Err(Failure::usage("this is the plain load, which has no other to compare with", "--only store"));
    }
    if plan.side_by_side && plan.load.rate <= 0.0 {
        return Err(Failure::usage("two closed loops side by side take from each other what is measured", "--rate 1000"));
    }
    if plan.side_by_side && !plan.is_pair() {
        return Err(Failure::usage("there are no two runs of hookwheel to make side by side", "--endpoints 100 --hang 1"));
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

/// The report as a person reads it.
fn lines(report: &Report, paint: Paint) -> String {
    let tables = [figures(&report.runs), report.restart.as_ref().map(restart).unwrap_or_default()];
    let mut lines = vec![head(report), String::new()];
    lines.extend(tables.into_iter().filter(|table| !table.is_empty()).map(|table| table + "\n"));
    lines.extend(report.ratios.iter().map(ratio));
    lines.push(format!("size of the binary: {}", size(report.binary_bytes)));
    lines.push(format!("config differs from the defaults in: {}", report.differences.join("; ")));
    lines.extend(report.noisy.iter().map(|why| paint.yellow(&format!("too noisy to trust: {why}"))));
    match report.faults.is_empty() {
        true if report.restart.is_some() => lines.push(paint.green("nothing was lost")),
        true => lines.push(paint.green("every event came exactly once")),
        false => lines.extend(report.faults.iter().map(|fault| paint.red(fault))),
    }
    lines.join("\n")
}

fn head(report: &Report) -> String {
    let load = &report.load;
    if let Special::Pending(pending) = load.special {
        let endpoints = count(load.endpoints.count.into(), "endpoint");
        return format!("{pending} deliveries that wait, {} B of data, {endpoints}", load.data_bytes);
    }
    let pace = if load.rate > 0.0 { format!("{} events/s", load.rate) } else { "closed loop".into() };
    let end = match load.end {
        End::Events(events) => count(events, "event"),
        End::After(time) => duration(time),
    };
    let endpoints = count(load.endpoints.count.into(), "endpoint");
    let failing = match load.endpoints.failing() {
        0 => String::new(),
        failing => format!(" of which {failing} fail"),
    };
    let batch = if load.batch > 1 { format!(", {} events a request", load.batch) } else { String::new() };
    let way = if load.fan_out { ", each event for all" } else { "" };
    let connections = count(load.connections as u64, "connection");
    let cores = count(load.cores as u64, "core");
    let beside = if load.side_by_side { ", plain load and hookwheel at the same time" } else { "" };
    format!("{pace}, {connections}, {end}, {} B of data{batch}, {endpoints}{failing}{way}, {cores}{beside}", load.data_bytes)
}

/// One column for each run.
fn figures(runs: &[Measured]) -> String {
    let headings: Vec<&str> = std::iter::once("").chain(runs.iter().map(|measured| measured.run.name())).collect();
    let row = |(name, figure): &(&str, fn(&Measured) -> String)| {
        std::iter::once((*name).to_owned()).chain(runs.iter().map(figure)).collect()
    };
    let said = |row: &Vec<String>| row.iter().skip(1).any(|figure| !figure.is_empty());
    let rows: Vec<Vec<String>> = ROWS.iter().map(row).filter(said).collect();
    table(&headings, &rows)
}

fn restart(restart: &Restart) -> String {
    let row = |name: &str, figure: String| vec![name.to_owned(), figure];
    let rows = [
        row("filled in", seconds(restart.filled.seconds)),
        row("size of the store", size(restart.store_bytes)),
        row("start to ready", millis(Some(restart.start_to_ready_ms))),
        row("memory when ready", size(restart.resident_bytes)),
        row("memory 3 s later, most", format!("{}, {}", size(restart.resident_later_bytes), size(restart.peak_bytes))),
        row("deliveries that wait", restart.pending.to_string()),
    ];
    table(&["", "after kill -9"], &rows)
}

type Row = (&'static str, fn(&Measured) -> String);

const ROWS: &[Row] = &[
    ("deliveries", |run| run.deliveries.to_string()),
    ("deliveries/s", |run| format!("{:.0}", run.rate)),
    ("end to end p50, p99, max", |run| spread(&run.end_to_end)),
    ("until the answer p50, p99, max", |run| spread(&run.publish)),
    ("CPU of the relay per delivery", |run| micros(run.relay.cpu_us_per_delivery)),
    ("CPU of the publisher", |run| micros(run.publisher_cpu_us_per_delivery)),
    ("CPU of the receiver", |run| micros(run.receiver_cpu_us_per_delivery)),
    ("start to ready", |run| millis(run.relay.start_to_ready_ms)),
    ("memory when idle", |run| run.relay.idle_bytes.map_or_else(String::new, size)),
    ("memory of the relay, most", |run| {
        format!("{}, {}", size(run.relay.memory.resident_bytes), size(run.relay.memory.peak_bytes))
    }),
    ("written per delivery", |run| bytes(run.relay.written_bytes_per_delivery)),
    ("growth of the store per delivery", |run| bytes(run.relay.store_bytes_per_delivery)),
    ("commits per event", |run| run.relay.commits_per_event.map_or_else(String::new, |commits| format!("{commits:.3}"))),
    ("filled before, in", |run| {
        run.besides.filled.map_or_else(String::new, |filled| format!("{}, {}", filled.deliveries, seconds(filled.seconds)))
    }),
    ("newest 50 of an endpoint p50, p99, max", |run| run.besides.listing.as_ref().map_or_else(String::new, spread)),
    ("lateness of retries p50, p99, max", |run| {
        run.besides.retried.map_or_else(String::new, |retried| spread(&retried.lateness))
    }),
    ("retries were due within", |run| run.besides.retried.map_or_else(String::new, due_within)),
    ("finished deliveries kept, most", |run| run.besides.kept.map_or_else(String::new, kept)),
    ("store per delivery kept, at most", |run| run.besides.kept.map_or_else(String::new, kept_bytes)),
    ("CPU taken by others, by the host", |run| format!("{:.0} %, {:.0} %", run.noise.others * 100.0, run.noise.steal * 100.0)),
];

fn spread(spread: &Spread) -> String {
    let millis = |us: u64| format!("{}.{}", us / 1_000, us % 1_000 / 100);
    format!("{}, {}, {} ms", millis(spread.p50_us), millis(spread.p99_us), millis(spread.max_us))
}

fn millis(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.1} ms"))
}

fn seconds(figure: f64) -> String {
    format!("{figure:.1} s")
}

fn due_within(retried: Retried) -> String {
    seconds(Duration::from_micros(retried.due_within_us).as_secs_f64())
}

fn kept(kept: Kept) -> String {
    format!("{}, {}", kept.deliveries, kept.most_deliveries)
}

fn kept_bytes(kept: Kept) -> String {
    format!("{}, {}", bytes(kept.bytes_per_delivery), bytes(kept.bytes_per_delivery_at_most))
}

fn micros(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.1} µs"))
}

fn bytes(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.0} B"))
}

fn ratio(ratio: &Ratio) -> String {
    format!("{} of hookwheel by {}: {:.2}", ratio.figure.replace('_', " "), ratio.by.name(), ratio.ratio)
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
    fn two_runs_stand_side_by_side_at_a_rate() {
        assert!(plan("--side-by-side --rate 9 --endpoints 3 --hang 1").expect("a plan").side_by_side);
        for bad in ["--endpoints 3 --hang 1", "--rate 9", "--rate 9 --endpoints 3 --only store"] {
            assert_eq!(plan(&format!("--side-by-side {bad}")).expect_err(bad).exit, Exit::Usage);
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

    #[test]
    fn times_are_shown_in_milliseconds() {
        let times = Spread { count: 3, p50_us: 999, p99_us: 12_345, max_us: 2_000_000 };
        assert_eq!(spread(&times), "0.9, 12.3, 2000.0 ms");
    }

    #[test]
    fn a_ratio_says_what_by_what() {
        let said = ratio(&Ratio { figure: "end_to_end_p99", by: Run::Base, ratio: 1.049 });
        assert_eq!(said, "end to end p99 of hookwheel by plain load: 1.05");
    }
}
