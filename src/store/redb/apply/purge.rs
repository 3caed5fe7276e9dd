//! Ending by hand what waits: one delivery at once, all of a webhook by a [job](crate::store::redb::background::resolve).
//!
//! Whatever an attempt under way comes to is logged. A success counts: the delivery succeeded after all. A failure changes nothing:
//! it is cancelled and not tried again.
//!
//! A purge takes the deliveries of events up to the moment of its call. From then on none of them starts: those in queues are dropped,
//! neither the wheel nor the backlog gives out another, and none is brought back by hand until the job has gone through all, also
//! after a restart. A test is left to its one attempt, for which somebody waits.

use tracing::info;

use crate::domain::delivery::{Delivery, End, QueuePosition};
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::store::error::Error;
use crate::store::message::audit::shown::Done;
use crate::store::message::audit::{Origin, shown};
use crate::store::message::command::{Dropped, Purge};
use crate::store::record::Job;
use crate::store::record::key::due_key;
use crate::store::redb::batch::Batch;
use crate::store::rules::resend::{self, Stopped};
use crate::store::rules::waiting;
use crate::store::{Attempt, Denied};

impl Batch<'_, '_> {
    /// Ends a delivery that waits, as cancelled.
    pub(in crate::store) fn cancel(&mut self, key: DeliveryKey, by: &Origin) -> Result<Result<(), Denied>, Error> {
        let Some((delivery, newest)) = self.delivery(key)? else { return Ok(Err(Denied::NoDelivery)) };
        let was = delivery.state;
        match resend::cancel(delivery, self.now) {
            Ok(stopped) => {
                if let Some(entry) = self.entry_or_tombstone(key.endpoint)? {
                    let id = self.shared.node.delivery_id(key);
                    self.audit(by, Some(shown::delivery(id, &entry.endpoint, was, Done::Cancelled)))?;
                }
                self.after.committed.dropped.push(Dropped::one(key));
                self.stop(stopped, newest.as_ref()).map(Ok)
            }
            Err(denied) => Ok(Err(denied)),
        }
    }

    /// Begins to end what waits for a webhook, as cancelled: its pending deliveries while it is active, else its held ones.
    pub(in crate::store) fn purge(&mut self, no: EndpointNo, purge: Purge, by: &Origin) -> Result<Result<(), Denied>, Error> {
        let Some(entry) = self.entry(no) else { return Ok(Err(Denied::NoWebhook)) };
        let purged = match resend::purge(&entry.endpoint, &purge, self.newest_key()) {
            Ok(purged) => purged,
            Err(denied) => return Ok(Err(denied)),
        };
        self.audit(by, Some(shown::purge(&entry.endpoint, &purge)))?;
        self.start_job(no, Job { purged: purged.0, ..Job::default() })?;
        let dropped = Dropped::up_to(no, purged);
        self.after.committed.ready.retain(|ready| ready.is_test || !dropped.covers(ready.key));
        self.after.committed.dropped.push(dropped);
        Ok(Ok(()))
    }

    /// Whether a purge is to end this delivery, unless it is a test.
    pub(in crate::store) fn is_purged(&self, key: DeliveryKey) -> bool {
        waiting::is_purged(key.event, self.memory.purges.get(&key.endpoint).copied())
    }

    /// Ends a pending delivery without an attempt, wherever it waits.
    pub(in crate::store) fn end_waiting(&mut self, delivery: Delivery, newest: Option<&Attempt>, end: End) -> Result<(), Error> {
        self.stop(resend::stopped(delivery, end, self.now), newest)
    }

    fn stop(&mut self, Stopped { taken, delivery }: Stopped, newest: Option<&Attempt>) -> Result<(), Error> {
        if let Some(position) = taken {
            self.take_entry(delivery.key, position)?;
        }
        if let Some(QueuePosition::Due(at)) = taken {
            self.disarm(delivery.key, at);
        }
        self.write_row(&delivery, newest)?;
        self.tables.unsent()?.insert(&due_key(self.now, delivery.key), ())?;
        self.changed(&delivery, newest.and_then(|newest| newest.error), None)?;
        self.finished(&delivery)
    }

    /// What is left of a purge when its job has gone through all.
    pub(in crate::store) fn end_purge(&mut self, endpoint: EndpointNo, cancelled: u64) {
        self.memory.purges.remove(&endpoint);
        if self.memory.backlogs.contains_key(&endpoint) {
            // Nothing was read of it meanwhile.
            self.announce_backlog(endpoint);
        }
        if let Some(entry) = self.entry(endpoint) {
            let (webhook, name) = (entry.endpoint.id.clone(), entry.endpoint.definition.name.clone());
            self.answer(move || info!(%webhook, %name, count = cancelled, "what waited for a webhook was cancelled"));
        }
    }
}
