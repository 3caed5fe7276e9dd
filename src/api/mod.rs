//! The HTTP API: takes requests in, finds out who asks, and answers from the store.
//!
//! ```text
//!  http: accept ──▶ drive ──▶ Api::answer ──▶ request: route ──▶ auth ──▶ http: body ──▶ one call of resources
//!        slots      pace, limits     entrance       405 404    401 403          room        │
//!                                                                                           ▼
//!                                        response: reply ◀── problem: every error and its status ◀── store
//! ```
//!
//! It reads snapshots of the store and hands changes to its writer; it never delivers and never reads the config's files. A new
//! call is a line in `route`'s table and an arm in [`Api::call`].

mod calls;
#[cfg(test)]
mod description;
pub(crate) mod document;
mod http;
mod pages;
mod random;
mod request;
mod resources;
mod response;
mod told;

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use ::http::header::CONNECTION;
use ::http::request::Parts;
use ::http::{HeaderMap, HeaderValue, Request, Response};
use http_body::Body as _;
use hyper::body::Incoming;
use tokio::sync::{Mutex, mpsc, oneshot, watch};

pub(crate) use http::accept::{ALPN, CONNECTIONS_MAX, Listener, SOCKET_CONNECTIONS_MAX, serve};
pub(crate) use http::shutdown::{Stage, Stop};
pub(crate) use http::slots::{LEAVING_MAX, Limits};
pub(crate) use request::entrance::Entrance;
pub(crate) use request::settings::Settings;
pub(crate) use told::tell;

use calls::{Asked, Calls};
use http::body::{BodyBudget, discard};
use http::carrier::Carrier;
use http::slots::{Group, Slot, Slots};
use pages::session::Sessions;
use pages::table::Pages;
use request::auth::{Caller, Keys};
use request::context::Context;
use request::creations::Creations;
use request::entrance::Way;
use request::guesses::Guesses;
use request::key_changes::KeyChanges;
use request::rate::limits::RateLimits;
use request::route::{Call, Need, Routes};
use resources::catalogue::Catalogues;
use resources::deliveries::stream::{Live, READERS_MAX};
use response::answer::{Answer, Rooms};
use response::no_key::NoKey;
use response::problem::{CROWDED, Problem, STOPPING};
use response::reply::Reply;
use told::Told;

use crate::clock;
use crate::config::fault::Faults;
use crate::config::reload::Changes;
use crate::domain::access::KeyHash;
use crate::store::{Origin, Store};

/// What is served, over all listeners.
pub(crate) struct Api {
    store: Store,
    settings: watch::Receiver<Arc<Settings>>,
    reload: Reload,
    stop: Stop,
    started: Instant,
    routes: Routes,
    room: BodyBudget,
    catalogues: Catalogues,
    /// Held by the import of event types that is at work.
    importing: Arc<Mutex<()>>,
    /// Of connections over the network, and to the admin socket.
    network: Slots,
    socket: Slots,
    parties: RandomState,
    guesses: Guesses,
    creations: Creations,
    key_changes: KeyChanges,
    rate_limits: RateLimits,
    told: Told,
    calls: Calls,
    live: Arc<Live>,
    pages: Pages,
    sessions: Sessions,
}

/// Asks whoever owns the config to reload it.
pub(crate) type Reload = mpsc::Sender<ReloadAsk>;

/// One such question.
pub(crate) struct ReloadAsk {
    pub(crate) by: Origin,
    /// The answer is what changed, or why nothing did.
    pub(crate) answer: oneshot::Sender<Result<Changes, Faults>>,
}

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
        let room = BodyBudget::new(store.budget().clone());
        let calls = Calls::new(store.metrics());
        Self {
            store,
            settings,
            reload,
            stop,
            started,
            routes: Routes::new(),
            room,
            catalogues: Catalogues::default(),
            importing: Arc::default(),
            network: Slots::new(network, started),
            socket: Slots::new(Limits::new(SOCKET_CONNECTIONS_MAX), started),
            parties: RandomState::new(),
            guesses: Guesses::default(),
            creations: Creations::default(),
            key_changes: KeyChanges::default(),
            rate_limits: RateLimits::default(),
            told: Told::default(),
            calls,
            live: Live::new(READERS_MAX),
            pages: Pages::new(),
            sessions: Sessions::default(),
        }
    }

    /// Tells of a line of many that was not taken.
    fn line_refused(&self, problem: &Problem) {
        self.told.problem(problem);
        self.told.event_refused(problem, self.store.metrics());
    }

    /// Waits until no connection over the network is open.
    pub(crate) async fn all_left(&self) {
        self.network.empty().await;
    }

    /// Open over the network.
    fn connections(&self) -> usize {
        self.network.len()
    }

    fn slots(&self, entrance: Entrance) -> &Slots {
        if entrance == Entrance::Admin { &self.socket } else { &self.network }
    }

    /// Answers one request, whatever it is. The answer says so when it is the connection's last: what of its body is not taken
    /// in could be read as a request.
    async fn answer(self: Arc<Self>, way: Way, slot: Arc<Slot>, request: Request<Incoming>) -> Response<Answer> {
        let (began, mut call) = (clock::steady(), Asked::Unknown);
        let (head, mut body) = request.into_parts();
        let reply = self.handle(way, &slot, &head, &mut body, &mut call).await;
        self.calls.count(call, &reply, began, &self.told, self.store.metrics());
        let mut reply = reply.inspect_err(|problem| self.told.refused(problem, slot.from())).unwrap_or_else(Problem::reply);
        let is_taken = body.is_end_stream() || discard(&mut body, &head).await;
        if !is_taken || self.is_stopping() {
            reply.headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        reply.into()
    }

    /// Does what a request asks; `asked` is what that was, once it is known.
    async fn handle(
        &self,
        way: Way,
        slot: &Arc<Slot>,
        head: &Parts,
        body: &mut Incoming,
        asked: &mut Asked,
    ) -> Result<Reply, Problem> {
        let entrance = way.entrance;
        let found = self.routes.find(&head.method, head.uri.path());
        if found.is_err() && entrance != Entrance::Admin && self.pages.has(head.uri.path()) {
            *asked = Asked::Page;
            // It is seldom and large, and the other requests need not carry it.
            return Ok(Box::pin(pages::answer(self, way, slot, head, body)).await);
        }
        entrance.check(&head.method, &head.headers)?;
        let found = found?;
        *asked = Asked::Call(found.call);
        if found.need == Need::Open {
            return self.open(found.call, found.id);
        }
        let settings = self.settings.borrow().clone();
        if found.need == Need::Metrics && way.is_open(&settings.metrics_allow) {
            return resources::metrics::show(self, &settings, &head.headers).await;
        }
        let mut caller = self.caller(entrance, &settings, &head.headers, slot).await?;
        slot.show(|| Group::Party(self.party(&caller))).map_err(|_| Problem::Unavailable(CROWDED))?;
        caller.may(found.need, entrance)?;
        // Of what is published each event counts, and not the call.
        if found.call != Call::Publish {
            self.rate_limits.take_of_key(caller.key.as_deref())?;
        }
        request::entrance::check_encoding(&head.method, &head.headers)?;
        caller.provider = self.catalogues.provider(caller.provider, &self.store);
        caller.resolve()?;
        let is_ndjson = request::entrance::is_ndjson(&head.headers);
        let (bytes_max, carrier) = (found.call.body_bytes_max(is_ndjson), Carrier::from_version(head.version));
        let taken = self.room.take(body, bytes_max, carrier, || self.party(&caller)).await?;
        if taken.waited {
            self.check_again(&caller)?;
        }
        let (id, provider) = (&*found.decoded_id()?, found.provider);
        let (query, headers, body) = (head.uri.query(), &head.headers, taken.bytes.clone());
        let rooms = (carrier == Carrier::Many).then(|| self.rooms(&caller));
        let call = found.call;
        let context =
            Context { api: self, settings: &settings, call, way, caller, slot, id, provider, query, headers, is_ndjson, body };
        // The writer itself knows what a publication meets. Every other call is about what is there by now.
        if found.call != Call::Publish {
            self.store.catch_up().await?;
        }
        let mut reply = self.call(found.call, context).await?;
        // What was done is answered in any case.
        let is_held = rooms.is_none_or(|rooms| reply.take_room(&rooms));
        if is_held || head.method != ::http::Method::GET { Ok(reply) } else { Err(response::answer::CROWDED) }
    }

    /// Finds out who asks. A key that memory does not know may have been made meanwhile.
    async fn caller(&self, entrance: Entrance, settings: &Settings, headers: &HeaderMap, slot: &Slot) -> Result<Caller, Problem> {
        let keys = Keys { settings, kept: |hash: &KeyHash| self.store.key(hash) };
        let find = || keys.caller(entrance, headers, || settings.keys().next().is_some() || self.store.has_keys());
        let mut known = find();
        if matches!(known, Err(Problem::NoKey(_))) {
            self.store.catch_up().await?;
            known = find();
        }
        known.map_err(|problem| self.stranger(problem, slot, headers))
    }

    /// Why a caller is none, as exactly as it is known; of a wrong key beyond the rate of its address no more than that.
    fn stranger(&self, problem: Problem, slot: &Slot, headers: &HeaderMap) -> Problem {
        let Problem::NoKey(why) = problem else { return problem };
        if why.is_wrong() && !self.guesses.allow(slot.from(), clock::steady()) {
            return Problem::WrongKeys;
        }
        let was_revoked = || request::auth::shown(headers).is_some_and(|hash| self.store.was_revoked(&hash));
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
        self.parties.hash_one(caller.party())
    }

    /// Whom the bodies of somebody count for who has not shown a key.
    fn party_of(&self, from: Group) -> u64 {
        self.parties.hash_one(from)
    }

    /// Where the room for a caller's answers comes from.
    fn rooms(&self, caller: &Caller) -> Rooms {
        Rooms { budget: self.store.budget().clone(), party: self.party(caller) }
    }

    /// Answers a call that needs no key. `id` is what of the path is not fixed.
    fn open(&self, call: Call, id: &str) -> Result<Reply, Problem> {
        match call {
            Call::Readyz => Ok(resources::health::readyz(self)),
            Call::OpenApi => Ok(resources::documentation::openapi()),
            Call::Docs | Call::DocsPage => resources::documentation::page(id),
            Call::DocsReference => resources::documentation::page(&format!("api/{id}")),
            Call::DocsProblem => resources::documentation::page(&format!("problems/{id}")),
            _ => Ok(resources::health::healthz()),
        }
    }

    async fn call(&self, call: Call, context: Context<'_>) -> Result<Reply, Problem> {
        let context = &context;
        match call {
            Call::Healthz | Call::Readyz | Call::OpenApi => self.open(call, context.id),
            Call::Docs | Call::DocsPage | Call::DocsReference | Call::DocsProblem => self.open(call, context.id),
            Call::Metrics => resources::metrics::show(self, context.settings, context.headers).await,
            Call::Publish if self.is_stopping() => Err(Problem::Unavailable(STOPPING)),
            Call::Publish if context.is_ndjson => resources::publish_batch::publish(context).await,
            Call::Publish => resources::publish::publish(context).await,
            Call::ListEvents => resources::events::list(context).await,
            Call::ShowEvent => resources::events::show(context).await,
            Call::ExplainEvent => resources::explain::explain(context).await,
            Call::ReplayEvent => resources::publish::again::replay(context).await,
            Call::CreateWebhook => resources::webhooks::create(context).await,
            Call::ListWebhooks => resources::webhooks::list(context).await,
            Call::ShowWebhook => resources::webhooks::show(context).await,
            Call::PutWebhook => resources::webhooks::put(context).await,
            Call::PatchWebhook => resources::webhooks::patch(context).await,
            Call::DeleteWebhook => resources::webhooks::delete(context).await,
            Call::EnableWebhook => resources::webhooks::enable(context).await,
            Call::DisableWebhook => resources::webhooks::disable(context).await,
            Call::RotateSecret => resources::webhooks::rotate_secret(context).await,
            Call::ShowSecret => resources::webhooks::show_secret(context),
            Call::TestWebhook => resources::webhooks::test_one(context).await,
            Call::TestWebhooks => resources::webhooks::test_all(context).await,
            Call::RecoverWebhook => resources::webhooks::recover(context).await,
            Call::PurgeWebhook => resources::webhooks::purge(context).await,
            Call::TestFilter => resources::webhooks::filter_test(context).await,
            Call::ListWebhookDeliveries => resources::deliveries::list_of_webhook(context).await,
            Call::ListDeliveries => resources::deliveries::list(context).await,
            Call::StreamDeliveries => resources::deliveries::stream::stream(context).await,
            Call::ShowDelivery => resources::deliveries::show(context).await,
            Call::CancelDelivery => resources::deliveries::cancel(context).await,
            Call::RetryDelivery => resources::deliveries::retry(context).await,
            Call::ListAttempts => resources::deliveries::attempts::list(context).await,
            Call::ShowAttempt => resources::deliveries::attempts::show(context).await,
            Call::BeginReplay => resources::deliveries::replays::create(context).await,
            Call::ListReplays => resources::deliveries::replays::list(context).await,
            Call::ShowReplay => resources::deliveries::replays::show(context).await,
            Call::PauseReplay => resources::deliveries::replays::pause(context).await,
            Call::ResumeReplay => resources::deliveries::replays::resume(context).await,
            Call::CancelReplay => resources::deliveries::replays::cancel(context).await,
            Call::WebhookStats => resources::webhooks::stats(context).await,
            Call::Stats => resources::stats::stats(context).await,
            Call::OpenConnection => resources::sessions::open(context).await,
            Call::CloseConnection => resources::sessions::close(context).await,
            Call::ListEventTypes => resources::event_types::list(context).await,
            Call::ImportEventTypes => resources::event_types::import(context).await,
            Call::ShowEventType => resources::event_types::show(context),
            Call::PutEventType => resources::event_types::put(context).await,
            Call::DeleteEventType => resources::event_types::delete(context).await,
            Call::ListKeys => resources::keys::list(context).await,
            Call::CreateKey => resources::keys::create(context).await,
            Call::RevokeKey => resources::keys::revoke(context).await,
            Call::Status => Ok(resources::admin::status(self).await),
            Call::Reload => resources::admin::reload(context).await,
            Call::AcceptClock => resources::admin::accept_clock(context).await,
            Call::CreateLoginLink => resources::admin::login_links::create(context),
            Call::BeginBackup => resources::admin::backups::begin(context).await,
            Call::Export => resources::admin::export::export(context).await,
            Call::Import => resources::admin::import::import(context).await,
            Call::ListTables => resources::admin::tables(context).await,
            Call::ShowBackups => Ok(resources::admin::backups::show(self)),
            Call::ListAllWebhooks => resources::webhooks::list_all(context).await,
            Call::ListAllDeliveries => resources::deliveries::list_all(context).await,
            Call::ListAudit => resources::admin::audit::list(context).await,
            Call::ListAllReplays => resources::deliveries::replays::list_all(context).await,
            Call::ListAllAttempts => resources::deliveries::attempts::list_all(context).await,
            Call::ListProviders => resources::admin::providers::list(context).await,
            Call::ShowProvider => resources::admin::providers::show(context),
            Call::PatchProvider => resources::admin::providers::patch(context).await,
            Call::ListTenants => resources::admin::tenants::list(context).await,
            Call::ShowTenant => resources::admin::tenants::show(context).await,
            Call::DeleteTenant => resources::admin::tenants::delete(context).await,
            Call::PutTenant => resources::admin::tenants::put(context).await,
        }
    }
}
