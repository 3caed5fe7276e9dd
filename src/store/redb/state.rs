//! What the writer knows between commits, and nobody else: how far each of its works has come.

pub(in crate::store) mod ages;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use ages::Ages;

use super::background::pace::Pace;
use super::journal::memtable::Memtable;
use super::tables::index::Flushing;
use crate::domain::access::KeyHash;
use crate::domain::id::{ByEndpoint, DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::time::timekeeper::TimeKeeper;
use crate::metrics::Known;
use crate::store::message::cached::CachedEvent;
use crate::store::message::command::Limits;
use crate::store::message::tenant::{Deletion, Tenant};
use crate::store::record::key::TimeKey;
use crate::store::record::{Chain, Counters, Fanout, Job};
use crate::store::shared::revoked::Revoked;
use crate::store::writer::order::Order;
use crate::store::writer::replays::Replays;
use crate::store::writer::schedule::Schedule;
use crate::store::writer::throttle::Notices;

/// What the writer knows between commits.
pub(in crate::store) struct Memory {
    pub(in crate::store) counters: Counters,
    pub(in crate::store) time: TimeKeeper,
    /// Of the boot that the time counts from.
    pub(in crate::store) boot_id: u64,
    pub(in crate::store) schedule: Schedule,
    pub(in crate::store) order: Order,
    /// How far each endpoint's backlog was read; an endpoint without a backlog is not here.
    pub(in crate::store) backlogs: ByEndpoint<Cursor>,
    pub(in crate::store) fanouts: VecDeque<RunningFanout>,
    pub(in crate::store) jobs: VecDeque<RunningJob>,
    /// Up to which event the deliveries of webhooks end that are being purged.
    pub(in crate::store) purges: ByEndpoint<EventKey>,
    /// The pending tests that were asked for since the start, and who waits for the outcome of each. Each is in a queue, is to be
    /// loaded into one, or is under way, unless it had no permit and stands in a backlog; some 40 bytes each.
    pub(in crate::store) tests: HashMap<DeliveryKey, Option<oneshot::Sender<()>>>,
    pub(in crate::store) limits: Limits,
    pub(in crate::store) sweep: Sweep,
    /// Entries that came into the tail since the last checkpoint began.
    pub(in crate::store) listed: usize,
    /// Keys that were taken away: what they published and still waits is refused.
    pub(in crate::store) revoked: Revoked,
    /// The keys of the config file.
    pub(in crate::store) file_keys: HashSet<KeyHash>,
    /// What the operator was told lately.
    pub(in crate::store) notices: Notices,
    /// Whether those who deliver know of the backlogs that were found at the start.
    pub(in crate::store) announced: bool,
    /// The connection after which the next sweep goes on; empty: the first.
    pub(in crate::store) connections_swept: Vec<u8>,
    /// The webhook after which the next sweep of tombstones goes on; 0: the first.
    pub(in crate::store) tombstones_swept: u32,
    /// The ids of the webhooks that were deleted and whose tombstones were kept at the first import since the start, and of those
    /// deleted since. `None` until then.
    pub(in crate::store) buried: Option<HashSet<Box<str>>>,
    /// Webhooks that are being deleted and had no delivery which the tail of the index could name.
    pub(in crate::store) unlisted: HashSet<EndpointNo>,
    /// How often a slice of a job is done.
    pub(in crate::store) job_pace: Pace,
    /// How often a slice of the log is listed whose attempts no index holds.
    pub(in crate::store) relist_pace: Pace,
    pub(in crate::store) scratch: Vec<u8>,
    /// The metrics of the providers that the writer has met.
    pub(in crate::store) metrics: Known,
    pub(in crate::store) memtable: Memtable,
    /// The tenants that are being deleted.
    pub(in crate::store) deletions: VecDeque<RunningDeletion>,
    pub(in crate::store) replays: Replays,
    /// The tenants with a retention of their own.
    pub(in crate::store) ages: Ages,
    /// How often a slice of a deletion is done.
    pub(in crate::store) erase_pace: Pace,
    /// Whether any event has, or had since the start, a uid.
    pub(in crate::store) has_uids: bool,
    /// Where the chain of the audit log begins and ends.
    pub(in crate::store) audit: Chain,
    /// Rows of the index that are on their way into it.
    pub(in crate::store) flushing: Option<Flushing>,
}

impl Memory {
    /// The number of the tenant of this name with whose deletion an event goes. Another tenant may be known by the name.
    pub(in crate::store) fn erasing(&self, provider: &[u8], tenant: &[u8], event: EventKey) -> Option<TenantNo> {
        self.deletions.iter().find(|running| running.erases(provider, tenant, event)).map(|running| running.no)
    }
}

/// The place in a backlog after which the next piece is read.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Cursor {
    pub(in crate::store) after: u64,
    /// Whether anything may stand behind it.
    pub(in crate::store) more: bool,
    /// Up to this event, deliveries may have been under way when the webhook was disabled last: 0 where it was not.
    pub(in crate::store) doubted: u64,
    /// Up to this event, a delivery that stands under its event's key may have a row: 0 where none has, as the entries are of this
    /// run of the service, in which the webhook was never ordered.
    pub(in crate::store) unsure: u64,
}

/// A fan-out under way.
pub(in crate::store) struct RunningFanout {
    pub(in crate::store) event: EventKey,
    pub(in crate::store) cursor: Fanout,
    /// The event, where memory has room for it.
    pub(in crate::store) known: Option<Arc<CachedEvent>>,
}

/// A job under way.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct RunningJob {
    pub(in crate::store) endpoint: EndpointNo,
    pub(in crate::store) job: Job,
}

/// The deletion of a tenant under way.
#[derive(Debug)]
pub(in crate::store) struct RunningDeletion {
    pub(in crate::store) no: TenantNo,
    pub(in crate::store) tenant: Tenant,
    /// The newest event that may be the tenant's. All events that came after the deletion began are younger, also those of a tenant
    /// that the config file lists under the same name meanwhile.
    pub(in crate::store) until: EventKey,
    pub(in crate::store) erased: Erased,
    /// The last idempotency key that was looked at.
    pub(in crate::store) name: Vec<u8>,
    /// The last webhook that was looked at for what is left of it.
    pub(in crate::store) looked_at: u32,
}

/// What of a tenant is erased already. Each step takes what the one before left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Erased {
    Nothing,
    /// Nothing, and the index is being written up to the tenant's last event.
    Waits,
    /// Nothing, and the index has all that there is.
    Indexed,
    Deliveries,
    Events,
    /// All but what the log needed of webhooks.
    Names,
}

impl RunningDeletion {
    /// `deletion`: what the tenant's row says of it. No later event has a key of the millisecond in which it began.
    pub(in crate::store) fn new(no: TenantNo, tenant: Tenant, deletion: Deletion) -> Self {
        let until = EventKey::up_to(deletion.since);
        Self { no, tenant, until, erased: Erased::Nothing, name: Vec::new(), looked_at: 0 }
    }

    /// Whether an event of the tenant with this name goes with the deletion.
    fn erases(&self, provider: &[u8], tenant: &[u8], event: EventKey) -> bool {
        let owned = &self.tenant.owned;
        event <= self.until && owned.tenant.as_bytes() == tenant && owned.provider.as_bytes() == provider
    }

    pub(in crate::store) fn note(&mut self, count: impl FnOnce(&mut Deletion)) {
        if let Some(deletion) = &mut self.tenant.deletion {
            count(deletion);
        }
    }
}

impl Erased {
    pub(in crate::store) fn next(self) -> Self {
        match self {
            Self::Nothing => Self::Waits,
            Self::Waits => Self::Indexed,
            Self::Indexed => Self::Deliveries,
            Self::Deliveries => Self::Events,
            Self::Events | Self::Names => Self::Names,
        }
    }
}

/// When the next sweep is, and whether the last one left work.
#[derive(Debug)]
pub(in crate::store) struct Sweep {
    pub(in crate::store) next: Instant,
    pub(in crate::store) more: bool,
    /// After a pass in vain: when the next one may begin.
    pub(in crate::store) rests_until: Instant,
    /// How far `revisit` was gone through for the sake of `max_bytes`.
    pub(in crate::store) early: TimeKey,
    pub(in crate::store) held: HeldPass,
    /// Whether there was any since the start.
    pub(in crate::store) begun: bool,
}

/// A pass over the webhooks that had a backlog when it began, some in each commit.
#[derive(Debug, Default)]
pub(in crate::store) struct HeldPass {
    /// Those that it has not looked at, the next one last; 4 bytes each.
    left: Vec<EndpointNo>,
}

impl HeldPass {
    /// Goes through all of them, unless a pass is under way.
    pub(in crate::store) fn begin(&mut self, endpoints: impl Iterator<Item = EndpointNo>) {
        if self.left.is_empty() {
            self.left.extend(endpoints);
        }
    }

    /// Those to look at in this commit.
    pub(in crate::store) fn slice(&self) -> Vec<EndpointNo> {
        self.left.iter().rev().take(LOOKED).copied().collect()
    }

    /// The first of the slice was looked at.
    pub(in crate::store) fn done(&mut self, endpoint: EndpointNo) {
        let last = self.left.pop();
        debug_assert_eq!(last, Some(endpoint), "they are looked at in order");
    }

    pub(in crate::store) fn is_under_way(&self) -> bool {
        !self.left.is_empty()
    }
}

impl Sweep {
    pub(in crate::store) fn new(steady: Instant) -> Self {
        Self { next: steady + EVERY, more: true, rests_until: steady, early: [0; 16], held: HeldPass::default(), begun: false }
    }

    pub(in crate::store) fn wake_at(&self) -> Instant {
        self.next
    }

    /// Whether none began yet since the start.
    pub(in crate::store) fn is_first(&self) -> bool {
        !self.begun
    }

    pub(in crate::store) fn has_more(&self) -> bool {
        self.more
    }
}

/// Backlogs that are looked into in one commit: a page of the table each.
const LOOKED: usize = 256;

/// Between two sweeps.
pub(in crate::store) const EVERY: Duration = Duration::from_secs(60);

/// The same while the disk is nearly full: what is old enough makes room.
pub(in crate::store) const EVERY_WHEN_LOW: Duration = Duration::from_secs(5);

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
