//! A store that is a map: it reads what a rule needs and applies what the rule returns, as an engine does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Duration;

use crate::domain::delivery::outcome::Outcome;
use crate::domain::delivery::{Delivery, End, QueuePosition, State};
use crate::domain::dialect::Dialect;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::endpoint::fixture::endpoint;
use crate::store::message::command::Purge;
use crate::store::record::{Job, Task};
use crate::store::rules::config_sync;
use crate::store::rules::fixture::dialect;
use crate::store::rules::jobs::{self, Fate};
use crate::store::rules::outcome::{self, Facts, Found};
use crate::store::rules::publish::{self, Spread};
use crate::store::rules::resend::{self, Missed, Restarted, Stopped};
use crate::store::rules::retention::{self, Ages, Kept, Removal, Then};
use crate::store::rules::waiting::{self, CameDue, Parked, Wait};
use crate::store::rules::webhooks::{self, Follows};

pub(super) struct Model {
    now: Timestamp,
    dialect: Dialect,
    /// Of a deleted one its tombstone.
    webhooks: BTreeMap<EndpointNo, Endpoint>,
    events: BTreeMap<EventKey, Kept>,
    /// Every delivery that was made and not removed.
    alive: BTreeSet<DeliveryKey>,
    rows: BTreeMap<DeliveryKey, Delivery>,
    due: BTreeSet<(Timestamp, DeliveryKey)>,
    backlog: BTreeMap<(EndpointNo, u64), EventKey>,
    fanouts: VecDeque<Fanout>,
    jobs: VecDeque<Running>,
    purges: BTreeMap<EndpointNo, EventKey>,
    revisits: BTreeSet<(Timestamp, EventKey)>,
    swept: EventKey,
    pending: usize,
    last_key: EventKey,
    memory: Memory,
}

/// What a restart loses.
#[derive(Default)]
struct Memory {
    /// Entries of the due table that have fired.
    fired: BTreeSet<(Timestamp, DeliveryKey)>,
    queued: Vec<Queued>,
    under_way: Vec<Queued>,
    tests: BTreeSet<DeliveryKey>,
    /// Webhooks with a backlog, and how far it was read.
    read_up_to: BTreeMap<EndpointNo, u64>,
}

#[derive(Clone, Copy)]
struct Queued {
    key: DeliveryKey,
    position: QueuePosition,
    /// Whether its event was at hand when it was queued, so that its first attempt reads nothing.
    is_first: bool,
}

struct Fanout {
    event: EventKey,
    left: VecDeque<EndpointNo>,
    made: u32,
}

struct Running {
    endpoint: EndpointNo,
    job: Job,
    /// The last due entry that was looked at.
    after: Option<(Timestamp, DeliveryKey)>,
    is_due_walked: bool,
}

impl Model {
    pub(super) const WEBHOOKS: u32 = 3;

    pub(super) fn new() -> Self {
        let webhook = |no| Endpoint { no: EndpointNo(no), ..endpoint(&["*"]) };
        Self {
            now: Timestamp::from_secs(1_000_000),
            dialect: dialect(),
            webhooks: (1..=Self::WEBHOOKS).map(|no| (EndpointNo(no), webhook(no))).collect(),
            events: BTreeMap::new(),
            alive: BTreeSet::new(),
            rows: BTreeMap::new(),
            due: BTreeSet::new(),
            backlog: BTreeMap::new(),
            fanouts: VecDeque::new(),
            jobs: VecDeque::new(),
            purges: BTreeMap::new(),
            revisits: BTreeSet::new(),
            swept: EventKey(0),
            pending: 0,
            last_key: EventKey(0),
            memory: Memory::default(),
        }
    }

    // What happens.

    pub(super) fn publish(&mut self, in_slices: bool) {
        let wanted = self.webhooks.values().filter(|webhook| publish::goes_to(webhook, None));
        let matching: VecDeque<_> = wanted.map(|webhook| webhook.no).collect();
        let event = self.next_key();
        let deliveries = u32::try_from(matching.len()).expect("few webhooks");
        self.events.insert(event, Kept { deliveries, removed: 0 });
        match publish::spread(matching.len(), if in_slices { usize::MAX } else { 0 }, false) {
            Spread::Nobody => {}
            Spread::AtOnce => matching.into_iter().for_each(|endpoint| self.place_new(DeliveryKey { event, endpoint })),
            Spread::InSlices => self.fanouts.push_back(Fanout { event, left: matching, made: 0 }),
        }
    }

    pub(super) fn background(&mut self) {
        self.fan();
        self.work();
        self.fire();
        (1..=Self::WEBHOOKS).for_each(|no| self.refill(EndpointNo(no)));
    }

    pub(super) fn start(&mut self, number: usize) {
        if self.memory.queued.is_empty() {
            return;
        }
        let queued = self.memory.queued.remove(number % self.memory.queued.len());
        if self.memory.under_way.iter().any(|other| other.key == queued.key) {
            // It is asked again when that attempt has ended.
            return self.memory.queued.push(queued);
        }
        let is_test = self.rows.get(&queued.key).is_some_and(Delivery::is_test);
        let is_sent = self.entry(queued.key.endpoint).is_some_and(|webhook| webhook.is_sent(is_test));
        if is_sent && self.stands(queued.key, queued.position) {
            self.memory.under_way.push(queued);
        }
    }

    pub(super) fn finish(&mut self, number: usize, outcome: &Outcome) {
        if self.memory.under_way.is_empty() {
            return;
        }
        let Queued { key, position, is_first } = self.memory.under_way.remove(number % self.memory.under_way.len());
        let Some(webhook) = self.webhooks.get(&key.endpoint).cloned() else { return };
        let Some(delivery) = self.take_attempted(key, position, is_first) else { return };
        let facts = Facts {
            endpoint: &webhook,
            dialect: &self.dialect,
            outcome,
            ended_at: self.now,
            is_purged: self.is_purged(key),
            has_turn: true,
            draw: 0.5,
            now: self.now,
        };
        let judged = outcome::judge(delivery, &facts);
        if let Some(webhook) = judged.webhook {
            self.set_webhook(webhook);
        }
        let delivery = match judged.wait {
            Some(wait) => self.wait(judged.delivery, wait),
            None => judged.delivery,
        };
        if judged.leaves_pending {
            self.leaves_pending(&delivery);
        }
        self.rows.insert(key, delivery);
    }

    pub(super) fn wait_millis(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }

    pub(super) fn retry(&mut self, number: usize) {
        let Some(delivery) = self.delivery(number) else { return };
        let key = delivery.key;
        let webhook = &self.webhooks[&key.endpoint];
        if let Ok(Some(restarted)) = resend::retry(delivery, webhook, self.is_purged(key), self.now) {
            if restarted.delivery.is_test() {
                self.memory.tests.insert(key);
            }
            self.restart_delivery(restarted);
        }
    }

    pub(super) fn cancel(&mut self, number: usize) {
        let Some(delivery) = self.delivery(number) else { return };
        let key = delivery.key;
        if let Ok(stopped) = resend::cancel(delivery, self.now) {
            self.memory.queued.retain(|queued| queued.key != key);
            self.stop(stopped);
        }
    }

    pub(super) fn test(&mut self, no: EndpointNo) {
        if self.entry(no).is_none_or(|webhook| resend::test(webhook).is_err()) {
            return;
        }
        let event = self.next_key();
        self.events.insert(event, Kept { deliveries: 1, removed: 0 });
        let key = DeliveryKey { event, endpoint: no };
        let at = event.time();
        self.alive.insert(key);
        self.rows.insert(key, Delivery::test(key, at));
        self.pending += 1;
        self.memory.tests.insert(key);
        self.put_due(key, at);
        self.queue(key, QueuePosition::Due(at));
    }

    pub(super) fn recover(&mut self, no: EndpointNo) {
        let has_purge = self.purges.contains_key(&no);
        if self.entry(no).is_none_or(|webhook| resend::recover(webhook, has_purge).is_err()) {
            return;
        }
        for event in self.events.keys().copied().collect::<Vec<_>>() {
            let key = DeliveryKey { event, endpoint: no };
            let missed = Missed {
                is_fanning: self.fanouts.iter().any(|fanout| fanout.event == event),
                has_delivery: self.alive.contains(&key),
                has_event: true,
            };
            let restarted = match self.rows.get(&key).cloned() {
                Some(delivery) => resend::recover_failed(delivery, self.now),
                None => resend::recover_missed(key, missed, self.now),
            };
            if let Some(restarted) = restarted {
                self.alive.insert(key);
                self.restart_delivery(restarted);
            }
        }
    }

    pub(super) fn purge(&mut self, no: EndpointNo) {
        let Some(webhook) = self.entry(no) else { return };
        let asked = Purge { held: !webhook.is_active(), until: None };
        let Ok(purged) = resend::purge(webhook, &asked, self.last_key) else { return };
        self.start_job(no, Job { purged: purged.0, ..Job::default() });
        let (memory, is_covered) = (&mut self.memory, |key: DeliveryKey| key.endpoint == no && key.event <= purged);
        memory.queued.retain(|queued| memory.tests.contains(&queued.key) || !is_covered(queued.key));
    }

    pub(super) fn disable(&mut self, no: EndpointNo) {
        self.change(no, |webhook, now| webhooks::disable(webhook, now).ok());
    }

    pub(super) fn enable(&mut self, no: EndpointNo) {
        self.change(no, |webhook, _| webhooks::enable(webhook).ok());
    }

    pub(super) fn delete(&mut self, no: EndpointNo) {
        self.change(no, |webhook, now| webhooks::delete(webhook, now).ok());
    }

    pub(super) fn unlist(&mut self, no: EndpointNo) {
        self.change(no, config_sync::unnamed);
    }

    pub(super) fn relist(&mut self, no: EndpointNo) {
        self.change(no, |webhook, _| webhook.is_removed().then(|| webhook.clone().restored()));
    }

    pub(super) fn sweep(&mut self) {
        self.expire_held();
        let due: Vec<_> = self.revisits.range(..=(self.now, EventKey::MAX)).copied().collect();
        for (at, event) in due {
            self.revisits.remove(&(at, event));
            self.look_again(event, Removal::Aged);
        }
        self.look_at_all(retention::oldest_kept(RETENTION, self.now), Removal::Aged);
    }

    pub(super) fn evict(&mut self) {
        self.look_at_all(EventKey::MAX, Removal::Now);
    }

    pub(super) fn restart(&mut self) {
        let read_up_to = self.backlog.keys().map(|(no, _)| (*no, 0)).collect();
        self.memory = Memory { read_up_to, ..Memory::default() };
    }

    // What is asked of it.

    /// Works and attempts until nothing more can be done without waiting for what is switched off; each attempt comes to `outcome`.
    pub(super) fn settle(&mut self, outcome: &Outcome) {
        for _ in 0..ROUNDS_MAX {
            self.background();
            while !self.memory.under_way.is_empty() {
                self.finish(0, outcome);
            }
            (0..self.memory.queued.len()).for_each(|_| self.start(0));
            let is_quiet = self.fanouts.is_empty() && self.jobs.is_empty() && self.memory.under_way.is_empty();
            if is_quiet && self.memory.queued.is_empty() && self.pending_of_active() == 0 {
                return;
            }
            self.wait_millis(500);
        }
    }

    pub(super) fn outlive_the_retention(&mut self) {
        for _ in 0..3 {
            self.now = self.now + RETENTION + Duration::from_secs(3601);
            self.sweep();
        }
    }

    /// Publishes to the first webhook and attempts until that delivery has ended. Whether it failed; `None`: it was held.
    pub(super) fn deliver_one(&mut self, outcome: &Outcome) -> Option<bool> {
        let key = DeliveryKey { event: self.next_key(), endpoint: EndpointNo(1) };
        self.events.insert(key.event, Kept { deliveries: 1, removed: 0 });
        self.place_new(key);
        for _ in 0..ROUNDS_MAX {
            self.background();
            self.start(0);
            self.finish(0, outcome);
            match self.rows.get(&key).map(|delivery| delivery.state) {
                Some(State::Failed { .. }) => return Some(true),
                Some(State::Succeeded { .. }) => return Some(false),
                _ => self.wait_millis(500),
            }
        }
        None
    }

    pub(super) fn is_active(&self, no: EndpointNo) -> bool {
        self.webhooks[&no].is_active()
    }

    pub(super) fn pending(&self) -> usize {
        self.pending
    }

    pub(super) fn pending_of_active(&self) -> usize {
        let waits = self.due.iter().map(|(_, key)| key.endpoint).chain(self.backlog.keys().map(|(no, _)| *no));
        waits.filter(|no| self.is_active(*no)).count()
    }

    pub(super) fn events(&self) -> usize {
        self.events.len()
    }

    /// Every delivery has the entries that its state asks for, no other entry is there, and the number of pending ones is right.
    pub(super) fn check(&self) {
        let mut entries = BTreeMap::<DeliveryKey, Vec<QueuePosition>>::new();
        for (at, key) in &self.due {
            entries.entry(*key).or_default().push(QueuePosition::Due(*at));
        }
        for ((endpoint, number), event) in &self.backlog {
            let key = DeliveryKey { event: *event, endpoint: *endpoint };
            entries.entry(key).or_default().push(QueuePosition::Backlog(*number));
        }
        let mut pending = 0;
        for key in &self.alive {
            let found = entries.remove(key).unwrap_or_default();
            match self.rows.get(key).map(|delivery| delivery.state) {
                None => assert!(
                    found == [QueuePosition::Due(key.event.time())] || found == [QueuePosition::Backlog(key.event.0)],
                    "{key:?} has no row and waits at {found:?}"
                ),
                Some(State::Pending(position)) => assert_eq!(found, [position], "{key:?} is pending"),
                Some(ended) => assert_eq!(found, [], "{key:?} is {ended:?}"),
            }
            pending += usize::from(self.rows.get(key).is_none_or(Delivery::is_pending));
        }
        assert!(entries.is_empty(), "entries of no delivery: {entries:?}");
        let to_come = |fanout: &Fanout| fanout.left.iter().map(|no| DeliveryKey { event: fanout.event, endpoint: *no }).collect();
        let to_come: Vec<DeliveryKey> = self.fanouts.iter().flat_map::<Vec<_>, _>(to_come).collect();
        assert!(to_come.iter().all(|key| !self.alive.contains(key)), "a fan-out makes no delivery twice");
        assert_eq!(pending, self.pending, "pending");
        assert!(self.webhooks.values().all(|webhook| !webhook.is_active() || webhook.failures < FAILURES_MAX));
    }

    // How it applies what the rules return.

    fn entry(&self, no: EndpointNo) -> Option<&Endpoint> {
        self.webhooks.get(&no).filter(|webhook| !webhook.is_deleted())
    }

    fn next_key(&mut self) -> EventKey {
        self.last_key = EventKey::next(self.last_key, self.now);
        self.last_key
    }

    fn is_purged(&self, key: DeliveryKey) -> bool {
        waiting::is_purged(key.event, self.purges.get(&key.endpoint).copied())
    }

    /// One of all deliveries, as it stands.
    fn delivery(&self, number: usize) -> Option<Delivery> {
        let key = *self.alive.iter().nth(number.checked_rem(self.alive.len())?)?;
        let published = |position| Delivery::published(key, position);
        self.rows.get(&key).cloned().or_else(|| self.position_without_row(key).map(published))
    }

    fn position_without_row(&self, key: DeliveryKey) -> Option<QueuePosition> {
        let positions = [QueuePosition::Due(key.event.time()), QueuePosition::Backlog(key.event.0)];
        positions.into_iter().find(|position| self.stands(key, *position))
    }

    fn stands(&self, key: DeliveryKey, position: QueuePosition) -> bool {
        match position {
            QueuePosition::Due(at) => self.due.contains(&(at, key)),
            QueuePosition::Backlog(number) => self.backlog.get(&(key.endpoint, number)) == Some(&key.event),
        }
    }

    fn take_entry(&mut self, key: DeliveryKey, position: QueuePosition) -> bool {
        match position {
            QueuePosition::Due(at) => self.due.remove(&(at, key)),
            QueuePosition::Backlog(number) => self.backlog.remove(&(key.endpoint, number)).is_some(),
        }
    }

    fn put_due(&mut self, key: DeliveryKey, at: Timestamp) {
        self.due.insert((at, key));
        self.memory.fired.remove(&(at, key));
    }

    fn put_backlog(&mut self, key: DeliveryKey, number: u64) {
        self.backlog.insert((key.endpoint, number), key.event);
        self.memory.read_up_to.entry(key.endpoint).or_default();
    }

    /// Takes a permit for the webhook's queue, when there is one.
    fn has_room(&self, no: EndpointNo) -> bool {
        self.memory.queued.iter().filter(|queued| queued.key.endpoint == no).count() < PERMITS
    }

    fn queue(&mut self, key: DeliveryKey, position: QueuePosition) {
        if let QueuePosition::Due(at) = position {
            self.memory.fired.insert((at, key));
        }
        let is_first = !self.rows.contains_key(&key);
        self.memory.queued.push(Queued { key, position, is_first });
    }

    fn place_new(&mut self, key: DeliveryKey) {
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

    fn park_without_row(&mut self, key: DeliveryKey) {
        match waiting::park_without_row(key.event, self.memory.read_up_to.get(&key.endpoint).copied()) {
            Parked::UnderEvent => self.put_backlog(key, key.event.0),
            Parked::Numbered => {
                let parked = self.park(Delivery::published(key, QueuePosition::Backlog(0)));
                self.rows.insert(key, parked);
            }
        }
    }

    fn park(&mut self, delivery: Delivery) -> Delivery {
        let number = self.next_key().0;
        self.put_backlog(delivery.key, number);
        delivery.placed(QueuePosition::Backlog(number))
    }

    fn wait(&mut self, delivery: Delivery, wait: Wait) -> Delivery {
        match wait {
            Wait::Due(at) => {
                self.put_due(delivery.key, at);
                delivery.placed(QueuePosition::Due(at))
            }
            Wait::Backlog => self.park(delivery),
        }
    }

    fn restart_delivery(&mut self, Restarted { taken, delivery, at, joins_pending }: Restarted) {
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

    fn stop(&mut self, Stopped { taken, delivery }: Stopped) {
        taken.map(|position| self.take_entry(delivery.key, position));
        self.leaves_pending(&delivery);
        self.rows.insert(delivery.key, delivery);
    }

    fn leaves_pending(&mut self, delivery: &Delivery) {
        self.pending -= 1;
        self.memory.tests.remove(&delivery.key);
        if let Some(at) = retention::revisit(delivery, self.swept, RETENTION) {
            self.revisits.insert((at, delivery.key.event));
        }
    }

    fn take_attempted(&mut self, key: DeliveryKey, position: QueuePosition, is_first: bool) -> Option<Delivery> {
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

    fn change(&mut self, no: EndpointNo, rule: impl FnOnce(&Endpoint, Timestamp) -> Option<Endpoint>) {
        let changed = self.entry(no).and_then(|webhook| rule(webhook, self.now));
        if let Some(webhook) = changed {
            self.set_webhook(webhook);
        }
    }

    fn set_webhook(&mut self, webhook: Endpoint) {
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

    fn stopped(&mut self, no: EndpointNo, ends_tests: bool) {
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

    // Work in slices.

    fn start_job(&mut self, endpoint: EndpointNo, job: Job) {
        let running = self.jobs.iter().position(|running| running.endpoint == endpoint).and_then(|at| self.jobs.remove(at));
        let job = running.map_or(job, |running| running.job.joined(job));
        if job.purged > 0 {
            self.purges.insert(endpoint, EventKey(job.purged));
        }
        self.jobs.push_back(Running { endpoint, job, after: None, is_due_walked: false });
    }

    fn fan(&mut self) {
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

    fn work(&mut self) {
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
    fn walk(&mut self, running: &mut Running) -> bool {
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

    fn walk_backlog(&mut self, running: &mut Running) -> bool {
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

    fn resolve(&mut self, key: DeliveryKey, position: QueuePosition, fate: Fate) {
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

    fn park_again(&mut self, delivery: Delivery, has_row: bool) {
        if !has_row {
            return self.park_without_row(delivery.key);
        }
        let parked = self.park(delivery);
        self.rows.insert(parked.key, parked);
    }

    fn fire(&mut self) {
        let due: Vec<_> =
            self.due.range(..=(self.now, LAST)).filter(|entry| !self.memory.fired.contains(*entry)).copied().collect();
        for (at, key) in due {
            self.memory.fired.insert((at, key));
            self.fall_due(at, key);
        }
    }

    fn fall_due(&mut self, at: Timestamp, key: DeliveryKey) {
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

    fn refill(&mut self, no: EndpointNo) {
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

    // Retention.

    fn expire_held(&mut self) {
        let oldest = retention::oldest_kept(RETENTION, self.now);
        let is_held = |no: &EndpointNo| !self.is_active(*no);
        let held = self.backlog.iter().filter(|((no, number), _)| is_held(no) && *number <= oldest.0);
        let held: Vec<_> = held.map(|((no, number), event)| (*no, *number, *event)).collect();
        for (endpoint, number, event) in held {
            let (key, position) = (DeliveryKey { event, endpoint }, QueuePosition::Backlog(number));
            let delivery = self.rows.get(&key).cloned().unwrap_or_else(|| Delivery::published(key, position));
            self.stop(resend::stopped(delivery.placed(position), End::Expired, self.now));
        }
    }

    fn look_at_all(&mut self, up_to: EventKey, removal: Removal) {
        let came: Vec<_> = self.events.keys().copied().filter(|event| *event > self.swept && *event <= up_to).collect();
        for event in came {
            self.look_again(event, removal);
            self.swept = event;
        }
    }

    fn look_again(&mut self, event: EventKey, removal: Removal) {
        let Some(kept) = self.events.get(&event).copied() else { return };
        let rows: Vec<_> = self.rows.values().filter(|delivery| delivery.key.event == event).cloned().collect();
        let ages = Ages { event: RETENTION, of: |_| RETENTION };
        let looked = retention::look(event, kept, rows, |_| false, removal, &ages, self.now);
        for delivery in &looked.go {
            self.rows.remove(&delivery.key);
            self.alive.remove(&delivery.key);
        }
        match looked.then {
            Then::Forget => drop(self.events.remove(&event)),
            Then::LookAgain(at) => {
                assert!(at > self.now, "a look that is due at once would never end");
                self.events.insert(event, Kept { removed: looked.removed, ..kept });
                self.revisits.insert((at, event));
            }
        }
    }
}

/// Sorts behind every delivery.
const LAST: DeliveryKey = DeliveryKey { event: EventKey::MAX, endpoint: EndpointNo(u32::MAX) };

/// Longer than any schedule of the fixture.
const RETENTION: Duration = Duration::from_secs(86_400);

/// Deliveries of one webhook that may wait in memory.
const PERMITS: usize = 2;

/// Entries that a job changes in one slice.
const SLICE: usize = 2;

/// Of half a second each: far more than all schedules of a history take.
const ROUNDS_MAX: usize = 4_000;

/// Failures in a row that disable a webhook of the fixture.
const FAILURES_MAX: u32 = 10;
