//! One run after the other: starts the parts, lets them work, and reads what it cost.

use std::net::SocketAddr;
use std::time::Duration;

use super::book::Received;
use super::figures::{Spread, divided, per};
use super::fill::{self, Answer, Filled};
use super::kept::Watch;
use super::listing;
use super::machine::{self, Machine, Memory, Noise, Spent};
use super::measured::{Besides, Measured, Relay};
use super::part::{Part, Role};
use super::plan::{Load, Plan, Run};
use super::publisher::{self, Published};
use super::restart::Restart;
use super::service::Service;
use super::site::Site;
use super::special::Special;
use super::{Error, forward, receiver, restart};

/// All runs of a plan. Forward-only runs twice, first and last, since a machine that changes in between shows there.
pub(super) fn all(plan: &Plan, mut tell: impl FnMut(&str)) -> Result<(Vec<Measured>, Option<Restart>), Error> {
    check_files(&plan.load)?;
    outlive_interrupts();
    let (mut runs, mut restarted) = (Vec::new(), None);
    if let Special::Pending(pending) = plan.special {
        restarted = Some(restart::restart(plan, pending, &mut tell)?);
    }
    let mut measured = |run, load: &Load, what: &str| {
        tell(&format!("measuring {what}"));
        measure(run, plan, load, &mut tell).map(|measured| runs.push(measured))
    };
    let forward = plan.has(Run::Forward).then(|| plan.forward_load());
    let base = plan.base_load().filter(|_| plan.has(Run::Base));
    let store = plan.has(Run::Store).then_some(&plan.load);
    forward.iter().try_for_each(|load| measured(Run::Forward, load, "forward-only"))?;
    base.iter().try_for_each(|load| measured(Run::Base, load, "hookwheel, plain load to compare with"))?;
    store.iter().try_for_each(|load| measured(Run::Store, load, "hookwheel"))?;
    if base.is_some() || store.is_some() {
        forward.iter().try_for_each(|load| measured(Run::Forward, load, "forward-only again"))?;
    }
    Ok((runs, restarted))
}

/// Too few files would look like lost events.
fn check_files(load: &Load) -> Result<(), Error> {
    let (needed, limit) = (load.open_files(), machine::open_files_max().unwrap_or(u64::MAX));
    if needed > limit { Err(Error::Files { needed, limit }) } else { Ok(()) }
}

/// An interrupt from the terminal reaches the parts too and ends them. This process sees that, and clears up behind them.
fn outlive_interrupts() {
    std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| runtime.block_on(async { while tokio::signal::ctrl_c().await.is_ok() {} }))
    });
}

fn measure(run: Run, plan: &Plan, load: &Load, tell: impl FnMut(&str)) -> Result<Measured, Error> {
    let refuses_first = plan.special.is_late();
    let orders = receiver::Orders { endpoints: load.endpoints, fan_out: load.fan_out, refuses_first };
    let mut receiver = Part::start(Role::Receiver, &orders)?;
    let (relay, filled) = Subject::start(run, plan, load, receiver.hear()?, tell)?;
    let orders = publisher::Orders { to: relay.address(), key: relay.key(), load: load.clone() };
    let mut publisher = Part::start(Role::Publisher, &orders)?;
    publisher.hear::<()>()?;
    let processes = [relay.id(), publisher.id(), receiver.id()];

    let before = Look::now(&relay, processes);
    let watch = relay.watch(plan, load);
    publisher.tell(&())?;
    let published: Published = publisher.hear()?;
    receiver.tell(&published.sent)?;
    let received: Received = receiver.hear()?;
    let after = Look::now(&relay, processes);

    let started = relay.service().map(|service| (service.start_to_ready, service.idle));
    let costs = Costs { before, after, memory: machine::memory(relay.id()), started };
    let listing = filled.map(|filled| relay.listing(filled, load)).transpose()?;
    let kept = watch.and_then(|watch| watch.end(after.store_bytes?, received.deliveries));
    let besides = Besides { filled, listing, retried: received.retried, kept };
    Ok(measured(run, &published, &received, costs, besides))
}

/// The relay that is measured.
enum Subject {
    Forward { part: Part, address: SocketAddr },
    Store(Service),
}

impl Subject {
    fn start(
        run: Run,
        plan: &Plan,
        load: &Load,
        receiver_port: u16,
        tell: impl FnMut(&str),
    ) -> Result<(Self, Option<Filled>), Error> {
        if run != Run::Forward {
            let site = Site::make(&plan.dir, load, plan.special, receiver_port)?;
            let rows = plan.special.rows().filter(|_| run == Run::Store);
            let filled = rows.map(|rows| fill::fill(&site, load, rows, Answer::Taken, tell)).transpose()?;
            return Ok((Self::Store(Service::start(site)?), filled));
        }
        let orders = forward::Orders { endpoints: load.endpoints.count, receiver_port, slots: load.slots() };
        let mut part = Part::start(Role::Forward, &orders)?;
        let address = part.hear()?;
        Ok((Self::Forward { part, address }, None))
    }

    fn id(&self) -> u32 {
        match self {
            Self::Forward { part, .. } => part.id(),
            Self::Store(service) => service.id(),
        }
    }

    fn address(&self) -> SocketAddr {
        match self {
            Self::Forward { address, .. } => *address,
            Self::Store(service) => service.api.address,
        }
    }

    /// Forward-only looks at no key, but gets one of the same length.
    fn key(&self) -> String {
        match self {
            Self::Forward { .. } => "0".repeat(64),
            Self::Store(service) => service.site.publisher_key.clone(),
        }
    }

    /// Begins to look at what is kept, where that was asked for.
    fn watch(&self, plan: &Plan, load: &Load) -> Option<Watch> {
        let service = self.service().filter(|_| matches!(plan.special, Special::Retention(_)))?;
        let each = if load.fan_out { load.endpoints.count } else { 1 };
        Some(Watch::start(service.api.clone(), each.into()))
    }

    /// Of a filled store, so that each endpoint has its share of that at the least.
    fn listing(&self, filled: Filled, load: &Load) -> Result<Spread, Error> {
        let least = filled.deliveries / u64::from(load.endpoints.count);
        let listed = self.service().and_then(|service| listing::listing(&service.api, &self.key(), least));
        listed.ok_or_else(|| Error::Service("the newest deliveries of an endpoint cannot be listed".into()))
    }

    fn service(&self) -> Option<&Service> {
        match self {
            Self::Forward { .. } => None,
            Self::Store(service) => Some(service),
        }
    }
}

/// The state of everything at one moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    machine: Machine,
    /// Relay, publisher, receiver.
    spent: [Spent; 3],
    store_bytes: Option<u64>,
    commits: Option<u64>,
}

impl Look {
    fn now(relay: &Subject, processes: [u32; 3]) -> Self {
        let service = relay.service();
        Self {
            machine: machine::machine(),
            spent: processes.map(machine::spent),
            store_bytes: service.map(|service| service.site.store_bytes()),
            commits: service.and_then(|service| service.api.counts()).map(|counts| counts.commits),
        }
    }
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
        Noise::between(self.before.machine, self.after.machine, self.cpu().iter().sum())
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
