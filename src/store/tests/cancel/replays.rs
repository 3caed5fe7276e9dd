//! Replays: what they send again, how they count, and what stops them.

use std::collections::BTreeMap;

use super::*;
use crate::domain::id::ReplayNo;
use crate::store::message::replay::{NewReplay, Replay, ReplayFilter, ReplayReason, ReplayState, WAITING_MAX};

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
        let matched = self.runtime.block_on(self.store.count_replay(&owned(), &filter)).unwrap();
        let new = NewReplay { owned: owned(), filter, rate: None, matched };
        self.runtime.block_on(self.store.by_test().begin_replay(new))
    }

    fn replay(&self, filter: ReplayFilter) -> Arc<Replay> {
        self.try_replay(filter).unwrap()
    }

    fn now_of(&self, no: ReplayNo) -> Arc<Replay> {
        self.store.shared.replays.find(no).expect("it is kept")
    }

    /// Has a replay send as long as it may.
    fn drive(&self, no: ReplayNo) {
        loop {
            let before = self.now_of(no);
            let room = WAITING_MAX - before.waiting(|_| true);
            if !before.walks() || room == 0 {
                return;
            }
            self.runtime.block_on(self.store.send_piece(&before, room as usize)).unwrap();
            if self.now_of(no).walk == before.walk {
                return;
            }
        }
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
    let count = |filter: ReplayFilter| lab.runtime.block_on(lab.store.count_replay(&owned(), &filter)).unwrap();
    assert_eq!(count(all()), 14, "each for its webhook and for `all`");
    assert_eq!(count(ReplayFilter { kind: kind("order.*"), ..all() }), 6);
    assert_eq!([Some(200), Some(500)].map(|code| count(ReplayFilter { code, ..all() })), [14, 0]);
    assert_eq!([true, false].map(|is| count(ReplayFilter { succeeded: Some(is), ..all() })), [14, 0]);
    assert_eq!(count(ReplayFilter { since: clock::now() + Duration::from_secs(9), ..all() }), 0);
    let none = Owned { tenant: "nobody".into(), ..owned() };
    assert_eq!(lab.runtime.block_on(lab.store.count_replay(&none, &all())).unwrap(), 0);
}

#[test]
fn few_deliveries_wait_however_many_are_sent() {
    let count = 2 * WAITING_MAX as usize + 100;
    let lab = Lab::delivered(count);
    let no = lab.replay(lab.of_webhook("ledger")).no;
    lab.drive(no);
    let ready = lab.ready();
    assert_eq!((ready.len(), lab.now_of(no).sent), (WAITING_MAX as usize, u64::from(WAITING_MAX)));
    ready.iter().for_each(|one| lab.finish(one, 500));
    lab.told();
    lab.drive(no);
    assert_eq!(lab.ready().len(), WAITING_MAX as usize, "what waits for a retry holds nothing up");
    assert_eq!((lab.now_of(no).done, lab.now_of(no).waiting(|_| true)), (0, WAITING_MAX));
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
    lab.finish(&ready[0], 200);
    lab.told();
    assert_eq!(figures(&lab.now_of(no)), (ReplayState::Done, [1, 1, 1, 0]), "its attempt was under way");
    lab.must_be_sound();
}

#[test]
fn the_replay_of_a_disabled_webhook_pauses_and_goes_on_when_it_is_resumed() {
    let lab = Lab::delivered(5);
    let no = lab.replay(lab.of_webhook("all")).no;
    lab.runtime.block_on(lab.store.by_test().disable_webhook(lab.webhook("all"))).unwrap();
    lab.drive(no);
    let paused = lab.now_of(no);
    assert_eq!((paused.state, paused.reason, paused.sent), (ReplayState::Paused, Some(ReplayReason::WebhookInactive), 0));
    let resume = || lab.runtime.block_on(lab.store.by_test().resume_replay(&paused)).map(|replay| replay.state);
    assert_eq!((resume(), lab.try_replay(lab.of_webhook("all")).map(drop)), (Err(Denied::Disabled), Err(Denied::Disabled)));
    lab.runtime.block_on(lab.store.by_test().enable_webhook(lab.webhook("all"))).unwrap();
    assert_eq!(resume(), Ok(ReplayState::Running));
    lab.run_replay(no);
    assert_eq!(figures(&lab.now_of(no)), (ReplayState::Done, [5, 5, 0, 0]));
}

#[test]
fn held_deliveries_do_not_hold_a_replay_of_many_webhooks_up() {
    let lab = Lab::delivered(5);
    let no = lab.replay(all()).no;
    lab.drive(no);
    assert_eq!(lab.now_of(no).waiting.len(), 2);
    lab.runtime.block_on(lab.store.by_test().disable_webhook(lab.webhook("all"))).unwrap();
    let active = |no| lab.store.webhook_no(no).is_some_and(|webhook| webhook.is_active());
    assert_eq!((lab.now_of(no).waiting(active), lab.now_of(no).waiting(|_| true)), (5, 10));
}

#[test]
fn the_replay_of_a_deleted_webhook_is_cancelled() {
    let lab = Lab::delivered(WAITING_MAX as usize + 9);
    let all_webhook = lab.webhook("all");
    lab.deliver();
    let filter = lab.of_webhook("all");
    let no = lab.replay(filter).no;
    lab.drive(no);
    let sent = lab.now_of(no).sent;
    lab.runtime.block_on(lab.store.by_test().delete_webhook(all_webhook)).unwrap();
    let deadline = clock::steady() + Duration::from_secs(20);
    while lab.now_of(no).done < sent {
        assert!(clock::steady() < deadline, "what was sent ends with its webhook");
        lab.told();
    }
    lab.drive(no);
    let ended = lab.now_of(no);
    assert_eq!((ended.state, ended.reason, ended.failed), (ReplayState::Cancelled, Some(ReplayReason::WebhookDeleted), sent));
}

#[test]
fn pausing_and_cancelling_send_nothing_more() {
    let lab = Lab::delivered(5);
    let replay = lab.replay(lab.of_webhook("ledger"));
    let paused = lab.runtime.block_on(lab.store.by_test().pause_replay(&replay)).unwrap();
    lab.runtime.block_on(lab.store.send_piece(&replay, 5)).unwrap();
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
    let new = NewReplay { owned: other.clone(), filter: all(), rate: None, matched: 1 };
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
        let ready = lab.ready();
        assert_eq!((ready.len(), lab.now_of(no).waiting(|_| true)), (1, 1));
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
    lab.runtime.block_on(lab.store.send_piece(&replay, 3)).unwrap();
    assert_eq!((lab.now_of(no).state, lab.now_of(no).sent), (ReplayState::Running, 0));
    lab.run_replay(no);
    assert_eq!(lab.now_of(no).state, ReplayState::Done, "there is room again");
}
