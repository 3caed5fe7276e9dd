//! One request whose caller is known and whose body is in: what every call works with.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Serialize;

use super::auth::{Caller, Rank};
use super::entrance::{Entrance, Way};
use super::params::Query;
use super::route::Call;
use super::settings::{Provider, Settings};
use super::target::TARGET;
use crate::api::Api;
use crate::api::http::slots::Slot;
use crate::api::response::answer::Rooms;
use crate::api::response::problem::{Problem, STOPPING};
use crate::api::response::reply::Reply;
use crate::config::checked::DEFAULT_OWNER;
use crate::docs::problem::ProblemType;
use crate::domain::dialect::Dialect;
use crate::domain::resource::Resource;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::{Actor, Commands, Denied, Origin, Owners, Refusal, Store, WebhookView};

/// A request at work.
pub(crate) struct Context<'a> {
    pub(crate) api: &'a Api,
    pub(crate) settings: &'a Settings,
    pub(crate) call: Call,
    pub(crate) way: Way,
    pub(crate) caller: Caller,
    pub(crate) slot: &'a Arc<Slot>,
    /// The id in the path; empty where it has none.
    pub(crate) id: &'a str,
    /// The provider in the path; empty where it has none.
    pub(crate) provider: &'a str,
    pub(crate) query: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) is_ndjson: bool,
    pub(crate) body: Bytes,
}

impl Context<'_> {
    /// The store's commands, as asked for by the caller with this call.
    pub(crate) fn commands(&self) -> Commands<'_> {
        self.api.store.by(self.origin())
    }

    /// Who asks for a change, from where, and by which call.
    pub(crate) fn origin(&self) -> Origin {
        let actor = match (&self.caller.key, self.way.entrance) {
            (Some(key), _) => Actor::key(key),
            (None, Entrance::Dev) => Actor::dev(),
            (None, _) => Actor::admin_socket(self.way.user),
        };
        let address = self.way.peer.map(|peer| peer.to_canonical().to_string()).unwrap_or_default();
        Origin { actor, address: address.into(), call: self.call.label().into() }
    }

    /// The dialect that the caller's API speaks.
    pub(crate) fn dialect(&self) -> &Arc<Dialect> {
        &self.caller.provider.dialect
    }

    /// Where the room for its answer comes from.
    pub(crate) fn rooms(&self) -> Rooms {
        self.api.rooms(&self.caller)
    }

    /// The query's parameters, none but those `known`.
    pub(crate) fn query(&self, known: &[&str]) -> Query {
        Query::read(self.query, known)
    }

    /// Refuses what a long request has still to publish, once its key was revoked or the service stops.
    pub(crate) fn still_publishes(&self) -> Result<(), Problem> {
        if self.api.is_stopping() {
            return Err(Problem::Unavailable(STOPPING));
        }
        self.api.check_again(&self.caller)
    }

    /// Whether the tenant that an operator names is there; else the problem says which known one was probably meant. The default tenant
    /// always is.
    pub(crate) fn known_tenant(&self, provider: &str, tenant: &str) -> Result<(), Problem> {
        let is_default = (provider, tenant) == (DEFAULT_OWNER, DEFAULT_OWNER);
        if is_default || self.api.store.has_tenant(provider, tenant) {
            return Ok(());
        }
        Err(self.unknown_tenant(provider, tenant))
    }

    /// Why an event was not taken. An operator who names a tenant that nobody knows is told the one that was probably meant.
    pub(crate) fn refused(&self, refusal: Refusal) -> Problem {
        match &refusal {
            Refusal::NoTenant(tenant) if self.caller.rank == Rank::Operator => {
                match self.unknown_tenant(&self.caller.provider.name, tenant) {
                    told @ Problem::Unknown { near: Some(_), .. } => told,
                    _ => refusal.into(),
                }
            }
            _ => refusal.into(),
        }
    }

    fn unknown_tenant(&self, provider: &str, tenant: &str) -> Problem {
        let near = self.api.store.nearest_tenant(provider, tenant);
        Problem::Unknown { what: Resource::Tenant, name: tenant.into(), near }
    }

    /// The webhook that the path names, if the caller sees it.
    pub(crate) fn webhook(&self) -> Result<Arc<Endpoint>, Problem> {
        self.webhook_by_id(self.id)
    }

    /// The webhook with this id or uid, if the caller sees it.
    pub(crate) fn webhook_by_id(&self, id: &str) -> Result<Arc<Endpoint>, Problem> {
        webhook_of(&self.api.store, &self.caller.owners(), id, |endpoint| self.caller.sees(endpoint))
    }

    /// A webhook with the end of its newest attempt. Where the log cannot be read, that is left out: the call itself is done.
    pub(crate) async fn view(&self, endpoint: &Arc<Endpoint>) -> WebhookView {
        let found = self.api.store.webhook_views(vec![endpoint.clone()]).await;
        // The log says why the store could not be read.
        let found = found.map_err(Problem::from).ok().and_then(|mut views| views.pop());
        found.unwrap_or_else(|| WebhookView { endpoint: endpoint.clone(), last: None })
    }

    /// A webhook's provider with the event types that it added; also one that the config does not name.
    pub(crate) fn provider_of(&self, endpoint: &Endpoint) -> Arc<Provider> {
        let known = self.settings.provider(&endpoint.provider).cloned();
        let unknown = || Arc::new(Provider::new(&endpoint.provider, self.api.store.dialect(&endpoint.provider)));
        self.api.catalogues.provider(known.unwrap_or_else(unknown), &self.api.store)
    }

    /// How a webhook's provider speaks.
    pub(crate) fn dialect_of(&self, endpoint: &Endpoint) -> Arc<Dialect> {
        self.provider_of(endpoint).dialect.clone()
    }
}

impl Context<'_> {
    /// Why a change of a webhook was not made: where the config file has a say, with the file's name.
    pub(crate) fn denied(&self, endpoint: &Endpoint, denied: Denied) -> Problem {
        match (&denied, self.settings.place(endpoint)) {
            (Denied::FileOwned, Some(place)) => Problem::Told(
                ProblemType::FileOwned,
                format!("this webhook belongs to the config file {place}; change it there and run `hookwheel reload`"),
            ),
            (Denied::Removed, _) => Problem::Told(ProblemType::Removed, self.removed(endpoint)),
            _ => Problem::Denied(denied),
        }
    }

    fn removed(&self, endpoint: &Endpoint) -> String {
        let what = match endpoint.is_file_owned() {
            true => format!("the webhook `{}`", endpoint.definition.name),
            false => format!("this webhook's tenant `{}/{}`", endpoint.provider, endpoint.tenant),
        };
        let file = &self.settings.file;
        format!(
            "{what} was taken out of the config file {file}; put it back there and run `hookwheel reload`, or delete the webhook"
        )
    }
}

/// The webhook with this id or uid among those of some owners, if it is seen. An id goes first.
///
/// Fails when there is none, and when several tenants have a webhook with the uid.
pub(crate) fn webhook_of(
    store: &Store,
    of: &Owners,
    id: &str,
    is_seen: impl Fn(&Endpoint) -> bool,
) -> Result<Arc<Endpoint>, Problem> {
    if let Some(found) = store.webhook(id).filter(|endpoint| is_seen(endpoint)) {
        return Ok(found);
    }
    let mut found = store.webhooks_with_uid(of, id, is_seen);
    match (found.pop(), found.pop()) {
        (Some(one), None) => Ok(one),
        (Some(_), Some(_)) => Err(Problem::Wrong(format!(
            "webhooks of several tenants have the uid `{id}`; name the tenant in {TARGET}, or the webhook by its id"
        ))),
        (None, _) => Err(Problem::NotFound(Resource::Webhook)),
    }
}

/// Works for milliseconds where that holds up no other request. A read of the store needs none of this.
pub(crate) async fn aside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Problem::Unavailable(STOPPING))
}

/// One document, under the dialect's `wrap`.
pub(crate) fn document(status: StatusCode, dialect: &Dialect, document: &impl Serialize) -> Reply {
    match &*dialect.api.wrap {
        "" => Reply::document(status, document),
        wrap => Reply::document(status, &BTreeMap::from([(wrap, document)])),
    }
}
