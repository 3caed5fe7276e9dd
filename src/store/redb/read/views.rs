//! What readers look into beside a snapshot of the tables: what is committed and not in the tables yet.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::redb::journal::unflushed::Unflushed;

/// The readers' view of what the journal holds. Readers take a copy before their snapshot of the tables, which says by then what of
/// it the tables have.
#[derive(Default)]
pub(in crate::store) struct Views(Mutex<Unflushed>);

impl Views {
    /// Shows what the journal holds now.
    pub(in crate::store) fn show(&self, unflushed: &Unflushed) {
        // Copied, and the one before freed, while no reader waits.
        let now = unflushed.clone();
        let before = std::mem::replace(&mut *self.unflushed(), now);
        drop(before);
    }

    pub(in crate::store) fn unflushed(&self) -> MutexGuard<'_, Unflushed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
