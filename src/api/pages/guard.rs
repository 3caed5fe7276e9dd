//! Judges where a request comes from, before anything of it is looked at: by which name the browser called, and whether one of our own
//! pages sent the form.

use http::header::{COOKIE, HOST, ORIGIN};
use http::request::Parts;
use http::{HeaderMap, HeaderName};

use crate::config::site::{Host, Site};

/// The host that a request names: in HTTP/2 as its authority, in HTTP/1.1 as its header. `None` when it is none.
pub(super) fn host(head: &Parts) -> Option<Host> {
    let named = head.uri.authority().map(|authority| authority.as_str());
    let named = named.or_else(|| text(&head.headers, &HOST));
    Host::parse(named?).ok()
}

/// Whether a form was sent by a page of this site. A browser says so by `Origin` or `Sec-Fetch-Site`; a request that says neither is
/// none of a browser's forms, and a request that says both must be right in both.
pub(super) fn is_own_form(headers: &HeaderMap, site: &Site) -> bool {
    let origin = headers.get(ORIGIN).map(|origin| origin.to_str().is_ok_and(|origin| is_own_origin(origin, site)));
    let fetched = headers.get(&FETCH_SITE).map(|from| from == "same-origin");
    match (origin, fetched) {
        (None, None) => false,
        (origin, fetched) => origin.unwrap_or(true) && fetched.unwrap_or(true),
    }
}

/// A proxy in front may speak TLS without our knowledge, so the same host over HTTPS is this site too.
fn is_own_origin(origin: &str, site: &Site) -> bool {
    origin == site.to_string() || origin == Site::new(true, site.host().clone()).to_string()
}

/// The value of a cookie. Where a browser sends two of a name, the first one counts.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let all = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = all.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(given, _)| *given == name).map(|(_, value)| value)
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Says whether the page that sent a request is of the same origin (W3C Fetch Metadata).
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(given: &[(HeaderName, &'static str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect()
    }

    fn is_own(given: &[(HeaderName, &'static str)]) -> bool {
        is_own_form(&headers(given), &Site::parse("http://hooks.example.com").unwrap())
    }

    #[test]
    fn only_a_form_of_this_site_is_taken() {
        assert!(is_own(&[(ORIGIN, "http://hooks.example.com")]));
        assert!(is_own(&[(ORIGIN, "https://hooks.example.com")]), "behind a proxy with TLS");
        assert!(is_own(&[(FETCH_SITE, "same-origin")]));
        assert!(is_own(&[(ORIGIN, "http://hooks.example.com"), (FETCH_SITE, "same-origin")]));
        for foreign in
            ["https://evil.example", "null", "", "http://hooks.example.com:81", "http://hooks.example.com.evil.example"]
        {
            assert!(!is_own(&[(ORIGIN, foreign)]), "{foreign}");
            assert!(!is_own(&[(ORIGIN, foreign), (FETCH_SITE, "same-origin")]), "{foreign}");
        }
        for from in ["cross-site", "same-site", "none", ""] {
            assert!(!is_own(&[(FETCH_SITE, from)]), "{from}");
            assert!(!is_own(&[(ORIGIN, "http://hooks.example.com"), (FETCH_SITE, from)]), "{from}");
        }
        assert!(!is_own(&[]), "it is from no browser");
    }

    #[test]
    fn over_tls_a_page_without_it_is_foreign() {
        let site = Site::parse("https://hooks.example.com").unwrap();
        assert!(!is_own_form(&headers(&[(ORIGIN, "http://hooks.example.com")]), &site));
    }

    #[test]
    fn a_cookie_is_found_among_others() {
        let given = headers(&[(COOKIE, "a=1; hookwheel=x=y;hookwheel=z")]);
        assert_eq!(cookie(&given, "hookwheel"), Some("x=y"));
        assert_eq!(cookie(&given, "__Host-hookwheel"), None);
    }
}
