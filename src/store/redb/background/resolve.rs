//! What happens to the deliveries that were waiting when their webhook was disabled, deleted, purged or made ordered: parked, or
//! ended.
//!
//! A job walks the due table once, and for a deletion or a purge the webhook's backlog too, in slices, at most one in each batch. It
//! stands in its own table until it is done, so a crash repeats what was left. Only events published before are its business: later
//! ones know how the webhook stands. A webhook has one job: what is asked while it runs is joined to it, and it begins anew.
//!
//! A walk ends with a slice that is not full: all that comes behind it came later. So it ends however fast events are published.
//!
//! While others wait for the commits, not every batch has a slice: see [`Pace`](super::pace::Pace).

use std::ops::Bound;

use crate::domain::delivery::{Delivery, End, QueuePosition};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::store::Attempt;
use crate::store::error::Error;
use crate::store::message::command::Dropped;
use crate::store::record::key::{DueKey, due_key, read_due_key};
use crate::store::record::{self, Job, Task};
use crate::store::redb::batch::Batch;
use crate::store::redb::journaled_table::Due;
use crate::store::redb::state::RunningJob;
use crate::store::rules::jobs::{self, Fate};

impl Batch<'_, '_> {
    pub(in crate::store) fn park_pending(&mut self, endpoint: EndpointNo) -> Result<(), Error> {
        self.doubt_backlog(endpoint);
        self.memory.order.stop(endpoint);
        // What an ordered webhook has in its backlog is in order.
        let after_number = if self.memory.order.is_ordered(endpoint) { u64::MAX } else { 0 };
        self.start_job(endpoint, Job { task: Task::Park, until: self.newest_key().0, after_number, ..Job::default() })
    }

    pub(in crate::store) fn end_pending(&mut self, endpoint: EndpointNo) -> Result<(), Error> {
        self.note_unlisted(endpoint);
        self.start_job(endpoint, Job { task: Task::End, until: self.newest_key().0, ..Job::default() })
    }

    /// Starts a job, or joins it to the one that runs for its webhook.
    pub(in crate::store) fn start_job(&mut self, endpoint: EndpointNo, job: Job) -> Result<(), Error> {
        let jobs = &mut self.memory.jobs;
        let position = jobs.iter().position(|other| other.endpoint == endpoint);
        let running = position.and_then(|position| jobs.remove(position));
        let job = running.map_or(job, |running| running.job.joined(job));
        let running = RunningJob { endpoint, job };
        self.put_job(running)?;
        if job.purged > 0 {
            self.memory.purges.insert(endpoint, EventKey(job.purged));
        }
        self.memory.jobs.push_back(running);
        Ok(())
    }

    /// One slice of the job whose turn it is; while others wait for this commit, not in every one.
    pub(in crate::store) fn work(&mut self, is_awaited: bool) -> Result<(), Error> {
        if self.memory.jobs.is_empty() || !self.memory.job_pace.begin(self.steady, is_awaited) {
            return Ok(());
        }
        let Some(mut running) = self.memory.jobs.pop_front() else { return Ok(()) };
        if self.awaits_fanout(&running) {
            self.memory.jobs.push_back(running);
            return Ok(());
        }
        let cancelled = running.job.cancelled;
        let done = self.walk(&mut running)?;
        if running.job.cancelled > cancelled {
            // A fan-out may have queued some of them after the purge had begun.
            self.after.committed.dropped.push(Dropped::up_to(running.endpoint, EventKey(running.job.purged)));
        }
        if done {
            return self.end_job(running);
        }
        self.put_job(running)?;
        self.memory.jobs.push_back(running);
        Ok(())
    }

    /// Whether an event that a purge is for has still to reach the webhook. Then it would come behind the job.
    fn awaits_fanout(&self, running: &RunningJob) -> bool {
        let no = running.endpoint.0;
        let reaches = |cursor: &record::Fanout| cursor.after < no && no <= cursor.until;
        self.memory.fanouts.iter().any(|fanout| fanout.event.0 <= running.job.purged && reaches(&fanout.cursor))
    }

    fn end_job(&mut self, running: RunningJob) -> Result<(), Error> {
        self.tables.job()?.remove(running.endpoint.0)?;
        if running.job.task == Task::End {
            self.memory.backlogs.remove(&running.endpoint);
            self.forget_tombstone(running.endpoint)?;
        }
        if running.job.purged > 0 {
            self.end_purge(running.endpoint, running.job.cancelled);
        }
        self.memory.order.open(running.endpoint);
        Ok(())
    }

    fn put_job(&mut self, running: RunningJob) -> Result<(), Error> {
        let mut bytes = Vec::new();
        record::write_job(&running.endpoint.0.to_be_bytes(), &running.job, &mut bytes);
        self.tables.job()?.insert(running.endpoint.0, &*bytes)?;
        Ok(())
    }

    /// A slice of the due table, or of the backlog once all that is due was looked at; true when it was the last.
    fn walk(&mut self, running: &mut RunningJob) -> Result<bool, Error> {
        if running.job.after == WALKED {
            return self.walk_backlog(running);
        }
        self.walk_due(running)?;
        let is_ordered = self.memory.order.is_ordered(running.endpoint);
        Ok(running.job.after == WALKED && !running.job.walks_backlog(is_ordered))
    }

    /// Looks at a slice of the due table. New entries stand at the end of what is due: one is added by each publication.
    fn walk_due(&mut self, running: &mut RunningJob) -> Result<(), Error> {
        let after: DueKey = running.job.after;
        // Enabled meanwhile: what is due later keeps its time, and what was due was taken out of its queue. Of an ordered webhook all
        // goes to the backlog, which has the order.
        let is_ordered = self.memory.order.is_ordered(running.endpoint);
        let keeps_time = !is_ordered && self.entry(running.endpoint).is_some_and(|entry| entry.endpoint.is_active());
        let mut theirs = Vec::new();
        let (mut looked, mut last) = (0, after);
        self.tables.each::<Due>((Bound::Excluded(&after), Bound::Unbounded), |bytes, _| {
            let (at, key) = read_due_key(bytes);
            if key.endpoint == running.endpoint {
                let fate = running.job.fate(key.event, !keeps_time || at <= self.now);
                theirs.extend(fate.map(|fate| (key, at, fate)));
            }
            (looked, last) = (looked + 1, *bytes);
            Ok(theirs.len() < SLICE && looked < LOOK)
        })?;
        let is_last = looked < LOOK && theirs.len() < SLICE;
        let piece = self.piece();
        for (key, at, fate) in theirs {
            if self.is_spent(&piece) {
                return Ok(());
            }
            self.settle(&mut running.job, key, QueuePosition::Due(at), fate)?;
            running.job.after = due_key(at, key);
        }
        running.job.after = if is_last { WALKED } else { last };
        Ok(())
    }

    /// Looks at a slice of the webhook's backlog, where the job ends what waits there, or brings it into order; true when it was the
    /// last.
    fn walk_backlog(&mut self, running: &mut RunningJob) -> Result<bool, Error> {
        let job = &mut running.job;
        let theirs = self.backlog_past(running.endpoint, job.after_number, SLICE)?;
        let piece = self.piece();
        for (number, key) in &theirs {
            if self.is_spent(&piece) {
                return Ok(false);
            }
            match job.fate(key.event, true) {
                Some(fate @ Fate::End(_)) => self.settle(job, *key, QueuePosition::Backlog(*number), fate)?,
                Some(Fate::Park) if *number != key.event.0 => self.put_in_order(*key, *number)?,
                _ => {}
            }
            job.after_number = *number;
        }
        Ok(theirs.len() < SLICE)
    }

    /// Moves a delivery of an ordered webhook to the place of its event in the backlog.
    fn put_in_order(&mut self, key: DeliveryKey, number: u64) -> Result<(), Error> {
        let Some((delivery, newest)) = self.row(key)?.filter(|_| self.memory.order.is_ordered(key.endpoint)) else {
            return Ok(());
        };
        self.take_entry(key, QueuePosition::Backlog(number))?;
        let parked = self.park(delivery)?;
        self.write_row(&parked, newest.as_ref())
    }

    /// Parks or ends one waiting delivery, or leaves it where it is.
    fn settle(&mut self, job: &mut Job, key: DeliveryKey, position: QueuePosition, fate: Fate) -> Result<(), Error> {
        let row = self.row(key)?;
        let fresh = row.is_none();
        let (delivery, newest) = row.unwrap_or_else(|| (Delivery::published(key, position), None));
        let is_asked_test = self.memory.tests.contains_key(&key);
        let Some(fate) = jobs::settled(&delivery, position, is_asked_test, fate) else { return Ok(()) };
        match fate {
            Fate::End(end) => {
                job.cancelled += u64::from(end == End::Cancelled);
                // Where its entry stands, whatever its row says.
                self.end_waiting(delivery.placed(position), newest.as_ref(), end)
            }
            Fate::Park => {
                self.take_entry(key, position)?;
                self.tell_held(&delivery, newest.as_ref())?;
                if fresh {
                    return self.park_new(key);
                }
                let parked = self.park(delivery)?;
                self.write_row(&parked, newest.as_ref())
            }
        }
    }

    /// Notes that a delivery is held, where its webhook is switched off: a job also parks what is sent again soon.
    fn tell_held(&mut self, delivery: &Delivery, newest: Option<&Attempt>) -> Result<(), Error> {
        let is_active = self.entry(delivery.key.endpoint).is_some_and(|entry| entry.endpoint.is_active());
        if is_active {
            return Ok(());
        }
        self.changed(delivery, newest.and_then(|newest| newest.error), None)
    }

    /// Ends a webhook's tests, which are sent as long as it is only disabled.
    pub(in crate::store) fn end_tests(&mut self, no: EndpointNo) -> Result<(), Error> {
        let theirs: Vec<DeliveryKey> = self.memory.tests.keys().filter(|key| key.endpoint == no).copied().collect();
        for key in theirs {
            if let Some((delivery, newest)) = self.row(key)?.filter(|(delivery, _)| delivery.is_pending()) {
                self.end_waiting(delivery, newest.as_ref(), End::Cancelled)?;
            }
        }
        Ok(())
    }
}

/// Behind every due entry: all of them were looked at.
const WALKED: DueKey = [0xff; 20];

/// Entries changed in one commit.
const SLICE: usize = 1_000;

/// Entries looked at in one commit.
const LOOK: usize = 20_000;
