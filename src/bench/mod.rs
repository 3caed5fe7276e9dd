//! Measures what this machine can relay: once forward-only, which is the limit, and once with the store on its disk.
//!
//! ```text
//!   bench ── starts, tells, asks ──┬────────────────┬──────────────────────┐
//!                                  ▼                ▼                      ▼
//!                             publisher ──HTTP──▶ relay ──HTTP──▶ receiver: counts every event, answers
//!                             its own process     `serve` as shipped,      its own process
//!                                                 or the forward-only one
//! ```
//!
//! Both relays get the same load from the same publisher and receiver, which are made to cost little since they share the
//! machine. Every event carries its number and the moment it was due, so the receiver needs no memory of the publisher's.
//! A run in which an event was lost or came twice has failed, whatever its rate.

mod ask;
mod book;
mod event;
mod figures;
mod fill;
mod forward;
mod frame;
mod kept;
mod laps;
mod late;
mod listing;
mod machine;
mod measure;
mod measured;
mod opened;
mod pace;
mod part;
mod plan;
mod publisher;
mod ratio;
mod receiver;
mod report;
mod restart;
mod service;
mod site;
mod special;
mod stage;
mod subject;
mod synthetic;
mod turns;

use std::io;

pub(crate) use figures::Spread;
pub(crate) use kept::Kept;
pub(crate) use late::Retried;
pub(crate) use measured::Measured;
pub(crate) use pace::SLICE;
pub(crate) use part::Role;
pub(crate) use plan::{ENDPOINTS_MAX, End, Endpoints, Load, Plan, Run};
pub(crate) use ratio::Ratio;
pub(crate) use report::Report;
pub(crate) use restart::Restart;
pub(crate) use special::Special;

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {action}: {cause}")]
    Io { action: String, cause: io::Error },
    #[error("the {role} of the measurement {what}")]
    Part { role: Role, what: String },
    #[error("a process of this measurement may need {needed} open files, and may have {limit}")]
    Files { needed: u64, limit: u64 },
    #[error("hookwheel did not start on the config of the measurement; it said:\n{0}")]
    Service(String),
}

impl Error {
    fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { action: action.into(), cause }
    }
}

/// Measures all that the plan names; `tell` hears what is measured next.
pub(crate) fn run(plan: &Plan, tell: impl FnMut(&str)) -> Result<Report, Error> {
    let (runs, restart) = measure::all(plan, tell)?;
    Ok(Report::new(plan, runs, restart))
}

/// Plays one part of a measurement in this process, with orders from stdin and reports to stdout, until stdin ends.
pub(crate) fn play(role: Role) -> Result<(), Error> {
    match role {
        Role::Receiver => receiver::play(),
        Role::Publisher => publisher::play(),
        Role::Forward => forward::play(),
        Role::Fill => fill::play(),
    }
}
