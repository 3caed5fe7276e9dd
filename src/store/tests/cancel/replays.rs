//! Replays: what they send again, how they count, and what stops them.

use std::collections::BTreeMap;

use super::*;
use crate::domain::id::ReplayNo;
use crate::store::message::replay::waiting::WAITING_MAX;
use crate::store::message::replay::walk::Course;
use crate::store::message::replay::{Ids, NewReplay, Replay, ReplayFilter, ReplayReason, ReplayState};
use crate::store::record::StoredEvent;
use crate::store::redb::read::snapshot::Snapshot;
use crate::store::replays::{Driver, Moved};

impl Lab {
    /// A store with so many deliveries of `ledger`, all of which have succeeded.
    fn delivered(count: usize) -> Self {
        let lab = Self::new();
        lab.publish_many("order.paid", count);
        lab.deliver_all_of("ledger", count);
        lab
    }

    fn deliver_all_of(&self, name: &str, count: usize) {
        let no = self.webhook(name);
        let mut left = count;
        while left > 0 {
            let ready = self.ready();
            left -= ready.iter().filter(|one| one.key.endpoint == no).count();
            ready.iter().for_each(|one| self.finish(one, 200));
            self.store.refill(no);
            std::thread::yield_now();
        }
        self.told();
        self.ready();
    }

    fn of_webhook(&self, name: &str) -> ReplayFilter {
        ReplayFilter { webhook: Some((self.webhook(name), name.into())), ..all() }
    }

    fn try_replay(&self, filter: ReplayFilter) -> Result<Arc<Replay>, Denied> {
        self.try_replay_as(filter, Ids::Same)
    }

    fn try_replay_as(&self, filter: ReplayFilter, ids: Ids) -> Result<Arc<Replay>, Denied> {
        let asked_at = self.store.now();
        let matched = self.runtime.block_on(self.store.count_replay(&owned(), &filter, asked_at)).unwrap().unwrap();
        let new = NewReplay { owned: owned(), filter, ids, rate: None, asked_at, matched };
        self.runtime.block_on(self.store.by_test().begin_replay(new))
    }

    fn replay(&self, filter: ReplayFilter) -> Arc<Replay> {
        self.try_replay(filter).unwrap()
    }

    fn now_of(&self, no: ReplayNo) -> Arc<Replay> {
        self.store.shared.replays.find(no).expect("it is kept")
    }

    fn replay_anew(&self, filter: ReplayFilter) -> ReplayNo {
        self.try_replay_as(filter, Ids::of_new_events("Sandbox".into())).unwrap().no
    }

    /// Sends at most so many deliveries of a replay.
    fn send(&self, no: ReplayNo, limit: usize) {
        self.runtime.block_on(self.store.send_piece(&self.now_of(no), None, limit)).unwrap();
    }

    fn stored(&self, key: EventKey) -> StoredEvent {
        Snapshot::of(&self.store.reader, &[]).unwrap().event(key).unwrap().unwrap()
    }

    /// Every event that names the one that it was made of: its key, that name, and how many deliveries it has.
    fn made_anew(&self) -> Vec<(EventKey, Box<str>, u32)> {
        let page = self.store.reader.deliveries(&Of::Webhook(self.webhook("ledger")), &Filter::default(), None, 10_000).unwrap();
        let mut keys: Vec<EventKey> = page.views.iter().map(|view| view.delivery.key.event).collect();
        keys.sort_unstable();
        let linked = |key| {
            let stored = self.stored(key);
            Some((key, stored.event.links?.replay_of?, stored.deliveries))
        };
        keys.into_iter().filter_map(linked).collect()
    }

    /// Has a replay send as long as it may, in all its courses.
    fn drive(&self, no: ReplayNo) {
        loop {
            let before = self.now_of(no);
            if !before.walks() {
                return;
            }
            for course in before.walk.courses() {
                self.send_piece(no, course);
            }
            if self.now_of(no).walk == before.walk {
                return;
            }
        }
    }

    fn send_piece(&self, no: ReplayNo, course: Course) -> Moved {
        self.runtime.block_on(self.store.send_piece(&self.now_of(no), course, WAITING_MAX as usize)).unwrap()
    }

    /// Drives a replay, and ends what it sends, until nothing more is sent. Returns how often each delivery was sent.
    fn run_replay(&self, no: ReplayNo) -> BTreeMap<DeliveryKey, usize> {
        let mut sent = BTreeMap::new();
        loop {
            self.drive(no);
            let ready = self.ready();
            if ready.is_empty() {
                return sent;
            }
            for one in &ready {
                *sent.entry(one.key).or_default() += 1;
                self.finish(one, 200);
            }
            self.told();
        }
    }

    fn attempts_of(&self, name: &str) -> Vec<u16> {
        let of = Of::Webhook(self.webhook(name));
        let page = self.store.reader.deliveries(&of, &Filter::default(), None, 10_000).unwrap();
        page.views.iter().map(|view| view.delivery.attempts).collect()
    }
}

fn all() -> ReplayFilter {
    ReplayFilter { webhook: None, kind: None, succeeded: None, code: None, since: Timestamp::EPOCH, until: clock::now() }
}

fn figures(replay: &Replay) -> (ReplayState, [u64; 4]) {
    (replay.state, [replay.matched, replay.done, replay.failed, replay.skipped()])
}

#[test]
fn a_replay_sends_each_delivery_of_its_webhook_once() {
    let lab = Lab::delivered(30);
    let begun = lab.replay(lab.of_webhook("ledger"));
    assert_eq!(figures(&begun), (ReplayState::Running, [30, 0, 0, 0]));
    lab.drive(begun.no);
    let ready = lab.ready();
    assert!(ready.len() == 30 && ready.iter().all(|one| one.lane == Lane::Replay), "they yield to others");
    ready.iter().for_each(|one| lab.finish(one, 200));
    lab.told();
    assert_eq!(figures(&lab.now_of(begun.no)), (ReplayState::Done, [30, 30, 0, 0]));
    assert_eq!((lab.attempts_of("ledger"), lab.attempts_of("all")), (vec![2; 30], vec![1; 30]));
    lab.must_be_sound();
}

#[test]
fn a_replay_takes_what_its_filter_says() {
    let lab = Lab::delivered(3);
    lab.publish_many("sale.made", 4);
    lab.deliver_all_of("till", 4);
    let kind = |text: &str| Some(Pattern::parse(text).unwrap());
    let count =
        |filter: ReplayFilter| lab.runtime.block_on(lab.store.count_replay(&owned(), &filter, lab.store.now())).unwrap().unwrap();
    assert_eq!(count(all()), 14, "each for its webhook and for `all`");
    assert_eq!(count(ReplayFilter { kind: kind("order.*"), ..all() }), 6);
    assert_eq!([Some(200), Some(500)].map(|code| count(ReplayFilter { code, ..all() })), [14, 0]);
    assert_eq!([true, false].map(|is| count(ReplayFilter { succeeded: Some(is), ..all() })), [14, 0]);
    assert_eq!(count(ReplayFilter { since: clock::now() + Duration::from_secs(9), ..all() }), 0);
    let none = Owned { tenant: "nobody".into(), ..owned() };
    assert_eq!(lab.runtime.block_on(lab.store.count_replay(&none, &all(), lab.store.now())).unwrap(), Ok(0));
}

#[test]
fn few_deliveries_wait_however_many_are_sent() {
    let (half, count) = (WAITING_MAX as usize / 2, WAITING_MAX as usize + 100);
    let lab = Lab::delivered(count);
    let no = lab.replay(lab.of_webhook("ledger")).no;
    lab.drive(no);
    let ready = lab.ready();
    assert_eq!((ready.len(), lab.now_of(no).sent), (half, half as u64));
    ready.iter().for_each(|one| lab.finish(one, 500));
    lab.told();
    lab.drive(no);
    assert_eq!(lab.ready().len(), half, "what waits for a retry holds nothing up");
    assert_eq!((lab.now_of(no).done, lab.now_of(no).waiting.total()), (0, WAITING_MAX / 2));
}

#[test]
fn a_webhook_that_stands_still_holds_no_other_up() {
    let count = WAITING_MAX as usize;
    let lab = Lab::delivered(count);
    let no = lab.replay(all()).no;
    let (ledger, still) = (lab.webhook("ledger"), lab.webhook("all"));
    let (mut done, mut left) = (0, Vec::new());
    for _ in 0..20 {
        lab.drive(no);
        let (of_ledger, of_still): (Vec<_>, Vec<_>) = lab.ready().into_iter().partition(|one| one.key.endpoint == ledger);
        of_ledger.iter().for_each(|one| lab.finish(one, 200));
        lab.told();
        done += of_ledger.len();
        left.extend(of_still);
    }
    assert_eq!((done, lab.now_of(no).walk.is_behind(still)), (count, true), "{} of the other wait", left.len());
    let again = Lab::open(lab.killed().write()).unwrap();
    again.told();
    again.run_replay(no);
    assert_eq!(figures(&again.now_of(no)), (ReplayState::Done, [2 * count as u64, 2 * count as u64, 0, 0]));
    assert_eq!((again.attempts_of("ledger"), again.attempts_of("all")), (vec![2; count], vec![2; count]));
    again.must_be_sound();
}

/// Drives replays until each slice that was begun has ended.
fn drive_once(lab: &Lab, driver: &mut Driver) -> usize {
    lab.runtime.block_on(async {
        driver.begin_slices();
        let mut begun = 0;
        while let Some(Ok(sent)) = driver.slices.join_next().await {
            driver.note(sent);
            begun += 1;
        }
        begun
    })
}

#[test]
fn each_tenant_has_one_slice_under_way() {
    let lab = Lab::delivered(3);
    let other = Owned { tenant: "other".into(), ..owned() };
    let theirs = lab.create_for(other.clone(), "theirs", "*");
    lab.publish_to(&other, "order.paid");
    lab.ready_of(theirs, 1).iter().for_each(|one| lab.finish(one, 200));
    lab.told();
    let new = NewReplay { owned: other, filter: all(), ids: Ids::Same, rate: None, asked_at: lab.store.now(), matched: 1 };
    let others = lab.runtime.block_on(lab.store.by_test().begin_replay(new)).unwrap().no;
    let mine = [lab.replay(lab.of_webhook("ledger")).no, lab.replay(lab.of_webhook("all")).no];
    let mut driver = Driver::new(lab.store.clone());
    lab.runtime.block_on(async {
        driver.begin_slices();
        driver.begin_slices();
    });
    assert_eq!(driver.slices.len(), 2, "one of each tenant, also while they are under way");
    drive_once(&lab, &mut driver);
    let sent = || [others, mine[0], mine[1]].map(|no| lab.now_of(no).sent);
    assert_eq!(sent(), [1, 3, 0]);
    drive_once(&lab, &mut driver);
    assert_eq!(sent(), [1, 3, 3], "its replays take turns");
}

#[test]
fn a_replay_that_may_send_nothing_reads_nothing() {
    let lab = Lab::delivered(WAITING_MAX as usize);
    let no = lab.replay(lab.of_webhook("ledger")).no;
    let mut driver = Driver::new(lab.store.clone());
    let slices = (0..50).take_while(|_| drive_once(&lab, &mut driver) > 0).count();
    assert!(slices < 10 && lab.now_of(no).sent >= u64::from(WAITING_MAX / 2 - 64), "{slices} slices");
    // A course that moved nothing rests for 250 ms.
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(drive_once(&lab, &mut driver), 0, "its webhook has all that it may have");
    lab.store.shared.full.store(true, std::sync::atomic::Ordering::Relaxed);
    lab.ready().iter().for_each(|one| lab.finish(one, 200));
    assert_eq!(drive_once(&lab, &mut driver), 0, "the store is full");
}

#[test]
fn a_piece_goes_up_to_the_next_delivery_that_matches() {
    let lab = Lab::delivered(3);
    lab.publish_many("sale.made", 4);
    lab.deliver_all_of("till", 4);
    let kind = Some(Pattern::parse("order.*").unwrap());
    let no = lab.replay(ReplayFilter { kind, ..lab.of_webhook("all") }).no;
    lab.runtime.block_on(lab.store.send_piece(&lab.now_of(no), None, 2)).unwrap();
    assert!(!lab.now_of(no).walk.is_over());
    lab.runtime.block_on(lab.store.send_piece(&lab.now_of(no), None, 1)).unwrap();
    assert!(lab.now_of(no).walk.is_over(), "the rate ends what is sent, and not what is looked at");
}

#[test]
fn an_ordered_webhook_gets_its_new_events_first() {
    let lab = Lab::delivered(2);
    let queue = lab.create("queue", "order.*");
    lab.publish_many("order.paid", 2);
    lab.deliver_all_of("queue", 2);
    let ordered = |definition: &Definition| {
        let settings = Arc::new(WebhookSettings { ordered: true, ..WebhookSettings::default() });
        Definition { settings, ..definition.clone() }
    };
    lab.runtime.block_on(lab.store.by_test().update_webhook(queue, ordered)).unwrap();
    let no = lab.replay(lab.of_webhook("queue")).no;
    lab.publish_many("order.paid", 3);
    for left in (0..3).rev() {
        lab.drive(no);
        assert_eq!(lab.now_of(no).sent, 0, "{left} new events are left behind the next");
        lab.ready_of(queue, 1).iter().for_each(|one| lab.finish(one, 200));
        lab.told();
    }
    lab.drive(no);
    assert_eq!(lab.now_of(no).sent, 1);
}

#[test]
fn a_kill_leaves_a_replay_where_it_was() {
    let count = WAITING_MAX as usize + 300;
    let lab = Lab::delivered(count);
    let no = lab.replay(lab.of_webhook("ledger")).no;
    lab.drive(no);
    let ready = lab.ready();
    let (ended, under_way) = ready.split_at(200);
    ended.iter().for_each(|one| lab.finish(one, 200));
    lab.told();
    let before = lab.now_of(no);
    let again = Lab::open(lab.killed().write()).unwrap();
    assert_eq!(again.now_of(no), before);
    again.told();
    let mut ready = again.ready_of(again.webhook("ledger"), under_way.len());
    assert!(ready.iter().all(|one| one.lane == Lane::Replay), "they yield after a restart too");
    ready.sort_by_key(|one| one.key);
    assert_eq!(ready.iter().map(|one| one.key).collect::<Vec<_>>(), under_way.iter().map(|one| one.key).collect::<Vec<_>>());
    ready.iter().for_each(|one| again.finish(one, 200));
    again.told();
    again.run_replay(no);
    assert_eq!(figures(&again.now_of(no)), (ReplayState::Done, [count as u64, count as u64, 0, 0]));
    assert_eq!(again.attempts_of("ledger"), vec![2; count]);
    again.must_be_sound();
}

#[test]
fn what_somebody_else_sent_again_is_left_out() {
    let lab = Lab::delivered(3);
    std::thread::sleep(Duration::from_millis(5));
    let no = lab.replay(lab.of_webhook("ledger")).no;
    std::thread::sleep(Duration::from_millis(5));
    let page = lab.store.reader.deliveries(&Of::Webhook(lab.webhook("ledger")), &Filter::default(), None, 9).unwrap();
    lab.runtime.block_on(lab.store.by_test().retry(page.views[0].delivery.key)).unwrap();
    lab.deliver();
    lab.told();
    assert_eq!(lab.run_replay(no).len(), 2);
    assert_eq!(figures(&lab.now_of(no)), (ReplayState::Done, [3, 2, 0, 1]));
}

#[test]
fn a_delivery_that_is_ended_by_hand_counts_as_failed_once() {
    let lab = Lab::delivered(1);
    let no = lab.replay(lab.of_webhook("ledger")).no;
    lab.drive(no);
    let ready = lab.ready();
    lab.cancel(ready[0].key).unwrap();
    assert_eq!(figures(&lab.now_of(no)), (ReplayState::Done, [1, 1, 1, 0]));
    lab.finish(&ready[0], 500);
    lab.told();
    assert_eq!(figures(&lab.now_of(no)), (ReplayState::Done, [1, 1, 1, 0]), "its attempt was under way");
    lab.must_be_sound();
}

#[test]
fn a_delivery_that_succeeds_after_it_was_ended_by_hand_counts_as_no_failure() {
    let lab = Lab::delivered(1);
    let no = lab.replay(lab.of_webhook("ledger")).no;
    lab.drive(no);
    let ready = lab.ready();
    lab.cancel(ready[0].key).unwrap();
    lab.finish(&ready[0], 200);
    lab.told();
    let of = Of::Webhook(lab.webhook("ledger"));
    let failed = Filter { status: Some(Status::Failed), ..Filter::default() };
    assert_eq!(lab.store.reader.deliveries(&of, &failed, None, 9).unwrap().views.len(), 0);
    assert_eq!(figures(&lab.now_of(no)), (ReplayState::Done, [1, 1, 0, 0]), "as the log says");
    lab.must_be_sound();
}

#[test]
fn what_ends_between_the_question_and_the_beginning_is_left_out() {
    let lab = Lab::delivered(2);
    lab.publish_many("order.paid", 1);
    let (filter, asked_at) = (lab.of_webhook("ledger"), lab.store.now());
    std::thread::sleep(Duration::from_millis(5));
    lab.deliver_all_of("ledger", 1);
    let new = NewReplay { owned: owned(), filter, ids: Ids::Same, rate: None, asked_at, matched: 2 };
    let no = lab.runtime.block_on(lab.store.by_test().begin_replay(new)).unwrap().no;
    assert_eq!(lab.run_replay(no).len(), 2);
    assert_eq!(figures(&lab.now_of(no)), (ReplayState::Done, [2, 2, 0, 0]));
}

#[test]
fn a_tenant_counts_for_one_caller_at_a_time() {
    let lab = Lab::delivered(3);
    let (owner, filter, now) = (owned(), all(), lab.store.now());
    let mut first = Box::pin(lab.store.count_replay(&owner, &filter, now));
    let (second, first) = lab.runtime.block_on(async {
        // Its first poll begins the count.
        let under_way = std::future::poll_fn(|task| std::task::Poll::Ready(first.as_mut().poll(task).is_pending())).await;
        assert!(under_way);
        (lab.store.count_replay(&owner, &filter, now).await.unwrap(), first.await.unwrap())
    });
    assert_eq!((second, first), (Err(Denied::CountUnderWay), Ok(6)));
    drop(lab.store.count_replay(&owner, &filter, now));
    assert_eq!(lab.runtime.block_on(lab.store.count_replay(&owner, &filter, now)).unwrap(), Ok(6), "a turn ends with its caller");
}

#[test]
fn the_replay_of_a_disabled_webhook_pauses_and_goes_on_when_it_is_resumed() {
    let lab = Lab::delivered(5);
    let no = lab.replay(lab.of_webhook("all")).no;
    lab.drive(no);
    lab.ready();
    lab.runtime.block_on(lab.store.by_test().disable_webhook(lab.webhook("all"))).unwrap();
    let paused = lab.now_of(no);
    let shown = (paused.state, paused.reason, paused.sent, paused.waiting.total());
    assert_eq!(shown, (ReplayState::Paused, Some(ReplayReason::WebhookInactive), 5, 0), "also when its walk is over");
    let resume = || lab.runtime.block_on(lab.store.by_test().resume_replay(&paused)).map(|replay| replay.state);
    assert_eq!((resume(), lab.try_replay(lab.of_webhook("all")).map(drop)), (Err(Denied::Disabled), Err(Denied::Disabled)));
    lab.runtime.block_on(lab.store.by_test().enable_webhook(lab.webhook("all"))).unwrap();
    assert_eq!(resume(), Ok(ReplayState::Running));
    lab.deliver_all_of("all", 5);
    assert_eq!(figures(&lab.now_of(no)), (ReplayState::Done, [5, 5, 0, 0]));
}

#[test]
fn held_deliveries_take_no_place_in_a_replay_of_many_webhooks() {
    let lab = Lab::delivered(5);
    let no = lab.replay(all()).no;
    lab.drive(no);
    assert_eq!(lab.now_of(no).waiting.total(), 10);
    lab.runtime.block_on(lab.store.by_test().disable_webhook(lab.webhook("all"))).unwrap();
    let waiting = &lab.now_of(no).waiting;
    assert_eq!((waiting.total(), waiting.of(lab.webhook("all"))), (5, 0));
}

#[test]
fn the_replay_of_a_deleted_webhook_is_cancelled() {
    let count = WAITING_MAX as usize;
    let lab = Lab::delivered(count);
    let all_webhook = lab.webhook("all");
    let filter = lab.of_webhook("all");
    let (no, paused) = (lab.replay(filter.clone()).no, lab.replay(filter));
    lab.runtime.block_on(lab.store.by_test().pause_replay(&paused)).unwrap();
    lab.drive(no);
    let sent = lab.now_of(no).sent;
    assert!(sent > 0);
    lab.runtime.block_on(lab.store.by_test().delete_webhook(all_webhook)).unwrap();
    let deadline = clock::steady() + Duration::from_secs(20);
    while lab.now_of(no).done < sent {
        assert!(clock::steady() < deadline, "what was sent ends with its webhook");
        lab.told();
    }
    let ended = [no, paused.no].map(|no| lab.now_of(no));
    let states = ended.each_ref().map(|replay| (replay.state, replay.reason));
    assert_eq!(states, [(ReplayState::Cancelled, Some(ReplayReason::WebhookDeleted)); 2], "also a paused one");
    assert_eq!(ended[0].failed, sent);
}

#[test]
fn pausing_and_cancelling_send_nothing_more() {
    let lab = Lab::delivered(5);
    let replay = lab.replay(lab.of_webhook("ledger"));
    let paused = lab.runtime.block_on(lab.store.by_test().pause_replay(&replay)).unwrap();
    lab.runtime.block_on(lab.store.send_piece(&replay, None, 5)).unwrap();
    assert_eq!((paused.state, lab.now_of(replay.no).sent, lab.ready().len()), (ReplayState::Paused, 0, 0));
    let cancelled = lab.runtime.block_on(lab.store.by_test().cancel_replay(&replay)).unwrap();
    assert!(cancelled.ended_at.is_some());
    assert_eq!(lab.runtime.block_on(lab.store.by_test().resume_replay(&replay)).map(drop), Err(Denied::ReplayEnded));
    let rows =
        lab.runtime.block_on(lab.store.audit(AuditFilter { object: Some("replay".into()), ..AuditFilter::default() }, None, 9));
    let shown: Vec<_> = rows.unwrap().rows.iter().rev().map(|row| row.after.as_deref().unwrap_or_default().to_owned()).collect();
    assert!(shown[0].contains(r#""matched":5"#), "{shown:?}");
    assert_eq!(shown[1..], [r#"{"state":"paused"}"#, r#"{"state":"cancelled"}"#]);
}

#[test]
fn a_tenant_has_few_replays_at_once_and_they_go_with_it() {
    let lab = Lab::delivered(2);
    let begun: Vec<_> = (0..10).map(|_| lab.replay(lab.of_webhook("ledger"))).collect();
    assert_eq!(lab.try_replay(lab.of_webhook("ledger")).map(drop), Err(Denied::TooManyReplays(10)));
    lab.runtime.block_on(lab.store.by_test().cancel_replay(&begun[0])).unwrap();
    assert!(lab.try_replay(lab.of_webhook("ledger")).is_ok());
    lab.drive(begun[1].no);
    let other = Owned { tenant: "gone".into(), ..owned() };
    let no = lab.create_for(other.clone(), "theirs", "*");
    lab.publish_to(&other, "order.paid");
    lab.ready_of(no, 1).iter().for_each(|one| lab.finish(one, 200));
    lab.told();
    let new =
        NewReplay { owned: other.clone(), filter: all(), ids: Ids::Same, rate: None, asked_at: lab.store.now(), matched: 1 };
    let theirs = lab.runtime.block_on(lab.store.by_test().begin_replay(new)).unwrap();
    lab.drive(theirs.no);
    assert_eq!(lab.now_of(theirs.no).sent, 1);
    lab.runtime.block_on(lab.store.by_test().delete_tenant(other)).unwrap();
    assert!(lab.store.shared.replays.find(theirs.no).is_none());
    lab.must_be_sound();
}

#[test]
fn an_ordered_webhook_gets_one_replayed_delivery_at_a_time_and_in_order() {
    let lab = Lab::delivered(4);
    let ledger = lab.create("queue", "order.*");
    lab.publish_many("order.paid", 4);
    lab.deliver_all_of("queue", 4);
    let ordered = |definition: &Definition| {
        let settings = Arc::new(WebhookSettings { ordered: true, ..WebhookSettings::default() });
        Definition { settings, ..definition.clone() }
    };
    lab.runtime.block_on(lab.store.by_test().update_webhook(ledger, ordered)).unwrap();
    let no = lab.replay(lab.of_webhook("queue")).no;
    let mut events = Vec::new();
    for _ in 0..4 {
        lab.drive(no);
        let ready = lab.ready_of(ledger, 1);
        assert_eq!((ready.len(), lab.now_of(no).waiting.total()), (1, 1));
        events.push(ready[0].key.event);
        lab.finish(&ready[0], 200);
        lab.told();
    }
    assert!(events.is_sorted());
    lab.drive(no);
    assert_eq!(figures(&lab.now_of(no)), (ReplayState::Done, [4, 4, 0, 0]));
}

#[test]
fn nothing_is_sent_again_while_the_store_is_full() {
    let lab = Lab::delivered(3);
    let no = lab.replay(lab.of_webhook("ledger")).no;
    lab.store.shared.full.store(true, std::sync::atomic::Ordering::Relaxed);
    let replay = lab.now_of(no);
    lab.runtime.block_on(lab.store.send_piece(&replay, None, 3)).unwrap();
    assert_eq!((lab.now_of(no).state, lab.now_of(no).sent), (ReplayState::Running, 0));
    lab.run_replay(no);
    assert_eq!(lab.now_of(no).state, ReplayState::Done, "there is room again");
}

#[test]
fn new_ids_make_one_new_event_of_each_old_one_for_the_webhooks_that_match() {
    let lab = Lab::delivered(3);
    let no = lab.replay_anew(all());
    let sent = lab.run_replay(no);
    assert_eq!(figures(&lab.now_of(no)), (ReplayState::Done, [6, 6, 0, 0]));
    assert!(sent.len() == 6 && sent.keys().all(|key| key.event.0 > no.0), "the old deliveries are left alone");
    let made = lab.made_anew();
    assert_eq!(made.iter().map(|(_, _, deliveries)| *deliveries).collect::<Vec<_>>(), [2; 3]);
    for (key, old, _) in made {
        let old = lab.stored(lab.store.shared.node.event_key(&old).unwrap());
        let new = lab.stored(key);
        assert_eq!(old.event.links.unwrap().replays, [new.event.id]);
        assert_eq!((new.event.content.data(), new.event.kind), (old.event.content.data(), old.event.kind));
    }
    lab.must_be_sound();
}

#[test]
fn a_kill_between_two_deliveries_of_an_event_makes_no_second_event() {
    let lab = Lab::delivered(2);
    let no = lab.replay_anew(all());
    lab.send(no, 1);
    assert_eq!((lab.now_of(no).sent, lab.made_anew().len()), (1, 1));
    let before = lab.now_of(no);
    let again = Lab::open(lab.killed().write()).unwrap();
    assert_eq!(again.now_of(no), before);
    again.told();
    assert!(again.ready().iter().all(|one| one.lane == Lane::Replay), "they yield after a restart too");
    again.send(no, 1);
    again.send(no, 9);
    assert_eq!(again.now_of(no).sent, 4);
    assert_eq!(again.made_anew().iter().map(|(_, _, deliveries)| *deliveries).collect::<Vec<_>>(), [2; 2]);
    again.must_be_sound();
}

#[test]
fn a_filter_narrows_whom_a_new_event_goes_to() {
    let lab = Lab::delivered(2);
    let no = lab.replay_anew(lab.of_webhook("ledger"));
    let sent = lab.run_replay(no);
    assert!(sent.len() == 2 && sent.keys().all(|key| key.endpoint == lab.webhook("ledger")));
    assert_eq!(figures(&lab.now_of(no)), (ReplayState::Done, [2, 2, 0, 0]));
    lab.must_be_sound();
}
