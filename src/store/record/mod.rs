//! The on-disk forms of everything, and the only folder that names bincode.
//!
//! A record is `VERSION`, the bincode of one of the forms here, and a CRC32C over both: redb does not check pages on a plain
//! read, so a flipped bit must be found here and not sent to a customer. The forms mirror the domain and are not the domain:
//! a change of one is a new version of the record, read by its own arm.
//!
//! bincode is pinned to 2.0.1: 3.0.0 does not compile by design and the crate is unmaintained (RUSTSEC-2025-0141). Whoever
//! replaces it does so here, behind a new version byte.

mod codec;
mod counters;
mod event;
mod log;
mod plain;
mod tenant;
mod webhook;

#[cfg(test)]
mod pinned;

pub(super) use counters::{Counters, read_counters, write_counters};
pub(super) use event::{StoredEvent, read_event, write_event};
pub(super) use log::{read_attempt, read_delivery, write_attempt, write_delivery};
pub(super) use plain::{
    Fanout, Job, Meta, Named, read_bytes, read_fanout, read_job, read_meta, read_named, read_number, write_bytes, write_fanout,
    write_job, write_meta, write_named, write_number,
};
pub(super) use tenant::{
    read_connection, read_event_type, read_key, read_tenant, write_connection, write_event_type, write_key, write_tenant,
};
pub(super) use webhook::{read_endpoint, write_endpoint};
