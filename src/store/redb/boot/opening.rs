//! From a path to a running store: whose file it is, which version, which key; then what a crash left, and what is damaged.
//!
//! Everything that can be refused is refused on trial, which leaves every file as it is. `ON-DISK.md` says what stands in which file.

use std::fs;
use std::path::Path;

use redb::{Database, ReadTransaction, ReadableDatabase, TableHandle};

use super::founding::{self, found};
use super::load::{missing_jobs, read_findings, read_memory, read_order, read_registry, read_tail};
use super::recovery::{self, Journals, Recovered, recover, twice};
use super::trial::{Pages, thorough_trial, trial};
use super::upgrade;
use crate::domain::id::{ByEndpoint, Node};
use crate::domain::time::Timestamp;
use crate::store::error::Error;
use crate::store::files::{WatchedFile, failed, sync_folder, with_suffix};
use crate::store::message::command::Limits;
use crate::store::message::finding::{Finding, Kind};
use crate::store::record::seal::Sealer;
use crate::store::record::{self, Counters, Meta};
use crate::store::redb::counted::recount;
use crate::store::redb::journal::file::{self, Journal};
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::mend::derive::mend;
use crate::store::redb::mend::quarantine::{Glance, clear_out, write_anew};
use crate::store::redb::mend::sums::Waiting;
use crate::store::redb::mend::tenants::mend_tenants;
use crate::store::redb::schema::{self, COUNTERS, IDENTITY, META, SEAL, STATE, STORE_VERSION};
use crate::store::redb::site::{KEY, Moment, SEAL_TEXT, Site, VERSION, check_version, open_known, write_version};
use crate::store::redb::state::Memory;
use crate::store::redb::tables::Tables;
use crate::store::shared::index_tail::Tail;
use crate::store::shared::registry::Registry;

/// A store that was opened, before its writer runs.
pub(in crate::store) struct Opened {
    pub(in crate::store) database: Database,
    pub(in crate::store) sealer: Sealer,
    pub(in crate::store) node: Node,
    pub(in crate::store) registry: Registry,
    pub(in crate::store) tail: Tail,
    pub(in crate::store) memory: Memory,
    pub(in crate::store) journal: Journal,
    /// What was found wrong, now and before, and is not acknowledged.
    pub(in crate::store) findings: Vec<Finding>,
    /// Damaged rows that are in quarantine.
    pub(in crate::store) quarantined: u64,
    /// The files that must stay where they are.
    pub(in crate::store) watched: Vec<WatchedFile>,
}

/// Opens or makes the store of a site. What is noted meanwhile bears the wall clock's time.
pub(in crate::store) fn open(site: Site<'_>, limits: Limits, moment: Moment) -> Result<Opened, Error> {
    let (path, now) = (site.path, moment.reading.wall);
    let version = check_version(path)?;
    let (database, sealer, meta) = match path.exists() {
        false => founding::make(site)?,
        true => open_whole(site, version, now)?,
    };
    let node = Node(meta.node);
    let recovered = recover(&database, path, Journals::PutAside, now)?;
    let (counters, due) = mended(&database, node, &recovered, now)?;
    let journal = recovery::begin(&database, site, &recovered, &counters)?;
    let (registry, counters) = read_registry(&database, &sealer)?;
    let mut memory = read_memory(&database, counters, limits, moment)?;
    memory.jobs.extend(missing_jobs(&database, &registry, &memory, &due)?);
    read_order(&database, &registry, &mut memory, &due)?;
    let tail = read_tail(&database, &registry, node, &memory)?;
    let (findings, quarantined) = read_findings(&database)?;
    findings.iter().for_each(|finding| tracing::error!("{finding}; `hookwheel doctor` says more"));
    let watched = watched(path, &sealer)?;
    Ok(Opened { database, sealer, node, registry, tail, memory, journal, findings, quarantined, watched })
}

/// Opens a store that exists, brings it to this version, and takes damaged rows out of the tables that are read whole.
fn open_whole(site: Site<'_>, version: Option<u32>, now: Timestamp) -> Result<(Database, Sealer, Meta), Error> {
    let Site { path, credentials, medium } = site;
    let len = fs::metadata(path).map_err(|cause| failed("look at", path, cause))?.len();
    let seen = if len > WHOLE_BYTES {
        trial(path, |database| seen(database, site, &Pages::Unknown, now))?
    } else {
        thorough_trial(path, |database, pages| seen(database, site, &pages, now))?
    };
    let database = open_known(path, medium)?;
    let Some(Seen { sealer, meta, glance, was_written_anew }) = seen else {
        let sealer = Sealer::load(path, credentials, true)?;
        let meta = found(&database, &sealer)?;
        return Ok((database, sealer, meta));
    };
    if version != Some(STORE_VERSION) {
        write_version(path)?;
    }
    if !was_written_anew && !glance.bad.is_empty() {
        take_out(&database, &glance, now)?;
    }
    upgrade::complete(&database, path, meta)?;
    if meta.store_version < STORE_VERSION || !glance.bad.is_empty() {
        recount(&database)?;
    }
    Ok((database, sealer, meta))
}

/// What a trial shows of a store: whose it is, and what is damaged.
struct Seen {
    sealer: Sealer,
    meta: Meta,
    glance: Glance,
    /// Because pages were damaged.
    was_written_anew: bool,
}

/// `None`: nothing was ever written there.
fn seen(database: &Database, site: Site<'_>, pages: &Pages, now: Timestamp) -> Result<Option<Seen>, Error> {
    let path = site.path;
    let txn = database.begin_read()?;
    if is_new(&txn, path)? {
        return Ok(None);
    }
    let sealer = Sealer::load(path, site.credentials, false)?;
    let meta = identify(&txn, path, &sealer)?;
    let glance = match pages {
        // Some tables had another form then.
        _ if meta.store_version < 2 => Glance::default(),
        Pages::Damaged(_) => Glance::of_all(&txn, meta.store_version)?,
        Pages::Whole | Pages::Unknown => Glance::of_small(&txn, meta.store_version)?,
    };
    let was_written_anew = matches!(pages, Pages::Damaged(_)) && meta.store_version >= 2;
    if was_written_anew {
        write_in_its_place(&txn, site, meta.store_version, &glance, now)?;
    }
    Ok(Some(Seen { sealer, meta, glance, was_written_anew }))
}

/// Writes what can be read of a damaged file into a new one, which takes its place in one step and tells of it from then on; the
/// damaged one stays beside it.
fn write_in_its_place(txn: &ReadTransaction, site: Site<'_>, version: u32, glance: &Glance, now: Timestamp) -> Result<(), Error> {
    let (path, fresh) = (site.path, with_suffix(site.path, ".anew"));
    let aside = with_suffix(path, &format!(".damaged-{}", now.as_millis()));
    let rows = write_anew(txn, &fresh, version, now)?;
    let database = open_known(&fresh, site.medium)?;
    note_anew(&database, glance, rows, &aside, now)?;
    database.close()?;
    fs::hard_link(path, &aside).map_err(|cause| failed("keep beside it the damaged", path, cause))?;
    fs::rename(&fresh, path).map_err(|cause| failed("move into place", &fresh, cause))?;
    sync_folder(path)
}

/// Notes that the file was written anew.
fn note_anew(database: &Database, glance: &Glance, rows: u64, aside: &Path, now: Timestamp) -> Result<(), Error> {
    tell(glance);
    let finding = Finding { rows, what: Some(aside.display().to_string().into()), ..Finding::of(Kind::Pages, now) };
    note(database, &finding)?;
    if glance.bad.contains_key("tenant") {
        mend_tenants(database)?;
    }
    if glance.bad.is_empty() { Ok(()) } else { note(database, &rows_finding(glance, rows, now)) }
}

/// Moves damaged rows into quarantine and notes that.
fn take_out(database: &Database, glance: &Glance, now: Timestamp) -> Result<(), Error> {
    tell(glance);
    let rows = clear_out(database, &glance.bad, now)?;
    let back = if glance.bad.contains_key("tenant") { mend_tenants(database)? } else { 0 };
    if back > 0 {
        tracing::warn!("{back} tenants were derived again from their webhooks");
    }
    note(database, &rows_finding(glance, rows, now))
}

fn tell(glance: &Glance) {
    glance.faults.iter().for_each(|fault| tracing::error!("damaged: {fault}"));
}

fn rows_finding(glance: &Glance, rows: u64, now: Timestamp) -> Finding {
    let names: Vec<&str> = glance.bad.keys().copied().collect();
    Finding { rows, what: Some(names.join(", ").into()), ..Finding::of(Kind::Rows, now) }
}

/// The counters, once what brings deliveries back agrees with the sum over it; else all of it is derived again. And the webhooks that
/// the due table names.
fn mended(database: &Database, node: Node, recovered: &Recovered, now: Timestamp) -> Result<(Counters, ByEndpoint<u64>), Error> {
    let kept = counters(database)?;
    let Waiting { sum, due } = Waiting::of(&database.begin_read()?)?;
    let lost = recovered.wrong.iter().any(|wrong| wrong.kind == Kind::Lost);
    if let Some(counters) = kept.filter(|counters| !lost && counters.waiting.is_none_or(|kept| kept == sum)) {
        return Ok((Counters { waiting: Some(sum), ..counters }, due));
    }
    tracing::error!("what is due is derived again from the log and the events, which takes a while in a large store");
    let mended = mend(database, node, kept, recovered.number, now)?;
    note(database, &Finding { rows: mended.changed, ..Finding::of(Kind::Entries, now) })?;
    let counters = Counters { live_bytes: recount(database)?, ..mended.counters };
    Ok((counters, Waiting::of(&database.begin_read()?)?.due))
}

fn note(database: &Database, finding: &Finding) -> Result<(), Error> {
    let txn = Txn::of(database);
    let mut tables = Tables::of(&txn, Default::default());
    tables.put_finding(finding)?;
    drop(tables);
    txn.commit()
}

/// The counters as the tables have them; `None`: they are damaged.
fn counters(database: &Database) -> Result<Option<Counters>, Error> {
    let txn = database.begin_read()?;
    let row = schema::read(&txn, STATE)?.get(COUNTERS)?;
    Ok(row.and_then(|row| record::read_counters(&[COUNTERS], row.value()).ok()))
}

/// The files of an open store, as they stand.
fn watched(path: &Path, sealer: &Sealer) -> Result<Vec<WatchedFile>, Error> {
    let beside = [path.to_owned(), file::path(path), with_suffix(path, VERSION)];
    let key = Some(sealer.source().to_owned()).filter(|key| *key == with_suffix(path, KEY));
    beside.into_iter().chain(key).map(WatchedFile::of).collect()
}

/// Whether nothing was ever written here; a file with tables of somebody else's is refused.
fn is_new(txn: &ReadTransaction, path: &Path) -> Result<bool, Error> {
    let mut names = txn.list_tables()?.map(|table| table.name().to_owned());
    match names.next() {
        None => Ok(true),
        Some(first) if first == META.name() || names.any(|name| name == META.name()) => Ok(false),
        Some(_) => Err(Error::Foreign { path: path.into(), why: "its tables are another program's".into() }),
    }
}

/// Reads who the store is, and whether the key is its own.
pub(in crate::store) fn identify(txn: &ReadTransaction, path: &Path, sealer: &Sealer) -> Result<Meta, Error> {
    let meta = identity(txn, path)?;
    let table = schema::read(txn, META)?;
    let seal = twice(&table, SEAL, record::read_bytes)?.ok_or_else(|| lacks_row(path))?;
    sealer.open(&seal, SEAL_TEXT).map_err(|_| Error::WrongKey(sealer.source().into()))?;
    Ok(meta)
}

/// Reads who the store is, without a key.
pub(in crate::store) fn identity(txn: &ReadTransaction, path: &Path) -> Result<Meta, Error> {
    let table = schema::read(txn, META).map_err(|_| lacks_row(path))?;
    let meta = twice(&table, IDENTITY, record::read_meta)?.ok_or_else(|| lacks_row(path))?;
    if meta.store_version > STORE_VERSION {
        return Err(Error::Newer { path: path.into(), found: meta.store_version, known: STORE_VERSION });
    }
    Ok(meta)
}

fn lacks_row(path: &Path) -> Error {
    Error::Foreign { path: path.into(), why: "it lacks hookwheel's own row".into() }
}

/// Up to this size a start compares every page of the file with its checksum, which takes some tenth of a second. In a larger one
/// `check --store` does.
const WHOLE_BYTES: u64 = 64 << 20;
