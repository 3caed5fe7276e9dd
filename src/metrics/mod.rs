//! What the service counts of itself, and how that is printed for Prometheus.
//!
//! Every metric is made once, with all its labels, so that counting one thing is an addition to an atomic number: no lock, no
//! allocation, no name that is looked up. The labels of a metric never grow with tenants, webhooks or events.
//!
//! | where it is counted | what |
//! |---|---|
//! | the store's writer | events, deliveries, attempts, commits, webhooks that were disabled |
//! | `deliver` | attempts under way, connections to endpoints |
//! | `api` | requests, events that were refused |
//! | when somebody asks | how much is pending, held, stored; what the process uses |

mod api;
mod gauges;
mod process;
mod providers;
mod text;

use prometheus::core::Collector;
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

pub(crate) use api::{Api, OfCall, RefusedFor};
pub(crate) use gauges::{DisabledFor, Gauges, Now};
pub(crate) use providers::{Known, OfProvider, Providers};
pub(crate) use text::{Format, print};

/// Every metric of one service.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) api: Api,
    pub(crate) providers: Providers,
    pub(crate) gauges: Gauges,
    pub(crate) commit_duration: Histogram,
    /// How many operations went into each commit.
    pub(crate) commit_operations: Histogram,
    pub(crate) checkpoint_duration: Histogram,
    pub(crate) attempts_in_flight: IntGauge,
    /// To endpoints.
    connections_open: IntGauge,
    pub(crate) connections_reused: IntCounter,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let make = Make(&registry);
        Self {
            api: Api::new(make),
            providers: Providers::new(make),
            gauges: Gauges::new(make),
            commit_duration: make.histogram(
                "commit_duration_seconds",
                "How long a commit took, its sync included.",
                COMMIT_SECONDS,
            ),
            commit_operations: make.histogram("commit_operations", "How many operations one commit held.", OPERATIONS),
            checkpoint_duration: make.histogram(
                "checkpoint_duration_seconds",
                "How long it took to bring the journal into the tables.",
                COMMIT_SECONDS,
            ),
            attempts_in_flight: make.whole("attempts_in_flight", "Attempts that are under way."),
            connections_open: make.of_endpoints(),
            connections_reused: make
                .counter("connections_reused_total", "Attempts on a connection that an earlier one left open."),
            registry,
        }
    }

    /// A connection to an endpoint was opened.
    pub(crate) fn opened(&self) -> Open {
        self.connections_open.inc();
        Open(self.connections_open.clone())
    }

    /// All of it, in the order of the names; `now` is what only a look tells.
    pub(crate) fn gather(&self, now: &Now) -> Vec<MetricFamily> {
        self.gauges.set(now);
        let mut families = self.registry.gather();
        families.extend(process::families());
        families.sort_by(|one, other| one.name().cmp(other.name()));
        families
    }
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

/// Counts an open connection to an endpoint until it is dropped.
pub(crate) struct Open(IntGauge);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Makes metrics and enters them into a registry.
#[derive(Clone, Copy)]
struct Make<'a>(&'a Registry);

impl Make<'_> {
    fn counter(self, name: &str, help: &str) -> IntCounter {
        self.enter(IntCounter::with_opts(options(name, help)))
    }

    fn counters(self, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
        self.enter(IntCounterVec::new(options(name, help), labels))
    }

    fn whole(self, name: &str, help: &str) -> IntGauge {
        self.enter(IntGauge::with_opts(options(name, help)))
    }

    fn gauge(self, name: &str, help: &str) -> Gauge {
        self.enter(Gauge::with_opts(options(name, help)))
    }

    fn histogram(self, name: &str, help: &str, buckets: &[f64]) -> Histogram {
        self.enter(Histogram::with_opts(HistogramOpts::from(options(name, help)).buckets(buckets.into())))
    }

    /// The side of `connections_open` that is counted where it changes; [`Gauges`] has the others.
    fn of_endpoints(self) -> IntGauge {
        self.enter(IntGauge::with_opts(open_connections().const_label("side", "endpoint")))
    }

    fn enter<C: Collector + Clone + 'static>(self, made: prometheus::Result<C>) -> C {
        let metric = made.expect("the name and the labels are ones that Prometheus has");
        self.0.register(Box::new(metric.clone())).expect("no two metrics have the same name and labels");
        metric
    }
}

fn options(name: &str, help: &str) -> Opts {
    Opts::new(format!("{PREFIX}{name}"), help)
}

/// Of one family there are as many gauges as there are sides.
fn open_connections() -> Opts {
    options("connections_open", "Open connections, by who is on the other side.")
}

/// What every name of ours begins with.
const PREFIX: &str = "hookwheel_";

/// 1 ms to 10 min.
const SECONDS: &[f64] =
    &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// 100 us to 10 s: a sync takes some hundred microseconds on a good disk.
const COMMIT_SECONDS: &[f64] =
    &[0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const OPERATIONS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0];
