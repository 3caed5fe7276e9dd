//! `event-types`: the catalogue of a provider, which is its dialect's and what the provider added.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::api::document::event_type::{EventType, Imported};
use crate::cli::args::{self, Target};
use crate::cli::client::{Call, Everything, Served, in_path};
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::table::{Column, table};
use crate::cli::output::words::in_cell;
use crate::cli::output::words::json_line;
use crate::domain::webhook::pattern::check_type_name;

/// List, show, put, import and delete event types: the names that webhooks subscribe to
#[derive(Debug, Subcommand)]
pub(crate) enum EventTypes {
    /// List the event types of the tenant's provider
    #[command(visible_alias = "ls")]
    List(List),
    /// Show an event type with its example and its schema
    Show(Show),
    /// Add an event type, or replace what is said of it
    #[command(alias = "set")]
    Put(Box<Put>),
    /// Add and change event types as the webhooks of an OpenAPI document say
    Import(Import),
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
pub(crate) struct Show {
    /// Its name
    #[arg(value_name = "TYPE", value_parser = name)]
    name: String,

    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct Import {
    /// The document, OpenAPI 3.0 or 3.1 in JSON or YAML; - for stdin
    #[arg(value_name = "FILE")]
    file: PathBuf,

    #[command(flatten)]
    target: Target,
}

#[derive(Args, Debug)]
pub(crate) struct Put {
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

    /// A JSON Schema for the event's data, checked when the provider's `validate` is warn or refuse: JSON, @FILE, or - for stdin
    #[arg(long, value_name = "SCHEMA")]
    schema: Option<String>,

    /// Mark the type as deprecated: subscribers should stop using it
    #[arg(long)]
    deprecated: bool,

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
            Self::Show(show) => show.run(out),
            Self::Put(put) => put.run(out),
            Self::Import(import) => import.run(out),
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
                out.hint(&Hint::tenants("event-types put invoice.paid --description 'An invoice was paid'"));
            }
            false => out.line(table(&COLUMNS, &rows, out.width))?,
        }
        Ok(Exit::Ok)
    }
}

fn row(known: &EventType) -> Vec<String> {
    [&*known.name, &*known.version.to_string(), &*known.description].map(in_cell).to_vec()
}

impl Show {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let known: EventType =
            self.target.service()?.ask(Call::get(format!("/v1/event-types/{}", in_path(&self.name))))?.read()?;
        match out.json {
            true => out.line(json!(known))?,
            false => out.line(lines(&known))?,
        }
        Ok(Exit::Ok)
    }
}

/// What is known of an event type, a line each.
fn lines(known: &EventType) -> String {
    let mut lines = vec![format!("name         {}", known.name), format!("version      {}", known.version)];
    lines.extend((!known.description.is_empty()).then(|| format!("description  {}", in_cell(&known.description))));
    lines.extend(known.deprecated.then(|| "deprecated   yes".to_owned()));
    lines.push(format!("example      {}", known.example.get()));
    lines.extend(known.schema.as_ref().map(|schema| format!("schema       {}", schema.get())));
    lines.join("\n")
}

impl Import {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let document = args::document(&self.file)?;
        let answer = self.target.service()?.ask(Call::post("/v1/event-types/import", document))?;
        if out.json {
            out.line(answer.text()?)?;
            return Ok(Exit::Ok);
        }
        let imported: Imported = answer.read()?;
        for (what, names) in [("added", &imported.added), ("changed", &imported.changed), ("unchanged", &imported.left)] {
            names.iter().try_for_each(|name| out.line(format!("{}  {what}", in_cell(name))))?;
        }
        Ok(Exit::Ok)
    }
}

impl Put {
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
        let given = |text: &Option<String>| text.as_ref().map(|text| args::json(text)).transpose();
        let (example, schema) = (given(&self.example)?, given(&self.schema)?);
        let members = [
            self.description.as_ref().map(|text| format!("\"description\":{}", json!(text))),
            example.map(|example| format!("\"example\":{}", example.get())),
            self.type_version.map(|version| format!("\"version\":{version}")),
            schema.map(|schema| format!("\"schema\":{}", schema.get())),
            self.deprecated.then(|| "\"deprecated\":true".to_owned()),
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
        put: Put,
    }

    #[test]
    fn an_event_type_is_put_as_it_was_written() {
        let body = |arguments: &[&str]| {
            let line = Line::try_parse_from([&["put", "a.b"], arguments].concat()).expect("parsed");
            line.put.body().expect("JSON")
        };
        assert_eq!(body(&[]), "{}");
        let given = [
            "--description",
            "An \"a\"",
            "--example",
            "{\"n\": 1e2}",
            "--type-version",
            "3",
            "--schema",
            "{\"maximum\": 1e2}",
            "--deprecated",
        ];
        assert_eq!(
            body(&given),
            r#"{"description":"An \"a\"","example":{"n": 1e2},"version":3,"schema":{"maximum": 1e2},"deprecated":true}"#
        );
    }
}
