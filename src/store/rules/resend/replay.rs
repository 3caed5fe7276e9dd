//! How a replay goes on: by what was asked, by what its walk found, and by how its deliveries end.

use std::collections::HashMap;

use crate::domain::delivery::{Delivery, Replayed, State};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, ReplayNo, TenantNo};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::Denied;
use crate::store::message::replay::waiting::Waiting;
use crate::store::message::replay::walk::{Course, Walk};
use crate::store::message::replay::{NewReplay, Replay, ReplayReason, ReplayState, WalkPiece};

/// What a walk does with the next delivery that it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Step {
    /// The delivery is sent again.
    Send,
    /// The delivery is left out.
    Skip,
    /// The webhook takes no more for now.
    Wait,
}

/// What is known of the delivery that a walk has come to.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Found<'a> {
    /// The delivery's webhook. `None`: it was deleted.
    pub(in crate::store) webhook: Option<&'a Endpoint>,
    /// The delivery. `None`: it is gone, or has never been attempted.
    pub(in crate::store) delivery: Option<&'a Delivery>,
    /// Whether a purge of the webhook is under way.
    pub(in crate::store) is_purged: bool,
    /// Whether the webhook's queue has room for one more. For an ordered webhook: whether nothing of its own waits.
    pub(in crate::store) has_room: bool,
}

/// A replay that was asked for, as it begins. `no` is a new key, so all that matched was published before.
pub(in crate::store) fn begin(new: NewReplay, no: ReplayNo, tenant: TenantNo) -> Replay {
    let NewReplay { owned, filter, ids, rate, asked_at, matched } = new;
    let (before, last) = filter.events();
    let walk = Walk {
        after: DeliveryKey { event: before, endpoint: EndpointNo(u32::MAX) },
        last: last.min(EventKey(no.0)),
        is_through: matched == 0,
        behind: Default::default(),
    };
    let state = if matched == 0 { ReplayState::Done } else { ReplayState::Running };
    let ended_at = (matched == 0).then(|| no.time());
    let (reason, waiting) = (None, Waiting::default());
    let (sent, done, failed) = (0, 0, 0);
    Replay { no, owned, tenant, filter, ids, rate, state, reason, matched, sent, done, failed, asked_at, walk, waiting, ended_at }
}

/// Whether a tenant may begin one more replay; `unfinished` is how many of its replays are running or paused.
pub(in crate::store) fn may_begin(unfinished: usize) -> Result<(), Denied> {
    if unfinished < UNFINISHED_MAX { Ok(()) } else { Err(Denied::TooManyReplays(UNFINISHED_MAX)) }
}

/// What a walk does with the next delivery that it found. What a webhook that is not active would get is left out.
pub(in crate::store) fn step(replay: &Replay, found: &Found<'_>) -> Step {
    let Some(webhook) = found.webhook.filter(|webhook| webhook.is_active()) else { return Step::Skip };
    if !found.delivery.is_some_and(|delivery| replay.takes(delivery)) {
        return Step::Skip;
    }
    let is_due = !webhook.definition.settings.ordered || replay.waiting.of(webhook.no) == 0;
    let has_room = found.has_room && is_due && replay.waiting.room_of(webhook.no) > 0;
    if found.is_purged || !has_room { Step::Wait } else { Step::Send }
}

impl Replay {
    /// Whether it sends a delivery again, as that stands.
    fn takes(&self, delivery: &Delivery) -> bool {
        delivery.replay.is_none_or(|replayed| replayed.no != self.no) && self.filter.takes(delivery, self.asked_at)
    }

    /// Notes that a delivery was sent again.
    pub(in crate::store) fn send(&mut self, course: Course, key: DeliveryKey) {
        self.sent += 1;
        self.matched = self.matched.max(self.sent);
        self.waiting.add(key.endpoint);
        self.walk.pass(course, key);
    }

    /// Goes on without the webhook of a delivery. False: the walk has to wait, since it is of that webhook alone, since all webhooks of an
    /// old event are to get the same new event, since nothing more may wait, or since too many webhooks are behind.
    pub(in crate::store) fn leave_behind(&mut self, course: Course, key: DeliveryKey) -> bool {
        let stays = course.is_some() || self.filter.webhook.is_some() || self.ids.are_new();
        !stays && self.waiting.room() > 0 && self.walk.leave_behind(key)
    }

    /// Notes how far a course of the walk has come.
    pub(in crate::store) fn come_to(&mut self, course: Course, piece: &WalkPiece, now: Timestamp) {
        self.walk.come_to(course, piece.up_to, piece.is_last);
        self.end_if_done(now);
    }

    /// Notes that a webhook was disabled, removed or deleted; whether that changes anything. What it has still to get is left out, and
    /// the replay of that webhook alone stops.
    pub(in crate::store) fn webhook_stopped(&mut self, webhook: EndpointNo, is_deleted: bool, now: Timestamp) -> bool {
        if self.state.is_final() {
            return false;
        }
        let was_behind = self.walk.behind.remove(&webhook).is_some();
        let waited = self.waiting.forget(webhook);
        let is_its = self.filter.webhook.as_ref().is_some_and(|(no, _)| *no == webhook);
        match (is_its, is_deleted, self.state) {
            (true, true, _) => self.stop(ReplayState::Cancelled, ReplayReason::WebhookDeleted, now),
            (true, false, ReplayState::Running) => self.stop(ReplayState::Paused, ReplayReason::WebhookInactive, now),
            _ if was_behind => self.end_if_done(now),
            _ => return waited,
        }
        true
    }

    /// Stops it for a reason of its own.
    fn stop(&mut self, state: ReplayState, reason: ReplayReason, now: Timestamp) {
        self.state = state;
        self.reason = Some(reason);
        self.ended_at = state.is_final().then_some(now);
    }

    /// Notes that the first attempt of a delivery has ended, or that it will have none.
    pub(in crate::store) fn attempted(&mut self, webhook: EndpointNo) {
        self.waiting.take(webhook);
    }

    /// Notes that a delivery has ended.
    pub(in crate::store) fn ended(&mut self, delivery: &Delivery, now: Timestamp) {
        if delivery.replay.is_some_and(|Replayed { waits, .. }| waits) {
            self.attempted(delivery.key.endpoint);
        }
        self.done += 1;
        self.failed += u64::from(!matches!(delivery.state, State::Succeeded { .. }));
        self.end_if_done(now);
    }

    /// Notes that a delivery which counts as failed succeeded after all: an attempt was under way when it was ended.
    pub(in crate::store) fn succeeded_late(&mut self) {
        self.failed = self.failed.saturating_sub(1);
    }

    fn end_if_done(&mut self, now: Timestamp) {
        if self.walk.is_over() && self.done == self.sent && !self.state.is_final() {
            (self.state, self.reason, self.ended_at) = (ReplayState::Done, None, Some(now));
        }
    }

    /// Sends nothing more until it is resumed. To ask again changes nothing.
    pub(in crate::store) fn paused(self) -> Result<Self, Denied> {
        match self.state {
            ReplayState::Running => Ok(Self { state: ReplayState::Paused, reason: None, ..self }),
            ReplayState::Paused => Ok(self),
            ReplayState::Done | ReplayState::Cancelled => Err(Denied::ReplayEnded),
        }
    }

    /// Goes on. `runs` says whether its webhook, if it is of one, can be sent to.
    pub(in crate::store) fn resumed(self, runs: Result<(), Denied>) -> Result<Self, Denied> {
        if self.state.is_final() {
            return Err(Denied::ReplayEnded);
        }
        runs.map(|()| Self { state: ReplayState::Running, reason: None, ..self })
    }

    /// Sends nothing more. To ask again changes nothing.
    pub(in crate::store) fn cancelled(self, now: Timestamp) -> Result<Self, Denied> {
        match self.state {
            ReplayState::Running | ReplayState::Paused => {
                Ok(Self { state: ReplayState::Cancelled, reason: None, ended_at: Some(now), ..self })
            }
            ReplayState::Cancelled => Ok(self),
            ReplayState::Done => Err(Denied::ReplayEnded),
        }
    }
}

/// Which of the ended replays are forgotten. `ended` are all that have ended, oldest first. Where all tenants together have too many,
/// those with the most give some of theirs.
pub(in crate::store) fn forgotten<'a>(ended: impl DoubleEndedIterator<Item = &'a Replay>, oldest: Timestamp) -> Vec<ReplayNo> {
    let ended: Vec<&Replay> = ended.rev().collect();
    let (most, mut kept) = (kept_of_each(&ended), HashMap::<TenantNo, usize>::new());
    let is_forgotten = |replay: &&Replay| {
        let theirs = kept.entry(replay.tenant).or_default();
        *theirs += 1;
        *theirs > most || replay.ended_at.is_some_and(|at| at < oldest)
    };
    ended.into_iter().filter(is_forgotten).map(|replay| replay.no).collect()
}

/// How many ended replays each tenant may have.
fn kept_of_each(ended: &[&Replay]) -> usize {
    if ended.len() <= ALL_ENDED_MAX {
        return ENDED_MAX;
    }
    let mut counts = HashMap::<TenantNo, usize>::new();
    ended.iter().for_each(|replay| *counts.entry(replay.tenant).or_default() += 1);
    let fits = |most: &usize| counts.values().map(|count| count.min(most)).sum::<usize>() <= ALL_ENDED_MAX;
    (1..=ENDED_MAX).rev().find(fits).unwrap_or(1)
}

/// The most replays of a tenant that are running or paused.
pub(in crate::store) const UNFINISHED_MAX: usize = 10;

/// The most replays of a tenant that are shown after they have ended, the newest.
pub(in crate::store) const ENDED_MAX: usize = 100;

/// The same over all tenants, where each may have one all the same. They are in memory, some 400 bytes each.
pub(in crate::store) const ALL_ENDED_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::delivery::{End, QueuePosition};
    use crate::domain::webhook::endpoint::Why;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::store::Owned;
    use crate::store::message::replay::waiting::WAITING_MAX;
    use crate::store::message::replay::{Ids, ReplayFilter};

    const NO: ReplayNo = ReplayNo(1_000 << 16);
    const TENANT: TenantNo = TenantNo(3);
    const NOW: Timestamp = Timestamp::from_millis(2_000);
    const ASKED: Timestamp = Timestamp::from_millis(1_000);

    fn key(event: u64, webhook: u32) -> DeliveryKey {
        DeliveryKey { event: EventKey(event << 16), endpoint: EndpointNo(webhook) }
    }

    fn filter(webhook: Option<u32>) -> ReplayFilter {
        ReplayFilter {
            webhook: webhook.map(|no| (EndpointNo(no), "wh_1".into())),
            kind: None,
            succeeded: None,
            code: None,
            since: Timestamp::from_millis(1),
            until: Timestamp::from_millis(900),
        }
    }

    fn replay(webhook: Option<u32>, matched: u64) -> Replay {
        let owned = Owned { provider: "acme".into(), tenant: "t1".into() };
        begin(NewReplay { owned, filter: filter(webhook), ids: Ids::Same, rate: None, asked_at: ASKED, matched }, NO, TENANT)
    }

    fn ended(at: u64) -> Delivery {
        Delivery::published(key(5, 1), QueuePosition::Backlog(0)).ended(End::Exhausted, Timestamp::from_millis(at))
    }

    fn steps(replay: &Replay, webhook: Option<&Endpoint>, delivery: Option<&Delivery>) -> Step {
        step(replay, &Found { webhook, delivery, is_purged: false, has_room: true })
    }

    #[test]
    fn only_what_had_ended_when_it_was_asked_for_is_sent() {
        let (active, all) = (endpoint(&["*"]), replay(None, 9));
        assert_eq!(steps(&all, Some(&active), Some(&ended(900))), Step::Send);
        assert_eq!(steps(&all, Some(&active), Some(&ended(1_001))), Step::Skip, "somebody sent it again meanwhile");
        let pending = Delivery::published(key(5, 1), QueuePosition::Backlog(0));
        assert_eq!([Some(&pending), None].map(|delivery| steps(&all, Some(&active), delivery)), [Step::Skip; 2]);
        let test = Delivery::test(key(5, 1), NOW).ended(End::Exhausted, Timestamp::from_millis(5));
        assert_eq!(steps(&all, Some(&active), Some(&test)), Step::Skip);
    }

    #[test]
    fn a_filter_takes_what_it_says() {
        let failed = Delivery { code: Some(503), ..ended(9) };
        let takes = |succeeded, code| ReplayFilter { succeeded, code, ..filter(None) }.takes(&failed, NOW);
        assert!(takes(None, None) && takes(Some(false), Some(503)));
        assert!(!takes(Some(true), None) && !takes(None, Some(500)));
    }

    #[test]
    fn what_a_person_ended_is_left_out() {
        let cancelled =
            Delivery::published(key(5, 1), QueuePosition::Backlog(0)).ended(End::Cancelled, Timestamp::from_millis(900));
        assert_eq!(steps(&replay(None, 9), Some(&endpoint(&["*"])), Some(&cancelled)), Step::Skip);
    }

    #[test]
    fn what_the_replay_itself_sent_is_left_out_also_within_the_same_moment() {
        let sent = Delivery { replay: Some(Replayed { no: NO, waits: false }), ..ended(1_000) };
        assert_eq!(steps(&replay(None, 9), Some(&endpoint(&["*"])), Some(&sent)), Step::Skip);
        let by_another = Delivery { replay: Some(Replayed { no: ReplayNo(NO.0 - 1), waits: false }), ..sent };
        assert_eq!(steps(&replay(None, 9), Some(&endpoint(&["*"])), Some(&by_another)), Step::Send);
    }

    #[test]
    fn a_webhook_that_is_not_active_is_left_out() {
        let (disabled, gone) = (endpoint(&["*"]).disabled(Why::ByHand, NOW), endpoint(&["*"]).deleted(NOW));
        for webhook in [Some(&disabled), Some(&gone), None] {
            assert_eq!(steps(&replay(None, 9), webhook, Some(&ended(9))), Step::Skip);
        }
    }

    #[test]
    fn the_replay_of_one_webhook_stops_with_it_and_that_of_many_goes_on() {
        let stopped = |mut replay: Replay, is_deleted| {
            replay.send(None, key(5, 1));
            assert!(replay.webhook_stopped(EndpointNo(1), is_deleted, NOW));
            (replay.state, replay.reason, replay.waiting.total())
        };
        let paused = (ReplayState::Paused, Some(ReplayReason::WebhookInactive), 0);
        let cancelled = (ReplayState::Cancelled, Some(ReplayReason::WebhookDeleted), 0);
        assert_eq!([false, true].map(|is_deleted| stopped(replay(Some(1), 9), is_deleted)), [paused, cancelled]);
        let by_hand = replay(Some(1), 9).paused().expect("it runs");
        assert_eq!(stopped(by_hand.clone(), true), cancelled, "a paused one goes with its webhook too");
        assert_eq!(stopped(by_hand, false), (ReplayState::Paused, None, 0));
        assert_eq!([false, true].map(|is_deleted| stopped(replay(None, 9), is_deleted)), [(ReplayState::Running, None, 0); 2]);
        assert!(!replay(None, 9).webhook_stopped(EndpointNo(1), true, NOW), "nothing of it is known");
    }

    #[test]
    fn a_webhook_that_stops_while_it_is_behind_ends_the_walk() {
        let mut all = replay(None, 3);
        assert!(all.leave_behind(None, key(5, 1)));
        all.come_to(None, &WalkPiece { found: Vec::new(), up_to: key(900, 9), is_last: true }, NOW);
        assert_eq!((all.state, all.skipped()), (ReplayState::Running, 0));
        all.webhook_stopped(EndpointNo(1), false, NOW);
        assert_eq!((all.state, all.skipped()), (ReplayState::Done, 3));
    }

    #[test]
    fn a_webhook_waits_for_room_and_purges_and_the_order_of_its_deliveries() {
        let (mut all, active, delivery) = (replay(None, 9), endpoint(&["*"]), ended(9));
        let found = Found { webhook: Some(&active), delivery: Some(&delivery), is_purged: false, has_room: true };
        let waits = [Found { is_purged: true, ..found }, Found { has_room: false, ..found }];
        assert_eq!(waits.map(|found| step(&all, &found)), [Step::Wait; 2]);
        let mut ordered = active.clone();
        ordered.definition.settings = std::sync::Arc::new(crate::domain::webhook::settings::WebhookSettings {
            ordered: true,
            ..crate::domain::webhook::settings::WebhookSettings::default()
        });
        all.send(None, DeliveryKey { endpoint: ordered.no, ..key(4, 1) });
        let of_ordered = Found { webhook: Some(&ordered), ..found };
        assert_eq!([&found, &of_ordered].map(|found| step(&all, found)), [Step::Send, Step::Wait], "one at a time");
        (0..WAITING_MAX / 2 - 1).for_each(|_| all.send(None, DeliveryKey { endpoint: active.no, ..key(4, 1) }));
        assert_eq!(step(&all, &found), Step::Wait, "half of the places are for others");
        assert!(all.leave_behind(None, key(4, 1)) && !replay(Some(1), 9).leave_behind(None, key(4, 1)));
    }

    #[test]
    fn the_end_of_the_last_delivery_ends_the_replay_and_the_rest_was_skipped() {
        let mut all = replay(None, 3);
        all.send(None, key(5, 1));
        all.send(None, key(6, 2));
        all.come_to(None, &WalkPiece { found: Vec::new(), up_to: key(900, 9), is_last: true }, NOW);
        assert_eq!((all.state, all.skipped(), all.waiting.total()), (ReplayState::Running, 1, 2));
        all.attempted(EndpointNo(1));
        let attempted = Delivery { replay: Some(Replayed { no: NO, waits: false }), ..ended(9) };
        all.ended(&attempted, NOW);
        assert_eq!((all.state, all.done, all.failed, all.waiting.total()), (ReplayState::Running, 1, 1, 1));
        let other = Delivery {
            key: key(6, 2),
            state: State::Succeeded { at: NOW },
            replay: Some(Replayed { no: NO, waits: true }),
            ..attempted
        };
        all.ended(&other, NOW);
        assert_eq!((all.state, all.done, all.failed, all.ended_at), (ReplayState::Done, 2, 1, Some(NOW)));
        assert_eq!(all.waiting, Waiting::default());
    }

    #[test]
    fn a_replay_of_nothing_is_done_at_once() {
        let none = replay(None, 0);
        assert_eq!((none.state, none.walks(), none.skipped()), (ReplayState::Done, false, 0));
    }

    #[test]
    fn what_has_ended_is_neither_paused_nor_resumed() {
        let running = replay(None, 9);
        let paused = running.clone().paused().expect("it runs");
        assert_eq!(paused.clone().paused().as_ref(), Ok(&paused));
        assert!(!paused.walks() && paused.clone().resumed(Ok(())).is_ok_and(|replay| replay.walks()));
        assert_eq!(paused.clone().resumed(Err(Denied::Disabled)), Err(Denied::Disabled));
        let cancelled = paused.cancelled(NOW).expect("it has not ended");
        assert_eq!(cancelled.clone().cancelled(NOW).as_ref(), Ok(&cancelled));
        for ended in [cancelled, replay(None, 0)] {
            assert_eq!(
                (ended.clone().paused(), ended.clone().resumed(Ok(()))),
                (Err(Denied::ReplayEnded), Err(Denied::ReplayEnded))
            );
        }
        assert_eq!(replay(None, 0).cancelled(NOW), Err(Denied::ReplayEnded));
    }

    #[test]
    fn the_oldest_of_the_ended_are_forgotten() {
        let of = |no: u64, at: u64| Replay { no: ReplayNo(no), ended_at: Some(Timestamp::from_millis(at)), ..replay(None, 0) };
        let many: Vec<Replay> = (0..ENDED_MAX as u64 + 2).map(|no| of(no, 5_000 + no)).collect();
        assert_eq!(forgotten(many.iter(), Timestamp::EPOCH), [ReplayNo(1), ReplayNo(0)]);
        assert_eq!(forgotten(many[..3].iter(), Timestamp::from_millis(5_001)), [ReplayNo(0)]);
        let busy = (0..200).flat_map(|tenant| (0..60).map(move |_| TenantNo(tenant)));
        let rare = std::iter::once(TenantNo(900));
        let many: Vec<Replay> = rare.chain(busy).zip(0..).map(|(tenant, no)| Replay { tenant, ..of(no, 5_000) }).collect();
        let gone = forgotten(many.iter(), Timestamp::EPOCH);
        assert!(!gone.contains(&ReplayNo(0)), "the only one of its tenant, though the oldest of all");
        assert_eq!(many.len() - gone.len(), 200 * 49 + 1);
        assert_eq!(may_begin(UNFINISHED_MAX), Err(Denied::TooManyReplays(UNFINISHED_MAX)));
    }

    proptest! {
        /// Whatever happens in whatever order, nothing is counted twice, and nothing waits that was attempted.
        #[test]
        fn counts_add_up(steps in prop::collection::vec((0..3_u8, 1..4_u32), 0..60)) {
            let (mut replay, mut open) = (replay(None, 5), Vec::new());
            for (number, (what, webhook)) in steps.into_iter().enumerate() {
                match what {
                    0 => {
                        let key = key(number as u64 + 1, webhook);
                        replay.send(None, key);
                        open.push((key, true));
                    }
                    1 => {
                        if let Some((key, waits)) = open.iter_mut().find(|(_, waits)| *waits) {
                            *waits = false;
                            replay.attempted(key.endpoint);
                        }
                    }
                    _ => {
                        if let Some((key, waits)) = open.pop() {
                            replay.ended(&Delivery { key, replay: Some(Replayed { no: NO, waits }), ..ended(9) }, NOW);
                        }
                    }
                }
                prop_assert_eq!(replay.sent - replay.done, open.len() as u64);
                prop_assert_eq!(replay.waiting.total() as usize, open.iter().filter(|(_, waits)| *waits).count());
                prop_assert!(replay.matched >= replay.sent && replay.failed <= replay.done);
            }
        }
    }
}
