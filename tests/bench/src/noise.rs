//! Who else used the machine during a run, from `/proc/stat` (proc(5)). Only idle and stolen time are looked at there: what the
//! processors were busy with the kernel samples, and of a load that keeps its own time it sees all or nothing.

use std::fs;
use std::time::{Duration, Instant};

/// What the machine and the finished children of this process have spent up to one moment.
pub(crate) struct Look {
    at: Instant,
    cores: u32,
    idle: Duration,
    steal: Duration,
    children: Duration,
}

impl Look {
    /// `None`: `/proc` cannot be read.
    pub(crate) fn now() -> Option<Self> {
        let (cores, idle, steal) = machine(&fs::read_to_string("/proc/stat").ok()?)?;
        let children = children(&fs::read_to_string("/proc/self/stat").ok()?)?;
        Some(Self { at: Instant::now(), cores, idle, steal, children })
    }

    /// Why a run since this look says little; empty: it was quiet enough. `paced`: the run is about its slowest percent.
    pub(crate) fn complaints(&self, paced: bool) -> Vec<String> {
        let Some(now) = Self::now() else { return Vec::new() };
        let all = (now.at - self.at) * now.cores;
        let steal = now.steal.saturating_sub(self.steal);
        let spent = all.saturating_sub(now.idle.saturating_sub(self.idle)).saturating_sub(steal);
        let others = spent.saturating_sub(now.children.saturating_sub(self.children));
        let share = |time: Duration| time.as_secs_f64() / all.as_secs_f64().max(1e-9);
        let shares = [
            ("other machines on the same host", share(steal), if paced { STEAL_MAX_PACED } else { STEAL_MAX }),
            ("other processes", share(others), OTHERS_MAX),
        ];
        let too_much = shares.into_iter().filter(|(_, share, most)| share > most);
        too_much.map(|(who, share, _)| format!("{who} took {:.1} % of the processor", share * 100.0)).collect()
    }
}

/// Cores, idle and stolen time. The first line is: cpu user nice system idle iowait irq softirq steal; then one for each core.
fn machine(stat: &str) -> Option<(u32, Duration, Duration)> {
    let mut lines = stat.lines().take_while(|line| line.starts_with("cpu"));
    let fields: Vec<u64> = lines.next()?.split_whitespace().skip(1).take(8).filter_map(|field| field.parse().ok()).collect();
    let [_, _, _, idle, iowait, _, _, steal] = fields.try_into().ok()?;
    Some((u32::try_from(lines.count()).ok()?, ticks(idle + iowait), ticks(steal)))
}

/// `cutime` and `cstime`, the 16th and 17th field, counted from behind the name in brackets, which may hold anything.
fn children(stat: &str) -> Option<Duration> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_whitespace().skip(13).map(str::parse::<u64>);
    Some(ticks(fields.next()?.ok()? + fields.next()?.ok()?))
}

/// The kernel shows times in units of 10 ms (USER_HZ).
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
    fn times_are_found_in_the_texts_of_the_kernel() {
        let stat = "cpu  9 0 9 1000 50 0 0 7 0 0\ncpu0 9\ncpu1 9\nintr 5";
        assert_eq!(machine(stat), Some((2, Duration::from_millis(10_500), Duration::from_millis(70))));
        let stat = "12 (a) b (c) R 1 2 3 4 5 6 7 8 9 10 11 12 150 50 20 0";
        assert_eq!((children(stat), children("12 (a")), (Some(Duration::from_secs(2)), None));
        assert!(Look::now().is_some_and(|look| look.cores > 0));
    }
}
