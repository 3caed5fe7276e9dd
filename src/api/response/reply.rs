//! A reply: a status, headers, and a body that is whole or begun.

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use serde::Serialize;

use super::answer::{self, Answer, Piece, Rooms, Source};
use super::problem::Problem;
use crate::api::document;
use crate::api::http::leaving::LAST_BYTES;
use crate::budget::PartyShare;

/// What is sent back for a request.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    /// The whole body, or its first piece.
    pub(crate) body: Bytes,
    pub(crate) rest: Rest,
}

/// The room of a reply's body, and the part of the body that follows the first piece.
#[derive(Default)]
pub(crate) struct Rest {
    /// The room that a whole body takes. `None` when the body is small or more follows.
    room: Option<PartyShare>,
    unread: Option<answer::Unread>,
}

impl std::fmt::Debug for Rest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.unread.is_some() { "more follows" } else { "nothing follows" })
    }
}

impl Reply {
    /// A reply with a small body.
    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: Bytes) -> Self {
        Self { status, headers, body, rest: Rest::default() }
    }

    /// A reply whose JSON may be large. It is printed piece by piece, each with room of its own.
    pub(crate) async fn rendered(status: StatusCode, source: impl Source, rooms: Rooms) -> Result<Self, Problem> {
        let Piece { bytes, room, unread } = answer::begin(source, rooms).await?;
        Ok(Self { rest: Rest { room, unread }, ..Self::json(status, bytes) })
    }

    /// A reply of server-sent events, which goes on as long as its source does.
    pub(crate) async fn stream(source: impl Source, rooms: Rooms) -> Result<Self, Problem> {
        let Piece { bytes, room, unread } = answer::begin(source, rooms).await?;
        let headers = [(CONTENT_TYPE, EVENT_STREAM), (CACHE_CONTROL, NO_STORE), (ACCEL_BUFFERING, NO)];
        Ok(Self { rest: Rest { room, unread }, ..Self::new(StatusCode::OK, HeaderMap::from_iter(headers), bytes) })
    }

    /// A reply with JSON that is already printed.
    pub(crate) fn json(status: StatusCode, body: impl Into<Bytes>) -> Self {
        let mut headers = HeaderMap::with_capacity(1);
        headers.insert(CONTENT_TYPE, JSON);
        Self::new(status, headers, body.into())
    }

    /// A whole answer, as its document says.
    pub(crate) fn document(status: StatusCode, document: &impl Serialize) -> Self {
        Self::json(status, document::line(document))
    }

    /// Waits for the room of a whole answer of `bytes`. `None` when it is small and needs none.
    pub(crate) async fn room(bytes: usize, rooms: &Rooms) -> Result<Option<PartyShare>, Problem> {
        if bytes <= answer::FREE_BYTES {
            return Ok(None);
        }
        answer::room(bytes, rooms).await.map(Some)
    }

    /// Takes room for a whole body that has none yet. Returns false when there is none. It is for connections with many requests,
    /// whose answers may be many although each is small.
    pub(crate) fn take_room(&mut self, rooms: &Rooms) -> bool {
        if self.body.len() > LAST_BYTES && self.rest.room.is_none() && self.rest.unread.is_none() {
            self.rest.room = answer::try_room(self.body.len(), rooms);
            return self.rest.room.is_some();
        }
        true
    }

    /// A reply of lines, each one JSON object.
    pub(crate) fn ndjson(status: StatusCode, body: Vec<u8>, room: Option<PartyShare>) -> Self {
        let mut headers = HeaderMap::with_capacity(1);
        headers.insert(CONTENT_TYPE, NDJSON);
        Self { rest: Rest { room, ..Rest::default() }, ..Self::new(status, headers, body.into()) }
    }

    /// The same reply, whose body takes room in memory until it is sent.
    pub(crate) fn with_room(self, room: Option<PartyShare>) -> Self {
        Self { rest: Rest { room, ..Rest::default() }, ..self }
    }

    pub(crate) fn no_content() -> Self {
        Self::new(StatusCode::NO_CONTENT, HeaderMap::new(), Bytes::new())
    }
}

impl From<Reply> for Response<Answer> {
    fn from(reply: Reply) -> Self {
        let Rest { room, unread } = reply.rest;
        let mut response = Response::new(Answer::new(Piece { bytes: reply.body, room, unread }));
        *response.status_mut() = reply.status;
        *response.headers_mut() = reply.headers;
        response
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NDJSON: HeaderValue = HeaderValue::from_static("application/x-ndjson");
const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// Has proxies that know it pass on each piece at once.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const NO: HeaderValue = HeaderValue::from_static("no");
