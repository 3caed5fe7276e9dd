//! The places at which the service writes, and how a fault is brought there.

use std::process::ExitStatus;
use std::time::Duration;

use tempfile::NamedTempFile;

use super::actor::Until;
use super::stage::Stage;
use super::strace::{self, EIO, Fault, Tracer};

/// A place at which the service writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Site {
    /// All threads, from the start of the process until it is ready, on a store that was not closed.
    Opening,
    /// The thread that commits, to the journal and to the tables.
    Writer,
    /// The thread that brings the journal into the tables.
    Checkpoint,
    /// The thread that commits, from SIGTERM to the end of the process.
    Closing,
}

/// How a run of the service ended under a fault.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hit {
    /// Whether the fault came. Not every run makes as many calls as were counted.
    pub(super) injected: bool,
    /// How the service ended. `None` when it lived on.
    pub(super) ended: Option<ExitStatus>,
}

impl Site {
    pub(super) const ALL: [Self; 4] = [Self::Opening, Self::Writer, Self::Checkpoint, Self::Closing];

    /// What the owners do while the calls are counted or disturbed.
    fn script(self) -> Until {
        match self {
            // The journal must hold something then.
            Self::Opening | Self::Closing => Until::events(30).publishing(),
            Self::Writer => Until::events(EVENTS),
            Self::Checkpoint => Until::events(EVENTS).publishing(),
        }
    }

    /// The name of the thread, with the 15 characters that the kernel keeps.
    fn thread(self) -> &'static str {
        match self {
            Self::Opening => "hookwheel",
            Self::Writer | Self::Closing => "store-writer",
            Self::Checkpoint => "store-checkpoin",
        }
    }

    /// How often the site makes a call in one run.
    pub(super) async fn calls(self, stage: &mut Stage, call: &str) -> usize {
        let log = NamedTempFile::new().expect("a temporary file");
        self.run(stage, None, &log).await;
        stage.service.kill9();
        strace::calls(log.path(), call)
    }

    /// Runs up to a fault. The service may have ended then.
    pub(super) async fn hit(self, stage: &mut Stage, fault: Fault) -> Hit {
        let log = NamedTempFile::new().expect("a temporary file");
        let mut ended = self.run(stage, Some(fault), &log).await;
        if ended.is_none() && fault.what == EIO && strace::was_injected(log.path()) {
            // The fault came with one of the last calls, and a service under strace takes a while to end.
            ended = stage.service.ended_within(LAST_END_WITHIN).await;
        }
        let injected = ended.is_some_and(|ended| !ended.success()) || strace::was_injected(log.path());
        Hit { injected, ended }
    }

    async fn run(self, stage: &mut Stage, fault: Option<Fault>, log: &NamedTempFile) -> Option<ExitStatus> {
        if self == Self::Opening {
            stage.act(self.script()).ended().await;
            stage.service.kill9();
            stage.begin().await;
            return stage.service.try_to_start_again(&strace::words(fault, log.path())).await;
        }
        if self == Self::Closing {
            stage.act(self.script()).ended().await;
            let _tracer = Tracer::attach(stage.service.pid(), self.thread(), fault, log.path()).await;
            stage.service.signal("TERM");
            return stage.service.ended_within(CLOSE_WITHIN).await;
        }
        let _tracer = Tracer::attach(stage.service.pid(), self.thread(), fault, log.path()).await;
        stage.act(self.script()).ended().await;
        if self == Self::Checkpoint {
            stage.service.ended_within(CHECKPOINT_WITHIN).await
        } else {
            stage.service.ended_within(END_WITHIN).await
        }
    }
}

/// The events of each run.
const EVENTS: usize = 300;

/// The longest time of a stop, of which attempts get 8 s.
const CLOSE_WITHIN: Duration = Duration::from_secs(15);

/// The time in which the journal's content comes into the tables, which takes a second.
const CHECKPOINT_WITHIN: Duration = Duration::from_millis(1_500);

/// How long to wait for a fault that came with the last call of the script.
const END_WITHIN: Duration = Duration::from_millis(50);

/// The longest end of a service whose sync has failed.
const LAST_END_WITHIN: Duration = Duration::from_secs(5);
