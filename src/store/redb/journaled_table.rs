//! A table of the hot path within a batch: as it was before, as long as the batch needs no transaction, else within that.

use redb::{Key, ReadOnlyTable, ReadableDatabase, Value};

use super::counted::{Counted, Grown};
use super::lazy_txn::Txn;
use super::schema::{self, Def};
use crate::store::error::Error;

/// What is in the table, without what was kept back of it.
pub(in crate::store) struct Hot<'txn, K: Key + 'static, V: Value + 'static> {
    definition: Def<K, V>,
    grown: Grown,
    before: Option<ReadOnlyTable<K, V>>,
    open: Option<Counted<'txn, K, V>>,
}

impl<'txn, K: Key + 'static, V: Value + 'static> Hot<'txn, K, V> {
    pub(in crate::store) fn of(definition: Def<K, V>, grown: &Grown) -> Self {
        Self { definition, grown: grown.clone(), before: None, open: None }
    }

    /// The table in the batch's transaction, which begins now if it has not.
    pub(in crate::store) fn open(&mut self, txn: &'txn Txn<'_>) -> Result<&mut Counted<'txn, K, V>, Error> {
        if self.open.is_none() {
            self.open = Some(Counted::of(txn.get()?.open_table(self.definition)?, &self.grown));
        }
        Ok(self.open.as_mut().expect("opened above"))
    }

    /// The table as it was before this batch.
    pub(in crate::store) fn before(&mut self, txn: &Txn<'_>) -> Result<&ReadOnlyTable<K, V>, Error> {
        if self.before.is_none() {
            self.before = Some(schema::read(&txn.database().begin_read()?, self.definition)?);
        }
        Ok(self.before.as_ref().expect("opened above"))
    }

    /// Reads one row, without beginning a transaction.
    pub(in crate::store) fn row<'k, T>(
        &mut self,
        txn: &'txn Txn<'_>,
        key: K::SelfType<'k>,
        read: impl FnOnce(V::SelfType<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        if txn.has_begun() {
            return redb::ReadableTable::get(&**self.open(txn)?, key)?.map(|row| read(row.value())).transpose();
        }
        self.before(txn)?.get(key)?.map(|row| read(row.value())).transpose()
    }
}
