//! One request of somebody who is signed in: what a page reads with, and what a form does.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};

use super::form::Form;
use super::session::{By, Session, Unseen};
use super::{Asked, Found, html};
use crate::api::request::auth::{Caller, Rank};
use crate::api::request::context::Context;
use crate::api::request::route::{Call, Need, ROUTES};
use crate::api::request::target::target_parts;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::resource::Resource;
use crate::ui::frame::{Scope, Theme, Viewer};

/// The parameters of a page.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    /// `in`: the tenants that the viewer looks at.
    pub(super) scope: Option<String>,
    /// `attempt` of a delivery's page, and `done`, which says what the viewer just did.
    pub(super) attempt: Option<u16>,
    pub(super) done: Option<String>,
    /// All others, as a call of the API takes them, with `tenant` for `in`. A field that was left empty is left out.
    query: String,
}

impl Parameters {
    pub(super) fn read(query: Option<&str>) -> Self {
        let mut read = Self::default();
        let mut others = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            match &*name {
                _ if value.is_empty() => {}
                "in" => {
                    others.append_pair("tenant", &value);
                    read.scope = Some(value.into_owned());
                }
                "attempt" => read.attempt = value.parse().ok(),
                "done" => read.done = Some(value.into_owned()),
                _ => drop(others.append_pair(&name, value.trim())),
            }
        }
        read.query = others.finish();
        read
    }
}

/// The headers of a call that names the tenants of a scope.
pub(super) fn named(header: &'static str, scope: Option<&str>) -> Result<HeaderMap, Problem> {
    let Some(scope) = scope else { return Ok(HeaderMap::new()) };
    if target_parts(scope).is_none() {
        return Err(Problem::field("?in", "is neither PROVIDER/TENANT nor PROVIDER/*"));
    }
    let value = HeaderValue::from_str(scope).map_err(|_| Problem::NotFound(Resource::Tenant))?;
    let name = http::HeaderName::try_from(header).map_err(|_| Problem::NotFound(Resource::Tenant))?;
    Ok([(name, value)].into_iter().collect())
}

/// A request of somebody who is signed in.
pub(super) struct Visit<'a> {
    pub(super) asked: &'a Asked<'a>,
    pub(super) session: &'a Session,
    cookie: &'a str,
    pub(super) parameters: &'a Parameters,
    /// The id in the path, still percent-encoded.
    pub(super) id: &'a str,
    pub(super) form: Form,
}

impl<'a> Visit<'a> {
    pub(super) fn new(asked: &'a Asked<'a>, found: &'a Found, parameters: &'a Parameters, id: &'a str, form: Form) -> Self {
        Self { asked, session: &found.session, cookie: &found.cookie, parameters, id, form }
    }

    /// The tenants that the request names, by their ids. `None` when it names none.
    pub(super) fn scope_of(&self, caller: &Caller) -> Option<String> {
        self.parameters.scope.as_ref().map(|_| format!("{}/{}", caller.provider.name, caller.tenant().unwrap_or("*")))
    }

    /// Sends a page, once there is room for it.
    pub(super) async fn page_of(&self, context: &Context<'_>, html: String) -> Result<Reply, Problem> {
        html::page(html, &context.rooms()).await
    }

    /// The request as a call of the API reads it, without a body.
    pub(super) fn context<'c>(&'c self, caller: Caller, id: &'c str) -> Context<'c> {
        let Asked { api, way, slot, head, .. } = *self.asked;
        let user = if let By::Link(user) = self.session.by { user } else { way.user };
        Context {
            api,
            settings: &self.asked.settings,
            call: Call::ListAllDeliveries,
            way: crate::api::request::entrance::Way { user, ..way },
            caller,
            slot,
            id,
            provider: "",
            query: Some(&self.parameters.query),
            headers: &head.headers,
            is_ndjson: false,
            body: Bytes::new(),
        }
    }

    /// The request as this call of the API reads it. Fails when the viewer has no right to make that call.
    pub(super) fn as_call<'c>(&self, call: Call, body: Bytes, context: Context<'c>) -> Result<Context<'c>, Problem> {
        let need = ROUTES.iter().find(|route| route.call == call).map_or(Need::Operator, |route| route.need);
        context.caller.may(need, self.asked.way.entrance)?;
        Ok(Context { call, query: None, body, ..context })
    }

    /// Keeps a secret until the session has seen it.
    pub(super) fn keep(&self, unseen: Unseen) {
        self.asked.api.sessions.keep(self.cookie, unseen);
    }

    /// Takes the secret of a webhook that the session has not seen.
    pub(super) fn take_unseen(&self, webhook: &str) -> Option<Unseen> {
        self.asked.api.sessions.take_unseen(self.cookie, webhook)
    }

    /// Signs the viewer out. It needs no right.
    pub(super) fn sign_out(&self) -> Reply {
        self.asked.api.sessions.close(self.cookie);
        let mut reply = html::see_other("/ui/login");
        html::unset_session(&mut reply, &self.asked.site);
        reply
    }

    /// Whether the form carries the token of its session.
    pub(super) fn is_of_session(&self) -> bool {
        self.session.sent(self.form.value("csrf"))
    }

    pub(super) fn set_theme(&self) -> Reply {
        let mut reply = html::see_other(super::sign_in::own_path(self.form.value("to")));
        let theme = Theme::parse(self.form.value("theme")).unwrap_or_default();
        html::set_theme(&mut reply, theme, &self.asked.site);
        reply
    }

    pub(super) fn viewer<'v>(&'v self, name: &'v str, known: &'v Caller, given: Option<&'v str>) -> Viewer<'v> {
        let scope = self.scope(known, given);
        Viewer { name, theme: self.asked.theme, scope, csrf: &self.session.csrf, here: self.asked.here() }
    }

    /// What the viewer may choose from: by the viewer's rank alone, whatever the request names.
    fn scope<'v>(&'v self, known: &'v Caller, given: Option<&'v str>) -> Scope<'v> {
        match known.rank {
            Rank::Operator => {
                let mut providers: Vec<&str> = self.asked.settings.providers().map(|provider| &*provider.name).collect();
                providers.sort_unstable();
                providers.truncate(PROVIDERS_SHOWN);
                Scope { given, only: None, providers }
            }
            Rank::Provider(_) => Scope { given, only: None, providers: vec![&known.provider.name] },
            Rank::Tenant(_) => Scope { given: None, only: known.tenant(), providers: Vec::new() },
        }
    }
}

/// How somebody signed in, in words.
pub(super) fn name(by: By, known: &Caller) -> String {
    match (by, known.key.as_deref()) {
        (By::Dev, _) => "dev".into(),
        (By::Link(Some(user)), _) => format!("operator, uid {user}"),
        (By::Link(None), _) => "operator".into(),
        (By::Key(_), Some(key)) => format!("key {}", key.name),
        (By::Key(_), None) => "key".into(),
    }
}

/// How many providers the choice of a scope lists. Others are reached by their name.
const PROVIDERS_SHOWN: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_empty_is_no_filter() {
        let read = Parameters::read(Some("type=&code=+503+&in=acme%2Ft1&attempt=2&done=retry"));
        assert_eq!(read.query, "code=503&tenant=acme%2Ft1");
        assert_eq!((read.scope.as_deref(), read.attempt, read.done.as_deref()), (Some("acme/t1"), Some(2), Some("retry")));
    }

    #[test]
    fn a_scope_that_names_no_tenants_is_refused() {
        assert!(named("Hookwheel-Tenant", Some("acme/t1")).is_ok() && named("Hookwheel-Tenant", None).is_ok());
        for bad in ["acme", "a/b/c", "/", "a/b\r\nx: y", "../etc"] {
            assert!(named("Hookwheel-Tenant", Some(bad)).is_err(), "{bad:?}");
        }
    }
}
