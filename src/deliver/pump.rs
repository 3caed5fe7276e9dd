//! Turns what the store committed into attempts: starts workers, hands them deliveries, and reports outcomes to the store.
//!
//! ```text
//!   store ── Committed ──▶ queues ── may start ──▶ worker: begin ▸ headers ▸ attempt ──▶ store.finish
//!                            ▲                        │ keeps its connection
//!                            └── finished, next? ─────┘
//! ```
//!
//! [`turn`] has the turn of one delivery.
//!
//! A worker is a task with at most one connection to one endpoint. When an attempt has ended it takes the endpoint's next
//! delivery. When there is none it waits for a while with the connection open, and then ends.

mod settings;
mod turn;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot, watch};
use tracing::error;

pub(crate) use self::settings::Settings;
use super::complaints::Complaints;
use super::cut::Cut;
use super::exchange::connection::Connection;
use super::postponed::{PAUSE, Postponed};
use super::queues::{HealthSignal, Queues, Start, State};
use super::seldom::Seldom;
use super::shortage::Shortage;
use super::tokens::Tokens;
use crate::clock;
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::store::{Committed, Ready, Store};

/// Runs attempts until it is stopped.
pub(crate) struct Pump {
    store: Store,
    queues: Mutex<Queues<oneshot::Sender<Ready>>>,
    settings: RwLock<Arc<Settings>>,
    runtime: Handle,
    next_id: AtomicU64,
    /// Notifies [`Pump::quiet`] that an attempt has ended.
    ended: Notify,
    /// When [`pace`] next has to wake endpoints that wait for their rate limits.
    alarm: watch::Sender<Option<Instant>>,
    /// The signal that a stop has run out of patience.
    cut: Cut,
    /// The number of attempts that the cut ended before they had a status.
    cut_off: AtomicUsize,
    /// The deliveries that wait for something that this machine lacks.
    postponed: Postponed,
    shortages: Seldom,
    refusals: Seldom,
    complaints: Complaints,
    tokens: Tokens,
}

impl Pump {
    pub(crate) fn new(store: Store, settings: Settings, runtime: Handle) -> Arc<Self> {
        let pump = Arc::new(Self {
            store,
            queues: Mutex::new(Queues::new(settings.limits)),
            settings: RwLock::new(Arc::new(settings)),
            runtime,
            next_id: AtomicU64::new(0),
            ended: Notify::new(),
            alarm: watch::Sender::new(None),
            cut: Cut::new(),
            cut_off: AtomicUsize::new(0),
            postponed: Postponed::default(),
            shortages: Seldom::new(),
            refusals: Seldom::new(),
            complaints: Complaints::default(),
            tokens: Tokens::default(),
        });
        pump.runtime.spawn(retire(Arc::downgrade(&pump)));
        pump.runtime.spawn(renew(Arc::downgrade(&pump)));
        pump.runtime.spawn(pace(Arc::downgrade(&pump), pump.alarm.subscribe()));
        pump
    }

    /// Takes over what a commit made ready, changed or dropped. The store's writer calls it after each commit.
    pub(crate) fn committed(self: &Arc<Self>, committed: Committed) {
        let mut queues = self.queues();
        queues.take_over(committed);
        self.start_all(queues);
    }

    /// Applies a reloaded config to all attempts that start from now on.
    pub(crate) fn reload(self: &Arc<Self>, settings: Settings) {
        self.queues().set_limits(settings.limits);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.start_all(self.queues());
    }

    /// Replaces the settings `of` by `renewed`, unless a reload has replaced them already.
    fn replace(&self, of: &Arc<Settings>, renewed: Settings) {
        let mut settings = self.settings.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&settings, of) {
            *settings = Arc::new(renewed);
        }
    }

    /// Stops: no further attempt begins, and deliveries that wait for memory give up.
    pub(crate) fn stop(&self) {
        self.queues().stop();
        self.store.end_attempts();
    }

    /// Waits until no attempt is under way, at most for `patience`.
    pub(crate) async fn ended_within(&self, patience: Duration) {
        // The timeout is no error: the caller cuts what is left.
        drop(tokio::time::timeout(patience, self.quiet()).await);
    }

    /// Cuts the attempts that are under way, and returns how many had no status. An attempt with a status is recorded; the others
    /// are made again after the next start.
    pub(crate) async fn cut(&self) -> usize {
        self.cut.make();
        drop(tokio::time::timeout(RECORDING, self.quiet()).await);
        self.cut_off.load(Relaxed) + self.in_flight()
    }

    /// Waits until no attempt is under way.
    async fn quiet(&self) {
        loop {
            let ended = self.ended.notified();
            if self.queues().in_flight() == 0 {
                return;
            }
            ended.await;
        }
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.queues().in_flight()
    }

    /// Counts how full the queues are.
    pub(crate) fn state(&self) -> State {
        self.queues().state()
    }

    /// How long the delivery that waits longest has waited for nothing but a slot of `in_flight` or memory.
    pub(crate) fn held_back(&self) -> Duration {
        self.queues().held_back(clock::steady())
    }

    /// The shortage of this machine for which deliveries wait at present.
    pub(crate) fn shortage(&self) -> Option<Shortage> {
        self.postponed.shortage(clock::steady())
    }

    /// Queues the delivery again after [`PAUSE`], without counting an attempt.
    fn postpone(self: &Arc<Self>, ready: Ready, shortage: Shortage) {
        let now = clock::steady();
        if self.shortages.is_time(now) {
            error!("deliveries wait and are tried again each second: {}", shortage.text());
        }
        if self.postponed.add(ready, shortage, now) {
            self.runtime.spawn(bring_back(Arc::downgrade(self)));
        }
    }

    fn queues(&self) -> MutexGuard<'_, Queues<oneshot::Sender<Ready>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts every delivery that may start. Then asks the store for further pieces of backlogs, and to recheck deliveries that
    /// were under way.
    fn start_all(self: &Arc<Self>, mut queues: MutexGuard<'_, Queues<oneshot::Sender<Ready>>>) {
        let now = clock::steady();
        let mut starts = Vec::new();
        while let Some(start) = queues.start(now) {
            starts.push(start);
        }
        let (refills, rechecks, wakes_at) = (queues.refills(), queues.rechecks(), queues.wakes_at());
        drop(queues);
        if wakes_at.is_some() {
            self.alarm.send_if_modified(|alarm| set_earlier(alarm, wakes_at));
        }
        starts.into_iter().for_each(|start| self.hand_out(start));
        refills.into_iter().for_each(|no| self.store.refill(no));
        rechecks.into_iter().for_each(|ready| self.store.recheck(ready));
    }

    /// Starts attempts that have waited for their rate limits until now. The alarm is taken back before the queues are looked at, so
    /// that no thread's earlier alarm is lost.
    fn wake_paced(self: &Arc<Self>) {
        self.alarm.send_replace(None);
        let mut queues = self.queues();
        queues.wake(clock::steady());
        self.start_all(queues);
    }

    /// Gives a delivery to the idle worker, or to a new worker when there is none or it has just ended.
    fn hand_out(self: &Arc<Self>, start: Start<oneshot::Sender<Ready>>) {
        let left = match start.worker {
            Some(worker) => worker.send(start.ready).err(),
            None => Some(start.ready),
        };
        if let Some(ready) = left {
            self.runtime.spawn(work(self.clone(), ready));
        }
    }

    /// Frees the slot of a delivery whose attempt has ended, and starts others. Returns the delivery that its worker shall make
    /// next.
    fn finished(self: &Arc<Self>, key: DeliveryKey, sign: HealthSignal) -> Option<Ready> {
        let mut queues = self.queues();
        let next = queues.finish(key, sign, clock::steady());
        self.start_all(queues);
        self.ended.notify_waiters();
        next
    }

    /// Waits with a kept connection for the endpoint's next delivery. `None` when the endpoint closes the connection, the wait
    /// takes longer than [`KEPT`], or too many workers wait already.
    async fn rest(&self, no: EndpointNo, kept: &mut Connection) -> Option<Ready> {
        let id = self.next_id.fetch_add(1, Relaxed);
        let (worker, mut given) = oneshot::channel();
        if !self.queues().rest(no, id, worker, clock::steady()) {
            return None;
        }
        tokio::select! {
            biased;
            // The sender is dropped when this worker has waited too long, which gives `None`.
            ready = &mut given => return ready.ok(),
            () = kept.until_closed() => {}
        }
        if self.queues().leave(no, id) { None } else { given.await.ok() }
    }
}

/// Ends workers that have waited longer than [`KEPT`], logs the failures that are due, and forgets old tokens. One look at all of them costs less
/// than a timer for each wait.
async fn retire(pump: Weak<Pump>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(pump) = pump.upgrade() else { return };
        pump.complaints.tell_due(clock::steady());
        pump.tokens.tidy(clock::steady());
        drop(pump.queues().retire(KEPT, clock::steady()));
    }
}

/// Wakes the endpoints that wait for their rate limits, as their times come, until the pump is dropped. One timer serves them all.
async fn pace(pump: Weak<Pump>, mut alarm: watch::Receiver<Option<Instant>>) {
    loop {
        let at = *alarm.borrow_and_update();
        let wait = async {
            match at {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            set = alarm.changed() => if set.is_err() { return },
            () = wait => {
                let Some(pump) = pump.upgrade() else { return };
                pump.wake_paced();
            }
        }
    }
}

/// Sets the alarm, unless it is set to that time or an earlier one. Returns whether it was set.
fn set_earlier(alarm: &mut Option<Instant>, at: Option<Instant>) -> bool {
    let earlier = at.is_some_and(|at| alarm.is_none_or(|alarm| at < alarm));
    if earlier {
        *alarm = at;
    }
    earlier
}

/// Queues postponed deliveries again after each [`PAUSE`], and ends when there are none.
async fn bring_back(pump: Weak<Pump>) {
    loop {
        tokio::time::sleep(PAUSE).await;
        let Some(pump) = pump.upgrade() else { return };
        let Some(ready) = pump.postponed.take(clock::steady()) else { return };
        let mut queues = pump.queues();
        ready.into_iter().for_each(|ready| queues.push(ready));
        pump.start_all(queues);
    }
}

/// Looks every [`SOURCES_LOOK`] whether name servers, hosts or certificates have changed on disk, and then makes a new connector.
async fn renew(pump: Weak<Pump>) {
    loop {
        tokio::time::sleep(SOURCES_LOOK).await;
        let Some(pump) = pump.upgrade() else { return };
        let settings = pump.settings();
        // Files may be slow to read, so a blocking thread does it.
        let renewed = tokio::task::spawn_blocking(move || settings.renewed()).await;
        if let Ok(Some((of, renewed))) = renewed {
            pump.replace(&of, renewed);
        }
    }
}

/// The life of a worker: it makes deliveries of one endpoint, one after the other.
async fn work(pump: Arc<Pump>, mut ready: Ready) {
    let mut kept = None;
    let mut parsed = None;
    loop {
        let key = ready.key;
        let turn = Turn { pump: &pump, key, over: false };
        let sign = pump.run(ready, &mut kept, &mut parsed).await;
        ready = match turn.end(sign) {
            Some(next) => next,
            None => {
                let Some(connection) = &mut kept else { return };
                let Some(next) = pump.rest(key.endpoint, connection).await else { return };
                next
            }
        };
    }
}

/// The slot of one delivery's turn. It is given back also when the worker is dropped in the middle.
struct Turn<'a> {
    pump: &'a Arc<Pump>,
    key: DeliveryKey,
    over: bool,
}

impl Turn<'_> {
    fn end(mut self, sign: HealthSignal) -> Option<Ready> {
        self.over = true;
        self.pump.finished(self.key, sign)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over
            && let Some(next) = self.pump.finished(self.key, HealthSignal::Neutral)
        {
            self.pump.runtime.spawn(work(self.pump.clone(), next));
        }
    }
}

/// How long a connection without work is kept. It may be up to [`LOOK`] longer.
const KEPT: Duration = Duration::from_secs(30);

/// How often the connector's files are looked at. A change counts within 10 s.
const SOURCES_LOOK: Duration = Duration::from_secs(4);

/// How long a cut waits for responses that had a status to be handed to the store.
const RECORDING: Duration = Duration::from_millis(500);

/// How often the waiting workers are looked at.
const LOOK: Duration = Duration::from_secs(5);
