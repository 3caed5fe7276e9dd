//! What the service says about itself: the description of its API, and the pages of its documentation. Open to everybody, since it says
//! nothing of this service that its binary does not.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::docs::{self, html};
use crate::domain::resource::Resource;

/// `GET /openapi.json`: the OpenAPI 3.1 description of the API.
pub(crate) fn openapi() -> Reply {
    Reply::json(StatusCode::OK, Bytes::from_static(docs::OPENAPI.as_bytes()))
}

/// `GET /docs` and what stands below it: a page as HTML, or the style sheet of all pages.
pub(crate) fn page(path: &str) -> Result<Reply, Problem> {
    if path == STYLE {
        return Ok(shown(CSS, Bytes::from_static(html::STYLE.as_bytes())));
    }
    let page = docs::page(path).ok_or(Problem::NotFound(Resource::Path))?;
    Ok(shown(HTML, html::html(&page).into()))
}

fn shown(content_type: &'static str, body: Bytes) -> Reply {
    let headers: [(HeaderName, &'static str); 5] = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, html::POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "max-age=60"),
    ];
    let headers: HeaderMap = headers.into_iter().map(|(name, value)| (name, HeaderValue::from_static(value))).collect();
    Reply::new(StatusCode::OK, headers, body)
}

const STYLE: &str = "style.css";
const CSS: &str = "text/css; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
