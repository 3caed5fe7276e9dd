//! What drives the replays: reads the next piece of each walk and hands it to the writer, no faster than the replay's rate.
//!
//! ```text
//!   tenants take turns ─▶ its replays take turns ─▶ the courses of a walk take turns ─▶ a piece is read ─▶ a slice is sent
//!         ▲                                                                                                        │
//!         └────────────────────────────────── the tenant is free again ◀──────────────────────────────────────────┘
//! ```
//!
//! Of each tenant one slice is under way, so what one tenant publishes holds up no other's. A course that moved nothing, since its
//! webhook takes nothing for now, rests before it is read again.
//!
//! It keeps nothing that a restart would miss. How far each replay has come stands in its row, and its rate begins anew without a
//! burst.

mod count;
mod pace;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::handle::Store;
use super::message::permit::QueuePermit;
use super::message::publication::Pressure;
use super::message::replay::walk::Course;
use super::message::replay::{Replay, ReplaySlice};
use super::redb::read::recover::replay::Way;
use super::{Denied, Error};
use crate::domain::id::{EndpointNo, ReplayNo, TenantNo};
use pace::Pace;

/// Drives the replays of a store.
pub(in crate::store) struct Driver {
    store: Store,
    /// The slices under way.
    pub(in crate::store) slices: JoinSet<Sent>,
    /// Each tenant's replay that had the last turn, and whether that is under way.
    turns: HashMap<TenantNo, (ReplayNo, bool)>,
    known: HashMap<ReplayNo, Known>,
}

/// What is known of a replay beside its row.
#[derive(Debug, Default)]
struct Known {
    /// How much of its rate is used up, if it has one.
    pace: Option<Pace>,
    courses: HashMap<Course, Looked>,
}

/// What came of the last look at a course.
#[derive(Clone, Copy, Debug)]
struct Looked {
    at: Instant,
    /// Until when nothing is expected to have changed.
    rests_until: Instant,
}

/// A slice that is to be sent.
#[derive(Clone, Debug)]
struct Next {
    replay: Arc<Replay>,
    course: Course,
    limit: usize,
}

/// What has become of a slice.
#[derive(Debug)]
pub(in crate::store) struct Sent {
    next: Next,
    outcome: Result<Moved, Error>,
}

/// What a slice did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Moved {
    /// How many deliveries were sent.
    sent: u64,
    /// Whether the walk is elsewhere than before.
    is_further: bool,
}

impl Store {
    /// Drives the replays for as long as it is polled.
    pub(crate) async fn drive_replays(self) {
        let mut driver = Driver::new(self);
        let shared = driver.store.shared.clone();
        loop {
            let wait = driver.begin_slices();
            tokio::select! {
                () = shared.replays.bell.notified() => {}
                Some(Ok(sent)) = driver.slices.join_next() => driver.note(sent),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Reads the next piece of a course, with at most `limit` deliveries, and has it sent.
    pub(super) async fn send_piece(&self, replay: &Arc<Replay>, course: Course, limit: usize) -> Result<Moved, Error> {
        let way = Way::of(replay, course);
        let piece = self.aside(move |reader| reader.to_replay(&way, limit)).await?;
        let slice = ReplaySlice { no: replay.no, from: replay.walk.clone(), course, piece };
        // While the store takes nothing the slice changes nothing, and while it stops the next start goes on.
        let _: Result<(), Denied> = self.replay_slice(&replay.owned, slice).await;
        let now = self.shared.replays.find(replay.no);
        Ok(now.map_or(Moved { sent: 0, is_further: true }, |now| Moved {
            sent: now.sent.saturating_sub(replay.sent),
            is_further: now.walk != replay.walk,
        }))
    }

    /// How many deliveries of a course may be sent at once. What only the writer knows is left to that.
    fn room_of(&self, replay: &Replay, course: Course) -> usize {
        webhook_of(replay, course).map_or(replay.waiting.room() as usize, |no| self.room_of_webhook(replay, no))
    }

    fn room_of_webhook(&self, replay: &Replay, no: EndpointNo) -> usize {
        let Some(entry) = self.shared.registry().entry(no).cloned() else { return 1 };
        if entry.endpoint.definition.settings.ordered {
            return usize::from(replay.waiting.of(no) == 0);
        }
        let permits = QueuePermit::for_replays(&self.shared.queue_budget, &entry.live);
        permits.min(replay.waiting.room_of(no) as usize)
    }
}

impl Driver {
    pub(in crate::store) fn new(store: Store) -> Self {
        Self { store, slices: JoinSet::new(), turns: HashMap::new(), known: HashMap::new() }
    }

    /// Begins a slice of each tenant that has something to send and none under way. Returns how long to wait until something may have
    /// changed that rings no bell.
    pub(in crate::store) fn begin_slices(&mut self) -> Duration {
        let now = self.store.shared.clock.steady();
        let walking = self.store.shared.replays.walking();
        self.forget_but(&walking);
        if walking.is_empty() {
            return IDLE;
        }
        let mut wait = LOOK_AGAIN;
        if self.store.shared.pressure() != Pressure::None {
            return wait;
        }
        for (tenant, mut replays) in by_tenant(walking) {
            let last = match self.turns.get(&tenant) {
                Some((_, true)) => continue,
                turn => turn.map(|(no, _)| *no),
            };
            let later = replays.partition_point(|replay| last.is_some_and(|last| replay.no <= last));
            replays.rotate_left(later);
            if let Some(next) = replays.iter().find_map(|replay| self.next(replay, now, &mut wait)) {
                self.begin(tenant, next);
            }
        }
        wait
    }

    fn begin(&mut self, tenant: TenantNo, next: Next) {
        self.turns.insert(tenant, (next.replay.no, true));
        let store = self.store.clone();
        self.slices.spawn(async move {
            let outcome = store.send_piece(&next.replay, next.course, next.limit).await;
            Sent { next, outcome }
        });
    }

    /// What of a replay is to be sent next, if anything may be: of its courses the one that was looked at longest ago.
    fn next(&mut self, replay: &Arc<Replay>, now: Instant, wait: &mut Duration) -> Option<Next> {
        let known = self.known.entry(replay.no).or_default();
        let mut allowed = usize::MAX;
        if let Some(rate) = replay.rate {
            let pace = *known.pace.get_or_insert_with(|| Pace::new(now));
            allowed = pace.allowed(rate, now);
            if allowed == 0 {
                *wait = (*wait).min(pace.wait(rate, now));
            }
        }
        let may_go = |course: &Course| {
            let room = self.store.room_of(replay, *course);
            let looked = known.courses.get(course);
            let rests = looked.is_some_and(|looked| now < looked.rests_until);
            let is_soon = looked.is_some_and(|looked| now < looked.at + LOOK_AGAIN);
            room > 0 && !rests && (!is_soon || room >= ENOUGH || is_ordered(&self.store, replay, *course))
        };
        let courses = replay.walk.courses().filter(may_go);
        let course = courses.min_by_key(|course| known.courses.get(course).map(|looked| looked.at))?;
        let limit = allowed.min(self.store.room_of(replay, course)).min(SLICE);
        Some(Next { replay: replay.clone(), course, limit })
    }

    /// Notes what has become of a slice. Where nothing moved, its course rests.
    pub(in crate::store) fn note(&mut self, Sent { next, outcome }: Sent) {
        let now = self.store.shared.clock.steady();
        let Next { replay, course, .. } = next;
        self.turns.insert(replay.tenant, (replay.no, false));
        let known = self.known.entry(replay.no).or_default();
        let rest = match outcome {
            Ok(moved) => {
                if let (Some(rate), Some(pace)) = (replay.rate, &mut known.pace) {
                    pace.spend(rate, moved.sent, now);
                }
                if moved.is_further { Duration::ZERO } else { known.rest(&replay, now) }
            }
            Err(fault) => {
                tracing::error!("deliveries to send again cannot be read: {fault}");
                AFTER_FAULT
            }
        };
        known.courses.insert(course, Looked { at: now, rests_until: now + rest });
    }

    /// Forgets what was known of replays that have nothing to send.
    fn forget_but(&mut self, walking: &[Arc<Replay>]) {
        if self.known.is_empty() && self.turns.is_empty() {
            return;
        }
        let by_no: HashMap<ReplayNo, &Arc<Replay>> = walking.iter().map(|replay| (replay.no, replay)).collect();
        self.known.retain(|no, known| {
            let replay = by_no.get(no);
            known.courses.retain(|course, _| replay.is_some_and(|replay| course.is_none_or(|no| replay.walk.is_behind(no))));
            replay.is_some()
        });
        let tenants: HashSet<TenantNo> = walking.iter().map(|replay| replay.tenant).collect();
        self.turns.retain(|tenant, (_, is_under_way)| *is_under_way || tenants.contains(tenant));
    }
}

impl Known {
    /// How long a course rests that moved nothing: until its webhook may take something, or until the rate lets it.
    fn rest(&self, replay: &Replay, now: Instant) -> Duration {
        let paced = replay.rate.zip(self.pace).filter(|(rate, pace)| pace.allowed(*rate, now) == 0);
        paced.map_or(LOOK_AGAIN, |(rate, pace)| pace.wait(rate, now))
    }
}

/// Whether a course is that of an ordered webhook, which has room for one delivery at most.
fn is_ordered(store: &Store, replay: &Replay, course: Course) -> bool {
    let webhook = webhook_of(replay, course).and_then(|no| store.webhook_no(no));
    webhook.is_some_and(|webhook| webhook.definition.settings.ordered)
}

/// The only webhook of a course, if it has one.
fn webhook_of(replay: &Replay, course: Course) -> Option<EndpointNo> {
    course.or(replay.filter.webhook.as_ref().map(|(no, _)| *no))
}

/// The replays of each tenant, oldest first.
fn by_tenant(replays: Vec<Arc<Replay>>) -> BTreeMap<TenantNo, Vec<Arc<Replay>>> {
    let mut tenants = BTreeMap::<TenantNo, Vec<Arc<Replay>>>::new();
    replays.into_iter().for_each(|replay| tenants.entry(replay.tenant).or_default().push(replay));
    tenants
}

/// How many deliveries one commit sends again. New events wait for that commit.
const SLICE: usize = 64;

/// With room for so many a course is read at once. With less it is read now and then, so that a commit is worth its work.
const ENOUGH: usize = 64;

/// How often a replay looks that waits for room, for the disk, or for its endpoints.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How long to wait when the store could not be read. The log tells of it each time.
const AFTER_FAULT: Duration = Duration::from_secs(10);

/// How long to sleep while no replay runs. A new one rings the bell.
const IDLE: Duration = Duration::from_secs(60);
