//! Signing in: with a key, or by the link that `hookwheel login-link` prints.

use http::{HeaderMap, Method, StatusCode};
use tracing::info;

use super::form::Form;
use super::session::By;
use super::{Asked, html};
use crate::api::request::auth::hash;
use crate::api::request::entrance::Entrance;
use crate::api::request::params::Query;
use crate::api::request::route::Need;
use crate::api::response::no_key::NoKey;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::clock;
use crate::ui::error::{self, Wrong};
use crate::ui::login;

/// `GET /ui/login`
pub(super) fn show(asked: &Asked<'_>) -> Reply {
    let query = Query::read(asked.head.uri.query(), &["to"]);
    let to = own_path(query.text("to").unwrap_or_default());
    if asked.way.entrance == Entrance::Dev {
        return html::see_other(to);
    }
    html::small(StatusCode::OK, login::page(asked.theme, to, None))
}

/// `POST /ui/login`
pub(super) async fn with_key(asked: &Asked<'_>, form: &Form) -> Result<Reply, Problem> {
    asked.api.store.catch_up().await?;
    let to = own_path(form.value("to"));
    match judge(asked, form.value("key").trim()) {
        Ok(by) => enter(asked, by, to),
        Err(problem) => {
            asked.api.told.refused(&problem, asked.slot.from());
            Ok(html::small(problem.status(), login::page(asked.theme, to, Some(&problem.detail()))))
        }
    }
}

/// Who signs in with a key. Wrong keys of one address are refused unread beyond their rate, as those of other requests are.
fn judge(asked: &Asked<'_>, key: &str) -> Result<By, Problem> {
    let hash = hash(key.as_bytes());
    let caller = asked.keys().caller_by(&hash, &HeaderMap::new()).map_err(|problem| match problem {
        Problem::NoKey(_) if !asked.api.guesses.allow(asked.slot.from(), clock::steady()) => Problem::WrongKeys,
        Problem::NoKey(NoKey::Unknown) if asked.api.store.was_revoked(&hash) => Problem::NoKey(NoKey::Revoked),
        other => other,
    })?;
    caller.may(Need::Read, Entrance::Tcp)?;
    info!(key = caller.key.as_deref().map_or("", |key| &*key.id), from = %asked.slot.from(), "somebody signed in to the dashboard");
    Ok(By::Key(hash))
}

/// `GET /login?t=…`. A request for the head alone, as programs make that look at links, does not use the link up.
pub(super) fn by_link(asked: &Asked<'_>) -> Result<Reply, Problem> {
    let query = Query::read(asked.head.uri.query(), &["t"]);
    if asked.head.method == Method::HEAD {
        return Ok(html::small(StatusCode::OK, String::new()));
    }
    let Some(by) = asked.api.sessions.use_link(query.text("t").unwrap_or_default(), clock::boot()) else {
        return no_link(asked);
    };
    info!(from = %asked.slot.from(), "an operator signed in to the dashboard by a link");
    enter(asked, by, "/ui/")
}

fn no_link(asked: &Asked<'_>) -> Result<Reply, Problem> {
    if !asked.api.guesses.allow(asked.slot.from(), clock::steady()) {
        return Err(Problem::WrongKeys);
    }
    let status = StatusCode::GONE;
    let wrong = Wrong { status: status.as_u16(), title: "This link opens nothing", detail: NO_LINK };
    Ok(html::small(status, error::outside(asked.theme, &wrong)))
}

/// Opens a session of its own for each sign-in, and closes the one that the browser had. So nobody knows a session before it is somebody's.
fn enter(asked: &Asked<'_>, by: By, to: &str) -> Result<Reply, Problem> {
    let (cookie, _) = asked.api.sessions.open(by, clock::boot())?;
    if let Some(before) = super::guard::cookie(&asked.head.headers, html::session_cookie(&asked.site)) {
        asked.api.sessions.close(before);
    }
    let mut reply = html::see_other(to);
    html::set_session(&mut reply, &cookie, &asked.site);
    Ok(reply)
}

/// A path of the dashboard to go on to. Anything else leads to the first page.
pub(super) fn own_path(path: &str) -> &str {
    let is_own = path.starts_with("/ui/") && path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let is_sign_in = path.starts_with("/ui/login") || path.starts_with("/ui/logout");
    if is_own && !is_sign_in { path } else { "/ui/" }
}

const NO_LINK: &str =
    "It was used already, or it is older than 15 minutes.\nPrint another on the server: sudo hookwheel login-link";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_goes_on_within_the_dashboard_alone() {
        assert_eq!(own_path("/ui/deliveries?status=failed&in=acme/t1"), "/ui/deliveries?status=failed&in=acme/t1");
        for foreign in ["", "/", "//evil.example", "https://evil.example", "/ui", "/ui/\r\nx: y", "/ui/\\evil", "/ui/login?to=x"]
        {
            assert_eq!(own_path(foreign), "/ui/", "{foreign:?}");
        }
    }
}
