//! Reads a dialect's `[retry]`: how often a delivery is attempted again, and how long each wait is.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::config::fault::{Faults, Placed, Remedy};
use crate::config::source::document::Table;
use crate::domain::delivery::retry::{Policy, Retry};

pub(super) fn retry(table: &mut Table, faults: &mut Faults) -> Option<Retry> {
    if !table.has("retry") {
        table.missing("retry", "{ schedule = [\"1m\", \"5m\"] }", faults);
    }
    let mut table = table.table("retry", faults)?;
    let given: Vec<_> = POLICIES.iter().filter(|key| table.has(key)).collect();
    if given.len() != 1 {
        let message = "`retry` needs one of schedule, exponential and decorrelated_jitter";
        faults.add(&table.location, message, "schedule = [\"1m\", \"5m\", \"30m\"]");
    }
    let schedule = table.durations("schedule", DELAYS, faults).map(|delays| delays.map(Policy::Schedule));
    check_count(schedule.as_ref(), faults);
    let exponential = table.table("exponential", faults).and_then(|inner| exponential(inner, faults));
    let decorrelated = table.table("decorrelated_jitter", faults).and_then(|inner| decorrelated(inner, faults));
    let jitter = table.number("jitter", 0.0..=1.0, faults);
    if let Some(jitter) = jitter.as_ref().filter(|jitter| jitter.value != 0.0 && decorrelated.is_some()) {
        faults.add(&jitter.location, "`jitter` must be 0 or absent: decorrelated_jitter has jitter of its own", "jitter = 0.0");
    }
    table.finish(faults);
    let policy = schedule.map(|schedule| schedule.value).or(exponential).or(decorrelated)?;
    Some(Retry { policy, jitter: jitter.map_or(0.0, |jitter| jitter.value) })
}

fn check_count(schedule: Option<&Placed<Policy>>, faults: &mut Faults) {
    if let Some(Placed { value: Policy::Schedule(delays), location }) = schedule
        && delays.len() > usize::try_from(RETRIES_MAX).unwrap_or(usize::MAX)
    {
        faults.add(location, format!("`schedule` has {} retries, more than {RETRIES_MAX}", delays.len()), Remedy::None);
    }
}

fn exponential(mut table: Table, faults: &mut Faults) -> Option<Policy> {
    let first = wanted(&mut table, "first", "\"5s\"", faults, |table, faults| table.duration("first", DELAYS, faults));
    let factor = wanted(&mut table, "factor", "2.0", faults, |table, faults| table.number("factor", 1.0..=1000.0, faults));
    let retries = retries(&mut table, faults);
    table.finish(faults);
    Some(Policy::Exponential { first: first?, factor: factor?, retries: retries? })
}

fn decorrelated(mut table: Table, faults: &mut Faults) -> Option<Policy> {
    let median = wanted(&mut table, "median", "\"30s\"", faults, |table, faults| table.duration("median", DELAYS, faults));
    let retries = retries(&mut table, faults);
    table.finish(faults);
    Some(Policy::DecorrelatedJitter { median: median?, retries: retries? })
}

fn retries(table: &mut Table, faults: &mut Faults) -> Option<u32> {
    let count = wanted(table, "retries", "3", faults, |table, faults| table.integer("retries", 0..=RETRIES_MAX, faults));
    count.and_then(|count| count.try_into().ok())
}

/// Takes a key that must be there.
fn wanted<T>(
    table: &mut Table,
    key: &str,
    example: &str,
    faults: &mut Faults,
    take: impl FnOnce(&mut Table, &mut Faults) -> Option<Placed<T>>,
) -> Option<T> {
    if !table.has(key) {
        table.missing(key, example, faults);
    }
    take(table, faults).map(|taken| taken.value)
}

const POLICIES: &[&str] = &["schedule", "exponential", "decorrelated_jitter"];

/// The most retries of a schedule: attempts are counted in 16 bits, and nobody waits for the hundredth.
const RETRIES_MAX: u64 = 100;

/// The bounds of a pause between two attempts: from a millisecond, for tests, to a month.
const DELAYS: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(30 * 24 * 3600);
