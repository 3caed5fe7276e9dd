//! What the writer knows between commits, and nobody else: how far each of its works has come.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::appended::Appended;
use super::held::Held;
use super::notices::Notices;
use super::op::Limits;
use super::record::{Counters, Fanout, Job};
use super::schedule::Schedule;
use super::tables::TimeKey;
use crate::domain::access::KeyHash;
use crate::domain::id::{ByEndpoint, DeliveryKey, EndpointNo, EventKey};
use crate::domain::timekeeper::TimeKeeper;

/// What the writer knows between commits.
pub(super) struct Memory {
    pub(super) counters: Counters,
    pub(super) time: TimeKeeper,
    /// Of the boot that the time counts from.
    pub(super) boot_id: u64,
    pub(super) schedule: Schedule,
    /// How far each endpoint's backlog was read; an endpoint without a backlog is not here.
    pub(super) backlogs: ByEndpoint<Cursor>,
    pub(super) fanouts: VecDeque<RunningFanout>,
    pub(super) jobs: VecDeque<RunningJob>,
    /// Up to which event the deliveries of webhooks end that are being purged.
    pub(super) purges: ByEndpoint<EventKey>,
    /// Who waits for the outcome of a test.
    pub(super) watchers: HashMap<DeliveryKey, oneshot::Sender<()>>,
    pub(super) limits: Limits,
    pub(super) sweep: Sweep,
    /// Entries that came into the tail since the last checkpoint began.
    pub(super) listed: usize,
    /// Keys that were taken away since the start: what they published and still waits is refused. A few bytes each.
    pub(super) revoked: HashSet<KeyHash>,
    /// The keys of the config file.
    pub(super) file_keys: HashSet<KeyHash>,
    /// What the operator was told lately.
    pub(super) notices: Notices,
    /// Whether those who deliver know of the backlogs that were found at the start.
    pub(super) announced: bool,
    /// The connection after which the next sweep goes on; empty: the first.
    pub(super) connections_swept: Vec<u8>,
    /// The webhook after which the next sweep of tombstones goes on; 0: the first.
    pub(super) tombstones_swept: u32,
    pub(super) scratch: Vec<u8>,
    pub(super) appended: Appended,
}

/// The place in a backlog after which the next piece is read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cursor {
    pub(super) after: u64,
    /// Whether anything may stand behind it.
    pub(super) more: bool,
}

/// A fan-out under way.
pub(super) struct RunningFanout {
    pub(super) event: EventKey,
    pub(super) cursor: Fanout,
    /// The event, where memory has room for it.
    pub(super) known: Option<Arc<Held>>,
}

/// A job under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct RunningJob {
    pub(super) endpoint: EndpointNo,
    pub(super) job: Job,
}

/// When the next sweep is, and whether the last one left work.
#[derive(Debug)]
pub(super) struct Sweep {
    pub(super) next: Instant,
    pub(super) more: bool,
    /// After a pass in vain: when the next one may begin.
    pub(super) rests_until: Instant,
    /// How far `revisit` was gone through for the sake of `max_bytes`.
    pub(super) early: TimeKey,
    pub(super) held: HeldPass,
    /// Whether there was any since the start.
    pub(super) begun: bool,
}

/// A pass over the webhooks that had a backlog when it began, some in each commit.
#[derive(Debug, Default)]
pub(super) struct HeldPass {
    /// Those that it has not looked at, the next one last; 4 bytes each.
    left: Vec<EndpointNo>,
}

impl HeldPass {
    /// Goes through all of them, unless a pass is under way.
    pub(super) fn begin(&mut self, endpoints: impl Iterator<Item = EndpointNo>) {
        if self.left.is_empty() {
            self.left.extend(endpoints);
        }
    }

    /// Those to look at in this commit.
    pub(super) fn slice(&self) -> Vec<EndpointNo> {
        self.left.iter().rev().take(LOOKED).copied().collect()
    }

    /// The first of the slice was looked at.
    pub(super) fn done(&mut self, endpoint: EndpointNo) {
        let last = self.left.pop();
        debug_assert_eq!(last, Some(endpoint), "they are looked at in order");
    }

    pub(super) fn is_under_way(&self) -> bool {
        !self.left.is_empty()
    }
}

impl Sweep {
    pub(super) fn new(steady: Instant) -> Self {
        Self { next: steady + EVERY, more: true, rests_until: steady, early: [0; 16], held: HeldPass::default(), begun: false }
    }

    pub(super) fn wake_at(&self) -> Instant {
        self.next
    }

    /// Whether none began yet since the start.
    pub(super) fn is_first(&self) -> bool {
        !self.begun
    }

    pub(super) fn has_more(&self) -> bool {
        self.more
    }
}

/// Backlogs that are looked into in one commit: a page of the table each.
const LOOKED: usize = 256;

/// Between two sweeps.
pub(super) const EVERY: Duration = Duration::from_secs(60);

/// The same while the disk is nearly full: what is old enough makes room.
pub(super) const EVERY_WHEN_LOW: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pass_looks_at_each_backlog_once_and_at_few_in_a_commit() {
        let mut pass = HeldPass::default();
        pass.begin((1..=1_000).map(EndpointNo));
        let mut seen = Vec::new();
        while pass.is_under_way() {
            let slice = pass.slice();
            assert!((1..=LOOKED).contains(&slice.len()));
            for endpoint in slice {
                seen.push(endpoint.0);
                pass.done(endpoint);
            }
            // A minute later, and it has not come to its end.
            if pass.is_under_way() {
                pass.begin((1..=5).map(EndpointNo));
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (1..=1_000).collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_done_is_looked_at_again() {
        let mut pass = HeldPass::default();
        pass.begin([EndpointNo(1), EndpointNo(2)].into_iter());
        let first = pass.slice()[0];
        assert_eq!(pass.slice()[0], first);
        pass.done(first);
        assert_ne!(pass.slice(), [first]);
    }
}
