//! The sum over all entries that bring deliveries back: a start compares it with the counters, and so sees whether one is damaged.

use redb::ReadTransaction;

use crate::domain::delivery::QueuePosition;
use crate::domain::id::{ByEndpoint, DeliveryKey};
use crate::store::error::Error;
use crate::store::record::key::{BacklogKey, DueKey, backlog_key, due_key, read_due_key};
use crate::store::redb::entry_sum;
use crate::store::redb::schema::{self, BACKLOG, DUE};

/// All entries as the tables hold them.
#[derive(Debug, Default)]
pub(in crate::store) struct Waiting {
    pub(in crate::store) sum: u64,
    /// The webhooks that the due table names, with how many entries each.
    pub(in crate::store) due: ByEndpoint<u64>,
}

impl Waiting {
    pub(in crate::store) fn of(txn: &ReadTransaction) -> Result<Self, Error> {
        let mut found = Self::default();
        for row in schema::read(txn, DUE)?.range::<&DueKey>(..)? {
            let row = row?;
            let entry = row.0.value();
            found.sum = found.sum.wrapping_add(entry_sum::of_due(entry));
            *found.due.entry(read_due_key(entry).1.endpoint).or_default() += 1;
        }
        for row in schema::read(txn, BACKLOG)?.range::<&BacklogKey>(..)? {
            let (key, value) = row?;
            found.sum = found.sum.wrapping_add(entry_sum::of_backlog(key.value(), value.value()));
        }
        Ok(found)
    }
}

pub(in crate::store) fn sum_of((key, position): &(DeliveryKey, QueuePosition)) -> u64 {
    match *position {
        QueuePosition::Due(at) => entry_sum::of_due(&due_key(at, *key)),
        QueuePosition::Backlog(number) => entry_sum::of_backlog(&backlog_key(key.endpoint, number), &value(*key, number)),
    }
}

/// The value of a backlog entry: empty where its number is the event's key.
pub(in crate::store) fn value(key: DeliveryKey, number: u64) -> Vec<u8> {
    if number == key.event.0 { Vec::new() } else { key.event.0.to_be_bytes().to_vec() }
}
