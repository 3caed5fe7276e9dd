//! Replies to a browser: pages, files, and the way to another page, with the headers that keep them safe.

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::api::response::answer::Rooms;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::config::site::Site;
use crate::domain::resource::Resource;
use crate::ui::asset;
use crate::ui::error::{self, Wrong};
use crate::ui::frame::{Theme, Viewer};
use crate::ui::href::Links;

use super::session::SESSION_LASTS;

/// A page. It waits for the room that it takes in memory until it is sent.
pub(super) async fn page(html: String, rooms: &Rooms) -> Result<Reply, Problem> {
    let room = Reply::room(html.len(), rooms).await?;
    Ok(small(StatusCode::OK, html).with_room(room))
}

/// A page that is small.
pub(super) fn small(status: StatusCode, html: String) -> Reply {
    Reply::new(status, headers(), html.into())
}

/// The page of a problem, for anybody.
pub(super) fn outside(theme: Theme, problem: &Problem) -> Reply {
    told(problem, |wrong| error::outside(theme, wrong))
}

/// The page of a problem, for somebody who is signed in.
pub(super) fn within(viewer: &Viewer<'_>, problem: &Problem) -> Reply {
    told(problem, |wrong| error::within(viewer, wrong))
}

fn told(problem: &Problem, page: impl FnOnce(&Wrong<'_>) -> String) -> Reply {
    let (status, detail) = (problem.status(), problem.detail());
    let title = title(problem, status);
    small(status, page(&Wrong { status: status.as_u16(), title: &title, detail: &detail }))
}

/// What happened, in a few words.
fn title(problem: &Problem, status: StatusCode) -> String {
    match (problem, status.as_u16()) {
        (Problem::NotFound(Resource::Path), _) => "No such page".into(),
        (Problem::NotFound(what), _) => format!("No such {}", what.name().replace('_', " ")),
        (_, 403) => "Not allowed".into(),
        (_, 409) => "Not in this state".into(),
        (_, 422) => "Problem: what was asked for cannot be taken".into(),
        (_, 429) => "Too often".into(),
        _ => status.canonical_reason().unwrap_or("Problem").into(),
    }
}

/// The page for a browser that called the service by a name that nobody knows.
pub(super) fn unknown_host(theme: Theme) -> Reply {
    let status = StatusCode::MISDIRECTED_REQUEST;
    let wrong = Wrong { status: status.as_u16(), title: "This is not a name of the dashboard", detail: UNKNOWN_HOST };
    small(status, error::outside(theme, &wrong))
}

const UNKNOWN_HOST: &str = "The dashboard answers to loopback, and to the names that the config file gives it.\n\
     Set `public_url = \"https://…\"` in [server], or add the name to `hosts`, and run `hookwheel reload`.";

/// The path of the page of one thing.
pub(super) fn path(folder: &str, id: &str) -> String {
    Links::default().to_one(folder, id)
}

/// The way to another page.
pub(super) fn see_other(path: &str) -> Reply {
    let mut headers = headers();
    headers.remove(CONTENT_TYPE);
    headers.insert(LOCATION, HeaderValue::from_str(path).unwrap_or(FIRST_PAGE));
    Reply::new(StatusCode::SEE_OTHER, headers, Bytes::new())
}

const FIRST_PAGE: HeaderValue = HeaderValue::from_static("/ui/");

/// A file that pages load. A browser keeps it, since another content has another name.
pub(super) fn asset(name: &str) -> Result<Reply, Problem> {
    let asset = asset::find(name).ok_or(Problem::NotFound(Resource::Path))?;
    let headers = [
        (CONTENT_TYPE, asset.content_type),
        (CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (RESOURCE_POLICY, "same-origin"),
    ];
    Ok(Reply::new(StatusCode::OK, fixed(&headers), Bytes::from_static(asset.text.as_bytes())))
}

/// Gives the browser its session.
pub(super) fn set_session(reply: &mut Reply, cookie: &str, site: &Site) {
    set(reply, session_cookie(site), cookie, SESSION_LASTS.as_secs(), site);
}

/// Takes the session from the browser.
pub(super) fn unset_session(reply: &mut Reply, site: &Site) {
    set(reply, session_cookie(site), "", 0, site);
}

pub(super) fn set_theme(reply: &mut Reply, theme: Theme, site: &Site) {
    set(reply, THEME_COOKIE, theme.name(), YEAR_SECS, site);
}

fn set(reply: &mut Reply, name: &str, value: &str, secs: u64, site: &Site) {
    let secure = if site.is_https() { "; Secure" } else { "" };
    let cookie = format!("{name}={value}; Path=/; Max-Age={secs}; HttpOnly; SameSite=Lax{secure}");
    let cookie = HeaderValue::try_from(cookie).expect("names and values of cookies here are of letters, digits, `-` and `_`");
    reply.headers.append(SET_COOKIE, cookie);
}

/// The name of the cookie that holds the session. With `__Host-` a browser takes it over HTTPS alone, and from no other host.
pub(super) fn session_cookie(site: &Site) -> &'static str {
    if site.is_https() { "__Host-hookwheel" } else { "hookwheel" }
}

fn headers() -> HeaderMap {
    fixed(&[
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // With `no-referrer` a browser would send the forms of the page with `Origin: null`.
        (REFERRER_POLICY, "same-origin"),
        (OPENER_POLICY, "same-origin"),
        (RESOURCE_POLICY, "same-origin"),
        (CACHE_CONTROL, "no-store"),
    ])
}

fn fixed(headers: &[(HeaderName, &'static str)]) -> HeaderMap {
    headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
}

/// What a browser may load for a page, and where its forms go: our own files and pages, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      frame-ancestors 'none'; base-uri 'none'; form-action 'self'";

const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// The cookie that holds the colours that a viewer wants.
pub(super) const THEME_COOKIE: &str = "hookwheel-theme";

const YEAR_SECS: u64 = 365 * 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(url: &str) -> String {
        let mut reply = see_other("/ui/");
        set_session(&mut reply, "abc", &Site::parse(url).unwrap());
        reply.headers[SET_COOKIE].to_str().unwrap().to_owned()
    }

    #[test]
    fn a_session_is_for_this_host_and_no_script() {
        let over_tls = cookie("https://a.example");
        assert_eq!(over_tls, "__Host-hookwheel=abc; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax; Secure");
        assert_eq!(cookie("http://localhost:8080"), "hookwheel=abc; Path=/; Max-Age=43200; HttpOnly; SameSite=Lax");
    }

    #[test]
    fn a_page_may_load_nothing_inline_and_stand_in_no_frame() {
        let page = small(StatusCode::OK, String::new());
        let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'") && policy.contains("frame-ancestors 'none'"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*') && !policy.contains("data:"), "{policy}");
        assert_eq!(page.headers[CACHE_CONTROL], "no-store");
    }

    #[test]
    fn a_file_may_be_kept_for_ever_and_has_no_other_name() {
        let kept = asset(&asset::STYLE.name).unwrap();
        assert!(kept.headers[CACHE_CONTROL].to_str().unwrap().contains("immutable"));
        assert!(asset("../login").is_err() && asset("hookwheel.css").is_err());
    }
}
