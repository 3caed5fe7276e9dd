//! A day of steady load with a short retention, on virtual time: the store's file must stay as large as it is after its first hours.
//!
//! `HOOKWHEEL_SIM_RATE=N` publishes N events a second instead of the few of a usual test run.

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
use crate::domain::delivery::Trigger;
use crate::domain::dialect::Dialect;
use crate::domain::headers::Headers;
use crate::domain::time::Timestamp;
use crate::domain::webhook::secret::Secret;
use crate::store::stepped::Stepped;
use crate::store::{DesiredState, FileWebhook, Finished, Limits, Machine, Medium, Options, Publication, Ready};

const VARIABLE: &str = "HOOKWHEEL_SIM_RATE";

/// Events a second of a test run that is not told how many.
const RATE: u64 = 1;

const HOURS: usize = 24;
const RETENTION: Duration = Duration::from_secs(3_600);

/// Virtual time between two calls that publish.
const STEP: Duration = Duration::from_secs(20);

/// Hours after which the file has its size.
const FIRST_HOURS: usize = 4;

#[test]
fn a_day_of_steady_load_leaves_the_file_as_large_as_its_first_hours() {
    let rate = std::env::var(VARIABLE).map_or(RATE, |text| text.parse().expect("a number of events a second"));
    let sizes = Day::new().live(rate);
    let later = &sizes[FIRST_HOURS..];
    let (least, most) = (later.iter().min().expect("hours"), later.iter().max().expect("hours"));
    assert!(*least > rate * RETENTION.as_secs() * 100, "hardly anything is kept: {sizes:?}");
    assert!(most * 10 <= least * 11, "the file grows by more than a tenth: {sizes:?}");
}

/// One day of one store.
struct Day {
    draw: Draw,
    hands: Arc<Hands>,
    folder: TempDir,
    dialect: Arc<Dialect>,
    queues: Queues<()>,
    stepped: Stepped,
    published: u64,
}

impl Day {
    fn new() -> Self {
        let (folder, hands) = (folder(), Hands::at(Timestamp::from_secs(1_780_000_000)));
        let dialect = dialects()[0].clone();
        let limits = Limits {
            retention: RETENTION,
            audit_retention: RETENTION,
            max_bytes: 1 << 40,
            memory: 256 << 20,
            connection_idle: RETENTION,
        };
        let machine = Machine { clock: Clock::of(hands.clone()), medium: Medium::default() };
        let options =
            Options { path: folder.path().join("store"), credentials: None, limits, standard: dialect.clone(), machine };
        let stepped = Stepped::open(&options, 1).expect("a store");
        let queues = Queues::new(queues::Limits { in_flight: 4_096, per_endpoint: 4_096, kept: 0 });
        let mut day = Self { draw: Draw::new(1), hands, folder, dialect, queues, stepped, published: 0 };
        let desired = day.config();
        let store = day.stepped.store.clone();
        day.ask(Question::Sync(Vec::new()), async move { Answer::Hooks(store.by_test().sync(desired).await) });
        day
    }

    /// Two webhooks that get all events.
    fn config(&self) -> DesiredState {
        let webhooks = ["first", "second"].map(|name| FileWebhook {
            owned: owned(0, 0),
            definition: definition(&NewHook { provider: 0, tenant: 0, name: name.into(), kinds: &["*"], is_ordered: false }),
            secret: None,
            fresh_secret: Some(Secret::new("whsec_drawn")),
            overlap: Duration::ZERO,
        });
        DesiredState {
            dialects: [(provider(0).into(), self.dialect.clone())].into(),
            tenants: [owned(0, 0)].into(),
            webhooks: webhooks.into(),
            ..DesiredState::default()
        }
    }

    /// Lives through the day, and returns the length of the store's file at the end of each hour.
    fn live(mut self, rate: u64) -> Vec<u64> {
        let steps = 3_600 / STEP.as_secs();
        let mut hour = || {
            (0..steps).for_each(|_| self.publish(rate * STEP.as_secs()));
            std::fs::metadata(self.folder.path().join("store")).expect("the store's file").len()
        };
        (0..HOURS).map(|_| hour()).collect()
    }

    /// Publishes so many events at once, lets them be delivered, and lets a step of time pass.
    fn publish(&mut self, count: u64) {
        let all: Vec<Publication> = (0..count).map(|_| self.publication()).collect();
        let store = self.stepped.store.clone();
        let answer = self.ask(Question::Publish(Vec::new()), async move { Answer::Published(store.accept(all).await) });
        let Answer::Published(results) = answer else { unreachable!("events were published") };
        results.into_iter().for_each(|result| assert_eq!(result.expect("accepted").deliveries, 2));
        // The service looks every two seconds. Without a look the room only shrinks by what is taken in.
        self.stepped.store.look_at_disk().expect("a look at the disk");
        self.hands.advance(STEP);
    }

    fn publication(&mut self) -> Publication {
        self.published += 1;
        let text = "x".repeat(usize::try_from(self.draw.below(700)).expect("a short text"));
        let data = format!(r#"{{"n":{},"text":"{text}"}}"#, self.published);
        let (of, to) = (provider(0), tenant(0));
        Publication::of_type_and_data((&*of).into(), (&*to).into(), self.dialect.clone(), "order.paid", data.into())
    }

    /// Asks, and goes on until nothing is left to do for now.
    fn ask(&mut self, what: Question, answer: impl Future<Output = Answer> + 'static) -> Answer {
        let mut asked = Asked::new(what, answer);
        let early = asked.look();
        debug_assert!(early.is_none(), "the writer has not turned yet");
        while self.stepped.is_asked() || self.stepped.wake_at() <= self.clock().steady() {
            self.turn();
        }
        asked.look().expect("all was answered")
    }

    /// One turn of the writer, and the attempts that follow from it.
    fn turn(&mut self) {
        let committed = self.stepped.turn().expect("a turn");
        committed.into_iter().for_each(|committed| self.queues.take_over(committed));
        self.hands.advance(Duration::from_millis(1));
        while let Some(start) = self.queues.start(self.clock().steady()) {
            self.attempt(start.ready);
        }
        self.queues.refills().into_iter().for_each(|no| self.stepped.store.refill(no));
        self.queues.rechecks().into_iter().for_each(|ready| self.stepped.store.recheck(ready));
        if Stepped::has_checkpoint() {
            Stepped::make_checkpoint();
        }
    }

    /// An attempt that ends at once; some fail, and come again.
    fn attempt(&mut self, ready: Ready) {
        ready.permit.release();
        let mood = if self.draw.chance(20) { Mood::Status(503) } else { Mood::Good };
        let outcome = mood.answer(&mut self.draw, self.dialect.delivery.timeout);
        let signal = HealthSignal::from_outcome(&outcome, &self.dialect);
        let now = self.stepped.store.now();
        self.stepped.store.finish(Finished {
            key: ready.key,
            position: ready.position,
            first: ready.known.is_some(),
            trigger: Trigger::Schedule,
            started_at: now,
            ended_at: now,
            url: "https://example.com/".into(),
            request_headers: Headers::default(),
            outcome,
            _room: None,
        });
        if let Some(next) = self.queues.finish(ready.key, signal, self.clock().steady()) {
            self.attempt(next);
        }
    }

    fn clock(&self) -> Clock {
        Clock::of(self.hands.clone())
    }
}
