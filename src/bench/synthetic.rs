//! Attempts that nobody made: as long in the log as real ones.

use std::time::Duration;

use bytes::Bytes;

use crate::clock;
use crate::deliver::exchange::request::USER_AGENT;
use crate::domain::delivery::Trigger;
use crate::domain::delivery::outcome::{Outcome, Response};
use crate::domain::headers::Headers;
use crate::store::{Finished, Ready, Store};

/// Logs a first attempt that ended so, with the headers of the standard dialect.
pub(super) fn finish(store: &Store, ready: Ready, response: Response) {
    let Some(endpoint) = store.webhook_no(ready.key.endpoint) else { return };
    let now = clock::now();
    store.finish(Finished {
        key: ready.key,
        position: ready.position,
        first: ready.known.is_some(),
        trigger: Trigger::Schedule,
        started_at: now,
        ended_at: now,
        url: endpoint.definition.url.clone(),
        request_headers: request_headers(&store.node().event_id(ready.key.event).to_string(), &now.as_secs().to_string()),
        outcome: Outcome { result: Ok(response), duration: TOOK },
        _room: None,
    });
}

fn request_headers(id: &str, secs: &str) -> Headers {
    let usual = [
        ("host", "127.0.0.1:8080"),
        ("content-type", "application/json"),
        ("user-agent", USER_AGENT),
        ("accept", "*/*"),
        ("content-length", "700"),
    ];
    let own = [("webhook-id", id), ("webhook-timestamp", secs), ("webhook-signature", SIGNATURE)];
    usual.into_iter().chain(own).collect()
}

/// What common servers answer.
pub(super) fn taken() -> Response {
    let headers = [("content-type", "application/json"), ("content-length", "11"), ("date", DATE), ("server", "nginx")];
    response(200, headers.into_iter().collect(), br#"{"ok":true}"#)
}

/// Asks for the next attempt in some hours, a different time for each number.
pub(super) fn later(number: u64) -> Response {
    let headers = [("retry-after", later_secs(number).to_string()), ("content-length", "0".into()), ("date", DATE.into())];
    response(503, headers.into_iter().collect(), b"")
}

fn response(status: u16, headers: Headers, body: &'static [u8]) -> Response {
    Response { status, headers, body: Bytes::from_static(body), truncated: false, body_error: None }
}

/// Spread over most of a day, neighbours far apart.
fn later_secs(number: u64) -> u64 {
    LEAST_SECS + number.wrapping_mul(STEP) % SPREAD_SECS
}

/// Longer than any measurement.
const LEAST_SECS: u64 = 4 * 3_600;

/// With the least not over a day, the most that the relay waits for.
const SPREAD_SECS: u64 = 20 * 3_600;

/// A prime, so that all seconds are taken in turn.
const STEP: u64 = 7_919;

const SIGNATURE: &str = "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=";
const DATE: &str = "Thu, 01 Jan 2026 00:00:00 GMT";
const TOOK: Duration = Duration::from_micros(1_500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_for_later_is_hours_away_and_within_a_day() {
        for number in (0..2_000).chain([u64::MAX]) {
            assert!((LEAST_SECS..24 * 3_600).contains(&later_secs(number)), "{number}");
        }
        assert_ne!(later_secs(1), later_secs(2));
    }

    #[test]
    fn a_length_is_the_bodys() {
        for response in [taken(), later(0)] {
            assert_eq!(response.headers.get("content-length"), Some(response.body.len().to_string().as_str()));
        }
    }
}
