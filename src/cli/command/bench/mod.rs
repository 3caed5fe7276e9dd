//! `bench`: what this machine relays, and how far that is from what it could forward.

mod lines;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::bench::{self, End, Endpoints, Load, Plan, Run};
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::fate::file_failure;
use crate::cli::output::print::Out;
use crate::cli::output::words::count;
use crate::cli::{args, calls};

/// Measure what this machine can relay, beside what it could forward without a store
///
/// First a relay that only forwards gets the load, then hookwheel as it is shipped, with a store that is removed afterwards.
/// Publisher and receiver share this machine with the relay, so a relay that has the machine to itself does more. Exits with 1
/// when an event was lost or came twice.
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

    /// How many endpoints there are, each an origin of its own; events go to one after the other
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=ENDPOINTS_MAX))]
    endpoints: u32,

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

    /// How many live streams are read off meanwhile
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=STREAMS_MAX))]
    streams: u32,

    /// Where the store lies [default: the current folder]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Only one of the two runs
    #[arg(long, value_enum, value_name = "RUN")]
    only: Option<Only>,
}

/// A run of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Only {
    /// The relay without a store
    Forward,
    /// hookwheel
    Store,
}

impl Bench {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let plan = self.plan()?;
        let report = calls::bench(&plan, |what| {
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
        let load = Load {
            connections: self.connections.into(),
            rate: self.rate,
            end: self.end(),
            batch: self.batch,
            endpoints: self.healthy_and_failing()?,
            fan_out: self.fan_out,
            data: self.data()?,
        };
        let streams = self.streams;
        let dir = self.dir.unwrap_or_else(|| ".".into());
        let dir = fs::canonicalize(&dir).map_err(|cause| file_failure("use the folder", &dir, &cause))?;
        Ok(Plan { dir, load, only: self.only.map(Only::run), streams })
    }

    /// The failing share hangs, resets and answers 500 in turn.
    fn healthy_and_failing(&self) -> Result<Endpoints, Failure> {
        let failing = f64::from(self.endpoints) * self.failing;
        let failing = (0..self.endpoints).take_while(|number| f64::from(*number) + 0.5 <= failing).count();
        let [hanging, resetting, refusing] = [2, 1, 0].map(|less| u32::try_from((failing + less) / 3).unwrap_or(u32::MAX));
        let (hanging, resetting) = (hanging.saturating_add(self.hang), resetting.saturating_add(self.reset));
        let endpoints = Endpoints { count: self.endpoints, hanging, resetting, refusing };
        if endpoints.failing() < endpoints.count {
            return Ok(endpoints);
        }
        let message = format!("of {} none is left to measure", count(self.endpoints.into(), "endpoint"));
        Err(Failure::usage(message, None))
    }

    /// Fanned out, a time says little: all events of it may be taken within a moment.
    fn end(&self) -> End {
        match (self.events, self.lasts) {
            (Some(events), _) => End::Events(events),
            (None, Some(time)) => End::After(time),
            (None, None) if self.fan_out => End::Events(u64::from(FANNED_OUT / self.endpoints).max(1)),
            (None, None) => End::After(LASTS),
        }
    }

    fn data(&self) -> Result<String, Failure> {
        let Some(path) = &self.body else { return Ok(bench::padding(usize::try_from(self.body_bytes).unwrap_or(0))) };
        let text = args::json(&format!("@{}", path.display()))?;
        Ok(body(text.get()))
    }
}

impl Only {
    fn run(self) -> Run {
        match self {
            Self::Forward => Run::Forward,
            Self::Store => Run::Store,
        }
    }
}

/// The relay that `bench` compares with, which `bench` starts
#[derive(Args, Debug)]
pub(crate) struct BenchForward {
    endpoints: u32,
    receiver_port: u16,
    slots: usize,
}

impl BenchForward {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        calls::bench_forward(self.endpoints, self.receiver_port, self.slots)?;
        Ok(Exit::Ok)
    }
}

/// The member of an event's data that holds a JSON value, on one line.
fn body(json: &str) -> String {
    // White space between tokens is all that a line end in JSON can be (RFC 8259 sections 2 and 7).
    format!(r#""body":{}"#, json.replace(['\r', '\n'], " "))
}

fn rate(text: &str) -> Result<f64, String> {
    let read = text.parse().ok().filter(|rate| (0.0..=1e6).contains(rate));
    read.ok_or_else(|| "a rate is a number of events per second, as in 1000".into())
}

fn share(text: &str) -> Result<f64, String> {
    let read = text.parse().ok().filter(|share| (0.0..1.0).contains(share));
    read.ok_or_else(|| "a share is a number from 0 to less than 1, as in 0.2".into())
}

/// The API keeps so many open.
const STREAMS_MAX: i64 = 1_000;

/// The API takes 2,048 at once; some are for whoever asks for the status.
const CONNECTIONS_MAX: i64 = 2_000;

const EVENTS_MAX: u64 = 1_000_000_000;

/// What one request of the API takes, with room for what stands around the data.
const BODY_BYTES_MAX: i64 = 1_000_000;

/// Far fewer than the addresses of loopback, of which each endpoint has one.
const ENDPOINTS_MAX: i64 = 100_000;

/// Lines of one NDJSON request.
const BATCH_MAX: u64 = 10_000;

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
        assert_eq!(plan.load.endpoints, Endpoints { count: 1, ..Endpoints::default() });
        assert!(plan.dir.is_absolute() && plan.only.is_none());
    }

    #[test]
    fn fanned_out_a_run_has_so_many_deliveries() {
        assert_eq!(plan("--fan-out --endpoints 10000").expect("a plan").load.end, End::Events(10));
        assert_eq!(plan("--fan-out --endpoints 100000").expect("a plan").load.end, End::Events(1));
        assert_eq!(plan("--fan-out --endpoints 5 --events 2").expect("a plan").load.end, End::Events(2));
    }

    #[test]
    fn one_endpoint_must_be_healthy() {
        assert_eq!(plan("--hang 1").expect_err("none is left").exit, Exit::Usage);
        assert_eq!(plan("--hang 1 --reset 1 --endpoints 3").expect("a plan").load.endpoints.failing(), 2);
    }

    #[test]
    fn the_failing_share_fails_in_three_ways() {
        let failing = |line: &str| plan(line).expect("a plan").load.endpoints;
        let expected = Endpoints { count: 10, hanging: 2, resetting: 1, refusing: 1 };
        assert_eq!(failing("--failing 0.4 --endpoints 10"), expected);
        assert_eq!((failing("--failing 0.4").failing(), failing("--failing 0.05 --endpoints 100").failing()), (0, 5));
    }

    #[test]
    fn a_body_stays_on_one_line() {
        assert_eq!(body("{\n\"a\": 1\r\n}"), "\"body\":{ \"a\": 1  }");
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
