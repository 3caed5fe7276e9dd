//! Reading for answers a few rows at a time, only as many as there is room for: whoever takes an answer slowly holds nothing of the
//! store, and no row that has no room.

use std::ops::RangeInclusive;

use super::Reader;
use super::snapshot::Snapshot;
use crate::domain::event::Event;
use crate::domain::id::{DeliveryKey, EventKey};
use crate::store::error::intact;
use crate::store::message::view::{Attempt, Fit, Space};
use crate::store::record;
use crate::store::record::key::{DELIVERY_ROW, log_key};
use crate::store::{Error, Owned};

/// The room that is left for rows that are read one after the other.
pub(super) struct Left(Space);

impl Left {
    pub(super) fn of(space: Space) -> Self {
        Self(space)
    }

    /// Reads a row, and takes its room. A row that has no room is not read.
    fn read<T>(&mut self, row: &[u8], read: impl FnOnce(&[u8]) -> Result<T, Error>) -> Result<Fit<T>, Error> {
        let needed = row.len().saturating_mul(1 + self.0.printed) + MEMBERS_BYTES;
        let Some(left) = self.0.room.checked_sub(needed) else { return Ok(Fit::Needs(needed)) };
        let read = read(row)?;
        self.0.room = left;
        Ok(Fit::Fits(read))
    }

    /// Looks for each key, until a row has no room. `Needs` when that is the first row.
    pub(super) fn fill<K, T>(
        mut self,
        keys: impl IntoIterator<Item = K>,
        look: impl Fn(&mut Self, K) -> Result<Option<Fit<T>>, Error>,
    ) -> Result<Fit<Vec<Option<T>>>, Error> {
        let mut found = Vec::new();
        for key in keys {
            match look(&mut self, key)? {
                Some(Fit::Fits(row)) => found.push(Some(row)),
                None => found.push(None),
                Some(Fit::Needs(bytes)) if found.is_empty() => return Ok(Fit::Needs(bytes)),
                Some(Fit::Needs(_)) => break,
            }
        }
        Ok(Fit::Fits(found))
    }
}

impl Reader {
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

    /// The first events with these keys, in their order, as many as there is room for. `None` for an event that is gone, or damaged.
    pub(crate) fn events(&self, keys: &[EventKey], space: Space) -> Result<Fit<Vec<Option<Event>>>, Error> {
        let snapshot = Snapshot::of(self, &[])?;
        Left(space).fill(keys, |left, key| {
            let read = |row: &[u8]| left.read(row, |row| Ok(record::read_event(*key, self.shared.node, row)?.event));
            intact(snapshot.event_row(*key, read).transpose())
        })
    }

    /// The first attempts of a delivery with these numbers, as many as there is room for. `None` for an attempt that is gone, or
    /// damaged.
    pub(crate) fn attempts(
        &self,
        key: DeliveryKey,
        numbers: RangeInclusive<u16>,
        space: Space,
    ) -> Result<Fit<Vec<Option<Attempt>>>, Error> {
        let snapshot = Snapshot::of(self, &[])?;
        Left(space).fill(numbers, |left, number| snapshot.attempt(key, number, left))
    }
}

impl Snapshot<'_> {
    /// An attempt before the newest has a row of its own, and the newest is in the delivery's row.
    pub(super) fn attempt(&self, key: DeliveryKey, number: u16, left: &mut Left) -> Result<Option<Fit<Attempt>>, Error> {
        let position = log_key(key, number);
        let older = self.log_row(&position, |row| left.read(row, |row| record::read_attempt(&position, row)));
        if let Some(older) = intact(older.transpose())? {
            return Ok(Some(older));
        }
        let newest = |row: &[u8]| Ok(record::read_delivery(key, row)?.1);
        let newest = self.log_row(&log_key(key, DELIVERY_ROW), |row| left.read(row, newest));
        Ok(match intact(newest.transpose())? {
            Some(Fit::Needs(bytes)) => Some(Fit::Needs(bytes)),
            Some(Fit::Fits(newest)) => newest.filter(|newest| newest.number == number).map(Fit::Fits),
            None => None,
        })
    }
}

/// The bytes that an answer adds to a row: names of members, numbers, times.
const MEMBERS_BYTES: usize = 1 << 10;
