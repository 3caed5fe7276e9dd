//! At a start: what a crash left in the journal comes into the tables, and what is wrong with it is noted there.

use std::path::Path;

use redb::{Database, ReadableDatabase, ReadableTable};

use crate::domain::time::Timestamp;
use crate::store::error::Error;
use crate::store::message::finding::Finding;
use crate::store::record::{self, Counters, Follows};
use crate::store::redb::journal::entry::Changes;
use crate::store::redb::journal::file::{self, Journal, Writes};
use crate::store::redb::journal::following::{Following, Watermark, Wrong, following};
use crate::store::redb::journal::memtable::Memtable;
use crate::store::redb::journal::unflushed::Unflushed;
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::schema::{self, COUNTERS, FOLLOWS, JOURNAL_ID, JOURNALED, META, SECOND, STATE};
use crate::store::redb::site::Site;
use crate::store::redb::tables::Tables;

/// A store whose tables have all that its journal held.
#[derive(Debug)]
pub(in crate::store) struct Recovered {
    /// By which the journal is known.
    pub(in crate::store) id: u64,
    /// Of the last commit.
    pub(in crate::store) number: u64,
    /// The run that begins, as the tables name it.
    pub(in crate::store) follows: Follows,
    pub(in crate::store) wrong: Vec<Wrong>,
}

/// What becomes of a journal with which something is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Journals {
    /// It is put aside, and what is wrong is noted in the tables.
    PutAside,
    /// It stays where it is: somebody only looks.
    Leave,
}

/// Brings what a crash left in the journal into the tables.
pub(in crate::store) fn recover(
    database: &Database,
    path: &Path,
    journals: Journals,
    now: Timestamp,
) -> Result<Recovered, Error> {
    let watermark = watermark(database)?;
    let Following { changes, number, shows_run, wrong } = following(file::read(&file::path(path))?, &watermark);
    let is_closed = watermark.follows.is_some_and(|follows| !follows.open) && changes.is_empty() && wrong.is_empty();
    // A start that was cut has named a run that has written nothing yet: then the file is still of the one before.
    let before = watermark.follows.map_or(0, |follows| if shows_run { follows.run } else { follows.before });
    let follows = Follows { run: getrandom::u64()?, before, open: false };
    let id = watermark.store;
    let recovered = Recovered { id, number, follows, wrong };
    if is_closed {
        note(database, follows, None)?;
    } else {
        let moves = journals == Journals::PutAside && !recovered.wrong.is_empty() && file::path(path).exists();
        let aside = moves.then(|| file::place_aside(path, number));
        let findings: Vec<Finding> = recovered.wrong.iter().map(|wrong| noted(*wrong, aside.as_deref(), now)).collect();
        take_in(database, changes, &recovered, if journals == Journals::PutAside { &findings } else { &[] })?;
        aside.map(|aside| file::put_aside(path, &aside)).transpose()?;
    }
    Ok(recovered)
}

/// Begins the journal of this run, which the tables name already. From here on they say that it may hold what they do not.
pub(in crate::store) fn begin(
    database: &Database,
    site: Site<'_>,
    recovered: &Recovered,
    counters: &Counters,
) -> Result<Journal, Error> {
    let Recovered { id, number, follows, .. } = recovered;
    let journal = Journal::begin(site.path, site.medium, Writes { store: *id, run: follows.run }, *number)?;
    note(database, Follows { open: true, ..*follows }, Some((counters, *number)))?;
    Ok(journal)
}

/// Notes that the tables have all that the journal holds.
pub(in crate::store) fn close(database: &Database) -> Result<(), Error> {
    let follows = watermark(database)?.follows;
    follows.map_or(Ok(()), |follows| note(database, Follows { open: false, ..follows }, None))
}

/// What the tables say of the journal.
pub(in crate::store) fn watermark(database: &Database) -> Result<Watermark, Error> {
    let txn = database.begin_read()?;
    let (meta, state) = (schema::read(&txn, META)?, schema::read(&txn, STATE)?);
    let store =
        twice(&meta, JOURNAL_ID, record::read_number)?.ok_or(Error::Damaged { table: "meta", why: "a row is missing" })?;
    let number = twice(&state, JOURNALED, record::read_number)?.unwrap_or(0);
    let follows = twice(&state, FOLLOWS, record::read_follows)?;
    let counters = state.get(COUNTERS)?.and_then(|row| record::read_counters(&[COUNTERS], row.value()).ok());
    Ok(Watermark { store, number, events: counters.map_or(0, |counters| counters.events), follows })
}

/// A row that stands twice: the one of the two that is whole. `None`: there is none; an error: both are damaged.
pub(in crate::store) fn twice<T>(
    table: &impl ReadableTable<u8, &'static [u8]>,
    key: u8,
    read: impl Fn(&[u8], &[u8]) -> Result<T, Error>,
) -> Result<Option<T>, Error> {
    let of = |key: u8| -> Result<Option<Result<T, Error>>, Error> { Ok(table.get(key)?.map(|row| read(&[key], row.value()))) };
    match (of(key)?, of(key + SECOND)?) {
        (Some(Ok(whole)), _) | (_, Some(Ok(whole))) => Ok(Some(whole)),
        (Some(fault), _) | (None, Some(fault)) => fault.map(Some),
        (None, None) => Ok(None),
    }
}

pub(in crate::store) fn noted(wrong: Wrong, aside: Option<&Path>, now: Timestamp) -> Finding {
    let what = aside.map(|aside| aside.display().to_string().into());
    Finding { batches: wrong.batches, events: wrong.events, what, ..Finding::of(wrong.kind, now) }
}

/// All of it in one commit: a crash before it has changed nothing, and after it the journal need not be there.
fn take_in(database: &Database, changes: Vec<Changes>, recovered: &Recovered, findings: &[Finding]) -> Result<(), Error> {
    let mut unflushed = Unflushed::default();
    (1..).zip(changes).for_each(|(number, changes)| unflushed.push(number, changes));
    let counters = match unflushed.counters() {
        Some(row) => Some(record::read_counters(&[COUNTERS], row)?),
        None => kept_counters(database)?,
    };
    let txn = Txn::of(database);
    let mut tables = Tables::of(&txn, Memtable::of(unflushed));
    tables.flush()?;
    if let Some(counters) = counters {
        tables.put_counters(&counters, recovered.number)?;
    }
    tables.put_twice(FOLLOWS, &recovered.follows, record::write_follows)?;
    for finding in findings {
        tables.put_finding(finding)?;
    }
    drop(tables);
    txn.commit()
}

/// The counters as the tables have them; `None`: their row is damaged.
fn kept_counters(database: &Database) -> Result<Option<Counters>, Error> {
    let txn = database.begin_read()?;
    let row = schema::read(&txn, STATE)?.get(COUNTERS)?;
    Ok(row.map_or(Some(Counters::default()), |row| record::read_counters(&[COUNTERS], row.value()).ok()))
}

fn note(database: &Database, follows: Follows, counters: Option<(&Counters, u64)>) -> Result<(), Error> {
    let txn = Txn::of(database);
    let mut tables = Tables::of(&txn, Memtable::default());
    tables.put_twice(FOLLOWS, &follows, record::write_follows)?;
    if let Some((counters, number)) = counters {
        tables.put_counters(counters, number)?;
    }
    drop(tables);
    txn.commit()
}
