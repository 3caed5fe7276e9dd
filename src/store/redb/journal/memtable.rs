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
    /// The changes of this batch, behind those that it has gathered.
    pub(in crate::store) current: Changes,
    /// Bytes of what it has gathered.
    gathered: usize,
    /// What earlier batches have committed to the journal; the first of it may be on its way into the tables.
    pub(in crate::store) unflushed: Unflushed,
    checkpoint: Option<UnderWay>,
    /// The bytes of all rows after the checkpoint that ended last, until somebody asks.
    live_bytes: Option<u64>,
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

    /// Makes all that the journal holds part of this batch, which is to be committed to the tables.
    pub(in crate::store) fn gather(&mut self) {
        if !self.unflushed.is_empty() {
            let bytes = self.batch_bytes();
            self.current = Changes::joined(self.unflushed.changes().chain([&self.current]));
            self.gathered = self.current.bytes().len() - bytes;
            self.unflushed = Unflushed::default();
        }
    }

    /// Bytes of what this batch itself has changed.
    pub(in crate::store) fn batch_bytes(&self) -> usize {
        self.current.bytes().len() - self.gathered
    }

    /// Whether this batch's changes are more than the journal takes at once: they go into the tables instead.
    pub(in crate::store) fn is_too_long(&self) -> bool {
        self.batch_bytes() as u64 > CHECKPOINT_BYTES
    }

    /// Takes this batch's changes: they are sealed for the journal, or the tables have them.
    pub(in crate::store) fn take_current(&mut self) -> Changes {
        self.gathered = 0;
        std::mem::replace(&mut self.current, Changes::with_room(ROOM_BYTES))
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

    /// Whether a checkpoint is under way.
    pub(in crate::store) fn is_frozen(&mut self) -> Result<bool, Error> {
        self.thaw_by(UnderWay::ended)?;
        Ok(self.awaits_checkpoint())
    }

    /// Waits for the checkpoint under way.
    pub(in crate::store) fn thaw(&mut self) -> Result<(), Error> {
        self.thaw_by(|under_way| Some(under_way.wait()))
    }

    fn thaw_by(&mut self, ended: impl FnOnce(&UnderWay) -> Option<Result<u64, Error>>) -> Result<(), Error> {
        if let Some(live_bytes) = self.checkpoint.as_ref().and_then(ended) {
            self.live_bytes = Some(live_bytes?);
            self.unflushed.drop_frozen();
            self.checkpoint = None;
        }
        Ok(())
    }

    /// The bytes of all rows after a checkpoint that has ended since it was last asked.
    pub(in crate::store) fn take_live_bytes(&mut self) -> Option<u64> {
        self.live_bytes.take()
    }
}

/// Bytes that a batch's changes have room for at first.
const ROOM_BYTES: usize = 64 << 10;

/// Bytes of changes that the journal holds before they are brought into the tables: the more, the fewer pages each event costs
/// there; a start after a crash reads them, and readers look through them.
pub(in crate::store) const CHECKPOINT_BYTES: u64 = 2 << 20;
