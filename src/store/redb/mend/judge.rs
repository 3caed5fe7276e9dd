//! Whether a row is one that a store may hold: its checksum where it has one, its key and its form.
//!
//! Bare keys are judged by what they could mean: a time that can come, numbers that were given. What they point to is not looked
//! up here.

use std::ops::RangeInclusive;

use crate::domain::id::{AuditKey, EndpointNo, EventKey, Node, ReplayNo, TenantNo};
use crate::domain::time::Timestamp;
use crate::store::error::Error;
use crate::store::record;
use crate::store::record::key::{ATTEMPT_SCOPES, DELIVERY_ROW, LogKey, SCOPES, read_due_key, read_log_key, read_time_key};
use crate::store::redb::schema::{AUDITED, COUNTERS, FOLLOWS, IDENTITY, JOURNAL_ID, JOURNALED, SEAL, SECOND};

/// Judges a row by its table's name, its key and its value, as they stand in the file; numbers in keys are little-endian there.
pub(in crate::store) fn row(table: &'static str, key: &[u8], value: &[u8]) -> Result<(), Error> {
    match table {
        "meta" | "state" => single(table, key, value),
        "event" => record::read_event(EventKey(long(table, key)?), Node(0), value).map(drop),
        "log" => log(fixed(table, key)?, value),
        "due" | "unsent" => plausible(table, read_due_key(&fixed(table, key)?).0),
        "revisit" => plausible(table, read_time_key(&fixed(table, key)?).0),
        "name_end" => plausible(table, read_time_key(&fixed(table, key)?).0),
        "backlog" => backlog(table, value),
        "index" => scoped(table, key, SCOPES),
        "attempt_index" => scoped(table, key, ATTEMPT_SCOPES),
        "ended" => record::read_ended(long(table, key)?, value).map(drop),
        "name" => record::read_named(key, value).map(drop),
        "fanout" => record::read_fanout(&long(table, key)?.to_be_bytes(), value).map(drop),
        "job" => record::read_job(&short(table, key)?.to_be_bytes(), value).map(drop),
        "endpoint" => record::check_endpoint(EndpointNo(short(table, key)?), value),
        "tenant" => record::read_tenant(TenantNo(short(table, key)?), value).map(drop),
        "key" => record::read_key(fixed(table, key)?, value).map(drop),
        "last_time" => record::read_number(key, value).map(drop),
        "connection" => record::read_connection(key, value).map(drop),
        "event_type" => record::read_event_type(key, value).map(drop),
        "hour" => record::read_tally(&fixed(table, key)?, value).map(drop),
        "audit" => record::read_audit(AuditKey(long(table, key)?), value).map(drop),
        "provider" => record::read_provider(key, value).map(drop),
        "replay" => record::read_replay(ReplayNo(long(table, key)?), value).map(drop),
        "quarantine" => record::read_quarantined(&long(table, key)?.to_be_bytes(), value).map(drop),
        "finding" => record::read_finding(long(table, key)?, value).map(drop),
        _ => Ok(()),
    }
}

/// The rows of `meta` and `state`, each of a form of its own.
fn single(table: &'static str, key: &[u8], value: &[u8]) -> Result<(), Error> {
    let [row] = fixed(table, key)?;
    match (table, row) {
        ("meta", row) if row % SECOND == IDENTITY => record::read_meta(key, value).map(drop),
        ("meta", row) if row % SECOND == SEAL => record::read_bytes(key, value).map(drop),
        ("meta", row) if row % SECOND == JOURNAL_ID => record::read_number(key, value).map(drop),
        ("state", COUNTERS) => record::read_counters(key, value).map(drop),
        ("state", row) if row % SECOND == JOURNALED => record::read_number(key, value).map(drop),
        ("state", row) if row % SECOND == FOLLOWS => record::read_follows(key, value).map(drop),
        ("state", row) if row % SECOND == AUDITED => record::read_chain(key, value).map(drop),
        _ => Err(Error::Damaged { table, why: "no row has this key" }),
    }
}

fn log(key: LogKey, value: &[u8]) -> Result<(), Error> {
    match read_log_key(&key) {
        (delivery, DELIVERY_ROW) => record::read_delivery(delivery, value).map(drop),
        _ => record::read_attempt(&key, value).map(drop),
    }
}

fn backlog(table: &'static str, value: &[u8]) -> Result<(), Error> {
    let fits = value.is_empty() || value.len() == size_of::<u64>();
    if fits { Ok(()) } else { Err(Error::Damaged { table, why: "its value is no event key" }) }
}

fn scoped(table: &'static str, key: &[u8], scopes: RangeInclusive<u8>) -> Result<(), Error> {
    let known = key.first().is_some_and(|scope| scopes.contains(scope));
    if known { Ok(()) } else { Err(Error::Damaged { table, why: "its scope is unknown" }) }
}

/// A moment that a delivery may wait for.
fn plausible(table: &'static str, at: Timestamp) -> Result<(), Error> {
    if at < LATEST { Ok(()) } else { Err(Error::Damaged { table, why: "its time lies beyond every schedule" }) }
}

fn fixed<const N: usize>(table: &'static str, key: &[u8]) -> Result<[u8; N], Error> {
    key.try_into().map_err(|_| Error::Damaged { table, why: "its key has another length" })
}

fn long(table: &'static str, key: &[u8]) -> Result<u64, Error> {
    fixed(table, key).map(u64::from_le_bytes)
}

fn short(table: &'static str, key: &[u8]) -> Result<u32, Error> {
    fixed(table, key).map(u32::from_le_bytes)
}

/// 2200-01-01: no schedule, clock or retention reaches so far.
const LATEST: Timestamp = Timestamp::from_micros(7_258_118_400_000_000);
