//! What the process uses, under the names that Prometheus' own libraries give it. Read from `/proc` when somebody asks; a figure that
//! cannot be read is left out.

use std::fs;

use prometheus::proto::{Counter, Gauge, Metric, MetricFamily, MetricType};

/// The figures that can be read.
pub(super) fn families() -> Vec<MetricFamily> {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let boot = fs::read_to_string("/proc/stat").unwrap_or_default();
    let stat = Stat::parse(&stat);
    let cpu = stat.as_ref().map(|stat| stat.cpu_seconds);
    let figures = [
        ("process_open_fds", "Number of open file descriptors.", open_files()),
        ("process_max_fds", "Maximum number of open file descriptors.", most_files(&limits)),
        ("process_threads", "Number of threads of the process.", stat.as_ref().map(|stat| stat.threads)),
        ("process_virtual_memory_bytes", "Virtual memory size in bytes.", stat.as_ref().map(|stat| stat.virtual_bytes)),
        ("process_resident_memory_bytes", "Resident memory size in bytes.", stat.as_ref().map(|stat| stat.resident_bytes)),
        (
            "process_start_time_seconds",
            "Start time of the process since the Unix epoch in seconds.",
            stat.as_ref().zip(boot_time(&boot)).map(|(stat, boot)| boot + stat.since_boot),
        ),
    ];
    let counter = cpu.map(|cpu| family("process_cpu_seconds_total", CPU, MetricType::COUNTER, cpu));
    let gauges = figures.into_iter().filter_map(|(name, help, value)| Some(family(name, help, MetricType::GAUGE, value?)));
    counter.into_iter().chain(gauges).collect()
}

const CPU: &str = "Total user and system CPU time spent in seconds.";

fn family(name: &str, help: &str, kind: MetricType, value: f64) -> MetricFamily {
    let mut metric = Metric::from_label(Vec::new());
    if kind == MetricType::COUNTER {
        let mut counter = Counter::default();
        counter.set_value(value);
        metric.set_counter(counter);
    } else {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        metric.set_gauge(gauge);
    }
    let mut family = MetricFamily::default();
    family.set_name(name.into());
    family.set_help(help.into());
    family.set_field_type(kind);
    family.set_metric(vec![metric]);
    family
}

/// What `/proc/self/stat` says (proc_pid_stat(5)).
#[derive(Debug, PartialEq)]
struct Stat {
    cpu_seconds: f64,
    threads: f64,
    since_boot: f64,
    virtual_bytes: f64,
    resident_bytes: f64,
}

impl Stat {
    /// The name of the process, in brackets, may hold anything; the fields behind it are counted from 3.
    fn parse(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.rsplit_once(')')?.1.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<f64>().ok();
        let ticks = u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
        let page = u32::try_from(rustix::param::page_size()).ok()?;
        Some(Self {
            cpu_seconds: (field(14)? + field(15)?) / f64::from(ticks),
            threads: field(20)?,
            since_boot: field(22)? / f64::from(ticks),
            virtual_bytes: field(23)?,
            resident_bytes: field(24)? * f64::from(page),
        })
    }
}

fn open_files() -> Option<f64> {
    let count = fs::read_dir("/proc/self/fd").ok()?.count();
    // One of them is that of the folder itself.
    u32::try_from(count.saturating_sub(1)).ok().map(f64::from)
}

fn most_files(limits: &str) -> Option<f64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_ascii_whitespace().next()?.parse().ok()
}

fn boot_time(stat: &str) -> Option<f64> {
    stat.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_of_a_process_are_read_behind_its_name() {
        let line = "7 (a) b (c)) S 1 7 7 0 -1 4194560 1 2 3 4 150 50 0 0 20 0 12 0 500 8192 3 0";
        let stat = Stat::parse(line).expect("a line of proc_pid_stat");
        let ticks = rustix::param::clock_ticks_per_second() as f64;
        assert_eq!((stat.cpu_seconds, stat.threads, stat.since_boot), (200.0 / ticks, 12.0, 500.0 / ticks));
        assert_eq!((stat.virtual_bytes, stat.resident_bytes), (8192.0, 3.0 * rustix::param::page_size() as f64));
        assert_eq!(Stat::parse("7 (x) S 1"), None);
    }

    #[test]
    fn the_limit_of_files_and_the_time_of_the_boot_are_found_in_their_lines() {
        assert_eq!(
            most_files("Max stack size  8  8\nMax open files            1024                 4096    files\n"),
            Some(1024.0)
        );
        assert_eq!(most_files("Max open files            unlimited            unlimited    files\n"), None);
        assert_eq!(boot_time("cpu 1\nbtime 1700000000\nprocesses 5\n"), Some(1_700_000_000.0));
    }

    #[test]
    fn this_process_has_figures_of_its_own() {
        let names: Vec<_> = families().iter().map(|family| family.name().to_owned()).collect();
        assert_eq!(names.len(), 7, "{names:?}");
    }
}
