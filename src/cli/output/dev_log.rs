//! What `dev` shows: one header when it is ready, then a line for each event, attempt, retry and result.
//!
//! ```text
//! 10:02:11  --> invoice.paid  evt_01J…
//! 10:02:11  <-- [ERR] POST 127.0.0.1:3000/  connection refused  attempt 1/5, next in 5 s  evt_01J…
//! 10:02:16  <-- [200] POST 127.0.0.1:3000/  12 ms  attempt 2/5  evt_01J…
//! ```
//!
//! Pure: facts go in, text comes out. What an endpoint answered is shown, but commands no terminal.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use jiff::tz::TimeZone;

use super::hint::{Called, Hint, quoted};
use super::print::Paint;
use super::words::{count, duration, one_line, plain_json};
use crate::domain::time::Timestamp;
use crate::server::{Forward, Ready};
use crate::store::{Attempted, Fact, Status};

/// How a person is shown what happens.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    pub(crate) paint: Paint,
    /// In which times of day are told.
    pub(crate) zone: TimeZone,
    /// How this relay is reached by the commands that are named.
    pub(crate) called: Called,
}

impl Screen {
    /// The header block, the last line being `Ready in …`.
    pub(crate) fn header(&self, ready: &Ready) -> String {
        let mut text = self.paint.bold(&format!("hookwheel {}", env!("CARGO_PKG_VERSION")));
        let data = ready.data.as_ref().map_or_else(|| "ephemeral, gone at the end".to_owned(), |folder| format!("data {folder}"));
        let _ = writeln!(text, "  dev mode · {data} · loopback only");
        for (label, value) in self.entries(ready) {
            let _ = writeln!(text, "  {}{value}", self.paint.dim(&format!("{label:<11}")));
        }
        let _ = write!(text, "Ready in {}. Times are local, {}. ^C to stop.", duration(ready.took), ready.at.offset(&self.zone));
        text
    }

    fn entries(&self, ready: &Ready) -> Vec<(&'static str, String)> {
        vec![
            ("Send to", format!("{}/v1/events      (no key needed in dev)", ready.address)),
            ("Forward", forward(&ready.forward, self.paint)),
            ("Socket", ready.socket.clone()),
            ("Secret", self.secret(ready)),
            ("Try", self.line(&Hint::tenants(r#"send invoice.paid -d '{"id":"in_1"}'"#))),
        ]
    }

    fn secret(&self, ready: &Ready) -> String {
        let kept = if ready.data.is_some() { "kept between runs" } else { "made for this run" };
        let shows = || format!("{kept}; {} shows it", self.line(&Hint::tenants(format!("webhooks secret {}", ready.webhook))));
        ready.secret.clone().unwrap_or_else(shows)
    }

    /// A command about this relay, as it is pasted.
    pub(crate) fn line(&self, hint: &Hint) -> String {
        hint.line(&self.called)
    }

    /// The lines of one fact.
    pub(crate) fn lines(&self, fact: &Fact) -> String {
        match fact {
            Fact::Published { at, id, kind, deliveries } => self.published(*at, id, kind, *deliveries),
            Fact::Attempted(attempted) => self.attempt(attempted),
            Fact::Disabled { at, webhook, why } => {
                let state = self.paint.red("disabled");
                let remedy = self.line(&Hint::tenants(format!("webhooks enable {}", quoted(webhook))));
                format!("{}  !!! {} {state}: {why}\n{INDENT}try: {remedy}", self.clock(*at), one_line(webhook, NAME_MAX))
            }
            Fact::Enabled { at, webhook } => {
                format!("{}  !!! {} {}", self.clock(*at), one_line(webhook, NAME_MAX), self.paint.green("enabled"))
            }
        }
    }

    fn published(&self, at: Timestamp, id: &str, kind: &str, deliveries: u32) -> String {
        let to = match deliveries {
            0 => self.paint.yellow("  no webhook wants it"),
            1 => String::new(),
            many => format!("  -> {}", count(many.into(), "endpoint")),
        };
        format!("{}  --> {}  {id}{to}", self.clock(at), self.paint.bold(&one_line(kind, NAME_MAX)))
    }

    fn attempt(&self, attempted: &Attempted) -> String {
        let paint = self.paint;
        let mut line = format!("{}  <-- {}", self.clock(attempted.at), result(attempted, paint));
        let _ = write!(line, "  attempt {}/{}{}", attempted.number, attempted.of, fate(attempted, paint));
        if !is_success(attempted) && !attempted.response_start.trim().is_empty() {
            let _ = write!(line, "   body: {}", one_line(&attempted.response_start, BODY_MAX));
        }
        let _ = write!(line, "  {}", paint.dim(&attempted.event_id));
        if matches!(attempted.status, Some(401 | 403)) {
            let shows = self.line(&Hint::tenants(format!("webhooks secret {}", quoted(&attempted.webhook))));
            let _ = write!(line, "\n{INDENT}the secret that it was signed with: {shows}");
        }
        line
    }

    fn clock(&self, at: Timestamp) -> String {
        at.clock_face(&self.zone)
    }
}

fn forward(forward: &Forward, paint: Paint) -> String {
    match forward {
        Forward::Inside(url) => format!("{url}      (a receiver inside; --forward-to PORT names yours)"),
        Forward::To { url, listening: true } => url.clone(),
        Forward::To { url, listening: false } => {
            format!("{url}      {}", paint.yellow("! nothing is listening there yet, events will wait"))
        }
    }
}

/// `[200] POST host/  12 ms`, or `[ERR] POST host/` and what went wrong.
fn result(attempted: &Attempted, paint: Paint) -> String {
    let target = one_line(attempted.url.split_once("://").map_or(&*attempted.url, |(_, rest)| rest), URL_MAX);
    match (attempted.status, &attempted.error) {
        (Some(status), _) => format!("{} POST {target}  {}", banded(status, paint), duration(attempted.duration)),
        (None, Some((_, detail))) => format!("{} POST {target}  {}", paint.red("[ERR]"), one_line(detail, DETAIL_MAX)),
        (None, None) => format!("{} POST {target}  no response", paint.red("[ERR]")),
    }
}

/// The status in its colour; the number says it too.
fn banded(status: u16, paint: Paint) -> String {
    let text = format!("[{status}]");
    match status {
        200..=299 => paint.green(&text),
        300..=499 => paint.yellow(&text),
        _ => paint.red(&text),
    }
}

/// What follows from the attempt.
fn fate(attempted: &Attempted, paint: Paint) -> String {
    match (attempted.ended, attempted.next_at) {
        (Some(Status::Failed), _) => format!(", {}", paint.red("failed")),
        (Some(Status::Held), _) => format!(", {}", paint.yellow("held")),
        (None | Some(Status::Pending), Some(next)) => format!(", next in {}", duration(rounded(next.since(attempted.at)))),
        _ => String::new(),
    }
}

/// To the next whole second: a wait of 4.999 s is one of 5 s to a person.
pub(super) fn rounded(time: Duration) -> Duration {
    if time < Duration::from_secs(1) { time } else { Duration::from_secs((time + Duration::from_millis(500)).as_secs()) }
}

fn is_success(attempted: &Attempted) -> bool {
    attempted.ended == Some(Status::Succeeded)
}

/// The header as one JSON object.
pub(crate) fn ready_json(ready: &Ready) -> String {
    let (forward, listening) = match &ready.forward {
        Forward::Inside(url) => (url, true),
        Forward::To { url, listening } => (url, *listening),
    };
    print(&Record::Ready {
        version: env!("CARGO_PKG_VERSION"),
        ingest: format!("{}/v1/events", ready.address),
        forward,
        listening,
        data: ready.data.as_deref(),
        socket: &ready.socket,
        secret: ready.secret.as_deref(),
        took_ms: millis(ready.took),
    })
}

/// One fact as one JSON object.
pub(crate) fn json(fact: &Fact) -> String {
    print(&match fact {
        Fact::Published { at, id, kind, deliveries } => {
            Record::Event { at: at.rfc3339_micros(), id, event_type: kind, deliveries: *deliveries }
        }
        Fact::Attempted(attempted) => attempt_record(attempted),
        Fact::Disabled { at, webhook, why } => Record::Disabled { at: at.rfc3339_micros(), webhook, why },
        Fact::Enabled { at, webhook } => Record::Enabled { at: at.rfc3339_micros(), webhook },
    })
}

fn attempt_record(attempted: &Attempted) -> Record<'_> {
    Record::Attempt {
        at: attempted.at.rfc3339_micros(),
        event: &attempted.event_id,
        event_type: &attempted.kind,
        webhook: &attempted.webhook,
        url: &attempted.url,
        number: attempted.number,
        of: attempted.of,
        status: attempted.status,
        error: attempted.error.as_ref().map(|(class, _)| class.name()),
        detail: attempted.error.as_ref().map(|(_, detail)| detail.as_str()),
        duration_ms: millis(attempted.duration),
        next_attempt_at: attempted.next_at.map(Timestamp::rfc3339_micros),
        ended: attempted.ended.map(status_name),
    }
}

fn status_name(status: Status) -> &'static str {
    match status {
        Status::Pending => "pending",
        Status::Succeeded => "succeeded",
        Status::Failed => "failed",
        Status::Held => "held",
    }
}

fn print(record: &Record<'_>) -> String {
    plain_json(&serde_json::to_string(record).expect("strings and numbers always print as JSON"))
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// One line of `--output json`; the members in this order.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Record<'a> {
    Ready {
        version: &'static str,
        ingest: String,
        forward: &'a str,
        listening: bool,
        data: Option<&'a str>,
        socket: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        secret: Option<&'a str>,
        took_ms: u64,
    },
    Event {
        at: String,
        id: &'a str,
        event_type: &'a str,
        deliveries: u32,
    },
    Attempt {
        at: String,
        event: &'a str,
        event_type: &'a str,
        webhook: &'a str,
        url: &'a str,
        number: u16,
        of: u16,
        status: Option<u16>,
        error: Option<&'static str>,
        detail: Option<&'a str>,
        duration_ms: u64,
        next_attempt_at: Option<String>,
        ended: Option<&'static str>,
    },
    Disabled {
        at: String,
        webhook: &'a str,
        why: &'a str,
    },
    Enabled {
        at: String,
        webhook: &'a str,
    },
}

/// Under the text behind the clock.
const INDENT: &str = "              ";

const NAME_MAX: usize = 80;
const URL_MAX: usize = 80;
const DETAIL_MAX: usize = 120;
/// Enough for `{"error":"bad signature"}` and its like.
const BODY_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::outcome::Class;

    fn at() -> Timestamp {
        Timestamp::parse_rfc3339("2026-03-01T10:02:11Z").expect("a time")
    }

    fn attempted() -> Attempted {
        Attempted {
            at: at(),
            event_id: "evt_1".into(),
            kind: "invoice.paid".into(),
            webhook: "dev".into(),
            url: "http://127.0.0.1:3000/".into(),
            number: 1,
            of: 5,
            status: Some(200),
            error: None,
            duration: Duration::from_millis(12),
            next_at: None,
            ended: Some(Status::Succeeded),
            response_start: "ok".into(),
        }
    }

    fn screen(socket: Option<&str>) -> Screen {
        let called = Called::default().with_socket(socket.map(str::to_owned));
        Screen { paint: Paint::OFF, zone: TimeZone::fixed(jiff::tz::offset(1)), called }
    }

    fn told(fact: &Fact) -> String {
        screen(None).lines(fact)
    }

    fn shown(attempted: Attempted) -> String {
        told(&Fact::Attempted(Box::new(attempted)))
    }

    #[test]
    fn an_event_goes_out() {
        let fact = |deliveries| Fact::Published { at: at(), id: "evt_1".into(), kind: "invoice.paid".into(), deliveries };
        assert_eq!(told(&fact(1)), "11:02:11  --> invoice.paid  evt_1");
        assert_eq!(told(&fact(3)), "11:02:11  --> invoice.paid  evt_1  -> 3 endpoints");
        assert_eq!(told(&fact(0)), "11:02:11  --> invoice.paid  evt_1  no webhook wants it");
    }

    #[test]
    fn a_success_is_one_line_without_the_body() {
        assert_eq!(shown(attempted()), "11:02:11  <-- [200] POST 127.0.0.1:3000/  12 ms  attempt 1/5  evt_1");
    }

    #[test]
    fn a_refused_connection_says_when_the_next_attempt_is() {
        let refused = Attempted {
            status: None,
            error: Some((Class::Connect, "connection refused".into())),
            next_at: Some(at() + Duration::from_millis(4_999)),
            ended: None,
            response_start: String::new(),
            ..attempted()
        };
        assert_eq!(
            shown(refused),
            "11:02:11  <-- [ERR] POST 127.0.0.1:3000/  connection refused  attempt 1/5, next in 5 s  evt_1"
        );
    }

    #[test]
    fn a_401_shows_its_body_and_where_the_secret_is() {
        let error = Some((Class::Status, "401".into()));
        let next_at = Some(at() + Duration::from_secs(30));
        let refused = Attempted {
            status: Some(401),
            error,
            ended: None,
            next_at,
            response_start: "\"bad\nsig\u{1b}[2J\"".into(),
            ..attempted()
        };
        let expected = "11:02:11  <-- [401] POST 127.0.0.1:3000/  12 ms  attempt 1/5, next in 30 s   body: \"bad sig\\u{1b}[2J\"  evt_1\n\
                        \x20             the secret that it was signed with: hookwheel webhooks secret dev";
        assert_eq!(shown(refused), expected);
    }

    #[test]
    fn the_last_attempt_says_that_the_delivery_failed() {
        let last =
            Attempted { number: 5, status: Some(500), ended: Some(Status::Failed), response_start: String::new(), ..attempted() };
        assert_eq!(shown(last), "11:02:11  <-- [500] POST 127.0.0.1:3000/  12 ms  attempt 5/5, failed  evt_1");
    }

    #[test]
    fn a_disabled_webhook_says_how_to_enable_it() {
        let fact = Fact::Disabled { at: at(), webhook: "dev".into(), why: "10 consecutive failures".into() };
        let expected = "11:02:11  !!! dev disabled: 10 consecutive failures\n              try: hookwheel webhooks enable dev";
        assert_eq!(told(&fact), expected);
    }

    #[test]
    fn colours_are_bands_and_the_number_stays() {
        for (status, colour) in [(204, "32"), (302, "33"), (404, "33"), (500, "31"), (102, "31")] {
            assert_eq!(banded(status, Paint::ON), format!("\u{1b}[{colour}m[{status}]\u{1b}[0m"));
        }
    }

    #[test]
    fn the_header_names_what_a_user_needs_first() {
        let ready = Ready {
            address: "http://127.0.0.1:8080".into(),
            data: Some("/home/ada/.local/share/hookwheel/dev".into()),
            socket: "/run/user/1000/hookwheel/dev.sock".into(),
            forward: Forward::To { url: "http://127.0.0.1:3000/".into(), listening: false },
            secret: None,
            webhook: "dev",
            at: at(),
            took: Duration::from_millis(38),
        };
        let text = screen(None).header(&ready);
        assert!(text.starts_with("hookwheel 0.") && text.contains("loopback only\n"), "{text}");
        assert!(text.contains("  Send to    http://127.0.0.1:8080/v1/events "), "{text}");
        assert!(text.contains("! nothing is listening there yet"), "{text}");
        assert!(text.ends_with("Ready in 38 ms. Times are local, UTC+01:00. ^C to stop."), "{text}");
        let read: serde_json::Value = serde_json::from_str(&ready_json(&ready)).expect("JSON");
        assert_eq!(read["ingest"], "http://127.0.0.1:8080/v1/events");
        assert_eq!(read.get("secret"), None);
        assert!(text.contains("kept between runs; hookwheel webhooks secret dev shows it"), "{text}");
        let ephemeral = screen(Some("/tmp/x y/dev.sock")).header(&Ready { data: None, ..ready });
        let found = "  Try        hookwheel send invoice.paid -d '{\"id\":\"in_1\"}' --socket '/tmp/x y/dev.sock'\n";
        assert!(ephemeral.contains(found), "{ephemeral}");
        assert!(ephemeral.contains("made for this run;") && !ephemeral.contains("between runs"), "{ephemeral}");
    }

    #[test]
    fn as_json_an_attempt_is_one_object_with_its_type_first() {
        let error = Some((Class::Timeout, "15 s passed".into()));
        let next_at = Some(at() + Duration::from_secs(5));
        let text = json(&Fact::Attempted(Box::new(Attempted { status: None, error, ended: None, next_at, ..attempted() })));
        let expected = "{\"type\":\"attempt\",\"at\":\"2026-03-01T10:02:11.000000Z\",\"event\":\"evt_1\",\"event_type\":\"invoice.paid\",\
                        \"webhook\":\"dev\",\"url\":\"http://127.0.0.1:3000/\",\"number\":1,\"of\":5,\"status\":null,\"error\":\"timeout\",\
                        \"detail\":\"15 s passed\",\"duration_ms\":12,\"next_attempt_at\":\"2026-03-01T10:02:16.000000Z\",\"ended\":null}";
        assert_eq!(text, expected);
    }
}
