//! What people ask for, inside the writer: retry, recover, test.

use std::sync::Arc;

use tokio::sync::oneshot;

use crate::domain::delivery::{Delivery, QueuePosition, State};
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::domain::webhook::endpoint::{Endpoint, WebhookState};
use crate::store::Denied;
use crate::store::error::Error;
use crate::store::message::command::{Lane, Recovered, TestRun};
use crate::store::message::permit::QueuePermit;
use crate::store::message::publication::Publication;
use crate::store::redb::batch::Batch;
use crate::store::shared::index_tail::Entry as IndexEntry;
use crate::store::shared::registry::Entry;

impl Batch<'_, '_> {
    /// Runs an ended delivery again, or makes a pending one due now.
    pub(in crate::store) fn retry(&mut self, key: DeliveryKey) -> Result<Result<(), Denied>, Error> {
        let Some(entry) = self.entry_or_tombstone(key.endpoint)? else { return Ok(Err(Denied::NoDelivery)) };
        let Some((delivery, newest)) = self.delivery(key)? else { return Ok(Err(Denied::NoDelivery)) };
        if let Err(denied) = runnable(&entry.endpoint) {
            return Ok(Err(denied));
        }
        if self.is_purged(key) {
            return Ok(Err(Denied::BeingPurged));
        }
        if !self.waits_for_later(&delivery) {
            return Ok(Ok(()));
        }
        let delivery = self.restart(delivery)?;
        if delivery.is_test() {
            self.memory.tests.entry(key).or_default();
        }
        let delivery = self.permit_or_park(&entry, delivery, Lane::Manual)?;
        self.write_row(&delivery, newest.as_ref())?;
        Ok(Ok(()))
    }

    /// Brings back many deliveries of one webhook, through its queue like all others.
    pub(in crate::store) fn recover(&mut self, no: EndpointNo, found: &[Recovered]) -> Result<Result<u64, Denied>, Error> {
        let Some(entry) = self.entry(no) else { return Ok(Err(Denied::NoWebhook)) };
        if let Err(denied) = runnable(&entry.endpoint) {
            return Ok(Err(denied));
        }
        if self.memory.purges.contains_key(&no) {
            return Ok(Err(Denied::BeingPurged));
        }
        let mut brought = 0;
        for one in found {
            brought += u64::from(self.recover_one(&entry, *one)?);
        }
        Ok(Ok(brought))
    }

    /// Commits a test event with its one delivery and queues it, also for a disabled webhook.
    pub(in crate::store) fn test(&mut self, no: EndpointNo, publication: Publication) -> Result<Result<TestRun, Denied>, Error> {
        let Some(entry) = self.entry(no).filter(|entry| !entry.endpoint.is_deleted()) else {
            return Ok(Err(Denied::NoWebhook));
        };
        if entry.endpoint.is_removed() {
            return Ok(Err(Denied::Removed));
        }
        let event = self.next_key();
        self.store_event(publication, event, 1)?;
        let key = DeliveryKey { event, endpoint: no };
        let delivery = Delivery::test(key, key.event.time());
        self.put_due(key, key.event.time());
        self.write_row(&delivery, None)?;
        self.memory.counters.pending += 1;
        self.after.index.push(IndexEntry::delivery(key, entry.endpoint.tenant_no));
        let (done, waits) = oneshot::channel();
        self.memory.tests.insert(key, Some(done));
        let permit = QueuePermit::acquire_beyond(&self.shared.queue_budget, &entry.live);
        self.ready(key, QueuePosition::Due(key.event.time()), Lane::Manual, permit);
        Ok(Ok(TestRun { key, done: waits }))
    }

    /// False for what is due already: asking again changes nothing.
    fn waits_for_later(&self, delivery: &Delivery) -> bool {
        match delivery.state {
            State::Pending(QueuePosition::Due(at)) => at > self.now,
            State::Pending(QueuePosition::Backlog(_)) => false,
            _ => true,
        }
    }

    /// Moves the delivery's one entry, or gives it one, to now.
    fn restart(&mut self, delivery: Delivery) -> Result<Delivery, Error> {
        match delivery.state {
            State::Pending(position) => {
                self.take_entry(delivery.key, position)?;
            }
            _ => self.memory.counters.pending += 1,
        }
        let now = crate::domain::time::Timestamp::from_millis(self.now.as_millis());
        self.put_due(delivery.key, now);
        Ok(delivery.retried_by_hand(now))
    }

    fn recover_one(&mut self, entry: &Entry, one: Recovered) -> Result<bool, Error> {
        match one {
            Recovered::Failed(key) => self.recover_failed(entry, key),
            Recovered::Missed(event) => self.recover_missed(entry, DeliveryKey { event, endpoint: entry.endpoint.no }),
        }
    }

    fn recover_failed(&mut self, entry: &Entry, key: DeliveryKey) -> Result<bool, Error> {
        let Some((delivery, newest)) = self.row(key)? else { return Ok(false) };
        if !delivery.is_recoverable() {
            return Ok(false);
        }
        let restarted = self.restart(delivery)?;
        let restarted = self.permit_or_park(entry, restarted, Lane::Due)?;
        self.write_row(&restarted, newest.as_ref())?;
        Ok(true)
    }

    fn recover_missed(&mut self, entry: &Entry, key: DeliveryKey) -> Result<bool, Error> {
        if self.is_fanning(key.event) || self.delivery(key)?.is_some() || self.event(key.event)?.is_none() {
            return Ok(false);
        }
        let now = crate::domain::time::Timestamp::from_millis(self.now.as_millis());
        let mut delivery = Delivery::published(key, QueuePosition::Due(now)).retried_by_hand(now);
        delivery.run.cause = crate::domain::delivery::Cause::Manual;
        delivery.recovered = true;
        self.put_due(key, now);
        self.memory.counters.pending += 1;
        self.index(IndexEntry::delivery(key, entry.endpoint.tenant_no))?;
        let placed = self.permit_or_park(entry, delivery, Lane::Due)?;
        self.write_row(&placed, None)?;
        Ok(true)
    }

    /// Many at once wait like all others: in a permit, else in the backlog.
    fn permit_or_park(&mut self, entry: &Entry, delivery: Delivery, lane: Lane) -> Result<Delivery, Error> {
        let State::Pending(position) = delivery.state else { return Ok(delivery) };
        match QueuePermit::acquire(&self.shared.queue_budget, &entry.live) {
            Some(permit) => {
                self.ready(delivery.key, position, lane, permit);
                Ok(delivery)
            }
            None => {
                self.take_entry(delivery.key, position)?;
                self.park(delivery)
            }
        }
    }
}

fn runnable(endpoint: &Arc<Endpoint>) -> Result<(), Denied> {
    match endpoint.standing {
        WebhookState::Active => Ok(()),
        WebhookState::Disabled { .. } => Err(Denied::Disabled),
        WebhookState::Removed { .. } => Err(Denied::Removed),
        WebhookState::Deleted { .. } => Err(Denied::Deleted),
    }
}
