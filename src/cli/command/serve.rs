//! `serve`: the service.

use std::path::PathBuf;

use clap::Args;

use crate::cli::args::Flags;
use crate::cli::calls;
use crate::cli::output::exit::{Exit, Failure};
use crate::config::DEFAULT_FILE;

/// Run the service, in the foreground
#[derive(Args, Debug)]
pub(crate) struct Serve {
    /// The config file; conf.d/*.toml beside it are read too
    #[arg(short, long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub(crate) config: PathBuf,

    #[command(flatten)]
    flags: Flags,
}

impl Serve {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        calls::serve(&self.config, self.flags.given())?;
        Ok(Exit::Ok)
    }
}
