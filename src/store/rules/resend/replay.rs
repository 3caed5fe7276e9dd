//! How a replay goes on: by what was asked, by what its walk found, and by how its deliveries end.

use crate::domain::delivery::{Delivery, Replayed, State};
use crate::domain::id::{DeliveryKey, EndpointNo, ReplayNo, TenantNo};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Endpoint, WebhookState};
use crate::store::Denied;
use crate::store::message::replay::{NewReplay, Replay, ReplayReason, ReplayState, WAITING_MAX, Walk, WalkPiece};

/// What a walk does with the next delivery that it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Step {
    /// The delivery is sent again.
    Send,
    /// The delivery is left out.
    Skip,
    /// The walk stays before the delivery for now.
    Wait,
    /// The replay stops.
    Stop(ReplayState, ReplayReason),
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
    /// Whether the webhook's queue has room for one more.
    pub(in crate::store) has_room: bool,
    /// How many deliveries of the replay wait for their first attempt, without held ones.
    pub(in crate::store) waiting: u32,
}

/// A replay that was asked for, as it begins. `no` is a new key, so all that matched was published before.
pub(in crate::store) fn begin(new: NewReplay, no: ReplayNo, tenant: TenantNo) -> Replay {
    let NewReplay { owned, filter, rate, matched } = new;
    let (before, last) = filter.events();
    let walk = Walk {
        after: DeliveryKey { event: before, endpoint: EndpointNo(u32::MAX) },
        last: last.min(crate::domain::id::EventKey(no.0)),
        is_over: matched == 0,
    };
    let state = if matched == 0 { ReplayState::Done } else { ReplayState::Running };
    let ended_at = (matched == 0).then(|| no.time());
    let (reason, waiting) = (None, Default::default());
    Replay { no, owned, tenant, filter, rate, state, reason, matched, sent: 0, done: 0, failed: 0, walk, waiting, ended_at }
}

/// Whether a tenant may begin one more replay; `unfinished` is how many of its replays are running or paused.
pub(in crate::store) fn may_begin(unfinished: usize) -> Result<(), Denied> {
    if unfinished < UNFINISHED_MAX { Ok(()) } else { Err(Denied::TooManyReplays(UNFINISHED_MAX)) }
}

/// What a walk does with the next delivery that it found.
pub(in crate::store) fn step(replay: &Replay, found: &Found<'_>) -> Step {
    let is_of_one = replay.filter.webhook.is_some();
    let Some(webhook) = found.webhook else { return stopped(is_of_one, ReplayState::Cancelled, ReplayReason::WebhookDeleted) };
    match webhook.state {
        WebhookState::Active => {}
        WebhookState::Deleted { .. } => return stopped(is_of_one, ReplayState::Cancelled, ReplayReason::WebhookDeleted),
        WebhookState::Disabled { .. } | WebhookState::Removed { .. } => {
            return stopped(is_of_one, ReplayState::Paused, ReplayReason::WebhookInactive);
        }
    }
    if !found.delivery.is_some_and(|delivery| replay.filter.takes(delivery, replay.no.asked_at())) {
        return Step::Skip;
    }
    let is_ordered = webhook.definition.settings.ordered;
    let has_turn = if is_ordered { !replay.waiting.contains_key(&webhook.no) } else { found.has_room };
    if found.is_purged || !has_turn || found.waiting >= WAITING_MAX { Step::Wait } else { Step::Send }
}

/// A replay of one webhook stops with it. One of many webhooks leaves out what it cannot send.
fn stopped(is_of_one: bool, state: ReplayState, reason: ReplayReason) -> Step {
    if is_of_one { Step::Stop(state, reason) } else { Step::Skip }
}

impl Replay {
    /// Notes that a delivery was sent again.
    pub(in crate::store) fn send(&mut self, key: DeliveryKey) {
        self.sent += 1;
        self.matched = self.matched.max(self.sent);
        *self.waiting.entry(key.endpoint).or_default() += 1;
        self.walk.after = key;
    }

    /// Notes how far the walk has come.
    pub(in crate::store) fn come_to(&mut self, piece: &WalkPiece, now: Timestamp) {
        self.walk.after = self.walk.after.max(piece.up_to);
        self.walk.is_over |= piece.is_last;
        self.end_if_done(now);
    }

    /// Stops it for a reason of its own.
    pub(in crate::store) fn stop(&mut self, state: ReplayState, reason: ReplayReason, now: Timestamp) {
        self.state = state;
        self.reason = Some(reason);
        self.ended_at = state.is_final().then_some(now);
    }

    /// Notes that the first attempt of a delivery has ended, or that it will have none.
    pub(in crate::store) fn attempted(&mut self, endpoint: EndpointNo) {
        if let Some(count) = self.waiting.get_mut(&endpoint) {
            *count -= 1;
            if *count == 0 {
                self.waiting.remove(&endpoint);
            }
        }
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

    fn end_if_done(&mut self, now: Timestamp) {
        if self.walk.is_over && self.done == self.sent && !self.state.is_final() {
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

/// Which of the ended replays are forgotten. `ended` are all that have ended, oldest first.
pub(in crate::store) fn forgotten<'a>(ended: impl DoubleEndedIterator<Item = &'a Replay>, oldest: Timestamp) -> Vec<ReplayNo> {
    let mut kept = std::collections::HashMap::<TenantNo, usize>::new();
    let mut all = 0;
    let mut is_forgotten = |replay: &&Replay| {
        let theirs = kept.entry(replay.tenant).or_default();
        (*theirs, all) = (*theirs + 1, all + 1);
        *theirs > ENDED_MAX || all > ALL_ENDED_MAX || replay.ended_at.is_some_and(|at| at < oldest)
    };
    ended.rev().filter(|replay| is_forgotten(replay)).map(|replay| replay.no).collect()
}

/// The most replays of a tenant that are running or paused.
pub(in crate::store) const UNFINISHED_MAX: usize = 10;

/// The most replays of a tenant that are shown after they have ended, the newest.
pub(in crate::store) const ENDED_MAX: usize = 100;

/// The same over all tenants. They are in memory, some 400 bytes each.
pub(in crate::store) const ALL_ENDED_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::delivery::{End, QueuePosition};
    use crate::domain::id::EventKey;
    use crate::domain::webhook::endpoint::Why;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::store::Owned;
    use crate::store::message::replay::ReplayFilter;

    const NO: ReplayNo = ReplayNo(1_000 << 16);
    const TENANT: TenantNo = TenantNo(3);
    const NOW: Timestamp = Timestamp::from_millis(2_000);

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
        begin(NewReplay { owned, filter: filter(webhook), rate: None, matched }, NO, TENANT)
    }

    fn ended(at: u64) -> Delivery {
        Delivery::published(key(5, 1), QueuePosition::Backlog(0)).ended(End::Exhausted, Timestamp::from_millis(at))
    }

    fn steps(replay: &Replay, webhook: Option<&Endpoint>, delivery: Option<&Delivery>) -> Step {
        step(replay, &Found { webhook, delivery, is_purged: false, has_room: true, waiting: replay.waiting(|_| true) })
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
    fn the_replay_of_one_webhook_stops_with_it_and_that_of_many_goes_on() {
        let (disabled, gone) = (endpoint(&["*"]).disabled(Why::ByHand, NOW), endpoint(&["*"]).deleted(NOW));
        let (one, many, delivery) = (replay(Some(1), 9), replay(None, 9), ended(9));
        let (paused, cancelled) = (
            Step::Stop(ReplayState::Paused, ReplayReason::WebhookInactive),
            Step::Stop(ReplayState::Cancelled, ReplayReason::WebhookDeleted),
        );
        for (webhook, stops) in [(Some(&disabled), paused), (Some(&gone), cancelled), (None, cancelled)] {
            assert_eq!(steps(&one, webhook, Some(&delivery)), stops);
            assert_eq!(steps(&many, webhook, Some(&delivery)), Step::Skip);
        }
    }

    #[test]
    fn a_walk_waits_for_room_and_purges_and_the_order_of_a_webhook() {
        let (mut all, active, delivery) = (replay(None, 9), endpoint(&["*"]), ended(9));
        let found = Found { webhook: Some(&active), delivery: Some(&delivery), is_purged: false, has_room: true, waiting: 0 };
        let waits =
            [Found { is_purged: true, ..found }, Found { has_room: false, ..found }, Found { waiting: WAITING_MAX, ..found }];
        assert_eq!(waits.map(|found| step(&all, &found)), [Step::Wait; 3]);
        let mut ordered = active.clone();
        ordered.definition.settings = std::sync::Arc::new(crate::domain::webhook::settings::WebhookSettings {
            ordered: true,
            ..crate::domain::webhook::settings::WebhookSettings::default()
        });
        let of_ordered = Found { webhook: Some(&ordered), has_room: false, ..found };
        assert_eq!(step(&all, &of_ordered), Step::Send, "it waits in the backlog for its turn");
        all.send(DeliveryKey { endpoint: ordered.no, ..key(4, 1) });
        assert_eq!(step(&all, &of_ordered), Step::Wait, "one at a time");
    }

    #[test]
    fn the_end_of_the_last_delivery_ends_the_replay_and_the_rest_was_skipped() {
        let mut all = replay(None, 3);
        all.send(key(5, 1));
        all.send(key(6, 2));
        all.come_to(&WalkPiece { found: Vec::new(), up_to: key(900, 9), is_last: true }, NOW);
        assert_eq!((all.state, all.skipped(), all.waiting(|_| true)), (ReplayState::Running, 1, 2));
        all.attempted(EndpointNo(1));
        let attempted = Delivery { replay: Some(Replayed { no: NO, waits: false }), ..ended(9) };
        all.ended(&attempted, NOW);
        assert_eq!((all.state, all.done, all.failed, all.waiting(|_| true)), (ReplayState::Running, 1, 1, 1));
        let other = Delivery {
            key: key(6, 2),
            state: State::Succeeded { at: NOW },
            replay: Some(Replayed { no: NO, waits: true }),
            ..attempted
        };
        all.ended(&other, NOW);
        assert_eq!((all.state, all.done, all.failed, all.ended_at), (ReplayState::Done, 2, 1, Some(NOW)));
        assert!(all.waiting.is_empty());
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
                        replay.send(key);
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
                prop_assert_eq!(replay.waiting(|_| true) as usize, open.iter().filter(|(_, waits)| *waits).count());
                prop_assert!(replay.matched >= replay.sent && replay.failed <= replay.done);
            }
        }
    }
}
