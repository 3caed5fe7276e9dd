//! What goes or comes back with something else that was changed, so that each key and webhook has its row in the audit log.

use super::Change;

/// What an operation changes beside what was asked for: the keys and webhooks that go with their tenant, or come back with it.
#[derive(Default)]
pub(in crate::store) struct Consequences {
    changes: Vec<Change>,
    unlisted: usize,
}

impl Consequences {
    pub(in crate::store) fn note(&mut self, change: impl FnOnce() -> Option<Change>) {
        if self.changes.len() < CHANGES_MAX { self.changes.extend(change()) } else { self.unlisted += 1 }
    }

    /// How many changes get no row.
    pub(in crate::store) fn unlisted(&self) -> usize {
        self.unlisted
    }

    pub(in crate::store) fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

/// Changes that get a row of their own, in one operation.
const CHANGES_MAX: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::store::message::audit::shown;

    #[test]
    fn changes_beyond_some_hundreds_are_counted() {
        let mut noted = Consequences::default();
        for _ in 0..CHANGES_MAX + 3 {
            noted.note(|| shown::webhook(None, &endpoint(&["*"])));
        }
        assert_eq!((noted.unlisted(), noted.into_changes().len()), (3, CHANGES_MAX));
    }
}
