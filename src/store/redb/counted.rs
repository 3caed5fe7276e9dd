//! A table of a batch that counts the bytes of what is put into it and taken out, and notes that something was: there is no other
//! way to change one, so no table is left out of what the store holds against `max_bytes`, and no change is left uncommitted.

use std::borrow::Borrow;
use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

use redb::{
    AccessGuard, Database, Key, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError, Table,
    TableError, Value,
};

use super::lazy_txn::Txn;
use super::schema::{self, COUNTERS, Def, LATER, STATE, every_table};
use crate::store::error::Error;
use crate::store::record::{self, Counters};

/// By how many bytes of keys and values the tables of a batch have grown, and whether anything in them was changed at all.
#[derive(Clone, Default)]
pub(in crate::store) struct Grown(Rc<Changed>);

#[derive(Default)]
struct Changed {
    by: Cell<i64>,
    is: Cell<bool>,
}

impl Grown {
    pub(in crate::store) fn by(&self) -> i64 {
        self.0.by.get()
    }

    /// Whether a row was put or taken out: then the batch must be committed.
    pub(in crate::store) fn is_changed(&self) -> bool {
        self.0.is.get()
    }

    /// Begins anew at 0.
    pub(in crate::store) fn take(&self) -> i64 {
        self.0.by.take()
    }

    fn add(&self, put: usize, gone: usize) {
        let bytes = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
        self.0.by.set(self.by().saturating_add(bytes(put)).saturating_sub(bytes(gone)));
        self.0.is.set(self.is_changed() || put > 0 || gone > 0);
    }
}

/// A table that is read as any other.
pub(in crate::store) struct Counted<'txn, K: Key + 'static, V: Value + 'static> {
    table: Table<'txn, K, V>,
    grown: Grown,
}

impl<'txn, K: Key + 'static, V: Value + 'static> Counted<'txn, K, V> {
    pub(in crate::store) fn of(table: Table<'txn, K, V>, grown: &Grown) -> Self {
        Self { table, grown: grown.clone() }
    }

    /// A table of a batch, opened now if it was not.
    pub(in crate::store) fn opened<'t>(
        table: &'t mut Option<Self>,
        txn: &'txn Txn<'_>,
        definition: Def<K, V>,
        grown: &Grown,
    ) -> Result<&'t mut Self, Error> {
        if table.is_none() {
            *table = Some(Self::of(txn.get()?.open_table(definition)?, grown));
        }
        Ok(table.as_mut().expect("opened above"))
    }

    /// Puts a row in place of the one that has its key, which is given back.
    pub(in crate::store) fn insert<'k, 'v>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
        value: impl Borrow<V::SelfType<'v>>,
    ) -> Result<Option<AccessGuard<'_, V>>, StorageError> {
        let (key_bytes, value_bytes) = (key_bytes::<K>(key.borrow()), value_bytes::<V>(value.borrow()));
        let old = self.table.insert(key, value)?;
        let gone = old.as_ref().map_or(0, |old| key_bytes + value_bytes_of(old));
        self.grown.add(key_bytes + value_bytes, gone);
        Ok(old)
    }

    /// Takes a row out and gives it.
    pub(in crate::store) fn remove<'k>(
        &mut self,
        key: impl Borrow<K::SelfType<'k>>,
    ) -> Result<Option<AccessGuard<'_, V>>, StorageError> {
        let key_bytes = key_bytes::<K>(key.borrow());
        let old = self.table.remove(key)?;
        self.grown.add(0, old.as_ref().map_or(0, |old| key_bytes + value_bytes_of(old)));
        Ok(old)
    }

    /// The table itself, for changes of many rows at once; what they put and took is noted with [`Self::note`].
    pub(in crate::store) fn bulk(&mut self) -> &mut Table<'txn, K, V> {
        &mut self.table
    }

    pub(in crate::store) fn note(&self, put: usize, gone: usize) {
        self.grown.add(put, gone);
    }
}

impl<'txn, K: Key + 'static, V: Value + 'static> Deref for Counted<'txn, K, V> {
    type Target = Table<'txn, K, V>;

    fn deref(&self) -> &Self::Target {
        &self.table
    }
}

/// Counts the bytes of all rows and writes that down: after the tables were changed otherwise than here, or in a store of a release
/// that counted some. Reads every page. Counters that are damaged are left to whoever mends them.
pub(in crate::store) fn recount(database: &Database) -> Result<u64, Error> {
    let live_bytes = stored_bytes(&database.begin_read()?)?;
    let txn = Txn::of(database);
    {
        let mut table = txn.get()?.open_table(STATE)?;
        let kept = table.get(COUNTERS)?.and_then(|row| record::read_counters(&[COUNTERS], row.value()).ok());
        if let Some(counters) = kept {
            let mut bytes = Vec::new();
            record::write_counters(&[COUNTERS], &Counters { live_bytes, ..counters }, &mut bytes);
            table.insert(COUNTERS, &*bytes)?;
        }
    }
    txn.commit()?;
    Ok(live_bytes)
}

/// The bytes of keys and values in all tables that are counted.
pub(in crate::store) fn stored_bytes(txn: &ReadTransaction) -> Result<u64, Error> {
    let mut sum = 0;
    macro_rules! add {
        ($definition:expr) => {
            sum += stored::<_, _>(txn, $definition)?;
        };
    }
    every_table!(add);
    Ok(sum)
}

fn stored<K: Key + 'static, V: Value + 'static>(txn: &ReadTransaction, definition: Def<K, V>) -> Result<u64, Error> {
    if UNCOUNTED.contains(&redb::TableHandle::name(&definition)) {
        return Ok(0);
    }
    match schema::read(txn, definition) {
        Err(TableError::TableDoesNotExist(name)) if LATER.contains(&&*name) => Ok(0),
        table => Ok(table?.stats()?.stored_bytes()),
    }
}

fn key_bytes<K: Key>(key: &K::SelfType<'_>) -> usize {
    K::as_bytes(key).as_ref().len()
}

fn value_bytes<V: Value>(value: &V::SelfType<'_>) -> usize {
    V::as_bytes(value).as_ref().len()
}

fn value_bytes_of<V: Value + 'static>(row: &AccessGuard<'_, V>) -> usize {
    V::as_bytes(&row.value()).as_ref().len()
}

/// Tables of a few rows that no batch opens as others, or that hold what was found wrong.
const UNCOUNTED: [&str; 4] = ["meta", "state", "quarantine", "finding"];
