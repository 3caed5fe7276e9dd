//! What is committed and not in the tables yet: the writer looks here before it looks into the tables, and each reader beside a
//! snapshot of them.

use std::sync::Arc;

use redb::ReadTransaction;

use super::entry::Changes;
use super::item::Table;
use crate::store::error::Error;
use crate::store::record;
use crate::store::record::key::MarkBytes;
use crate::store::redb::schema::{self, JOURNALED, STATE};

/// Changes that stand in the journal, oldest first. Neighbours of a like size are joined, so that a look-up goes through some
/// twenty, not a thousand. What a checkpoint brings in is never joined with what came later.
#[derive(Clone, Default)]
pub(in crate::store) struct Unflushed {
    segments: Vec<Segment>,
    /// The number of the last commit that a checkpoint has begun to bring in.
    frozen: u64,
}

/// The changes of one commit, or of several that follow each other.
#[derive(Clone)]
struct Segment {
    /// The number of the last of them.
    number: u64,
    changes: Arc<Changes>,
}

impl Unflushed {
    /// Adds the changes of the commit with `number`, which is newer than all others.
    pub(in crate::store) fn push(&mut self, number: u64, mut changes: Changes) {
        while let Some(before) = self.segments.pop_if(|before| before.number > self.frozen && before.joins(&changes)) {
            changes = Changes::joined([&*before.changes, &changes].into_iter());
        }
        self.segments.push(Segment { number, changes: Arc::new(changes) });
    }

    /// All of it, for a checkpoint to bring in.
    pub(in crate::store) fn freeze(&mut self) -> Self {
        self.frozen = self.number();
        self.clone()
    }

    /// Forgets what was frozen: the tables hold it.
    pub(in crate::store) fn drop_frozen(&mut self) {
        self.segments.retain(|segment| segment.number > self.frozen);
    }

    /// What is left for readers of tables that have everything up to `number`.
    pub(in crate::store) fn behind(mut self, number: u64) -> Self {
        self.segments.retain(|segment| segment.number > number);
        self
    }

    pub(in crate::store) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// The number of the last commit; 0 where there is none.
    pub(in crate::store) fn number(&self) -> u64 {
        self.segments.last().map_or(0, |segment| segment.number)
    }

    /// The counters after the last commit.
    pub(in crate::store) fn counters(&self) -> Option<&[u8]> {
        self.changes().next_back().map(Changes::counters)
    }

    /// All changes, oldest first.
    pub(in crate::store) fn changes(&self) -> impl DoubleEndedIterator<Item = &Changes> + Clone {
        self.segments.iter().map(|segment| &*segment.changes)
    }

    /// All that counts for statistics.
    pub(in crate::store) fn marks(&self) -> impl Iterator<Item = &MarkBytes> {
        self.changes().flat_map(Changes::marks)
    }

    /// The newest change of the row of `key`: the value that was put, or `Some(None)` when it was taken out. `None`: what the table
    /// says holds.
    pub(in crate::store) fn find(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        self.changes().rev().find_map(|changes| changes.find(table, key))
    }
}

impl Segment {
    /// Whether these and newer changes become one: the sizes fall off by half, so each change is moved few times.
    fn joins(&self, newer: &Changes) -> bool {
        let (bytes, newer) = (self.changes.bytes().len(), newer.bytes().len());
        bytes <= 2 * newer && bytes + newer <= JOINED_BYTES
    }
}

/// Bytes up to which changes are joined: a commit waits for no more than that to be copied.
const JOINED_BYTES: usize = 256 << 10;

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
        vec![key; table.form().key_bytes.unwrap_or(usize::from(key))]
    }

    fn sealed(batch: &[Put], state: &mut Model) -> Changes {
        let mut changes = Changes::default();
        for (table, row, value) in batch {
            let (at, key) = ((*table as u8, *row), key(*table, *row));
            match value.map(|value| if table.form().has_values { value } else { 0 }) {
                Some(value) => {
                    let bytes: &[u8] = if table.form().has_values { std::slice::from_ref(&value) } else { &[] };
                    changes.change(*table, (&key, Some(bytes)));
                    state.insert(at, value);
                }
                None => {
                    changes.change(*table, (&key, None));
                    state.remove(&at);
                }
            }
        }
        changes.seal(Head { store: 1, run: 1, number: 1, upon: None }, &[]);
        changes
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
            let sizes: Vec<usize> = unflushed.changes().map(|changes| changes.bytes().len()).collect();
            prop_assert!(sizes.windows(2).all(|sizes| sizes[0] > 2 * sizes[1]), "{sizes:?}");
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
