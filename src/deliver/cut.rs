//! The signal that a stop has run out of patience. Whoever waits for something dispensable stops waiting for it.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A signal that is given at most once and never withdrawn.
#[derive(Debug)]
pub(crate) struct Cut {
    is_made: AtomicBool,
    rings: Notify,
}

impl Cut {
    pub(crate) const fn new() -> Self {
        Self { is_made: AtomicBool::new(false), rings: Notify::const_new() }
    }

    pub(super) fn make(&self) {
        self.is_made.store(true, Ordering::SeqCst);
        self.rings.notify_waiters();
    }

    pub(super) fn is_made(&self) -> bool {
        self.is_made.load(Ordering::SeqCst)
    }

    pub(super) async fn made(&self) {
        // The notification is registered before the flag is read, so that a cut between the two still wakes this task.
        let rings = self.rings.notified();
        if !self.is_made() {
            rings.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn nobody_waits_after_the_cut() {
        let cut = Cut::new();
        cut.make();
        cut.made().await;
    }
}
