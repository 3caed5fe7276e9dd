//! What is committed and not in the tables yet, as readers see it: beside a snapshot of the tables they look into the changes that
//! the journal holds.

use std::sync::Arc;

use redb::ReadTransaction;

use super::entry::Changes;
use super::item::Table;
use crate::store::error::Error;
use crate::store::record;
use crate::store::redb::schema::{self, JOURNALED, STATE};

/// Changes that stand in the journal, oldest first. Small ones are joined, so that readers look into some sixty, not a thousand.
#[derive(Clone, Default)]
pub(in crate::store) struct Unflushed(Vec<Segment>);

/// The changes of one commit, or of several that were joined.
#[derive(Clone)]
struct Segment {
    /// The number of its last commit. What the tables have of its earlier commits stands here too until they have the last; that is
    /// nothing older than what they have, for the newest change under a key is found first.
    number: u64,
    is_joined: bool,
    changes: Arc<Changes>,
}

impl Unflushed {
    /// Adds the changes of the commit with `number`, which is newer than all others.
    pub(in crate::store) fn push(&mut self, number: u64, changes: Arc<Changes>) {
        self.0.push(Segment { number, is_joined: false, changes });
        let small = |segment: &&Segment| !segment.is_joined && segment.changes.bytes().len() <= SMALL_BYTES;
        if self.0.iter().rev().take_while(small).count() == JOINED {
            let last = self.0.split_off(self.0.len() - JOINED);
            let changes = Arc::new(Changes::joined(last.iter().map(|segment| &*segment.changes)));
            self.0.push(Segment { number, is_joined: true, changes });
        }
    }

    /// Forgets what the tables hold that have everything up to `number`.
    pub(in crate::store) fn drop_through(&mut self, number: u64) {
        self.0.retain(|segment| segment.number > number);
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is left for readers of tables that have everything up to `number`.
    pub(in crate::store) fn behind(mut self, number: u64) -> Self {
        self.drop_through(number);
        self
    }

    /// The newest change of the row of `key`: the value that was put, or `Some(None)` when it was taken out. `None`: what the table
    /// says holds.
    pub(in crate::store) fn find(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        self.0.iter().rev().find_map(|segment| segment.changes.find(table, key))
    }
}

/// How many are joined at once.
const JOINED: usize = 32;

/// Bytes up to which changes are joined; there are few that have more.
const SMALL_BYTES: usize = 16 << 10;

/// The number up to which the tables hold what the journal held.
pub(in crate::store) fn journaled(txn: &ReadTransaction) -> Result<u64, Error> {
    let row = schema::read(txn, STATE)?.get(JOURNALED)?;
    Ok(row.map(|row| record::read_number(&[JOURNALED], row.value())).transpose()?.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;
    use crate::store::redb::journal::entry::Head;

    /// What a batch does to a row: its value, or none when it is taken out.
    type Put = (Table, u8, Option<u8>);
    type Model = BTreeMap<(u8, u8), u8>;

    fn changed() -> impl Strategy<Value = Put> {
        (select(&Table::ALL[..]), 0..4_u8, any::<Option<u8>>())
    }

    fn key(table: Table, key: u8) -> Vec<u8> {
        vec![key; table.key_bytes().unwrap_or(usize::from(key))]
    }

    fn sealed(batch: &[Put], state: &mut Model) -> Arc<Changes> {
        let mut changes = Changes::default();
        for (table, row, value) in batch {
            let (at, key) = ((*table as u8, *row), key(*table, *row));
            match value.map(|value| if table.has_values() { value } else { 0 }) {
                Some(value) => {
                    changes.put(*table, &key, if table.has_values() { std::slice::from_ref(&value) } else { &[] });
                    state.insert(at, value);
                }
                None => {
                    changes.take(*table, &key);
                    state.remove(&at);
                }
            }
        }
        changes.seal(Head { store: 1, run: 1, number: 1, upon: None }, &[]);
        Arc::new(changes)
    }

    proptest! {
        /// A reader takes the view after one commit, and a snapshot of tables that hold some commit, older or newer than that.
        #[test]
        fn a_view_over_tables_of_any_age_shows_the_newer_of_both(
            batches in proptest::collection::vec(proptest::collection::vec(changed(), 0..4), 0..150),
            viewed: Index,
            written: Index,
        ) {
            let (mut unflushed, mut views, mut states) = (Unflushed::default(), Vec::new(), vec![Model::new()]);
            for (number, batch) in (1..).zip(&batches) {
                let mut state = states[states.len() - 1].clone();
                unflushed.push(number, sealed(batch, &mut state));
                views.push(unflushed.clone());
                states.push(state);
            }
            prop_assert!(unflushed.0.len() <= batches.len() / JOINED + JOINED);
            views.insert(0, Unflushed::default());
            let (viewed, written) = (viewed.index(views.len()), written.index(states.len()));
            let view = views.swap_remove(viewed).behind(written as u64);
            prop_assert!(viewed > written || view.is_empty());
            let (below, shown) = (&states[written], &states[viewed.max(written)]);
            for (table, row) in Table::ALL.into_iter().flat_map(|table| (0..4).map(move |row| (table, row))) {
                let at = (table as u8, row);
                let seen = match view.find(table, &key(table, row)) {
                    Some(found) => found.map(|value| value.first().copied().unwrap_or(0)),
                    None => below.get(&at).copied(),
                };
                prop_assert_eq!(seen, shown.get(&at).copied());
            }
        }
    }
}
