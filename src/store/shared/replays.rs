//! The replays as everybody sees them: as of the last commit.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::Notify;

use crate::domain::id::ReplayNo;
use crate::store::Store;
use crate::store::message::replay::Replay;
use crate::store::shared::counts::Counts;

/// All replays that are kept, and a bell that rings when one has changed.
#[derive(Debug, Default)]
pub(in crate::store) struct Replays {
    known: RwLock<Known>,
    pub(in crate::store) bell: Notify,
    pub(in crate::store) counts: Counts,
}

#[derive(Debug, Default)]
struct Known {
    all: BTreeMap<ReplayNo, Arc<Replay>>,
    /// Those that have something left to send.
    walking: BTreeMap<ReplayNo, Arc<Replay>>,
}

impl Replays {
    /// Shows what a commit changed. `None` means that a replay was forgotten.
    pub(in crate::store) fn show(&self, changed: &[(ReplayNo, Option<Replay>)]) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        for (no, replay) in changed {
            let replay = replay.clone().map(Arc::new);
            known.show_walking(*no, replay.clone().filter(|replay| replay.walks()));
            match replay {
                Some(replay) => drop(known.all.insert(*no, replay)),
                None => drop(known.all.remove(no)),
            }
        }
        drop(known);
        self.bell.notify_one();
    }

    /// The replays that have something left to send, oldest first.
    pub(in crate::store) fn walking(&self) -> Vec<Arc<Replay>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).walking.values().cloned().collect()
    }

    pub(in crate::store) fn find(&self, no: ReplayNo) -> Option<Arc<Replay>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).all.get(&no).cloned()
    }

    /// The wanted replays, oldest first.
    pub(in crate::store) fn wanted(&self, wanted: impl Fn(&Replay) -> bool) -> Vec<Arc<Replay>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.all.values().filter(|replay| wanted(replay)).cloned().collect()
    }
}

impl Known {
    fn show_walking(&mut self, no: ReplayNo, replay: Option<Arc<Replay>>) {
        match replay {
            Some(replay) => drop(self.walking.insert(no, replay)),
            None => drop(self.walking.remove(&no)),
        }
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
