//! The small records whose form is the type itself.

use bincode::{Decode, Encode};

use super::codec::{close, open};
use crate::store::error::Error;

/// The store's version and identity.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(in crate::store) struct Meta {
    pub(in crate::store) store_version: u32,
    pub(in crate::store) node: u64,
}

/// Which run of the service writes the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::store) struct Follows {
    /// A random number, drawn at each start.
    pub(in crate::store) run: u64,
    /// The number of the run before. Its changes may still stand in the file; the tables have all of them.
    pub(in crate::store) before: u64,
    /// Whether the journal may hold changes that the tables do not have. When false, the journal's file need not be there.
    pub(in crate::store) open: bool,
}

/// A row that was found damaged, with its bytes as they were found.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(in crate::store) struct Quarantined {
    pub(in crate::store) table: String,
    pub(in crate::store) key: Vec<u8>,
    pub(in crate::store) value: Vec<u8>,
    pub(in crate::store) why: String,
    /// When the row was found, in microseconds.
    pub(in crate::store) at: u64,
}

/// What was answered to an id or an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::store) struct Named {
    pub(in crate::store) event: u64,
    pub(in crate::store) deliveries: u32,
    pub(in crate::store) content: [u8; 32],
    /// When an idempotency key is forgotten, in milliseconds. An id is forgotten with its event.
    pub(in crate::store) until: u64,
}

/// How far a wide fan-out has come.
#[derive(Clone, Copy, Debug, PartialEq, Encode, Decode)]
pub(in crate::store) struct Fanout {
    /// The last endpoint that was looked at.
    pub(in crate::store) after: u32,
    /// The last endpoint that may get the event. Endpoints made later do not get it.
    pub(in crate::store) until: u32,
    /// How many deliveries were made so far.
    pub(in crate::store) made: u32,
}

macro_rules! plain {
    ($($write:ident, $read:ident: $form:ty = $table:literal;)*) => {
        $(
            pub(in crate::store) fn $write(key: &[u8], value: &$form, out: &mut Vec<u8>) {
                close(key, value, out);
            }

            pub(in crate::store) fn $read(key: &[u8], bytes: &[u8]) -> Result<$form, Error> {
                open($table, key, bytes)
            }
        )*
    };
}

plain! {
    write_meta, read_meta: Meta = "meta";
    write_follows, read_follows: Follows = "state";
    write_quarantined, read_quarantined: Quarantined = "quarantine";
    write_named, read_named: Named = "name";
    write_fanout, read_fanout: Fanout = "fanout";
    write_bytes, read_bytes: Vec<u8> = "meta";
    write_number, read_number: u64 = "number";
}
