//! The one signal that ends everything, in two stages.
//!
//! While the service drains, newcomers are taken in and every request is answered, a publication with 503; each answer closes
//! its connection. Who is idle is left alone, since a request of its may be on its way. When it closes, nothing new is taken.

use tokio::sync::watch;

/// How far the service is on its way to its end. It never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    #[default]
    Serving,
    /// Attempts under way get their time; nothing is published any more.
    Draining,
    /// No connection is taken in any more, and the idle ones are closed.
    Closing,
}

/// Shows the stage. A sender that is gone has closed.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<Stage>);

impl Stop {
    pub(crate) fn new(stage: watch::Receiver<Stage>) -> Self {
        Self(stage)
    }

    /// Whether it drains, or closes.
    pub(crate) fn is_pressed(&self) -> bool {
        *self.0.borrow() >= Stage::Draining
    }

    /// Whether that may have changed since this copy was made. Costs one load, where all else touches what all copies share.
    pub(crate) fn has_moved(&self) -> bool {
        self.0.has_changed().unwrap_or(true)
    }

    /// Ends when it drains.
    pub(crate) async fn pressed(&mut self) {
        self.reached(Stage::Draining).await;
    }

    /// Ends when it closes.
    pub(crate) async fn closing(&mut self) {
        self.reached(Stage::Closing).await;
    }

    async fn reached(&mut self, stage: Stage) {
        let _ = self.0.wait_for(|at| *at >= stage).await;
    }
}
