//! Events with all that became of them, oldest first, a piece at a time: each piece in a snapshot of its own.
//!
//! A walk begins when the tables hold all that was answered before, and ends with the newest event of that moment. So it takes events
//! from the tables, and what the journal has by now of their deliveries beside them.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use super::Snapshot;
use crate::domain::delivery::Delivery;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::store::error::intact;
use crate::store::message::history::{Named, Piece, Row};
use crate::store::message::view::{Attempt, Owners};
use crate::store::record::key::{DELIVERY_ROW, LogKey, log_key, read_log_key};
use crate::store::record::{self, StoredEvent};
use crate::store::redb::apply::publish::{NameOf, event_name};
use crate::store::redb::read::Reader;
use crate::store::redb::schema::{self, EVENT, LOG};
use crate::store::{Error, OPERATOR_PROVIDER, Owned};

impl Reader {
    /// The newest event that the tables hold.
    pub(crate) fn newest_event(&self) -> Result<EventKey, Error> {
        let snapshot = Snapshot::of(self, &[])?;
        let newest = schema::read(snapshot.txn(), EVENT)?.range::<u64>(..)?.next_back().transpose()?;
        Ok(newest.map_or(EventKey::MIN, |(key, _)| EventKey(key.value())))
    }

    /// The history behind `after`, of events up to `until`, until it has about `bytes`.
    pub(crate) fn history(&self, after: DeliveryKey, until: EventKey, bytes: usize) -> Result<Piece, Error> {
        let snapshot = Snapshot::of(self, &[])?;
        let mut walk = Walk { waiting: snapshot.unflushed_deliveries(), snapshot: &snapshot, bytes, piece: Piece::default() };
        walk.go(after, until)?;
        Ok(walk.piece)
    }
}

/// A walk over one piece.
struct Walk<'a> {
    snapshot: &'a Snapshot<'a>,
    /// Deliveries with a row that the journal has, and perhaps no table.
    waiting: BTreeSet<DeliveryKey>,
    /// What may still be added.
    bytes: usize,
    piece: Piece,
}

impl Walk<'_> {
    fn go(&mut self, after: DeliveryKey, until: EventKey) -> Result<(), Error> {
        if after.event > EventKey::MIN && !self.deliveries(after)? {
            return Ok(());
        }
        let behind = (Bound::Excluded(after.event.0), Bound::Included(until.0));
        if after.event >= until {
            return Ok(());
        }
        for row in schema::read(self.snapshot.txn(), EVENT)?.range::<u64>(behind)? {
            let event = DeliveryKey { event: EventKey(row?.0.value()), endpoint: EndpointNo(0) };
            self.event(event.event)?;
            if !self.goes_on(event) || !self.deliveries(event)? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn event(&mut self, key: EventKey) -> Result<(), Error> {
        let Some(StoredEvent { event, deliveries, .. }) = intact(self.snapshot.event(key).transpose())? else { return Ok(()) };
        if *event.provider == *OPERATOR_PROVIDER {
            return Ok(());
        }
        let content = self.snapshot.content_of(&event)?;
        self.took(event.bytes());
        self.piece.rows.push(Row::Event { event: Box::new(event), content, deliveries });
        Ok(())
    }

    /// The deliveries of one event behind `after`. False: there is no room for more.
    fn deliveries(&mut self, after: DeliveryKey) -> Result<bool, Error> {
        let Some(stored) = intact(self.snapshot.event(after.event).transpose())? else { return Ok(true) };
        if *stored.event.provider == *OPERATOR_PROVIDER {
            return Ok(true);
        }
        let keys = self.keys_of(&stored)?;
        let event = &stored.event;
        let named = Named { provider: event.provider.clone(), tenant: event.tenant.clone(), id: event.id.clone() };
        let named = Arc::new(named);
        for key in keys.range((Bound::Excluded(after), Bound::Unbounded)) {
            self.delivery(*key, &named)?;
            if !self.goes_on(*key) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The deliveries of an event: those with a row, and where there are fewer than the event counts those that wait as published.
    fn keys_of(&self, stored: &StoredEvent) -> Result<BTreeSet<DeliveryKey>, Error> {
        let event = stored.event.key;
        let of = |endpoint| DeliveryKey { event, endpoint: EndpointNo(endpoint) };
        let (first, last) = (log_key(of(0), 0), log_key(of(u32::MAX), u16::MAX));
        let mut keys: BTreeSet<DeliveryKey> = self.waiting.range(of(0)..=of(u32::MAX)).copied().collect();
        for row in schema::read(self.snapshot.txn(), LOG)?.range::<&LogKey>(&first..=&last)? {
            let (key, number) = read_log_key(row?.0.value());
            keys.extend((number == DELIVERY_ROW).then_some(key));
        }
        let known = u32::try_from(keys.len()).unwrap_or(u32::MAX).saturating_add(stored.removed);
        if known < stored.deliveries {
            keys.extend(self.snapshot.as_published(stored)?);
        }
        Ok(keys)
    }

    fn delivery(&mut self, key: DeliveryKey, event: &Arc<Named>) -> Result<(), Error> {
        let endpoint = self.snapshot.webhook(key.endpoint)?.filter(|endpoint| !endpoint.is_deleted());
        let (Some(endpoint), Some((delivery, newest))) = (endpoint, self.snapshot.delivery_with_newest(key)?) else {
            return Ok(());
        };
        let attempts = self.snapshot.attempts_in_order(&delivery, newest)?;
        self.took(ROW_BYTES + attempts.iter().map(bytes_of).sum::<usize>());
        self.piece.rows.push(Row::Delivery { delivery: Box::new(delivery), event: event.clone(), endpoint, attempts });
        Ok(())
    }

    fn took(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// Whether there is room for more behind a row. Where there is none the piece ends with it.
    fn goes_on(&mut self, last: DeliveryKey) -> bool {
        if self.bytes == 0 {
            self.piece.next = Some(last);
        }
        self.bytes > 0
    }
}

impl Snapshot<'_> {
    /// What makes two publications of an event's id the same.
    fn content_of(&self, event: &crate::domain::event::Event) -> Result<[u8; 32], Error> {
        let (provider, tenant) = (&event.provider, event.tenant.as_deref());
        let of_uid = event.uid.as_ref().map(|uid| event_name(NameOf::Uid, provider, uid.as_str(), tenant));
        for name in of_uid.into_iter().chain([event_name(NameOf::Id, provider, &event.id, tenant)]) {
            if let Some(named) = intact(self.named_row(&name).transpose())? {
                return Ok(named.content);
            }
        }
        Ok([0; 32])
    }

    fn delivery_with_newest(&self, key: DeliveryKey) -> Result<Option<(Delivery, Option<Attempt>)>, Error> {
        match self.row(key)? {
            Some(found) => Ok(Some(found)),
            None => Ok(self.delivery(key)?.map(|delivery| (delivery, None))),
        }
    }

    /// The attempts of a delivery as far as each is numbered behind the one before.
    fn attempts_in_order(&self, delivery: &Delivery, newest: Option<Attempt>) -> Result<Vec<Attempt>, Error> {
        let mut found = Vec::new();
        for number in 1..delivery.attempts {
            let place = log_key(delivery.key, number);
            found.extend(intact(self.log_row(&place, |row| record::read_attempt(&place, row)).transpose())?);
        }
        found.extend(newest);
        Ok(found)
    }

    /// The deliveries of an event that wait without a row, as they do until their first attempt has ended.
    fn as_published(&self, stored: &StoredEvent) -> Result<Vec<DeliveryKey>, Error> {
        let event = &stored.event;
        let numbers: Vec<EndpointNo> = {
            let registry = self.shared().registry();
            let provider = || Box::<str>::from(&*event.provider);
            let owners = match &event.tenant {
                Some(tenant) => Owners::Tenant(Owned { provider: provider(), tenant: tenant.clone() }),
                None => Owners::Provider(provider()),
            };
            registry.of(&owners, EndpointNo(0)).map(|entry| entry.endpoint.no).collect()
        };
        let keys = numbers.into_iter().map(|endpoint| DeliveryKey { event: event.key, endpoint });
        let mut found = Vec::new();
        for key in keys {
            if self.row(key)?.is_none() && self.delivery(key)?.is_some() {
                found.push(key);
            }
        }
        Ok(found)
    }
}

/// About how many bytes of memory an attempt takes.
fn bytes_of(attempt: &Attempt) -> usize {
    let response = attempt.outcome.bytes();
    let headers: usize = attempt.request_headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    ROW_BYTES + response + headers
}

/// What a row takes besides its texts.
const ROW_BYTES: usize = 512;
