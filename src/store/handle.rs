//! The store's front: what the other rooms call. Cheap to clone.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{broadcast, oneshot};

use super::files::WatchedFile;
use super::message::change::{Advance, Change, Reached};
use super::message::command::{Finished, Limits, Op, OutcomeRoom, Ready};
use super::message::finding::Finding;
use super::message::progress::Fact;
use super::message::publication::{Publication, Refusal};
use super::redb::abort::PanicEndsAll;
use super::redb::boot::opening;
use super::redb::journal::checkpoint::Checkpoints;
use super::redb::journal::file::Journal;
use super::redb::medium::Medium;
use super::redb::read::Reader;
use super::redb::site::{Moment, Site};
use super::redb::state::Memory;
use super::redb::thread::{OnCommit, Writer};
use super::shared::dial::{self, Dial};
use super::shared::feeds::Feed;
use super::shared::followed::Queued;
use super::shared::space::Space;
use super::shared::{Found, Health, Shared, Surroundings, Whose};
use super::writer::inbox::{Full, Inbox};
use super::{Error, Owned};
use crate::budget::{Budget, Capture, Share};
use crate::clock::Clock;
use crate::domain::dialect::Dialect;
use crate::domain::id::{EndpointNo, Node};
use crate::domain::time::Timestamp;
use crate::domain::time::timekeeper::Doubt;
use crate::metrics::Metrics;

/// Where and how to open a store.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) path: PathBuf,
    /// systemd's `$CREDENTIALS_DIRECTORY`, which may hold the master key.
    pub(crate) credentials: Option<PathBuf>,
    pub(crate) limits: Limits,
    /// What a provider speaks that the config does not name any more.
    pub(crate) standard: Arc<Dialect>,
    pub(crate) machine: Machine,
}

/// What a store runs on: this machine, unless a simulation says otherwise.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub(crate) clock: Clock,
    pub(crate) medium: Medium,
}

/// An open store. The writer runs until [`Store::close`].
#[derive(Clone)]
pub(crate) struct Store {
    pub(super) reader: Reader,
    pub(super) shared: Arc<Shared>,
    pub(super) inbox: Arc<Inbox>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Store {
    /// Opens the store and reads what memory must know. Nothing is written and nothing becomes due before [`Self::start`].
    pub(crate) fn open(options: &Options) -> Result<(Self, Unstarted), Error> {
        let space = Space::beside(&options.path);
        let Machine { clock, medium } = &options.machine;
        let site = Site { path: &options.path, credentials: options.credentials.as_deref(), medium };
        let open = || opening::open(site, options.limits, Moment::of(clock));
        let opened = match open() {
            Err(error) if space.make_room_for(&error) => open()?,
            opened => opened?,
        };
        space.look(opened.memory.counters.live_bytes)?;
        let whose = Whose { node: opened.node, sealer: opened.sealer, path: options.path.clone() };
        let found = Found { findings: opened.findings, quarantined: opened.quarantined, watched: opened.watched };
        let around = Surroundings { dial: Dial::new(&opened.memory.time, clock.clone()), clock: clock.clone(), space };
        let shared = Arc::new(Shared::new(opened.registry, opened.tail, whose, options.standard.clone(), around, found));
        shared.budget.resize(options.limits.memory);
        shared.replays.show(&opened.memory.replays.all());
        let reader = Reader { database: Arc::new(opened.database), views: Arc::default(), shared: shared.clone() };
        let store = Self { reader, shared, inbox: Arc::new(Inbox::new(clock.clone())), writer: Arc::default() };
        Ok((store, Unstarted { memory: opened.memory, journal: opened.journal }))
    }

    /// Starts the writer. `broken` is called when it cannot go on: the process must end without answering anything more.
    pub(crate) fn start(&self, unstarted: Unstarted, on_commit: OnCommit, broken: impl FnOnce(Error) + Send + 'static) {
        if let Some(doubt) = unstarted.memory.time.doubt() {
            dial::tell_of(doubt);
        }
        let mut writer = self.writer(unstarted, on_commit);
        let run = move || {
            let _guard = PanicEndsAll;
            writer.run().unwrap_or_else(|error| {
                // The next start finds this room.
                writer.shared.space.make_room_for(&error);
                broken(error);
            });
        };
        let thread = std::thread::Builder::new().name("store-writer".into()).spawn(run);
        let thread = thread.expect("a thread can be started at the start of the process");
        *self.writer.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
    }

    pub(super) fn writer(&self, unstarted: Unstarted, on_commit: OnCommit) -> Writer {
        let Reader { database, views, .. } = self.reader.clone();
        let checkpoints = Checkpoints::start(database.clone(), self.shared.clone());
        Writer {
            database,
            inbox: self.inbox.clone(),
            shared: self.shared.clone(),
            views,
            memory: unstarted.memory,
            journal: unstarted.journal,
            on_commit,
            turned_at: self.shared.clock.steady(),
            checkpoint_at: None,
            checkpoints,
            untold: None,
        }
    }

    /// Refuses what comes from now on, writes what waits, and stops the writer. Blocks until that is done.
    pub(crate) fn close(&self) {
        self.inbox.close();
        let thread = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A writer that panicked has said so itself.
            drop(thread.join());
        }
    }

    /// Publishes an operational event, when somebody gets them.
    pub(crate) async fn notify(&self, kind: &str, data: &serde_json::Value) {
        if self.shared.notifies() {
            let dialect = self.shared.dialect(super::OPERATOR_PROVIDER);
            // Refused only when the store is full or closing: the log line has said it already.
            drop(self.accept_one(Publication::operational(dialect, kind, data)).await);
        }
    }

    /// Room for an outcome of so many bytes, which may have to wait for the disk.
    pub(crate) async fn outcome_room(&self, bytes: usize) -> Option<OutcomeRoom> {
        self.inbox.outcome_room(bytes).await
    }

    /// Logs an attempt's end. It may wait some milliseconds for company.
    pub(crate) fn finish(&self, finished: Finished) {
        self.inbox.event(Op::Finish(Box::new(finished)));
    }

    /// Asks for the next piece of an endpoint's backlog.
    pub(crate) fn refill(&self, endpoint: EndpointNo) {
        self.inbox.event(Op::Refill(endpoint));
    }

    /// Asks whether a delivery is still to be made, behind the outcome that was told before.
    pub(crate) fn recheck(&self, ready: Ready) {
        self.inbox.event(Op::Recheck(Box::new(Ready { known: None, needs_recheck: false, ..ready })));
    }

    /// What one hour of so many webhooks costs to read for [`Self::tallies`], in look-ups.
    pub(crate) fn tally_cost(&self, webhooks: usize) -> usize {
        self.reader.tally_cost(webhooks)
    }

    /// Waits for the room that an event needs; `is_prompt` says whether its endpoint answered its last attempt. `None`: no
    /// attempt is made any more.
    pub(crate) async fn event_room(&self, bytes: usize, is_prompt: impl Fn() -> bool) -> Option<Share> {
        self.shared.budget.event(bytes, is_prompt).await
    }

    /// Takes room for what is kept of the response of an attempt, at most `wanted` bytes.
    pub(crate) fn capture(&self, wanted: usize) -> Capture {
        self.shared.budget.capture(wanted)
    }

    /// Lets go of all who wait in [`Self::event_room`].
    pub(crate) fn end_attempts(&self) {
        self.shared.budget.end_events();
    }

    pub(crate) fn facts(&self) -> broadcast::Receiver<Fact> {
        self.shared.facts.subscribe()
    }

    /// Listens for the events of a tenant, and for those to all tenants of its provider, from this moment on.
    pub(crate) fn feed(&self, owned: &Owned) -> Feed {
        let owners = [owned, &Owned::all_of(&owned.provider)];
        let number = |owner: &Owned| self.shared.registry().tenant(&owner.provider, &owner.tenant);
        Feed::of(&self.shared.feeds, || owners.map(number))
    }

    /// Follows the changes of all deliveries from this moment on, and tells how far the log has come: everything up to there is in
    /// the log, and everything behind it comes to the follower. There is one follower at a time. Fails while the store closes.
    pub(crate) async fn follow(&self) -> Result<(Follower, Reached), Error> {
        let follower = Follower::new(self.clone());
        let (to, answer) = oneshot::channel();
        self.inbox.request(self.inbox.line("", ""), Op::Follow(to), 0).map_err(|_| Error::Stopping)?;
        Ok((follower, answer.await.map_err(|_| Error::Stopping)?))
    }

    pub(crate) fn health(&self) -> Health {
        self.shared.health(self.inbox.len())
    }

    /// The service's time: everything that is stored bears it, and it never goes back.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.dial.now()
    }

    /// The time that requests are signed with, which receivers compare with their clocks.
    pub(crate) fn signing_time(&self) -> Timestamp {
        self.shared.dial.signed()
    }

    /// Why the wall clock is not trusted, if it is not.
    pub(crate) fn doubted_clock(&self) -> Option<Doubt> {
        self.shared.dial.doubt()
    }

    /// What the start found wrong, now and before, and nobody has acknowledged yet.
    pub(crate) fn findings(&self) -> &[Finding] {
        &self.shared.found.findings
    }

    /// Damaged rows that are in quarantine.
    pub(crate) fn quarantined(&self) -> u64 {
        self.shared.found.quarantined
    }

    /// An error once a file of the store is gone, or another one stands in its place.
    pub(crate) fn files_stand(&self) -> Result<(), Error> {
        self.shared.found.watched.iter().try_for_each(WatchedFile::look)
    }

    /// The memory that all rooms draw on.
    pub(crate) fn budget(&self) -> &Arc<Budget> {
        &self.shared.budget
    }

    /// What is counted of this service.
    pub(crate) fn metrics(&self) -> &Arc<Metrics> {
        &self.shared.metrics
    }

    pub(crate) fn node(&self) -> Node {
        self.shared.node
    }

    /// Looks how much room there is on the disk; called every few seconds, on a thread that may block.
    pub(crate) fn look_at_disk(&self) -> Result<(), Error> {
        self.shared.space.look(self.shared.live_bytes.load(std::sync::atomic::Ordering::Relaxed))
    }

    /// Called by whoever watches the queues.
    pub(crate) fn set_held_back(&self, longest: Duration) {
        let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        self.shared.held_back_ms.store(millis, std::sync::atomic::Ordering::Relaxed);
    }

    /// Called by whoever watches the attempts.
    pub(crate) fn set_shortage(&self, shortage: Option<&'static str>) {
        *self.shared.shortage.write().unwrap_or_else(PoisonError::into_inner) = shortage;
    }
}

/// Follows the changes of deliveries. Dropping it ends that.
pub(crate) struct Follower {
    store: Store,
    /// Changes that were taken and not read yet, since those before them were large.
    rest: Vec<Change>,
}

impl Follower {
    fn new(store: Store) -> Self {
        store.shared.followed.begin();
        Self { store, rest: Vec::new() }
    }

    /// Waits until there is a change. It may be given up at any moment.
    pub(crate) async fn wait(&self) {
        if self.rest.is_empty() {
            self.store.shared.followed.wait().await;
        }
    }

    /// The next changes in the order of commits, with all that is shown of them, at most [`CHANGES_TAKEN`] and few where they are large,
    /// and the rows that will never come. What is taken is lost when this is given up.
    pub(crate) async fn take(&mut self) -> Result<Advance, Error> {
        let queued = match std::mem::take(&mut self.rest) {
            rest if rest.is_empty() => self.store.shared.followed.take(CHANGES_TAKEN),
            changes => Queued { changes, missed: Vec::new() },
        };
        let Queued { changes, missed } = queued;
        let read = move |reader: &Reader| reader.passed(&changes).map(|read| (read, changes));
        let ((mut taken, count), mut all) = self.store.aside(read).await?;
        self.rest = all.split_off(count);
        taken.missed.extend(missed);
        Ok(taken)
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.store.shared.followed.end();
    }
}

/// So many changes are read at once.
const CHANGES_TAKEN: usize = 64;

/// What was read at opening and waits for the writer.
pub(crate) struct Unstarted {
    memory: Memory,
    journal: Journal,
}

pub(super) fn refusal(full: Full) -> Refusal {
    match full {
        Full::Busy => Refusal::Busy,
        Full::Closed => Refusal::Closing,
    }
}
