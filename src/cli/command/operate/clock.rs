//! `clock`: what the operator knows of the wall clock and the service does not.

use clap::{Args, Subcommand};

use crate::api::document::status::ClockAccepted;
use crate::cli::args::Reach;
use crate::cli::client::Call;
use crate::cli::output::exit::{Exit, Failure};
use crate::cli::output::print::Out;

/// Say that the wall clock is right after it jumped
#[derive(Debug, Subcommand)]
pub(crate) enum Clock {
    Accept(Accept),
}

impl Clock {
    pub(crate) fn run(self, out: &Out) -> Result<Exit, Failure> {
        match self {
            Self::Accept(accept) => accept.run(out),
        }
    }
}

/// Say that the wall clock is right: what is old by it may be deleted, and what is due by it is sent
///
/// `hookwheel status` shows whether the service doubts the clock; after a day it stops doubting by itself.
#[derive(Args, Debug)]
pub(crate) struct Accept {
    #[command(flatten)]
    reach: Reach,
}

impl Accept {
    fn run(self, out: &Out) -> Result<Exit, Failure> {
        let answer = self.reach.service()?.ask(Call::post("/v1/admin/clock/accept", ""))?;
        let ClockAccepted { doubted } = answer.read()?;
        match out.json {
            true => out.line(answer.text()?)?,
            false if doubted => out.line("the wall clock is taken as right")?,
            false => out.line("nobody doubted the wall clock; nothing changed")?,
        }
        Ok(Exit::Ok)
    }
}
