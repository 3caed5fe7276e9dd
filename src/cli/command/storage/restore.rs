//! `restore`: puts a backup in the place of a stopped service's store.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::calls;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::print::Out;
use crate::cli::output::progress::Progress;
use crate::cli::output::words::{count, plain};
use crate::config::DEFAULT_FILE;
use crate::store::Restored;

/// Put a backup in the place of a stopped service's store
///
/// The backup is compared with FILE.json and checked, and its secrets are opened, before anything is changed. Events that were
/// published after the backup are gone, and what was delivered after it is delivered again.
#[derive(Args, Debug)]
pub(crate) struct Restore {
    /// The file of the backup, with FILE.json beside it
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The config file, which names the store
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,

    /// Replace the store that stands there; it is kept beside the new one under another name
    #[arg(long)]
    force: bool,

    /// Restore a backup in which the check finds faults
    #[arg(long)]
    accept_faults: bool,
}

impl Restore {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let store = calls::config(&self.config, true)?.storage.path;
        let mut progress = Progress::new("restore", out);
        let how = (self.force, self.accept_faults);
        let restored = calls::restore(&self.file, &store, how, &mut |done, total| progress.at(done, total))?;
        drop(progress);
        match out.json {
            true => out.line(object(&store, &restored))?,
            false => out.line(plain(&lines(&store, &restored)))?,
        }
        Ok(Exit::Ok)
    }
}

fn object(store: &std::path::Path, restored: &Restored) -> serde_json::Value {
    json!({
        "store": store.display().to_string(),
        "taken_at": restored.manifest.taken_at,
        "events": restored.report.events,
        "deliveries": restored.report.deliveries,
        "pending": restored.report.pending,
        "faults": restored.report.faults,
        "replaced": restored.aside.as_ref().map(|aside| aside.display().to_string()),
    })
}

fn lines(store: &std::path::Path, restored: &Restored) -> String {
    let Restored { manifest, report, aside } = restored;
    let (events, pending) = (count(report.events, "event"), report.pending);
    let mut lines = vec![format!("ok  {} is of {}: {events}, {pending} pending", store.display(), manifest.taken_at)];
    if !report.faults.is_empty() {
        lines.push(format!("{} were accepted; `hookwheel doctor` shows them", count(report.faults.len() as u64, "fault")));
    }
    lines.extend(aside.as_ref().map(|aside| {
        format!("what stood there is {}; remove it and the files beside it once you need it no more", aside.display())
    }));
    lines.join("\n")
}
