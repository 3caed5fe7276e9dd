//! `send`: publishes one event, and with --wait sees it to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::api::document::delivery::{Reason, Row, Status};
use crate::api::document::event::Accepted;
use crate::cli::args::{self, Target};
use crate::cli::client::watch::{Watch, Watched};
use crate::cli::client::{Call, Error, Served};
use crate::cli::command::deliveries;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::{Hint, quoted};
use crate::cli::output::print::Out;
use crate::cli::output::words::json_line;
use crate::cli::output::words::{count, duration, in_cell, plain};

/// Publish one event
#[derive(Args, Debug)]
#[command(visible_alias = "trigger")]
pub(crate) struct Send {
    /// The event's type, as in invoice.paid
    #[arg(value_name = "TYPE", value_parser = args::event_type)]
    kind: String,

    /// Its data: JSON, @FILE, or - for stdin
    #[arg(short, long, value_name = "DATA", default_value = "{}")]
    data: String,

    /// Its id, unique in the tenant [default: made by the service]
    #[arg(long, value_parser = args::id)]
    id: Option<String>,

    /// A second name for it, unique in the tenant, which goes to no webhook
    #[arg(long, value_parser = args::uid)]
    uid: Option<String>,

    /// When it happened [default: now]
    #[arg(long, value_name = "TIME", value_parser = args::time)]
    occurred_at: Option<String>,

    /// An attribute: NAME=TEXT, or NAME:=JSON for a number, true, false or null; may be repeated
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<Attribute>,

    /// The connection that it belongs to, where the dialect has them
    #[arg(long, value_name = "ID", value_parser = args::id)]
    connection: Option<String>,

    /// The channels that it is for: names separated by commas, or repeated
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    channels: Vec<String>,

    /// Publishing again with the same key does nothing and gives the first answer
    #[arg(long, value_name = "KEY", value_parser = args::idempotency_key)]
    idempotency_key: Option<String>,

    /// Wait until every delivery has ended, of every tenant; exit with 1 if one failed or is held, with 4 if that took too long
    #[arg(long)]
    wait: bool,

    /// How long to wait
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = args::duration, requires = "wait")]
    timeout: Duration,

    #[command(flatten)]
    target: Target,
}

/// The event as the API takes it.
#[derive(Serialize)]
struct Event<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurred_at: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'a str, &'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    channels: &'a [String],
    data: &'a RawValue,
}

/// A name and a JSON scalar.
#[derive(Clone, Debug)]
struct Attribute {
    name: String,
    value: Box<RawValue>,
}

impl Send {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let service = self.target.service()?;
        let body = self.body(&args::json(&self.data)?);
        let watch = Watch { service: &service, tenant: self.target.tenant() };
        if self.wait {
            watch.check()?;
        }
        let call = Call::post("/v1/events", body).idempotency_key(self.idempotency_key.clone());
        let answer = service.ask(call).map_err(|error| self.unanswered(error))?;
        let accepted: Accepted<'_> = answer.read()?;
        match out.json && !self.wait {
            true => out.line(answer.text()?)?,
            false => out.line(self.line(&accepted, answer.status == REPEATED, out))?,
        }
        warn(&accepted, out);
        match accepted.deliveries {
            0 => Ok(self.nobody(!accepted.warnings.is_empty(), out)),
            deliveries if self.wait => self.wait(&watch, &accepted.id, deliveries.into(), out),
            _ => Ok(Exit::Ok),
        }
    }

    /// A call without an answer may have published the event.
    fn unanswered(&self, error: Error) -> Failure {
        let is_lost = matches!(error, Error::Silent { .. } | Error::Broken { .. });
        let can_be_repeated = self.id.is_some() || self.uid.is_some() || self.idempotency_key.is_some();
        let failure = Failure::from(error);
        match (is_lost, can_be_repeated) {
            (false, _) => failure,
            (true, true) => failure.with_hint(Hint::Repeat),
            (true, false) => failure.with_more(MAYBE_PUBLISHED),
        }
    }

    fn body(&self, data: &RawValue) -> Vec<u8> {
        let attributes = self.attributes.iter().map(|attribute| (attribute.name.as_str(), &*attribute.value)).collect();
        let event = Event {
            kind: &self.kind,
            id: self.id.as_deref(),
            uid: self.uid.as_deref(),
            occurred_at: self.occurred_at.as_deref(),
            attributes,
            connection: self.connection.as_deref(),
            channels: &self.channels,
            data,
        };
        serde_json::to_vec(&event).expect("strings and JSON always print as JSON")
    }

    /// `evt_…  invoice.paid  queued -> 1 endpoint`.
    fn line(&self, accepted: &Accepted<'_>, repeated: bool, out: &Out) -> String {
        if out.json {
            let Accepted { id, deliveries, warnings, .. } = accepted;
            return json_line(&Watchable { kind: "published", event: id, deliveries: *deliveries, warnings });
        }
        let endpoints = count(accepted.deliveries.into(), "endpoint");
        let what = if repeated { "published before" } else { "queued" };
        format!("{}  {}  {what} -> {endpoints}", in_cell(&accepted.id), plain(&self.kind))
    }

    /// Whoever may have misspelt the type looks at what webhooks want, and subscribes none to the slip.
    fn nobody(&self, is_doubtful: bool, out: &Out) -> Exit {
        if !out.json {
            let tenant = self.target.tenant();
            out.note(format!("no webhook of {tenant} wants {}; the event is kept and can be read from the API", self.kind));
            let add = || format!("webhooks add https://example.com/hooks --events {}", quoted(&self.kind));
            out.hint(&Hint::tenants(if is_doubtful || self.target.is_many() { "webhooks list".into() } else { add() }));
        }
        Exit::Ok
    }

    fn wait(&self, watch: &Watch<'_>, id: &str, expected: u64, out: &Out) -> Result<Exit, Failure> {
        let watched = watch.until_ended(id, expected, self.timeout);
        for delivery in &watched.deliveries {
            out.line(if out.json { ended(delivery) } else { self.delivery_line(delivery) })?;
        }
        if !watched.ended {
            return Err(self.not_ended(id, &watched, expected));
        }
        if !out.json {
            watched.deliveries.iter().find_map(|row| next_step(row)).into_iter().for_each(|hint| out.hint(&hint));
        }
        Ok(if watched.all_succeeded() { Exit::Ok } else { Exit::Negative })
    }

    fn not_ended(&self, id: &str, watched: &Watched, expected: u64) -> Failure {
        let message = match &watched.trouble {
            Some(trouble) => format!("{id} is published, but its deliveries could not be watched to their end: {trouble}"),
            None => {
                let (ended, limit) = (watched.count_ended(), duration(self.timeout));
                format!("{id} is published; {ended} of {expected} deliveries ended within {limit}")
            }
        };
        let hint = Hint::tenants(format!("deliveries list --status pending --event {}", quoted(id)));
        Failure::new(Exit::NotEnded, message, hint)
    }

    /// Of which tenant it is, where it may be any of a provider's.
    fn delivery_line(&self, row: &Row) -> String {
        let (delivery, attempts) = (&row.delivery, count(row.attempts.into(), "attempt"));
        let whose = if self.target.is_many() { format!("{}  ", deliveries::whose(row)) } else { String::new() };
        let why = match deliveries::why(row) {
            why if why.is_empty() || delivery.status == Status::Succeeded => String::new(),
            why => format!("  because: {why}"),
        };
        let [id, url] = [&delivery.id, &delivery.url].map(|text| in_cell(text));
        format!("{id}  {}  {attempts}  {}{url}{}", delivery.status.name(), plain(&whose), plain(&why))
    }
}

/// Tells what the service warns of when it takes an event; JSON has it in the answer.
pub(in crate::cli) fn warn(accepted: &Accepted<'_>, out: &Out) {
    accepted.warnings.iter().filter(|_| !out.json).for_each(|warning| out.note(format!("warning: {}", plain(warning))));
    for error in accepted.schema_errors.iter().filter(|_| !out.json) {
        out.note(format!("warning: by the schema of its type, {}: {}", plain(&error.pointer), plain(&error.detail)));
    }
}

/// The command for a person whose delivery did not succeed.
fn next_step(row: &Row) -> Option<Hint> {
    let (delivery, webhook) = (&row.delivery, in_cell(&row.delivery.webhook_id));
    match (delivery.status, &delivery.reason) {
        (Status::Failed, _) => Some(Hint::service(format!("deliveries show {}", in_cell(&delivery.id)))),
        (Status::Held, Some(Reason::WebhookDisabled)) => Some(Hint::service(format!("webhooks enable {webhook}"))),
        (Status::Held, _) => Some(Hint::service(format!("webhooks show {webhook}"))),
        (Status::Pending | Status::Succeeded, _) => None,
    }
}

/// With `--wait --json` the first line: the event, whose deliveries follow.
#[derive(Serialize)]
struct Watchable<'a> {
    deliveries: u32,
    event: &'a str,
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    warnings: &'a [String],
}

/// With `--wait --json` a line for each delivery.
#[derive(Serialize)]
struct Ended<'a> {
    delivery: &'a Served<Row>,
    #[serde(rename = "type")]
    kind: &'static str,
}

fn ended(delivery: &Served<Row>) -> String {
    json_line(&Ended { delivery, kind: "delivery" })
}

fn attribute(text: &str) -> Result<Attribute, String> {
    let (name, value) = text.split_once('=').ok_or("an attribute is NAME=TEXT or NAME:=JSON")?;
    let (name, value) = match name.strip_suffix(':') {
        Some(name) => (name, scalar(value)?),
        None => (name, to_raw_value(value).map_err(|error| error.to_string())?),
    };
    if name.is_empty() { Err("an attribute has a name".into()) } else { Ok(Attribute { name: name.into(), value }) }
}

fn scalar(text: &str) -> Result<Box<RawValue>, String> {
    let value: Box<RawValue> = serde_json::from_str(text).map_err(|error| format!("what follows := is not JSON: {error}"))?;
    if value.get().starts_with(['{', '[']) { Err("an attribute is a scalar, no object and no list".into()) } else { Ok(value) }
}

const MAYBE_PUBLISHED: &str = "; it may have published the event all the same: with --id or --idempotency-key it can be repeated";

/// The status of an answer to what was published before.
const REPEATED: u16 = 200;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::api::document::delivery::fixture;
    use crate::cli::output::hint::Called;
    use crate::cli::output::print::Colour;
    use crate::domain::delivery::End;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        send: Send,
    }

    fn send(arguments: &[&str]) -> Send {
        Line::try_parse_from(std::iter::once(&"send").chain(arguments)).expect("parsed").send
    }

    #[test]
    fn the_data_goes_out_byte_for_byte() {
        let send = send(&["invoice.paid", "--id", "in-1", "--attribute", "n:=7", "--attribute", "t=7", "--attribute", "e=a=b"]);
        let data = args::json(r#"{"a": 1.10, "b": 1e999}"#).expect("JSON");
        let expected =
            r#"{"type":"invoice.paid","id":"in-1","attributes":{"e":"a=b","n":7,"t":"7"},"data":{"a": 1.10, "b": 1e999}}"#;
        assert_eq!(String::from_utf8(send.body(&data)).expect("text"), expected);
    }

    #[test]
    fn only_what_was_given_is_sent() {
        let body = send(&["a"]).body(&args::json("{}").expect("JSON"));
        assert_eq!(body, br#"{"type":"a","data":{}}"#);
    }

    #[test]
    fn the_answer_is_one_line() {
        let out = Out::new(false, Colour::Never, Called::default());
        let accepted = Accepted { id: "evt_1".into(), deliveries: 1, warnings: Vec::new(), schema_errors: Vec::new() };
        assert_eq!(send(&["invoice.paid"]).line(&accepted, false, &out), "evt_1  invoice.paid  queued -> 1 endpoint");
        assert_eq!(send(&["invoice.paid"]).line(&accepted, true, &out), "evt_1  invoice.paid  published before -> 1 endpoint");
    }

    #[test]
    fn a_delivery_that_did_not_succeed_says_why_and_what_to_do() {
        let row = |status: Status, reason: Option<Reason>| {
            let mut row = Row { last_error: Some("connect".into()), ..fixture::row(status) };
            row.delivery.reason = reason;
            row
        };
        let failed = row(Status::Failed, Some(Reason::Ended(End::Exhausted)));
        let held = row(Status::Held, Some(Reason::WebhookDisabled));
        let send = send(&["a"]);
        assert_eq!(send.delivery_line(&failed), "dlv_1  failed  2 attempts  https://x/  because: connect");
        assert_eq!(send.delivery_line(&held), "dlv_1  held  2 attempts  https://x/  because: disabled");
        assert_eq!(send.delivery_line(&row(Status::Succeeded, None)), "dlv_1  succeeded  2 attempts  https://x/");
        let step = |row: &Row| next_step(row).map(|hint| hint.line(&Called::default()));
        assert_eq!(step(&failed).as_deref(), Some("hookwheel deliveries show dlv_1"));
        assert_eq!(step(&held).as_deref(), Some("hookwheel webhooks enable wh_1"));
        let removed = row(Status::Held, Some(Reason::WebhookRemoved));
        assert_eq!(step(&removed).as_deref(), Some("hookwheel webhooks show wh_1"), "what was removed cannot be enabled");
    }

    #[test]
    fn an_answer_that_was_lost_leaves_open_whether_the_event_is_published() {
        let lost = || Error::Broken { socket: "/x".into(), cause: "it closed".into() };
        let said = |send: Send, error: Error| send.unanswered(error).human(&Called::default());
        assert!(said(send(&["a"]), lost()).contains("it may have published the event all the same"));
        let repeated = said(send(&["a", "--id", "i"]), lost());
        assert!(repeated.contains("  try: ") && !repeated.contains("may have published"), "{repeated}");
        assert!(!said(send(&["a"]), Error::NoService { tried: Vec::new() }).contains("may have published"));
    }

    #[test]
    fn an_attribute_is_a_scalar() {
        for bad in ["a", "=b", "a:=", "a:={}", "a:=[1]", "a:=b"] {
            assert!(attribute(bad).is_err(), "{bad}");
        }
        assert_eq!(attribute("a:=null").expect("a scalar").value.get(), "null");
    }
}
