//! `compact`: writes the store of a stopped service anew, as small as its rows allow.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::cli::calls;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::print::Out;
use crate::cli::output::progress::Progress;
use crate::cli::output::words::{plain, size};
use crate::config::DEFAULT_FILE;

/// Write the store of a stopped service anew, in a file as small as its rows allow
///
/// A running service uses the room again that retention frees, and gives none back to the disk. The new file is written beside the
/// old one, so that there must be room for both, and takes its place when it is whole.
#[derive(Args, Debug)]
pub(crate) struct Compact {
    /// The config file, which names the store
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_FILE)]
    config: PathBuf,
}

impl Compact {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        let store = calls::config(&self.config, true)?.storage.path;
        let mut progress = Progress::new("compact", out);
        let compacted = calls::compact(&store, &mut |done, total| progress.at(done, total))?;
        drop(progress);
        let (before, after) = (compacted.before, compacted.after);
        match out.json {
            true => out.line(json!({ "store": store.display().to_string(), "bytes_before": before, "bytes": after }))?,
            false => out.line(plain(&format!("ok  {}: {}, was {}", store.display(), size(after), size(before))))?,
        }
        Ok(Exit::Ok)
    }
}
