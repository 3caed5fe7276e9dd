//! One run: its relay, publisher and receiver, and what they spent, read from `/proc` (proc(5)); 0 where that cannot be read.

use std::time::Duration;
use std::{array, fs, process, thread};

use super::publisher::publish;
use super::receiver::Receiver;
use super::relay::Relay;
use super::report::{Measured, Run, per};
use super::site::Site;
use super::{Error, Plan};

/// Makes one run of a plan.
pub(super) fn measure(run: Run, plan: &Plan) -> Result<Measured, Error> {
    let load = if run == Run::Forward { plan.load.without_failures() } else { plan.load.clone() };
    let receiver = Receiver::start(&load)?;
    let relay = Relay::start(run, plan, &load, receiver.port)?;
    // Forward-only looks at no key, and gets a text of the same length.
    let key = relay.site.as_ref().map_or_else(|| "0".repeat(64), |site| site.publisher_key.clone());
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

/// CPU time that a process has spent so far, in microseconds.
fn cpu_us(process: u32) -> u64 {
    cpu_in(&read(process, "stat")).unwrap_or(0)
}

/// Bytes that a process has made the system write to disk so far.
fn written_bytes(process: u32) -> u64 {
    named(&read(process, "io"), "write_bytes").unwrap_or(0)
}

/// Bytes of memory that a process holds, and the most that it has held.
pub(super) fn memory_bytes(process: u32) -> [u64; 2] {
    let status = read(process, "status");
    ["VmRSS", "VmHWM"].map(|name| named(&status, name).unwrap_or(0) * 1024)
}

fn read(process: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default()
}

/// The sum of `utime` and `stime`, the 14th and 15th field of `stat`, counted from behind the name in brackets, which may hold
/// anything. The kernel's unit is 10 ms on every architecture that this program is built for (USER_HZ).
fn cpu_in(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(11).map(str::parse::<u64>);
    Some((fields.next()?.ok()? + fields.next()?.ok()?) * 10_000)
}

/// The number of a line `NAME: NUMBER`, with or without a unit behind it.
fn named(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// After a run of hookwheel: its store brings what its journal holds into the tables within a second, and that is its own work.
const REST: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_found_in_the_texts_of_the_kernel() {
        let stat = "12 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!((cpu_in(stat), cpu_in("12 (a")), (Some(2_000_000), None));
        let text = "wchar: 9\nwrite_bytes: 4096\nVmHWM:\t  128 kB\n";
        assert_eq!((named(text, "write_bytes"), named(text, "VmHWM"), named(text, "VmRSS")), (Some(4096), Some(128), None));
        let [resident, most] = memory_bytes(process::id());
        assert!(resident > 100_000 && most >= resident, "{resident} {most}");
    }
}
