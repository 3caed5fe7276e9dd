//! What is committed and not in the tables yet, as readers see it: beside a snapshot of the tables they look into the changes that
//! the journal holds.

use std::sync::Arc;

use redb::ReadTransaction;

use super::entry::{Changes, Due};
use crate::store::error::Error;
use crate::store::record;
use crate::store::redb::schema::{self, BacklogKey, DueKey, JOURNALED, LogKey, STATE};

/// Changes that stand in the journal, oldest first. Small ones are joined, so that readers look into some sixty, not a thousand.
#[derive(Clone, Default)]
pub(in crate::store) struct Fresh(Vec<Held>);

#[derive(Clone)]
struct Held {
    /// Of the last commit in it. What the tables have of the earlier ones stands here too until they have this one; that is
    /// nothing older than what they have, for the newest under a key is found first.
    number: u64,
    is_joined: bool,
    changes: Arc<Changes>,
}

impl Fresh {
    pub(in crate::store) fn push(&mut self, number: u64, changes: Arc<Changes>) {
        self.0.push(Held { number, is_joined: false, changes });
        let small = |held: &&Held| !held.is_joined && held.changes.bytes().len() <= SMALL_BYTES;
        if self.0.iter().rev().take_while(small).count() == JOINED {
            let last = self.0.split_off(self.0.len() - JOINED);
            let changes = Arc::new(Changes::joined(last.iter().map(|held| &*held.changes)));
            self.0.push(Held { number, is_joined: true, changes });
        }
    }

    /// The tables have everything up to `number`.
    pub(in crate::store) fn drop_through(&mut self, number: u64) {
        self.0.retain(|held| held.number > number);
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Without what tables hold that have everything up to `number`.
    pub(in crate::store) fn behind(mut self, number: u64) -> Self {
        self.drop_through(number);
        self
    }

    pub(in crate::store) fn event(&self, key: u64) -> Option<&[u8]> {
        self.newest().find_map(|changes| changes.event(key))
    }

    pub(in crate::store) fn log_row(&self, key: &LogKey) -> Option<&[u8]> {
        self.newest().find_map(|changes| changes.log_row(key))
    }

    /// What became of a backlog entry, if anything did.
    pub(in crate::store) fn backlog(&self, key: &BacklogKey) -> Option<Due> {
        self.newest().find_map(|changes| changes.backlog_entry(key))
    }

    /// What was answered for an id.
    pub(in crate::store) fn named(&self, name: &[u8]) -> Option<&[u8]> {
        self.newest().find_map(|changes| changes.named(name))
    }

    /// What became of a due entry, if anything did.
    pub(in crate::store) fn due(&self, key: &DueKey) -> Option<Due> {
        self.newest().find_map(|changes| changes.due_entry(key))
    }

    fn newest(&self) -> impl Iterator<Item = &Changes> {
        self.0.iter().rev().map(|held| &*held.changes)
    }
}

/// How many are joined at once.
const JOINED: usize = 32;

/// How long one is that is joined: of longer ones there are few.
const SMALL_BYTES: usize = 16 << 10;

/// The number up to which the tables hold what the journal held.
pub(in crate::store) fn journaled(txn: &ReadTransaction) -> Result<u64, Error> {
    let row = schema::read(txn, STATE)?.get(JOURNALED)?;
    Ok(row.map(|row| record::read_number(&[JOURNALED], row.value())).transpose()?.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::store::redb::journal::entry::Head;

    fn changes(fill: impl FnOnce(&mut Changes)) -> Arc<Changes> {
        let mut changes = Changes::default();
        fill(&mut changes);
        changes.seal(Head { store: 1, run: 1, number: 1, upon: None }, &[]);
        Arc::new(changes)
    }

    fn fresh() -> Fresh {
        let mut fresh = Fresh::default();
        let older = |changes: &mut Changes| {
            changes.put_event(5, b"five");
            changes.put_due([1; 20]);
            changes.put_backlog([1; 12], b"");
            changes.put_backlog([2; 12], b"");
            changes.put_name(b"one", b"first");
            changes.put_name(b"another", b"second");
            changes.put_log([1; 14], b"old");
        };
        fresh.push(7, changes(older));
        let newer = |changes: &mut Changes| {
            changes.take_due([1; 20]);
            changes.take_backlog([2; 12]);
            changes.put_log([1; 14], b"new");
            changes.put_log([2; 14], b"two");
            changes.put_log([2; 14], b"two again");
        };
        fresh.push(8, changes(newer));
        fresh
    }

    #[test]
    fn the_newest_change_of_a_row_is_seen() {
        let fresh = fresh();
        assert_eq!((fresh.event(5), fresh.event(6)), (Some(&b"five"[..]), None));
        assert_eq!((fresh.log_row(&[1; 14]), fresh.log_row(&[2; 14])), (Some(&b"new"[..]), Some(&b"two again"[..])));
        assert_eq!((fresh.due(&[1; 20]), fresh.due(&[2; 20])), (Some(Due::Taken), None));
        assert_eq!((fresh.backlog(&[1; 12]), fresh.backlog(&[2; 12])), (Some(Due::Put), Some(Due::Taken)));
        assert_eq!(fresh.backlog(&[3; 12]), None);
        assert_eq!((fresh.named(b"one"), fresh.named(b"another")), (Some(&b"first"[..]), Some(&b"second"[..])));
        assert_eq!((fresh.named(b""), fresh.named(b"more")), (None, None));
    }

    proptest! {
        #[test]
        fn joined_or_not_the_same_is_found(
            batches in proptest::collection::vec(proptest::collection::vec((0..9_u8, any::<bool>()), 0..4), 0..150),
            written in 0..150_u64,
        ) {
            let (mut fresh, mut apart) = (Fresh::default(), Vec::new());
            for (number, batch) in (0..).zip(&batches) {
                let changes = changes(|changes| batch.iter().for_each(|change| put(changes, number, *change)));
                fresh.push(number, changes.clone());
                apart.push((number, changes));
            }
            prop_assert!(fresh.0.len() <= batches.len() / JOINED + JOINED);
            let (fresh, newest) = (fresh.behind(written), || apart.iter().rev().filter(|(number, _)| *number > written));
            for (number, changes) in newest() {
                prop_assert_eq!(fresh.event(*number), changes.event(*number));
            }
            for key in 0..9 {
                let rows = |changes: &Changes| changes.log_row(&[key; 14]).map(<[u8]>::to_vec);
                let expected = newest().find_map(|(_, changes)| rows(changes));
                let due = newest().find_map(|(_, changes)| changes.due_entry(&[key; 20]));
                let parked = newest().find_map(|(_, changes)| changes.backlog_entry(&[key; 12]));
                let named = newest().find_map(|(_, changes)| changes.named(&[key]).map(<[u8]>::to_vec));
                // What the tables have may be found here too, and is the same there.
                if expected.is_some() {
                    prop_assert_eq!(fresh.log_row(&[key; 14]), expected.as_deref());
                    prop_assert_eq!(fresh.due(&[key; 20]), due);
                    prop_assert_eq!(fresh.backlog(&[key; 12]), parked);
                    prop_assert_eq!(fresh.named(&[key]), named.as_deref());
                }
            }
        }
    }

    fn put(changes: &mut Changes, number: u64, (key, taken): (u8, bool)) {
        let record = [key, u8::try_from(number).unwrap()];
        if changes.events().is_empty() {
            changes.put_event(number, &[1]);
        }
        changes.put_log([key; 14], &record);
        changes.put_name(&[key], &record);
        if taken {
            changes.take_due([key; 20]);
            changes.take_backlog([key; 12]);
        } else {
            changes.put_due([key; 20]);
            changes.put_backlog([key; 12], &record);
        }
    }

    #[test]
    fn what_the_tables_have_is_left_to_them() {
        assert_eq!(fresh().behind(6).due(&[1; 20]), Some(Due::Taken));
        assert_eq!((fresh().behind(7).event(5), fresh().behind(7).log_row(&[1; 14])), (None, Some(&b"new"[..])));
        assert!(fresh().behind(8).is_empty());
    }
}
