//! The replays that the writer knows: all that run, and those that have ended and are still shown.

use std::collections::{BTreeMap, BTreeSet};

use crate::domain::delivery::Delivery;
use crate::domain::id::{DeliveryKey, EndpointNo, ReplayNo, TenantNo};
use crate::domain::time::Timestamp;
use crate::store::message::replay::Replay;
use crate::store::rules::resend::replay::forgotten;

/// The replays, and which of them the batch under way has changed.
#[derive(Debug, Default)]
pub(in crate::store) struct Replays {
    all: BTreeMap<ReplayNo, Replay>,
    changed: BTreeSet<ReplayNo>,
}

/// What a batch changed of a replay: `None` means that it was forgotten.
pub(in crate::store) type Changed = (ReplayNo, Option<Replay>);

impl Replays {
    /// The replays as a start finds them.
    pub(in crate::store) fn of(all: impl IntoIterator<Item = Replay>) -> Self {
        Self { all: all.into_iter().map(|replay| (replay.no, replay)).collect(), changed: BTreeSet::new() }
    }

    pub(in crate::store) fn find(&self, no: ReplayNo) -> Option<&Replay> {
        self.all.get(&no)
    }

    pub(in crate::store) fn put(&mut self, replay: Replay) {
        self.changed.insert(replay.no);
        self.all.insert(replay.no, replay);
    }

    /// How many replays of a tenant are running or paused.
    pub(in crate::store) fn unfinished_of(&self, tenant: TenantNo) -> usize {
        self.all.values().filter(|replay| replay.tenant == tenant && !replay.state.is_final()).count()
    }

    /// Whether a replay may have sent a delivery that is still under way. Then its row tells whether one did.
    pub(in crate::store) fn may_have_sent(&self, key: DeliveryKey, tenant: TenantNo) -> bool {
        self.all.values().any(|replay| replay.may_have_sent(key, tenant))
    }

    /// Notes that the first attempt of a delivery has ended. Of a replay that is forgotten nothing is counted.
    pub(in crate::store) fn attempted(&mut self, no: ReplayNo, endpoint: EndpointNo) {
        self.change(no, |replay| replay.attempted(endpoint));
    }

    /// Notes that a delivery has ended that a replay sent again.
    pub(in crate::store) fn ended(&mut self, no: ReplayNo, delivery: &Delivery, now: Timestamp) {
        self.change(no, |replay| replay.ended(delivery, now));
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
            self.all.remove(&no);
            self.changed.insert(no);
        }
    }

    fn change(&mut self, no: ReplayNo, change: impl FnOnce(&mut Replay)) {
        if let Some(replay) = self.all.get_mut(&no) {
            change(replay);
            self.changed.insert(no);
        }
    }
}
