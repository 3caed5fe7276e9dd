//! `event-types`: the catalogue of a provider, which is its dialect's and what the provider added.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::api::document::event_type::EventType;
use crate::cli::args::{self, Target};
use crate::cli::client::{Call, Everything, Served, in_path};
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::{Out, json_line};
use crate::cli::output::table::{Column, table};
use crate::cli::output::words::in_cell;
use crate::domain::webhook::pattern::check_type_name;

/// List, set and delete event types: the names that webhooks subscribe to
#[derive(Debug, Subcommand)]
pub(crate) enum EventTypes {
    /// List the event types of the tenant's provider
    #[command(visible_alias = "ls")]
    List(List),
    /// Add an event type, or replace what is said of it
    Set(Box<Set>),
    /// Delete an event type that was added; webhooks that subscribe to it get its events as before
    #[command(visible_alias = "rm")]
    Delete(Delete),
}

#[derive(Args, Debug)]
pub(crate) struct List {
    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct Set {
    /// Its name, as in invoice.paid
    #[arg(value_name = "TYPE", value_parser = name)]
    name: String,

    /// What it tells, in words
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,

    /// An event's data as an example, which tests send: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "DATA")]
    example: Option<String>,

    /// The version that bodies carry, in dialects that have one [default: 0]
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    type_version: Option<i64>,

    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct Delete {
    /// Its name
    #[arg(value_name = "TYPE", value_parser = name)]
    name: String,

    #[command(flatten)]
    target: Target,
}

impl EventTypes {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::List(list) => list.run(out),
            Self::Set(set) => set.run(out),
            Self::Delete(delete) => delete.run(out),
        }
    }
}

impl List {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let types: Vec<Served<EventType>> = self.target.service()?.rows("/v1/event-types", &[])?;
        if out.json {
            out.line(json_line(&Everything::new(types)))?;
            return Ok(Exit::Ok);
        }
        let rows: Vec<Vec<String>> = types.iter().map(|known| row(known)).collect();
        match rows.is_empty() {
            true => {
                out.note("the catalogue is empty; webhooks may subscribe to any type");
                out.hint(&Hint::tenants("event-types set invoice.paid --description 'An invoice was paid'"));
            }
            false => out.line(table(&COLUMNS, &rows, out.width))?,
        }
        Ok(Exit::Ok)
    }
}

fn row(known: &EventType) -> Vec<String> {
    [&*known.name, &*known.version.to_string(), &*known.description].map(in_cell).to_vec()
}

impl Set {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let answer = self.target.service()?.ask(Call::put(format!("/v1/event-types/{}", in_path(&self.name)), self.body()?))?;
        match out.json {
            true => out.line(answer.text()?)?,
            false => out.line(format!("{}  {}", self.name, if answer.status == CREATED { "added" } else { "changed" }))?,
        }
        Ok(Exit::Ok)
    }

    /// Put together as text, so that the example stays as it was written.
    fn body(&self) -> Result<String, Failure> {
        let example = self.example.as_ref().map(|example| args::json(example)).transpose()?;
        let members = [
            self.description.as_ref().map(|text| format!("\"description\":{}", json!(text))),
            example.map(|example| format!("\"example\":{}", example.get())),
            self.type_version.map(|version| format!("\"version\":{version}")),
        ];
        Ok(format!("{{{}}}", members.into_iter().flatten().collect::<Vec<_>>().join(",")))
    }
}

impl Delete {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        self.target.service()?.ask(Call::delete(format!("/v1/event-types/{}", in_path(&self.name))))?;
        match out.json {
            true => out.line(json!({ "name": self.name, "deleted": true }))?,
            false => out.line(format!("{}  deleted", self.name))?,
        }
        Ok(Exit::Ok)
    }
}

fn name(text: &str) -> Result<String, String> {
    check_type_name(text).map(|()| text.to_owned()).map_err(|why| why.to_string())
}

const COLUMNS: [Column; 3] = [Column::kept("NAME"), Column::whole("VERSION", 2), Column::text("DESCRIPTION", 1)];

/// The status of an answer to a type that was not there.
const CREATED: u16 = 201;

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        set: Set,
    }

    #[test]
    fn an_event_type_is_put_as_it_was_written() {
        let body = |arguments: &[&str]| {
            let line = Line::try_parse_from([&["set", "a.b"], arguments].concat()).expect("parsed");
            line.set.body().expect("JSON")
        };
        assert_eq!(body(&[]), "{}");
        let given = ["--description", "An \"a\"", "--example", "{\"n\": 1e2}", "--type-version", "3"];
        assert_eq!(body(&given), r#"{"description":"An \"a\"","example":{"n": 1e2},"version":3}"#);
    }
}
