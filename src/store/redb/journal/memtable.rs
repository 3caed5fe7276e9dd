//! The writer's view of what is not in the tables yet: the changes of its batch, and those of earlier batches that stand in the
//! journal. A checkpoint, or a batch that needs the tables, brings all of it in, in the order of the keys.

use std::ops::{Bound, RangeBounds};

use super::entry::Changes;
use super::item::{Row, Table};
use super::job::{Job, UnderWay};
use super::unflushed::Unflushed;
use crate::store::error::Error;

/// Rows that were put or taken out and are not in the tables yet.
#[derive(Default)]
pub(in crate::store) struct Memtable {
    /// The changes of this batch.
    pub(in crate::store) current: Changes,
    /// What earlier batches have committed to the journal; the first of it may be on its way into the tables.
    pub(in crate::store) unflushed: Unflushed,
    checkpoint: Option<UnderWay>,
    /// The bytes of all rows after the checkpoint that ended last, until somebody takes them.
    pub(in crate::store) live_bytes: Option<u64>,
}

impl Memtable {
    /// What the journal holds, for the tables to take in.
    pub(in crate::store) fn of(unflushed: Unflushed) -> Self {
        Self { unflushed, ..Self::default() }
    }

    /// A row that the table may not have yet: its value, or `Some(None)` when it was taken out. `None`: what the table says holds.
    pub(in crate::store) fn find(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        self.current.find(table, key).or_else(|| self.unflushed.find(table, key))
    }

    /// The newest change of each row of a table between two bounds, in order.
    pub(in crate::store) fn newest<'a>(
        &'a mut self,
        table: Table,
        first: Bound<&[u8]>,
        last: Bound<&'a [u8]>,
    ) -> impl Iterator<Item = Row<'a>> {
        self.current.sort(table);
        let newest_first = [&self.current].into_iter().chain(self.unflushed.changes().rev());
        let mut all: Vec<_> = newest_first.map(|changes| changes.newest(table, first, last).peekable()).collect();
        let newest = std::iter::from_fn(move || {
            let key = all.iter_mut().filter_map(|rows| Some(rows.peek()?.0)).min()?;
            all.iter_mut().fold(None, |newest, rows| newest.or(rows.next_if(|row| row.0 == key)))
        });
        newest.take_while(move |(key, _)| RangeBounds::<[u8]>::contains(&(Bound::Unbounded, last), *key))
    }

    /// Whether this batch's changes are more than the journal takes at once: they go into the tables instead.
    pub(in crate::store) fn is_too_long(&self) -> bool {
        self.current.bytes().len() as u64 > CHECKPOINT_BYTES
    }

    /// Takes this batch's changes, to be sealed for the journal.
    pub(in crate::store) fn take_current(&mut self) -> Changes {
        std::mem::replace(&mut self.current, Changes::with_room(ROOM_BYTES))
    }

    /// Takes all that the journal holds and this batch's changes, to be brought into the tables.
    pub(in crate::store) fn take_all(&mut self) -> Changes {
        let (earlier, current) = (std::mem::take(&mut self.unflushed), self.take_current());
        Changes::joined(earlier.changes().chain([&current]))
    }

    /// Hands all that the journal holds to a checkpoint; the one before must have ended.
    pub(in crate::store) fn freeze(&mut self) -> Job {
        debug_assert!(self.checkpoint.is_none(), "there is one checkpoint at a time");
        let (job, under_way) = Job::of(self.unflushed.freeze());
        self.checkpoint = Some(under_way);
        job
    }

    /// Whether a checkpoint was under way when that was last looked after.
    pub(in crate::store) fn awaits_checkpoint(&self) -> bool {
        self.checkpoint.is_some()
    }

    /// Forgets what the checkpoint under way has brought in, if it has ended; with `waits` it waits for that.
    pub(in crate::store) fn thaw(&mut self, waits: bool) -> Result<(), Error> {
        if let Some(live_bytes) = self.checkpoint.as_ref().and_then(|under_way| under_way.ended(waits)) {
            self.live_bytes = Some(live_bytes?);
            self.unflushed.drop_frozen();
            self.checkpoint = None;
        }
        Ok(())
    }
}

/// Bytes that a batch's changes have room for at first.
const ROOM_BYTES: usize = 64 << 10;

/// Bytes of changes that the journal holds before they are brought into the tables: the more, the fewer pages each event costs
/// there; a start after a crash reads them, and readers look through them.
pub(in crate::store) const CHECKPOINT_BYTES: u64 = 2 << 20;
