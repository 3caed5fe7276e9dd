//! Measures what this machine can relay: forward-only, which is the limit, and with hookwheel's store on its disk.
//!
//! ```text
//!   the process of `bench`                          a process of its own
//!   publisher, one thread ──HTTP──▶ relay: forward-only, or `serve` as it is shipped
//!   receiver,  one thread ◀──HTTP──┘
//! ```
//!
//! Both relays get the same load from the same publisher and receiver, which cost little, since they share the machine with the
//! relay. A run in which an event was lost or came twice has failed, whatever its rate.

mod book;
mod event;
mod forward;
mod frame;
mod load;
mod process;
mod publisher;
mod receiver;
mod relay;
mod report;
mod run;
mod site;
mod streams;
mod turns;

use std::path::PathBuf;
use std::{io, thread};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub(crate) use event::padding;
pub(crate) use forward::forward;
pub(crate) use load::{End, Endpoints, Load};
pub(crate) use report::{Measured, Report, Run, Spread};

/// Everything that `bench` was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// Where a folder for the config, the key and the store is made, which is removed behind the run.
    pub(crate) dir: PathBuf,
    pub(crate) load: Load,
    /// The one run to make; `None`: all.
    pub(crate) only: Option<Run>,
    /// How many live streams of hookwheel are read meanwhile.
    pub(crate) streams: u32,
}

/// Why nothing could be measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot {action}: {cause}")]
    Io { action: String, cause: io::Error },
    #[error("{} did not start for the measurement; it said:\n{said}", run.name())]
    Start { run: Run, said: String },
}

impl Error {
    fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |cause| Self::Io { action: action.into(), cause }
    }
}

/// Makes the runs of the plan one after the other. `tell` is called with a line before each.
pub(crate) fn run(plan: &Plan, mut tell: impl FnMut(&str)) -> Result<Report, Error> {
    allow_open_files();
    outlive_interrupts();
    let mut runs = Vec::new();
    for run in [Run::Forward, Run::Store].into_iter().filter(|run| plan.only.is_none_or(|only| only == *run)) {
        tell(&format!("measuring {}", run.name()));
        runs.push(run::measure(run, plan)?);
    }
    Ok(Report::new(&plan.load, runs))
}

/// Lets this process, and the relay that it starts, open as many files as the system allows: with fewer, events would be lost.
fn allow_open_files() {
    let allowed = getrlimit(Resource::Nofile);
    // Where that is refused, the limit stays as it is.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: allowed.maximum, ..allowed });
}

/// Lets this process outlive an interrupt from the terminal, which ends the relay, so that it removes the store.
fn outlive_interrupts() {
    thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.map(|runtime| runtime.block_on(async { while tokio::signal::ctrl_c().await.is_ok() {} }))
    });
}
