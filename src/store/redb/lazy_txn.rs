//! A write transaction that begins when something is first to be read or written in it: most batches need none.

use std::cell::OnceCell;

use redb::{Database, Durability, WriteTransaction};

use crate::store::error::Error;

/// A write transaction, if it was needed.
pub(in crate::store) struct Txn<'d> {
    database: &'d Database,
    begun: OnceCell<WriteTransaction>,
}

impl<'d> Txn<'d> {
    pub(in crate::store) fn of(database: &'d Database) -> Self {
        Self { database, begun: OnceCell::new() }
    }

    pub(in crate::store) fn database(&self) -> &'d Database {
        self.database
    }

    pub(in crate::store) fn has_begun(&self) -> bool {
        self.begun.get().is_some()
    }

    /// The transaction, begun now if it was not. Of two in one store the second waits for the first.
    pub(in crate::store) fn get(&self) -> Result<&WriteTransaction, Error> {
        if let Some(txn) = self.begun.get() {
            return Ok(txn);
        }
        let mut txn = self.database.begin_write()?;
        txn.set_durability(Durability::Immediate)?;
        txn.set_quick_repair(true);
        Ok(self.begun.get_or_init(|| txn))
    }

    /// Commits. The changes are on disk when this returns. Without a transaction nothing is done.
    pub(in crate::store) fn commit(self) -> Result<(), Error> {
        self.begun.into_inner().map_or(Ok(()), |txn| Ok(txn.commit()?))
    }

    pub(in crate::store) fn abort(self) -> Result<(), Error> {
        self.begun.into_inner().map_or(Ok(()), |txn| Ok(txn.abort()?))
    }
}
