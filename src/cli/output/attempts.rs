//! One delivery with its attempts, as a person reads it: each request and its response, one under the other.

use std::fmt::Write as _;
use std::time::Duration;

use super::print::Paint;
use super::words::{in_cell, one_line, plain};
use crate::api::document::delivery::{Attempt, Delivery, Headers, Response, Status, Whole};

/// How long a test may take: the longest timeout that a dialect may have, 5 min, and the wait for its turn.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(6 * 60);

/// The whole delivery.
pub(crate) fn delivery(whole: &Whole, paint: Paint) -> String {
    let delivery = &whole.delivery;
    let mut text = format!("{}  {}  {}", in_cell(&delivery.id), in_cell(&delivery.event_type), status(delivery.status, paint));
    for (label, value) in facts(delivery) {
        let _ = write!(text, "\n{label:<12}{}", in_cell(&value));
    }
    if let Some(request) = &whole.request {
        text.push('\n');
        body(&mut text, &request.body, request.encoding.as_deref(), "> ", paint);
    }
    for attempt in &whole.attempts {
        let _ = write!(text, "\n\n{}", one(attempt, paint));
    }
    text
}

/// What is known of a delivery, each with its label.
fn facts(delivery: &Delivery) -> impl Iterator<Item = (&'static str, String)> {
    let facts = [
        ("because", delivery.reason.as_ref().map(|reason| reason.name().to_owned())),
        ("event", Some(delivery.event_id.clone())),
        ("webhook", Some(delivery.webhook_id.clone())),
        ("url", Some(delivery.url.clone())),
        ("created", Some(delivery.created_at.to_string())),
        ("succeeded", delivery.succeeded_at.map(|at| at.to_string())),
        ("next", delivery.next_attempt_at.map(|at| at.to_string())),
        ("test", delivery.test.then(|| "true".into())),
    ];
    facts.into_iter().filter_map(|(label, value)| Some((label, value.filter(|value| !value.is_empty())?)))
}

/// The status in its colour.
fn status(status: Status, paint: Paint) -> String {
    match status {
        Status::Succeeded => paint.green(status.name()),
        Status::Failed => paint.red(status.name()),
        Status::Pending | Status::Held => paint.yellow(status.name()),
    }
}

fn one(attempt: &Attempt, paint: Paint) -> String {
    let head = format!("attempt {}  {}  {}", attempt.number, attempt.started_at, in_cell(&attempt.trigger));
    let result = result(attempt.response.as_ref(), attempt.error.as_deref(), paint);
    let mut text = format!("{}  {result}  {} ms", paint.bold(&head), attempt.duration_ms);
    if let Some(detail) = &attempt.detail {
        let _ = write!(text, "\n  {}", plain(detail));
    }
    let url = in_cell(&attempt.request.url);
    if !url.is_empty() {
        let _ = write!(text, "\n{}", paint.dim(&format!("> POST {url}")));
    }
    headers(&mut text, &attempt.request.headers, "> ", paint);
    if let Some(answer) = &attempt.response {
        response(&mut text, answer, paint);
    }
    text
}

/// `[200]`, `[500] status`, `[ERR] timeout`.
fn result(response: Option<&Response>, error: Option<&str>, paint: Paint) -> String {
    let error = error.map(in_cell);
    match (response.map(|response| response.status), error) {
        (Some(status), None) => paint.green(&format!("[{status}]")),
        (Some(status), Some(error)) => format!("{} {error}", paint.red(&format!("[{status}]"))),
        (None, error) => format!("{} {}", paint.red("[ERR]"), error.unwrap_or_default()),
    }
}

fn response(text: &mut String, response: &Response, paint: Paint) {
    headers(text, &response.headers, "< ", paint);
    body(text, &response.body, response.encoding.as_deref(), "< ", paint);
    if response.truncated {
        let _ = write!(text, "\n{}", paint.dim("< … the response was longer; no more of it was kept"));
    }
    if let Some(error) = &response.body_error {
        let _ = write!(text, "\n{}", paint.dim(&format!("< … {}", plain(error))));
    }
}

fn body(text: &mut String, body: &str, encoding: Option<&str>, arrow: &str, paint: Paint) {
    if encoding == Some("base64") {
        let _ = write!(text, "\n{}", paint.dim(&format!("{arrow}(not text; in base64)")));
    }
    for line in plain(body).lines() {
        let _ = write!(text, "\n{arrow}{line}");
    }
}

fn headers(text: &mut String, headers: &Headers, arrow: &str, paint: Paint) {
    for (name, value) in &headers.0 {
        let [name, value] = [name, value].map(|part| one_line(part, HEADER_CHARACTERS_MAX));
        let _ = write!(text, "\n{}", paint.dim(&format!("{arrow}{name}: {value}")));
    }
}

/// Signatures are some 100; a cookie may be 4,096.
const HEADER_CHARACTERS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_shows_each_request_and_response() {
        let shown = r#"{
            "id": "dlv_1", "event_id": "evt_1", "event_type": "invoice.paid", "webhook_id": "wh_1", "status": "failed",
            "url": "https://example.com/", "created_at": "2026-03-01T10:02:10Z", "next_attempt_at": null, "reason": "exhausted", "test": false,
            "request": { "body": "{\"a\":1}" },
            "attempts": [{
                "number": 1, "trigger": "schedule", "started_at": "2026-03-01T10:02:11Z", "duration_ms": 12, "error": "status",
                "request": { "url": "https://example.com/", "headers": { "content-type": "application/json" } },
                "response": { "status": 500, "headers": { "x": "y\u001b" }, "body": "no\nway", "truncated": true, "body_error": "it broke\u001b off" }
            }, {
                "number": 2, "trigger": "manual", "started_at": "2026-03-01T10:02:12Z", "duration_ms": 3, "error": "timeout",
                "detail": "15 s passed", "request": { "url": "", "headers": {} }, "response": null
            }]
        }"#;
        let whole: Whole = serde_json::from_str(shown).expect("a delivery");
        let expected = "dlv_1  invoice.paid  failed\n\
                        because     exhausted\n\
                        event       evt_1\n\
                        webhook     wh_1\n\
                        url         https://example.com/\n\
                        created     2026-03-01T10:02:10Z\n\
                        \n\
                        > {\"a\":1}\n\
                        \n\
                        attempt 1  2026-03-01T10:02:11Z  schedule  [500] status  12 ms\n\
                        > POST https://example.com/\n\
                        > content-type: application/json\n\
                        < x: y\\u{1b}\n\
                        < no\n\
                        < way\n\
                        < … the response was longer; no more of it was kept\n\
                        < … it broke\\u{1b} off\n\
                        \n\
                        attempt 2  2026-03-01T10:02:12Z  manual  [ERR] timeout  3 ms\n  15 s passed";
        assert_eq!(delivery(&whole, Paint::OFF), expected);
    }

    #[test]
    fn a_success_is_green_and_the_rest_is_not() {
        let answer = r#"{"status":204,"headers":{},"body":"","truncated":false}"#;
        let answer: Response = serde_json::from_str(answer).expect("a response");
        assert_eq!(result(Some(&answer), None, Paint::ON), "\u{1b}[32m[204]\u{1b}[0m");
        assert_eq!(status(Status::Held, Paint::ON), "\u{1b}[33mheld\u{1b}[0m");
    }
}
