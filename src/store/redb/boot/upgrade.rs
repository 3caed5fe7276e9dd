//! A store of an earlier release becomes one of this release, in one transaction. Records are read as they are, and written anew
//! when they change.

use std::ops::Bound;
use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle, WriteTransaction};

use super::founding::put_identity;
use super::recovery::twice;
use crate::store::error::Error;
use crate::store::record::{self, Meta};
use crate::store::redb::journal::file;
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::schema::{DUE, Def, INDEX, JOURNAL_ID, LATER, META, REVISIT, SEAL, STORE_VERSION};
use crate::store::redb::tables;

/// Does nothing to a store of this release but for tables that it may lack.
pub(in crate::store) fn complete(database: &Database, path: &Path, old: Meta) -> Result<(), Error> {
    if old.store_version >= STORE_VERSION {
        return add_later(database);
    }
    let lazy = Txn::of(database);
    let txn = lazy.get()?;
    if old.store_version < 3 {
        // Left behind by a release that was tried before and taken back.
        file::remove(path)?;
    }
    if old.store_version < 2 {
        drop_values(txn, DUE)?;
        drop_values(txn, REVISIT)?;
        drop_values(txn, INDEX)?;
    }
    tables::create_all(&lazy)?;
    let (seal, journal) = identity(txn, old)?;
    put_identity(&lazy, Meta { store_version: STORE_VERSION, ..old }, &seal, journal)?;
    lazy.commit()
}

/// Makes the tables that came after the version, where they are missing.
fn add_later(database: &Database) -> Result<(), Error> {
    let there: Vec<String> = database.begin_read()?.list_tables()?.map(|table| table.name().to_owned()).collect();
    if LATER.iter().all(|later| there.iter().any(|name| name == later)) {
        return Ok(());
    }
    let lazy = Txn::of(database);
    tables::create_all(&lazy)?;
    lazy.commit()
}

/// The master key's seal, and the number by which the journal is known; before version 3 there was no journal.
fn identity(txn: &WriteTransaction, old: Meta) -> Result<(Vec<u8>, u64), Error> {
    let missing = || Error::Damaged { table: "meta", why: "a row is missing" };
    let table = txn.open_table(META)?;
    let seal = twice(&table, SEAL, record::read_bytes)?.ok_or_else(missing)?;
    let journal = if old.store_version < 3 {
        getrandom::u64()?
    } else {
        twice(&table, JOURNAL_ID, record::read_number)?.ok_or_else(missing)?
    };
    Ok((seal, journal))
}

/// In the first version these tables had values, all of them empty.
fn drop_values<const N: usize>(txn: &WriteTransaction, definition: Def<&'static [u8; N], ()>) -> Result<(), Error> {
    let first: TableDefinition<'_, &'static [u8; N], &'static [u8]> = TableDefinition::new(definition.name());
    let aside: Def<&'static [u8; N]> = TableDefinition::new("aside");
    txn.rename_table(first, aside)?;
    let mut table = txn.open_table(definition)?;
    let mut cursor = table.upper_bound_mut(Bound::<&[u8; N]>::Unbounded)?;
    for row in txn.open_table(aside)?.iter()? {
        cursor.insert_before(row?.0.value(), ())?;
    }
    cursor.close()?;
    txn.delete_table(aside)?;
    Ok(())
}
