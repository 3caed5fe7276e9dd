//! Work of the model that goes on in slices: fan-outs and jobs; what falls due, and what comes back from the backlog.

use std::ops::Bound;

use super::{Fanout, LAST, Model, Running, SLICE};
use crate::domain::delivery::{Delivery, End, QueuePosition};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::record::{Job, Task};
use crate::store::rules::jobs::{self, Fate};
use crate::store::rules::publish;
use crate::store::rules::resend;
use crate::store::rules::waiting::{self, CameDue};

impl Model {
    pub(super) fn start_job(&mut self, endpoint: EndpointNo, job: Job) {
        let running = self.jobs.iter().position(|running| running.endpoint == endpoint).and_then(|at| self.jobs.remove(at));
        let job = running.map_or(job, |running| running.job.joined(job));
        if job.purged > 0 {
            self.purges.insert(endpoint, EventKey(job.purged));
        }
        self.jobs.push_back(Running { endpoint, job, after: None, is_due_walked: false });
    }

    pub(super) fn fan(&mut self) {
        let Some(mut fanout) = self.fanouts.pop_front() else { return };
        let Some(endpoint) = fanout.left.pop_front() else {
            if let Some(kept) = self.events.get_mut(&fanout.event) {
                kept.deliveries = fanout.made;
            }
            return;
        };
        if self.webhooks.get(&endpoint).is_some_and(|webhook| publish::goes_to(webhook, None)) {
            self.place_new(DeliveryKey { event: fanout.event, endpoint });
            fanout.made += 1;
        }
        self.fanouts.push_back(fanout);
    }

    pub(super) fn work(&mut self) {
        let Some(mut running) = self.jobs.pop_front() else { return };
        let awaits_fanout = |fanout: &Fanout| fanout.event.0 <= running.job.purged && fanout.left.contains(&running.endpoint);
        let is_done = !self.fanouts.iter().any(awaits_fanout) && self.walk(&mut running);
        if !is_done {
            return self.jobs.push_back(running);
        }
        if running.job.task == Task::End {
            self.memory.read_up_to.remove(&running.endpoint);
        }
        if running.job.purged > 0 {
            self.purges.remove(&running.endpoint);
        }
    }

    /// A slice of a job; whether it was the last.
    pub(super) fn walk(&mut self, running: &mut Running) -> bool {
        if running.is_due_walked {
            return self.walk_backlog(running);
        }
        let is_active = self.entry(running.endpoint).is_some_and(Endpoint::is_active);
        let from = running.after.map_or(Bound::Unbounded, Bound::Excluded);
        let slice: Vec<_> = self.due.range((from, Bound::Unbounded)).take(SLICE).copied().collect();
        for (at, key) in &slice {
            let fate = running.job.fate(key.event, !is_active || *at <= self.now);
            if let Some(fate) = fate.filter(|_| key.endpoint == running.endpoint) {
                self.resolve(*key, QueuePosition::Due(*at), fate);
            }
            running.after = Some((*at, *key));
        }
        running.is_due_walked = slice.len() < SLICE;
        running.is_due_walked && !running.job.walks_backlog(false)
    }

    pub(super) fn walk_backlog(&mut self, running: &mut Running) -> bool {
        let (first, last) = ((running.endpoint, running.job.after_number + 1), (running.endpoint, u64::MAX));
        let slice: Vec<_> = self.backlog.range(first..=last).take(SLICE).map(|((_, number), event)| (*number, *event)).collect();
        for (number, event) in &slice {
            if let Some(fate @ Fate::End(_)) = running.job.fate(*event, true) {
                let key = DeliveryKey { event: *event, endpoint: running.endpoint };
                self.resolve(key, QueuePosition::Backlog(*number), fate);
            }
            running.job.after_number = *number;
        }
        slice.len() < SLICE
    }

    pub(super) fn resolve(&mut self, key: DeliveryKey, position: QueuePosition, fate: Fate) {
        let row = self.rows.get(&key).cloned();
        let has_row = row.is_some();
        let delivery = row.unwrap_or_else(|| Delivery::published(key, position));
        match jobs::settled(&delivery, position, self.memory.tests.contains(&key), fate) {
            None => {}
            Some(Fate::End(end)) => self.stop(resend::stopped(delivery.placed(position), end, self.now)),
            Some(Fate::Park) => {
                self.take_entry(key, position);
                self.park_again(delivery, has_row);
            }
        }
    }

    pub(super) fn park_again(&mut self, delivery: Delivery, has_row: bool) {
        if !has_row {
            return self.park_without_row(delivery.key);
        }
        let parked = self.park(delivery);
        self.rows.insert(parked.key, parked);
    }

    pub(super) fn fire(&mut self) {
        let due: Vec<_> =
            self.due.range(..=(self.now, LAST)).filter(|entry| !self.memory.fired.contains(*entry)).copied().collect();
        for (at, key) in due {
            self.memory.fired.insert((at, key));
            self.fall_due(at, key);
        }
    }

    pub(super) fn fall_due(&mut self, at: Timestamp, key: DeliveryKey) {
        let Some(webhook) = self.entry(key.endpoint) else { return };
        let position = QueuePosition::Due(at);
        match waiting::came_due(webhook, self.memory.tests.contains(&key), self.is_purged(key)) {
            CameDue::Queue if !self.has_room(key.endpoint) => {
                self.take_entry(key, position);
                let row = self.rows.get(&key).cloned();
                let has_row = row.is_some();
                self.park_again(row.unwrap_or_else(|| Delivery::published(key, position)), has_row);
            }
            CameDue::Queue | CameDue::QueueTest => self.queue(key, position),
            CameDue::LeaveUnlessTest => {
                let test = self.rows.get(&key).filter(|delivery| waiting::expires(delivery)).cloned();
                test.into_iter().for_each(|test| self.stop(resend::stopped(test, End::Expired, self.now)));
            }
        }
    }

    pub(super) fn refill(&mut self, no: EndpointNo) {
        let is_read = self.entry(no).is_some_and(Endpoint::is_active) && !self.purges.contains_key(&no);
        let Some(mut read_up_to) = self.memory.read_up_to.get(&no).copied().filter(|_| is_read) else { return };
        while self.has_room(no) {
            let next = self.backlog.range((no, read_up_to + 1)..=(no, u64::MAX)).next();
            let Some((number, event)) = next.map(|((_, number), event)| (*number, *event)) else { break };
            read_up_to = number;
            self.queue(DeliveryKey { event, endpoint: no }, QueuePosition::Backlog(number));
        }
        self.memory.read_up_to.insert(no, read_up_to);
    }
}
