//! What the service says about itself: the description of its API.

use bytes::Bytes;
use http::StatusCode;

use crate::api::response::reply::Reply;
use crate::docs;

/// `GET /openapi.json`: the OpenAPI 3.1 description of the API.
pub(crate) fn openapi() -> Reply {
    Reply::json(StatusCode::OK, Bytes::from_static(docs::OPENAPI.as_bytes()))
}
