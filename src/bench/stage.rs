//! One run: its processes, started and ready, then their work, and what that cost.

use std::thread;
use std::time::Duration;

use super::book::Received;
use super::figures::{divided, per};
use super::fill::Filled;
use super::kept::Watch;
use super::laps::{self, REST};
use super::machine::{self, Memory, Noise, Spent};
use super::measured::{Besides, Measured, Relay};
use super::part::{Part, Role};
use super::plan::{End, Load, Plan, Run};
use super::publisher::{self, Published};
use super::subject::Subject;
use super::{Error, receiver};

/// A run that can begin. Dropping it ends its processes.
pub(super) struct Stage<'a> {
    run: Run,
    load: &'a Load,
    relay: Subject,
    publisher: Part,
    receiver: Part,
    filled: Option<Filled>,
    watch: Option<Watch>,
    before: Look,
    laps: Vec<Lap>,
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
        let watch = relay.watch(plan, load);
        let before = Look::at(&relay, &publisher, &receiver);
        Ok(Self { run, load, relay, publisher, receiver, filled, watch, before, laps: Vec::new() })
    }

    /// Relay, publisher, receiver.
    pub(super) fn processes(&self) -> [u32; 3] {
        [self.relay.id(), self.publisher.id(), self.receiver.id()]
    }

    pub(super) fn load(&self) -> &Load {
        self.load
    }

    /// One of so many laps.
    pub(super) fn lap(&mut self, lap: u64, laps: u64) -> Result<(), Error> {
        self.play(laps::end(self.load, lap, laps))?;
        if self.relay.service().is_some() {
            thread::sleep(REST);
        }
        Ok(())
    }

    /// Publishes up to an end and waits until all of it came.
    pub(super) fn play(&mut self, end: End) -> Result<(), Error> {
        self.publisher.tell(&end)?;
        let published: Published = self.publisher.hear()?;
        self.receiver.tell(&published.sent)?;
        let received: Received = self.receiver.hear()?;
        let time = Duration::from_micros(received.last_us.saturating_sub(published.first_us));
        self.laps.push(Lap { published, received, time });
        Ok(())
    }

    /// The end; the runs of its round had that much noise.
    pub(super) fn close(mut self, noise: Noise) -> Result<Measured, Error> {
        let after = Look::at(&self.relay, &self.publisher, &self.receiver);
        let besides = self.besides(after.store_bytes)?;
        let costs = Costs {
            before: self.before,
            after,
            memory: machine::memory(self.relay.id()),
            started: self.relay.service().map(|service| (service.start_to_ready, service.idle)),
        };
        Ok(measured(self.run, &self.laps, costs, noise, besides))
    }

    fn besides(&mut self, store_bytes: Option<u64>) -> Result<Besides, Error> {
        let last = self.laps.last().map(|lap| &lap.received);
        let listing = self.filled.map(|filled| self.relay.listing(filled, self.load)).transpose()?;
        let kept = self.watch.take().and_then(|watch| watch.end(store_bytes?, last?.deliveries));
        Ok(Besides { filled: self.filled, listing, retried: last.and_then(|last| last.retried), kept })
    }
}

/// What has been spent up to one moment.
#[derive(Clone, Copy, Debug)]
struct Look {
    /// By relay, publisher, receiver.
    spent: [Spent; 3],
    store_bytes: Option<u64>,
    commits: Option<u64>,
}

impl Look {
    fn at(relay: &Subject, publisher: &Part, receiver: &Part) -> Self {
        let service = relay.service();
        Self {
            spent: [relay.id(), publisher.id(), receiver.id()].map(machine::spent),
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

/// What was done up to the end of a lap, and how long that one took, from its first publish to its last answer.
#[derive(Default)]
struct Lap {
    published: Published,
    received: Received,
    time: Duration,
}

/// Deliveries per second of each lap.
fn rates(laps: &[Lap]) -> Vec<f64> {
    let before = std::iter::once(0).chain(laps.iter().map(|lap| lap.received.deliveries));
    laps.iter().zip(before).map(|(lap, before)| rate(lap.received.deliveries.saturating_sub(before), lap.time)).collect()
}

fn rate(deliveries: u64, time: Duration) -> f64 {
    divided(deliveries as f64, time.as_secs_f64()).unwrap_or(0.0)
}

fn measured(run: Run, laps: &[Lap], costs: Costs, noise: Noise, besides: Besides) -> Measured {
    let (time, last) = (laps.iter().map(|lap| lap.time).sum::<Duration>(), Lap::default());
    let Lap { published, received, .. } = laps.last().unwrap_or(&last);
    let deliveries = received.deliveries;
    let [_, publisher, receiver] = costs.cpu();
    Measured {
        run,
        events: published.sent.events,
        refused: published.sent.refused.len() as u64,
        deliveries,
        lost: received.lost,
        doubled: received.doubled,
        astray: received.astray,
        seconds: time.as_secs_f64(),
        rate: rate(deliveries, time),
        lap_rates: rates(laps),
        end_to_end: received.latency,
        publish: published.latency,
        relay: costs.relay(deliveries, published.sent.events),
        publisher_cpu_us_per_delivery: micros_per(publisher, deliveries),
        receiver_cpu_us_per_delivery: micros_per(receiver, deliveries),
        noise,
        besides,
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn micros_per(time: Duration, by: u64) -> Option<f64> {
    divided(time.as_secs_f64() * 1e6, by as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lap_has_what_came_in_it() {
        let lap = |deliveries, seconds| Lap {
            received: Received { deliveries, ..Received::default() },
            time: Duration::from_secs(seconds),
            ..Lap::default()
        };
        assert_eq!(rates(&[lap(10, 1), lap(40, 2), lap(40, 0)]), [10.0, 15.0, 0.0]);
    }
}
