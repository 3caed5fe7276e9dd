//! Retentions of tenants: each keeps its own for as long as it says, a change counts for what stands, and nothing unfinished goes.

use std::collections::BTreeMap;
use std::task::{Context, Poll, Waker};

use crate::clock::{Clock, Hands};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::tenant::Profile;
use crate::store::stepped::Stepped;
use crate::store::tests::*;

const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// How long events are kept of tenants that say nothing.
const RETENTION: Duration = Duration::from_secs(10 * 86_400);

/// A store on virtual time, whose writer takes its turns when it is told to.
struct Shifted {
    stepped: Stepped,
    hands: Arc<Hands>,
    folder: TempDir,
    ready: Vec<Ready>,
}

impl Shifted {
    fn new() -> Self {
        let (hands, folder) = (Hands::at(Timestamp::from_secs(1_780_000_000)), tempfile::tempdir().unwrap());
        let mut shifted = Self::open(folder, hands);
        let file = DesiredState { dialects: vec![("shop".into(), standard())], ..DesiredState::default() };
        let store = shifted.store();
        shifted.ask(store.by_test().sync(file)).unwrap();
        shifted
    }

    fn open(folder: TempDir, hands: Arc<Hands>) -> Self {
        let stepped = Stepped::open(&timed(&path(folder.path()), &hands), 1).unwrap();
        Self { stepped, hands, folder, ready: Vec::new() }
    }

    fn store(&self) -> Store {
        self.stepped.store.clone()
    }

    /// Waits for an answer of the writer.
    fn ask<T>(&mut self, asked: impl Future<Output = T>) -> T {
        let mut asked = Box::pin(asked);
        let mut context = Context::from_waker(Waker::noop());
        for _ in 0..TURNS {
            match asked.as_mut().poll(&mut context) {
                Poll::Ready(answer) => return answer,
                Poll::Pending => self.turn(),
            }
        }
        panic!("the writer does not answer")
    }

    fn turn(&mut self) {
        let committed = self.stepped.turn().unwrap();
        self.hands.advance(Duration::from_millis(1));
        self.ready.extend(committed.into_iter().flat_map(|one| one.ready));
        if Stepped::has_checkpoint() {
            Stepped::make_checkpoint();
        }
    }

    fn keep(&mut self, tenant: &str, retention: Option<Duration>) {
        let profile = Profile { retention, ..Profile::default() };
        let (store, new) = (self.store(), NewTenant { owned: of(tenant), profile, restores: true });
        self.ask(store.by_test().describe_tenant(new)).unwrap();
    }

    fn create(&mut self, tenant: &str) -> EndpointNo {
        let (store, definition) = (self.store(), definition("all", "*"));
        let (owner, secret, file_keys) = (Owner::Operator, None, Vec::new());
        let new = NewWebhook { owned: of(tenant), definition, owner, secret, limit: 0, file_keys, restores: true };
        self.ask(store.by_test().create_webhook(new)).unwrap().no
    }

    /// Publishes an event for a tenant, or for all; the key of it.
    fn publish(&mut self, tenant: Option<&str>, kind: &str) -> EventKey {
        let publication = Publication::of_type_and_data("shop".into(), "x".into(), standard(), kind, "1".to_owned().into());
        let publication = Publication { tenant: tenant.map(Into::into), ..publication };
        let store = self.store();
        let accepted = self.ask(store.accept_one(publication)).unwrap();
        store.node().event_key(&accepted.id).unwrap()
    }

    /// Ends the attempts that are due with this status, those that `wanted` says.
    fn finish(&mut self, status: u16, mut wanted: impl FnMut(EventKey) -> bool) {
        let at = self.stepped.store.now();
        let ready: Vec<Ready> = self.ready.drain(..).filter(|one| wanted(one.key.event)).collect();
        for one in ready {
            let response = Response { status, headers: Headers::default(), body: "".into(), truncated: false, body_error: None };
            self.stepped.store.finish(Finished {
                key: one.key,
                position: one.position,
                first: one.known.is_some(),
                trigger: Trigger::Schedule,
                started_at: at,
                ended_at: at,
                url: "https://example.com/".into(),
                request_headers: Headers::default(),
                outcome: Outcome { result: Ok(response), duration: Duration::from_millis(5) },
                _room: None,
            });
        }
        self.settle();
    }

    /// Takes turns until nothing is left to do for now.
    fn settle(&mut self) {
        let clock = Clock::of(self.hands.clone());
        for _ in 0..TURNS {
            if !self.stepped.is_asked() && self.stepped.wake_at() > clock.steady() && !Stepped::has_checkpoint() {
                return;
            }
            self.turn();
        }
        panic!("the writer finds no end")
    }

    /// Lets time pass, and the sweeps of the minutes behind it come to their end.
    fn pass(&mut self, time: Duration) {
        self.hands.advance(time);
        for _ in 0..3 {
            self.hands.advance(Duration::from_secs(61));
            self.settle();
        }
    }

    #[track_caller]
    fn expect(&self, what: &str, keys: &[(EventKey, bool)]) {
        let is_there = |(key, _): &(EventKey, bool)| (*key, event(&self.stepped.store, *key).is_some());
        assert_eq!(keys.iter().map(is_there).collect::<Vec<_>>(), keys, "{what}");
    }

    /// The same store after a kill.
    fn again(self) -> Self {
        let Self { stepped, hands, folder, .. } = self;
        drop(stepped);
        let mut again = Self::open(folder, hands);
        again.settle();
        again
    }

    fn check(self) {
        self.stepped.close().unwrap();
        let report = check(&path(self.folder.path())).unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

fn timed(path: &Path, hands: &Arc<Hands>) -> Options {
    let options = options(path);
    let limits = Limits { retention: RETENTION, ..options.limits };
    Options { limits, machine: Machine { clock: Clock::of(hands.clone()), ..Machine::default() }, ..options }
}

fn of(tenant: &str) -> Owned {
    Owned { provider: "shop".into(), tenant: tenant.into() }
}

#[test]
fn each_tenants_events_are_kept_as_long_as_it_says() {
    let mut shifted = Shifted::new();
    for (tenant, retention) in [("short", Some(HOUR)), ("long", Some(30 * DAY)), ("plain", None)] {
        shifted.keep(tenant, retention);
        shifted.create(tenant);
    }
    let [short, long, plain] = ["short", "long", "plain"].map(|tenant| shifted.publish(Some(tenant), "a"));
    let nobodys = shifted.publish(Some("short"), "b");
    shifted.finish(200, |_| true);
    let pending = shifted.publish(Some("short"), "pending");
    shifted.finish(500, |_| true);
    shifted.pass(2 * HOUR);
    let early = [(short, false), (nobodys, false), (pending, true), (long, true), (plain, true)];
    shifted.expect("after two hours", &early);
    let mut shifted = shifted.again();
    shifted.expect("after a start", &early);
    shifted.pass(RETENTION);
    shifted.expect("after ten days", &[(pending, true), (long, true), (plain, false)]);
    shifted.pass(21 * DAY);
    shifted.expect("after a month", &[(pending, true), (long, false)]);
    shifted.check();
}

#[test]
fn a_changed_retention_counts_for_what_stands() {
    let mut shifted = Shifted::new();
    for tenant in ["shortened", "lengthened", "freed"] {
        shifted.create(tenant);
    }
    shifted.keep("freed", Some(60 * DAY));
    let [shortened, lengthened, freed] = ["shortened", "lengthened", "freed"].map(|tenant| shifted.publish(Some(tenant), "a"));
    shifted.finish(200, |_| true);
    shifted.pass(2 * HOUR);
    shifted.keep("shortened", Some(HOUR));
    shifted.keep("lengthened", Some(40 * DAY));
    shifted.pass(HOUR);
    shifted.expect("shortened", &[(shortened, false), (lengthened, true), (freed, true)]);
    shifted.pass(20 * DAY);
    shifted.expect("longer than others", &[(lengthened, true), (freed, true)]);
    shifted.keep("freed", None);
    shifted.pass(HOUR);
    shifted.expect("as all others", &[(lengthened, true), (freed, false)]);
    shifted.keep("lengthened", Some(15 * DAY));
    shifted.pass(HOUR);
    shifted.expect("shortened later", &[(lengthened, false)]);
    shifted.check();
}

#[test]
fn a_file_says_how_long_a_tenants_events_are_kept() {
    let mut shifted = Shifted::new();
    let sync = |shifted: &mut Shifted, retention: Option<Duration>| {
        let retentions = retention.map(|retention| (of("listed"), retention)).into_iter().collect();
        let (dialects, store) = (vec![("shop".into(), standard())], shifted.store());
        let file = DesiredState { dialects, tenants: vec![of("listed")], retentions, ..DesiredState::default() };
        shifted.ask(store.by_test().sync(file)).unwrap();
    };
    sync(&mut shifted, Some(20 * DAY));
    shifted.create("listed");
    let first = shifted.publish(Some("listed"), "a");
    shifted.finish(200, |_| true);
    shifted.pass(RETENTION + DAY);
    shifted.expect("longer than others", &[(first, true)]);
    sync(&mut shifted, None);
    shifted.pass(HOUR);
    shifted.expect("as all others", &[(first, false)]);
    let second = shifted.publish(Some("listed"), "a");
    shifted.finish(200, |_| true);
    sync(&mut shifted, Some(HOUR));
    shifted.pass(2 * HOUR);
    shifted.expect("shorter than others", &[(second, false)]);
    shifted.check();
}

#[test]
fn of_an_event_for_all_each_tenant_keeps_its_delivery_as_it_says() {
    let mut shifted = Shifted::new();
    shifted.keep("short", Some(HOUR));
    let [short, plain] = ["short", "plain"].map(|tenant| shifted.create(tenant));
    let event = shifted.publish(None, "a");
    shifted.finish(200, |_| true);
    let has = |shifted: &Shifted, endpoint| {
        let found = shifted.stepped.store.reader.delivery_by_key(DeliveryKey { event, endpoint });
        found.unwrap().is_some()
    };
    shifted.pass(2 * HOUR);
    shifted.expect("the event stays for the other", &[(event, true)]);
    assert_eq!([has(&shifted, short), has(&shifted, plain)], [false, true]);
    shifted.pass(RETENTION);
    shifted.expect("it goes with the last", &[(event, false)]);
}

#[test]
fn what_is_held_for_a_tenant_waits_as_long_as_it_says() {
    let mut shifted = Shifted::new();
    shifted.keep("short", Some(DAY));
    let (held, store) = (shifted.create("short"), shifted.store());
    shifted.ask(store.by_test().disable_webhook(held)).unwrap();
    let event = shifted.publish(Some("short"), "a");
    let status = || {
        let found = store.reader.delivery_by_key(DeliveryKey { event, endpoint: held });
        found.unwrap().map(|view| view.status)
    };
    shifted.pass(DAY / 2);
    assert_eq!(status(), Some(Status::Held));
    shifted.pass(DAY);
    assert_eq!(status(), Some(Status::Failed), "it has expired");
    shifted.pass(2 * DAY);
    shifted.expect("and goes as old as what ended then", &[(event, false)]);
}

/// An attempt that ended just before its delivery goes is not in the index yet. If the delivery went all the same, the index would
/// name an attempt of which nothing is left.
#[test]
fn what_the_index_does_not_hold_yet_stays_until_it_does() {
    let mut shifted = Shifted::new();
    shifted.keep("short", Some(Duration::from_secs(1)));
    shifted.create("short");
    let event = shifted.publish(Some("short"), "a");
    shifted.pass(HOUR);
    shifted.expect("it is pending", &[(event, true)]);
    shifted.finish(200, |_| true);
    shifted.pass(HOUR);
    shifted.expect("it has ended", &[(event, false)]);
    shifted.check();
}

/// Whatever retentions are set in whatever order: what has not ended stays, and what has ended goes exactly when its tenant says.
#[test]
fn retentions_that_change_take_nothing_unfinished_and_all_that_is_old() {
    let mut draw = Draw(7);
    let mut shifted = Shifted::new();
    let tenants = ["a", "b", "c"];
    for tenant in tenants {
        shifted.create(tenant);
    }
    let mut retentions: BTreeMap<&str, Duration> = tenants.iter().map(|tenant| (*tenant, RETENTION)).collect();
    // By event: its tenant, and when it ended.
    let mut known: BTreeMap<u64, (&str, Option<Timestamp>)> = BTreeMap::new();
    for step in 0..25 {
        for tenant in tenants {
            known.insert(shifted.publish(Some(tenant), "a").0, (tenant, None));
        }
        let (now, mut ended) = (shifted.stepped.store.now(), Vec::new());
        shifted.finish(200, |event| {
            let ends = draw.below(3) > 0;
            ended.extend(ends.then_some(event));
            ends
        });
        for event in ended {
            known.entry(event.0).and_modify(|(_, ended)| *ended = Some(now));
        }
        let tenant = tenants[draw.below(3)];
        if draw.below(2) == 0 {
            let own = [Some(HOUR), Some(5 * HOUR), Some(3 * DAY), Some(20 * DAY), None][draw.below(5)];
            shifted.keep(tenant, own);
            retentions.insert(tenant, own.unwrap_or(RETENTION));
        }
        shifted.pass([HOUR / 2, 2 * HOUR, DAY, 4 * DAY][draw.below(4)]);
        let now = shifted.stepped.store.now();
        // One that waited for an unfinished delivery is looked at within the hour.
        let is_old = |(tenant, ended): &(&str, Option<Timestamp>)| ended.is_some_and(|ended| ended + retentions[tenant] <= now);
        let wanted: Vec<_> = known.iter().map(|(key, known)| (EventKey(*key), !is_old(known))).collect();
        shifted.expect(&format!("in step {step}"), &wanted);
        known.retain(|_, known| !is_old(known));
    }
    shifted.check();
}

/// More turns than anything here takes.
const TURNS: usize = 2_000;

/// Numbers that follow from a seed.
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 40).unwrap() % bound
    }
}
