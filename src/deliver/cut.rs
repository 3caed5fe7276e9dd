//! The end of the patience of a stopping relay, for those who wait for what they could do without.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Made once, and never taken back.
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

    pub(super) async fn made(&self) {
        // Asked for before the look, so that a cut in between rings.
        let rings = self.rings.notified();
        if !self.is_made.load(Ordering::SeqCst) {
            rings.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_asks_after_the_cut_does_not_wait() {
        let cut = Cut::new();
        cut.make();
        cut.made().await;
    }
}
