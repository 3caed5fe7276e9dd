//! The keys of rows, byte by byte.
//!
//! Keys are big-endian, so that their byte order is the order of what they name, and time comes first where the path of an event
//! writes, so that a batch touches few pages.

use crate::domain::delivery::tally::Hour;
use crate::domain::id::{AttemptKey, DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::time::Timestamp;

pub(in crate::store) type LogKey = [u8; 14];
pub(in crate::store) type DueKey = [u8; 20];
pub(in crate::store) type BacklogKey = [u8; 12];
pub(in crate::store) type TimeKey = [u8; 16];
pub(in crate::store) type IndexKey = [u8; 17];
pub(in crate::store) type AttemptIndexKey = [u8; 27];
pub(in crate::store) type HourKey = [u8; 8];

/// What counts for the statistics of a webhook's hour, as the journal holds it.
pub(in crate::store) type MarkBytes = [u8; 14];

/// Of an index row: its scope and owner.
pub(in crate::store) const OWNER_BYTES: usize = 5;

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

/// The first byte of a row of the index of attempts: that of a webhook's deliveries, or of a tenant's.
pub(in crate::store) const ATTEMPT_SCOPES: std::ops::RangeInclusive<u8> = 1..=2;

/// Whether an index row names an event, not a delivery.
pub(in crate::store) fn is_event_row(row: &IndexKey) -> bool {
    row[0] == *SCOPES.end()
}

pub(in crate::store) fn read_index_key(bytes: &IndexKey) -> DeliveryKey {
    DeliveryKey { event: EventKey(be64(&bytes[5..13])), endpoint: EndpointNo(be32(&bytes[13..])) }
}

/// The row of an attempt in the list of a webhook or of a tenant.
pub(in crate::store) fn attempt_index_key(scope: Scope, attempt: AttemptKey) -> AttemptIndexKey {
    let AttemptKey { started_at, delivery: DeliveryKey { event, endpoint }, number } = attempt;
    let owner = index_key(scope, event, endpoint);
    let mut bytes = [0; 27];
    bytes[..OWNER_BYTES].copy_from_slice(&owner[..OWNER_BYTES]);
    bytes[5..13].copy_from_slice(&started_at.as_micros().to_be_bytes());
    bytes[13..21].copy_from_slice(&event.0.to_be_bytes());
    bytes[21..25].copy_from_slice(&endpoint.0.to_be_bytes());
    bytes[25..].copy_from_slice(&number.to_be_bytes());
    bytes
}

pub(in crate::store) fn read_attempt_index_key(bytes: &AttemptIndexKey) -> AttemptKey {
    AttemptKey {
        started_at: Timestamp::from_micros(be64(&bytes[5..13])),
        delivery: DeliveryKey { event: EventKey(be64(&bytes[13..21])), endpoint: EndpointNo(be32(&bytes[21..25])) },
        number: u16::from_be_bytes([bytes[25], bytes[26]]),
    }
}

fn be64(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |sum, byte| (sum << 8) | u64::from(*byte))
}

fn be32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |sum, byte| (sum << 8) | u32::from(*byte))
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
            let attempt = AttemptKey { started_at: at, delivery: key, number };
            prop_assert_eq!(read_attempt_index_key(&attempt_index_key(Scope::Tenant(TenantNo(7)), attempt)), attempt);
        }

        #[test]
        fn keys_sort_as_what_they_name(a in 0..1_u64 << 50, b in 0..1_u64 << 50, x: u64, y: u64, e: u32, f: u32) {
            let (at, bt) = (Timestamp::from_millis(a), Timestamp::from_millis(b));
            let order = (a, x, e).cmp(&(b, y, f));
            prop_assert_eq!(due_key(at, delivery(x, e)).cmp(&due_key(bt, delivery(y, f))), order);
            prop_assert_eq!(log_key(delivery(x, e), 0).cmp(&log_key(delivery(y, f), 0)), (x, e).cmp(&(y, f)));
            prop_assert_eq!(hour_key(Hour(e), EndpointNo(f)).cmp(&hour_key(Hour(f), EndpointNo(e))), (e, f).cmp(&(f, e)));
            let row = |started_at, event, endpoint| {
                let attempt = AttemptKey { started_at, delivery: delivery(event, endpoint), number: 1 };
                attempt_index_key(Scope::Endpoint(EndpointNo(1)), attempt)
            };
            prop_assert_eq!(row(at, x, e).cmp(&row(bt, y, f)), order);
            prop_assert_eq!(backlog_key(EndpointNo(e), x).cmp(&backlog_key(EndpointNo(f), y)), (e, x).cmp(&(f, y)));
        }
    }
}
