//! The HTTP API: takes requests in, finds out who asks, and answers from the store.
//!
//! ```text
//!  serve ──▶ connection ──▶ Api::answer ──▶ route ──▶ access ──▶ body ──▶ one call of events, webhooks, deliveries, admin
//!  slots      pace, limits    door           405 404   401 403    room        │
//!                                                                             ▼
//!                                             reply ◀── problem: every error and its status ◀── store
//! ```
//!
//! It reads snapshots of the store and hands changes to its writer; it never delivers and never reads the config's files. A new
//! call is a line in `route`'s table and an arm in [`Api::call`].

mod access;
mod admin;
mod ahead;
mod answer;
mod ask;
mod body;
mod catalogue;
mod connection;
mod connections;
mod creations;
mod cursor;
mod deliveries;
mod door;
mod event_types;
mod events;
mod explain;
mod form;
mod guesses;
mod h1;
mod h2;
mod health;
mod intake;
mod keys;
mod leaving;
mod ndjson;
mod near;
mod pace;
mod page;
mod print;
mod problem;
mod publish;
mod random;
mod rate;
mod reply;
mod route;
mod serve;
mod settings;
mod slots;
mod stats;
mod stop;
mod streams;
mod told;
mod turned_away;
mod webhooks;
mod whole;
mod whose;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use http::header::CONNECTION;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use door::Door;
pub(crate) use serve::{ALPN, CONNECTIONS_MAX, Listener, SOCKET_CONNECTIONS_MAX, serve};
pub(crate) use settings::Settings;
pub(crate) use slots::{LEAVING_MAX, Limits};
pub(crate) use stop::{Stage, Stop};
pub(crate) use told::tell;

use access::{Caller, Keys, NoKey, Rank};
use answer::{Answer, Rooms};
use ask::Ask;
use body::{Carrier, Room, discard};
use catalogue::Catalogues;
use creations::Creations;
use guesses::Guesses;
use problem::{CROWDED, Problem, STOPPING};
use reply::Reply;
use route::{Call, Need, Routes};
use slots::{Group, Slot, Slots};
use told::Told;

use crate::clock;
use crate::domain::access::KeyHash;
use crate::store::Store;

/// What is served, over all listeners.
pub(crate) struct Api {
    store: Store,
    settings: watch::Receiver<Arc<Settings>>,
    reload: Reload,
    stop: Stop,
    started: Instant,
    routes: Routes,
    room: Room,
    catalogues: Catalogues,
    /// Of connections over the network, and to the admin socket.
    network: Slots,
    socket: Slots,
    parties: RandomState,
    guesses: Guesses,
    creations: Creations,
    told: Told,
}

/// Asks whoever owns the config to reload it. The answer is what changed, or why nothing did.
pub(crate) type Reload = mpsc::Sender<oneshot::Sender<Result<String, String>>>;

impl Api {
    /// `network`: how many connections over the network are taken in.
    pub(crate) fn new(
        store: Store,
        settings: watch::Receiver<Arc<Settings>>,
        reload: Reload,
        stop: Stop,
        network: Limits,
    ) -> Self {
        let started = clock::steady();
        let room = Room::new(store.budget().clone());
        Self {
            store,
            settings,
            reload,
            stop,
            started,
            routes: Routes::new(),
            room,
            catalogues: Catalogues::default(),
            network: Slots::new(network, started),
            socket: Slots::new(Limits::of(SOCKET_CONNECTIONS_MAX), started),
            parties: RandomState::new(),
            guesses: Guesses::default(),
            creations: Creations::default(),
            told: Told::default(),
        }
    }

    /// Waits until no connection over the network is open.
    pub(crate) async fn all_left(&self) {
        self.network.empty().await;
    }

    /// Open over the network.
    fn connections(&self) -> usize {
        self.network.len()
    }

    fn slots(&self, door: Door) -> &Slots {
        if door == Door::Admin { &self.socket } else { &self.network }
    }

    /// Answers one request, whatever it is. The answer says so when it is the connection's last: what of its body is not taken
    /// in could be read as a request.
    async fn answer(self: Arc<Self>, door: Door, slot: Arc<Slot>, request: Request<Incoming>) -> Response<Answer> {
        let (head, mut body) = request.into_parts();
        let reply = self.handle(door, &slot, &head, &mut body).await;
        let mut reply = reply.inspect_err(|problem| self.told.refused(problem, slot.from())).unwrap_or_else(Problem::reply);
        let is_taken = body.is_end_stream() || discard(&mut body, &head).await;
        if !is_taken || self.is_stopping() {
            reply.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply.into()
    }

    async fn handle(&self, door: Door, slot: &Slot, head: &Parts, body: &mut Incoming) -> Result<Reply, Problem> {
        door.check(&head.method, &head.headers)?;
        let found = self.routes.find(&head.method, head.uri.path())?;
        if found.need == Need::Open {
            return Ok(self.open(found.call));
        }
        let settings = self.settings.borrow().clone();
        let keys = Keys { settings: &settings, kept: |hash: &KeyHash| self.store.key(hash) };
        let known = keys.caller(door, &head.headers, || settings.keys().next().is_some() || self.store.has_keys());
        let mut caller = known.map_err(|problem| self.stranger(problem, slot, &head.headers))?;
        slot.show(|| Group::Party(self.party(&caller))).map_err(|_| Problem::Unavailable(CROWDED))?;
        caller.may(found.need, door)?;
        door::check_encoding(&head.method, &head.headers)?;
        caller.provider = self.catalogues.provider(caller.provider, &self.store);
        let is_ndjson = door::is_ndjson(&head.headers);
        let (bytes_max, carrier) = (found.call.body_bytes_max(is_ndjson), Carrier::of(head.version));
        let taken = self.room.take(body, bytes_max, carrier, || self.party(&caller)).await?;
        if taken.waited {
            self.check_again(&caller)?;
        }
        let (id, query, headers, body) = (&*found.decoded_id()?, head.uri.query(), &head.headers, taken.bytes.clone());
        let rooms = (carrier == Carrier::Many).then(|| self.rooms(&caller));
        let ask = Ask { api: self, settings: &settings, caller, slot, id, query, headers, is_ndjson, body };
        let mut reply = self.call(found.call, ask).await?;
        // What was done is answered in any case.
        let is_held = rooms.is_none_or(|rooms| reply.take_room(&rooms));
        if is_held || head.method != http::Method::GET { Ok(reply) } else { Err(answer::CROWDED) }
    }

    /// Why a caller is none, as exactly as it is known; of a wrong key beyond the rate of its address no more than that.
    fn stranger(&self, problem: Problem, slot: &Slot, headers: &HeaderMap) -> Problem {
        let Problem::NoKey(why) = problem else { return problem };
        if why.is_wrong() && !self.guesses.allow(slot.from(), clock::steady()) {
            return Problem::WrongKeys;
        }
        let was_revoked = || access::shown(headers).is_some_and(|hash| self.store.was_revoked(&hash));
        Problem::NoKey(if why == NoKey::Unknown && was_revoked() { NoKey::Revoked } else { why })
    }

    /// Refuses a caller whose key was revoked since it was known, also by a reload.
    fn check_again(&self, caller: &Caller) -> Result<(), Problem> {
        let settings = self.settings.borrow();
        Keys { settings: &settings, kept: |hash: &KeyHash| self.store.key(hash) }.check_again(caller)
    }

    fn is_stopping(&self) -> bool {
        self.stop.has_moved() && self.stop.is_pressed()
    }

    /// Whom a caller's connections and bodies count for.
    fn party(&self, caller: &Caller) -> u64 {
        let name = (caller.rank != Rank::Operator).then(|| (&*caller.provider.name, caller.tenant.as_deref()));
        self.parties.hash_one(name)
    }

    /// Where the room for a caller's answers comes from.
    fn rooms(&self, caller: &Caller) -> Rooms {
        Rooms { budget: self.store.budget().clone(), party: self.party(caller) }
    }

    fn open(&self, call: Call) -> Reply {
        match call {
            Call::Readyz => health::readyz(self),
            _ => health::healthz(),
        }
    }

    async fn call(&self, call: Call, ask: Ask<'_>) -> Result<Reply, Problem> {
        let ask = &ask;
        match call {
            Call::Healthz | Call::Readyz => Ok(self.open(call)),
            Call::Publish if self.is_stopping() => Err(Problem::Unavailable(STOPPING)),
            Call::Publish if ask.is_ndjson => ndjson::publish(ask).await,
            Call::Publish => publish::publish(ask).await,
            Call::ListEvents => events::list(ask).await,
            Call::ShowEvent => events::show(ask).await,
            Call::ExplainEvent => explain::explain(ask).await,
            Call::CreateWebhook => webhooks::create(ask).await,
            Call::ListWebhooks => webhooks::list(ask).await,
            Call::ShowWebhook => webhooks::show(ask),
            Call::PutWebhook => webhooks::put(ask).await,
            Call::PatchWebhook => webhooks::patch(ask).await,
            Call::DeleteWebhook => webhooks::delete(ask).await,
            Call::EnableWebhook => webhooks::enable(ask).await,
            Call::DisableWebhook => webhooks::disable(ask).await,
            Call::RotateSecret => webhooks::rotate_secret(ask).await,
            Call::ShowSecret => webhooks::show_secret(ask),
            Call::TestWebhook => webhooks::test_one(ask).await,
            Call::TestWebhooks => webhooks::test_all(ask).await,
            Call::RecoverWebhook => webhooks::recover(ask).await,
            Call::PurgeWebhook => webhooks::purge(ask).await,
            Call::ListWebhookDeliveries => deliveries::list_of_webhook(ask).await,
            Call::ListDeliveries => deliveries::list(ask).await,
            Call::ShowDelivery => deliveries::show(ask).await,
            Call::CancelDelivery => deliveries::cancel(ask).await,
            Call::RetryDelivery => deliveries::retry(ask).await,
            Call::WebhookStats => webhooks::stats(ask).await,
            Call::Stats => stats::stats(ask).await,
            Call::OpenConnection => connections::open(ask).await,
            Call::CloseConnection => connections::close(ask).await,
            Call::ListEventTypes => event_types::list(ask).await,
            Call::PutEventType => event_types::put(ask).await,
            Call::DeleteEventType => event_types::delete(ask).await,
            Call::ListKeys => keys::list(ask).await,
            Call::CreateKey => keys::create(ask).await,
            Call::RevokeKey => keys::revoke(ask).await,
            Call::Status => Ok(admin::status(self)),
            Call::Reload => admin::reload(self).await,
            Call::AcceptClock => admin::accept_clock(self).await,
            Call::ListAllWebhooks => webhooks::list_all(ask).await,
            Call::ListAllDeliveries => deliveries::list_all(ask).await,
        }
    }
}

impl Call {
    /// The largest body that this call takes; more is a 413.
    fn body_bytes_max(self, is_ndjson: bool) -> usize {
        match self {
            Self::Publish if is_ndjson => NDJSON_BYTES_MAX,
            Self::Publish => EVENT_BYTES_MAX,
            _ => BODY_BYTES_MAX,
        }
    }
}

/// One published event.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// Many published events.
const NDJSON_BYTES_MAX: usize = 16 << 20;

/// What any other call takes.
const BODY_BYTES_MAX: usize = 256 * 1024;
