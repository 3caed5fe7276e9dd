//! The dashboard: pages for a browser, by the same calls and with the same rights as the API.
//!
//! ```text
//!  host known? ─▶ page known? ─▶ form of our own? ─▶ form read ─▶ session ─▶ its key still valid? ─▶ token of the form ─▶ may it? ─▶ page
//!     421            404, 405         403             413, 415     sign-in        sign-in                  403               403
//! ```
//!
//! **What changes something** is a form, and each is carried out as the call of the API that does the same: with its rights, rates, bounds and
//! row in the audit log. **What is shown** is read by the functions that the calls read with. Pages are made in `crate::ui`. A request for
//! a page never fails: what is wrong is a page too.

mod answer;
mod deliveries;
mod delivery;
mod event;
mod form;
mod guard;
mod html;
pub(in crate::api) mod session;
mod sign_in;
pub(in crate::api) mod sites;
pub(in crate::api) mod table;
mod visit;
mod webhook;
mod webhooks;

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, Method};
use hyper::body::Incoming;

use super::Api;
use super::http::slots::{Group, Slot};
use super::request::auth::{Caller, Keys};
use super::request::entrance::{Entrance, Way};
use super::request::settings::Settings;
use super::request::target::TARGET;
use super::response::problem::{CROWDED, Problem};
use super::response::reply::Reply;
use crate::clock;
use crate::config::site::Site;
use crate::domain::access::{Key, KeyHash};
use crate::ui::frame::Theme;
use form::Form;
use session::{By, Session};
use table::{Name, Page};
use visit::{Parameters, Visit};

/// A request for a page, of a browser that called the service by a known name.
struct Asked<'a> {
    api: &'a Api,
    settings: Arc<Settings>,
    way: Way,
    slot: &'a Arc<Slot>,
    head: &'a Parts,
    site: Site,
    theme: Theme,
}

/// A session that was found or opened.
struct Found {
    cookie: String,
    session: Session,
    /// Whether the browser does not have the cookie yet.
    is_new: bool,
}

/// Answers a request for a page or a form of the dashboard.
pub(in crate::api) async fn answer(api: &Api, way: Way, slot: &Arc<Slot>, head: &Parts, body: &mut Incoming) -> Reply {
    let settings = api.settings.borrow().clone();
    let theme = guard::cookie(&head.headers, html::THEME_COOKIE).and_then(Theme::parse).unwrap_or_default();
    let Some(site) = guard::host(head).and_then(|host| settings.sites.visited(host)) else {
        return html::unknown_host(theme);
    };
    let asked = Asked { api, settings, way, slot, head, site, theme };
    asked.answer(body).await.unwrap_or_else(|problem| html::outside(theme, &problem))
}

impl Asked<'_> {
    /// Reads the form before it asks who sends it, since a form may take minutes to come, and a session or a key may end meanwhile.
    async fn answer(mut self, body: &mut Incoming) -> Result<Reply, Problem> {
        let (page, id) = self.api.pages.find(&self.head.method, self.head.uri.path())?;
        if self.head.method == Method::POST && !guard::is_own_form(&self.head.headers, &self.site) {
            return Err(Problem::Forbidden(FOREIGN.into()));
        }
        let form = if self.head.method == Method::POST { form::read(&self, body).await? } else { Form::default() };
        self.settings = self.api.settings.borrow().clone();
        match page.name {
            Name::Root => Ok(html::see_other("/ui/")),
            Name::Asset => html::asset(id),
            Name::SignIn => Ok(sign_in::show(&self)),
            Name::TrySignIn => sign_in::with_key(&self, &form).await,
            Name::UseLink => sign_in::by_link(&self),
            _ => self.signed_in(page, id, form).await,
        }
    }

    /// Answers somebody who is signed in, and leads anybody else to where one signs in. To sign out needs no more than the session.
    async fn signed_in(&self, page: Page, id: &str, form: Form) -> Result<Reply, Problem> {
        let Some(found) = self.session()? else { return Ok(self.to_sign_in()) };
        let parameters = Parameters::read(self.head.uri.query());
        let visit = Visit::new(self, &found, &parameters, id, form);
        if page.name == Name::SignOut && visit.is_of_session() {
            return Ok(visit.sign_out());
        }
        let viewer = match self.viewer(&found.session).await {
            Err(Problem::NoKey(_)) => {
                self.api.sessions.close(&found.cookie);
                return Ok(self.to_sign_in());
            }
            viewer => viewer?,
        };
        let caller = self.caller(&found.session, &viewer, parameters.scope.as_deref());
        let mut reply = visit.answer(page, &viewer, caller).await;
        if found.is_new {
            html::set_session(&mut reply, &found.cookie, &self.site);
        }
        Ok(reply)
    }

    /// The session of the browser's cookie. In `dev` everybody on the machine has one.
    fn session(&self) -> Result<Option<Found>, Problem> {
        let now = clock::boot();
        let cookie = guard::cookie(&self.head.headers, html::session_cookie(&self.site)).unwrap_or_default();
        if let Some(session) = self.api.sessions.find(cookie, now) {
            return Ok(Some(Found { cookie: cookie.to_owned(), session, is_new: false }));
        }
        if self.way.entrance != Entrance::Dev {
            return Ok(None);
        }
        let (cookie, session) = self.api.sessions.open(By::Dev, now)?;
        Ok(Some(Found { cookie, session, is_new: true }))
    }

    /// Who a session belongs to, whatever the request names. Fails when its key was revoked or has expired.
    async fn viewer(&self, session: &Session) -> Result<Caller, Problem> {
        self.api.store.catch_up().await?;
        self.acting(session, &HeaderMap::new())
    }

    /// On whose behalf the viewer acts, for the tenants of a scope. Fails when the viewer asks too much, or may not look at those tenants.
    fn caller(&self, session: &Session, viewer: &Caller, scope: Option<&str>) -> Result<Caller, Problem> {
        self.slot.show(|| Group::Party(self.api.party(viewer))).map_err(|_| Problem::Unavailable(CROWDED))?;
        self.api.rate_limits.take_of_key(viewer.key.as_deref())?;
        let caller = self.acting(session, &visit::named(TARGET, scope)?)?;
        let mut caller = Caller { provider: self.api.catalogues.provider(caller.provider, &self.api.store), ..caller };
        caller.resolve()?;
        Ok(caller)
    }

    fn acting(&self, session: &Session, headers: &HeaderMap) -> Result<Caller, Problem> {
        let keys = self.keys();
        match session.by {
            By::Key(hash) => keys.caller_by(&hash, headers),
            By::Link(_) => keys.caller(Entrance::Admin, headers, || true),
            By::Dev => keys.caller(Entrance::Dev, headers, || true),
        }
    }

    fn keys(&self) -> Keys<'_, impl Fn(&KeyHash) -> Option<Arc<Key>>> {
        Keys { settings: &self.settings, kept: |hash: &KeyHash| self.api.store.key(hash) }
    }

    /// The way to sign in, and from there back to the page that was asked for.
    fn to_sign_in(&self) -> Reply {
        html::see_other(&crate::ui::href::Links::default().to("/ui/login", &[("to", self.here())]))
    }

    /// The path and query of the page, to come back to. For a form, which cannot be asked for, the first page.
    fn here(&self) -> &str {
        let asked = self.head.uri.path_and_query().map(|path| path.as_str());
        asked.filter(|_| self.head.method != Method::POST).unwrap_or("/ui/")
    }
}

const FOREIGN: &str =
    "this form was not sent by a page of this dashboard, so nothing was done; open the page here and send it again";
