//! The one signal that ends everything.

use tokio::sync::watch;

/// Becomes true once and stays so. A sender that is gone has stopped too.
#[derive(Clone, Debug)]
pub(crate) struct Stop(watch::Receiver<bool>);

impl Stop {
    pub(crate) fn new(signal: watch::Receiver<bool>) -> Self {
        Self(signal)
    }

    pub(crate) fn is_pressed(&self) -> bool {
        *self.0.borrow()
    }

    /// Ends when it is pressed.
    pub(crate) async fn pressed(&mut self) {
        let _ = self.0.wait_for(|pressed| *pressed).await;
    }
}
