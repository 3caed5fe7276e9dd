//! `send`: publishes one event, and with --wait sees it to its end.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};

use crate::cli::args::{self, Target};
use crate::cli::client::watch::{Watch, Watched};
use crate::cli::client::{Call, Error};
use crate::cli::command::deliveries;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::{Hint, quoted};
use crate::cli::output::print::Out;
use crate::cli::output::words::{cell, count, duration, plain};

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

    /// When it happened [default: now]
    #[arg(long, value_name = "TIME", value_parser = args::time)]
    occurred_at: Option<String>,

    /// An attribute: NAME=TEXT, or NAME:=JSON for a number, true, false or null; may be repeated
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<Attribute>,

    /// The connection that it belongs to, where the dialect has them
    #[arg(long, value_name = "ID", value_parser = args::id)]
    connection: Option<String>,

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
    occurred_at: Option<&'a str>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'a str, &'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection: Option<&'a str>,
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
        let accepted = answer.value()?;
        match out.json && !self.wait {
            true => out.line(answer.text()?)?,
            false => out.line(self.line(&accepted, answer.status == REPEATED, out))?,
        }
        self.warn(&accepted, out);
        match accepted["deliveries"].as_u64() {
            Some(0) | None => Ok(self.nobody(is_doubtful(&accepted), out)),
            Some(deliveries) if self.wait => self.wait(&watch, &accepted, deliveries, out),
            Some(_) => Ok(Exit::Ok),
        }
    }

    /// A call without an answer may have published the event.
    fn unanswered(&self, error: Error) -> Failure {
        let is_lost = matches!(error, Error::Silent { .. } | Error::Broken { .. });
        let can_be_repeated = self.id.is_some() || self.idempotency_key.is_some();
        let failure = Failure::from(error);
        match (is_lost, can_be_repeated) {
            (false, _) => failure,
            (true, true) => failure.with_hint(Hint::Repeat),
            (true, false) => failure.with_more(MAYBE_PUBLISHED),
        }
    }

    /// What the service warns of; JSON has it in the answer.
    fn warn(&self, accepted: &Value, out: &Out) {
        let warnings = accepted["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        warnings.filter(|_| !out.json).for_each(|warning| out.note(format!("warning: {}", plain(warning))));
    }

    fn body(&self, data: &RawValue) -> Vec<u8> {
        let attributes = self.attributes.iter().map(|attribute| (attribute.name.as_str(), &*attribute.value)).collect();
        let event = Event {
            kind: &self.kind,
            id: self.id.as_deref(),
            occurred_at: self.occurred_at.as_deref(),
            attributes,
            connection: self.connection.as_deref(),
            data,
        };
        serde_json::to_vec(&event).expect("strings and JSON always print as JSON")
    }

    /// `evt_…  invoice.paid  queued -> 1 endpoint`.
    fn line(&self, accepted: &Value, repeated: bool, out: &Out) -> String {
        if out.json {
            let mut members = json!({ "type": "published", "event": accepted["id"], "deliveries": accepted["deliveries"] });
            accepted.get("warnings").into_iter().for_each(|warnings| members["warnings"] = warnings.clone());
            return members.to_string();
        }
        let endpoints = count(accepted["deliveries"].as_u64().unwrap_or_default(), "endpoint");
        let what = if repeated { "published before" } else { "queued" };
        format!("{}  {}  {what} -> {endpoints}", cell(accepted, "id"), plain(&self.kind))
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

    fn wait(&self, watch: &Watch<'_>, accepted: &Value, expected: u64, out: &Out) -> Result<Exit, Failure> {
        let id = accepted["id"].as_str().unwrap_or_default();
        let watched = watch.until_ended(id, expected, self.timeout);
        for delivery in &watched.deliveries {
            out.line(if out.json { json_line(delivery) } else { self.delivery_line(delivery) })?;
        }
        if !watched.ended {
            return Err(self.not_ended(id, &watched, expected));
        }
        if !out.json {
            watched.deliveries.iter().find_map(next_step).into_iter().for_each(|hint| out.hint(&hint));
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
    fn delivery_line(&self, delivery: &Value) -> String {
        let attempts = count(delivery["attempts"].as_u64().unwrap_or_default(), "attempt");
        let whose = match self.target.is_many() {
            true => format!("{}/{}  ", cell(delivery, "provider"), cell(delivery, "tenant")),
            false => String::new(),
        };
        let why = match deliveries::why(delivery) {
            why if why.is_empty() || delivery["status"] == "succeeded" => String::new(),
            why => format!("  because: {why}"),
        };
        format!("{}  {}  {attempts}  {whose}{}{why}", cell(delivery, "id"), cell(delivery, "status"), cell(delivery, "url"))
    }
}

/// The command for a person whose delivery did not succeed.
fn next_step(delivery: &Value) -> Option<Hint> {
    match delivery["status"].as_str()? {
        "failed" => Some(Hint::service(format!("deliveries show {}", cell(delivery, "id")))),
        "held" if delivery["reason"] == DISABLED => {
            Some(Hint::service(format!("webhooks enable {}", cell(delivery, "webhook_id"))))
        }
        "held" => Some(Hint::service(format!("webhooks show {}", cell(delivery, "webhook_id")))),
        _ => None,
    }
}

/// Whether the service warns of the event's type.
fn is_doubtful(accepted: &Value) -> bool {
    accepted["warnings"].as_array().is_some_and(|warnings| !warnings.is_empty())
}

fn json_line(delivery: &Value) -> String {
    json!({ "type": "delivery", "delivery": delivery }).to_string()
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

/// The reason of a delivery that is held since its webhook was disabled, which can be enabled.
const DISABLED: &str = "webhook_disabled";

const MAYBE_PUBLISHED: &str = "; it may have published the event all the same: with --id or --idempotency-key it can be repeated";

/// The status of an answer to what was published before.
const REPEATED: u16 = 200;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::output::hint::Called;
    use crate::cli::output::print::{Colour, Out};

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
        let accepted = json!({ "id": "evt_1", "deliveries": 1 });
        assert_eq!(send(&["invoice.paid"]).line(&accepted, false, &out), "evt_1  invoice.paid  queued -> 1 endpoint");
        assert_eq!(send(&["invoice.paid"]).line(&accepted, true, &out), "evt_1  invoice.paid  published before -> 1 endpoint");
    }

    #[test]
    fn a_delivery_that_did_not_succeed_says_why_and_what_to_do() {
        let row = |status: &str, reason: Value| json!({ "id": "dlv_1", "webhook_id": "wh_1", "status": status, "attempts": 2, "url": "https://x/", "reason": reason, "last_error": "connect" });
        let (failed, held) = (row("failed", json!("exhausted")), row("held", json!("webhook_disabled")));
        let send = send(&["a"]);
        assert_eq!(send.delivery_line(&failed), "dlv_1  failed  2 attempts  https://x/  because: connect");
        assert_eq!(send.delivery_line(&held), "dlv_1  held  2 attempts  https://x/  because: disabled");
        assert_eq!(send.delivery_line(&row("succeeded", json!(null))), "dlv_1  succeeded  2 attempts  https://x/");
        let step = |row: &Value| next_step(row).map(|hint| hint.line(&Called::default()));
        assert_eq!(step(&failed).as_deref(), Some("hookwheel deliveries show dlv_1"));
        assert_eq!(step(&held).as_deref(), Some("hookwheel webhooks enable wh_1"));
        let removed = row("held", json!("webhook_removed"));
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
