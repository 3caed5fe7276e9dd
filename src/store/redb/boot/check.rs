//! `hookwheel check --store`: reads a closed store from end to end and holds it against its invariants. It works on a trial: nothing
//! is written to any file.
//!
//! A delivery that is not finished has exactly one entry, in the due table or in its endpoint's backlog; a finished one has
//! none. Every entry belongs to an event that is kept. Every record has its checksum, every key its order, every page what redb
//! wrote.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use redb::{Database, ReadOnlyTable, ReadTransaction, ReadableDatabase, ReadableTable, TableError};

use super::chain;
use super::load::read_findings;
use super::opening::identity;
use super::recovery::{Journals, noted, recover};
use super::trial::{Pages, thorough_trial};
use crate::clock;
use crate::domain::delivery::{QueuePosition, State};
use crate::domain::id::{AttemptKey, DeliveryKey, EventKey, Node, ReplayNo};
use crate::store::error::Error;
use crate::store::record::key::{
    BacklogKey, DELIVERY_ROW, DueKey, IndexKey, LogKey, is_event_row, read_attempt_index_key, read_backlog_key, read_due_key,
    read_index_key, read_log_key, waiting,
};
use crate::store::record::{self, Counters};
use crate::store::redb::background::relist::attempt_in;
use crate::store::redb::counted::stored_bytes;
use crate::store::redb::mend::quarantine::Glance;
use crate::store::redb::mend::sums::Waiting;
use crate::store::redb::schema::{
    self, ATTEMPT_INDEX, BACKLOG, COUNTERS, DUE, Def, ENDED, EVENT, FANOUT, INDEX, LOG, REPLAY, STATE, STORE_VERSION,
};
use crate::store::redb::site::check_version;

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
    pub(crate) pending: u64,
    pub(crate) faults: Vec<String>,
    /// Damaged rows that were taken out of their tables.
    pub(crate) quarantined: u64,
}

impl Report {
    pub(crate) fn is_clean(&self) -> bool {
        self.faults.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for fault in self.faults.iter().take(SHOWN) {
            writeln!(f, "fault: {fault}")?;
        }
        if self.faults.len() > SHOWN {
            writeln!(f, "… and {} more", self.faults.len() - SHOWN)?;
        }
        let word = if self.is_clean() { "ok" } else { "damaged" };
        write!(f, "{word}  {} events, {} deliveries, {} pending", self.events, self.deliveries, self.pending)?;
        if self.quarantined > 0 { write!(f, ", {} rows in quarantine", self.quarantined) } else { Ok(()) }
    }
}

/// Checks the store at `path`, which no service may have open. No file is changed.
pub(crate) fn check(path: &Path) -> Result<Report, Error> {
    must_be_there(path)?;
    match check_version(path)? {
        Some(found) if found < STORE_VERSION => return Err(Error::Older { path: path.into(), found, known: STORE_VERSION }),
        _ => {}
    }
    thorough_trial(path, |database, pages| report(database, path, pages))
}

/// An error when there is no store.
pub(in crate::store) fn must_be_there(path: &Path) -> Result<(), Error> {
    if path.exists() {
        return Ok(());
    }
    let cause = std::io::Error::new(std::io::ErrorKind::NotFound, "it does not exist");
    Err(Error::File { action: "open", path: path.into(), cause })
}

/// What a store on trial is like, with all that its journal holds.
pub(in crate::store) fn report(database: &Database, path: &Path, pages: Pages) -> Result<Report, Error> {
    let meta = identity(&database.begin_read()?, path)?;
    let recovered = recover(database, path, Journals::Leave, clock::now())?;
    let txn = database.begin_read()?;
    let (findings, quarantined) = read_findings(database)?;
    let mut report = Report { quarantined, ..Report::default() };
    if let Pages::Damaged(why) = pages {
        report.faults.push(format!("the file's pages are not as they were written: {why}"));
    }
    report.faults.extend(findings.iter().map(ToString::to_string));
    let wrong = recovered.wrong.iter().map(|wrong| noted(*wrong, None, clock::now()).to_string());
    report.faults.extend(wrong);
    report.faults.extend(Glance::of_all(&txn, meta.store_version)?.faults);
    let mut check =
        Check { txn, report, entries: HashMap::new(), events: HashMap::new(), listed: HashSet::new(), replayed: HashMap::new() };
    check.read_events(Node(meta.node))?;
    check.read_entries()?;
    check.read_log()?;
    check.read_index()?;
    check.read_attempts()?;
    check.count()?;
    check.count_replays()?;
    check.add_up()?;
    check.report.faults.extend(chain::judge(&check.txn, Node(meta.node))?.map(|broken| broken.to_string()));
    Ok(check.report)
}

struct Check {
    txn: ReadTransaction,
    report: Report,
    /// Where each waiting delivery has its entries.
    entries: HashMap<DeliveryKey, Vec<QueuePosition>>,
    /// Deliveries that each event should have, and those found.
    events: HashMap<EventKey, (u32, u32)>,
    /// Events that a list must show.
    listed: HashSet<EventKey>,
    /// How many pending deliveries each replay has sent.
    replayed: HashMap<ReplayNo, u64>,
}

impl Check {
    fn read_events(&mut self, node: Node) -> Result<(), Error> {
        for row in schema::read(&self.txn, EVENT)?.range::<u64>(..)? {
            let (key, value) = row?;
            let key = EventKey(key.value());
            self.report.events += 1;
            // One that is damaged was told of already.
            let Ok(stored) = record::read_event(key, node, value.value()) else { continue };
            self.events.insert(key, (stored.deliveries.saturating_sub(stored.removed), 0));
            if !stored.event.test {
                self.listed.insert(key);
            }
        }
        Ok(())
    }

    fn read_entries(&mut self) -> Result<(), Error> {
        for row in schema::read(&self.txn, DUE)?.range::<&DueKey>(..)? {
            let (at, key) = read_due_key(row?.0.value());
            self.entries.entry(key).or_default().push(QueuePosition::Due(at));
        }
        for row in schema::read(&self.txn, BACKLOG)?.range::<&BacklogKey>(..)? {
            let (key, value) = row?;
            let (endpoint, number) = read_backlog_key(key.value());
            self.entries.entry(waiting(endpoint, number, value.value())).or_default().push(QueuePosition::Backlog(number));
        }
        Ok(())
    }

    fn read_log(&mut self) -> Result<(), Error> {
        let mut with_row = HashSet::new();
        for row in schema::read(&self.txn, LOG)?.range::<&LogKey>(..)? {
            let (row, value) = row?;
            let (key, number) = read_log_key(row.value());
            if number != DELIVERY_ROW {
                continue;
            }
            with_row.insert(key);
            self.judge(key, value.value());
        }
        let without_row: Vec<(DeliveryKey, usize)> =
            self.entries.iter().filter(|(key, _)| !with_row.contains(key)).map(|(key, places)| (*key, places.len())).collect();
        for (key, places) in without_row {
            self.judge_without_row(key, places);
        }
        Ok(())
    }

    fn judge(&mut self, key: DeliveryKey, row: &[u8]) {
        self.report.deliveries += 1;
        let places = self.entries.get(&key).cloned().unwrap_or_default();
        let fault = match record::read_delivery(key, row) {
            Err(_) => {
                self.belongs(key, true);
                None
            }
            Ok((delivery, _)) => {
                self.belongs(key, !delivery.recovered);
                if let (true, Some(replayed)) = (delivery.is_pending(), delivery.replay) {
                    *self.replayed.entry(replayed.no).or_default() += 1;
                }
                match delivery.state {
                    State::Pending(position) if places == [position] => None,
                    State::Pending(position) => Some(format!("is pending at {position:?}, but its entries are {places:?}")),
                    _ if places.is_empty() => None,
                    state => Some(format!("is {state:?}, but has entries {places:?}")),
                }
            }
        };
        self.report.pending += u64::from(!places.is_empty());
        self.report.faults.extend(fault.map(|fault| format!("{} {fault}", name(key))));
    }

    fn judge_without_row(&mut self, key: DeliveryKey, places: usize) {
        self.report.deliveries += 1;
        self.report.pending += 1;
        self.belongs(key, true);
        if places != 1 {
            self.report.faults.push(format!("{} is pending with {places} entries", name(key)));
        }
    }

    /// Notes that a delivery's event is kept.
    fn belongs(&mut self, key: DeliveryKey, counted: bool) {
        match self.events.get_mut(&key.event) {
            Some((_, found)) => *found += u32::from(counted),
            None => self.report.faults.push(format!("{} has no event", name(key))),
        }
    }

    /// Every event has the deliveries it says, unless they are still being added.
    fn count(&mut self) -> Result<(), Error> {
        let running = schema::read(&self.txn, FANOUT)?;
        for (key, (said, found)) in &self.events {
            let short = found < said && running.get(key.0)?.is_none();
            if short || found > said {
                self.report.faults.push(format!("event {:016x} says {said} deliveries and has {found}", key.0));
            }
        }
        Ok(())
    }

    /// What a replay has sent and not counted as ended is pending. Rows of damaged records may be missing.
    fn count_replays(&mut self) -> Result<(), Error> {
        let damaged = self.report.quarantined > 0 || !self.report.faults.is_empty();
        let Some(table) = opened(&self.txn, REPLAY)?.filter(|_| !damaged) else { return Ok(()) };
        for row in table.iter()? {
            let (no, value) = row?;
            let no = ReplayNo(no.value());
            let replay = record::read_replay(no, value.value())?;
            let (said, found) = (replay.sent - replay.done, self.replayed.get(&no).copied().unwrap_or_default());
            if said != found {
                let name = format!("replay {:016x}", no.0);
                self.report.faults.push(format!("{name} says that {said} of its deliveries are pending, and {found} are"));
            }
        }
        Ok(())
    }

    /// Every row of the index names an event that is kept, and lists show every event that the index should have.
    fn read_index(&mut self) -> Result<(), Error> {
        let indexed = self.counters()?.map_or(0, |counters| counters.indexed);
        let all: HashSet<u64> = self.all_events()?;
        for row in schema::read(&self.txn, INDEX)?.range::<&IndexKey>(..)? {
            let row = *row?.0.value();
            let key = read_index_key(&row);
            if is_event_row(&row) {
                self.listed.remove(&key.event);
            }
            if !all.contains(&key.event.0) {
                self.report.faults.push(format!("the index names {}, which has no event", name(key)));
            }
        }
        let unlisted = self.listed.iter().filter(|key| key.0 <= indexed);
        self.report.faults.extend(unlisted.map(|key| format!("event {:016x} is in no list", key.0)));
        Ok(())
    }

    /// Lists show every attempt that the log holds, and no other: of each the index has two rows, or `ended` has one. Rows of damaged
    /// records may be missing or too many, and what is still to be listed may be.
    fn read_attempts(&mut self) -> Result<(), Error> {
        let counters = self.counters()?.unwrap_or_default();
        let damaged = self.report.quarantined > 0 || !self.report.faults.is_empty();
        if damaged || counters.unlisted.is_some() {
            return Ok(());
        }
        let mut listed = self.listed_attempts(counters.attempts_indexed)?;
        for row in schema::read(&self.txn, LOG)?.range::<&LogKey>(..)? {
            let (key, value) = row?;
            let Some(attempt) = attempt_in(key.value(), value.value())? else { continue };
            match listed.remove(&attempt) {
                None => self.report.faults.push(format!("{} is in no list", attempt_name(attempt))),
                Some(rows) if rows != 2 => self.report.faults.push(format!("{} has {rows} rows in lists", attempt_name(attempt))),
                Some(_) => {}
            }
        }
        let gone =
            listed.into_keys().map(|attempt| format!("the index names {}, which the log does not hold", attempt_name(attempt)));
        self.report.faults.extend(gone);
        Ok(())
    }

    /// The attempts that lists show, each with the number of its rows in the index. An attempt that is on its way into the index counts as
    /// one with both.
    fn listed_attempts(&self, indexed: u64) -> Result<HashMap<AttemptKey, u8>, Error> {
        let mut listed = HashMap::new();
        let Some((index, ended)) = opened(&self.txn, ATTEMPT_INDEX)?.zip(opened(&self.txn, ENDED)?) else { return Ok(listed) };
        for row in index.iter()? {
            let rows: &mut u8 = listed.entry(read_attempt_index_key(row?.0.value())).or_default();
            *rows = rows.saturating_add(1);
        }
        for row in ended.range(indexed.saturating_add(1)..)? {
            let (number, value) = row?;
            listed.insert(record::read_ended(number.value(), value.value())?.0, 2);
        }
        Ok(listed)
    }

    fn all_events(&self) -> Result<HashSet<u64>, Error> {
        let keys = schema::read(&self.txn, EVENT)?;
        keys.range::<u64>(..)?.map(|row| Ok(row?.0.value())).collect()
    }

    fn counters(&self) -> Result<Option<Counters>, Error> {
        let row = schema::read(&self.txn, STATE)?.get(COUNTERS)?;
        Ok(row.and_then(|row| record::read_counters(&[COUNTERS], row.value()).ok()))
    }

    /// What waits, and the bytes of all rows, add up to what the counters say.
    fn add_up(&mut self) -> Result<(), Error> {
        let Some(counters) = self.counters()? else { return Ok(()) };
        let sum = Waiting::of(&self.txn)?.sum;
        if counters.waiting.is_some_and(|kept| kept != sum) {
            self.report.faults.push("the entries that bring deliveries back are not those that were written".into());
        }
        let (said, found) = (counters.live_bytes, stored_bytes(&self.txn)?);
        if said != found {
            self.report.faults.push(format!("the rows are said to take {said} bytes and take {found}"));
        }
        Ok(())
    }
}

/// A table that a store of this version may lack.
fn opened<K: redb::Key + 'static, V: redb::Value + 'static>(
    txn: &ReadTransaction,
    definition: Def<K, V>,
) -> Result<Option<ReadOnlyTable<K, V>>, Error> {
    match schema::read(txn, definition) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(Some(table?)),
    }
}

fn attempt_name(attempt: AttemptKey) -> String {
    format!("attempt {} of {}", attempt.number, name(attempt.delivery))
}

fn name(key: DeliveryKey) -> String {
    format!("delivery {:016x}/{}", key.event.0, key.endpoint)
}

/// Faults that are printed.
const SHOWN: usize = 20;
