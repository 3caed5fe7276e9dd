//! Listings by webhook and by tenant, without a page per endpoint and commit.
//!
//! ```text
//!   commit ──▶ tail, in memory ──▶ (many entries, sorted) ──▶ index table, by slices with the checkpoints
//!                    │                                            │
//!                    └───────────── merged when read ─────────────┘
//! ```
//!
//! An index row lands on its owner's leaf, so a batch touches as many leaves as it has owners. The tail gathers entries until
//! they are many; a crash loses none, since the tail is read again from the tables: what was published behind `indexed`, and the
//! attempts that `ended` holds. Attempts have a table of their own in the index, by their starts.

use crate::store::error::Error;
use crate::store::redb::batch::Batch;
use crate::store::redb::bulk::remove_sorted;
use crate::store::redb::tables::index::{Ended, Flushing, Rows};
use crate::store::shared::index_tail::{EndedAttempt, Entry, Flush, Indexed};

impl Batch<'_, '_> {
    /// Starts writing the tail out when it is long. One that has become twice as long waits for no checkpoint.
    pub(in crate::store) fn start_flush(&mut self) {
        let is_long = self.tail_len() > 2 * TAIL;
        self.flush_of(TAIL, is_long);
    }

    fn tail_len(&self) -> usize {
        self.shared.tail_mut().len()
    }

    /// Writes the tail out however short it is, and without waiting for checkpoints: retention goes no further than the index.
    pub(in crate::store) fn hurry_flush(&mut self) {
        self.flush_of(1, true);
    }

    fn flush_of(&mut self, least: usize, hurries: bool) {
        if let Some(flushing) = &mut self.memory.flushing {
            flushing.hurries |= hurries;
            return;
        }
        // The tail still holds what this batch wrote out; it is emptied after the commit.
        if self.after.flushed {
            return;
        }
        let Some((entries, attempts)) = self.tail_of(least) else { return };
        // A fan-out adds deliveries of its event later, and those of this batch are not in the tail yet, so the index is whole
        // only before them.
        let fanning = self.memory.fanouts.iter().map(|running| running.event);
        let added = self.after.index.iter().map(|entry| entry.key.event);
        let open = fanning.chain(added).map(|event| event.0.saturating_sub(1)).min();
        let up_to = self.known_key.min(open.unwrap_or(u64::MAX)).max(self.memory.counters.indexed);
        // Those of this batch are not in the tail yet either.
        let newest = self.memory.counters.attempts.saturating_sub(self.after.attempted.len() as u64);
        let rows = Rows::of(Flush::new(entries, up_to), Flush::new(attempts, newest));
        self.memory.flushing = Some(Flushing::of(rows, hurries));
    }

    /// A copy of the tail, when it has so many entries: readers wait for its lock.
    fn tail_of(&self, least: usize) -> Option<(Vec<Entry>, Vec<EndedAttempt>)> {
        let tail = self.shared.tail_mut();
        (tail.len() >= least).then(|| (tail.entries.clone(), tail.attempts.clone()))
    }

    /// Goes on with the flush under way. Checkpoints write it, beside the writer; what hurries, and what comes with a batch that
    /// goes into the tables anyway, is written by slices here.
    pub(in crate::store) fn flush(&mut self) -> Result<(), Error> {
        let Some(flushing) = &self.memory.flushing else { return Ok(()) };
        if flushing.hurries || self.tables.are_touched() || self.tables.memtable.is_too_long() {
            let added = self.after.index.len() + self.after.attempted.len();
            flushing.rows.write(&mut self.tables, slice_rows(added))?;
        }
        // What a checkpoint has taken is written when that has ended.
        let Some(Ended { listed, attempts }) = flushing.ended(self.tables.memtable.awaits_checkpoint()) else { return Ok(()) };
        self.memory.flushing = None;
        (self.after.flushed, self.after.dirty) = (true, true);
        self.memory.counters.indexed = listed.up_to;
        self.memory.counters.attempts_indexed = attempts.up_to;
        let shared = self.shared.clone();
        self.answer(move || {
            let mut tail = shared.tail_mut();
            tail.entries.drain(..listed.count);
            tail.attempts.drain(..attempts.count);
        });
        Ok(())
    }

    /// Writes an entry's rows at once: for one that is older than what the index is whole up to.
    pub(in crate::store) fn index(&mut self, entry: Entry) -> Result<(), Error> {
        for row in entry.rows() {
            self.tables.index()?.insert(&row, ())?;
        }
        Ok(())
    }

    /// Removes the index rows of what retention took.
    pub(in crate::store) fn unindex(&mut self, entry: Entry) -> Result<(), Error> {
        for row in entry.rows() {
            self.tables.index()?.remove(&row)?;
        }
        Ok(())
    }

    /// Removes the rows of the attempts that went with their deliveries in this batch.
    pub(in crate::store) fn unindex_attempts(&mut self) -> Result<(), Error> {
        let mut gone = std::mem::take(&mut self.after.unindexed);
        if gone.is_empty() {
            return Ok(());
        }
        gone.sort_unstable();
        remove_sorted(self.tables.attempt_index()?, &gone, |row| row)
    }
}

/// Rows to write in a commit that adds so many entries to the tail: twice what they come to, so that the tail grows no longer than
/// about twice its bound however large the batches are.
pub(in crate::store) fn slice_rows(added: usize) -> usize {
    SLICE.max(added * ROWS_OF_ENTRY * 2)
}

/// Entries in memory before they are written, 16 bytes each, those of attempts 32. With many endpoints every row touches a page of its own, so the
/// more are written at once the fewer pages each costs; a restart reads them again.
pub(in crate::store) const TAIL: usize = 131_072;

/// Rows written in one commit, where it adds few itself.
const SLICE: usize = 4_096;

/// A delivery is listed by its webhook and by its tenant.
const ROWS_OF_ENTRY: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};

    #[test]
    fn a_commit_writes_more_rows_than_it_adds() {
        let delivery = Entry::delivery(DeliveryKey { event: EventKey(1), endpoint: EndpointNo(1) }, TenantNo(1));
        for added in [0, 1, SLICE, 10 * SLICE] {
            assert!(slice_rows(added) > added * delivery.rows().count(), "{added}");
        }
    }
}
