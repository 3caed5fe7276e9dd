//! When each built-in dialect tries again, attempt by attempt on virtual time.

use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;

use super::*;
use crate::domain::delivery::outcome::{Outcome, Response};
use crate::domain::delivery::{Delivery, End, Ended, QueuePosition, State};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;

/// Each attempt takes this long, and the delay counts from its end.
const ATTEMPT: Duration = Duration::from_millis(1_500);

const START: Timestamp = Timestamp::from_micros(1_776_695_520_000_000);

/// Fails every attempt; gives the time from the end of each to the start of the next, in milliseconds.
fn waits(dialect: &str, draws: &[f64], answer: &Response) -> Vec<u64> {
    let dialect = read_all(Vec::new(), &mut Faults::default()).remove(dialect).expect("built in");
    let key = DeliveryKey { event: EventKey::at(START), endpoint: EndpointNo(1) };
    let (mut delivery, mut now, mut waits) = (Delivery::published(key, QueuePosition::Due(START)), START, Vec::new());
    for draw in draws.iter().chain([&0.0]) {
        now = now + ATTEMPT;
        let outcome = Outcome { result: Ok(answer.clone()), duration: ATTEMPT };
        let (next, effect) = delivery.attempted(Ended { outcome: &outcome, at: now, draw: *draw }, &*dialect);
        delivery = next;
        match delivery.state {
            State::Pending(QueuePosition::Due(at)) => {
                waits.push(at.since(now).as_millis().try_into().expect("less than ages"));
                now = at;
            }
            State::Failed { at, end } => {
                assert_eq!((at, end), (now, End::Exhausted));
                assert_eq!(effect.count, crate::domain::webhook::endpoint::Count::Raise, "the delivery counts once, at its end");
                return waits;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("more retries than draws: {waits:?}");
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Response {
    let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Response { status, headers, body: Bytes::new(), truncated: false, body_error: None }
}

#[test]
fn schedules_without_jitter_are_exact_whatever_is_drawn() {
    let (second, minute, hour) = (1_000, 60_000, 3_600_000);
    for draws in [[0.0; 7], [0.999; 7]] {
        let failed = answer(500, &[("retry-after", "7200")]);
        assert_eq!(waits("decisio", &draws, &failed), [minute, 5 * minute, 30 * minute, 2 * hour, 24 * hour]);
        assert_eq!(waits("dcisionai", &draws, &failed), [second, 2 * second]);
        assert_eq!(waits("aioka", &draws, &failed), [5 * second, 25 * second, 125 * second]);
    }
}

#[test]
fn standard_and_resistant_spread_each_delay_by_a_fifth() {
    let seconds = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000_u64];
    for dialect in ["standard", "resistant"] {
        let failed = answer(500, &[]);
        for (draw, per_mille) in [(0.0, 800), (0.25, 900), (0.5, 1_000), (0.75, 1_100)] {
            assert_eq!(waits(dialect, &[draw; 7], &failed), seconds.map(|s| s * per_mille), "{dialect} at {draw}");
        }
    }
}

#[test]
fn retry_after_makes_a_standard_attempt_later_and_never_earlier() {
    for (asked, first) in [("60", 60_000), ("0", 5_000), ("4", 5_000), ("90000", 86_400_000)] {
        assert_eq!(waits("standard", &[0.5; 7], &answer(503, &[("retry-after", asked)]))[0], first, "{asked}");
    }
    // Dialects that do not obey it keep their schedule.
    assert_eq!(waits("aioka", &[0.5; 3], &answer(429, &[("retry-after", "60")])), [5_000, 25_000, 125_000]);
}

#[test]
fn decks_waits_are_those_of_the_vectors_and_a_204_fails() {
    let vectors: Value = serde_json::from_str(include_str!("../../../tests/vectors/decorrelated-jitter.json")).expect("JSON");
    for row in vectors["exact"].as_array().expect("a list") {
        let numbers = |name: &str| -> Vec<f64> {
            row[name].as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
        };
        let expected = numbers("delays_s");
        let waits = waits("deck", &numbers("u"), &answer(204, &[]));
        assert_eq!(waits.len(), expected.len());
        for (wait, expected) in waits.iter().zip(expected) {
            // Due times are whole milliseconds.
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of minutes")]
            let wait = *wait as f64 / 1e3;
            assert!((wait - expected).abs() <= 0.001, "{wait} is not {expected}");
        }
    }
}
