//! From what the store committed to attempts under way, and back: starts workers, hands them deliveries, reports outcomes.
//!
//! ```text
//!   store ── Committed ──▶ queues ── may start ──▶ worker: begin ▸ headers ▸ attempt ──▶ store.finish
//!                            ▲                        │ keeps its connection
//!                            └── finished, next? ─────┘
//! ```
//!
//! A worker is one task with at most one connection to one endpoint. It takes its endpoint's next delivery itself when it is
//! done with one, waits a while with the connection open, and ends.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, Weak};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tracing::error;

use super::attempt::{self, attempt};
use super::connect::Connector;
use super::connection::{Connection, Request};
use super::queues::{Limits, Queues, Sign, Start, State};
use crate::clock;
use crate::domain::delivery::Trigger;
use crate::domain::dialect::Dialect;
use crate::domain::endpoint::Standing;
use crate::domain::event::Event;
use crate::domain::headers::Headers;
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::domain::outcome::{Class, Failure, Outcome};
use crate::domain::target::{Guard, Schemes, Target};
use crate::domain::template::{AttemptFacts, Facts};
use crate::store::{Begin, Begun, Committed, Error, Finished, Ready, Store};

/// Runs attempts until it is stopped.
pub(crate) struct Pump {
    store: Store,
    queues: Mutex<Queues<oneshot::Sender<Ready>>>,
    settings: RwLock<Arc<Settings>>,
    runtime: Handle,
    next_id: AtomicU64,
    /// Rings when an attempt ended.
    ended: Notify,
}

/// How attempts are made. Replaced whole by a reload.
pub(crate) struct Settings {
    pub(crate) connector: Connector,
    pub(crate) guard: Guard,
    pub(crate) limits: Limits,
    pub(crate) response_capture: usize,
    /// Dialects that ask for https may be sent over http.
    pub(crate) danger_allow_http: bool,
}

/// A URL that was parsed for the attempt before.
struct Parsed {
    url: Box<str>,
    schemes: Schemes,
    target: Target,
}

impl Parsed {
    fn is_of(&self, url: &str, schemes: Schemes) -> bool {
        *self.url == *url && self.schemes == schemes
    }
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
        });
        pump.runtime.spawn(retire(Arc::downgrade(&pump)));
        pump
    }

    /// Takes over what a commit brought. Called by the store's writer.
    pub(crate) fn committed(self: &Arc<Self>, committed: Committed) {
        let mut queues = self.queues();
        for endpoint in &committed.standings {
            match endpoint.standing {
                Standing::Active => {}
                Standing::Disabled { .. } => queues.clear(endpoint.no, false),
                Standing::Deleted { .. } => queues.clear(endpoint.no, true),
            }
        }
        let changed = |no| committed.standings.iter().any(|endpoint| endpoint.no == no);
        for mut ready in committed.ready {
            if changed(ready.key.endpoint) {
                // It may wait elsewhere by now, so its attempt looks.
                ready.known = None;
            }
            queues.push(ready);
        }
        committed.backlogs.into_iter().for_each(|(no, more)| queues.backlog(no, more));
        self.start_all(queues);
    }

    /// Applies a reloaded config to the attempts that start from now on.
    pub(crate) fn reload(self: &Arc<Self>, settings: Settings) {
        self.queues().set_limits(settings.limits);
        *self.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.start_all(self.queues());
    }

    /// Starts nothing more and waits for what is under way, at most `patience`. What is left then was never recorded, so it
    /// is attempted again after the next start.
    pub(crate) async fn stop(&self, patience: Duration) {
        self.queues().stop();
        self.store.end_attempts();
        let quiet = async {
            loop {
                let ended = self.ended.notified();
                if self.queues().in_flight() == 0 {
                    return;
                }
                ended.await;
            }
        };
        // Running out of patience is the plan, not a fault.
        drop(tokio::time::timeout(patience, quiet).await);
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.queues().in_flight()
    }

    /// How full the queues are.
    pub(crate) fn state(&self) -> State {
        self.queues().state()
    }

    /// How long the delivery that waits longest has been held back by nothing but `in_flight`.
    pub(crate) fn held_back(&self) -> Duration {
        self.queues().held_back(clock::steady())
    }

    fn queues(&self) -> MutexGuard<'_, Queues<oneshot::Sender<Ready>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn settings(&self) -> Arc<Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Starts all that may start, then tells the store which backlogs ran low.
    fn start_all(self: &Arc<Self>, mut queues: MutexGuard<'_, Queues<oneshot::Sender<Ready>>>) {
        let now = clock::steady();
        let mut starts = Vec::new();
        while let Some(start) = queues.start(now) {
            starts.push(start);
        }
        let (refills, doubtful) = (queues.refills(), queues.doubtful());
        drop(queues);
        starts.into_iter().for_each(|start| self.hand_out(start));
        refills.into_iter().for_each(|no| self.store.refill(no));
        doubtful.into_iter().for_each(|ready| self.store.again(ready));
    }

    /// To the idle worker, or to a new one when there is none or it has just gone.
    fn hand_out(self: &Arc<Self>, start: Start<oneshot::Sender<Ready>>) {
        let left = match start.worker {
            Some(worker) => worker.send(start.ready).err(),
            None => Some(start.ready),
        };
        if let Some(ready) = left {
            self.runtime.spawn(work(self.clone(), ready));
        }
    }

    /// Ends a delivery's turn in the queues and lets others start.
    fn finished(self: &Arc<Self>, key: DeliveryKey, sign: Sign) -> Option<Ready> {
        let mut queues = self.queues();
        let next = queues.finish(key, sign, clock::steady());
        self.start_all(queues);
        self.ended.notify_waiters();
        next
    }

    /// Waits with an open connection for the endpoint's next delivery.
    async fn rest(&self, no: EndpointNo, kept: &mut Connection) -> Option<Ready> {
        let id = self.next_id.fetch_add(1, Relaxed);
        let (worker, mut given) = oneshot::channel();
        if !self.queues().rest(no, id, worker, clock::steady()) {
            return None;
        }
        tokio::select! {
            biased;
            // None when it rested for too long.
            ready = &mut given => return ready.ok(),
            () = kept.until_closed() => {}
        }
        if self.queues().leave(no, id) { None } else { given.await.ok() }
    }

    /// One attempt of a delivery, if it is still due.
    async fn run(&self, ready: Ready, kept: &mut Option<Box<Connection>>, parsed: &mut Option<Parsed>) -> Sign {
        let begun = match self.begin(&ready).await {
            Ok(Some(begun)) if begun.endpoint.is_active() || begun.delivery.is_test() => begun,
            Ok(_) => return Sign::Neutral,
            Err(fault) => return self.unreadable(ready, &fault).await,
        };
        let Ready { key, place, known, seat, .. } = ready;
        drop(seat);
        let dialect = self.store.dialect(&begun.endpoint.provider);
        let started_at = self.store.now();
        let (outcome, request_headers, url) = self.send(&begun, &dialect, kept, parsed).await;
        let ended_at = self.store.now();
        let sign = sign(&outcome, &dialect);
        let trigger = begun.delivery.trigger();
        // The outcome may wait for the disk; the body need not.
        drop(begun);
        let kept_bytes = outcome.bytes() + request_headers.bytes() + url.len();
        let room = self.store.outcome_room(kept_bytes).await;
        self.store.finish(Finished {
            key,
            place,
            first: known.is_some(),
            trigger,
            started_at,
            ended_at,
            url,
            request_headers,
            outcome,
            _room: room,
        });
        sign
    }

    /// What an attempt needs, its body among it, for which there may have to be room first. `None`: it is not due any more, or
    /// the service stops.
    async fn begin(&self, ready: &Ready) -> Result<Option<Begun>, Error> {
        let mut room = None;
        loop {
            match self.store.begin(ready, room.take())? {
                Begin::Now(begun) => return Ok(Some(begun)),
                Begin::Over => return Ok(None),
                Begin::Waits(bytes) => {
                    let is_prompt = || self.queues().set_waiting(ready.key, true);
                    // On the heap: workers rarely wait, and there are thousands.
                    let Some(share) = Box::pin(self.store.event_room(bytes, is_prompt)).await else { return Ok(None) };
                    self.queues().set_waiting(ready.key, false);
                    room = Some(share);
                }
            }
        }
    }

    /// A damaged event is a failed attempt, so that its delivery ends in the log instead of waiting for ever.
    async fn unreadable(&self, ready: Ready, fault: &Error) -> Sign {
        error!(endpoint = %ready.key.endpoint, "a delivery cannot be read: {fault}");
        let now = self.store.now();
        let room = self.store.outcome_room(0).await;
        self.store.finish(Finished {
            key: ready.key,
            place: ready.place,
            first: false,
            trigger: Trigger::Schedule,
            started_at: now,
            ended_at: now,
            url: Box::default(),
            request_headers: Headers::default(),
            outcome: refused(&format!("{fault}; nothing was sent")),
            _room: room,
        });
        Sign::Neutral
    }

    async fn send(
        &self,
        begun: &Begun,
        dialect: &Dialect,
        kept: &mut Option<Box<Connection>>,
        parsed: &mut Option<Parsed>,
    ) -> (Outcome, Headers, Box<str>) {
        let settings = self.settings();
        let url = begun.delivery.url.as_ref().unwrap_or(&begun.endpoint.definition.url);
        let schemes = Schemes { http: dialect.api.plain_http || settings.danger_allow_http };
        if parsed.as_ref().is_none_or(|parsed| !parsed.is_of(url, schemes)) {
            match Target::parse(url, schemes, &settings.guard) {
                Ok(target) => *parsed = Some(Parsed { url: url.clone(), schemes, target }),
                Err(reason) => return (refused(&reason.to_string()), Headers::default(), url.clone()),
            }
        }
        let Some(Parsed { target, .. }) = parsed else {
            return (refused("the URL cannot be used"), Headers::default(), url.clone());
        };
        let event = begun.event.event();
        let body = event.content.body();
        let headers = self.headers(begun, event, dialect, &body);
        let limits = attempt::Limits { timeout: dialect.delivery.timeout, response_capture: settings.response_capture };
        let request = Request { target, headers, body };
        let outcome = attempt(&settings.connector, kept, &request, limits).await;
        (outcome, request.headers, url.clone())
    }

    fn headers(&self, begun: &Begun, event: &Event, dialect: &Dialect, body: &[u8]) -> Headers {
        let secrets = begun.endpoint.signing(self.store.now());
        let version = dialect.version(&event.kind, &event.attributes);
        let facts = Facts {
            event_id: &event.id,
            kind: &event.kind,
            time: event.time,
            version: &version,
            attributes: &event.attributes,
            tenant: Some(&begun.endpoint.tenant),
            environment: "",
            data: b"",
        };
        let delivery_id = self.store.node().delivery_id(begun.delivery.key);
        dialect.headers(&AttemptFacts {
            facts,
            delivery_id: &delivery_id,
            attempt_unix: self.store.signing_time().as_secs(),
            attempt_number: u32::from(begun.delivery.attempts) + 1,
            secrets: &secrets,
            body,
        })
    }
}

/// Ends the workers that found no work for [`KEPT`]: one look at all of them costs less than a timer for each rest.
async fn retire(pump: Weak<Pump>) {
    loop {
        tokio::time::sleep(LOOK).await;
        let Some(pump) = pump.upgrade() else { return };
        if let Some(limit) = clock::steady().checked_sub(KEPT) {
            drop(pump.queues().retire(limit));
        }
    }
}

/// A worker's life: deliveries of one endpoint, one after the other.
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

/// Gives the slot back even when the worker is dropped in the middle.
struct Turn<'a> {
    pump: &'a Arc<Pump>,
    key: DeliveryKey,
    over: bool,
}

impl Turn<'_> {
    fn end(mut self, sign: Sign) -> Option<Ready> {
        self.over = true;
        self.pump.finished(self.key, sign)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if !self.over
            && let Some(next) = self.pump.finished(self.key, Sign::Neutral)
        {
            self.pump.runtime.spawn(work(self.pump.clone(), next));
        }
    }
}

fn sign(outcome: &Outcome, dialect: &Dialect) -> Sign {
    match &outcome.result {
        Ok(response) if dialect.is_success(response.status) => Sign::Good,
        Ok(response) if dialect.leaves_one_slot(response.status) => Sign::Slow,
        Ok(_) => Sign::Neutral,
        Err(failure) => match failure.class {
            Class::Dns | Class::Connect | Class::Tls | Class::Timeout => Sign::Slow,
            _ => Sign::Neutral,
        },
    }
}

fn refused(reason: &str) -> Outcome {
    let failure = Failure { class: Class::Policy, detail: reason.to_owned() };
    Outcome { result: Err(failure), duration: Duration::ZERO }
}

/// How long a connection is kept without work, and up to [`LOOK`] longer.
const KEPT: Duration = Duration::from_secs(30);

/// How often the resting workers are looked at.
const LOOK: Duration = Duration::from_secs(5);
