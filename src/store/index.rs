//! Listings by webhook and by tenant, without a page per endpoint and commit.
//!
//! ```text
//!   commit ──▶ tail, in memory ──▶ (many entries, sorted) ──▶ index table
//!                    │                                            │
//!                    └───────────── merged when read ─────────────┘
//! ```
//!
//! An index row lands on its owner's leaf, so a batch touches as many leaves as it has owners. The tail gathers entries until
//! they are many; a crash loses none, since the tail is read again from the tables behind `indexed`.

use std::sync::PoisonError;

use super::batch::Batch;
use super::bulk::put_sorted;
use super::error::Error;
use super::tables::{IndexKey, OWNER_BYTES, read_index_key};
use super::tail::{Entry, Flush};
use crate::domain::id::DeliveryKey;

impl Batch<'_, '_> {
    /// Starts writing the tail out when it is long, or `anyway`.
    pub(super) fn start_flush(&mut self, anyway: bool) {
        let least = if anyway { 1 } else { TAIL };
        // The tail still holds what this batch wrote out; it is emptied after the commit.
        if self.memory.flush.is_running() || self.after.flushed {
            return;
        }
        let Some(entries) = self.tail_of(least) else { return };
        let mut rows: Vec<(IndexKey, ())> = entries.iter().flat_map(Entry::rows).map(|row| (row, ())).collect();
        rows.sort_unstable_by(|a, b| b.cmp(a));
        // A fan-out adds deliveries of its event later, and those of this batch are not in the tail yet, so the index is whole
        // only before them.
        let fanning = self.memory.fanouts.iter().map(|running| running.event);
        let added = self.after.index.iter().map(|entry| entry.key.event);
        let open = fanning.chain(added).map(|event| event.0.saturating_sub(1)).min();
        let up_to = self.known_key.min(open.unwrap_or(u64::MAX)).max(self.memory.counters.indexed);
        self.memory.flush = Flush { rows, entries: entries.len(), up_to };
    }

    /// A copy of the tail, when it has so many entries: readers wait for its lock.
    fn tail_of(&self, least: usize) -> Option<Vec<Entry>> {
        let tail = self.shared.tail.lock().unwrap_or_else(PoisonError::into_inner);
        (tail.entries.len() >= least).then(|| tail.entries.clone())
    }

    /// One slice of the flush under way.
    pub(super) fn flush(&mut self) -> Result<(), Error> {
        if !self.memory.flush.is_running() {
            return Ok(());
        }
        let left = self.memory.flush.rows.len().saturating_sub(slice_rows(self.after.index.len()));
        let mut slice = self.memory.flush.rows.split_off(left);
        slice.reverse();
        for owned in slice.chunk_by(|a, b| owner(&a.0) == owner(&b.0)) {
            self.put_owned(owned)?;
        }
        if left == 0 {
            self.after.flushed = true;
            let flush = std::mem::take(&mut self.memory.flush);
            self.memory.counters.indexed = flush.up_to;
            let shared = self.shared.clone();
            self.answer(move || drop(shared.tail.lock().unwrap_or_else(PoisonError::into_inner).entries.drain(..flush.entries)));
        }
        Ok(())
    }

    /// Writes an entry's rows at once: for one that is older than what the index is whole up to.
    pub(super) fn index(&mut self, entry: Entry) -> Result<(), Error> {
        self.after.dirty = true;
        for row in entry.rows() {
            self.tables.index()?.insert(&row, ())?;
        }
        Ok(())
    }

    /// Removes the index rows of what retention took.
    pub(super) fn unindex(&mut self, entry: Entry) -> Result<(), Error> {
        for row in entry.rows() {
            self.tables.index()?.remove(&row)?;
        }
        Ok(())
    }

    /// Writes rows of one owner, in their order.
    fn put_owned(&mut self, rows: &[(IndexKey, ())]) -> Result<(), Error> {
        self.after.dirty = true;
        put_sorted(self.tables.index()?, rows)
    }
}

/// Rows to write in a commit that adds so many entries to the tail: twice what they come to, so that the tail grows no longer than
/// about twice its bound however large the batches are.
fn slice_rows(added: usize) -> usize {
    SLICE.max(added * ROWS_OF_ENTRY * 2)
}

/// The part of a row that says whose it is.
fn owner(row: &IndexKey) -> &[u8] {
    &row[..OWNER_BYTES]
}

/// The delivery, or with endpoint 0 the event, that an index row names.
pub(super) fn entry_of(row: &IndexKey) -> DeliveryKey {
    read_index_key(row)
}

/// Entries in memory before they are written, 16 bytes each. With many endpoints every row touches a page of its own, so the
/// more are written at once the fewer pages each costs; a restart reads them again.
const TAIL: usize = 131_072;

/// Rows written in one commit, where it adds few itself.
const SLICE: usize = 4_096;

/// A delivery is listed by its webhook and by its tenant.
const ROWS_OF_ENTRY: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{EndpointNo, EventKey, TenantNo};

    #[test]
    fn a_commit_writes_more_rows_than_it_adds() {
        let delivery = Entry::delivery(DeliveryKey { event: EventKey(1), endpoint: EndpointNo(1) }, TenantNo(1));
        for added in [0, 1, SLICE, 10 * SLICE] {
            assert!(slice_rows(added) > added * delivery.rows().count(), "{added}");
        }
    }
}
