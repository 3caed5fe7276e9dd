//! `webhooks`: the subscribed endpoints.

pub(in crate::cli) mod edit;
pub(in crate::cli) mod find;
pub(in crate::cli) mod purge;
pub(in crate::cli) mod settings;
pub(in crate::cli) mod trial;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;
use serde_json::value::RawValue;
use url::{ParseError, Url};
use zeroize::Zeroizing;

use super::webhooks::edit::Edit;
use super::webhooks::find::find;
use super::webhooks::purge::Purge;
use super::webhooks::settings::{Given, Settings};
use super::webhooks::trial::Test;
use crate::api::document::members::Members;
use crate::api::document::webhook::{ShownOnce, Webhook, WebhookSecret};
use crate::cli::args::{self, Target};
use crate::cli::client::{Answer, Call, Everything, Served};
use crate::cli::named::Name;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::table::Column;
use crate::cli::output::words::json_line;
use crate::cli::output::words::{in_cell, record};
use crate::cli::whose::{TENANT, Whose, is_one, listed};

/// List, add and change webhooks: the endpoints that events are delivered to
#[derive(Debug, Subcommand)]
pub(crate) enum Webhooks {
    /// List webhooks with their last result: a code, or why there was none
    #[command(visible_alias = "ls")]
    List(List),
    /// Subscribe a URL, and show its secret once
    Add(Box<Add>),
    /// Change what is given, and leave the rest
    Edit(Box<Edit>),
    /// Show one webhook
    Show(One),
    /// Deliver again, beginning with what was held
    Enable(One),
    /// Hold deliveries from now on
    Disable(One),
    /// Delete a webhook; what waits for it ends as failed, and its log stays
    #[command(visible_alias = "rm")]
    Delete(One),
    /// End all deliveries that wait for a webhook, as failed for the reason `cancelled`; its log stays
    Purge(Purge),
    /// Make a new secret, or take one from a file, and show it once
    RotateSecret(Rotate),
    /// Send a test delivery now, with the header hookwheel-test: true, and show request and response
    Test(Test),
    /// Print the secret that signs deliveries
    Secret(One),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    /// Only webhooks whose last attempt failed, and those that failures disabled
    #[arg(long)]
    failing: bool,

    #[command(flatten)]
    whose: Whose,
}

#[derive(Args, Debug)]
pub(crate) struct One {
    /// Its id, its name or its uid
    webhook: Name,

    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct Add {
    /// Where deliveries are sent
    #[arg(value_parser = url)]
    url: String,

    /// Event types: names, prefix.*, or *; separated by commas, or repeated
    #[arg(long, value_name = "TYPES", value_delimiter = ',', default_value = "*", value_parser = args::event_types)]
    events: Vec<String>,

    /// What it is called in lists and commands
    #[arg(long)]
    name: Option<Name>,

    /// What it is for, in words
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// Take the secret from this file (- for stdin) where the dialect takes one [default: made by the service]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,

    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct Rotate {
    /// Its id, its name or its uid
    webhook: Name,

    /// Take the new secret from this file (- for stdin) [default: made by the service]
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,

    /// How long the old secret signs too, where the dialect can [default: rotation_overlap of the config, 24h]
    #[arg(long, value_name = "TIME", value_parser = overlap)]
    overlap: Option<String>,

    #[command(flatten)]
    target: Target,
}

impl Webhooks {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::List(list) => list.run(out),
            Self::Add(add) => add.run(out),
            Self::Edit(edit) => edit.run(out),
            Self::Show(one) => one.show(out),
            Self::Enable(one) => one.change("enable", "enabled", out),
            Self::Disable(one) => one.change("disable", "disabled", out),
            Self::Delete(one) => one.delete(out),
            Self::Purge(purge) => purge.run(out),
            Self::RotateSecret(rotate) => rotate.run(out),
            Self::Test(test) => test.run(out),
            Self::Secret(one) => one.secret(out),
        }
    }
}

impl List {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let tenant = self.whose.tenant();
        let filters = [("tenant", tenant), ("failing", self.failing.then_some("true"))];
        let filters: Vec<_> = filters.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let webhooks: Vec<Served<Webhook>> = self.whose.service()?.rows(WEBHOOKS, &filters)?;
        if out.json {
            out.line(json_line(&Everything::new(webhooks)))?;
            return Ok(Exit::Ok);
        }
        let rows: Vec<Vec<String>> = webhooks.iter().map(|webhook| row(webhook)).collect();
        match rows.is_empty() {
            true => self.nothing(out),
            false => out.line(listed(&COLUMNS, rows, tenant, out.width))?,
        }
        Ok(Exit::Ok)
    }

    fn nothing(&self, out: &Out) {
        out.note(self.whose.has_no(if self.failing { "failing webhooks" } else { "webhooks" }));
        if !self.failing && is_one(self.whose.tenant()) {
            out.hint(&Hint::tenants("webhooks add https://example.com/hooks"));
        }
    }
}

fn row(webhook: &Webhook) -> Vec<String> {
    let Webhook { id, name, status, failures, events, url, .. } = webhook;
    let last = last(webhook.last_code, webhook.last_error.as_deref());
    let (failures, events) = (failures.to_string(), events.join(","));
    [&**id, name, status.name(), &last, &failures, &tenant_of(&webhook.provider, &webhook.tenant), &events, url]
        .map(in_cell)
        .to_vec()
}

/// How the last attempt ended: its code, or the class of its failure.
pub(crate) fn last(code: Option<u16>, error: Option<&str>) -> String {
    match error.filter(|class| *class != "status") {
        Some(class) => class.to_owned(),
        None => code.map(|code| code.to_string()).unwrap_or_default(),
    }
}

/// What is asked for when a webhook is made. It has no `Debug`, so that the secret reaches no log.
#[derive(Serialize)]
struct New<'a> {
    url: &'a str,
    events: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    #[serde(flatten)]
    settings: Given,
}

/// What is asked for when a secret is changed. It has no `Debug`, so that the secret reaches no log.
#[derive(Serialize)]
struct NewSecret<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap: Option<&'a str>,
}

impl Add {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let secret = secret(self.secret_file)?;
        let new = New {
            url: &self.url,
            events: &self.events,
            name: self.name.as_ref().map(Name::as_str),
            description: self.description.as_deref(),
            secret: secret.as_deref().map(String::as_str),
            settings: self.settings.given()?,
        };
        let answer = self.target.service_of_one()?.ask(Call::post("/v1/webhooks", json_line(&new)))?;
        shown_once(&answer, out)
    }
}

impl One {
    fn show(self, out: &Out) -> Result<Exit, Failure> {
        let (service, id) = find(&self.target, &self.webhook)?;
        let answer = service.ask(Call::get(format!("/v1/webhooks/{id}")))?;
        whole(&answer, out)
    }

    fn change(self, verb: &str, done: &str, out: &Out) -> Result<Exit, Failure> {
        let (service, id) = find(&self.target, &self.webhook)?;
        let answer = service.ask(Call::post(format!("/v1/webhooks/{id}/{verb}"), ""))?;
        match out.json {
            true => out.line(answer.text()?)?,
            false => out.line(format!("{id}  {done}"))?,
        }
        Ok(Exit::Ok)
    }

    fn delete(self, out: &Out) -> Result<Exit, Failure> {
        let (service, id) = find(&self.target, &self.webhook)?;
        service.ask(Call::delete(format!("/v1/webhooks/{id}")))?;
        match out.json {
            true => out.line(json!({ "id": id, "deleted": true }))?,
            false => out.line(format!("{id}  deleted"))?,
        }
        Ok(Exit::Ok)
    }

    fn secret(self, out: &Out) -> Result<Exit, Failure> {
        let (service, id) = find(&self.target, &self.webhook)?;
        let answer = service.ask(Call::get(format!("/v1/webhooks/{id}/secret")))?;
        match out.json {
            true => out.line(answer.text()?)?,
            false => out.line(answer.read::<WebhookSecret>()?.secret)?,
        }
        Ok(Exit::Ok)
    }
}

impl Rotate {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let (service, id) = find(&self.target, &self.webhook)?;
        let secret = secret(self.secret_file)?;
        let new = NewSecret { secret: secret.as_deref().map(String::as_str), overlap: self.overlap.as_deref() };
        let answer = service.ask(Call::post(format!("/v1/webhooks/{id}/rotate-secret"), json_line(&new)))?;
        shown_once(&answer, out)
    }
}

fn secret(file: Option<PathBuf>) -> Result<Option<Zeroizing<String>>, Failure> {
    file.map(|file| args::secret(&file)).transpose()
}

fn whole(answer: &Answer, out: &Out) -> Result<Exit, Failure> {
    match out.json {
        true => out.line(answer.text()?)?,
        false => out.line(record(&answer.object::<Members<Box<RawValue>>>()?, ORDER))?,
    }
    Ok(Exit::Ok)
}

fn shown_once(answer: &Answer, out: &Out) -> Result<Exit, Failure> {
    whole(answer, out)?;
    if !out.json && answer.object::<ShownOnce>()?.secret.is_some() {
        out.note("The secret is shown once; give it to whoever runs the endpoint.");
    }
    Ok(Exit::Ok)
}

/// `PROVIDER/TENANT` of a row.
fn tenant_of(provider: &str, tenant: &str) -> String {
    format!("{provider}/{tenant}")
}

fn url(text: &str) -> Result<String, String> {
    let read = Url::parse(text).map_err(|error| match error {
        ParseError::RelativeUrlWithoutBase => {
            format!("a URL begins with https://, as in https://{}", text.trim_start_matches('/'))
        }
        error => format!("it is no URL: {error}"),
    })?;
    if matches!(read.scheme(), "http" | "https") { Ok(text.into()) } else { Err("a URL begins with https:// or http://".into()) }
}

fn overlap(text: &str) -> Result<String, String> {
    args::duration(text).map(|_| text.to_owned())
}

/// Of all tenants; `?tenant=` says of which.
const WEBHOOKS: &str = "/v1/admin/webhooks";

const COLUMNS: [Column; 8] = [
    Column::kept("ID"),
    Column::text("NAME", 2),
    Column::kept("STATUS"),
    Column::whole("LAST", 3),
    Column::whole("FAILURES", 4),
    Column::text(TENANT, 1),
    Column::text("EVENTS", 6),
    Column::text("URL", 5),
];

/// The members of a webhook in the order a person asks for them.
const ORDER: &[&str] = &[
    "id",
    "uid",
    "name",
    "provider",
    "tenant",
    "url",
    "events",
    "filter",
    "channels",
    "timeout",
    "retry",
    "disable",
    "concurrency",
    "rate_limit",
    "sample",
    "ordered",
    "on_failure",
    "headers",
    "auth",
    "tls",
    "proxy",
    "description",
    "status",
    "is_active",
    "disabled_at",
    "disabled_reason",
    "failures",
    "last_code",
    "last_error",
    "last_delivery_at",
    "owner",
    "metadata",
    "effective",
    "created_at",
    "updated_at",
    "secret",
    "previous_secret_until",
    "note",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_last_result_is_a_code_or_why_there_was_none() {
        assert_eq!(last(Some(200), None), "200");
        assert_eq!(last(Some(503), Some("status")), "503");
        assert_eq!(last(Some(200), Some("timeout")), "timeout");
        assert_eq!(last(None, None), "");
    }

    #[test]
    fn an_endpoint_is_a_url_of_http() {
        assert!(url("https://example.com/hooks").is_ok());
        for bad in ["example.com", "ftp://x", "", "https://"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
