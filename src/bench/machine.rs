//! What processes and the machine spent, read from `/proc` (proc(5)), and whether others were in the way.

use std::fs;
use std::time::Duration;

use serde::Serialize;

use super::figures::divided;
use crate::clock;

/// What one process has spent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spent {
    pub(super) cpu: Duration,
    /// Bytes that it made the system write to disk; 0 where that cannot be read.
    pub(super) written_bytes: u64,
}

/// What a process holds of memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Memory {
    pub(crate) resident_bytes: u64,
    pub(crate) peak_bytes: u64,
}

/// What all cores together have done so far. Only idle time is measured: what they were busy with the kernel asks them 250 times
/// a second, and of a load that keeps its own time it sees all or nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Machine {
    at_us: u64,
    cores: u32,
    idle: Duration,
    steal: Duration,
}

/// Who else used the machine during a run, as shares of all cores' time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Noise {
    /// Taken by other machines on the same host.
    pub(crate) steal: f64,
    /// Spent by processes that are no part of the run.
    pub(crate) others: f64,
}

/// What a process has spent; nothing of one that is gone.
pub(super) fn spent(process: u32) -> Spent {
    let read = |file: &str| fs::read_to_string(format!("/proc/{process}/{file}")).unwrap_or_default();
    Spent { cpu: cpu(&read("stat")).unwrap_or_default(), written_bytes: named(&read("io"), "write_bytes").unwrap_or(0) }
}

/// CPU time of all these processes.
pub(super) fn cpu_of(processes: &[u32]) -> Duration {
    processes.iter().map(|process| spent(*process).cpu).sum()
}

/// What a process holds; nothing of one that is gone.
pub(super) fn memory(process: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let bytes = |name| named(&status, name).unwrap_or(0) * 1024;
    Memory { resident_bytes: bytes("VmRSS"), peak_bytes: bytes("VmHWM") }
}

/// The size of this program's own file; 0 where that cannot be read.
pub(super) fn binary_bytes() -> u64 {
    let file = std::env::current_exe().and_then(fs::metadata);
    file.map_or(0, |found| found.len())
}

/// How many files a process started from here may have open; `None` where that cannot be read.
pub(super) fn open_files_max() -> Option<u64> {
    soft_limit(&fs::read_to_string("/proc/self/limits").ok()?)
}

/// The first of the two numbers; `unlimited` is no number.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().next()?.parse().ok()
}

pub(super) fn machine() -> Machine {
    let text = fs::read_to_string("/proc/stat").unwrap_or_default();
    all_cores(&text, clock::monotonic_micros()).unwrap_or_default()
}

/// `utime` and `stime`, the 14th and 15th field of `stat`, counted behind the name in brackets, which may hold anything.
fn cpu(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let fields: Vec<u64> = rest.split_whitespace().skip(11).take(2).map(|field| field.parse().unwrap_or(0)).collect();
    (fields.len() == 2).then(|| ticks(fields.iter().sum()))
}

/// The number of a line `NAME: NUMBER`, with or without a unit behind it.
fn named(text: &str, name: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

/// The first line of `stat`: user nice system idle iowait irq softirq steal; then a line for each core.
fn all_cores(stat: &str, at_us: u64) -> Option<Machine> {
    let mut lines = stat.lines().take_while(|line| line.starts_with("cpu"));
    let fields: Vec<u64> = lines.next()?.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    let [_, _, _, idle, iowait, _, _, steal] = fields.try_into().ok()?;
    Some(Machine { at_us, cores: u32::try_from(lines.count()).ok()?, idle: ticks(idle + iowait), steal: ticks(steal) })
}

impl Noise {
    /// Between two looks at the machine, of whose time our own processes spent `ours`.
    pub(super) fn between(before: Machine, after: Machine, ours: Duration) -> Self {
        let all = Duration::from_micros(after.at_us.saturating_sub(before.at_us)) * after.cores;
        let steal = after.steal.saturating_sub(before.steal);
        let others = all.saturating_sub(after.idle.saturating_sub(before.idle)).saturating_sub(steal + ours);
        let share = |time: Duration| divided(time.as_secs_f64(), all.as_secs_f64()).unwrap_or(0.0);
        Self { steal: share(steal), others: share(others) }
    }

    /// Why a run beside that much noise says little; nothing: it was quiet enough. `paced`: it is about its slowest percent.
    pub(super) fn complaints(self, paced: bool) -> impl Iterator<Item = String> {
        let steal_max = if paced { STEAL_MAX_PACED } else { STEAL_MAX };
        let shares = [(self.steal, steal_max, "other machines on the same host"), (self.others, OTHERS_MAX, "other processes")];
        let too_much = shares.into_iter().filter(|(share, most, _)| share > most);
        too_much.map(|(share, _, who)| format!("{who} took {:.1} % of the processor", share * 100.0))
    }
}

/// The kernel shows times in units of 10 ms on every architecture that this program is built for (USER_HZ).
fn ticks(count: u64) -> Duration {
    Duration::from_millis(count.saturating_mul(10))
}

const STEAL_MAX: f64 = 0.02;

/// What comes while the processor is away waits for it: with 0.35 % of it gone the p99 was 1.9 ms where it is 1.3.
const STEAL_MAX_PACED: f64 = 0.002;

/// The kernel's own work for the network is partly counted as nobody's, so some is always there.
const OTHERS_MAX: f64 = 0.10;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_is_user_and_system_time_whatever_the_name_is() {
        let stat = "12 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0";
        assert_eq!(cpu(stat), Some(Duration::from_secs(2)));
        assert_eq!(cpu("12 (a"), None);
    }

    #[test]
    fn a_named_number_is_found() {
        let text = "wchar: 9\nwrite_bytes: 4096\nVmHWM:\t  128 kB\n";
        assert_eq!((named(text, "write_bytes"), named(text, "VmHWM"), named(text, "VmRSS")), (Some(4096), Some(128), None));
    }

    #[test]
    fn the_limit_of_open_files_is_the_soft_one() {
        let limits =
            "Limit Soft Limit Hard Limit Units\nMax open files            1024                 524288               files\n";
        assert_eq!(soft_limit(limits), Some(1_024));
        assert_eq!(soft_limit("Max open files  unlimited unlimited files"), None);
        assert!(open_files_max().is_some());
    }

    #[test]
    fn a_process_can_read_itself() {
        let held = memory(std::process::id());
        assert!(held.resident_bytes > 100_000 && held.peak_bytes >= held.resident_bytes, "{held:?}");
        assert!(machine().cores > 0 && machine().idle > Duration::ZERO);
        assert!(binary_bytes() > 100_000);
    }

    #[test]
    fn what_is_neither_ours_nor_idle_is_noise() {
        let before = all_cores("cpu  9 0 9 1000 0 0 0 0 0 0\ncpu0 9\ncpu1 9\nintr 5", 1_000_000).unwrap();
        let after = all_cores("cpu  9 0 9 1100 40 0 9 10 0 0\ncpu0 9\ncpu1 9\nintr 6", 2_000_000).unwrap();
        let noise = Noise::between(before, after, Duration::from_millis(100));
        assert_eq!(noise, Noise { steal: 0.05, others: 0.2 });
        assert_eq!(Noise::between(after, after, Duration::ZERO), Noise::default());
        let expected =
            ["other machines on the same host took 5.0 % of the processor", "other processes took 20.0 % of the processor"];
        assert_eq!(noise.complaints(false).collect::<Vec<_>>(), expected);
        let little = Noise { steal: 0.01, others: 0.05 };
        assert_eq!([false, true].map(|paced| little.complaints(paced).count()), [0, 1]);
    }
}
