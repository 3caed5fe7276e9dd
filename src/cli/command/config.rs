//! `config`: a file to begin with, and what the one that is there comes to. Needs no service.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde_json::json;

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

/// Print every single setting and where it comes from; as JSON the whole config, without secrets and keys
#[derive(Args, Debug)]
pub(crate) struct Show {
    /// The config file; conf.d/*.toml beside it are read too
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,

    /// Leave HOOKWHEEL_* variables out
    #[arg(long)]
    no_environment: bool,
}

impl Config {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::Default(_) => example(out)?,
            Self::Schema(_) => schema(out)?,
            Self::Show(show) => print(&show.config, !show.no_environment, out)?,
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

fn print(file: &Path, with_environment: bool, out: &Out) -> Result<(), Failure> {
    let config = calls::config(file, with_environment)?;
    if out.json {
        out.line(shown::whole(&config))?;
        return Ok(());
    }
    let set = config.settings.iter().filter(|setting| !setting.value.is_empty());
    let lines: Vec<_> = set.map(|setting| (format!("{} = {}", setting.name, setting.value), &setting.location)).collect();
    let width = lines.iter().map(|(line, _)| line.len()).max().unwrap_or_default();
    for (line, location) in &lines {
        out.line(plain(&format!("{line:width$}  # {location}")))?;
    }
    Ok(())
}

/// The file that the package installs.
const EXAMPLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/hookwheel.toml"));
