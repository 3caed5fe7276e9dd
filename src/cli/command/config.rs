//! `config`: a file to begin with, and what the one that is there comes to. Needs no service.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::args::Flags;
use crate::cli::calls;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::print::Out;
use crate::cli::output::shown;
use crate::cli::output::words::plain;
use crate::config::DEFAULT_FILE;

/// Print a config file to begin with, what yours comes to, or its schema
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    Default(Example),
    Show(Show),
    Schema(Schema),
}

/// Print a config file that names everything, with the defaults commented out
#[derive(Args, Debug)]
pub(crate) struct Example {}

/// Print the JSON Schema (2020-12) of the config file, for editors and programs
#[derive(Args, Debug)]
pub(crate) struct Schema {}

/// Print every value and where it comes from: a file with its line, the environment, a flag, or the default; no secrets and keys
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The config file; conf.d/*.toml beside it are read too
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,

    #[command(flatten)]
    flags: Flags,

    /// Leave HOOKWHEEL_* variables out
    #[arg(long)]
    no_environment: bool,
}

impl Config {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::Default(_) => example(out)?,
            Self::Schema(_) => schema(out)?,
            Self::Show(show) => show.print(out)?,
        }
        Ok(Exit::Ok)
    }
}

fn example(out: &Out) -> Result<(), Failure> {
    match out.json {
        true => out.line(json!({ "toml": EXAMPLE }))?,
        false => out.line(EXAMPLE.trim_end())?,
    }
    Ok(())
}

fn schema(out: &Out) -> Result<(), Failure> {
    let schema = calls::config_schema();
    if out.json { out.line(schema) } else { out.line(format_args!("{schema:#}")) }
}

impl Show {
    fn print(&self, out: &Out) -> Result<(), Failure> {
        let config = calls::config_with(&self.config, !self.no_environment, self.flags.given())?;
        if out.json {
            out.line(shown::whole(&config))?;
            return Ok(());
        }
        let lines = shown::lines(&config);
        let widest = lines.iter().map(|line| line.text.len()).filter(|length| *length <= WIDTH).max().unwrap_or_default();
        for line in &lines {
            out.line(plain(&format!("{:widest$}  # {}", line.text, line.origin)))?;
        }
        Ok(())
    }
}

/// A longer value does not push the origins of the others to the right.
const WIDTH: usize = 60;

/// The file that the package installs.
const EXAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/hookwheel.toml"));
