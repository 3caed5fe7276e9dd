//! The replays that the writer knows: all that run, and those that have ended and are still shown.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::domain::delivery::Delivery;
use crate::domain::id::{DeliveryKey, EndpointNo, ReplayNo, TenantNo};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::message::replay::{Replay, ReplayState};
use crate::store::rules::resend::replay::forgotten;

/// The replays, and which of them the batch under way has changed.
#[derive(Debug, Default)]
pub(in crate::store) struct Replays {
    all: BTreeMap<ReplayNo, Replay>,
    /// Those of each tenant that have not ended, or have sent a delivery that has not.
    open: HashMap<TenantNo, BTreeSet<ReplayNo>>,
    changed: BTreeSet<ReplayNo>,
}

/// What a batch changed of a replay: `None` means that it was forgotten.
pub(in crate::store) type Changed = (ReplayNo, Option<Replay>);

impl Replays {
    /// The replays as a start finds them.
    pub(in crate::store) fn of(all: impl IntoIterator<Item = Replay>) -> Self {
        let mut found = Self::default();
        all.into_iter().for_each(|replay| found.put(replay));
        found.changed.clear();
        found
    }

    pub(in crate::store) fn find(&self, no: ReplayNo) -> Option<&Replay> {
        self.all.get(&no)
    }

    pub(in crate::store) fn put(&mut self, replay: Replay) {
        self.changed.insert(replay.no);
        self.list(&replay);
        self.all.insert(replay.no, replay);
    }

    /// How many replays of a tenant are running or paused.
    pub(in crate::store) fn unfinished_of(&self, tenant: TenantNo) -> usize {
        self.open_of(tenant).filter(|replay| !replay.state.is_final()).count()
    }

    /// Whether a replay may have sent a delivery that is still under way. Then its row tells whether one did.
    pub(in crate::store) fn may_have_sent(&self, key: DeliveryKey, tenant: TenantNo) -> bool {
        self.open_of(tenant).any(|replay| replay.may_have_sent(key, tenant))
    }

    fn open_of(&self, tenant: TenantNo) -> impl Iterator<Item = &Replay> {
        self.open.get(&tenant).into_iter().flatten().filter_map(|no| self.all.get(no))
    }

    /// Notes that a webhook was disabled, removed or deleted, in the replays of its tenant. Returns those that stopped by that.
    pub(in crate::store) fn webhook_stopped(&mut self, webhook: &Endpoint, now: Timestamp) -> Vec<Replay> {
        let theirs: Vec<(ReplayNo, ReplayState)> =
            self.open_of(webhook.tenant_no).map(|replay| (replay.no, replay.state)).collect();
        let mut stopped = Vec::new();
        for (no, was) in theirs {
            self.change(no, |replay| replay.webhook_stopped(webhook.no, webhook.is_deleted(), now));
            stopped.extend(self.find(no).filter(|replay| replay.state != was && replay.reason.is_some()).cloned());
        }
        stopped
    }

    /// Notes that the first attempt of a delivery has ended. Of a replay that is forgotten nothing is counted.
    pub(in crate::store) fn attempted(&mut self, no: ReplayNo, endpoint: EndpointNo) {
        self.change(no, |replay| {
            replay.attempted(endpoint);
            true
        });
    }

    /// Notes that a delivery has ended that a replay sent again.
    pub(in crate::store) fn ended(&mut self, no: ReplayNo, delivery: &Delivery, now: Timestamp) {
        self.change(no, |replay| {
            replay.ended(delivery, now);
            true
        });
    }

    /// Notes that a delivery which a replay counts as failed succeeded after all.
    pub(in crate::store) fn succeeded_late(&mut self, no: ReplayNo) {
        self.change(no, |replay| {
            replay.succeeded_late();
            true
        });
    }

    /// Forgets the replays of a tenant.
    pub(in crate::store) fn forget_tenant(&mut self, tenant: TenantNo) {
        let theirs: Vec<ReplayNo> = self.all.values().filter(|replay| replay.tenant == tenant).map(|replay| replay.no).collect();
        self.forget(theirs);
    }

    /// Forgets replays that ended before `oldest`, and the oldest of those that are too many.
    pub(in crate::store) fn forget_old(&mut self, oldest: Timestamp) {
        let old = forgotten(self.all.values().filter(|replay| replay.state.is_final()), oldest);
        self.forget(old);
    }

    /// All of them, as readers are shown what changed.
    pub(in crate::store) fn all(&self) -> Vec<Changed> {
        self.all.values().map(|replay| (replay.no, Some(replay.clone()))).collect()
    }

    /// Takes what the batch has changed.
    pub(in crate::store) fn take_changed(&mut self) -> Vec<Changed> {
        let changed = std::mem::take(&mut self.changed);
        changed.into_iter().map(|no| (no, self.all.get(&no).cloned())).collect()
    }

    pub(in crate::store) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    fn forget(&mut self, gone: Vec<ReplayNo>) {
        for no in gone {
            if let Some(replay) = self.all.remove(&no) {
                self.unlist(&replay);
            }
            self.changed.insert(no);
        }
    }

    /// Changes a replay; `change` says whether it did anything. One that is forgotten is not changed.
    fn change(&mut self, no: ReplayNo, change: impl FnOnce(&mut Replay) -> bool) {
        let Some(replay) = self.all.get_mut(&no) else { return };
        if change(replay) {
            self.changed.insert(no);
            if !replay.is_open() {
                let tenant = replay.tenant;
                self.unlist_of(tenant, no);
            }
        }
    }

    fn list(&mut self, replay: &Replay) {
        if replay.is_open() {
            self.open.entry(replay.tenant).or_default().insert(replay.no);
        } else {
            self.unlist(replay);
        }
    }

    fn unlist(&mut self, replay: &Replay) {
        self.unlist_of(replay.tenant, replay.no);
    }

    fn unlist_of(&mut self, tenant: TenantNo, no: ReplayNo) {
        if let Some(open) = self.open.get_mut(&tenant) {
            open.remove(&no);
            if open.is_empty() {
                self.open.remove(&tenant);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::{Delivery, End, QueuePosition};
    use crate::domain::id::EventKey;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::store::Owned;
    use crate::store::message::replay::{Ids, NewReplay, ReplayFilter, WalkPiece};
    use crate::store::rules::resend::replay::begin;

    const AT: Timestamp = Timestamp::from_millis(1_000);

    fn replay(no: u64, tenant: u32) -> Replay {
        let filter = ReplayFilter {
            webhook: None,
            kind: None,
            succeeded: None,
            code: None,
            since: Timestamp::EPOCH,
            until: Timestamp::from_millis(900),
        };
        let owned = Owned { provider: "acme".into(), tenant: "t1".into() };
        begin(
            NewReplay { owned, filter, ids: Ids::Same, rate: None, asked_at: AT, matched: 1 },
            ReplayNo(no << 16),
            TenantNo(tenant),
        )
    }

    #[test]
    fn only_replays_that_are_open_are_looked_at_for_a_delivery() {
        let webhook = endpoint(&["*"]);
        let key = DeliveryKey { event: EventKey(5 << 16), endpoint: webhook.no };
        let mut one = replay(1_000, 3);
        one.send(None, key);
        one.come_to(None, &WalkPiece { found: Vec::new(), up_to: key, is_last: true }, AT);
        let mut replays = Replays::of([one, replay(1_001, 4)]);
        assert!(replays.may_have_sent(key, TenantNo(3)) && !replays.may_have_sent(key, TenantNo(4)), "each of its tenant");
        assert_eq!((replays.unfinished_of(TenantNo(3)), replays.open.len()), (1, 2));
        let cancelled = replays.find(ReplayNo(1_000 << 16)).cloned().and_then(|replay| replay.cancelled(AT).ok());
        replays.put(cancelled.expect("it runs"));
        assert!(replays.may_have_sent(key, TenantNo(3)), "what it sent is under way");
        let ended = Delivery::published(key, QueuePosition::Backlog(0)).ended(End::Exhausted, AT);
        replays.ended(ReplayNo(1_000 << 16), &ended, AT);
        assert!(!replays.may_have_sent(key, TenantNo(3)));
        replays.forget_tenant(TenantNo(4));
        assert_eq!((replays.open.len(), replays.all.len()), (0, 1));
    }
}
