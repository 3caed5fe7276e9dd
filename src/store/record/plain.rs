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

/// Which run of the service writes the journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub(in crate::store) struct Follows {
    /// Drawn at each start.
    pub(in crate::store) run: u64,
    /// The run before it, whose changes may still stand in the file; the tables have all of them.
    pub(in crate::store) before: u64,
    /// Whether the journal may hold what the tables do not; `false`: they have all, and it need not be there.
    pub(in crate::store) open: bool,
}

/// A row that was found damaged, as it stood.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub(in crate::store) struct Quarantined {
    pub(in crate::store) table: String,
    pub(in crate::store) key: Vec<u8>,
    pub(in crate::store) value: Vec<u8>,
    pub(in crate::store) why: String,
    /// Microseconds, when it was found.
    pub(in crate::store) at: u64,
}

/// What was answered for an id or an idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
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
