//! What people ask for, inside the writer: retry, recover, test.

use tokio::sync::oneshot;

use crate::domain::delivery::{Delivery, QueuePosition};
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::domain::time::Timestamp;
use crate::store::error::Error;
use crate::store::message::audit::shown::Done;
use crate::store::message::audit::{Origin, shown};
use crate::store::message::command::{Asked, Lane, Recovered, TestRun};
use crate::store::message::permit::QueuePermit;
use crate::store::message::publication::Publication;
use crate::store::redb::batch::Batch;
use crate::store::rules::resend::{self, Missed, Restarted};
use crate::store::shared::index_tail::Entry as IndexEntry;
use crate::store::shared::registry::Entry;
use crate::store::{Attempt, Denied};

impl Batch<'_, '_> {
    /// Runs an ended delivery again, or makes a pending one due now.
    pub(in crate::store) fn retry(&mut self, key: DeliveryKey, by: &Origin) -> Result<Result<(), Denied>, Error> {
        let Some(entry) = self.entry_or_tombstone(key.endpoint)? else { return Ok(Err(Denied::NoDelivery)) };
        let Some((delivery, newest)) = self.delivery(key)? else { return Ok(Err(Denied::NoDelivery)) };
        let was = delivery.state;
        let restarted = match resend::retry(delivery, &entry.endpoint, self.is_purged(key), self.now) {
            Ok(Some(restarted)) => restarted,
            Ok(None) => return Ok(Ok(())),
            Err(denied) => return Ok(Err(denied)),
        };
        if restarted.delivery.is_test() {
            self.memory.tests.entry(key).or_default();
        }
        let id = self.shared.node.delivery_id(key);
        self.audit(by, Some(shown::delivery(id, &entry.endpoint, was, Done::SentAgain)))?;
        self.restart(&entry, restarted, newest.as_ref(), Lane::Manual).map(Ok)
    }

    /// Brings back many deliveries of one webhook, through its queue like all others.
    pub(in crate::store) fn recover(
        &mut self,
        no: EndpointNo,
        found: &[Recovered],
        asked: Option<&Asked>,
    ) -> Result<Result<u64, Denied>, Error> {
        let Some(entry) = self.entry(no) else { return Ok(Err(Denied::NoWebhook)) };
        if let Err(denied) = resend::recover(&entry.endpoint, self.memory.purges.contains_key(&no)) {
            return Ok(Err(denied));
        }
        if let Some(asked) = asked {
            self.audit(&asked.by, Some(shown::recover(&entry.endpoint, asked)))?;
        }
        let mut brought = 0;
        for one in found {
            brought += u64::from(self.recover_one(&entry, *one)?);
        }
        Ok(Ok(brought))
    }

    /// Commits a test event with its one delivery and queues it, also for a disabled webhook.
    pub(in crate::store) fn test(&mut self, no: EndpointNo, publication: Publication) -> Result<Result<TestRun, Denied>, Error> {
        let Some(entry) = self.entry(no) else { return Ok(Err(Denied::NoWebhook)) };
        if let Err(denied) = resend::test(&entry.endpoint) {
            return Ok(Err(denied));
        }
        let event = self.next_key();
        self.store_event(publication, event, 1)?;
        let key = DeliveryKey { event, endpoint: no };
        let delivery = Delivery::test(key, key.event.time());
        self.put_due(key, key.event.time());
        self.write_row(&delivery, None)?;
        self.changed_of(entry.endpoint.clone(), &delivery, None, None);
        self.memory.counters.pending += 1;
        self.list(key, &entry);
        let (done, waits) = oneshot::channel();
        self.memory.tests.insert(key, Some(done));
        let permit = QueuePermit::acquire_beyond(&self.shared.queue_budget, &entry.live);
        self.ready(key, QueuePosition::Due(key.event.time()), Lane::Manual, permit);
        Ok(Ok(TestRun { key, done: waits }))
    }

    /// Moves a delivery's one entry to now, or gives it one.
    pub(in crate::store) fn restart(
        &mut self,
        entry: &Entry,
        restarted: Restarted,
        newest: Option<&Attempt>,
        lane: Lane,
    ) -> Result<(), Error> {
        let Restarted { taken, delivery, at, joins_pending } = restarted;
        if let Some(position) = taken {
            self.take_entry(delivery.key, position)?;
        }
        self.memory.counters.pending += u64::from(joins_pending);
        let delivery = self.permit_or_park(entry, delivery, at, lane)?;
        self.changed_of(entry.endpoint.clone(), &delivery, newest.and_then(|newest| newest.error), None);
        self.write_row(&delivery, newest)
    }

    fn recover_one(&mut self, entry: &Entry, one: Recovered) -> Result<bool, Error> {
        match one {
            Recovered::Failed(key) => self.recover_failed(entry, key),
            Recovered::Missed(event) => self.recover_missed(entry, DeliveryKey { event, endpoint: entry.endpoint.no }),
        }
    }

    fn recover_failed(&mut self, entry: &Entry, key: DeliveryKey) -> Result<bool, Error> {
        let Some((delivery, newest)) = self.row(key)? else { return Ok(false) };
        let Some(restarted) = resend::recover_failed(delivery, self.now) else { return Ok(false) };
        self.restart(entry, restarted, newest.as_ref(), Lane::Due)?;
        Ok(true)
    }

    fn recover_missed(&mut self, entry: &Entry, key: DeliveryKey) -> Result<bool, Error> {
        let missed = Missed {
            is_fanning: self.is_fanning(key.event),
            has_delivery: self.delivery(key)?.is_some(),
            has_event: self.event(key.event)?.is_some(),
        };
        let Some(restarted) = resend::recover_missed(key, missed, self.now) else { return Ok(false) };
        self.index(IndexEntry::delivery(key, entry.endpoint.tenant_no))?;
        self.restart(entry, restarted, None, Lane::Due)?;
        Ok(true)
    }

    /// Puts a delivery that is due `at` into its webhook's queue where that has room and it is the delivery's turn, else into the
    /// backlog. A test has its turn at any time.
    fn permit_or_park(&mut self, entry: &Entry, delivery: Delivery, at: Timestamp, lane: Lane) -> Result<Delivery, Error> {
        if !self.memory.order.has_turn(delivery.key) && !delivery.is_test() {
            return self.park(delivery);
        }
        match QueuePermit::acquire(&self.shared.queue_budget, &entry.live) {
            Some(permit) => {
                self.put_due(delivery.key, at);
                self.ready(delivery.key, QueuePosition::Due(at), lane, permit);
                Ok(delivery)
            }
            None => self.park(delivery),
        }
    }
}
