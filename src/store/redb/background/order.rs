//! Releasing the deliveries of ordered webhooks, one after the other: see [`Order`](crate::store::writer::order::Order).
//!
//! While a job or a purge goes through a webhook's deliveries none of them is released. So what the job parks was not released
//! meanwhile, and the first in the backlog is the first of all.

use crate::domain::delivery::QueuePosition;
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::store::error::Error;
use crate::store::message::command::{Dropped, Lane, Ready};
use crate::store::message::permit::QueuePermit;
use crate::store::record::{Job, Task};
use crate::store::redb::batch::Batch;
use crate::store::shared::registry::Entry;

impl Batch<'_, '_> {
    /// Releases what may start next of the webhooks that this batch changed something of, or of a slice of them.
    pub(in crate::store) fn release_in_order(&mut self) -> Result<(), Error> {
        for _ in 0..SLICE {
            let Some(no) = self.memory.order.take_open() else { break };
            self.release_next(no)?;
        }
        Ok(())
    }

    fn release_next(&mut self, no: EndpointNo) -> Result<(), Error> {
        let Some(after) = self.memory.order.next_after(no) else { return Ok(()) };
        let Some(entry) = self.entry(no).filter(|entry| entry.endpoint.is_active()) else { return Ok(()) };
        if self.memory.jobs.iter().any(|running| running.endpoint == no) {
            // It is looked at again when the job has ended.
            return Ok(());
        }
        let Some((number, key)) = self.backlog_past(no, after, 1)?.pop() else { return Ok(()) };
        if self.awaits_older_fanout(key) {
            self.memory.order.await_fanout(no);
            return Ok(());
        }
        self.release(&entry, key, number)
    }

    /// Whether an event that was published before this one has still to reach the webhook.
    fn awaits_older_fanout(&self, key: DeliveryKey) -> bool {
        let no = key.endpoint.0;
        let mut older = self.memory.fanouts.iter().filter(|fanout| fanout.event < key.event);
        older.any(|fanout| fanout.cursor.after < no && no <= fanout.cursor.until)
    }

    fn release(&mut self, entry: &Entry, key: DeliveryKey, number: u64) -> Result<(), Error> {
        let doubted = self.memory.backlogs.get(&key.endpoint).map_or(0, |cursor| cursor.doubted);
        // A webhook has one delivery at a time here, so the bound of its permits is none for it.
        let permit = QueuePermit::acquire_beyond(&self.shared.queue_budget, &entry.live);
        let mut ready = [Ready {
            key,
            position: QueuePosition::Backlog(number),
            lane: Lane::Backlog,
            known: None,
            is_test: false,
            needs_recheck: key.event.0 <= doubted,
            permit,
            since: self.steady,
        }];
        self.read_ahead(&mut ready, u64::MAX)?;
        self.after.committed.ready.extend(ready);
        self.memory.order.release(key);
        Ok(())
    }

    /// Begins to hold a webhook's deliveries in order. Those that wait in memory are dropped, and a job brings all that wait into the
    /// order of the backlog. What is under way goes on.
    pub(in crate::store) fn start_order(&mut self, no: EndpointNo) -> Result<(), Error> {
        self.memory.order.add(no);
        let until = self.newest_key();
        let dropped = Dropped::up_to(no, until);
        self.after.committed.ready.retain(|ready| ready.is_test || !dropped.covers(ready.key));
        self.after.committed.dropped.push(dropped);
        self.after.committed.backlogs.push((no, false));
        self.doubt_backlog(no);
        self.start_job(no, Job { task: Task::Park, until: until.0, ..Job::default() })
    }

    /// Lets all deliveries of a webhook start that wait, in whatever order.
    pub(in crate::store) fn end_order(&mut self, no: EndpointNo) {
        self.memory.order.remove(no);
        if self.memory.backlogs.contains_key(&no) {
            self.doubt_backlog(no);
            self.announce_backlog(no);
        }
    }

    /// Has a webhook's backlog read from its beginning, where each delivery may be under way, or its outcome on its way to the disk.
    pub(in crate::store) fn doubt_backlog(&mut self, no: EndpointNo) {
        let until = self.newest_key().0;
        let cursor = self.memory.backlogs.entry(no).or_default();
        (cursor.after, cursor.doubted, cursor.more) = (0, until, true);
    }

    /// Has a webhook's backlog go on: the next of an ordered webhook is released, the queue of another asks for more.
    pub(in crate::store) fn announce_backlog(&mut self, no: EndpointNo) {
        if self.memory.order.is_ordered(no) {
            self.memory.order.open(no);
        } else {
            self.after.committed.backlogs.push((no, true));
        }
    }
}

/// The most webhooks that are looked at in one batch.
const SLICE: usize = 1_000;
