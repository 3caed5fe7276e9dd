//! Rows of the index, written in pieces.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::store::error::Error;
use crate::store::record::key::{IndexKey, OWNER_BYTES};
use crate::store::redb::bulk::put_sorted;
use crate::store::redb::counted::Counted;
use crate::store::shared::index_tail::{Flush, IndexRow};

/// The rows of a flush. The writer and a checkpoint take of them, each within its transaction, so never at the same time.
#[derive(Clone)]
pub(in crate::store) struct Rows(Arc<Mutex<Flush>>);

/// A flush under way.
pub(in crate::store) struct Flushing {
    pub(in crate::store) rows: Rows,
    /// Whether somebody waits for its end.
    pub(in crate::store) hurries: bool,
    /// Whether the checkpoint that began last takes rows of it.
    is_shared: bool,
}

impl Flushing {
    pub(in crate::store) fn of(flush: Flush, hurries: bool) -> Self {
        Self { rows: Rows::of(flush), hurries, is_shared: false }
    }

    /// The rows and how many of them a checkpoint that begins may take. `None` when none are left: then the flush does not wait for
    /// the end of that checkpoint, or checkpoints that follow each other without a pause would hold it up for ever.
    pub(in crate::store) fn share(&mut self, most: usize) -> Option<(Rows, usize)> {
        self.is_shared = self.rows.ended().is_none();
        self.is_shared.then(|| (self.rows.clone(), most))
    }

    /// Once all rows are written: how many entries of the tail they are of, and the last event that the index holds with them.
    /// `is_checkpointing` says whether a checkpoint is under way.
    pub(in crate::store) fn ended(&self, is_checkpointing: bool) -> Option<(usize, u64)> {
        self.rows.ended().filter(|_| !(self.is_shared && is_checkpointing))
    }
}

impl Rows {
    pub(in crate::store) fn of(flush: Flush) -> Self {
        Self(Arc::new(Mutex::new(flush)))
    }

    /// Once all rows were taken: how many entries of the tail they are of, and the last event that the index holds with them.
    pub(in crate::store) fn ended(&self) -> Option<(usize, u64)> {
        let flush = self.flush();
        flush.is_over().then_some((flush.count, flush.up_to))
    }

    /// Writes at most so many of the rows that are left.
    pub(super) fn write(&self, table: &mut Counted<'_, &'static IndexKey, ()>, most: usize) -> Result<(), Error> {
        let rows = self.flush().take(most);
        put_rows(table, &rows)
    }

    fn flush(&self) -> MutexGuard<'_, Flush> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes rows of the index, which ascend.
fn put_rows(table: &mut Counted<'_, &'static IndexKey, ()>, rows: &[IndexRow]) -> Result<(), Error> {
    let rows: Vec<_> = rows.iter().map(|(row, ())| (row, ())).collect();
    rows.chunk_by(|a, b| owner(a.0) == owner(b.0)).try_for_each(|owned| put_sorted(table, owned))
}

/// The part of a row that says whose it is.
fn owner(row: &IndexKey) -> &[u8] {
    &row[..OWNER_BYTES]
}
