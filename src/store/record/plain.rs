//! Small records that are kept as they are.

use bincode::{Decode, Encode};

use super::codec::{close, open};
use crate::store::error::Error;

/// What the store is.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(in crate::store) struct Meta {
    pub(in crate::store) store_version: u32,
    pub(in crate::store) node: u64,
}

/// What was answered for an id or an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(in crate::store) struct Named {
    pub(in crate::store) event: u64,
    pub(in crate::store) deliveries: u32,
    pub(in crate::store) content: [u8; 32],
    /// Milliseconds; an idempotency key is forgotten at this time, an id goes with its event.
    pub(in crate::store) until: u64,
}

/// How far a wide fan-out has come.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(in crate::store) struct Fanout {
    /// The last endpoint that was looked at.
    pub(in crate::store) after: u32,
    /// Endpoints made later do not get the event.
    pub(in crate::store) until: u32,
    /// Deliveries made so far.
    pub(in crate::store) made: u32,
}

/// What is done to the deliveries that were pending when a webhook was disabled or deleted.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(in crate::store) struct Job {
    /// Ends them as failed; else parks them in the backlog.
    pub(in crate::store) ends: bool,
    /// Milliseconds, event, endpoint: the last due entry that was looked at.
    pub(in crate::store) after: [u8; 20],
    /// Events up to here; later ones know how the webhook stands.
    pub(in crate::store) until: u64,
}

macro_rules! plain {
    ($($write:ident, $read:ident: $form:ty = $table:literal;)*) => {
        $(
            pub(in crate::store) fn $write(value: &$form, out: &mut Vec<u8>) {
                close(value, out);
            }

            pub(in crate::store) fn $read(bytes: &[u8]) -> Result<$form, Error> {
                open($table, bytes)
            }
        )*
    };
}

plain! {
    write_meta, read_meta: Meta = "meta";
    write_named, read_named: Named = "name";
    write_fanout, read_fanout: Fanout = "fanout";
    write_job, read_job: Job = "job";
    write_bytes, read_bytes: Vec<u8> = "meta";
    write_number, read_number: u64 = "number";
}
