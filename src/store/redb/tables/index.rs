//! Rows of the index, written in pieces.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::error::Error;
use crate::store::record::key::{AttemptIndexKey, IndexKey, OWNER_BYTES};
use crate::store::redb::bulk::put_sorted;
use crate::store::redb::counted::Counted;
use crate::store::redb::tables::Tables;
use crate::store::shared::index_tail::{EndedAttempt, Entry, Flush, Indexed, Reach};

/// The rows of both tables that a flush writes. The writer and a checkpoint take of them, each within its transaction, so never at
/// the same time.
#[derive(Clone)]
pub(in crate::store) struct Rows {
    listed: Pieces<Entry, { size_of::<IndexKey>() }>,
    attempts: Pieces<EndedAttempt, { size_of::<AttemptIndexKey>() }>,
}

/// How far both tables reach when a flush has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Ended {
    pub(in crate::store) listed: Reach,
    pub(in crate::store) attempts: Reach,
}

/// A flush under way.
pub(in crate::store) struct Flushing {
    pub(in crate::store) rows: Rows,
    /// Whether somebody waits for its end.
    pub(in crate::store) hurries: bool,
    /// Whether the checkpoint that began last takes rows of it.
    is_shared: bool,
}

impl Flushing {
    pub(in crate::store) fn of(rows: Rows, hurries: bool) -> Self {
        Self { rows, hurries, is_shared: false }
    }

    /// The rows and how many of each table a checkpoint that begins may take. `None` when none are left: then the flush does not
    /// wait for the end of that checkpoint, or checkpoints that follow each other without a pause would hold it up for ever.
    pub(in crate::store) fn share(&mut self, most: usize) -> Option<(Rows, usize)> {
        self.is_shared = self.rows.ended().is_none();
        self.is_shared.then(|| (self.rows.clone(), most))
    }

    /// Once all rows are written: how far the tables reach. `is_checkpointing` says whether a checkpoint is under way.
    pub(in crate::store) fn ended(&self, is_checkpointing: bool) -> Option<Ended> {
        self.rows.ended().filter(|_| !(self.is_shared && is_checkpointing))
    }
}

impl Rows {
    pub(in crate::store) fn of(
        listed: Flush<Entry, { size_of::<IndexKey>() }>,
        attempts: Flush<EndedAttempt, { size_of::<AttemptIndexKey>() }>,
    ) -> Self {
        Self { listed: Pieces::of(listed), attempts: Pieces::of(attempts) }
    }

    /// Once all rows were taken: how far the tables reach.
    pub(in crate::store) fn ended(&self) -> Option<Ended> {
        Some(Ended { listed: self.listed.ended()?, attempts: self.attempts.ended()? })
    }

    /// Writes at most so many of the rows of each table that are left.
    pub(in crate::store) fn write(&self, tables: &mut Tables<'_>, most: usize) -> Result<(), Error> {
        self.listed.write(tables.index()?, most)?;
        self.attempts.write(tables.attempt_index()?, most)
    }
}

/// The rows of one table.
struct Pieces<E, const N: usize>(Arc<Mutex<Flush<E, N>>>);

impl<E, const N: usize> Clone for Pieces<E, N> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<E: Indexed<N>, const N: usize> Pieces<E, N> {
    fn of(flush: Flush<E, N>) -> Self {
        Self(Arc::new(Mutex::new(flush)))
    }

    fn ended(&self) -> Option<Reach> {
        let flush = self.flush();
        flush.is_over().then_some(flush.reaches)
    }

    fn write(&self, table: &mut Counted<'_, &'static [u8; N], ()>, most: usize) -> Result<(), Error> {
        let rows = self.flush().take(most);
        put_rows(table, &rows)
    }

    fn flush(&self) -> MutexGuard<'_, Flush<E, N>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes rows of the index, which ascend.
pub(in crate::store) fn put_rows<const N: usize>(
    table: &mut Counted<'_, &'static [u8; N], ()>,
    rows: &[([u8; N], ())],
) -> Result<(), Error> {
    let rows: Vec<_> = rows.iter().map(|(row, ())| (row, ())).collect();
    rows.chunk_by(|a, b| owner(a.0) == owner(b.0)).try_for_each(|owned| put_sorted(table, owned))
}

/// The part of a row that says whose it is.
fn owner(row: &[u8]) -> &[u8] {
    &row[..OWNER_BYTES]
}
