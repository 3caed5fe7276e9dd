//! `hookwheel doctor --salvage`: every record of a closed store whose checksum holds, one JSON object a line.
//!
//! The store may be damaged anywhere. Where redb cannot read on in a table, the table is read from its other end too, and the next
//! one after it. What stands in the journal, or in one that was put aside, and not in the tables comes behind them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufWriter, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use redb::{Key, ReadTransaction, ReadableDatabase, ReadableTable, TableError, Value};

use super::check::must_be_there;
use super::line::Line;
use super::opening::identity;
use super::trial::trial;
use crate::domain::id::Node;
use crate::store::error::Error;
use crate::store::files::{failed, private};
use crate::store::redb::journal::entry::Changes;
use crate::store::redb::journal::file;
use crate::store::redb::journaled_table::{self, Journaled, TableKey};
use crate::store::redb::mend::judge;
use crate::store::redb::mend::quarantine::name_of;
use crate::store::redb::schema::{self, Def, every_table, journaled_tables};
use crate::store::redb::site::check_version;

/// What was salvaged.
#[derive(Debug, Default)]
pub(crate) struct Salvaged {
    /// Records of each table that were written.
    pub(crate) saved: BTreeMap<&'static str, u64>,
    /// Records of each table whose checksum does not hold.
    pub(crate) lost: BTreeMap<&'static str, u64>,
    /// Tables that could not be read from one end to the other.
    pub(crate) unread: Vec<&'static str>,
    /// Records that stood in a journal alone. They are among those of their tables.
    pub(crate) from_journals: u64,
}

/// Writes the records of the store at `path` to a new file. Nobody may have the store open, and no file of it is changed.
pub(crate) fn salvage(path: &Path, to: &Path) -> Result<Salvaged, Error> {
    must_be_there(path)?;
    check_version(path)?;
    let node = trial(path, |database| Ok(identity(&database.begin_read()?, path).map_or(Node(0), |meta| Node(meta.node))))?;
    let made = private().write(true).create_new(true).open(to).map_err(|cause| failed("make", to, cause))?;
    let salvage = Salvage { store: path, out: BufWriter::new(made), to, node, last: None, salvaged: Salvaged::default() };
    let salvaged = salvage.all();
    if salvaged.is_err() {
        // The error that is told matters more.
        drop(fs::remove_file(to));
    }
    salvaged
}

struct Salvage<'a> {
    store: &'a Path,
    out: BufWriter<fs::File>,
    to: &'a Path,
    node: Node,
    /// The key of the last row that was read from the beginning of the table at hand.
    last: Option<Vec<u8>>,
    salvaged: Salvaged,
}

impl Salvage<'_> {
    fn all(mut self) -> Result<Salvaged, Error> {
        macro_rules! salvage {
            ($definition:expr) => {
                self.table($definition)?;
            };
        }
        every_table!(salvage);
        let store = self.store;
        self.read(|salvage, txn| salvage.journals(txn, store))?;
        let synced = self.out.flush().and_then(|()| self.out.get_ref().sync_all());
        synced.map_err(|cause| failed("write", self.to, cause))?;
        Ok(self.salvaged)
    }

    /// Opens the store on trial for one piece of work: redb may panic about damaged pages, and is not asked again after that. False
    /// when the work did not come to its end.
    fn read(&mut self, work: impl FnOnce(&mut Self, &ReadTransaction) -> Result<(), Error> + Send) -> Result<bool, Error> {
        let store = self.store;
        match trial(store, |database| work(self, &database.begin_read()?)) {
            Ok(()) => Ok(true),
            Err(Error::Unreadable { .. } | Error::Redb(_) | Error::Damaged { .. }) => Ok(false),
            Err(other) => Err(other),
        }
    }

    fn table<K: Key + Sync + 'static, V: Value + Sync + 'static>(&mut self, definition: Def<K, V>) -> Result<(), Error> {
        self.last = None;
        if self.read(|salvage, txn| salvage.forward(txn, definition))? {
            return Ok(());
        }
        self.salvaged.unread.push(name_of(definition));
        self.read(|salvage, txn| salvage.backward(txn, definition)).map(drop)
    }

    fn forward<K: Key + 'static, V: Value + 'static>(
        &mut self,
        txn: &ReadTransaction,
        definition: Def<K, V>,
    ) -> Result<(), Error> {
        let table = match schema::read(txn, definition) {
            Err(TableError::TableDoesNotExist(_)) => return Ok(()),
            table => table?,
        };
        for row in table.iter()? {
            let (key, value) = row?;
            let (key, value) = (key.value(), value.value());
            let key = K::as_bytes(&key);
            self.row(name_of(definition), (key.as_ref(), V::as_bytes(&value).as_ref()), None)?;
            self.last = Some(key.as_ref().into());
        }
        Ok(())
    }

    /// Reads a table from its end, down to the last row that was read from its beginning.
    fn backward<K: Key + 'static, V: Value + 'static>(
        &mut self,
        txn: &ReadTransaction,
        definition: Def<K, V>,
    ) -> Result<(), Error> {
        for row in schema::read(txn, definition)?.iter()?.rev() {
            let (key, value) = row?;
            let (key, value) = (key.value(), value.value());
            let key = K::as_bytes(&key);
            if self.last.as_ref().is_some_and(|last| !K::compare(key.as_ref(), last).is_gt()) {
                return Ok(());
            }
            self.row(name_of(definition), (key.as_ref(), V::as_bytes(&value).as_ref()), None)?;
        }
        Ok(())
    }

    /// Writes one record, if its checksum holds.
    fn row(&mut self, table: &'static str, (key, value): (&[u8], &[u8]), from: Option<&Path>) -> Result<(), Error> {
        if judge::row(table, key, value).is_err() {
            *self.salvaged.lost.entry(table).or_default() += 1;
            return Ok(());
        }
        let mut line = Line::of(table, key, value, self.node);
        from.into_iter().for_each(|from| line.note("from", from.display().to_string()));
        let written = serde_json::to_writer(&mut self.out, &line).map_err(std::io::Error::from);
        let written = written.and_then(|()| self.out.write_all(b"\n"));
        written.map_err(|cause| failed("write", self.to, cause))?;
        *self.salvaged.saved.entry(table).or_default() += 1;
        Ok(())
    }

    fn journals(&mut self, txn: &ReadTransaction, store: &Path) -> Result<(), Error> {
        let asides = file::asides(store).unwrap_or_default();
        for path in std::iter::once(file::path(store)).chain(asides) {
            let Ok(contents) = file::read(&path) else { continue };
            for (_, changes) in &contents.whole {
                self.changes(txn, changes, &path)?;
            }
        }
        Ok(())
    }

    fn changes(&mut self, txn: &ReadTransaction, changes: &Changes, path: &Path) -> Result<(), Error> {
        macro_rules! salvage {
            ($($constant:ident $name:ident: $k:ty => $v:ty, $table:ident $tags:literal;)*) => {
                $(self.journaled::<journaled_table::$table>(txn, changes, path)?;)*
            };
        }
        journaled_tables!(salvage);
        Ok(())
    }

    /// Writes what a commit in a journal put and the table does not have.
    fn journaled<T: Journaled>(&mut self, txn: &ReadTransaction, changes: &Changes, path: &Path) -> Result<(), Error> {
        let name = name_of(T::DEFINITION);
        for (key, value) in changes.rows(T::TABLE) {
            let (key, Some(value)) = (T::K::of(key), value) else { continue };
            let in_table = unharmed(|| -> Result<bool, Error> {
                let row = schema::read(txn, T::DEFINITION)?.get(&key)?;
                Ok(row.is_some_and(|row| T::V::as_bytes(&row.value()).as_ref() == value))
            });
            if !matches!(in_table, Some(Ok(true))) {
                self.salvaged.from_journals += 1;
                self.row(name, (T::K::as_bytes(&key).as_ref(), value), Some(path))?;
            }
        }
        Ok(())
    }
}

/// What something gives that may panic about damaged pages. `None`: it did.
fn unharmed<T>(run: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(run)).ok()
}
