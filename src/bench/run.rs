//! One run: its relay, publisher and receiver, and what they spent.

use std::time::Duration;
use std::{array, process, thread};

use super::process::{cpu_us, memory_bytes, written_bytes};
use super::publisher::publish;
use super::receiver::Receiver;
use super::relay::Relay;
use super::report::{Measured, Run, per};
use super::site::Site;
use super::{Error, Plan, streams};

/// Makes one run of a plan.
pub(super) fn measure(run: Run, plan: &Plan) -> Result<Measured, Error> {
    let load = if run == Run::Forward { plan.load.without_failures() } else { plan.load.clone() };
    let receiver = Receiver::start(&load)?;
    let relay = Relay::start(run, plan, &load, receiver.port)?;
    // Forward-only looks at no key, and gets a text of the same length.
    let key = relay.site.as_ref().map_or_else(|| "0".repeat(64), |site| site.publisher_key.clone());
    if run == Run::Store {
        streams::read(plan.streams, relay.address, &key)?;
    }
    let before = spent(&relay);
    let published = publish(relay.address, &key, load, receiver.book.clone())?;
    let received = receiver.finish(published.events);
    if run == Run::Store {
        thread::sleep(REST);
    }
    let (after, deliveries) = (spent(&relay), received.deliveries as f64);
    let each = |figure: usize| per(after[figure].saturating_sub(before[figure]) as f64, deliveries);
    let [cpu_us_per_delivery, load_cpu_us_per_delivery, written_bytes_per_delivery, store_bytes_per_delivery] =
        array::from_fn(each);
    let [resident_bytes, peak_bytes] = memory_bytes(relay.id());
    let seconds = Duration::from_micros(received.last_us.saturating_sub(published.first_us)).as_secs_f64();
    Ok(Measured {
        run,
        seconds,
        rate: per(deliveries, seconds).unwrap_or(0.0),
        publish: published.latency,
        received,
        cpu_us_per_delivery,
        load_cpu_us_per_delivery,
        resident_bytes,
        peak_bytes,
        start_to_ready_ms: relay.start_to_ready.as_secs_f64() * 1e3,
        idle_bytes: relay.idle_bytes,
        written_bytes_per_delivery,
        store_bytes_per_delivery,
    })
}

/// What was spent so far: CPU time of the relay and of this process, which is publisher and receiver, in microseconds; bytes that
/// the relay has written, and bytes that its store takes.
fn spent(relay: &Relay) -> [u64; 4] {
    let [relay_cpu, own_cpu] = [relay.id(), process::id()].map(cpu_us);
    [relay_cpu, own_cpu, written_bytes(relay.id()), relay.site.as_ref().map_or(0, Site::store_bytes)]
}

/// After a run of hookwheel: its store brings what its journal holds into the tables within a second, and that is its own work.
const REST: Duration = Duration::from_secs(1);
