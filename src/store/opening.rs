//! From a path to a running store: whose file it is, which version, which key; then everything that memory must know.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableHandle};

use super::appended::Appended;
use super::checkpoint::bring_in;
use super::disk::Disk;
use super::error::{Error, intact};
use super::files::{failed, sync_folder, with_suffix};
use super::fresh::journaled;
use super::journal::{self, Journal};
use super::memory::{Cursor, Memory, RunningFanout, RunningJob, Sweep};
use super::op::Limits;
use super::record::{self, Counters, Meta};
use super::registry::Registry;
use super::schedule::Schedule;
use super::seal::Sealer;
use super::tables::{
    self, BACKLOG, BacklogKey, COUNTERS, DELIVERY_ROW, DUE, DueKey, ENDPOINT, EVENT, EVENT_TYPE, FANOUT, IDENTITY, JOB,
    JOURNAL_ID, KEY, LOG, LogKey, META, STATE, STORE_VERSION, TENANT, backlog_key, due_key, log_key, read_backlog_key,
    read_due_key, read_log_key, waiting,
};
use super::tail::{Entry as IndexEntry, Tail};
use super::txn::Txn;
use super::{catalogue, listed_under};
use super::{upgrade, writable};
use crate::clock;
use crate::domain::id::{ByEndpoint, DeliveryKey, EndpointNo, EventKey, Node, TenantNo};
use crate::domain::timekeeper::{Reading, TimeKeeper};

/// A store that was opened, before its writer runs.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) sealer: Sealer,
    pub(super) node: Node,
    pub(super) registry: Registry,
    pub(super) tail: Tail,
    pub(super) memory: Memory,
    pub(super) journal: Journal,
}

/// When a store is opened, by each clock.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) steady: Instant,
    pub(super) reading: Reading,
    /// Of the boot that the reading counts from.
    pub(super) boot_id: u64,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self { steady: clock::steady(), reading: clock::reading(), boot_id: clock::boot_id() }
    }
}

/// Opens or makes the store at `path`.
pub(super) fn open(path: &Path, credentials: Option<&Path>, limits: Limits, moment: Moment) -> Result<Opened, Error> {
    let version = check_version(path)?;
    let known = path.exists();
    if !known {
        write_version(path)?;
    }
    let database = open_database(path)?;
    let new = is_new(&database, path)?;
    let sealer = Sealer::load(path, credentials, new)?;
    let old = if new { None } else { Some(identify(&database, path, &sealer)?) };
    if known && version != Some(STORE_VERSION) {
        write_version(path)?;
    }
    let node = match old {
        None => found(&database, &sealer)?,
        Some(old) => {
            upgrade::complete(&database, path, old)?;
            Node(old.node)
        }
    };
    let recovered = recover(&database, path)?;
    if let Some(stray) = recovered.stray() {
        tracing::error!("{stray}");
    }
    let journal = Journal::begin(path, recovered.id, recovered.number)?;
    let (registry, counters) = read_registry(&database, &sealer)?;
    let memory = read_memory(&database, counters, limits, moment)?;
    let tail = read_tail(&database, &registry, node, &memory)?;
    Ok(Opened { database, sealer, node, registry, tail, memory, journal })
}

/// A store whose tables have all that its journal held.
pub(super) struct Recovered {
    /// By which the journal is known.
    id: u64,
    /// Of the last commit.
    number: u64,
    /// Where the journal is now, if it held more.
    aside: Option<PathBuf>,
}

impl Recovered {
    /// What is to be said of changes that were not taken in.
    pub(super) fn stray(&self) -> Option<String> {
        let aside = self.aside.as_ref()?.display();
        Some(format!(
            "the journal holds changes that do not go on from the store, which was restored or damaged; they are in {aside}"
        ))
    }
}

/// Brings what a crash left in the journal into the tables.
pub(super) fn recover(database: &Database, path: &Path) -> Result<Recovered, Error> {
    let txn = database.begin_read()?;
    let row = tables::read(&txn, META)?.get(JOURNAL_ID)?.ok_or(Error::Damaged { table: "meta", why: "a row is missing" })?;
    let (id, known) = (record::read_number(row.value())?, journaled(&txn)?);
    let found = journal::read(path, id, known)?;
    let number = known + found.changes.len() as u64;
    bring_in(database, Appended::of(found.changes), number)?;
    let aside = found.stray.then(|| journal::put_aside(path, number)).transpose()?;
    Ok(Recovered { id, number, aside })
}

/// Opens the file that stands there. A new one is made under another name and moved into place when it is whole, so that a
/// crash in between leaves nothing that looks like a store.
fn open_database(path: &Path) -> Result<Database, Error> {
    if path.exists() {
        return open_known(path);
    }
    let fresh = with_suffix(path, ".new");
    match fs::remove_file(&fresh) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => return Err(failed("remove what a crash left,", &fresh, cause)),
        _ => {}
    }
    let database = database(&fresh, OpenOptions::new().create_new(true))?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600)).map_err(|cause| failed("set the mode of", &fresh, cause))?;
    fs::rename(&fresh, path).map_err(|cause| failed("move into place", &fresh, cause))?;
    sync_folder(path)?;
    Ok(database)
}

/// Opens a file that exists, and makes none.
pub(super) fn open_known(path: &Path) -> Result<Database, Error> {
    refuse_empty(path)?;
    database(path, &mut OpenOptions::new())
}

fn database(path: &Path, options: &mut OpenOptions) -> Result<Database, Error> {
    let file = options.read(true).write(true).open(path).map_err(|cause| failed("open", path, cause))?;
    let disk = Disk::new(file).map_err(|cause| refused(path, cause))?;
    let opened = Builder::new().set_cache_size(CACHE_BYTES).create_with_backend(disk);
    opened.map_err(|cause| refused(path, cause))
}

/// Reads `PATH.version` before anything opens the store, since opening changes the file; `None` when there is none.
pub(super) fn check_version(path: &Path) -> Result<Option<u32>, Error> {
    let beside = with_suffix(path, ".version");
    let text = match fs::read_to_string(&beside) {
        Ok(text) => text,
        Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(None),
        Err(cause) => return Err(failed("read", &beside, cause)),
    };
    match text.trim().parse() {
        Ok(found) if found > STORE_VERSION => Err(Error::Newer { path: path.into(), found, known: STORE_VERSION }),
        Ok(found) => Ok(Some(found)),
        Err(_) => Err(Error::Foreign { path: beside, why: "it holds no version number".into() }),
    }
}

fn write_version(path: &Path) -> Result<(), Error> {
    let beside = with_suffix(path, ".version");
    let written = || -> std::io::Result<()> {
        let fresh = with_suffix(path, ".version.new");
        let mut file = fs::File::create(&fresh)?;
        file.write_all(format!("{STORE_VERSION}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&fresh, &beside)
    };
    written().map_err(|cause| failed("write", &beside, cause))?;
    sync_folder(path)
}

/// redb would make a new store of an empty file, and somebody's events may have stood in it.
fn refuse_empty(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(found) if found.len() == 0 => {
            let why = "it is empty; move it away to start with a new store".into();
            Err(Error::Foreign { path: path.into(), why })
        }
        _ => Ok(()),
    }
}

fn refused(path: &Path, cause: DatabaseError) -> Error {
    match cause {
        DatabaseError::DatabaseAlreadyOpen => Error::InUse(path.into()),
        DatabaseError::Storage(redb::StorageError::Io(cause)) if cause.kind() == ErrorKind::InvalidData => {
            Error::Foreign { path: path.into(), why: cause.to_string() }
        }
        DatabaseError::Storage(redb::StorageError::Io(cause)) => failed("open", path, cause),
        other => Error::Foreign { path: path.into(), why: other.to_string() },
    }
}

/// Whether nothing was ever written here; a file with tables of somebody else's is refused.
fn is_new(database: &Database, path: &Path) -> Result<bool, Error> {
    let txn = database.begin_read()?;
    let mut names = txn.list_tables()?.map(|table| table.name().to_owned());
    match names.next() {
        None => Ok(true),
        Some(first) if first == META.name() || names.any(|name| name == META.name()) => Ok(false),
        Some(_) => Err(Error::Foreign { path: path.into(), why: "its tables are another program's".into() }),
    }
}

/// Reads who the store is.
fn identify(database: &Database, path: &Path, sealer: &Sealer) -> Result<Meta, Error> {
    let txn = database.begin_read()?;
    known(&tables::read(&txn, META)?, path, sealer)
}

fn known(table: &impl ReadableTable<u8, &'static [u8]>, path: &Path, sealer: &Sealer) -> Result<Meta, Error> {
    let missing = || Error::Foreign { path: path.into(), why: "it lacks hookwheel's own row".into() };
    let meta = record::read_meta(table.get(IDENTITY)?.ok_or_else(missing)?.value())?;
    if meta.store_version > STORE_VERSION {
        return Err(Error::Newer { path: path.into(), found: meta.store_version, known: STORE_VERSION });
    }
    let seal = record::read_bytes(table.get(SEAL)?.ok_or_else(missing)?.value())?;
    sealer.open(&seal, SEAL_TEXT).map_err(|_| Error::WrongKey(sealer.source().into()))?;
    Ok(meta)
}

fn found(database: &Database, sealer: &Sealer) -> Result<Node, Error> {
    let node = getrandom::u64()?;
    let txn = Txn::of(database);
    writable::create_all(&txn)?;
    {
        let mut table = txn.get()?.open_table(META)?;
        let mut bytes = Vec::new();
        record::write_meta(&Meta { store_version: STORE_VERSION, node }, &mut bytes);
        table.insert(IDENTITY, &*bytes)?;
        record::write_bytes(&sealer.seal(SEAL_TEXT.as_bytes(), SEAL_TEXT)?, &mut bytes);
        table.insert(SEAL, &*bytes)?;
        record::write_number(&getrandom::u64()?, &mut bytes);
        table.insert(JOURNAL_ID, &*bytes)?;
    }
    txn.commit()?;
    Ok(Node(node))
}

fn read_registry(database: &Database, sealer: &Sealer) -> Result<(Registry, Counters), Error> {
    let txn = database.begin_read()?;
    let mut registry = Registry::default();
    for row in tables::read(&txn, TENANT)?.range::<u32>(..)? {
        let (no, value) = row?;
        let (owned, listing) = record::read_tenant(value.value())?;
        registry.put_tenant(TenantNo(no.value()), owned, listing);
    }
    for row in tables::read(&txn, ENDPOINT)?.range::<u32>(..)? {
        let (no, value) = row?;
        registry.put(Arc::new(record::read_endpoint(EndpointNo(no.value()), sealer, value.value())?));
    }
    for row in tables::read(&txn, KEY)?.range::<&[u8; 32]>(..)? {
        let (hash, value) = row?;
        registry.put_key(Arc::new(record::read_key(*hash.value(), value.value())?));
    }
    for row in tables::read(&txn, EVENT_TYPE)?.range::<&[u8]>(..)? {
        let (name, value) = row?;
        let Some(provider) = catalogue::provider_of(name.value()) else { continue };
        registry.put_event_type(provider.into(), record::read_event_type(value.value())?);
    }
    let counters = tables::read(&txn, STATE)?.get(COUNTERS)?.map(|row| record::read_counters(row.value())).transpose()?;
    Ok((registry, counters.unwrap_or_default()))
}

/// The service's time goes on from what the store knows.
fn read_time(counters: &Counters, moment: Moment) -> TimeKeeper {
    let newest = EventKey(counters.last_key).time();
    let mut time = match counters.time {
        Some(kept) => TimeKeeper::resume(kept, moment.reading, moment.boot_id),
        None => TimeKeeper::since(newest, moment.reading),
    };
    // What this look finds is told when the service starts, with what was in doubt before.
    time.look(moment.reading);
    time
}

fn read_memory(database: &Database, counters: Counters, limits: Limits, moment: Moment) -> Result<Memory, Error> {
    let txn = database.begin_read()?;
    let time = read_time(&counters, moment);
    let mut memory = Memory {
        counters,
        schedule: Schedule::new(time.now()),
        time,
        boot_id: moment.boot_id,
        backlogs: read_backlogs(&tables::read(&txn, BACKLOG)?)?,
        fanouts: Default::default(),
        jobs: Default::default(),
        watchers: HashMap::new(),
        limits,
        sweep: Sweep::new(moment.steady),
        flush: Default::default(),
        notices: Default::default(),
        announced: false,
        connections_swept: Vec::new(),
        scratch: Vec::new(),
        appended: Appended::default(),
    };
    for row in tables::read(&txn, FANOUT)?.range::<u64>(..)? {
        let (event, value) = row?;
        let cursor = record::read_fanout(value.value())?;
        memory.fanouts.push_back(RunningFanout { event: EventKey(event.value()), cursor, known: None });
    }
    for row in tables::read(&txn, JOB)?.range::<u32>(..)? {
        let (no, value) = row?;
        memory.jobs.push_back(RunningJob { endpoint: EndpointNo(no.value()), job: record::read_job(value.value())? });
    }
    Ok(memory)
}

/// Which endpoints have a backlog: one look an endpoint, whatever its length.
fn read_backlogs(table: &impl ReadableTable<&'static BacklogKey, &'static [u8]>) -> Result<ByEndpoint<Cursor>, Error> {
    let mut found = ByEndpoint::default();
    let mut from = EndpointNo(0);
    while let Some(row) = table.range::<&BacklogKey>(&backlog_key(from, 0)..)?.next() {
        let (endpoint, _) = read_backlog_key(row?.0.value());
        found.insert(endpoint, Cursor { after: 0, more: true });
        from = EndpointNo(endpoint.0.saturating_add(1));
    }
    Ok(found)
}

/// What came after the index was last written: events by their key, deliveries by their rows or by where they wait.
fn read_tail(database: &Database, registry: &Registry, node: Node, memory: &Memory) -> Result<Tail, Error> {
    let txn = database.begin_read()?;
    let indexed = EventKey(memory.counters.indexed);
    let mut keys = Vec::new();
    for row in tables::read(&txn, LOG)?.range::<&LogKey>(&log_key(after(indexed), 0)..)? {
        let (key, number) = read_log_key(row?.0.value());
        keys.extend((number == DELIVERY_ROW).then_some(key));
    }
    let first = due_key(indexed.time(), DeliveryKey { event: EventKey::MIN, ..after(indexed) });
    for row in tables::read(&txn, DUE)?.range::<&DueKey>(&first..)? {
        let (_, key) = read_due_key(row?.0.value());
        keys.extend((key.event > indexed).then_some(key));
    }
    for row in tables::read(&txn, BACKLOG)?.range::<&BacklogKey>(..)? {
        let (key, value) = row?;
        let (endpoint, number) = read_backlog_key(key.value());
        let key = waiting(endpoint, number, value.value());
        keys.extend((key.event > indexed).then_some(key));
    }
    keys.sort_unstable();
    keys.dedup();
    let owner = |key: DeliveryKey| registry.entry(key.endpoint).map_or(TenantNo(0), |entry| entry.endpoint.tenant_no);
    let mut entries: Vec<IndexEntry> = keys.into_iter().map(|key| IndexEntry::delivery(key, owner(key))).collect();
    entries.extend(read_event_tail(&tables::read(&txn, EVENT)?, registry, node, indexed)?);
    Ok(Tail { entries })
}

fn read_event_tail(
    table: &impl ReadableTable<u64, &'static [u8]>,
    registry: &Registry,
    node: Node,
    indexed: EventKey,
) -> Result<Vec<IndexEntry>, Error> {
    let mut entries = Vec::new();
    for row in table.range(indexed.0.saturating_add(1)..)? {
        let (key, value) = row?;
        let key = EventKey(key.value());
        let Some(stored) = intact(Some(record::read_event(key, node, value.value())))? else { continue };
        let event = stored.event;
        let owner = registry.tenant(&event.provider, listed_under(event.tenant.as_deref())).filter(|_| !event.test);
        entries.extend(owner.map(|owner| IndexEntry::event(key, owner)));
    }
    Ok(entries)
}

fn after(event: EventKey) -> DeliveryKey {
    DeliveryKey { event: EventKey(event.0.saturating_add(1)), endpoint: EndpointNo(0) }
}

const SEAL: u8 = 1;
const SEAL_TEXT: &str = "hookwheel";

/// redb's default is 1 GiB.
const CACHE_BYTES: usize = 64 << 20;
