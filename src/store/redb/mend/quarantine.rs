//! Damaged rows leave their tables: each stands in `quarantine` as it stood, with what was wrong with it.
//!
//! A damaged key is out of its place, where no look-up finds it, and may hide its neighbours. So a table with a damaged row is
//! written anew: its rows are read from the first leaf to the last, wherever they stand, and the good ones go into a new table in
//! the order of their keys. So does a row whose one flipped bit its checksum tells.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use redb::{
    Database, Key, ReadTransaction, ReadableTable, ReadableTableMetadata, Table, TableDefinition, TableError, TableHandle, Value,
    WriteTransaction,
};

use super::judge;
use super::righted::{Row, righted};
use crate::domain::time::Timestamp;
use crate::store::error::Error;
use crate::store::record::{self, Quarantined};
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::medium::Medium;
use crate::store::redb::schema::{self, Def, LATER, QUARANTINE, STORE_VERSION, every_table, small_table};
use crate::store::redb::site;

/// What a look through tables found.
#[derive(Debug, Default)]
pub(in crate::store) struct Glance {
    /// Rows that are damaged or out of order, by table.
    pub(in crate::store) bad: BTreeMap<&'static str, u64>,
    /// The first of them in words.
    pub(in crate::store) faults: Vec<String>,
    /// The store's version, by which tables may be missing.
    version: u32,
}

impl Glance {
    /// Looks through every table that a start reads whole; a store of an earlier version lacks some. The others are judged row by row
    /// when they are read.
    pub(in crate::store) fn of_small(txn: &ReadTransaction, version: u32) -> Result<Self, Error> {
        let mut glance = Self { version, ..Self::default() };
        macro_rules! look {
            ($definition:expr) => {
                glance.look(txn, $definition)?
            };
        }
        small_table!(look);
        Ok(glance)
    }

    /// Looks through all tables.
    pub(in crate::store) fn of_all(txn: &ReadTransaction, version: u32) -> Result<Self, Error> {
        let mut glance = Self { version, ..Self::default() };
        macro_rules! look {
            ($definition:expr) => {
                glance.look(txn, $definition)?
            };
        }
        every_table!(look);
        Ok(glance)
    }

    /// Judges every row of one table; one that is not there has none.
    fn look<K: Key + 'static, V: Value + 'static>(&mut self, txn: &ReadTransaction, definition: Def<K, V>) -> Result<(), Error> {
        let table = match schema::read(txn, definition) {
            Err(TableError::TableDoesNotExist(_)) if may_lack(self.version, name_of(definition)) => return Ok(()),
            Err(TableError::TableDoesNotExist(_)) => {
                return Err(Error::Damaged { table: name_of(definition), why: "it is missing" });
            }
            table => table?,
        };
        let (name, mut before, mut rows) = (name_of(definition), Vec::new(), 0);
        for row in table.iter()? {
            let (key, value) = row?;
            rows += 1;
            let (key, value) = (key.value(), value.value());
            let (key, value) = (K::as_bytes(&key), V::as_bytes(&value));
            let (key, value) = (key.as_ref(), value.as_ref());
            let in_order = before.is_empty() || K::compare(&before, key).is_lt();
            before.clear();
            before.extend_from_slice(key);
            match judge::row(name, key, value) {
                Err(fault) => self.note(name, key, &fault.to_string()),
                Ok(()) if !in_order => self.note(name, key, "it is out of order"),
                Ok(()) => {}
            }
        }
        if rows == table.len()? {
            Ok(())
        } else {
            Err(Error::Damaged { table: name, why: "its pages do not hold all of its rows" })
        }
    }

    fn note(&mut self, table: &'static str, key: &[u8], why: &str) {
        *self.bad.entry(table).or_default() += 1;
        if self.faults.len() < FAULTS {
            self.faults.push(format!("table `{table}`, row {}: {why}", hex::encode(key)));
        }
    }
}

/// Writes the tables anew that hold damaged rows; how many rows went into quarantine.
pub(in crate::store) fn clear_out(database: &Database, bad: &BTreeMap<&'static str, u64>, now: Timestamp) -> Result<u64, Error> {
    let txn = Txn::of(database);
    let mut rows = Vec::new();
    macro_rules! anew {
        ($definition:expr) => {
            if bad.contains_key(name_of($definition)) {
                rewrite(txn.get()?, $definition, &mut rows)?;
            }
        };
    }
    every_table!(anew);
    put_all(txn.get()?, &rows, now)?;
    txn.commit()?;
    Ok(rows.len() as u64)
}

/// Writes all that can be read of a damaged file into a new one at `fresh`; how many rows went into quarantine.
///
/// Pages that hold no rows may be damaged too, as those that say which pages are free: nothing is to be written with them.
pub(in crate::store) fn write_anew(txn: &ReadTransaction, fresh: &Path, version: u32, now: Timestamp) -> Result<u64, Error> {
    let database = site::database(fresh, &Medium::default(), OpenOptions::new().create(true).truncate(true).mode(0o600))?;
    let lazy = Txn::of(&database);
    let mut rows = Vec::new();
    macro_rules! copy {
        ($definition:expr) => {
            copy(txn, lazy.get()?, $definition, version, &mut rows)?
        };
    }
    every_table!(copy);
    put_all(lazy.get()?, &rows, now)?;
    lazy.commit()?;
    database.close()?;
    Ok(rows.len() as u64)
}

fn copy<K: Key + 'static, V: Value + 'static>(
    from: &ReadTransaction,
    to: &WriteTransaction,
    definition: Def<K, V>,
    version: u32,
    bad: &mut Vec<Bad>,
) -> Result<(), Error> {
    let good = match schema::read(from, definition) {
        Err(TableError::TableDoesNotExist(_)) if may_lack(version, name_of(definition)) => return Ok(()),
        table => sorted(&table?, definition, bad)?,
    };
    put_sorted(&mut to.open_table(definition)?, &good)
}

/// A damaged row, as it stood.
struct Bad {
    table: &'static str,
    key: Vec<u8>,
    value: Vec<u8>,
    why: String,
    /// Whether it stands in its table again, without its flipped bit.
    is_right: bool,
}

fn rewrite<K: Key + 'static, V: Value + 'static>(
    txn: &WriteTransaction,
    definition: Def<K, V>,
    bad: &mut Vec<Bad>,
) -> Result<(), Error> {
    let good = sorted(&txn.open_table(definition)?, definition, bad)?;
    let aside: TableDefinition<'_, K, V> = TableDefinition::new(ASIDE);
    put_sorted(&mut txn.open_table(aside)?, &good)?;
    txn.delete_table(definition)?;
    txn.rename_table(aside, definition)?;
    Ok(())
}

fn put_sorted<K: Key + 'static, V: Value + 'static>(table: &mut Table<'_, K, V>, rows: &[Row]) -> Result<(), Error> {
    for (key, value) in rows {
        table.insert(K::from_bytes(key), V::from_bytes(value))?;
    }
    Ok(())
}

/// The good rows of a table in the order of their keys, wherever they stand.
fn sorted<K: Key + 'static, V: Value + 'static>(
    from: &impl ReadableTable<K, V>,
    definition: Def<K, V>,
    bad: &mut Vec<Bad>,
) -> Result<Vec<Row>, Error> {
    let (mut good, mut damaged): (Vec<Row>, Vec<Row>) = Default::default();
    let table = name_of(definition);
    for row in from.iter()? {
        let (key, value) = row?;
        let (key, value) = (K::as_bytes(&key.value()).as_ref().to_vec(), V::as_bytes(&value.value()).as_ref().to_vec());
        let Err(fault) = judge::row(table, &key, &value) else {
            good.push((key, value));
            continue;
        };
        let right = righted(table, &key, &value);
        if right.is_none() && STAYING.contains(&table) {
            damaged.push((key, value));
            continue;
        }
        bad.push(Bad { table, key, value, why: fault.to_string(), is_right: right.is_some() });
        good.extend(right);
    }
    // Behind the good ones: of two with one key the first stays.
    good.append(&mut damaged);
    good.sort_by(|(a, _), (b, _)| K::compare(a, b));
    good.dedup_by(|(later, _), (earlier, _)| later == earlier);
    Ok(good)
}

fn put_all(txn: &WriteTransaction, rows: &[Bad], now: Timestamp) -> Result<(), Error> {
    let mut table = txn.open_table(QUARANTINE)?;
    let next = table.last()?.map_or(1, |(key, _)| key.value().saturating_add(1));
    let mut bytes = Vec::new();
    for (number, row) in (next..).zip(rows) {
        let (key, value) = (row.key.clone(), row.value.clone());
        let why = if row.is_right { format!("{}; its one flipped bit was put right", row.why) } else { row.why.clone() };
        let kept = Quarantined { table: row.table.into(), key, value, why, at: now.as_micros() };
        record::write_quarantined(&number.to_be_bytes(), &kept, &mut bytes);
        table.insert(number, &*bytes)?;
    }
    Ok(())
}

/// Whether a store of a version may be without a table.
fn may_lack(version: u32, table: &str) -> bool {
    version < STORE_VERSION || LATER.contains(&table)
}

/// The name of a table, which all of them have for as long as the program runs.
pub(in crate::store) fn name_of<K: Key + 'static, V: Value + 'static>(definition: Def<K, V>) -> &'static str {
    schema::NAMES.iter().find(|name| **name == definition.name()).copied().unwrap_or("unknown")
}

/// Damaged rows of these stay where they are: a delivery of a damaged event fails and says why, and a damaged row of the log is as
/// good as none. Both are judged each time that they are read.
const STAYING: [&str; 2] = ["event", "log"];

/// Where a table is written anew.
const ASIDE: &str = "aside";

/// Faults that are told in words.
const FAULTS: usize = 200;
