//! A journaled table as a batch reads it: from a snapshot until the batch begins a write transaction, then from that.

use std::marker::PhantomData;

use redb::{ReadOnlyTable, ReadableDatabase, ReadableTable, Value};

use super::counted::{Counted, Grown};
use super::journal::item::{Family, Journaled};
use super::lazy_txn::Txn;
use super::schema;
use crate::store::error::Error;

/// What is in the table, without what the memtable holds of it.
pub(in crate::store) struct JournaledTable<'txn, T: Journaled> {
    before: Option<ReadOnlyTable<T::K, T::V>>,
    open: Option<Counted<'txn, T::K, T::V>>,
}

/// The journaled tables of a batch.
pub(in crate::store) struct AllTables<'txn>(PhantomData<&'txn ()>);

impl<'txn> Family for AllTables<'txn> {
    type Of<T: Journaled> = JournaledTable<'txn, T>;
}

impl<T: Journaled> Default for JournaledTable<'_, T> {
    fn default() -> Self {
        Self { before: None, open: None }
    }
}

impl<'txn, T: Journaled> JournaledTable<'txn, T> {
    /// The table in the batch's transaction, which begins now if it has not.
    pub(in crate::store) fn open(&mut self, txn: &'txn Txn<'_>, grown: &Grown) -> Result<&mut Counted<'txn, T::K, T::V>, Error> {
        Counted::opened(&mut self.open, txn, T::DEFINITION, grown)
    }

    /// The table as it was before this batch.
    pub(in crate::store) fn before(&mut self, txn: &Txn<'_>) -> Result<&ReadOnlyTable<T::K, T::V>, Error> {
        if self.before.is_none() {
            self.before = Some(schema::read(&txn.database().begin_read()?, T::DEFINITION)?);
        }
        Ok(self.before.as_ref().expect("opened above"))
    }

    /// Reads one row, without beginning a transaction.
    pub(in crate::store) fn row<R>(
        &mut self,
        txn: &'txn Txn<'_>,
        grown: &Grown,
        key: &T::Key,
        read: impl FnOnce(&[u8]) -> Result<R, Error>,
    ) -> Result<Option<R>, Error> {
        let key = T::table_key(key.as_ref());
        let row = if txn.has_begun() { self.open(txn, grown)?.get(key)? } else { self.before(txn)?.get(key)? };
        row.map(|row| read(T::V::as_bytes(&row.value()).as_ref())).transpose()
    }
}
