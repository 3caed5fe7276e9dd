//! The signal that stops the service, in two stages.
//!
//! While the service drains, connections are still accepted and every request is answered, a publication with 503. Each answer
//! closes its connection; an idle connection stays open, since a request may be on its way. When the service closes, nothing more
//! is accepted.

use tokio::sync::watch;

/// How far the service has stopped. The stage never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    #[default]
    Serving,
    /// Attempts under way get time to end. Publications are refused.
    Draining,
    /// No connection is accepted any more, and idle ones are closed.
    Closing,
}

/// Shows the present stage. When its sender is gone, the stage counts as [`Stage::Closing`].
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<Stage>);

impl Stop {
    pub(crate) fn new(stage: watch::Receiver<Stage>) -> Self {
        Self(stage)
    }

    /// Whether the service drains or closes.
    pub(crate) fn is_pressed(&self) -> bool {
        *self.0.borrow() >= Stage::Draining
    }

    /// Whether the stage may have changed since this copy was made. It costs one load; the other methods touch a lock that all
    /// copies share.
    pub(crate) fn has_moved(&self) -> bool {
        self.0.has_changed().unwrap_or(true)
    }

    /// Waits until the service drains.
    pub(crate) async fn pressed(&mut self) {
        self.reached(Stage::Draining).await;
    }

    /// Waits until the service closes.
    pub(crate) async fn closing(&mut self) {
        self.reached(Stage::Closing).await;
    }

    async fn reached(&mut self, stage: Stage) {
        let _ = self.0.wait_for(|at| *at >= stage).await;
    }
}
