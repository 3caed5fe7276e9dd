//! A tenant is deleted while events come and the service is killed again and again: from the answer on nothing is sent for it, in the
//! end nothing is kept of it, and another tenant loses nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::dialects::{dialects, provider, tenant};
use super::draw::Draw;
use super::process::{Answer, Asked, NewHook, Question};
use super::publishers::{definition, owned};
use super::receivers::Mood;
use super::world::folder;
use crate::clock::{Clock, Hands};
use crate::deliver::queues::{self, HealthSignal, Queues};
use crate::domain::dialect::Dialect;
use crate::domain::headers::Headers;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Owner;
use crate::domain::webhook::secret::Secret;
use crate::store::stepped::Stepped;
use crate::store::{self, Begin, Finished, Limits, Machine, Medium, NewWebhook, Options, Power, Publication, Ready, Surge};

const SEEDS: u64 = 12;

/// The numbers of the tenants.
const GONE: usize = 0;
const STAYS: usize = 1;

#[test]
fn a_tenant_that_is_deleted_through_crashes_leaves_nothing_and_takes_nothing_of_others() {
    let lives: usize = (0..SEEDS).map(|seed| Stage::new(seed).play()).sum();
    assert!(lives as u64 > 3 * SEEDS, "{lives} lives are too few crashes");
}

struct Stage {
    seed: u64,
    draw: Draw,
    hands: Arc<Hands>,
    power: Arc<Power>,
    folder: TempDir,
    dialect: Arc<Dialect>,
    stepped: Option<Stepped>,
    queues: Queues<()>,
    lives: usize,
    /// The webhooks of each tenant.
    hooks: [Vec<EndpointNo>; 2],
    /// The events that were answered, by the tenant whose they are.
    events: BTreeMap<usize, BTreeSet<EventKey>>,
    /// Whether the deletion was answered, or was seen to have begun.
    is_deleting: bool,
}

impl Stage {
    fn new(seed: u64) -> Self {
        let queues = Queues::new(queues::Limits { in_flight: 8, per_endpoint: 4, kept: 0 });
        Self {
            seed,
            draw: Draw::new(seed),
            hands: Hands::at(Timestamp::from_secs(1_780_000_000)),
            power: Arc::default(),
            folder: folder(),
            dialect: dialects()[0].clone(),
            stepped: None,
            queues,
            lives: 0,
            hooks: Default::default(),
            events: BTreeMap::new(),
            is_deleting: false,
        }
    }

    /// Plays one seed, and returns how many lives the service had.
    fn play(mut self) -> usize {
        self.start();
        for number in [GONE, STAYS] {
            self.hooks[number] = (0..2).map(|count| self.create(number, count)).collect();
        }
        for _ in 0..60 {
            let number = self.draw.pick(&[GONE, GONE, STAYS]);
            self.publish(number);
            self.crash_sometimes();
        }
        while !self.is_deleting {
            self.delete();
        }
        while self.is_there() {
            assert!(self.lives < 200, "seed {}: the deletion does not end", self.seed);
            self.publish(STAYS);
            self.hands.advance(Duration::from_secs(1));
            self.crash_sometimes();
        }
        self.look_at_what_is_left();
        // The name is free again, and what was deleted under it does not come back.
        self.is_deleting = false;
        self.hooks[GONE] = vec![self.create(GONE, 0)];
        self.events.remove(&GONE);
        self.publish(GONE);
        self.look_at_kept(GONE);
        self.stepped.take().expect("it lives").close().expect("it closes");
        self.check();
        self.lives
    }

    fn start(&mut self) {
        self.lives += 1;
        let limits = Limits {
            retention: Duration::from_secs(1 << 20),
            max_bytes: 1 << 40,
            memory: 64 << 20,
            audit_retention: Duration::from_secs(1 << 20),
            connection_idle: Duration::from_secs(1 << 20),
        };
        let machine = Machine { clock: Clock::of(self.hands.clone()), medium: Medium::powered_by(self.power.clone()) };
        let (path, standard) = (self.folder.path().join("store"), self.dialect.clone());
        let options = Options { path, credentials: None, limits, standard, machine };
        self.queues = Queues::new(queues::Limits { in_flight: 8, per_endpoint: 4, kept: 0 });
        self.stepped = Some(Stepped::open(&options, self.draw.bits()).expect("the store opens"));
        let is_at_work = !self.hooks[GONE].is_empty() && self.store().webhooks(&owned(0, GONE), EndpointNo(0), 10).is_empty();
        self.is_deleting |= is_at_work;
    }

    fn crash_sometimes(&mut self) {
        if !self.draw.chance(60) {
            return;
        }
        self.power.fail();
        drop(self.stepped.take());
        let surge = self.draw.pick(&[Surge::Keeps, Surge::Loses, Surge::Tears]);
        let draw = &mut self.draw;
        self.power.restore(surge, |below| draw.below(below)).expect("files in memory");
        self.start();
    }

    fn create(&mut self, number: usize, count: usize) -> EndpointNo {
        let name = format!("{}-{count}", tenant(number)).into();
        let new = NewHook { provider: 0, tenant: number, name, kinds: &["*"], is_ordered: false };
        let asked = NewWebhook {
            owned: owned(0, number),
            definition: definition(&new),
            owner: Owner::Operator,
            secret: Some(Secret::new("whsec_made")),
            limit: 0,
            file_keys: Vec::new(),
            restores: true,
        };
        let store = self.store();
        match self.ask(Question::Create(new), async move { Answer::Hook(store.by_test().create_webhook(asked).await) }) {
            Answer::Hook(Ok(endpoint)) => endpoint.no,
            _ => panic!("seed {}: no webhook is made", self.seed),
        }
    }

    /// Publishes some events for a tenant, each under an id and a key of its own.
    fn publish(&mut self, number: usize) {
        let (of, to, count) = (provider(0), tenant(number), self.draw.between(1, 8));
        let all = (0..count).map(|_| {
            let text = format!("{:x}", self.draw.bits());
            let plain =
                Publication::of_type_and_data((&*of).into(), (&*to).into(), self.dialect.clone(), "order.paid", "1".into());
            Publication { id: Some(text.as_str().into()), idempotency_key: Some(text.into()), ..plain }
        });
        let all: Vec<Publication> = all.collect();
        let ids: Vec<Box<str>> = all.iter().filter_map(|one| one.id.clone()).collect();
        let store = self.store();
        let answer = self.ask(Question::Publish(Vec::new()), async move { Answer::Published(store.accept(all).await) });
        let Answer::Published(results) = answer else { unreachable!("events were published") };
        for (id, accepted) in ids.iter().zip(results) {
            assert_eq!(accepted.expect("there is room").deliveries as usize, self.hooks[number].len());
            let found = self.process().reader().event_by_id(&[owned(0, number)], id).expect("a whole store");
            self.events.entry(number).or_default().insert(found.expect("it was answered").key);
        }
    }

    /// Asks for the deletion. The power may fail before it is answered: then it has begun, or has not.
    fn delete(&mut self) {
        if self.draw.chance(500) {
            let steps = self.draw.below(6);
            self.power.fail_after(steps);
        }
        let store = self.store();
        let mut asked = Asked::new(Question::Sync(Vec::new()), async move {
            Answer::Done(store.by_test().delete_tenant(owned(0, GONE)).await.map(drop))
        });
        assert!(asked.look().is_none(), "the writer has not turned yet");
        let turned = self.process().turn().map(drop);
        match (turned, asked.look()) {
            (_, Some(Answer::Done(Ok(())))) => self.is_deleting = true,
            (Err(_), _) => {}
            _ => panic!("seed {}: the deletion is denied", self.seed),
        }
        // It holds the store.
        drop(asked);
        if self.power.is_off() {
            drop(self.stepped.take());
            let draw = &mut self.draw;
            self.power.restore(Surge::Tears, |below| draw.below(below)).expect("files in memory");
            self.start();
        } else {
            self.power.fail_after(u64::MAX / 2);
        }
    }

    /// Whether anything says that the tenant is there.
    fn is_there(&mut self) -> bool {
        let found = self.process().reader().tenant(&owned(0, GONE)).expect("a whole store");
        found.is_some() || self.store().has_tenant(&provider(0), &tenant(GONE))
    }

    fn look_at_what_is_left(&mut self) {
        let seed = self.seed;
        for event in self.events.get(&GONE).cloned().unwrap_or_default() {
            for endpoint in self.hooks[GONE].clone() {
                let found = self.process().reader().delivery_by_key(DeliveryKey { event, endpoint }).expect("a whole store");
                assert!(found.is_none(), "seed {seed}: a delivery of the deleted tenant is kept: {found:?}");
            }
        }
        let events = self.store().health().events;
        let expected = self.events.get(&STAYS).map_or(0, BTreeSet::len);
        assert_eq!(events, expected as u64, "seed {seed}: events that are kept");
        self.look_at_kept(STAYS);
    }

    /// All that was answered for a tenant is there.
    fn look_at_kept(&mut self, number: usize) {
        for event in self.events.get(&number).cloned().unwrap_or_default() {
            for endpoint in self.hooks[number].clone() {
                let found = self.process().reader().delivery_by_key(DeliveryKey { event, endpoint }).expect("a whole store");
                assert!(found.is_some(), "seed {}: a delivery of tenant {number} is lost", self.seed);
            }
        }
    }

    /// Asks, and goes on until nothing is left to do for now.
    fn ask(&mut self, what: Question, answer: impl Future<Output = Answer> + 'static) -> Answer {
        let mut asked = Asked::new(what, answer);
        assert!(asked.look().is_none(), "the writer has not turned yet");
        let mut answered = None;
        while answered.is_none() || self.process().is_asked() {
            self.turn();
            answered = answered.or_else(|| asked.look());
        }
        answered.expect("it was looked for above")
    }

    /// One turn of the writer, and the attempts that follow from it.
    fn turn(&mut self) {
        let committed = self.process().turn().expect("the power is on");
        committed.into_iter().for_each(|committed| self.queues.take_over(committed));
        self.hands.advance(Duration::from_millis(5));
        while let Some(start) = self.queues.start(self.steady()) {
            let mut next = Some(start.ready);
            while let Some(ready) = next {
                let key = ready.key;
                let signal = self.attempt(ready);
                next = self.queues.finish(key, signal, self.steady());
            }
        }
        let (refills, rechecks) = (self.queues.refills(), self.queues.rechecks());
        let store = self.store();
        refills.into_iter().for_each(|no| store.refill(no));
        rechecks.into_iter().for_each(|ready| store.recheck(ready));
        if Stepped::has_checkpoint() && self.draw.chance(200) {
            Stepped::make_checkpoint();
        }
    }

    /// A request, of which some fail. None goes to a tenant that is deleted.
    fn attempt(&mut self, ready: Ready) -> HealthSignal {
        let Begin::Now(begun) = self.process().reader().begin(&ready, None).expect("a whole store") else {
            return HealthSignal::Neutral;
        };
        if !begun.endpoint.is_sent(begun.delivery.is_test()) {
            return HealthSignal::Neutral;
        }
        let is_theirs = self.hooks[GONE].contains(&ready.key.endpoint);
        assert!(!(self.is_deleting && is_theirs), "seed {}: {:?} is sent for a deleted tenant", self.seed, ready.key);
        ready.permit.release();
        let mood = if self.draw.chance(200) { Mood::Status(503) } else { Mood::Good };
        let outcome = mood.answer(&mut self.draw, self.dialect.delivery.timeout);
        let (signal, now) = (HealthSignal::from_outcome(&outcome, &self.dialect), self.store().now());
        self.store().finish(Finished {
            key: ready.key,
            position: ready.position,
            first: ready.known.is_some(),
            trigger: begun.delivery.trigger(),
            started_at: now,
            ended_at: now,
            url: "https://example.com/".into(),
            request_headers: Headers::default(),
            outcome,
            _room: None,
        });
        signal
    }

    fn check(&self) {
        let report = store::check(&self.folder.path().join("store")).expect("a store");
        assert!(report.is_clean(), "seed {}: {report}", self.seed);
    }

    fn process(&mut self) -> &mut Stepped {
        self.stepped.as_mut().expect("it lives")
    }

    fn store(&self) -> store::Store {
        self.stepped.as_ref().expect("it lives").store.clone()
    }

    fn steady(&self) -> std::time::Instant {
        Clock::of(self.hands.clone()).steady()
    }
}
