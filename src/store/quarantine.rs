//! Damaged rows leave their tables: each stands in `quarantine` as it stood, with what was wrong with it.
//!
//! A damaged key is out of its place, where no look-up finds it, and may hide its neighbours. So a table with a damaged row is
//! written anew: its rows are read from the first leaf to the last, wherever they stand, and the good ones go into a new table in
//! the order of their keys.

use std::collections::BTreeMap;

use redb::{Database, Key, ReadTransaction, ReadableTable, TableDefinition, TableError, TableHandle, Value, WriteTransaction};

use super::error::Error;
use super::judge;
use super::record::{self, Quarantined};
use super::tables::{self, Def, QUARANTINE, every_table, small_table};
use super::txn::Txn;
use crate::domain::time::Timestamp;

/// What a look through tables found.
#[derive(Debug, Default)]
pub(super) struct Glance {
    /// Rows that are damaged or out of order, by table.
    pub(super) bad: BTreeMap<&'static str, u64>,
    /// The first of them in words.
    pub(super) faults: Vec<String>,
}

impl Glance {
    /// Looks through every table that a start reads whole. The others are judged row by row when they are read.
    pub(super) fn of_small(txn: &ReadTransaction) -> Result<Self, Error> {
        let mut glance = Self::default();
        macro_rules! look {
            ($definition:expr) => {
                glance.look(txn, $definition)?
            };
        }
        small_table!(look);
        Ok(glance)
    }

    /// Looks through all tables.
    pub(super) fn of_all(txn: &ReadTransaction) -> Result<Self, Error> {
        let mut glance = Self::default();
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
        let table = match tables::read(txn, definition) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            table => table?,
        };
        let (name, mut before) = (name_of(definition), Vec::new());
        for row in table.iter()? {
            let (key, value) = row?;
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
        Ok(())
    }

    fn note(&mut self, table: &'static str, key: &[u8], why: &str) {
        *self.bad.entry(table).or_default() += 1;
        if self.faults.len() < FAULTS {
            self.faults.push(format!("table `{table}`, row {}: {why}", hex::encode(key)));
        }
    }
}

/// Writes the tables anew that hold damaged rows; how many rows went into quarantine.
pub(super) fn clear_out(database: &Database, bad: &BTreeMap<&'static str, u64>, now: Timestamp) -> Result<u64, Error> {
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

/// A damaged row, as it stood.
struct Bad {
    table: &'static str,
    key: Vec<u8>,
    value: Vec<u8>,
    why: String,
}

fn rewrite<K: Key + 'static, V: Value + 'static>(
    txn: &WriteTransaction,
    definition: Def<K, V>,
    bad: &mut Vec<Bad>,
) -> Result<(), Error> {
    let mut good: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let table = name_of(definition);
    for row in txn.open_table(definition)?.iter()? {
        let (key, value) = row?;
        let (key, value) = (K::as_bytes(&key.value()).as_ref().to_vec(), V::as_bytes(&value.value()).as_ref().to_vec());
        match judge::row(table, &key, &value) {
            Ok(()) => good.push((key, value)),
            Err(fault) => bad.push(Bad { table, key, value, why: fault.to_string() }),
        }
    }
    good.sort_by(|(a, _), (b, _)| K::compare(a, b));
    good.dedup_by(|(later, _), (earlier, _)| later == earlier);
    let aside: TableDefinition<'_, K, V> = TableDefinition::new(ASIDE);
    {
        let mut fresh = txn.open_table(aside)?;
        for (key, value) in &good {
            fresh.insert(K::from_bytes(key), V::from_bytes(value))?;
        }
    }
    txn.delete_table(definition)?;
    txn.rename_table(aside, definition)?;
    Ok(())
}

fn put_all(txn: &WriteTransaction, rows: &[Bad], now: Timestamp) -> Result<(), Error> {
    let mut table = txn.open_table(QUARANTINE)?;
    let next = table.last()?.map_or(1, |(key, _)| key.value().saturating_add(1));
    let mut bytes = Vec::new();
    for (number, row) in (next..).zip(rows) {
        let (key, value) = (row.key.clone(), row.value.clone());
        let kept = Quarantined { table: row.table.into(), key, value, why: row.why.clone(), at: now.as_micros() };
        record::write_quarantined(&number.to_be_bytes(), &kept, &mut bytes);
        table.insert(number, &*bytes)?;
    }
    Ok(())
}

/// The name of a table, which all of them have for as long as the program runs.
pub(super) fn name_of<K: Key + 'static, V: Value + 'static>(definition: Def<K, V>) -> &'static str {
    tables::NAMES.iter().find(|name| **name == definition.name()).copied().unwrap_or("unknown")
}

/// Where a table is written anew.
const ASIDE: &str = "aside";

/// Faults that are told in words.
const FAULTS: usize = 200;
