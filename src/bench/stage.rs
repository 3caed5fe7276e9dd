//! One run: its processes, started and ready, then their work, and what that cost.

use std::time::Duration;

use super::book::Received;
use super::figures::{divided, per};
use super::fill::Filled;
use super::machine::{self, Machine, Memory, Noise, Spent};
use super::measured::{Besides, Measured, Relay};
use super::part::{Part, Role};
use super::plan::{Load, Plan, Run};
use super::publisher::{self, Published};
use super::subject::Subject;
use super::{Error, receiver};

/// A run that can begin. Dropping it ends its processes.
pub(super) struct Stage<'a> {
    run: Run,
    plan: &'a Plan,
    load: &'a Load,
    relay: Subject,
    publisher: Part,
    receiver: Part,
    filled: Option<Filled>,
}

impl<'a> Stage<'a> {
    /// Starts all processes of a run, and fills the store where that was asked for.
    pub(super) fn set(run: Run, plan: &'a Plan, load: &'a Load, tell: impl FnMut(&str)) -> Result<Self, Error> {
        let refuses_first = plan.special.is_late();
        let orders = receiver::Orders { endpoints: load.endpoints, fan_out: load.fan_out, refuses_first };
        let mut receiver = Part::start(Role::Receiver, &orders)?;
        let (relay, filled) = Subject::start(run, plan, load, receiver.hear()?, tell)?;
        let orders = publisher::Orders { to: relay.address(), key: relay.key(), load: load.clone(), share: plan.share(run) };
        let mut publisher = Part::start(Role::Publisher, &orders)?;
        publisher.hear::<()>()?;
        Ok(Self { run, plan, load, relay, publisher, receiver, filled })
    }

    /// Relay, publisher, receiver.
    pub(super) fn processes(&self) -> [u32; 3] {
        [self.relay.id(), self.publisher.id(), self.receiver.id()]
    }

    /// Publishes the load and waits for its end; `ours` are all processes that are no noise.
    pub(super) fn play(&mut self, ours: &[u32]) -> Result<Measured, Error> {
        let before = self.look(ours);
        let watch = self.relay.watch(self.plan, self.load);
        self.publisher.tell(&())?;
        let published: Published = self.publisher.hear()?;
        self.receiver.tell(&published.sent)?;
        let received: Received = self.receiver.hear()?;
        let after = self.look(ours);

        let started = self.relay.service().map(|service| (service.start_to_ready, service.idle));
        let costs = Costs { before, after, memory: machine::memory(self.relay.id()), started };
        let listing = self.filled.map(|filled| self.relay.listing(filled, self.load)).transpose()?;
        let kept = watch.and_then(|watch| watch.end(after.store_bytes?, received.deliveries));
        let besides = Besides { filled: self.filled, listing, retried: received.retried, kept };
        Ok(measured(self.run, &published, &received, costs, besides))
    }

    fn look(&self, ours: &[u32]) -> Look {
        let service = self.relay.service();
        Look {
            machine: machine::machine(),
            spent: self.processes().map(machine::spent),
            ours: ours.iter().map(|process| machine::spent(*process).cpu).sum(),
            store_bytes: service.map(|service| service.site.store_bytes()),
            commits: service.and_then(|service| service.api.counts()).map(|counts| counts.commits),
        }
    }
}

/// The state of everything at one moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    machine: Machine,
    /// Relay, publisher, receiver.
    spent: [Spent; 3],
    /// CPU time of all processes that are no noise.
    ours: Duration,
    store_bytes: Option<u64>,
    commits: Option<u64>,
}

struct Costs {
    before: Look,
    after: Look,
    memory: Memory,
    /// How long a service took to be ready, and what it held then.
    started: Option<(Duration, Memory)>,
}

impl Costs {
    fn cpu(&self) -> [Duration; 3] {
        std::array::from_fn(|at| self.after.spent[at].cpu.saturating_sub(self.before.spent[at].cpu))
    }

    fn noise(&self) -> Noise {
        Noise::between(self.before.machine, self.after.machine, self.after.ours.saturating_sub(self.before.ours))
    }

    fn relay(&self, deliveries: u64, events: u64) -> Relay {
        let (before, after) = (&self.before, &self.after);
        let grown = |from: Option<u64>, to: Option<u64>| Some(to?.saturating_sub(from?));
        let written = after.spent[0].written_bytes.saturating_sub(before.spent[0].written_bytes);
        Relay {
            cpu_us_per_delivery: micros_per(self.cpu()[0], deliveries),
            memory: self.memory,
            start_to_ready_ms: self.started.map(|(time, _)| millis(time)),
            idle_bytes: self.started.map(|(_, memory)| memory.resident_bytes),
            written_bytes_per_delivery: per(written, deliveries),
            store_bytes_per_delivery: grown(before.store_bytes, after.store_bytes).and_then(|grown| per(grown, deliveries)),
            commits_per_event: grown(before.commits, after.commits).and_then(|commits| per(commits, events)),
        }
    }
}

fn measured(run: Run, published: &Published, received: &Received, costs: Costs, besides: Besides) -> Measured {
    let deliveries = received.deliveries;
    let seconds = Duration::from_micros(received.last_us.saturating_sub(published.first_us)).as_secs_f64();
    let [_, publisher, receiver] = costs.cpu();
    Measured {
        run,
        events: published.sent.events,
        refused: published.sent.refused.len() as u64,
        deliveries,
        lost: received.lost,
        doubled: received.doubled,
        astray: received.astray,
        seconds,
        rate: divided(deliveries as f64, seconds).unwrap_or(0.0),
        end_to_end: received.latency,
        publish: published.latency,
        relay: costs.relay(deliveries, published.sent.events),
        publisher_cpu_us_per_delivery: micros_per(publisher, deliveries),
        receiver_cpu_us_per_delivery: micros_per(receiver, deliveries),
        noise: costs.noise(),
        besides,
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn micros_per(time: Duration, by: u64) -> Option<f64> {
    divided(time.as_secs_f64() * 1e6, by as f64)
}
