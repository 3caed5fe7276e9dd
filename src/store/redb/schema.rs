//! Every table: its key, its value, who writes and who deletes.
//!
//! `record::key` has the bytes of the keys. Values are records (see `record`), or none: then the table has keys of one
//! length alone, and a leaf of it holds no offsets that a change would have to move. Such keys have no checksum of their own: those
//! of `due` and `backlog` are summed up in the counters (see `entry_sum`).
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
//! | `attempt_index` | scope 1, owner 4, microseconds 8, event 8, endpoint 4, number 2 | – | index, in large batches | retention |
//! | `ended` | number 8 | an attempt that ended and is not in `attempt_index` yet | finish | index |
//! | `unsent` | milliseconds 8, event 8, endpoint 4: a delivery that ended without an attempt, and when | – | cancel, purge, delete, retention | sweep |
//! | `endpoint` | endpoint 4 | webhook, secrets sealed; of a deleted one what its log shows | create, change, count | job, sweep |
//! | `tenant` | tenant 4 | provider and tenant, what the config file and what the API says of it, how far its deletion has come | first use, config, PUT, DELETE | its deletion |
//! | `provider` | provider | what the API says of it | PATCH | – |
//! | `key` | SHA-256 32 | API key | keys | keys, config |
//! | `last_time` | text | microseconds | accept (unique times) | – |
//! | `connection` | provider, tenant, id | URLs that it pins | open, accept | close, sweep |
//! | `event_type` | provider, name | event type | PUT | – |
//! | `hour` | hour 4, endpoint 4 | statistics | finish, by its marks | sweep |
//! | `audit` | milliseconds 6, number 2 | who changed what, and the hash of the row before | every change that somebody asked for | sweep |
//! | `replay` | replay 8 | what is sent again, and how far that has come | replays, and every outcome of theirs | sweep, the tenant's deletion |
//! | `quarantine` | number 8 | a damaged row of another table, as it stood | open | – |
//! | `finding` | number 8 | what was found wrong, and is told until somebody has seen it | open | `doctor --acknowledge` |

use redb::{ReadOnlyTable, ReadTransaction, TableDefinition, TableError};

use crate::store::record::key::{AttemptIndexKey, BacklogKey, DueKey, HourKey, IndexKey, LogKey, TimeKey};

pub(in crate::store) type Def<K, V = &'static [u8]> = TableDefinition<'static, K, V>;

/// The version of the store's layout. A release that changes it reads the older ones. 2: a tenant's record says whether the
/// config file lists it, there is a table of event types, and tables of keys alone have no values. 3: part of it may stand in the
/// journal. 4: a record's checksum covers its key, the tables name the run whose journal follows, what was found damaged has tables
/// of its own. A store of version 4 or 5 may lack those of [`LATER`], and gets them when it is opened. 5: records of tenants, keys, events,
/// webhooks and event types have members that a release before would take for damage.
pub(in crate::store) const STORE_VERSION: u32 = 5;

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
pub(in crate::store) const QUARANTINE: Def<u64> = TableDefinition::new("quarantine");
pub(in crate::store) const FINDING: Def<u64> = TableDefinition::new("finding");

/// Gives a macro the tables that the journal may hold changes of, each with its type and with the tags of its items in the journal:
/// of a row that was put, and of one that was taken out. Tags keep their meaning, for a start after an upgrade reads what the
/// release before wrote. That release knows no `e`, `l`, `n` and `x`, which are never written so far, and none of
/// `A`, `a`, `R` and `r`.
macro_rules! journaled_tables {
    ($run:ident) => {
        $run! {
            EVENT event: u64 => &'static [u8], Event b"Ee";
            LOG log: &'static LogKey => &'static [u8], Log b"Ll";
            DUE due: &'static DueKey => (), Due b"DT";
            BACKLOG backlog: &'static BacklogKey => &'static [u8], Backlog b"Bb";
            NAME name: &'static [u8] => &'static [u8], Name b"Nn";
            NAME_END name_end: &'static TimeKey => &'static [u8], NameEnd b"Xx";
            ENDED ended: u64 => &'static [u8], Ended b"Aa";
            REPLAY replay: u64 => &'static [u8], Replay b"Rr";
        }
    };
}
pub(in crate::store) use journaled_tables;

/// Gives a macro the other tables that batches change.
macro_rules! other_tables {
    ($run:ident) => {
        $run! {
            FANOUT fanout: u64 => &'static [u8];
            JOB job: u32 => &'static [u8];
            REVISIT revisit: &'static TimeKey => ();
            INDEX index: &'static IndexKey => ();
            ATTEMPT_INDEX attempt_index: &'static AttemptIndexKey => ();
            UNSENT unsent: &'static DueKey => ();
            ENDPOINT endpoint: u32 => &'static [u8];
            TENANT tenant: u32 => &'static [u8];
            KEY key: &'static [u8; 32] => &'static [u8];
            LAST_TIME last_time: &'static [u8] => &'static [u8];
            CONNECTION connection: &'static [u8] => &'static [u8];
            EVENT_TYPE event_type: &'static [u8] => &'static [u8];
            HOUR hour: &'static HourKey => &'static [u8];
            AUDIT audit: u64 => &'static [u8];
            PROVIDER provider: &'static [u8] => &'static [u8];
        }
    };
}
pub(in crate::store) use other_tables;

macro_rules! define {
    ($($constant:ident $name:ident: $key:ty => $value:ty $(, $table:ident $tags:literal)?;)*) => {
        $(pub(in crate::store) const $constant: Def<$key, $value> = TableDefinition::new(stringify!($name));)*
    };
}
journaled_tables!(define);
other_tables!(define);

/// Tables that came after the version.
pub(in crate::store) const LATER: [&str; 7] = ["hour", "audit", "provider", "attempt_index", "ended", "replay", "unsent"];

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
        $run!($crate::store::redb::schema::PROVIDER);
        $run!($crate::store::redb::schema::REPLAY);
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
        $run!($crate::store::redb::schema::ATTEMPT_INDEX);
        $run!($crate::store::redb::schema::ENDED);
        $run!($crate::store::redb::schema::UNSENT);
        $run!($crate::store::redb::schema::NAME);
        $run!($crate::store::redb::schema::NAME_END);
        $run!($crate::store::redb::schema::LAST_TIME);
        $run!($crate::store::redb::schema::CONNECTION);
        $run!($crate::store::redb::schema::HOUR);
        $run!($crate::store::redb::schema::AUDIT);
    };
}
pub(in crate::store) use every_table;

/// Their names.
pub(in crate::store) const NAMES: [&str; 27] = [
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
    "attempt_index",
    "ended",
    "unsent",
    "endpoint",
    "tenant",
    "key",
    "last_time",
    "connection",
    "event_type",
    "hour",
    "audit",
    "provider",
    "replay",
    "quarantine",
    "finding",
];

/// The row of the counters in `state`.
pub(in crate::store) const COUNTERS: u8 = 0;

/// The row of `state` that says up to which number the tables hold the journal's changes.
pub(in crate::store) const JOURNALED: u8 = 1;

/// The row of `state` that says which run of the service writes the journal; it stands twice.
pub(in crate::store) const FOLLOWS: u8 = 2;

/// The row of `state` that says where the chain of the audit log begins and ends; it stands twice.
pub(in crate::store) const AUDITED: u8 = 3;

/// A table as one snapshot shows it.
pub(in crate::store) fn read<K: redb::Key + 'static, V: redb::Value + 'static>(
    txn: &ReadTransaction,
    definition: Def<K, V>,
) -> Result<ReadOnlyTable<K, V>, TableError> {
    txn.open_table(definition)
}
