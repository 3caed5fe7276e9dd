//! A store that is a map: it reads what a rule needs and applies what the rule returns, as an engine does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use crate::domain::delivery::outcome::Outcome;
use crate::domain::delivery::{Delivery, QueuePosition, State};
use crate::domain::dialect::Dialect;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::endpoint::fixture::endpoint;
use crate::store::message::command::Purge;
use crate::store::record::Job;
use crate::store::rules::config_sync;
use crate::store::rules::fixture::dialect;
use crate::store::rules::outcome::{self, Facts};
use crate::store::rules::publish::{self, Spread};
use crate::store::rules::resend::{self, Missed};
use crate::store::rules::retention::{self, Kept, Removal};
use crate::store::rules::webhooks;

mod entries;
mod slices;
mod sweep;

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
