//! `hookwheel doctor`: what is wrong with a closed store, what was put aside, and that somebody has seen it.

use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase};

use super::check::{Report, must_be_there, report};
use super::load::read_findings;
use super::opening::identity;
use super::recovery::{Journals, noted, recover};
use super::trial::{thorough_trial, trial};
use crate::clock;
use crate::domain::id::{EventKey, Node};
use crate::domain::time::Timestamp;
use crate::store::error::Error;
use crate::store::message::finding::Finding;
use crate::store::record::{self, Quarantined};
use crate::store::redb::journal::file;
use crate::store::redb::journal::item::Table;
use crate::store::redb::journaled_table::TableKey;
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::medium::Medium;
use crate::store::redb::schema::{self, FINDING, QUARANTINE, STORE_VERSION};
use crate::store::redb::site::{check_version, open_known};

/// What is wrong with a store, and what was saved of it.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) report: Report,
    /// What starts found wrong and nobody acknowledged, then what the next start will find.
    pub(crate) findings: Vec<Finding>,
    /// How many of them starts have found: those can be acknowledged.
    pub(crate) noted: usize,
    pub(crate) quarantine: Vec<InQuarantine>,
    pub(crate) asides: Vec<Aside>,
}

/// A damaged row.
#[derive(Debug)]
pub(crate) struct InQuarantine {
    pub(crate) table: String,
    pub(crate) key: Vec<u8>,
    pub(crate) why: String,
    pub(crate) at: Timestamp,
}

/// A journal that was put aside.
#[derive(Debug)]
pub(crate) struct Aside {
    pub(crate) path: PathBuf,
    /// Whole commits in it.
    pub(crate) commits: u64,
    pub(crate) events: Vec<HeldEvent>,
}

/// An event in one.
#[derive(Debug)]
pub(crate) struct HeldEvent {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) provider: String,
    /// `None`: for all of them.
    pub(crate) tenant: Option<String>,
    /// Whether the store has it.
    pub(crate) is_kept: bool,
}

/// Examines the store at `path`, which no service may have open. No file is changed.
pub(crate) fn examine(path: &Path) -> Result<Diagnosis, Error> {
    must_be_there(path)?;
    match check_version(path)? {
        Some(found) if found < STORE_VERSION => return Err(Error::Older { path: path.into(), found, known: STORE_VERSION }),
        _ => {}
    }
    thorough_trial(path, |database, pages| {
        let wrong = wrong_now(database, path)?;
        let report = report(database, path, pages)?;
        let (mut findings, _) = read_findings(database)?;
        let noted = findings.len();
        findings.extend(wrong);
        let node = Node(identity(&database.begin_read()?, path)?.node);
        let asides = file::asides(path)?.into_iter().map(|aside| read_aside(database, aside, node)).collect::<Result<_, _>>()?;
        Ok(Diagnosis { report, findings, noted, quarantine: quarantine(database)?, asides })
    })
}

/// Takes note that somebody has seen what was found; how much that was.
pub(crate) fn acknowledge(path: &Path) -> Result<u64, Error> {
    must_be_there(path)?;
    match check_version(path)? {
        Some(found) if found < STORE_VERSION => return Ok(0),
        _ => {}
    }
    trial(path, |database| identity(&database.begin_read()?, path))?;
    let database = open_known(path, &Medium::default())?;
    let txn = Txn::of(&database);
    let mut count = 0;
    {
        let mut table = txn.get()?.open_table(FINDING)?;
        while table.pop_first()?.is_some() {
            count += 1;
        }
    }
    txn.commit()?;
    Ok(count)
}

/// What is wrong with the journal as it stands.
fn wrong_now(database: &Database, path: &Path) -> Result<Vec<Finding>, Error> {
    let now = clock::now();
    let recovered = recover(database, path, Journals::Leave, now)?;
    Ok(recovered.wrong.iter().map(|wrong| noted(*wrong, None, now)).collect())
}

fn quarantine(database: &Database) -> Result<Vec<InQuarantine>, Error> {
    let txn = database.begin_read()?;
    let mut found = Vec::new();
    for row in schema::read(&txn, QUARANTINE)?.range::<u64>(..)? {
        let (number, value) = row?;
        let Quarantined { table, key, why, at, .. } = record::read_quarantined(&number.value().to_be_bytes(), value.value())?;
        found.push(InQuarantine { table, key, why, at: Timestamp::from_micros(at) });
    }
    Ok(found)
}

fn read_aside(database: &Database, path: PathBuf, node: Node) -> Result<Aside, Error> {
    let txn = database.begin_read()?;
    let kept = schema::read(&txn, schema::EVENT)?;
    let mut aside = Aside { commits: 0, events: Vec::new(), path };
    for (_, changes) in file::read(&aside.path)?.whole.iter().filter(|(_, changes)| !changes.are_none()) {
        aside.commits += 1;
        for (key, row) in changes.rows(Table::Event) {
            let (key, Some(row)) = (u64::of(key), row) else { continue };
            let Ok(stored) = record::read_event(EventKey(key), node, row) else { continue };
            let is_same = |row: &[u8]| {
                let other = record::read_event(EventKey(key), node, row);
                other.is_ok_and(|other| other.event.id == stored.event.id && other.event.time == stored.event.time)
            };
            let is_kept = kept.get(key)?.is_some_and(|row| is_same(row.value()));
            let event = stored.event;
            aside.events.push(HeldEvent {
                id: event.id.to_string(),
                kind: event.kind.to_string(),
                provider: event.provider.to_string(),
                tenant: event.tenant.map(|tenant| tenant.to_string()),
                is_kept,
            });
        }
    }
    Ok(aside)
}
