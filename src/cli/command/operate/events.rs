//! `events`: what people ask of an event that was published.

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::document::event::Accepted;
use crate::cli::args::{self, Target};
use crate::cli::client::Call;
use crate::cli::command::{send, webhooks};
use crate::cli::named::Name;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::words::{count, in_cell, json_line};

/// Publish an event again
#[derive(Debug, Subcommand)]
pub(crate) enum Events {
    /// Publish an event again as a new one, which has an id of its own; `deliveries retry` sends the old one
    Replay(Replay),
}

#[derive(Args, Debug)]
pub(crate) struct Replay {
    /// The event's id or uid
    #[arg(value_name = "ID", value_parser = args::id_or_uid)]
    event: String,

    /// Other data: JSON, @FILE, or - for stdin [default: the data of the event]
    #[arg(short, long, value_name = "DATA")]
    data: Option<String>,

    /// Only for this webhook, by its id or its name, whatever it subscribes to
    #[arg(long, value_name = "WEBHOOK")]
    webhook: Option<Name>,

    #[command(flatten)]
    target: Target,
}

/// What the call takes.
#[derive(Serialize)]
struct Wish<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    webhook: Option<&'a str>,
}

impl Events {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::Replay(replay) => replay.run(out),
        }
    }
}

impl Replay {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let data = self.data.as_deref().map(args::json).transpose()?;
        let webhook = self.webhook.as_ref().map(|webhook| webhooks::find::find(&self.target, webhook)).transpose()?;
        let wish = Wish { data: data.as_deref(), webhook: webhook.as_ref().map(|(_, id)| id.as_str()) };
        let path = format!("/v1/events/{}/replay", self.event);
        let answer = self.target.service_of_one()?.ask(Call::post(path, json_line(&wish)))?;
        let accepted: Accepted<'_> = answer.read()?;
        match out.json {
            true => out.line(answer.text()?)?,
            false => out.line(self.line(&accepted))?,
        }
        send::warn(&accepted, out);
        if accepted.deliveries == 0 && !out.json {
            out.note(format!(
                "no webhook of {} wants the event; --webhook names one that gets it all the same",
                self.target.tenant()
            ));
            out.hint(&Hint::tenants("webhooks list"));
        }
        Ok(Exit::Ok)
    }

    /// `evt_…  replay of in-1  queued -> 1 endpoint`.
    fn line(&self, accepted: &Accepted<'_>) -> String {
        let endpoints = count(accepted.deliveries.into(), "endpoint");
        format!("{}  replay of {}  queued -> {endpoints}", in_cell(&accepted.id), in_cell(&self.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_different_is_sent() {
        let data = args::json(r#"{"a": 1.10}"#).expect("JSON");
        assert_eq!(json_line(&Wish { data: None, webhook: None }), "{}");
        assert_eq!(json_line(&Wish { data: Some(&data), webhook: Some("wh_1") }), r#"{"data":{"a": 1.10},"webhook":"wh_1"}"#);
    }
}
