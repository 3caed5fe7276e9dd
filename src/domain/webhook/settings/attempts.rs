//! The settings about attempts, as JSON: how long one may take, when the next is made, how many failures disable the webhook, and how
//! many attempts are made at once or in a time.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::read::{Object, Read, duration, list, number, refused, text};
use crate::domain::delivery::retry::{Policy, Retry};
use crate::domain::dialect::{Counted, Disable};
use crate::domain::rate::{NoRate, Rate};
use crate::domain::units::duration_text;

/// `"10s"`: how long an attempt may take.
pub(super) fn timeout(raw: &str) -> Read<Duration> {
    duration(raw, &TIMEOUTS)
}

pub(super) fn timeout_json(timeout: Duration) -> String {
    Value::from(duration_text(timeout)).to_string()
}

/// `{"schedule": ["1m", "5m"]}`, `{"exponential": {"first", "factor", "retries"}}` or `{"decorrelated_jitter": {"median", "retries"}}`,
/// the first two with `jitter` where it is wanted.
pub(super) fn retry(raw: &str) -> Read<Retry> {
    let mut object = Object::read(raw)?;
    if POLICIES.iter().filter(|name| object.has(name)).count() != 1 {
        return Err(refused("must have exactly one of schedule, exponential and decorrelated_jitter"));
    }
    let jitters_itself = object.has("decorrelated_jitter");
    let schedule = object.take("schedule", schedule);
    let exponential = object.take("exponential", exponential);
    let decorrelated = object.take("decorrelated_jitter", decorrelated);
    let jitter = object.take("jitter", |raw| match number(raw, &(0.0..=1.0))? {
        jitter if jitter > 0.0 && jitters_itself => {
            Err(refused("must be 0 or absent: decorrelated_jitter has jitter of its own"))
        }
        jitter => Ok(jitter),
    });
    let policy = schedule.or(exponential).or(decorrelated);
    let retry = object.finish(policy.map(|policy| Retry { policy, jitter: jitter.unwrap_or(0.0) }))?;
    if span(&retry) <= SPAN_MAX { Ok(retry) } else { Err(refused("takes longer than 30d from the first attempt to the last")) }
}

fn schedule(raw: &str) -> Read<Policy> {
    let delays = list(raw, |raw| duration(raw, &DELAYS))?;
    match delays.len() {
        count if count > RETRIES_MAX as usize => Err(refused(format!("has {count} retries, more than {RETRIES_MAX}"))),
        _ => Ok(Policy::Schedule(delays)),
    }
}

fn exponential(raw: &str) -> Read<Policy> {
    let mut object = Object::read(raw)?;
    let first = object.required("first", |raw| duration(raw, &DELAYS));
    let factor = object.required("factor", |raw| number(raw, &(1.0..=1000.0)));
    let retries = object.required("retries", |raw| number(raw, &(0..=RETRIES_MAX)));
    let whole = first.zip(factor).zip(retries);
    object.finish(whole.map(|((first, factor), retries)| Policy::Exponential { first, factor, retries }))
}

fn decorrelated(raw: &str) -> Read<Policy> {
    let mut object = Object::read(raw)?;
    let median = object.required("median", |raw| duration(raw, &DELAYS));
    let retries = object.required("retries", |raw| number(raw, &(0..=RETRIES_MAX)));
    object.finish(median.zip(retries).map(|(median, retries)| Policy::DecorrelatedJitter { median, retries }))
}

/// The time between the first attempt and the last, when each fails at once and each draw is the median.
fn span(retry: &Retry) -> Duration {
    let delays = (0..retry.retries()).map_while(|number| retry.delay(number, 0.5, Some(0.5)));
    delays.fold(Duration::ZERO, Duration::saturating_add)
}

pub(crate) fn retry_json(retry: &Retry) -> String {
    let (name, policy) = match &retry.policy {
        Policy::Schedule(delays) => ("schedule", delays.iter().map(|delay| duration_text(*delay)).collect()),
        Policy::Exponential { first, factor, retries } => {
            ("exponential", json!({ "first": duration_text(*first), "factor": factor, "retries": retries }))
        }
        Policy::DecorrelatedJitter { median, retries } => {
            ("decorrelated_jitter", json!({ "median": duration_text(*median), "retries": retries }))
        }
    };
    let mut object = Map::from_iter([(name.to_owned(), policy)]);
    if retry.jitter > 0.0 {
        object.insert("jitter".into(), retry.jitter.into());
    }
    Value::Object(object).to_string()
}

/// `{"consecutive": 10, "count": "deliveries"}`; `count` may be left out.
pub(super) fn disable(raw: &str) -> Read<Disable> {
    let mut object = Object::read(raw)?;
    let consecutive = object.required("consecutive", |raw| number(raw, &(0..=CONSECUTIVE_MAX)));
    let count = object.take("count", |raw| match &*text(raw)? {
        DELIVERIES => Ok(Counted::Deliveries),
        ATTEMPTS => Ok(Counted::Attempts),
        _ => Err(refused("is neither `deliveries` nor `attempts`")),
    });
    object.finish(consecutive.map(|consecutive| Disable { consecutive, count: count.unwrap_or_default() }))
}

pub(crate) fn disable_json(disable: Disable) -> String {
    let count = match disable.count {
        Counted::Deliveries => DELIVERIES,
        Counted::Attempts => ATTEMPTS,
    };
    json!({ "consecutive": disable.consecutive, "count": count }).to_string()
}

/// `4`: how many attempts are made at once.
pub(super) fn concurrency(raw: &str) -> Read<u16> {
    number(raw, &CONCURRENCIES)
}

/// `"10/s"`: how often an attempt may start.
pub(super) fn rate(raw: &str) -> Read<Rate> {
    text(raw)?.parse().map_err(|wrong: NoRate| refused(wrong.to_string()))
}

pub(crate) fn rate_json(rate: Rate) -> String {
    Value::from(rate.to_string()).to_string()
}

const POLICIES: [&str; 3] = ["schedule", "exponential", "decorrelated_jitter"];
const DELIVERIES: &str = "deliveries";
const ATTEMPTS: &str = "attempts";

/// The bounds of a timeout.
pub(crate) const TIMEOUTS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(60);

/// The bounds of the attempts at once.
pub(crate) const CONCURRENCIES: RangeInclusive<u16> = 1..=1_024;

/// The bounds of a pause between two attempts: from a millisecond, for tests, to a month.
const DELAYS: RangeInclusive<Duration> = Duration::from_millis(1)..=SPAN_MAX;

/// The longest time between the first attempt and the last.
const SPAN_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// The most retries: with the first attempt, 30 attempts.
const RETRIES_MAX: u32 = 29;

/// The most failures in a row that can be waited for.
const CONSECUTIVE_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn told<T: std::fmt::Debug>(read: Read<T>) -> Vec<String> {
        let refusals = read.expect_err("it is wrong");
        refusals.into_iter().map(|refusal| format!("{} {}", refusal.pointer, refusal.reason)).collect()
    }

    #[test]
    fn every_policy_reads_back_from_its_print() {
        for raw in [
            r#"{"schedule":["1s","5m"]}"#,
            r#"{"jitter":0.2,"schedule":[]}"#,
            r#"{"exponential":{"factor":2.5,"first":"5s","retries":9}}"#,
            r#"{"decorrelated_jitter":{"median":"30s","retries":3}}"#,
        ] {
            assert_eq!(retry_json(&retry(raw).expect(raw)), raw);
        }
    }

    #[test]
    fn a_wrong_policy_is_told_by_its_pointers() {
        assert_eq!(
            told(retry(r#"{"schedule":["1s",7,"31d"],"jiter":1}"#)),
            [
                "/schedule/1 is not a string",
                "/schedule/2 is 31d, outside 1ms to 30d",
                "/jiter is unknown; there are schedule, exponential, decorrelated_jitter, jitter"
            ]
        );
        assert_eq!(
            told(retry(r#"{"exponential":{"first":"1s","factor":0.5}}"#)),
            ["/exponential/factor is not a number from 1 to 1000", "/exponential/retries is missing"]
        );
        let one_of = " must have exactly one of schedule, exponential and decorrelated_jitter";
        assert_eq!(told(retry("{}")), [one_of]);
        assert_eq!(told(retry(r#"{"schedule":[],"exponential":{}}"#)), [one_of]);
        let both = r#"{"decorrelated_jitter":{"median":"1s","retries":1},"jitter":0.1}"#;
        assert_eq!(told(retry(both)), ["/jitter must be 0 or absent: decorrelated_jitter has jitter of its own"]);
    }

    #[test]
    fn at_most_30_attempts_are_made_within_30_days() {
        let of = |count: usize, delay: &str| format!(r#"{{"schedule":[{}]}}"#, vec![format!("\"{delay}\""); count].join(","));
        assert!(retry(&of(29, "1d")).is_ok());
        assert_eq!(told(retry(&of(30, "1s"))), ["/schedule has 30 retries, more than 29"]);
        assert_eq!(told(retry(&of(29, "2d"))), [" takes longer than 30d from the first attempt to the last"]);
        let fast = r#"{"exponential":{"first":"1h","factor":10.0,"retries":4}}"#;
        assert_eq!(told(retry(fast)), [" takes longer than 30d from the first attempt to the last"]);
    }

    #[test]
    fn a_timeout_is_1_to_60_seconds() {
        assert_eq!(timeout("\"1m\"").map(timeout_json), Ok("\"1m\"".into()));
        assert_eq!(told(timeout("\"999ms\"")), [" is 999ms, outside 1s to 1m"]);
        assert_eq!(told(timeout("10")), [" is not a string"]);
        assert_eq!(told(timeout("\"10\"")), [" is not a duration with its unit, like 30s or 24h"]);
    }

    #[test]
    fn at_least_one_attempt_is_made_at_once() {
        assert_eq!(concurrency("1024"), Ok(1_024));
        for raw in ["0", "1025", "1.5", "\"4\""] {
            assert_eq!(told(concurrency(raw)), [" is not a number from 1 to 1024"], "{raw}");
        }
    }

    #[test]
    fn a_rate_has_a_count_and_a_time() {
        assert_eq!(rate("\"600/m\"").map(rate_json), Ok("\"600/m\"".into()));
        assert_eq!(told(rate("10")), [" is not a string"]);
        for raw in ["\"10\"", "\"0/s\"", "\"10/d\""] {
            assert!(told(rate(raw))[0].starts_with(" is not a rate; write it as in 1000/s"), "{raw}");
        }
    }

    #[test]
    fn failures_are_counted_by_delivery_unless_said() {
        assert_eq!(disable(r#"{"consecutive":0}"#), Ok(Disable { consecutive: 0, count: Counted::Deliveries }));
        let attempts = disable(r#"{"consecutive":3,"count":"attempts"}"#).expect("valid");
        assert_eq!(disable_json(attempts), r#"{"consecutive":3,"count":"attempts"}"#);
        assert_eq!(
            told(disable(r#"{"count":"all"}"#)),
            ["/consecutive is missing", "/count is neither `deliveries` nor `attempts`"]
        );
        assert_eq!(told(disable(r#"{"consecutive":-1}"#)), ["/consecutive is not a number from 0 to 1000000"]);
    }
}
