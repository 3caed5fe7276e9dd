//! The rows of the audit log, and where their chain begins and ends.

use bincode::{BorrowDecode, Decode, Encode};
use sha2::{Digest, Sha256};

use super::codec::{close, coded, open, unknown};
use crate::domain::id::AuditKey;
use crate::domain::time::Timestamp;
use crate::store::Owned;
use crate::store::error::Error;
use crate::store::message::audit::{Actor, ActorKind, Hash, Object, ObjectKind, Origin, Row};

#[derive(Encode, BorrowDecode)]
struct RowForm<'a> {
    previous: Hash,
    at: u64,
    actor_kind: u8,
    actor_id: &'a str,
    actor_name: &'a str,
    address: &'a str,
    call: &'a str,
    object_kind: u8,
    object_id: &'a str,
    object_name: &'a str,
    owner: Option<(&'a str, &'a str)>,
    before: Option<&'a str>,
    after: Option<&'a str>,
}

/// Where the chain of the audit log begins and ends. All zeros as long as the log has had no row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(in crate::store) struct Chain {
    /// The hash of the row before the oldest that is kept. Zeros while none was removed.
    pub(in crate::store) anchor: Hash,
    /// The hash of the newest row.
    pub(in crate::store) head: Hash,
    /// The key of the newest row. It is kept when that row is removed, so that no key is given twice.
    pub(in crate::store) newest: u64,
    /// The bytes of all rows with their keys.
    pub(in crate::store) bytes: u64,
}

impl Chain {
    /// The chain with one more row behind all others.
    pub(in crate::store) fn with(self, key: AuditKey, record: &[u8]) -> Self {
        Self { head: audit_hash(key, record), newest: key.0, bytes: self.bytes + row_bytes(record), ..self }
    }

    /// The chain without its oldest row.
    pub(in crate::store) fn without(self, key: AuditKey, record: &[u8]) -> Self {
        Self { anchor: audit_hash(key, record), bytes: self.bytes.saturating_sub(row_bytes(record)), ..self }
    }
}

fn row_bytes(record: &[u8]) -> u64 {
    (size_of::<u64>() + record.len()) as u64
}

pub(in crate::store) fn write_audit(row: &Row, out: &mut Vec<u8>) {
    let Row { key, at, origin: Origin { actor, address, call }, object, before, after, previous } = row;
    let form = RowForm {
        previous: *previous,
        at: at.as_micros(),
        actor_kind: actor_kind_code(actor.kind),
        actor_id: &actor.id,
        actor_name: &actor.name,
        address,
        call,
        object_kind: object_kind_code(object.kind),
        object_id: &object.id,
        object_name: &object.name,
        owner: object.owner.as_ref().map(|Owned { provider, tenant }| (&**provider, &**tenant)),
        before: before.as_deref(),
        after: after.as_deref(),
    };
    close(&key.0.to_be_bytes(), &form, out);
}

pub(in crate::store) fn read_audit(key: AuditKey, bytes: &[u8]) -> Result<Row, Error> {
    let form: RowForm<'_> = open("audit", &key.0.to_be_bytes(), bytes)?;
    let owner = form.owner.map(|(provider, tenant)| Owned { provider: provider.into(), tenant: tenant.into() });
    Ok(Row {
        key,
        at: Timestamp::from_micros(form.at),
        origin: Origin {
            actor: Actor { kind: actor_kind(form.actor_kind)?, id: form.actor_id.into(), name: form.actor_name.into() },
            address: form.address.into(),
            call: form.call.into(),
        },
        object: Object { kind: object_kind(form.object_kind)?, id: form.object_id.into(), name: form.object_name.into(), owner },
        before: form.before.map(Into::into),
        after: form.after.map(Into::into),
        previous: form.previous,
    })
}

/// The hash by which the next row names this one: over its key and its whole record, as they stand on disk.
pub(in crate::store) fn audit_hash(key: AuditKey, record: &[u8]) -> Hash {
    Sha256::new().chain_update(key.0.to_be_bytes()).chain_update(record).finalize().into()
}

pub(in crate::store) fn write_chain(key: &[u8], chain: &Chain, out: &mut Vec<u8>) {
    close(key, chain, out);
}

pub(in crate::store) fn read_chain(key: &[u8], bytes: &[u8]) -> Result<Chain, Error> {
    open("state", key, bytes)
}

coded!(actor_kind_code, actor_kind: ActorKind in "audit" { 0 = Key, 1 = Socket, 2 = File });

coded!(object_kind_code, object_kind: ObjectKind in "audit" {
    0 = Webhook, 1 = Delivery, 2 = Key, 3 = Tenant, 4 = EventType, 5 = Config, 6 = Clock, 7 = Backup, 8 = Provider, 9 = Replay, 10 = Event,
    11 = History,
});
