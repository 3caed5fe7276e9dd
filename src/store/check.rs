//! `hookwheel check --store`: reads a closed store from end to end and holds it against its invariants.
//!
//! A delivery that is not finished has exactly one entry, in the due table or in its endpoint's backlog; a finished one has
//! none. Every entry belongs to an event that is kept. Every record has its checksum.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::Path;

use redb::{ReadTransaction, ReadableDatabase};

use super::error::Error;
use super::record;
use super::tables::{
    self, BACKLOG, BacklogKey, DELIVERY_ROW, DUE, DueKey, EVENT, FANOUT, IDENTITY, LOG, LogKey, META, STORE_VERSION,
    read_backlog_key, read_due_key, read_log_key, waiting,
};
use crate::domain::delivery::{Place, State};
use crate::domain::id::{DeliveryKey, EventKey, Node};

/// What a check found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
    pub(crate) pending: u64,
    pub(crate) faults: Vec<String>,
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
        write!(f, "{word}  {} events, {} deliveries, {} pending", self.events, self.deliveries, self.pending)
    }
}

/// Checks the store at `path`, which no service may have open. Nothing is changed but what recovers from a crash.
pub(crate) fn check(path: &Path) -> Result<Report, Error> {
    if !path.exists() {
        let cause = std::io::ErrorKind::NotFound.into();
        return Err(Error::File { action: "open", path: path.into(), cause });
    }
    match super::opening::check_version(path)? {
        Some(found) if found < STORE_VERSION => return Err(Error::Older { path: path.into(), found, known: STORE_VERSION }),
        _ => {}
    }
    let database = super::opening::open_known(path)?;
    let node = node(&database.begin_read()?, path)?;
    let recovered = super::opening::recover(&database, path)?;
    let txn = database.begin_read()?;
    let report = Report { faults: Vec::from_iter(recovered.stray()), ..Report::default() };
    let mut check = Check { txn, report, entries: HashMap::new(), events: HashMap::new() };
    check.read_events(node)?;
    check.read_entries()?;
    check.read_log()?;
    check.count()?;
    Ok(check.report)
}

struct Check {
    txn: ReadTransaction,
    report: Report,
    /// Where each waiting delivery has its entries.
    entries: HashMap<DeliveryKey, Vec<Place>>,
    /// Deliveries that each event should have, and those found.
    events: HashMap<EventKey, (u32, u32)>,
}

impl Check {
    fn read_events(&mut self, node: Node) -> Result<(), Error> {
        for row in tables::read(&self.txn, EVENT)?.range::<u64>(..)? {
            let (key, value) = row?;
            let key = EventKey(key.value());
            self.report.events += 1;
            match record::read_event(key, node, value.value()) {
                Ok(stored) => drop(self.events.insert(key, (stored.deliveries - stored.removed, 0))),
                Err(fault) => self.report.faults.push(format!("event {}: {fault}", node.event_id(key))),
            }
        }
        Ok(())
    }

    fn read_entries(&mut self) -> Result<(), Error> {
        for row in tables::read(&self.txn, DUE)?.range::<&DueKey>(..)? {
            let (at, key) = read_due_key(row?.0.value());
            self.entries.entry(key).or_default().push(Place::Due(at));
        }
        for row in tables::read(&self.txn, BACKLOG)?.range::<&BacklogKey>(..)? {
            let (key, value) = row?;
            let (endpoint, number) = read_backlog_key(key.value());
            self.entries.entry(waiting(endpoint, number, value.value())).or_default().push(Place::Backlog(number));
        }
        Ok(())
    }

    fn read_log(&mut self) -> Result<(), Error> {
        let mut with_row = HashSet::new();
        for row in tables::read(&self.txn, LOG)?.range::<&LogKey>(..)? {
            let (key, value) = row?;
            let (key, number) = read_log_key(key.value());
            if number != DELIVERY_ROW {
                let read = record::read_attempt(value.value());
                self.report.faults.extend(read.err().map(|fault| format!("{}: attempt {number}: {fault}", name(key))));
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
            Err(fault) => Some(fault.to_string()),
            Ok((delivery, _)) => {
                self.belongs(key, !delivery.recovered);
                match delivery.state {
                    State::Pending(place) if places == [place] => None,
                    State::Pending(place) => Some(format!("is pending at {place:?}, but its entries are {places:?}")),
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
        let running = tables::read(&self.txn, FANOUT)?;
        for (key, (said, found)) in &self.events {
            let short = found < said && running.get(key.0)?.is_none();
            if short || found > said {
                self.report.faults.push(format!("event {:016x} says {said} deliveries and has {found}", key.0));
            }
        }
        Ok(())
    }
}

fn node(txn: &ReadTransaction, path: &Path) -> Result<Node, Error> {
    let foreign = |_| Error::Foreign { path: path.into(), why: "it lacks hookwheel's own row".into() };
    let table = tables::read(txn, META).map_err(foreign)?;
    let row = table.get(IDENTITY)?.ok_or(Error::Damaged { table: "meta", why: "it is empty" })?;
    Ok(Node(record::read_meta(row.value())?.node))
}

fn name(key: DeliveryKey) -> String {
    format!("delivery {:016x}/{}", key.event.0, key.endpoint)
}

/// Faults that are printed.
const SHOWN: usize = 20;
