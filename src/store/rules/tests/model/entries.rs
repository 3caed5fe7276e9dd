//! How the model applies what the rules return: its entries, rows and webhooks.

use super::{Model, PERMITS, Queued, RETENTION};
use crate::domain::delivery::{Delivery, End, QueuePosition};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::record::{Job, Task};
use crate::store::rules::outcome::{self, Found};
use crate::store::rules::resend::{self, Restarted, Stopped};
use crate::store::rules::retention;
use crate::store::rules::waiting::{self, Parked, Wait};
use crate::store::rules::webhooks::{self, Follows};

impl Model {
    pub(super) fn entry(&self, no: EndpointNo) -> Option<&Endpoint> {
        self.webhooks.get(&no).filter(|webhook| !webhook.is_deleted())
    }

    pub(super) fn next_key(&mut self) -> EventKey {
        self.last_key = EventKey::next(self.last_key, self.now);
        self.last_key
    }

    pub(super) fn is_purged(&self, key: DeliveryKey) -> bool {
        waiting::is_purged(key.event, self.purges.get(&key.endpoint).copied())
    }

    /// One of all deliveries, as it stands.
    pub(super) fn delivery(&self, number: usize) -> Option<Delivery> {
        let key = *self.alive.iter().nth(number.checked_rem(self.alive.len())?)?;
        let published = |position| Delivery::published(key, position);
        self.rows.get(&key).cloned().or_else(|| self.position_without_row(key).map(published))
    }

    pub(super) fn position_without_row(&self, key: DeliveryKey) -> Option<QueuePosition> {
        let positions = [QueuePosition::Due(key.event.time()), QueuePosition::Backlog(key.event.0)];
        positions.into_iter().find(|position| self.stands(key, *position))
    }

    pub(super) fn stands(&self, key: DeliveryKey, position: QueuePosition) -> bool {
        match position {
            QueuePosition::Due(at) => self.due.contains(&(at, key)),
            QueuePosition::Backlog(number) => self.backlog.get(&(key.endpoint, number)) == Some(&key.event),
        }
    }

    pub(super) fn take_entry(&mut self, key: DeliveryKey, position: QueuePosition) -> bool {
        match position {
            QueuePosition::Due(at) => self.due.remove(&(at, key)),
            QueuePosition::Backlog(number) => self.backlog.remove(&(key.endpoint, number)).is_some(),
        }
    }

    pub(super) fn put_due(&mut self, key: DeliveryKey, at: Timestamp) {
        self.due.insert((at, key));
        self.memory.fired.remove(&(at, key));
    }

    pub(super) fn put_backlog(&mut self, key: DeliveryKey, number: u64) {
        self.backlog.insert((key.endpoint, number), key.event);
        self.memory.read_up_to.entry(key.endpoint).or_default();
    }

    /// Takes a permit for the webhook's queue, when there is one.
    pub(super) fn has_room(&self, no: EndpointNo) -> bool {
        self.memory.queued.iter().filter(|queued| queued.key.endpoint == no).count() < PERMITS
    }

    pub(super) fn queue(&mut self, key: DeliveryKey, position: QueuePosition) {
        if let QueuePosition::Due(at) = position {
            self.memory.fired.insert((at, key));
        }
        let is_first = !self.rows.contains_key(&key);
        self.memory.queued.push(Queued { key, position, is_first });
    }

    pub(super) fn place_new(&mut self, key: DeliveryKey) {
        let Some(webhook) = self.entry(key.endpoint) else { return };
        let may_start = waiting::may_start(webhook, self.is_purged(key)) && self.has_room(key.endpoint);
        self.alive.insert(key);
        self.pending += 1;
        if may_start {
            self.put_due(key, key.event.time());
            self.queue(key, QueuePosition::Due(key.event.time()));
        } else {
            self.park_without_row(key);
        }
    }

    pub(super) fn park_without_row(&mut self, key: DeliveryKey) {
        match waiting::park_without_row(key.event, self.memory.read_up_to.get(&key.endpoint).copied()) {
            Parked::UnderEvent => self.put_backlog(key, key.event.0),
            Parked::Numbered => {
                let parked = self.park(Delivery::published(key, QueuePosition::Backlog(0)));
                self.rows.insert(key, parked);
            }
        }
    }

    pub(super) fn park(&mut self, delivery: Delivery) -> Delivery {
        let number = self.next_key().0;
        self.put_backlog(delivery.key, number);
        delivery.placed(QueuePosition::Backlog(number))
    }

    pub(super) fn wait(&mut self, delivery: Delivery, wait: Wait) -> Delivery {
        match wait {
            Wait::Due(at) => {
                self.put_due(delivery.key, at);
                delivery.placed(QueuePosition::Due(at))
            }
            Wait::Backlog => self.park(delivery),
        }
    }

    pub(super) fn restart_delivery(&mut self, Restarted { taken, delivery, at, joins_pending }: Restarted) {
        let key = delivery.key;
        taken.map(|position| self.take_entry(key, position));
        self.pending += usize::from(joins_pending);
        if self.has_room(key.endpoint) {
            self.put_due(key, at);
            self.rows.insert(key, delivery);
            self.queue(key, QueuePosition::Due(at));
        } else {
            let parked = self.park(delivery);
            self.rows.insert(key, parked);
        }
    }

    pub(super) fn stop(&mut self, Stopped { taken, delivery }: Stopped) {
        taken.map(|position| self.take_entry(delivery.key, position));
        self.leaves_pending(&delivery);
        self.rows.insert(delivery.key, delivery);
    }

    pub(super) fn leaves_pending(&mut self, delivery: &Delivery) {
        self.pending -= 1;
        self.memory.tests.remove(&delivery.key);
        if let Some(at) = retention::revisit(delivery, self.swept, RETENTION) {
            self.revisits.insert((at, delivery.key.event));
        }
    }

    pub(super) fn take_attempted(&mut self, key: DeliveryKey, position: QueuePosition, is_first: bool) -> Option<Delivery> {
        let stood = self.take_entry(key, position);
        let row = self.rows.get(&key).cloned().filter(|_| outcome::needs_row(stood, is_first));
        if let Some(Found { delivery, other, .. }) = outcome::found(key, position, stood, row.map(|row| (row, None))) {
            other.map(|other| self.take_entry(key, other));
            return Some(delivery);
        }
        let position = self.position_without_row(key)?;
        self.take_entry(key, position);
        Some(Delivery::published(key, position))
    }

    pub(super) fn change(&mut self, no: EndpointNo, rule: impl FnOnce(&Endpoint, Timestamp) -> Option<Endpoint>) {
        let changed = self.entry(no).and_then(|webhook| rule(webhook, self.now));
        if let Some(webhook) = changed {
            self.set_webhook(webhook);
        }
    }

    pub(super) fn set_webhook(&mut self, webhook: Endpoint) {
        let (no, after) = (webhook.no, webhook.state);
        let before = self.webhooks.insert(no, webhook).map(|before| before.state);
        match before.and_then(|before| webhooks::follows(before, after)) {
            None | Some(Follows::StaysDisabled) => {}
            Some(Follows::Woken) => drop(self.memory.read_up_to.insert(no, 0)),
            Some(Follows::Stopped { ends_tests }) => self.stopped(no, ends_tests),
            Some(Follows::Deleted) => {
                self.memory.queued.retain(|queued| queued.key.endpoint != no);
                self.start_job(no, Job { task: Task::End, until: self.last_key.0, ..Job::default() });
            }
        }
    }

    pub(super) fn stopped(&mut self, no: EndpointNo, ends_tests: bool) {
        let tests = &self.memory.tests;
        self.memory.queued.retain(|queued| queued.key.endpoint != no || tests.contains(&queued.key));
        let theirs: Vec<_> = tests.iter().filter(|key| ends_tests && key.endpoint == no).copied().collect();
        for key in theirs {
            let delivery = self.rows.get(&key).filter(|delivery| delivery.is_pending()).cloned();
            if let Some(delivery) = delivery {
                self.stop(resend::stopped(delivery, End::Cancelled, self.now));
            }
        }
        self.memory.read_up_to.insert(no, 0);
        self.start_job(no, Job { task: Task::Park, until: self.last_key.0, ..Job::default() });
    }
}
