//! What happens to the deliveries that were pending when their webhook was disabled or deleted: parked, or ended.
//!
//! A job walks the due table once, and for a deletion the webhook's backlog too, in slices between other commits. It stands in
//! its own table until it is done, so a crash repeats what was left. Only events published before the change are its
//! business: later ones know how the webhook stands.

use std::ops::Bound;

use redb::ReadableTable;

use super::batch::Batch;
use super::error::Error;
use super::memory::RunningJob;
use super::record::{self, Job};
use super::tables::{DueKey, backlog_key, due_key, read_backlog_key, read_due_key, waiting};
use crate::domain::delivery::{Delivery, End, Place};
use crate::domain::id::{DeliveryKey, EndpointNo};

impl Batch<'_, '_> {
    pub(super) fn park_pending(&mut self, endpoint: EndpointNo) -> Result<(), Error> {
        self.memory.backlogs.entry(endpoint).or_default().after = 0;
        self.start_job(endpoint, false)
    }

    pub(super) fn end_pending(&mut self, endpoint: EndpointNo) -> Result<(), Error> {
        self.start_job(endpoint, true)
    }

    /// One slice of the oldest job.
    pub(super) fn work(&mut self) -> Result<(), Error> {
        let Some(mut running) = self.memory.jobs.pop_front() else { return Ok(()) };
        let walked = self.walk_due(&mut running)?;
        let done = walked && (!running.job.ends || self.end_backlog(running.endpoint)?);
        self.after.dirty = true;
        if done {
            self.tables.job()?.remove(running.endpoint.0)?;
            return Ok(());
        }
        self.put_job(running)?;
        self.memory.jobs.push_front(running);
        Ok(())
    }

    fn start_job(&mut self, endpoint: EndpointNo, ends: bool) -> Result<(), Error> {
        let job = Job { ends, after: [0; 20], until: self.newest_key().0 };
        let running = RunningJob { endpoint, job };
        self.put_job(running)?;
        self.memory.jobs.retain(|other| other.endpoint != endpoint);
        self.memory.jobs.push_back(running);
        Ok(())
    }

    fn put_job(&mut self, running: RunningJob) -> Result<(), Error> {
        let mut bytes = Vec::new();
        record::write_job(&running.endpoint.0.to_be_bytes(), &running.job, &mut bytes);
        self.tables.job()?.insert(running.endpoint.0, &*bytes)?;
        Ok(())
    }

    /// Looks at a piece of the due table; true when it was the last.
    fn walk_due(&mut self, running: &mut RunningJob) -> Result<bool, Error> {
        let after: DueKey = running.job.after;
        // Enabled meanwhile: what is due later keeps its time, and what was due was taken out of its queue.
        let active = self.entry(running.endpoint).is_some_and(|entry| entry.endpoint.is_active());
        let mut theirs = Vec::new();
        let mut last = None;
        for row in self.tables.due()?.range::<&DueKey>((Bound::Excluded(&after), Bound::Unbounded))?.take(LOOK) {
            let bytes = *row?.0.value();
            let (at, key) = read_due_key(&bytes);
            let settles = !active || at <= self.now;
            if key.endpoint == running.endpoint && key.event.0 <= running.job.until && settles {
                theirs.push((key, at));
            }
            last = Some(bytes);
            if theirs.len() == SLICE {
                break;
            }
        }
        let piece = self.piece();
        for (key, at) in theirs {
            if self.is_spent(&piece) {
                return Ok(false);
            }
            self.settle(key, Place::Due(at), running.job.ends)?;
            running.job.after = due_key(at, key);
        }
        running.job.after = last.unwrap_or(after);
        Ok(last.is_none())
    }

    /// Ends a piece of a deleted webhook's backlog; true when it was the last.
    fn end_backlog(&mut self, endpoint: EndpointNo) -> Result<bool, Error> {
        let (first, last) = (backlog_key(endpoint, 0), backlog_key(endpoint, u64::MAX));
        let mut theirs = Vec::new();
        for row in self.tables.backlog()?.range::<&super::tables::BacklogKey>(&first..=&last)?.take(SLICE) {
            let (key, value) = row?;
            let (_, number) = read_backlog_key(key.value());
            theirs.push((waiting(endpoint, number, value.value()), Place::Backlog(number)));
        }
        let piece = self.piece();
        for (key, place) in &theirs {
            if self.is_spent(&piece) {
                break;
            }
            self.settle(*key, *place, true)?;
        }
        if theirs.is_empty() {
            self.memory.backlogs.remove(&endpoint);
        }
        Ok(theirs.is_empty())
    }

    /// Parks or ends one pending delivery. A test is left to its one attempt, as long as that may be made.
    fn settle(&mut self, key: DeliveryKey, place: Place, ends: bool) -> Result<(), Error> {
        let row = self.row(key)?;
        let fresh = row.is_none();
        let (delivery, newest) = row.unwrap_or_else(|| (Delivery::published(key, place), None));
        let end = match (ends, delivery.is_test()) {
            (true, _) => Some(End::WebhookDeleted),
            (false, true) if self.is_sent_tests(key.endpoint) => return Ok(()),
            (false, true) => Some(End::Cancelled),
            (false, false) => None,
        };
        self.take_entry(key, place)?;
        if let Some(end) = end {
            let ended = delivery.ended(end, self.now);
            self.write_row(&ended, newest.as_ref())?;
            return self.finished(&ended);
        }
        if fresh {
            return self.park_new(key);
        }
        let parked = self.park(delivery)?;
        self.write_row(&parked, newest.as_ref())
    }
}

impl Batch<'_, '_> {
    fn is_sent_tests(&self, no: EndpointNo) -> bool {
        self.entry(no).is_some_and(|entry| entry.endpoint.is_sent(true))
    }
}

/// Entries changed in one commit.
const SLICE: usize = 1_000;

/// Entries looked at in one commit.
const LOOK: usize = 20_000;
