//! Reading for answers row by row, each only where there is room for it: a reader that takes its time holds nothing of the store.

use super::snapshot::Snapshot;
use crate::domain::event::Event;
use crate::domain::id::{DeliveryKey, EventKey};
use crate::store::error::intact;
use crate::store::handle::Store;
use crate::store::message::view::Attempt;
use crate::store::record;
use crate::store::record::key::{DELIVERY_ROW, log_key};
use crate::store::{Error, Owned};

/// A row, or how many bytes it takes to read and print it.
#[derive(Debug)]
pub(crate) enum Fit<T> {
    Fits(T),
    Needs(usize),
}

/// Room to read a row into, and how much of it printing makes of one byte of the row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Space {
    pub(crate) room: usize,
    pub(crate) printed: usize,
}

impl Space {
    /// What does not fit is not read.
    fn read<T>(self, row: &[u8], read: impl FnOnce(&[u8]) -> Result<T, Error>) -> Result<Fit<T>, Error> {
        let needed = row.len().saturating_mul(1 + self.printed) + MEMBERS_BYTES;
        if needed > self.room { Ok(Fit::Needs(needed)) } else { read(row).map(Fit::Fits) }
    }
}

impl Store {
    /// The keys of a tenant's events and of those for all tenants of its provider, oldest first, after `after`.
    pub(crate) fn event_keys(&self, owned: &Owned, after: EventKey, limit: usize) -> Result<Vec<EventKey>, Error> {
        let scopes = self.event_scopes(owned);
        let snapshot = Snapshot::of(self, &scopes)?;
        let mut keys = Vec::new();
        for scope in scopes {
            keys.extend(snapshot.event_keys(scope, (after, EventKey::MAX), limit)?);
        }
        keys.sort_unstable();
        keys.dedup();
        keys.truncate(limit);
        Ok(keys)
    }

    /// An event; `None` when it is gone, or damaged.
    pub(crate) fn event(&self, key: EventKey, space: Space) -> Result<Option<Fit<Event>>, Error> {
        let read = |row: &[u8]| space.read(row, |row| Ok(record::read_event(key, self.node(), row)?.event));
        intact(Snapshot::of(self, &[])?.event_row(key, read).transpose())
    }

    /// One attempt of a delivery by its number; `None` when it is gone, or damaged.
    pub(crate) fn attempt(&self, key: DeliveryKey, number: u16, space: Space) -> Result<Option<Fit<Attempt>>, Error> {
        let snapshot = Snapshot::of(self, &[])?;
        let position = log_key(key, number);
        let older = snapshot.log_row(&position, |row| space.read(row, |row| record::read_attempt(&position, row)));
        if let Some(older) = intact(older.transpose())? {
            return Ok(Some(older));
        }
        let newest = |row: &[u8]| Ok(record::read_delivery(key, row)?.1);
        let newest = snapshot.log_row(&log_key(key, DELIVERY_ROW), |row| space.read(row, newest));
        Ok(match intact(newest.transpose())? {
            Some(Fit::Needs(bytes)) => Some(Fit::Needs(bytes)),
            Some(Fit::Fits(newest)) => newest.filter(|newest| newest.number == number).map(Fit::Fits),
            None => None,
        })
    }
}

/// What an answer adds to a row: names of members, numbers, times.
const MEMBERS_BYTES: usize = 4 << 10;
