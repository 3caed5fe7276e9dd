//! The on-disk forms of all records. Only this folder names bincode.
//!
//! A record is its version, the bincode of one of the forms here, and a CRC32C over both and over the key of its row. redb does
//! not check pages on a plain read. So a flipped bit, or a record in the row of another, must be found here and must not be sent
//! to a customer. The forms mirror the domain types and are not the same: a changed form is a new version of the record, with
//! code of its own to read it. The keys of all tables are in `key.rs`, with numbers in big-endian order.
//!
//! bincode is pinned to 2.0.1: 3.0.0 does not compile by design and the crate is unmaintained (RUSTSEC-2025-0141). Whoever
//! replaces it does so here, behind a new version byte.

mod audit;
mod codec;
mod counters;
mod ended;
mod event;
mod finding;
mod job;
pub(in crate::store) mod key;
mod log;
mod plain;
pub(in crate::store) mod seal;
mod tally;
mod tenant;
mod webhook;

#[cfg(test)]
mod pinned;

pub(super) use super::message::tenant::Listing;
pub(super) use audit::{Chain, audit_hash, read_audit, read_chain, write_audit, write_chain};
pub(super) use counters::{Counters, Unlisted, read_counters, write_counters};
pub(super) use ended::{read_ended, write_ended};
pub(super) use event::{StoredEvent, read_event, write_event};
pub(super) use finding::{read_finding, write_finding};
pub(super) use job::{Job, Task, read_job, read_replay, write_job, write_replay};
pub(super) use log::{read_attempt, read_attempt_start, read_delivery, write_attempt, write_delivery};
pub(super) use plain::{
    Fanout, Follows, Meta, Named, Quarantined, read_bytes, read_fanout, read_follows, read_meta, read_named, read_number,
    read_quarantined, write_bytes, write_fanout, write_follows, write_meta, write_named, write_number, write_quarantined,
};
pub(super) use tally::{read_mark, read_tally, write_mark, write_tally};
pub(super) use tenant::{
    read_connection, read_event_type, read_key, read_provider, read_tenant, write_connection, write_event_type, write_key,
    write_provider, write_tenant,
};
pub(super) use webhook::{WebhookFacts, check_endpoint, read_endpoint, read_webhook_facts, show_webhook, write_endpoint};
