//! One delivery with its attempts, as a person reads it: each request and its response, one under the other.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::Value;

use super::print::Paint;
use super::words::{cell, one_line, plain};

/// How long a test may take: the longest timeout that a dialect may have, 5 min, and the wait for its turn.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(6 * 60);

/// The whole delivery.
pub(crate) fn delivery(delivery: &Value, paint: Paint) -> String {
    let mut text = format!("{}  {}  {}", cell(delivery, "id"), cell(delivery, "event_type"), status(delivery, paint));
    for (label, member) in FACTS {
        let value = cell(delivery, member);
        if !value.is_empty() && value != "false" {
            let _ = write!(text, "\n{label:<12}{value}");
        }
    }
    let request = &delivery["request"];
    if !request.is_null() {
        text.push('\n');
        body(&mut text, request, "> ", paint);
    }
    for attempt in delivery["attempts"].as_array().into_iter().flatten() {
        let _ = write!(text, "\n\n{}", one(attempt, paint));
    }
    text
}

/// The status in its colour.
pub(crate) fn status(delivery: &Value, paint: Paint) -> String {
    let word = cell(delivery, "status");
    match word.as_str() {
        "succeeded" => paint.green(&word),
        "failed" => paint.red(&word),
        _ => paint.yellow(&word),
    }
}

fn one(attempt: &Value, paint: Paint) -> String {
    let head = format!("attempt {}  {}  {}", cell(attempt, "number"), cell(attempt, "started_at"), cell(attempt, "trigger"));
    let mut text = format!("{}  {}  {} ms", paint.bold(&head), result(attempt, paint), cell(attempt, "duration_ms"));
    if let Some(detail) = attempt["detail"].as_str() {
        let _ = write!(text, "\n  {}", plain(detail));
    }
    let url = cell(&attempt["request"], "url");
    if !url.is_empty() {
        let _ = write!(text, "\n{}", paint.dim(&format!("> POST {url}")));
    }
    message(&mut text, &attempt["request"], "> ", paint);
    message(&mut text, &attempt["response"], "< ", paint);
    if attempt["response"]["truncated"] == true {
        let _ = write!(text, "\n{}", paint.dim("< … the response was longer; no more of it was kept"));
    }
    if let Some(error) = attempt["response"]["body_error"].as_str() {
        let _ = write!(text, "\n{}", paint.dim(&format!("< … {}", plain(error))));
    }
    text
}

/// `[200]`, `[500] status`, `[ERR] timeout`.
fn result(attempt: &Value, paint: Paint) -> String {
    let error = cell(attempt, "error");
    match (attempt["response"]["status"].as_u64(), error.is_empty()) {
        (Some(status), true) => paint.green(&format!("[{status}]")),
        (Some(status), false) => format!("{} {error}", paint.red(&format!("[{status}]"))),
        (None, _) => format!("{} {error}", paint.red("[ERR]")),
    }
}

fn message(text: &mut String, message: &Value, arrow: &str, paint: Paint) {
    if message.is_null() {
        return;
    }
    for (name, value) in headers(&message["headers"]) {
        let _ = write!(text, "\n{}", paint.dim(&format!("{arrow}{name}: {value}")));
    }
    if !message["body"].is_null() {
        body(text, message, arrow, paint);
    }
}

fn body(text: &mut String, message: &Value, arrow: &str, paint: Paint) {
    let body = message["body"].as_str().map_or_else(|| message["body"].to_string(), str::to_owned);
    if message["encoding"] == "base64" {
        let _ = write!(text, "\n{}", paint.dim(&format!("{arrow}(not text; in base64)")));
    }
    for line in plain(&body).lines() {
        let _ = write!(text, "\n{arrow}{line}");
    }
}

fn headers(headers: &Value) -> impl Iterator<Item = (String, String)> {
    let text = |text: &str| one_line(text, HEADER_CHARACTERS_MAX);
    let members = headers.as_object().into_iter().flatten();
    members.map(move |(name, value)| (text(name), text(value.as_str().unwrap_or_default())))
}

const FACTS: [(&str, &str); 8] = [
    ("because", "reason"),
    ("event", "event_id"),
    ("webhook", "webhook_id"),
    ("url", "url"),
    ("created", "created_at"),
    ("succeeded", "succeeded_at"),
    ("next", "next_attempt_at"),
    ("test", "test"),
];

/// Signatures are some 100; a cookie may be 4,096.
const HEADER_CHARACTERS_MAX: usize = 300;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_delivery_shows_each_request_and_response() {
        let value = json!({
            "id": "dlv_1", "event_id": "evt_1", "event_type": "invoice.paid", "webhook_id": "wh_1", "status": "failed",
            "url": "https://example.com/", "next_attempt_at": null, "reason": "exhausted", "test": false,
            "request": { "body": "{\"a\":1}" },
            "attempts": [{
                "number": 1, "trigger": "schedule", "started_at": "2026-03-01T10:02:11Z", "duration_ms": 12, "error": "status",
                "request": { "url": "https://example.com/", "headers": { "content-type": "application/json" } },
                "response": { "status": 500, "headers": { "x": "y\u{1b}" }, "body": "no\nway", "truncated": true, "body_error": "it broke\u{1b} off" },
            }, { "number": 2, "trigger": "manual", "started_at": "t", "duration_ms": 3, "error": "timeout", "detail": "15 s passed", "request": null, "response": null }],
        });
        let expected = "dlv_1  invoice.paid  failed\n\
                        because     exhausted\n\
                        event       evt_1\n\
                        webhook     wh_1\n\
                        url         https://example.com/\n\
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
                        attempt 2  t  manual  [ERR] timeout  3 ms\n  15 s passed";
        assert_eq!(delivery(&value, Paint::OFF), expected);
    }

    #[test]
    fn a_success_is_green_and_the_rest_is_not() {
        assert_eq!(result(&json!({ "error": null, "response": { "status": 204 } }), Paint::ON), "\u{1b}[32m[204]\u{1b}[0m");
        assert_eq!(status(&json!({ "status": "held" }), Paint::ON), "\u{1b}[33mheld\u{1b}[0m");
    }
}
