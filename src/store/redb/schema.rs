//! Every table: its key, byte by byte, its value, who writes and who deletes.
//!
//! Keys are big-endian, so that their byte order is the order of what they name, and time comes first where the hot path
//! writes, so that a batch touches few pages. Values are records (see `record`), or none: then the table has keys of one
//! length alone, and a leaf of it holds no offsets that a change would have to move. Such keys have no checksum of their own: those
//! of `due` and `backlog` are summed up in the counters (see `waiting`).
//!
//! | table | key | value | written by | deleted by |
//! |---|---|---|---|---|
//! | `meta` | one byte | version and node; master key check; the journal's id | open | – |
//! | `state` | one byte | counters; what the journal need not hold any more; which run writes it | every commit; open, close | – |
//! | `event` | event 8 | event and body | accept | retention |
//! | `log` | event 8, endpoint 4, number 2 | 0: delivery with its newest attempt; else an earlier attempt | finish, park, retry | retention |
//! | `due` | milliseconds 8, event 8, endpoint 4 | – | accept, finish, retry | finish, park |
//! | `backlog` | endpoint 4, number 8 | event key, or empty: the number is the event key | accept, park | finish, retention |
//! | `name` | kind 1, text | what was answered | accept | retention, sweep |
//! | `name_end` | milliseconds 8, event 8 | key in `name` | accept | sweep |
//! | `fanout` | event 8 | cursor | accept | fan-out |
//! | `job` | endpoint 4 | what is done to its waiting deliveries, cursors | disable, delete, purge | job |
//! | `revisit` | milliseconds 8, event 8 | – | retention | retention |
//! | `index` | scope 1, owner 4, event 8, endpoint 4 | – | index, in large batches | retention |
//! | `endpoint` | endpoint 4 | webhook, secrets sealed; of a deleted one what its log shows | create, change, count | job, sweep |
//! | `tenant` | tenant 4 | provider and tenant, what the config file says of it | first use, config | – |
//! | `key` | SHA-256 32 | API key | keys | keys, config |
//! | `last_time` | text | microseconds | accept (unique times) | – |
//! | `connection` | provider, tenant, id | URLs that it pins | open, accept | close, sweep |
//! | `event_type` | provider, name | event type | PUT | – |
//! | `hour` | hour 4, endpoint 4 | statistics | finish, by its marks | sweep |
//! | `quarantine` | number 8 | a damaged row of another table, as it stood | open | – |
//! | `finding` | number 8 | what was found wrong, and is told until somebody has seen it | open | `doctor --acknowledge` |

use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, TableError};

use crate::domain::delivery::tally::Hour;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::time::Timestamp;

pub(in crate::store) type Def<K, V = &'static [u8]> = TableDefinition<'static, K, V>;

/// The version of the store's layout. A release that changes it reads the older ones. 2: a tenant's record says whether the
/// config file lists it, there is a table of event types, and tables of keys alone have no values. 3: part of it may stand in the
/// journal. 4: a record's checksum covers its key, the tables name the run whose journal follows, what was found damaged has tables
/// of its own. A store of version 4 may lack those of [`LATER`], and gets them when it is opened.
pub(in crate::store) const STORE_VERSION: u32 = 4;

/// The row of `meta` that holds it.
pub(in crate::store) const IDENTITY: u8 = 0;

/// The row of `meta` that holds a sealed text, by which the store knows its master key.
pub(in crate::store) const SEAL: u8 = 1;

/// The row of `meta` that holds the number by which the store knows its journal.
pub(in crate::store) const JOURNAL_ID: u8 = 2;

/// Rows that nothing else tells stand twice, the second time under this number more: one damaged bit must not lose the store.
pub(in crate::store) const SECOND: u8 = 16;

pub(in crate::store) const META: Def<u8> = TableDefinition::new("meta");
pub(in crate::store) const STATE: Def<u8> = TableDefinition::new("state");
pub(in crate::store) const EVENT: Def<u64> = TableDefinition::new("event");
pub(in crate::store) const LOG: Def<&'static LogKey> = TableDefinition::new("log");
pub(in crate::store) const DUE: Def<&'static DueKey, ()> = TableDefinition::new("due");
pub(in crate::store) const BACKLOG: Def<&'static BacklogKey> = TableDefinition::new("backlog");
pub(in crate::store) const NAME: Def<&'static [u8]> = TableDefinition::new("name");
pub(in crate::store) const NAME_END: Def<&'static TimeKey> = TableDefinition::new("name_end");
pub(in crate::store) const FANOUT: Def<u64> = TableDefinition::new("fanout");
pub(in crate::store) const JOB: Def<u32> = TableDefinition::new("job");
pub(in crate::store) const REVISIT: Def<&'static TimeKey, ()> = TableDefinition::new("revisit");
pub(in crate::store) const INDEX: Def<&'static IndexKey, ()> = TableDefinition::new("index");
pub(in crate::store) const ENDPOINT: Def<u32> = TableDefinition::new("endpoint");
pub(in crate::store) const TENANT: Def<u32> = TableDefinition::new("tenant");
pub(in crate::store) const KEY: Def<&'static [u8; 32]> = TableDefinition::new("key");
pub(in crate::store) const LAST_TIME: Def<&'static [u8]> = TableDefinition::new("last_time");
pub(in crate::store) const CONNECTION: Def<&'static [u8]> = TableDefinition::new("connection");
pub(in crate::store) const EVENT_TYPE: Def<&'static [u8]> = TableDefinition::new("event_type");

pub(in crate::store) const HOUR: Def<&'static HourKey> = TableDefinition::new("hour");

/// Tables that came after the version.
pub(in crate::store) const LATER: [&str; 1] = ["hour"];

pub(in crate::store) const QUARANTINE: Def<u64> = TableDefinition::new("quarantine");
pub(in crate::store) const FINDING: Def<u64> = TableDefinition::new("finding");

/// Runs a macro for every table that a start reads whole.
macro_rules! small_table {
    ($run:ident) => {
        $run!($crate::store::redb::schema::META);
        $run!($crate::store::redb::schema::STATE);
        $run!($crate::store::redb::schema::DUE);
        $run!($crate::store::redb::schema::BACKLOG);
        $run!($crate::store::redb::schema::FANOUT);
        $run!($crate::store::redb::schema::JOB);
        $run!($crate::store::redb::schema::REVISIT);
        $run!($crate::store::redb::schema::ENDPOINT);
        $run!($crate::store::redb::schema::TENANT);
        $run!($crate::store::redb::schema::KEY);
        $run!($crate::store::redb::schema::EVENT_TYPE);
        $run!($crate::store::redb::schema::QUARANTINE);
        $run!($crate::store::redb::schema::FINDING);
    };
}
pub(in crate::store) use small_table;

/// Runs a macro for every table.
macro_rules! every_table {
    ($run:ident) => {
        $crate::store::redb::schema::small_table!($run);
        $run!($crate::store::redb::schema::EVENT);
        $run!($crate::store::redb::schema::LOG);
        $run!($crate::store::redb::schema::INDEX);
        $run!($crate::store::redb::schema::NAME);
        $run!($crate::store::redb::schema::NAME_END);
        $run!($crate::store::redb::schema::LAST_TIME);
        $run!($crate::store::redb::schema::CONNECTION);
        $run!($crate::store::redb::schema::HOUR);
    };
}
pub(in crate::store) use every_table;

/// Their names.
pub(in crate::store) const NAMES: [&str; 21] = [
    "meta",
    "state",
    "event",
    "log",
    "due",
    "backlog",
    "name",
    "name_end",
    "fanout",
    "job",
    "revisit",
    "index",
    "endpoint",
    "tenant",
    "key",
    "last_time",
    "connection",
    "event_type",
    "hour",
    "quarantine",
    "finding",
];

pub(in crate::store) type LogKey = [u8; 14];
pub(in crate::store) type DueKey = [u8; 20];
pub(in crate::store) type BacklogKey = [u8; 12];
pub(in crate::store) type TimeKey = [u8; 16];
pub(in crate::store) type IndexKey = [u8; 17];
pub(in crate::store) type HourKey = [u8; 8];

/// What counts for the statistics of a webhook's hour, as the journal holds it.
pub(in crate::store) type MarkBytes = [u8; 14];

/// Of an index row: its scope and owner.
pub(in crate::store) const OWNER_BYTES: usize = 5;

/// The row of the counters in `state`.
pub(in crate::store) const COUNTERS: u8 = 0;

/// The row of `state` that says up to which number the tables hold the journal's changes.
pub(in crate::store) const JOURNALED: u8 = 1;

/// The row of `state` that says which run of the service writes the journal; it stands twice.
pub(in crate::store) const FOLLOWS: u8 = 2;

/// The row of a delivery itself; its attempts follow under their numbers.
pub(in crate::store) const DELIVERY_ROW: u16 = 0;

pub(in crate::store) fn log_key(key: DeliveryKey, number: u16) -> LogKey {
    let mut bytes = [0; 14];
    bytes[..8].copy_from_slice(&key.event.0.to_be_bytes());
    bytes[8..12].copy_from_slice(&key.endpoint.0.to_be_bytes());
    bytes[12..].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(in crate::store) fn read_log_key(bytes: &LogKey) -> (DeliveryKey, u16) {
    let key = DeliveryKey { event: EventKey(be64(&bytes[..8])), endpoint: EndpointNo(be32(&bytes[8..12])) };
    (key, u16::from_be_bytes([bytes[12], bytes[13]]))
}

pub(in crate::store) fn due_key(at: Timestamp, key: DeliveryKey) -> DueKey {
    let mut bytes = [0; 20];
    bytes[..8].copy_from_slice(&at.as_millis().to_be_bytes());
    bytes[8..16].copy_from_slice(&key.event.0.to_be_bytes());
    bytes[16..].copy_from_slice(&key.endpoint.0.to_be_bytes());
    bytes
}

pub(in crate::store) fn read_due_key(bytes: &DueKey) -> (Timestamp, DeliveryKey) {
    let key = DeliveryKey { event: EventKey(be64(&bytes[8..16])), endpoint: EndpointNo(be32(&bytes[16..])) };
    (Timestamp::from_millis(be64(&bytes[..8])), key)
}

pub(in crate::store) fn backlog_key(endpoint: EndpointNo, number: u64) -> BacklogKey {
    let mut bytes = [0; 12];
    bytes[..4].copy_from_slice(&endpoint.0.to_be_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(in crate::store) fn read_backlog_key(bytes: &BacklogKey) -> (EndpointNo, u64) {
    (EndpointNo(be32(&bytes[..4])), be64(&bytes[4..]))
}

/// The delivery that a backlog entry stands for.
pub(in crate::store) fn waiting(endpoint: EndpointNo, number: u64, value: &[u8]) -> DeliveryKey {
    let event = if value.is_empty() { number } else { be64(value) };
    DeliveryKey { event: EventKey(event), endpoint }
}

pub(in crate::store) fn hour_key(hour: Hour, endpoint: EndpointNo) -> HourKey {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&hour.0.to_be_bytes());
    bytes[4..].copy_from_slice(&endpoint.0.to_be_bytes());
    bytes
}

pub(in crate::store) fn read_hour_key(bytes: &HourKey) -> (Hour, EndpointNo) {
    (Hour(be32(&bytes[..4])), EndpointNo(be32(&bytes[4..])))
}

/// A moment, in whole milliseconds, and the event it concerns.
pub(in crate::store) fn time_key(at: Timestamp, event: EventKey) -> TimeKey {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&at.as_millis().to_be_bytes());
    bytes[8..].copy_from_slice(&event.0.to_be_bytes());
    bytes
}

pub(in crate::store) fn read_time_key(bytes: &TimeKey) -> (Timestamp, EventKey) {
    (Timestamp::from_millis(be64(&bytes[..8])), EventKey(be64(&bytes[8..])))
}

/// Whose listing an index row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::store) enum Scope {
    /// The deliveries of a webhook.
    Endpoint(EndpointNo),
    /// The deliveries of a tenant.
    Tenant(TenantNo),
    /// The events of a tenant, or of a provider for all its tenants.
    Events(TenantNo),
}

pub(in crate::store) fn index_key(scope: Scope, event: EventKey, endpoint: EndpointNo) -> IndexKey {
    let (tag, owner) = match scope {
        Scope::Endpoint(no) => (1, no.0),
        Scope::Tenant(no) => (2, no.0),
        Scope::Events(no) => (3, no.0),
    };
    let mut bytes = [tag; 17];
    bytes[1..5].copy_from_slice(&u32::to_be_bytes(owner));
    bytes[5..13].copy_from_slice(&event.0.to_be_bytes());
    bytes[13..].copy_from_slice(&endpoint.0.to_be_bytes());
    bytes
}

/// The first byte of an index row.
pub(in crate::store) const SCOPES: std::ops::RangeInclusive<u8> = 1..=3;

/// Whether an index row names an event, not a delivery.
pub(in crate::store) fn is_event_row(row: &IndexKey) -> bool {
    row[0] == *SCOPES.end()
}

pub(in crate::store) fn read_index_key(bytes: &IndexKey) -> DeliveryKey {
    DeliveryKey { event: EventKey(be64(&bytes[5..13])), endpoint: EndpointNo(be32(&bytes[13..])) }
}

fn be64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

fn be32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
}

/// A table as one snapshot shows it.
pub(in crate::store) fn read<K: redb::Key + 'static, V: redb::Value + 'static>(
    txn: &ReadTransaction,
    definition: Def<K, V>,
) -> Result<ReadOnlyTable<K, V>, TableError> {
    txn.open_table(definition)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn delivery(event: u64, endpoint: u32) -> DeliveryKey {
        DeliveryKey { event: EventKey(event), endpoint: EndpointNo(endpoint) }
    }

    proptest! {
        #[test]
        fn keys_read_back(at in 0..1_u64 << 50, event: u64, endpoint: u32, number: u16) {
            let key = delivery(event, endpoint);
            let at = Timestamp::from_millis(at);
            prop_assert_eq!(read_log_key(&log_key(key, number)), (key, number));
            prop_assert_eq!(read_due_key(&due_key(at, key)), (at, key));
            prop_assert_eq!(read_backlog_key(&backlog_key(key.endpoint, event)), (key.endpoint, event));
            prop_assert_eq!(read_hour_key(&hour_key(Hour(endpoint), key.endpoint)), (Hour(endpoint), key.endpoint));
            prop_assert_eq!(read_time_key(&time_key(at, key.event)), (at, key.event));
            prop_assert_eq!(read_index_key(&index_key(Scope::Tenant(TenantNo(endpoint)), key.event, key.endpoint)), key);
        }

        #[test]
        fn keys_sort_as_what_they_name(a in 0..1_u64 << 50, b in 0..1_u64 << 50, x: u64, y: u64, e: u32, f: u32) {
            let (at, bt) = (Timestamp::from_millis(a), Timestamp::from_millis(b));
            let order = (a, x, e).cmp(&(b, y, f));
            prop_assert_eq!(due_key(at, delivery(x, e)).cmp(&due_key(bt, delivery(y, f))), order);
            prop_assert_eq!(log_key(delivery(x, e), 0).cmp(&log_key(delivery(y, f), 0)), (x, e).cmp(&(y, f)));
            prop_assert_eq!(hour_key(Hour(e), EndpointNo(f)).cmp(&hour_key(Hour(f), EndpointNo(e))), (e, f).cmp(&(f, e)));
            prop_assert_eq!(backlog_key(EndpointNo(e), x).cmp(&backlog_key(EndpointNo(f), y)), (e, x).cmp(&(f, y)));
        }
    }
}
