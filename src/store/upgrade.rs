//! A store of an earlier release becomes one of this release, in one transaction. Records are read as they are, and written anew
//! when they change.

use std::ops::Bound;
use std::path::Path;

use redb::{Database, ReadableTable, TableDefinition, TableHandle, WriteTransaction};

use super::error::Error;
use super::journal;
use super::record::{self, Meta};
use super::tables::{DUE, Def, IDENTITY, INDEX, JOURNAL_ID, META, REVISIT, STORE_VERSION};
use super::txn::Txn;
use super::writable;

/// Does nothing to a store of this release.
pub(super) fn complete(database: &Database, path: &Path, old: Meta) -> Result<(), Error> {
    if old.store_version >= STORE_VERSION {
        return Ok(());
    }
    let lazy = Txn::of(database);
    let txn = lazy.get()?;
    // Left behind by a release that was tried before and taken back.
    journal::remove(path)?;
    if old.store_version < 2 {
        drop_values(txn, DUE)?;
        drop_values(txn, REVISIT)?;
        drop_values(txn, INDEX)?;
    }
    writable::create_all(&lazy)?;
    let mut bytes = Vec::new();
    record::write_meta(&Meta { store_version: STORE_VERSION, ..old }, &mut bytes);
    txn.open_table(META)?.insert(IDENTITY, &*bytes)?;
    record::write_number(&getrandom::u64()?, &mut bytes);
    txn.open_table(META)?.insert(JOURNAL_ID, &*bytes)?;
    lazy.commit()
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
