//! The replays as everybody sees them: as of the last commit.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::domain::id::ReplayNo;
use crate::store::Store;
use crate::store::message::replay::Replay;

/// All replays that are kept, and a bell that rings when one has changed.
#[derive(Debug, Default)]
pub(in crate::store) struct Replays {
    all: RwLock<BTreeMap<ReplayNo, Arc<Replay>>>,
    pub(in crate::store) bell: Notify,
}

impl Replays {
    /// Shows what a commit changed. `None` means that a replay was forgotten.
    pub(in crate::store) fn show(&self, changed: &[(ReplayNo, Option<Replay>)]) {
        let mut all = self.all.write().unwrap_or_else(PoisonError::into_inner);
        for (no, replay) in changed {
            match replay {
                Some(replay) => drop(all.insert(*no, Arc::new(replay.clone()))),
                None => drop(all.remove(no)),
            }
        }
        drop(all);
        self.bell.notify_one();
    }

    pub(in crate::store) fn find(&self, no: ReplayNo) -> Option<Arc<Replay>> {
        self.all.read().unwrap_or_else(PoisonError::into_inner).get(&no).cloned()
    }

    /// The wanted replays, oldest first.
    pub(in crate::store) fn wanted(&self, wanted: impl Fn(&Replay) -> bool) -> Vec<Arc<Replay>> {
        let all = self.all.read().unwrap_or_else(PoisonError::into_inner);
        all.values().filter(|replay| wanted(replay)).cloned().collect()
    }
}

impl Store {
    /// The replay with this id, if it is kept.
    pub(crate) fn replay(&self, id: &str) -> Option<Arc<Replay>> {
        self.shared.replays.find(self.shared.node.replay_no(id)?)
    }

    /// At most `limit` replays that are wanted, newest first, before `before`.
    pub(crate) fn replays_where(
        &self,
        wanted: impl Fn(&Replay) -> bool,
        before: Option<ReplayNo>,
        limit: usize,
    ) -> Vec<Arc<Replay>> {
        let is_before = |replay: &Replay| before.is_none_or(|before| replay.no < before);
        let mut found = self.shared.replays.wanted(|replay| is_before(replay) && wanted(replay));
        found.reverse();
        found.truncate(limit);
        found
    }
}
