//! What each table takes of the store's file.

use redb::{Key, ReadTransaction, ReadableDatabase, ReadableTableMetadata, TableError, Value};

use super::Reader;
use crate::store::error::Error;
use crate::store::redb::mend::quarantine::name_of;
use crate::store::redb::schema::{self, Def, LATER, every_table};

/// One table as a snapshot has it. What the journal holds alone is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableSize {
    pub(crate) name: &'static str,
    pub(crate) rows: u64,
    /// Of keys and values.
    pub(crate) bytes: u64,
    /// Of its pages, in which there is more than that.
    pub(crate) file_bytes: u64,
}

impl Reader {
    /// The size of every table, in the order of [`every_table`]. Reads all of them.
    pub(crate) fn table_sizes(&self) -> Result<Vec<TableSize>, Error> {
        let txn = self.database.begin_read()?;
        let mut sizes = Vec::new();
        macro_rules! measure {
            ($definition:expr) => {
                sizes.extend(size(&txn, $definition)?);
            };
        }
        every_table!(measure);
        Ok(sizes)
    }
}

fn size<K: Key + 'static, V: Value + 'static>(txn: &ReadTransaction, definition: Def<K, V>) -> Result<Option<TableSize>, Error> {
    let table = match schema::read(txn, definition) {
        Err(TableError::TableDoesNotExist(name)) if LATER.contains(&&*name) => return Ok(None),
        table => table?,
    };
    let (rows, stats) = (table.len()?, table.stats()?);
    let bytes = stats.stored_bytes();
    let file_bytes = bytes + stats.metadata_bytes() + stats.fragmented_bytes();
    Ok(Some(TableSize { name: name_of(definition), rows, bytes, file_bytes }))
}
