//! An ordered webhook, a receiver that fails one of twenty requests, and a service that is killed again and again: ten thousand events
//! arrive in the order in which they were published.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use super::draw::Draw;
use crate::clock::{Clock, Hands};
use crate::config::dialect;
use crate::config::fault::Faults;
use crate::deliver::queues::{HealthSignal, Limits as QueueLimits, Queues};
use crate::domain::delivery::outcome::{Outcome, Response};
use crate::domain::delivery::retry::{Policy, Retry};
use crate::domain::delivery::{Cause, State};
use crate::domain::dialect::Dialect;
use crate::domain::headers::Headers;
use crate::domain::id::{EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Definition;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::{Setting, WebhookSettings};
use crate::store::stepped::Stepped;
use crate::store::{
    Accepted, Begin, DesiredState, FileWebhook, Finished, Limits, Machine, Medium, Options, Owned, Power, Publication, Ready,
    Refusal, Surge,
};

/// How many events are published.
const EVENTS: usize = 10_000;

/// Of a thousand steps so many are the last of a process.
const KILLS: u64 = 3;

#[test]
fn ten_thousand_events_arrive_in_order_through_failures_and_restarts() {
    let mut stage = Stage::new(7, 0);
    while !stage.is_quiet {
        stage.live();
        assert!(stage.lives < 1_000 && stage.sent.len() < 2 * EVENTS, "what is published does not end");
    }
    assert!(stage.lives > 10 && stage.failures > EVENTS / 40, "{} lives, {} failures", stage.lives, stage.failures);
    let in_order = stage.sent.windows(2).all(|pair| pair[0] <= pair[1]);
    assert!(in_order, "each is sent again only until the next");
    let ended: BTreeSet<EventKey> = stage.sent.iter().copied().collect();
    assert!(stage.answered.is_subset(&ended), "what was answered is sent");
    assert!(stage.answered.len() >= EVENTS);
}

/// The fan-out of the first event reaches the ordered webhook some batches after the second event was published.
#[test]
fn an_event_that_is_still_fanned_out_is_not_overtaken() {
    let mut stage = Stage::new(1, 2_100);
    let mut life = stage.start();
    stage.ask(&mut life, ["wide.news", "a.b", "wide.news", "a.b", "a.b"]);
    stage.turn(&mut life);
    assert!(stage.sent.is_empty() && stage.answered.len() == 5, "the first is on its way");
    while life.stepped.store.health().pending > 0 || stage.sent.is_empty() {
        stage.turn(&mut life);
    }
    stage.sent.dedup();
    assert_eq!(stage.sent, stage.answered.iter().copied().collect::<Vec<_>>());
}

struct Stage {
    draw: Draw,
    hands: Arc<Hands>,
    power: Arc<Power>,
    folder: tempfile::TempDir,
    dialect: Arc<Dialect>,
    /// The events that publishers were answered.
    answered: BTreeSet<EventKey>,
    /// The event of each request, in the order in which they were sent.
    sent: Vec<EventKey>,
    failures: usize,
    lives: usize,
    /// How many webhooks there are besides, which get the wide events alone.
    others: usize,
    /// Whether all is published and nothing waits any more.
    is_quiet: bool,
}

/// A call that waits for its answer.
type Asked = std::pin::Pin<Box<dyn Future<Output = Vec<Result<Accepted, Refusal>>>>>;

/// One process of the service.
struct Life {
    /// The ordered webhook.
    ordered: EndpointNo,
    stepped: Stepped,
    queues: Queues<()>,
    asked: Vec<Asked>,
}

impl Stage {
    fn new(seed: u64, others: usize) -> Self {
        let standard = dialect::read_all(Vec::new(), &mut Faults::default()).remove("standard").expect("compiled in");
        let retry = Retry { policy: Policy::Schedule(vec![Duration::from_secs(2); 3]), jitter: 0.2 };
        Self {
            draw: Draw::new(seed),
            hands: Hands::at(Timestamp::from_secs(1_780_000_000)),
            power: Arc::default(),
            folder: super::world::folder(),
            dialect: Arc::new(Dialect { retry, ..Dialect::clone(&standard) }),
            answered: BTreeSet::new(),
            sent: Vec::new(),
            failures: 0,
            lives: 0,
            others,
            is_quiet: false,
        }
    }

    /// The life of one process, until it is killed or nothing is left to do.
    fn live(&mut self) {
        self.lives += 1;
        let mut life = self.start();
        while !self.draw.chance(KILLS) && self.sent.len() < 2 * EVENTS {
            self.publish(&mut life);
            self.turn(&mut life);
            if self.answered.len() >= EVENTS && life.stepped.store.health().pending == 0 {
                self.is_quiet = true;
                return;
            }
        }
        self.power.fail();
        drop(life);
        let surge = self.draw.pick(&[Surge::Keeps, Surge::Loses, Surge::Tears]);
        let draw = &mut self.draw;
        self.power.restore(surge, |below| draw.below(below)).expect("files in memory");
    }

    fn start(&mut self) -> Life {
        let limits = Limits {
            retention: Duration::from_secs(1 << 20),
            max_bytes: 1 << 40,
            memory: 64 << 20,
            audit_retention: Duration::from_secs(1 << 20),
            connection_idle: Duration::from_secs(3_600),
        };
        let machine = Machine { clock: Clock::of(self.hands.clone()), medium: Medium::powered_by(self.power.clone()) };
        let (path, standard) = (self.folder.path().join("store"), self.dialect.clone());
        let options = Options { path, credentials: None, limits, standard, machine };
        let stepped = Stepped::open(&options, self.draw.bits()).expect("the store opens");
        let queues = Queues::new(QueueLimits { in_flight: 16, per_endpoint: 8, kept: 0 });
        let mut life = Life { ordered: EndpointNo(0), queues, stepped, asked: Vec::new() };
        let (store, file) = (life.stepped.store.clone(), self.file());
        let mut sync = Box::pin(async move { store.by_test().sync(file).await.expect("a config that is right") });
        loop {
            if let Poll::Ready(made) = sync.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                life.ordered = made.last().expect("the file names it").no;
                return life;
            }
            self.turn(&mut life);
        }
    }

    fn file(&self) -> DesiredState {
        let others = (0..self.others).map(|number| webhook(format!("other{number}"), "wide.*", false));
        DesiredState {
            dialects: vec![("shop".into(), self.dialect.clone())],
            tenants: vec![owned()],
            webhooks: others.chain([webhook("ordered".into(), "*", true)]).collect(),
            ..DesiredState::default()
        }
    }

    /// Some events in one call, now and then, until there are enough.
    fn publish(&mut self, life: &mut Life) {
        if self.answered.len() >= EVENTS || !self.draw.chance(60) {
            return;
        }
        let count = self.draw.between(1, 120);
        self.ask(life, (0..count).map(|_| "a.b"));
    }

    /// Asks for events of these types to be published, in one call.
    fn ask(&self, life: &mut Life, kinds: impl IntoIterator<Item = &'static str>) {
        let one = |kind| Publication::of_type_and_data("shop".into(), "acme".into(), self.dialect.clone(), kind, "1".into());
        let all: Vec<Publication> = kinds.into_iter().map(one).collect();
        let store = life.stepped.store.clone();
        let mut asked: Asked = Box::pin(async move { store.accept(all).await });
        assert!(asked.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        life.asked.push(asked);
    }

    /// A turn of the writer, the answers that it gives, and the attempts that it leads to.
    fn turn(&mut self, life: &mut Life) {
        if !life.stepped.is_asked() {
            let clock = Clock::of(self.hands.clone());
            self.hands.advance(life.stepped.wake_at().saturating_duration_since(clock.steady()));
        }
        let committed = life.stepped.turn().expect("the power is on");
        committed.into_iter().for_each(|committed| life.queues.take_over(committed));
        self.hands.advance(Duration::from_micros(200));
        if Stepped::has_checkpoint() && self.draw.chance(100) {
            Stepped::make_checkpoint();
        }
        let node = life.stepped.store.node();
        life.asked.retain_mut(|asked| match asked.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => true,
            Poll::Ready(all) => {
                self.answered.extend(all.iter().flatten().filter_map(|accepted| node.event_key(&accepted.id)));
                false
            }
        });
        self.attempt_all(life);
    }

    fn attempt_all(&mut self, life: &mut Life) {
        let steady = Clock::of(self.hands.clone()).steady();
        while let Some(start) = life.queues.start(steady) {
            let mut next = Some(start.ready);
            while let Some(ready) = next {
                let key = ready.key;
                self.attempt(life, ready);
                next = life.queues.finish(key, HealthSignal::Good, steady);
            }
        }
        life.queues.refills().into_iter().for_each(|no| life.stepped.store.refill(no));
        life.queues.rechecks().into_iter().for_each(|ready| life.stepped.store.recheck(ready));
    }

    /// Sends a request, of which one in twenty fails.
    fn attempt(&mut self, life: &Life, ready: Ready) {
        let Begin::Now(begun) = life.stepped.reader().begin(&ready, None).expect("a whole store") else { return };
        assert_eq!(begun.delivery.run.cause, Cause::Publish);
        assert!(matches!(begun.delivery.state, State::Pending(_)));
        ready.permit.release();
        let is_ordered = ready.key.endpoint == life.ordered;
        let has_failed = is_ordered && self.draw.chance(50);
        self.failures += usize::from(has_failed);
        self.sent.extend(is_ordered.then_some(ready.key.event));
        let status = if has_failed { 500 } else { 200 };
        let response = Response { status, headers: Headers::default(), body: "ok".into(), truncated: false, body_error: None };
        let now = life.stepped.store.now();
        life.stepped.store.finish(Finished {
            key: ready.key,
            position: ready.position,
            first: ready.known.is_some(),
            trigger: begun.delivery.trigger(),
            started_at: now,
            ended_at: now,
            url: "https://example.com/".into(),
            request_headers: Headers::default(),
            outcome: Outcome { result: Ok(response), duration: Duration::from_millis(1) },
            _room: None,
        });
    }
}

fn webhook(name: String, events: &str, is_ordered: bool) -> FileWebhook {
    let definition = Definition {
        name: name.into(),
        description: "".into(),
        url: "https://example.com/".into(),
        events: vec![Pattern::parse(events).expect("a pattern")],
        settings: WebhookSettings::none().with(&[Setting::Ordered(is_ordered)]),
    };
    let secret = Some(Secret::new("whsec_drawn"));
    FileWebhook { owned: owned(), definition, secret: None, fresh_secret: secret, overlap: Duration::ZERO }
}

fn owned() -> Owned {
    Owned { provider: "shop".into(), tenant: "acme".into() }
}
