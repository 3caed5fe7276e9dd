//! A report of `bench` as a person reads it.

use crate::bench::{End, Measured, Report, Run, Spread};
use crate::cli::output::print::Paint;
use crate::cli::output::table::{Column, table};
use crate::cli::output::words::{count, duration, size};

pub(in crate::cli) fn lines(report: &Report, paint: Paint) -> String {
    let mut lines = vec![head(report), String::new(), figures(&report.runs), String::new()];
    lines.extend(share(&report.runs));
    lines.push(format!("config differs from the defaults in: {}", report.differences.join("; ")));
    match report.faults.is_empty() {
        true => lines.push(paint.green("every event came exactly once")),
        false => lines.extend(report.faults.iter().map(|fault| paint.red(fault))),
    }
    lines.join("\n")
}

fn head(report: &Report) -> String {
    let load = &report.load;
    let pace = if load.rate > 0.0 { format!("{} events/s", load.rate) } else { "closed loop".into() };
    let end = match load.end {
        End::Events(events) => count(events, "event"),
        End::After(time) => duration(time),
    };
    let endpoints = count(load.endpoints.count.into(), "endpoint");
    let failing = match load.endpoints.failing() {
        0 => String::new(),
        failing => format!(" of which {failing} fail"),
    };
    let batch = if load.batch > 1 { format!(", {} events a request", load.batch) } else { String::new() };
    let way = if load.fan_out { ", each event for all" } else { "" };
    let connections = count(load.connections as u64, "connection");
    let cores = count(report.cores as u64, "core");
    format!("{pace}, {connections}, {end}, {} B of data{batch}, {endpoints}{failing}{way}, {cores}", report.data_bytes)
}

/// One column for each run.
fn figures(runs: &[Measured]) -> String {
    let names = std::iter::once("").chain(runs.iter().map(|measured| measured.run.name()));
    let columns: Vec<Column> = names.map(Column::kept).collect();
    let row = |(name, figure): &Row| std::iter::once((*name).to_owned()).chain(runs.iter().map(figure)).collect();
    let rows: Vec<Vec<String>> = ROWS.iter().map(row).collect();
    table(&columns, &rows, None)
}

type Row = (&'static str, fn(&Measured) -> String);

const ROWS: &[Row] = &[
    ("deliveries", |run| run.received.deliveries.to_string()),
    ("deliveries/s", |run| format!("{:.0}", run.rate)),
    ("end to end p50, p99, max", |run| spread(&run.received.end_to_end)),
    ("until the answer p50, p99, max", |run| spread(&run.publish)),
    ("CPU of the relay per delivery", |run| micros(run.cpu_us_per_delivery)),
    ("CPU of publisher and receiver", |run| micros(run.load_cpu_us_per_delivery)),
    ("start to ready", |run| format!("{:.1} ms", run.start_to_ready_ms)),
    ("memory when idle", |run| size(run.idle_bytes)),
    ("memory of the relay, most", |run| format!("{}, {}", size(run.resident_bytes), size(run.peak_bytes))),
    ("written per delivery", |run| bytes(run.written_bytes_per_delivery)),
    ("growth of the store per delivery", |run| bytes(run.store_bytes_per_delivery)),
];

fn spread(spread: &Spread) -> String {
    let millis = |us: u64| format!("{}.{}", us / 1_000, us % 1_000 / 100);
    format!("{}, {}, {} ms", millis(spread.p50_us), millis(spread.p99_us), millis(spread.max_us))
}

fn micros(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.1} µs"))
}

fn bytes(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.0} B"))
}

/// What hookwheel delivered and needed by what forward-only did, where both runs were made.
fn share(runs: &[Measured]) -> Option<String> {
    let [forward, store] = [Run::Forward, Run::Store].map(|run| runs.iter().find(|measured| measured.run == run));
    let (forward, store) = forward.zip(store).filter(|(forward, _)| forward.rate > 0.0)?;
    let cpu = store.cpu_us_per_delivery.zip(forward.cpu_us_per_delivery).filter(|(_, forward)| *forward > 0.0);
    let cpu = cpu.map_or_else(String::new, |(store, forward)| format!(", at {:.2} times the CPU for each", store / forward));
    Some(format!("hookwheel makes {:.2} of the deliveries/s of forward-only{cpu}", store.rate / forward.rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_in_milliseconds() {
        let times = Spread { count: 3, p50_us: 999, p99_us: 12_345, max_us: 2_000_000 };
        assert_eq!(spread(&times), "0.9, 12.3, 2000.0 ms");
    }
}
