//! `check`: is this config, or this store, a good one? Nothing is changed.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use serde_json::json;

use crate::cli::calls;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::hint::{Hint, quoted};
use crate::cli::output::print::Out;
use crate::cli::output::words::json_line;
use crate::cli::output::words::{count, plain};
use crate::clock;
use crate::config::DEFAULT_FILE;
use crate::config::checked::Config;
use crate::config::dangers::Dangers;
use crate::store::Report;

/// Check the config, or with --store the store of a stopped service; changes nothing
#[derive(Args, Debug)]
pub(crate) struct Check {
    /// The config file; conf.d/*.toml beside it are read too
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,

    /// Leave HOOKWHEEL_* variables out
    #[arg(long)]
    no_environment: bool,

    /// Exit with 3 when there are warnings
    #[arg(long)]
    deny_warnings: bool,

    /// Check this store file instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "no_environment", "deny_warnings"])]
    store: Option<PathBuf>,
}

impl Check {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match &self.store {
            Some(file) => store(file, out),
            None => self.config(out),
        }
    }

    fn config(&self, out: &Out) -> Result<Exit, Failure> {
        let config = calls::config(&self.config, !self.no_environment)?;
        let warnings = Dangers::of(&config).warnings(clock::now());
        for warning in &warnings {
            out.note(format!("warning: {warning}"));
        }
        let (files, webhooks) = (config.files.len() as u64, webhooks(&config));
        match out.json {
            true => out.line(json!({ "ok": true, "files": files, "webhooks": webhooks, "warnings": warnings }))?,
            false => out.line(format!("ok  {}, {}", count(files, "file"), count(webhooks, "webhook")))?,
        }
        Ok(if self.deny_warnings && !warnings.is_empty() { Exit::WarningsDenied } else { Exit::Ok })
    }
}

fn webhooks(config: &Config) -> u64 {
    let tenants = config.providers.iter().flat_map(|provider| &provider.tenants);
    tenants.map(|tenant| tenant.webhooks.len() as u64).sum()
}

fn store(file: &Path, out: &Out) -> Result<Exit, Failure> {
    let report = calls::store(file)?;
    let clean = report.is_clean();
    match out.json {
        true => out.line(json_line(&Told::from(&report)))?,
        false => out.line(plain(&report.to_string()))?,
    }
    if clean {
        return Ok(Exit::Ok);
    }
    let doctor = Hint::plain(format!("doctor --store {}", quoted(&file.to_string_lossy())));
    Err(Failure::negative(format!("{} is not whole", file.display()), doctor))
}

/// A report as JSON.
#[derive(Serialize)]
struct Told<'a> {
    deliveries: u64,
    events: u64,
    faults: &'a [String],
    ok: bool,
    pending: u64,
    quarantined: u64,
}

impl<'a> From<&'a Report> for Told<'a> {
    fn from(report: &'a Report) -> Self {
        let Report { deliveries, events, faults, pending, quarantined, .. } = report;
        let (deliveries, events, pending, quarantined) = (*deliveries, *events, *pending, *quarantined);
        Self { deliveries, events, faults, ok: report.is_clean(), pending, quarantined }
    }
}
