//! The rows of one snapshot in a new file: table by table, in the order of their keys, a piece at a time.
//!
//! A copy of pages would carry the empty ones along, and redb shows nobody which those are. Rows in order fill their leaves one
//! after the other, so that the copy is as small as a store of these rows can be.

use std::collections::BTreeMap;
use std::ops::Range;

use redb::{Database, Key, ReadTransaction, ReadableTable, ReadableTableMetadata, TableError, Value, WriteTransaction};

use crate::store::error::Error;
use crate::store::redb::bulk::append_sorted;
use crate::store::redb::counted::{Counted, Grown};
use crate::store::redb::mend::judge;
use crate::store::redb::mend::quarantine::name_of;
use crate::store::redb::schema::{self, Def, LATER, every_table};

/// What was copied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Copied {
    /// Rows of each table.
    pub(in crate::store) rows: BTreeMap<String, u64>,
    /// Rows that are damaged. They are copied as they are, so that nothing is lost that could be mended.
    pub(in crate::store) damaged: u64,
}

/// Is told of each piece: how many rows it had. An error ends the copy.
pub(in crate::store) type Watch<'a> = &'a mut dyn FnMut(u64) -> Result<(), Error>;

/// How many rows a snapshot has in all tables.
pub(in crate::store) fn count(from: &ReadTransaction) -> Result<u64, Error> {
    let mut rows = 0;
    macro_rules! add {
        ($definition:expr) => {
            rows += there(from, $definition)?.map_or(Ok(0), |table| table.len())?;
        };
    }
    every_table!(add);
    Ok(rows)
}

/// Copies every table into a database that has none. All of it is on disk when this returns. Fails when a table has another number of
/// rows than it counts, or its copy has: a damaged page hid some, or showed some twice.
pub(in crate::store) fn copy_all(from: &ReadTransaction, to: &Database, watch: Watch<'_>) -> Result<Copied, Error> {
    let mut copy = Copy { to, txn: None, bytes: 0, copied: Copied::default(), watch };
    macro_rules! copy {
        ($definition:expr) => {
            copy.table(from, $definition)?;
        };
    }
    every_table!(copy);
    copy.commit()?;
    Ok(copy.copied)
}

/// A table of the snapshot. `None`: it came after this store was made, and nothing was ever in it.
fn there<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    definition: Def<K, V>,
) -> Result<Option<redb::ReadOnlyTable<K, V>>, Error> {
    match schema::read(from, definition) {
        Err(TableError::TableDoesNotExist(name)) if LATER.contains(&&*name) => Ok(None),
        found => Ok(Some(found?)),
    }
}

struct Copy<'d, 'w> {
    to: &'d Database,
    /// Without the state of the allocator, which only a start after a crash wants: nobody opens a copy that is not whole.
    txn: Option<WriteTransaction>,
    /// Bytes of rows in the transaction.
    bytes: usize,
    copied: Copied,
    watch: Watch<'w>,
}

impl Copy<'_, '_> {
    fn table<K: Key + 'static, V: Value + 'static>(
        &mut self,
        from: &ReadTransaction,
        definition: Def<K, V>,
    ) -> Result<(), Error> {
        let (name, mut rows, mut counted) = (name_of(definition), 0, 0);
        let mut piece = Piece::default();
        if let Some(table) = there(from, definition)? {
            counted = table.len()?;
            for row in table.iter()? {
                let (key, value) = row?;
                let (key, value) = (key.value(), value.value());
                let (key, value) = (K::as_bytes(&key), V::as_bytes(&value));
                rows += 1;
                self.copied.damaged += u64::from(judge::row(name, key.as_ref(), value.as_ref()).is_err());
                piece.push(key.as_ref(), value.as_ref());
                if piece.is_full() {
                    self.put(definition, &mut piece)?;
                }
            }
        }
        self.put(definition, &mut piece)?;
        self.compare(definition, counted, rows)?;
        self.copied.rows.insert(name.into(), rows);
        Ok(())
    }

    /// Compares the rows that a table counts with those that were read of it and those that its copy has.
    fn compare<K: Key + 'static, V: Value + 'static>(
        &mut self,
        definition: Def<K, V>,
        counted: u64,
        read: u64,
    ) -> Result<(), Error> {
        let written = self.txn()?.open_table(definition)?.len()?;
        if read == counted && written == counted {
            return Ok(());
        }
        Err(Error::Short { table: name_of(definition), counted, copied: read.min(written) })
    }

    /// Writes the rows of `piece` and empties it. With no rows it only makes the table.
    fn put<K: Key + 'static, V: Value + 'static>(&mut self, definition: Def<K, V>, piece: &mut Piece) -> Result<(), Error> {
        {
            let mut table = Counted::of(self.txn()?.open_table(definition)?, &Grown::default());
            append_sorted(&mut table, &piece.rows::<K, V>())?;
        }
        self.bytes += piece.bytes.len();
        let rows = piece.places.len() as u64;
        piece.clear();
        if self.bytes > COMMIT_BYTES {
            self.commit()?;
        }
        (self.watch)(rows)
    }

    fn txn(&mut self) -> Result<&WriteTransaction, Error> {
        if self.txn.is_none() {
            self.txn = Some(self.to.begin_write()?);
        }
        Ok(self.txn.as_ref().expect("begun above"))
    }

    fn commit(&mut self) -> Result<(), Error> {
        self.bytes = 0;
        self.txn.take().map_or(Ok(()), |txn| Ok(txn.commit()?))
    }
}

/// Some rows of a table that follow each other, in one allocation.
#[derive(Default)]
struct Piece {
    bytes: Vec<u8>,
    /// Where each row's key and value stand.
    places: Vec<(Range<usize>, Range<usize>)>,
}

impl Piece {
    fn push(&mut self, key: &[u8], value: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(key);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.places.push((start..middle, middle..self.bytes.len()));
    }

    fn is_full(&self) -> bool {
        self.bytes.len() >= PIECE_BYTES || self.places.len() >= PIECE_ROWS
    }

    fn rows<K: Key, V: Value>(&self) -> Vec<(K::SelfType<'_>, V::SelfType<'_>)> {
        let row = |(key, value): &(Range<usize>, Range<usize>)| {
            (K::from_bytes(&self.bytes[key.clone()]), V::from_bytes(&self.bytes[value.clone()]))
        };
        self.places.iter().map(row).collect()
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.places.clear();
    }
}

/// Between two looks at the watch no more is copied than this and one row.
const PIECE_BYTES: usize = 1 << 20;
const PIECE_ROWS: usize = 4_096;

/// What goes into the file by one commit: the sync of each is small, so that it does not hold up the journal's on the same disk.
const COMMIT_BYTES: usize = 8 << 20;
