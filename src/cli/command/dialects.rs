//! `dialects`: how providers can speak, as files. Needs no service.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde::Serialize;
use serde_json::json;

use crate::cli::calls;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::Hint;
use crate::cli::output::print::Out;
use crate::cli::output::words::plain;
use crate::domain::dialect::Dialect;

/// See the dialects that are built in, and your own
#[derive(Debug, Subcommand)]
pub(crate) enum Dialects {
    #[command(visible_alias = "ls")]
    List(List),
    Show(Show),
}

/// List the dialects
#[derive(Args, Debug)]
pub(crate) struct List {
    /// The config file, for dialects of your own
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Print the whole file of a dialect, with what it takes from the one it extends
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The dialect's name, as in standard
    name: String,

    /// The config file, for dialects of your own
    #[arg(short, long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Dialects {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::List(list) => list.run(out),
            Self::Show(show) => show.run(out),
        }
    }
}

impl List {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let dialects = calls::dialects(self.config.as_deref())?;
        if out.json {
            let listed: Vec<_> = dialects.values().map(|dialect| listed(dialect)).collect();
            out.line(json!({ "data": listed }))?;
            return Ok(Exit::Ok);
        }
        let width = dialects.keys().map(String::len).max().unwrap_or_default();
        for (name, dialect) in &dialects {
            out.line(format!("{name:width$}  {}", plain(&dialect.description)).trim_end())?;
        }
        Ok(Exit::Ok)
    }
}

impl Show {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let dialects = calls::dialects(self.config.as_deref())?;
        let dialect = dialects.get(&self.name).ok_or_else(|| unknown(&self.name, &dialects))?;
        let text = calls::dialect_file(dialect);
        match out.json {
            true => out.line(json!({ "name": dialect.name, "toml": text }))?,
            false => out.line(plain(text.trim_end()))?,
        }
        Ok(Exit::Ok)
    }
}

/// A dialect in the list as JSON.
#[derive(Serialize)]
struct Listed<'a> {
    description: &'a str,
    event_types: Vec<&'a str>,
    name: &'a str,
}

fn listed(dialect: &Dialect) -> Listed<'_> {
    let event_types = dialect.event_types.iter().map(|known| &*known.name).collect();
    Listed { description: &dialect.description, event_types, name: &dialect.name }
}

/// What is said of a name that no dialect has.
pub(crate) fn unknown(name: &str, known: &BTreeMap<String, Arc<Dialect>>) -> Failure {
    let known: Vec<&str> = known.keys().map(String::as_str).collect();
    let message = format!("there is no dialect `{}`; there are {}", plain(name), known.join(", "));
    Failure::usage(message, Hint::config("dialects list"))
}
