//! A report of `bench` as a person reads it.

use std::time::Duration;

use crate::bench::{End, Kept, Measured, Ratio, Report, Restart, Retried, SLICE, Special, Spread};
use crate::cli::output::print::Paint;
use crate::cli::output::table::{Column, table};
use crate::cli::output::words::{count, duration, size};

pub(in crate::cli) fn lines(report: &Report, paint: Paint) -> String {
    let tables = [figures(&report.runs), report.restart.as_ref().map(restart).unwrap_or_default()];
    let mut lines = vec![head(report), String::new()];
    lines.extend(tables.into_iter().filter(|table| !table.is_empty()).map(|table| table + "\n"));
    lines.extend(report.ratios.iter().map(ratio));
    lines.push(format!("size of the binary: {}", size(report.binary_bytes)));
    lines.push(format!("config differs from the defaults in: {}", report.differences.join("; ")));
    lines.extend(report.noisy.iter().map(|why| paint.yellow(&format!("too noisy to trust: {why}"))));
    match report.faults.is_empty() {
        true if report.restart.is_some() => lines.push(paint.green("nothing was lost")),
        true => lines.push(paint.green("every event came exactly once")),
        false => lines.extend(report.faults.iter().map(|fault| paint.red(fault))),
    }
    lines.join("\n")
}

fn head(report: &Report) -> String {
    let load = &report.load;
    if let Special::Pending(pending) = load.special {
        let endpoints = count(load.endpoints.count.into(), "endpoint");
        return format!("{pending} deliveries that wait, {} B of data, {endpoints}", load.data_bytes);
    }
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
    let cores = count(load.cores as u64, "core");
    let beside = match load.alternate {
        true => format!(", plain load and hookwheel in turns of {} s", SLICE.as_secs_f64()),
        false => String::new(),
    };
    format!("{pace}, {connections}, {end}, {} B of data{batch}, {endpoints}{failing}{way}, {cores}{beside}", load.data_bytes)
}

/// One column for each run.
fn figures(runs: &[Measured]) -> String {
    let names = std::iter::once("").chain(runs.iter().map(|measured| measured.run.name()));
    let columns: Vec<Column> = names.map(Column::kept).collect();
    let row = |(name, figure): &(&str, fn(&Measured) -> String)| {
        std::iter::once((*name).to_owned()).chain(runs.iter().map(figure)).collect()
    };
    let said = |row: &Vec<String>| row.iter().skip(1).any(|figure| !figure.is_empty());
    let rows: Vec<Vec<String>> = ROWS.iter().map(row).filter(said).collect();
    table(&columns, &rows, None)
}

fn restart(restart: &Restart) -> String {
    let row = |name: &str, figure: String| vec![name.to_owned(), figure];
    let rows = [
        row("filled in", seconds(restart.filled.seconds)),
        row("size of the store", size(restart.store_bytes)),
        row("start to ready", millis(Some(restart.start_to_ready_ms))),
        row("memory when ready", size(restart.resident_bytes)),
        row("memory 3 s later, most", format!("{}, {}", size(restart.resident_later_bytes), size(restart.peak_bytes))),
        row("deliveries that wait", restart.pending.to_string()),
    ];
    table(&["", "after kill -9"].map(Column::kept), &rows, None)
}

type Row = (&'static str, fn(&Measured) -> String);

const ROWS: &[Row] = &[
    ("deliveries", |run| run.deliveries.to_string()),
    ("deliveries/s", |run| format!("{:.0}", run.rate)),
    ("deliveries/s of a lap, least, most", |run| laps(&run.lap_rates)),
    ("end to end p50, p99, max", |run| spread(&run.end_to_end)),
    ("until the answer p50, p99, max", |run| spread(&run.publish)),
    ("CPU of the relay per delivery", |run| micros(run.relay.cpu_us_per_delivery)),
    ("CPU of the publisher", |run| micros(run.publisher_cpu_us_per_delivery)),
    ("CPU of the receiver", |run| micros(run.receiver_cpu_us_per_delivery)),
    ("start to ready", |run| millis(run.relay.start_to_ready_ms)),
    ("memory when idle", |run| run.relay.idle_bytes.map_or_else(String::new, size)),
    ("memory of the relay, most", |run| {
        format!("{}, {}", size(run.relay.memory.resident_bytes), size(run.relay.memory.peak_bytes))
    }),
    ("written per delivery", |run| bytes(run.relay.written_bytes_per_delivery)),
    ("growth of the store per delivery", |run| bytes(run.relay.store_bytes_per_delivery)),
    ("commits per event", |run| run.relay.commits_per_event.map_or_else(String::new, |commits| format!("{commits:.3}"))),
    ("filled before, in", |run| {
        run.besides.filled.map_or_else(String::new, |filled| format!("{}, {}", filled.deliveries, seconds(filled.seconds)))
    }),
    ("newest 50 of an endpoint p50, p99, max", |run| run.besides.listing.as_ref().map_or_else(String::new, spread)),
    ("lateness of retries p50, p99, max", |run| {
        run.besides.retried.map_or_else(String::new, |retried| spread(&retried.lateness))
    }),
    ("retries were due within", |run| run.besides.retried.map_or_else(String::new, due_within)),
    ("finished deliveries kept, most", |run| run.besides.kept.map_or_else(String::new, kept)),
    ("store per delivery kept, at most", |run| run.besides.kept.map_or_else(String::new, kept_bytes)),
    ("CPU taken by others, by the host", |run| format!("{:.1} %, {:.1} %", run.noise.others * 100.0, run.noise.steal * 100.0)),
];

fn laps(rates: &[f64]) -> String {
    let ends = rates.iter().copied().reduce(f64::min).zip(rates.iter().copied().reduce(f64::max));
    ends.filter(|_| rates.len() > 1).map_or_else(String::new, |(least, most)| format!("{least:.0}, {most:.0}"))
}

fn spread(spread: &Spread) -> String {
    let millis = |us: u64| format!("{}.{}", us / 1_000, us % 1_000 / 100);
    format!("{}, {}, {} ms", millis(spread.p50_us), millis(spread.p99_us), millis(spread.max_us))
}

fn millis(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.1} ms"))
}

fn seconds(figure: f64) -> String {
    format!("{figure:.1} s")
}

fn due_within(retried: Retried) -> String {
    seconds(Duration::from_micros(retried.due_within_us).as_secs_f64())
}

fn kept(kept: Kept) -> String {
    format!("{}, {}", kept.deliveries, kept.most_deliveries)
}

fn kept_bytes(kept: Kept) -> String {
    format!("{}, {}", bytes(kept.bytes_per_delivery), bytes(kept.bytes_per_delivery_at_most))
}

fn micros(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.1} µs"))
}

fn bytes(figure: Option<f64>) -> String {
    figure.map_or_else(String::new, |figure| format!("{figure:.0} B"))
}

fn ratio(ratio: &Ratio) -> String {
    let give = ratio.give.map_or_else(String::new, |give| format!(", give or take {give:.2}"));
    format!("{} of hookwheel by {}: {:.2}{give}", ratio.figure.replace('_', " "), ratio.by.name(), ratio.ratio)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::Run;

    #[test]
    fn times_are_shown_in_milliseconds() {
        let times = Spread { count: 3, p50_us: 999, p99_us: 12_345, max_us: 2_000_000 };
        assert_eq!(spread(&times), "0.9, 12.3, 2000.0 ms");
    }

    #[test]
    fn a_ratio_says_what_by_what() {
        let said = ratio(&Ratio { figure: "end_to_end_p99", by: Run::Base, ratio: 1.049, give: None });
        assert_eq!(said, "end to end p99 of hookwheel by plain load: 1.05");
        let said = ratio(&Ratio { figure: "rate", by: Run::Forward, ratio: 0.649, give: Some(0.021) });
        assert_eq!(said, "rate of hookwheel by forward-only: 0.65, give or take 0.02");
    }
}
