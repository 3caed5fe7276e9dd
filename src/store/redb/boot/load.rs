//! What memory must know of a store before its writer runs: webhooks, tenants, keys, how far each work has come, and what the index
//! does not have yet.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::recovery::twice;
use crate::domain::id::{AuditKey, ByEndpoint, DeliveryKey, EndpointNo, EventKey, Node, ReplayNo, TenantNo};
use crate::domain::time::timekeeper::TimeKeeper;
use crate::store::error::{Error, intact};
use crate::store::listed_under;
use crate::store::message::command::Limits;
use crate::store::message::finding::Finding;
use crate::store::message::replay::Replay;
use crate::store::record::key::{
    BacklogKey, DELIVERY_ROW, DueKey, LogKey, backlog_key, due_key, log_key, read_backlog_key, read_due_key, read_log_key,
    waiting,
};
use crate::store::record::seal::Sealer;
use crate::store::record::{self, Chain, Counters, Job, Task};
use crate::store::redb::apply::publish::NameOf;
use crate::store::redb::apply::tombstones::owner_of;
use crate::store::redb::journal::memtable::Memtable;
use crate::store::redb::schema::{
    self, AUDIT, AUDITED, BACKLOG, COUNTERS, DUE, ENDED, ENDPOINT, EVENT, EVENT_TYPE, FANOUT, FINDING, JOB, KEY, LOG, NAME,
    PROVIDER, QUARANTINE, REPLAY, STATE, TENANT,
};
use crate::store::redb::site::Moment;
use crate::store::redb::state::ages::Ages;
use crate::store::redb::state::{Cursor, Memory, RunningDeletion, RunningFanout, RunningJob, Sweep};
use crate::store::shared::catalogue;
use crate::store::shared::index_tail::{EndedAttempt, Entry as IndexEntry, Tail};
use crate::store::shared::registry::Registry;
use crate::store::writer::order::Order;
use crate::store::writer::replays::Replays;
use crate::store::writer::schedule::Schedule;

/// The tenants whose deletion was under way, and those with a retention of their own. Nothing came in for the former since.
fn read_tenants(txn: &ReadTransaction) -> Result<(VecDeque<RunningDeletion>, Ages), Error> {
    let (mut found, mut ages) = (VecDeque::new(), Ages::default());
    for row in schema::read(txn, TENANT)?.range::<u32>(..)? {
        let (no, row) = row?;
        let (no, tenant) = (TenantNo(no.value()), record::read_tenant(TenantNo(no.value()), row.value())?);
        ages.note(no, &tenant);
        found.extend(tenant.deletion.map(|deletion| RunningDeletion::new(no, tenant, deletion)));
    }
    Ok((found, ages))
}

/// All replays that are kept. One that runs goes on where its row says.
fn read_replays(txn: &ReadTransaction) -> Result<Vec<Replay>, Error> {
    let mut found = Vec::new();
    for row in schema::read(txn, REPLAY)?.range::<u64>(..)? {
        let (no, row) = row?;
        found.push(record::read_replay(ReplayNo(no.value()), row.value())?);
    }
    Ok(found)
}

/// Whether any event has a uid.
fn has_uids(txn: &ReadTransaction) -> Result<bool, Error> {
    let tag = NameOf::Uid.tag();
    let first = schema::read(txn, NAME)?.range::<&[u8]>(tag..)?.next().transpose()?;
    Ok(first.is_some_and(|(name, _)| name.value().starts_with(tag)))
}

/// Where the chain of the audit log begins and ends. When nothing tells it any more, it is as the rows that are left say, which a
/// check of the closed store would report.
fn read_chain(txn: &ReadTransaction) -> Result<Chain, Error> {
    if let Some(chain) = twice(&schema::read(txn, STATE)?, AUDITED, record::read_chain)? {
        return Ok(chain);
    }
    let mut chain = Chain::default();
    for row in schema::read(txn, AUDIT)?.range::<u64>(..)? {
        let (key, row) = row?;
        chain = chain.with(AuditKey(key.value()), row.value());
    }
    Ok(chain)
}

pub(in crate::store) fn read_registry(database: &Database, sealer: &Sealer) -> Result<(Registry, Counters), Error> {
    let txn = database.begin_read()?;
    let mut registry = Registry::default();
    for row in schema::read(&txn, TENANT)?.range::<u32>(..)? {
        let (no, value) = row?;
        registry.put_tenant(TenantNo(no.value()), &record::read_tenant(TenantNo(no.value()), value.value())?);
    }
    for row in schema::read(&txn, ENDPOINT)?.range::<u32>(..)? {
        let (no, value) = row?;
        registry.put(Arc::new(record::read_endpoint(EndpointNo(no.value()), sealer, value.value())?));
    }
    for row in schema::read(&txn, KEY)?.range::<&[u8; 32]>(..)? {
        let (hash, value) = row?;
        let (key, used) = record::read_key(*hash.value(), value.value())?;
        registry.put_key(Arc::new(key), used);
    }
    for row in schema::read(&txn, EVENT_TYPE)?.range::<&[u8]>(..)? {
        let (name, value) = row?;
        let Some(provider) = catalogue::provider_of(name.value()) else { continue };
        registry.put_event_type(provider.into(), record::read_event_type(name.value(), value.value())?);
    }
    for row in schema::read(&txn, PROVIDER)?.range::<&[u8]>(..)? {
        let (name, value) = row?;
        let settings = record::read_provider(name.value(), value.value())?;
        registry.put_provider(String::from_utf8_lossy(name.value()).into(), settings);
    }
    let counters =
        schema::read(&txn, STATE)?.get(COUNTERS)?.map(|row| record::read_counters(&[COUNTERS], row.value())).transpose()?;
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

pub(in crate::store) fn read_memory(
    database: &Database,
    counters: Counters,
    limits: Limits,
    moment: Moment,
) -> Result<Memory, Error> {
    let txn = database.begin_read()?;
    let (time, (deletions, ages)) = (read_time(&counters, moment), read_tenants(&txn)?);
    let ended = schema::read(&txn, ENDED)?.last()?.map_or(0, |(number, _)| number.value());
    // Counters that were derived from rows may not know the keys that a deletion skipped.
    let last_key = deletions.iter().map(|running| running.until.0).fold(counters.last_key, u64::max);
    let counters = Counters { attempts: counters.attempts.max(ended), last_key, ..counters };
    let mut memory = Memory {
        counters,
        schedule: Schedule::new(time.now()),
        order: Order::default(),
        time,
        boot_id: moment.boot_id,
        backlogs: read_backlogs(&schema::read(&txn, BACKLOG)?, counters.last_key)?,
        fanouts: Default::default(),
        jobs: Default::default(),
        purges: Default::default(),
        tests: HashMap::new(),
        limits,
        sweep: Sweep::new(moment.steady),
        listed: 0,
        revoked: Default::default(),
        file_keys: Default::default(),
        notices: Default::default(),
        announced: false,
        connections_swept: Vec::new(),
        tombstones_swept: 0,
        buried: None,
        unlisted: Default::default(),
        job_pace: Default::default(),
        relist_pace: Default::default(),
        scratch: Vec::new(),
        metrics: Default::default(),
        memtable: Memtable::default(),
        flushing: None,
        has_uids: has_uids(&txn)?,
        audit: read_chain(&txn)?,
        deletions,
        replays: Replays::of(read_replays(&txn)?),
        ages,
        erase_pace: Default::default(),
    };
    for row in schema::read(&txn, FANOUT)?.range::<u64>(..)? {
        let (event, value) = row?;
        let cursor = record::read_fanout(&event.value().to_be_bytes(), value.value())?;
        memory.fanouts.push_back(RunningFanout { event: EventKey(event.value()), cursor, known: None });
    }
    for row in schema::read(&txn, JOB)?.range::<u32>(..)? {
        let (no, value) = row?;
        let job = record::read_job(&no.value().to_be_bytes(), value.value())?;
        let endpoint = EndpointNo(no.value());
        if job.purged > 0 {
            memory.purges.insert(endpoint, EventKey(job.purged));
        }
        memory.jobs.push_back(RunningJob { endpoint, job });
    }
    Ok(memory)
}

/// Jobs for what only a job can bring to its end, where none stands in its table: its row, or that of the webhook, may have been
/// damaged. They are found at every start until their first slice has written them. Nothing else than
/// its row tells of a purge. When that row is lost, the deliveries that the purge had still to end are sent: no delivery says that it
/// was to end, since a purge writes one row however many wait. The damaged row is a finding, so the operator hears of it and may
/// purge again.
///
/// What waits for a webhook of a tenant that is being deleted has none: it ends as the tenant's deliveries are erased.
pub(in crate::store) fn missing_jobs(
    database: &Database,
    registry: &Registry,
    memory: &Memory,
    due: &ByEndpoint<u64>,
) -> Result<Vec<RunningJob>, Error> {
    let missing = |endpoint: &EndpointNo| {
        let task = match registry.entry(*endpoint) {
            // Deleted, or its row is lost: nobody knows where to send what waits for it.
            None => Task::End,
            Some(entry) if entry.endpoint.is_active() || !due.contains_key(endpoint) => return None,
            Some(_) => Task::Park,
        };
        let job = Job { task, until: memory.counters.last_key, ..Job::default() };
        Some(RunningJob { endpoint: *endpoint, job })
    };
    let with_job: HashSet<EndpointNo> = memory.jobs.iter().map(|running| running.endpoint).collect();
    let mut waited_for: Vec<&EndpointNo> = due.keys().chain(memory.backlogs.keys()).collect();
    waited_for.sort_unstable();
    waited_for.dedup();
    let mut jobs: Vec<_> = waited_for.into_iter().filter(|no| !with_job.contains(no)).filter_map(missing).collect();
    let erased = erased_with_tenant(database, memory, jobs.iter().map(|running| running.endpoint))?;
    jobs.retain(|running| !erased.contains(&running.endpoint));
    Ok(jobs)
}

/// Those of the webhooks whose tenant is being deleted.
fn erased_with_tenant(
    database: &Database,
    memory: &Memory,
    webhooks: impl Iterator<Item = EndpointNo>,
) -> Result<HashSet<EndpointNo>, Error> {
    let deleting: HashSet<TenantNo> = memory.deletions.iter().map(|running| running.no).collect();
    let mut found = HashSet::new();
    if deleting.is_empty() {
        return Ok(found);
    }
    let txn = database.begin_read()?;
    let table = schema::read(&txn, ENDPOINT)?;
    for no in webhooks {
        if deleting.contains(&owner_of(&table, no)?) {
            found.insert(no);
        }
    }
    Ok(found)
}

/// Which webhooks are ordered, and which delivery of each had its turn: the one that waits for an attempt in the due table. Where
/// several wait there, a job that was to bring them into order was lost, so it begins anew.
pub(in crate::store) fn read_order(
    database: &Database,
    registry: &Registry,
    memory: &mut Memory,
    due: &ByEndpoint<u64>,
) -> Result<(), Error> {
    let ordered = || registry.entries().map(|entry| &entry.endpoint).filter(|endpoint| endpoint.definition.settings.ordered);
    ordered().for_each(|endpoint| memory.order.add(endpoint.no));
    let waited_for = ordered().filter(|endpoint| endpoint.is_active() && due.contains_key(&endpoint.no));
    let mut found: ByEndpoint<Vec<DeliveryKey>> = waited_for.map(|endpoint| (endpoint.no, Vec::new())).collect();
    if found.is_empty() {
        return Ok(());
    }
    let txn = database.begin_read()?;
    let log = schema::read(&txn, LOG)?;
    for row in schema::read(&txn, DUE)?.range::<&DueKey>(..)? {
        let (_, key) = read_due_key(row?.0.value());
        if let Some(theirs) = found.get_mut(&key.endpoint).filter(|theirs| theirs.len() < 2)
            && !is_test(&log, key)?
        {
            theirs.push(key);
        }
    }
    for (no, theirs) in found {
        let parks = memory.jobs.iter().any(|running| running.endpoint == no && running.job.task == Task::Park);
        match theirs[..] {
            [only] if !parks => memory.order.resume(only),
            [_, _] if !parks => put_in_order(memory, no),
            _ => {}
        }
    }
    Ok(())
}

fn is_test(log: &impl ReadableTable<&'static LogKey, &'static [u8]>, key: DeliveryKey) -> Result<bool, Error> {
    let row = log.get(&log_key(key, DELIVERY_ROW))?;
    let row = intact(row.map(|row| record::read_delivery(key, row.value())))?;
    Ok(row.is_some_and(|(delivery, _)| delivery.is_test()))
}

fn put_in_order(memory: &mut Memory, endpoint: EndpointNo) {
    let job = Job { task: Task::Park, until: memory.counters.last_key, ..Job::default() };
    match memory.jobs.iter_mut().find(|running| running.endpoint == endpoint) {
        Some(running) => running.job = running.job.joined(job),
        None => memory.jobs.push_back(RunningJob { endpoint, job }),
    }
}

/// Which endpoints have a backlog: one look an endpoint, whatever its length. `newest`: no event that stands there is newer.
fn read_backlogs(
    table: &impl ReadableTable<&'static BacklogKey, &'static [u8]>,
    newest: u64,
) -> Result<ByEndpoint<Cursor>, Error> {
    let mut found = ByEndpoint::default();
    let mut from = EndpointNo(0);
    while let Some(row) = table.range::<&BacklogKey>(&backlog_key(from, 0)..)?.next() {
        let (endpoint, _) = read_backlog_key(row?.0.value());
        found.insert(endpoint, Cursor { more: true, unsure: newest, ..Cursor::default() });
        from = EndpointNo(endpoint.0.saturating_add(1));
    }
    Ok(found)
}

/// What came after the index was last written: events by their key, deliveries by their rows or by where they wait.
pub(in crate::store) fn read_tail(database: &Database, registry: &Registry, node: Node, memory: &Memory) -> Result<Tail, Error> {
    let txn = database.begin_read()?;
    let indexed = EventKey(memory.counters.indexed);
    let mut keys = Vec::new();
    for row in schema::read(&txn, LOG)?.range::<&LogKey>(&log_key(after(indexed), 0)..)? {
        let (key, number) = read_log_key(row?.0.value());
        keys.extend((number == DELIVERY_ROW).then_some(key));
    }
    let first = due_key(indexed.time(), DeliveryKey { event: EventKey::MIN, ..after(indexed) });
    for row in schema::read(&txn, DUE)?.range::<&DueKey>(&first..)? {
        let (_, key) = read_due_key(row?.0.value());
        keys.extend((key.event > indexed).then_some(key));
    }
    for row in schema::read(&txn, BACKLOG)?.range::<&BacklogKey>(..)? {
        let (key, value) = row?;
        let (endpoint, number) = read_backlog_key(key.value());
        let key = waiting(endpoint, number, value.value());
        keys.extend((key.event > indexed).then_some(key));
    }
    keys.sort_unstable();
    keys.dedup();
    let webhooks = schema::read(&txn, ENDPOINT)?;
    let delivery = |key: DeliveryKey| match registry.entry(key.endpoint) {
        Some(entry) => {
            entry.live.list();
            Ok(IndexEntry::delivery(key, entry.endpoint.tenant_no))
        }
        None => Ok(IndexEntry::delivery(key, owner_of(&webhooks, key.endpoint)?)),
    };
    let mut entries = keys.into_iter().map(delivery).collect::<Result<Vec<_>, Error>>()?;
    entries.extend(read_event_tail(&schema::read(&txn, EVENT)?, registry, node, memory)?);
    let attempts = read_ended_attempts(&txn, memory.counters.attempts_indexed)?;
    Ok(Tail { entries, attempts, ended: memory.counters.attempts })
}

/// The attempts that ended and that the index does not hold, in the order of their ends.
fn read_ended_attempts(txn: &ReadTransaction, indexed: u64) -> Result<Vec<EndedAttempt>, Error> {
    let mut attempts = Vec::new();
    for row in schema::read(txn, ENDED)?.range(indexed.saturating_add(1)..)? {
        let (number, value) = row?;
        let ended = intact(Some(record::read_ended(number.value(), value.value())))?;
        attempts.extend(ended.map(|(key, owner)| EndedAttempt { key, owner }));
    }
    Ok(attempts)
}

fn read_event_tail(
    table: &impl ReadableTable<u64, &'static [u8]>,
    registry: &Registry,
    node: Node,
    memory: &Memory,
) -> Result<Vec<IndexEntry>, Error> {
    let mut entries = Vec::new();
    for row in table.range(memory.counters.indexed.saturating_add(1)..)? {
        let (key, value) = row?;
        let key = EventKey(key.value());
        let Some(stored) = intact(Some(record::read_event(key, node, value.value())))? else { continue };
        let event = stored.event;
        let (provider, tenant) = (&*event.provider, listed_under(event.tenant.as_deref()));
        let erasing = memory.erasing(provider.as_bytes(), tenant.as_bytes(), key);
        let owner = erasing.or_else(|| registry.tenant(provider, tenant)).filter(|_| !event.test);
        entries.extend(owner.map(|owner| IndexEntry::event(key, owner)));
    }
    Ok(entries)
}

fn after(event: EventKey) -> DeliveryKey {
    DeliveryKey { event: EventKey(event.0.saturating_add(1)), endpoint: EndpointNo(0) }
}

/// What was found wrong and is not acknowledged, oldest first, and how many rows are in quarantine.
pub(in crate::store) fn read_findings(database: &Database) -> Result<(Vec<Finding>, u64), Error> {
    let txn = database.begin_read()?;
    let mut found = Vec::new();
    for row in schema::read(&txn, FINDING)?.range::<u64>(..)? {
        let (key, value) = row?;
        found.push(record::read_finding(key.value(), value.value())?);
    }
    Ok((found, schema::read(&txn, QUARANTINE)?.len()?))
}
