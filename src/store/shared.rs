//! What the writer shows to all other threads: the registry, the tail of the index, and the store's health.

pub(in crate::store) mod backups;
pub(in crate::store) mod catalogue;
pub(in crate::store) mod counts;
pub(in crate::store) mod described;
pub(in crate::store) mod dial;
pub(in crate::store) mod feeds;
pub(in crate::store) mod followed;
pub(in crate::store) mod held;
pub(in crate::store) mod index_tail;
pub(in crate::store) mod known;
pub(in crate::store) mod last_use;
pub(in crate::store) mod registry;
pub(in crate::store) mod replays;
pub(in crate::store) mod revoked;
pub(in crate::store) mod space;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use tokio::sync::broadcast;

use super::files::WatchedFile;
use super::message::cached::Bodies;
use super::message::finding::Finding;
use super::message::permit::QueueBudget;
use super::message::progress::Fact;
use super::message::publication::Pressure;
use super::record::seal::Sealer;
use super::shared::backups::Backups;
use super::shared::dial::Dial;
use super::shared::feeds::Feeds;
use super::shared::followed::Followed;
use super::shared::held::Held;
use super::shared::index_tail::Tail;
use super::shared::registry::Registry;
use super::shared::replays::Replays;
use super::shared::space::Space;
use crate::budget::{self, Budget};
use crate::clock::Clock;
use crate::domain::dialect::Dialect;
use crate::domain::id::{EndpointNo, Node};
use crate::domain::time::Timestamp;
use crate::metrics::Metrics;

/// The state that the writer and all handles share.
pub(super) struct Shared {
    registry: RwLock<Registry>,
    pub(super) queue_budget: Arc<QueueBudget>,
    pub(super) budget: Arc<Budget>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) held: Held,
    pub(super) bodies: Arc<Bodies>,
    pub(super) node: Node,
    pub(super) sealer: Sealer,
    pub(super) path: PathBuf,
    pub(super) dial: Dial,
    pub(super) tail: Mutex<Tail>,
    pub(super) facts: broadcast::Sender<Fact>,
    pub(super) feeds: Arc<Feeds>,
    pub(super) followed: Arc<Followed>,
    /// The dialect of providers that the config does not name any more.
    standard: Arc<Dialect>,
    pub(super) clock: Clock,
    start: Instant,
    /// The number of commits since the store was opened.
    pub(super) commit_count: AtomicU64,
    pub(super) pending: AtomicU64,
    pub(super) events: AtomicU64,
    pub(super) live_bytes: AtomicU64,
    pub(super) armed: AtomicUsize,
    pub(super) behind: AtomicBool,
    /// All entries of the due table up to this time, in milliseconds, are in memory.
    pub(super) loaded_ms: AtomicU64,
    /// How long a delivery in a queue has waited for nothing but a slot, in milliseconds.
    pub(super) held_back_ms: AtomicU64,
    /// What this machine lacks, if deliveries wait for it.
    pub(super) shortage: RwLock<Option<&'static str>>,
    /// When the writer's last turn was, in steady microseconds since the store was opened.
    pub(super) turned: AtomicU64,
    pub(super) full: AtomicBool,
    pub(super) space: Space,
    pub(super) backups: Backups,
    pub(super) replays: Replays,
    pub(super) found: Found,
    journal_lost: bool,
    /// The webhooks whose secrets come from files.
    from_file: RwLock<HashSet<EndpointNo>>,
}

/// The store's identity: its node, its sealer for secrets, and its path.
pub(super) struct Whose {
    pub(super) node: Node,
    pub(super) sealer: Sealer,
    pub(super) path: PathBuf,
}

/// The surroundings of the store: the clocks and the disk.
pub(super) struct Surroundings {
    pub(super) clock: Clock,
    pub(super) dial: Dial,
    pub(super) space: Space,
}

/// What the start found wrong with the store.
pub(super) struct Found {
    pub(super) findings: Vec<Finding>,
    pub(super) quarantined: u64,
    pub(super) watched: Vec<WatchedFile>,
}

/// How the store is doing.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Health {
    /// How long ago the writer last showed that it lives.
    pub(crate) last_commit_age: Duration,
    /// The number of operations that wait for the writer.
    pub(crate) queue: usize,
    /// Whether the due table is still being loaded.
    pub(crate) behind: bool,
    /// How late the oldest due delivery is that only this relay holds back.
    pub(crate) oldest_due_late: Duration,
    /// What this machine lacks, if deliveries wait for it.
    pub(crate) shortage: Option<&'static str>,
    /// Whether unfinished deliveries fill `max_bytes`.
    pub(crate) full: bool,
    pub(crate) disk_low: bool,
    /// The number of commits since the store was opened.
    pub(crate) commits: u64,
    pub(crate) pending: u64,
    pub(crate) events: u64,
    pub(crate) live_bytes: u64,
    pub(crate) armed: usize,
    pub(crate) webhooks: usize,
    /// The number of disabled webhooks, without the removed ones.
    pub(crate) disabled: usize,
    /// The number of webhooks that were taken out of the config file.
    pub(crate) removed: usize,
}

impl Shared {
    pub(super) fn new(
        registry: Registry,
        tail: Tail,
        whose: Whose,
        standard: Arc<Dialect>,
        around: Surroundings,
        found: Found,
    ) -> Self {
        let Whose { node, sealer, path } = whose;
        let Surroundings { clock, dial, space } = around;
        let journal_lost = found.findings.iter().any(|finding| finding.kind.holds_back());
        let budget = Arc::new(Budget::new(budget::BYTES_DEFAULT));
        Self {
            registry: RwLock::new(registry),
            queue_budget: Arc::default(),
            bodies: Bodies::new(budget.clone()),
            budget,
            metrics: Arc::new(Metrics::new()),
            held: Held::default(),
            node,
            sealer,
            path,
            dial,
            tail: Mutex::new(tail),
            facts: broadcast::Sender::new(FACTS),
            feeds: Arc::default(),
            followed: Arc::default(),
            standard,
            start: clock.steady(),
            clock,
            commit_count: AtomicU64::new(0),
            pending: AtomicU64::new(0),
            events: AtomicU64::new(0),
            live_bytes: AtomicU64::new(0),
            armed: AtomicUsize::new(0),
            behind: AtomicBool::new(true),
            loaded_ms: AtomicU64::new(u64::MAX / 1_000),
            held_back_ms: AtomicU64::new(0),
            shortage: RwLock::default(),
            turned: AtomicU64::new(0),
            full: AtomicBool::new(false),
            space,
            backups: Backups::default(),
            replays: Replays::default(),
            found,
            journal_lost,
            from_file: RwLock::default(),
        }
    }

    pub(super) fn registry(&self) -> RwLockReadGuard<'_, Registry> {
        self.registry.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn registry_mut(&self) -> RwLockWriteGuard<'_, Registry> {
        self.registry.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn tail_mut(&self) -> MutexGuard<'_, Tail> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn dialect(&self, provider: &str) -> Arc<Dialect> {
        self.registry().dialects.get(provider).unwrap_or(&self.standard).clone()
    }

    pub(super) fn pressure(&self) -> Pressure {
        if self.journal_lost {
            Pressure::JournalLost
        } else if self.full.load(Relaxed) {
            Pressure::Full
        } else if self.space.is_low() {
            Pressure::DiskLow
        } else {
            Pressure::None
        }
    }

    /// Whether the operator has a webhook for operational events.
    pub(super) fn notifies(&self) -> bool {
        self.registry().dialects.contains_key(super::OPERATOR_PROVIDER)
    }

    pub(super) fn secret_from_file(&self, no: EndpointNo) -> bool {
        self.from_file.read().unwrap_or_else(PoisonError::into_inner).contains(&no)
    }

    pub(super) fn set_secrets_from_file(&self, held: HashSet<EndpointNo>) {
        *self.from_file.write().unwrap_or_else(PoisonError::into_inner) = held;
    }

    /// A steady time in microseconds since the store was opened.
    pub(super) fn micros(&self, steady: Instant) -> u64 {
        u64::try_from(steady.saturating_duration_since(self.start).as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn health(&self, queue: usize) -> Health {
        let registry = self.registry();
        let (mut webhooks, mut active, mut removed) = (0, 0, 0);
        registry.entries().for_each(|entry| {
            webhooks += 1;
            active += usize::from(entry.endpoint.is_active());
            removed += usize::from(entry.endpoint.is_removed());
        });
        let now = self.micros(self.clock.steady());
        let unloaded = self.dial.now().since(Timestamp::from_millis(self.loaded_ms.load(Relaxed)));
        Health {
            last_commit_age: Duration::from_micros(now.saturating_sub(self.turned.load(Relaxed))),
            queue,
            behind: self.behind.load(Relaxed),
            oldest_due_late: unloaded.max(Duration::from_millis(self.held_back_ms.load(Relaxed))),
            shortage: *self.shortage.read().unwrap_or_else(PoisonError::into_inner),
            full: self.full.load(Relaxed),
            disk_low: self.space.is_low(),
            commits: self.commit_count.load(Relaxed),
            pending: self.pending.load(Relaxed),
            events: self.events.load(Relaxed),
            live_bytes: self.live_bytes.load(Relaxed),
            armed: self.armed.load(Relaxed),
            webhooks,
            disabled: webhooks - active - removed,
            removed,
        }
    }
}

/// How many facts a slow listener may be behind before it loses the oldest.
const FACTS: usize = 4_096;
