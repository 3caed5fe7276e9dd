//! Every call of the API as data: its method, its path, which callers may make it, and the name by which it is carried out.

mod bodies;

use std::borrow::Cow;

use http::Method;
use matchit::Router;
use percent_encoding::percent_decode_str;

use crate::api::response::problem::Problem;
use crate::domain::resource::Resource;

/// A row of the table: one call of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Route {
    pub(crate) verb: Verb,
    pub(crate) path: &'static str,
    pub(crate) need: Need,
    pub(crate) call: Call,
}

/// The methods that calls have. HEAD is answered as GET, without the body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    Post,
    Put,
    Patch,
    Delete,
}

/// What a caller must be to make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// Anybody, also without a key.
    Open,
    /// A provider's or tenant's key with `publish`.
    Publish,
    /// A tenant's or its provider's key with `read` or `manage`.
    Read,
    /// A tenant's or its provider's key with `manage`.
    Manage,
    /// A provider's key, or a tenant's key that may read.
    ReadCatalogue,
    /// A provider's key.
    Catalogue,
    /// An operator, or a provider's key with `read` or `manage`. For the provider's key the answer is about its own tenants.
    ReadTenants,
    /// An operator, or a provider's key with `manage`, for its own tenants.
    ManageTenants,
    Operator,
    /// The operator, the admin socket, or an address in `[server] metrics_allow`.
    Metrics,
    /// The operator at the admin socket, not over the network.
    AdminSocket,
}

/// The name of a call, by which `Api::call` carries it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Healthz,
    Readyz,
    Metrics,
    OpenApi,
    Docs,
    DocsPage,
    DocsReference,
    DocsProblem,
    Publish,
    ListEvents,
    ShowEvent,
    ExplainEvent,
    ReplayEvent,
    CreateWebhook,
    ListWebhooks,
    ShowWebhook,
    PutWebhook,
    PatchWebhook,
    DeleteWebhook,
    EnableWebhook,
    DisableWebhook,
    RotateSecret,
    ShowSecret,
    TestWebhook,
    TestWebhooks,
    RecoverWebhook,
    PurgeWebhook,
    TestFilter,
    ListWebhookDeliveries,
    ListDeliveries,
    StreamDeliveries,
    ShowDelivery,
    CancelDelivery,
    RetryDelivery,
    ListAttempts,
    ShowAttempt,
    BeginReplay,
    ListReplays,
    ShowReplay,
    PauseReplay,
    ResumeReplay,
    CancelReplay,
    WebhookStats,
    Stats,
    OpenConnection,
    CloseConnection,
    ListEventTypes,
    ImportEventTypes,
    ShowEventType,
    PutEventType,
    DeleteEventType,
    ListKeys,
    CreateKey,
    RevokeKey,
    Status,
    Reload,
    AcceptClock,
    BeginBackup,
    ShowBackups,
    Export,
    Import,
    ListTables,
    ListAllWebhooks,
    ListAllDeliveries,
    ListAudit,
    ListAllAttempts,
    ListAllReplays,
    ListProviders,
    ShowProvider,
    PatchProvider,
    ListTenants,
    ShowTenant,
    PutTenant,
    DeleteTenant,
    CreateLoginLink,
}

/// The calls of one path, at most one for each method.
#[derive(Clone, Copy, Debug, Default)]
struct Methods([Option<(Need, Call)>; VERBS.len()]);

/// The table of calls, prepared for finding a call by its path.
pub(crate) struct Routes(Router<Methods>);

/// A call that was found, with the parts of its path that are not fixed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found<'p> {
    pub(crate) need: Need,
    pub(crate) call: Call,
    /// The id, still percent-encoded. Empty when the path has none.
    pub(crate) id: &'p str,
    /// The provider, still percent-encoded. Empty when the path has none.
    pub(crate) provider: &'p str,
}

impl Routes {
    pub(crate) fn new() -> Self {
        let mut places: Vec<(String, Methods)> = Vec::new();
        for (path, route) in all() {
            let index = places.iter().position(|(known, _)| *known == path).unwrap_or_else(|| {
                places.push((path, Methods::default()));
                places.len() - 1
            });
            places[index].1.0[route.verb as usize] = Some((route.need, route.call));
        }
        let mut router = Router::new();
        for (path, place) in places {
            router.insert(path, place).expect("the paths of the table differ");
        }
        Self(router)
    }

    /// Finds a call. Fails with 404 for an unknown path, and for a known path without the method with 405, which names its methods.
    pub(crate) fn find<'p>(&self, method: &Method, path: &'p str) -> Result<Found<'p>, Problem> {
        let matched = self.0.at(path).map_err(|_| Problem::NotFound(Resource::Path))?;
        let call = Verb::of(method).and_then(|verb| matched.value.0[verb as usize]);
        let (need, call) = call.ok_or_else(|| Problem::Method(matched.value.verbs()))?;
        let part = |name| matched.params.get(name).unwrap_or_default();
        Ok(Found { need, call, id: part("id"), provider: part("provider") })
    }
}

impl Found<'_> {
    /// The id without percent-encoding (RFC 3986 section 2.1). Fails when it is not UTF-8.
    pub(crate) fn decoded_id(&self) -> Result<Cow<'_, str>, Problem> {
        percent_decode_str(self.id).decode_utf8().map_err(|_| Problem::Wrong("the id in the path is not UTF-8".into()))
    }
}

impl Methods {
    fn verbs(&self) -> String {
        let has = VERBS.iter().zip(self.0).filter(|(_, call)| call.is_some());
        has.map(|(verb, _)| verb.name()).collect::<Vec<_>>().join(", ")
    }
}

impl Call {
    /// The method and path of the call, as in `POST /v1/webhooks`.
    pub(crate) fn label(self) -> String {
        let route = ROUTES.iter().find(|route| route.call == self).expect("every call has its route");
        format!("{} {}", route.verb.name(), route.path)
    }
}

impl Verb {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    fn of(method: &Method) -> Option<Self> {
        let name = if method == Method::HEAD { "GET" } else { method.as_str() };
        VERBS.into_iter().find(|verb| verb.name() == name)
    }
}

/// Every call with each of its paths. Calls about webhooks have a second path, without `/v1`.
pub(crate) fn all() -> impl Iterator<Item = (String, Route)> {
    ROUTES.iter().flat_map(|route| {
        let also = route.path.strip_prefix("/v1").filter(|path| path.starts_with("/webhooks"));
        [Some(route.path), also].into_iter().flatten().map(|path| (path.to_owned(), *route))
    })
}

const fn route(verb: Verb, path: &'static str, need: Need, call: Call) -> Route {
    Route { verb, path, need, call }
}

const VERBS: [Verb; 5] = [Verb::Get, Verb::Post, Verb::Put, Verb::Patch, Verb::Delete];

/// The table of calls. A new call needs a row here, a name in [`Call`] and an arm in `Api::call`.
pub(crate) const ROUTES: &[Route] = &[
    route(Verb::Get, "/healthz", Need::Open, Call::Healthz),
    route(Verb::Get, "/readyz", Need::Open, Call::Readyz),
    route(Verb::Get, "/metrics", Need::Metrics, Call::Metrics),
    route(Verb::Get, "/openapi.json", Need::Open, Call::OpenApi),
    route(Verb::Get, "/docs", Need::Open, Call::Docs),
    route(Verb::Get, "/docs/{id}", Need::Open, Call::DocsPage),
    route(Verb::Get, "/docs/api/{id}", Need::Open, Call::DocsReference),
    route(Verb::Get, "/docs/problems/{id}", Need::Open, Call::DocsProblem),
    route(Verb::Post, "/v1/events", Need::Publish, Call::Publish),
    route(Verb::Get, "/v1/events", Need::Read, Call::ListEvents),
    route(Verb::Get, "/v1/events/{id}", Need::Read, Call::ShowEvent),
    route(Verb::Get, "/v1/events/{id}/explain", Need::Read, Call::ExplainEvent),
    route(Verb::Post, "/v1/events/{id}/replay", Need::Manage, Call::ReplayEvent),
    route(Verb::Post, "/v1/webhooks", Need::Manage, Call::CreateWebhook),
    route(Verb::Get, "/v1/webhooks", Need::Read, Call::ListWebhooks),
    route(Verb::Post, "/v1/webhooks/test", Need::Manage, Call::TestWebhooks),
    route(Verb::Get, "/v1/webhooks/{id}", Need::Read, Call::ShowWebhook),
    route(Verb::Put, "/v1/webhooks/{id}", Need::Manage, Call::PutWebhook),
    route(Verb::Patch, "/v1/webhooks/{id}", Need::Manage, Call::PatchWebhook),
    route(Verb::Delete, "/v1/webhooks/{id}", Need::Manage, Call::DeleteWebhook),
    route(Verb::Post, "/v1/webhooks/{id}/enable", Need::Manage, Call::EnableWebhook),
    route(Verb::Post, "/v1/webhooks/{id}/disable", Need::Manage, Call::DisableWebhook),
    route(Verb::Post, "/v1/webhooks/{id}/rotate-secret", Need::Manage, Call::RotateSecret),
    route(Verb::Get, "/v1/webhooks/{id}/secret", Need::AdminSocket, Call::ShowSecret),
    route(Verb::Post, "/v1/webhooks/{id}/test", Need::Manage, Call::TestWebhook),
    route(Verb::Post, "/v1/webhooks/{id}/recover", Need::Manage, Call::RecoverWebhook),
    route(Verb::Post, "/v1/webhooks/{id}/purge", Need::Manage, Call::PurgeWebhook),
    route(Verb::Post, "/v1/webhooks/{id}/filter-test", Need::Read, Call::TestFilter),
    route(Verb::Get, "/v1/webhooks/{id}/deliveries", Need::Read, Call::ListWebhookDeliveries),
    route(Verb::Get, "/v1/deliveries", Need::Read, Call::ListDeliveries),
    route(Verb::Get, "/v1/deliveries/stream", Need::Read, Call::StreamDeliveries),
    route(Verb::Get, "/v1/deliveries/{id}", Need::Read, Call::ShowDelivery),
    route(Verb::Delete, "/v1/deliveries/{id}", Need::Manage, Call::CancelDelivery),
    route(Verb::Post, "/v1/deliveries/{id}/retry", Need::Manage, Call::RetryDelivery),
    route(Verb::Get, "/v1/attempts", Need::Read, Call::ListAttempts),
    route(Verb::Get, "/v1/attempts/{id}", Need::Read, Call::ShowAttempt),
    route(Verb::Post, "/v1/replays", Need::Manage, Call::BeginReplay),
    route(Verb::Get, "/v1/replays", Need::Read, Call::ListReplays),
    route(Verb::Get, "/v1/replays/{id}", Need::Read, Call::ShowReplay),
    route(Verb::Post, "/v1/replays/{id}/pause", Need::Manage, Call::PauseReplay),
    route(Verb::Post, "/v1/replays/{id}/resume", Need::Manage, Call::ResumeReplay),
    route(Verb::Delete, "/v1/replays/{id}", Need::Manage, Call::CancelReplay),
    route(Verb::Get, "/v1/webhooks/{id}/stats", Need::Read, Call::WebhookStats),
    route(Verb::Get, "/v1/stats", Need::Read, Call::Stats),
    route(Verb::Post, "/v1/connections", Need::Publish, Call::OpenConnection),
    route(Verb::Delete, "/v1/connections/{id}", Need::Publish, Call::CloseConnection),
    route(Verb::Get, "/v1/event-types", Need::ReadCatalogue, Call::ListEventTypes),
    route(Verb::Post, "/v1/event-types/import", Need::Catalogue, Call::ImportEventTypes),
    route(Verb::Get, "/v1/event-types/{id}", Need::ReadCatalogue, Call::ShowEventType),
    route(Verb::Put, "/v1/event-types/{id}", Need::Catalogue, Call::PutEventType),
    route(Verb::Delete, "/v1/event-types/{id}", Need::Catalogue, Call::DeleteEventType),
    route(Verb::Get, "/v1/admin/keys", Need::ReadTenants, Call::ListKeys),
    route(Verb::Post, "/v1/admin/keys", Need::ManageTenants, Call::CreateKey),
    route(Verb::Delete, "/v1/admin/keys/{id}", Need::ManageTenants, Call::RevokeKey),
    route(Verb::Get, "/v1/admin/status", Need::Operator, Call::Status),
    route(Verb::Post, "/v1/admin/reload", Need::Operator, Call::Reload),
    route(Verb::Post, "/v1/admin/clock/accept", Need::Operator, Call::AcceptClock),
    route(Verb::Post, "/v1/admin/login-links", Need::AdminSocket, Call::CreateLoginLink),
    route(Verb::Post, "/v1/admin/backup", Need::AdminSocket, Call::BeginBackup),
    route(Verb::Get, "/v1/admin/backup", Need::Operator, Call::ShowBackups),
    route(Verb::Get, "/v1/admin/export", Need::AdminSocket, Call::Export),
    route(Verb::Post, "/v1/admin/import", Need::AdminSocket, Call::Import),
    route(Verb::Get, "/v1/admin/tables", Need::Operator, Call::ListTables),
    route(Verb::Get, "/v1/admin/webhooks", Need::ReadTenants, Call::ListAllWebhooks),
    route(Verb::Get, "/v1/admin/deliveries", Need::ReadTenants, Call::ListAllDeliveries),
    route(Verb::Get, "/v1/admin/audit", Need::Operator, Call::ListAudit),
    route(Verb::Get, "/v1/admin/attempts", Need::ReadTenants, Call::ListAllAttempts),
    route(Verb::Get, "/v1/admin/replays", Need::ReadTenants, Call::ListAllReplays),
    route(Verb::Get, "/v1/admin/providers", Need::Operator, Call::ListProviders),
    route(Verb::Get, "/v1/admin/providers/{id}", Need::Operator, Call::ShowProvider),
    route(Verb::Patch, "/v1/admin/providers/{id}", Need::Operator, Call::PatchProvider),
    route(Verb::Get, "/v1/admin/tenants", Need::ReadTenants, Call::ListTenants),
    route(Verb::Get, "/v1/admin/tenants/{provider}/{id}", Need::ReadTenants, Call::ShowTenant),
    route(Verb::Put, "/v1/admin/tenants/{provider}/{id}", Need::ManageTenants, Call::PutTenant),
    route(Verb::Delete, "/v1/admin/tenants/{provider}/{id}", Need::ManageTenants, Call::DeleteTenant),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::uid::Uid;

    fn found(method: Method, path: &str) -> Result<(Call, String), Problem> {
        Routes::new().find(&method, path).map(|found| (found.call, found.id.to_owned()))
    }

    #[test]
    fn every_route_leads_to_its_own_call() {
        for (path, route) in all() {
            let path = path.replace("{id}", "wh_1").replace("{provider}", "acme");
            let method = Method::from_bytes(route.verb.name().as_bytes()).unwrap();
            assert_eq!(Routes::new().find(&method, &path).unwrap().call, route.call, "{path}");
        }
    }

    #[test]
    fn no_uid_is_a_word_of_a_path() {
        for of in ["/v1/webhooks/", "/v1/events/", "/v1/admin/tenants/{provider}/"] {
            let behind = ROUTES.iter().filter_map(|route| route.path.strip_prefix(of));
            for word in behind.filter_map(|rest| rest.split('/').next()).filter(|word| !word.starts_with('{')) {
                assert!(Uid::parse(word).is_err(), "{of}{word} is a call of its own");
            }
        }
    }

    #[test]
    fn the_readme_names_every_call() {
        let readme = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
        let missing: Vec<String> = ROUTES.iter().map(|route| format!("`{} {}`", route.verb.name(), route.path)).collect();
        let missing: Vec<_> = missing.into_iter().filter(|call| !readme.contains(call)).collect();
        assert!(missing.is_empty(), "its table of calls lacks {missing:?}");
    }

    #[test]
    fn webhooks_are_also_without_the_version() {
        assert_eq!(found(Method::PUT, "/webhooks/wh_7").unwrap(), (Call::PutWebhook, "wh_7".into()));
        assert_eq!(found(Method::POST, "/webhooks/test").unwrap().0, Call::TestWebhooks);
        assert!(found(Method::GET, "/deliveries").is_err());
    }

    #[test]
    fn an_id_is_decoded() {
        let routes = Routes::new();
        let id = |path: &str| routes.find(&Method::PUT, path).unwrap().decoded_id().map(Cow::into_owned).ok();
        assert_eq!(id("/v1/event-types/a.b"), Some("a.b".into()));
        assert_eq!(id("/v1/event-types/a%2Fb%C3%BC%"), Some("a/bü%".into()));
        assert_eq!(id("/v1/event-types/%FF"), None);
    }

    #[test]
    fn a_known_path_names_its_methods() {
        let problem = found(Method::OPTIONS, "/v1/webhooks/wh_7").unwrap_err();
        assert!(matches!(&problem, Problem::Method(verbs) if verbs == "GET, PUT, PATCH, DELETE"), "{problem:?}");
    }

    #[test]
    fn unknown_paths_are_not_found() {
        for path in ["/", "/v1", "/v1/", "/v1/event", "/v1/events/", "/v1/events/a/b", "/v1/webhooks//test", "*", ""] {
            assert_eq!(found(Method::GET, path).unwrap_err().status(), 404, "{path}");
        }
    }

    #[test]
    fn head_asks_for_what_get_does() {
        assert_eq!(found(Method::HEAD, "/healthz").unwrap().0, Call::Healthz);
    }
}
