//! Deliveries by themselves: each with its event's body, once, and every attempt, read as many at a time as there is room for.

use http::StatusCode;

use super::shown::{attempt as attempt_of, body as body_of, document as document_of};
use crate::api::document;
use crate::api::request::auth::Rank;
use crate::api::request::context::Context;
use crate::api::response::answer::{Next, PIECE_BYTES, Source};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::dialect::Dialect;
use crate::domain::id::{DeliveryKey, EventKey};
use crate::domain::json::quote;
use crate::domain::resource::Resource;
use crate::store::{Fit, Space, Store};

/// One delivery, under the dialect's `wrap`.
pub(crate) async fn one(context: &Context<'_>, dialect: &Dialect, key: DeliveryKey) -> Result<Reply, Problem> {
    let wrap = &*dialect.api.wrap;
    if wrap.is_empty() {
        return answer(context, vec![key], Vec::new(), b"").await;
    }
    let mut before = vec![b'{'];
    quote(wrap, &mut before);
    before.push(b':');
    answer(context, vec![key], before, b"}").await
}

/// Several, as `{"data": […]}`.
pub(crate) async fn all(context: &Context<'_>, keys: Vec<DeliveryKey>) -> Result<Reply, Problem> {
    answer(context, keys, b"{\"data\":[".to_vec(), b"]}").await
}

async fn answer(context: &Context<'_>, keys: Vec<DeliveryKey>, before: Vec<u8>, after: &'static [u8]) -> Result<Reply, Problem> {
    let store = context.api.store.clone();
    let wholes = Wholes { store, rank: context.caller.rank, keys, before, after, at: At::Begin };
    Reply::rendered(StatusCode::OK, wholes, context.rooms()).await
}

/// The deliveries, and how far they are printed.
struct Wholes {
    store: Store,
    /// Who asks.
    rank: Rank,
    keys: Vec<DeliveryKey>,
    before: Vec<u8>,
    after: &'static [u8],
    at: At,
}

#[derive(Clone, Copy, Debug)]
enum At {
    Begin,
    /// The next is the delivery with this index.
    Delivery(usize),
    /// Its event's body; it has so many attempts.
    Body(usize, EventKey, u16),
    /// The attempt with this number, and whether it is the first that is printed.
    Attempt {
        index: usize,
        number: u16,
        last: u16,
        first: bool,
    },
    End,
}

/// What one step did.
enum Step {
    Printed(At),
    Needs(usize),
}

impl Source for Wholes {
    async fn next(&mut self, room: usize) -> Result<Next, Problem> {
        let mut bytes = Vec::new();
        let mut printed = false;
        while !matches!(self.at, At::End) && bytes.len() < FILLED_BYTES {
            match self.step(room.saturating_sub(bytes.len()), &mut bytes).await? {
                Step::Printed(at) => (self.at, printed) = (at, true),
                Step::Needs(more) if !printed => return Ok(Next::Needs(more)),
                Step::Needs(_) => break,
            }
        }
        Ok(Next::Piece { bytes, last: matches!(self.at, At::End) })
    }
}

impl Wholes {
    async fn step(&self, room: usize, into: &mut Vec<u8>) -> Result<Step, Problem> {
        match self.at {
            At::Begin => {
                into.extend_from_slice(&self.before);
                Ok(Step::Printed(At::Delivery(0)))
            }
            At::Delivery(index) => self.delivery(index, into).await,
            At::Body(index, event, last) => self.body((index, event, last), room, into).await,
            At::Attempt { index, number, last, first } if number <= last => {
                self.attempts((index, number, last, first), room, into).await
            }
            At::Attempt { index, .. } => {
                into.extend_from_slice(b"]}");
                Ok(Step::Printed(At::Delivery(index + 1)))
            }
            At::End => Ok(Step::Printed(At::End)),
        }
    }

    async fn delivery(&self, index: usize, into: &mut Vec<u8>) -> Result<Step, Problem> {
        let Some(key) = self.keys.get(index) else {
            into.extend_from_slice(self.after);
            return Ok(Step::Printed(At::End));
        };
        let view = self.store.delivery_by_key(*key).await?.ok_or(Problem::NotFound(Resource::Delivery))?;
        if index > 0 {
            into.push(b',');
        }
        document::open(&document_of(self.store.node(), &view), into);
        Ok(Step::Printed(At::Body(index, key.event, view.delivery.attempts)))
    }

    async fn body(&self, (index, event, last): (usize, EventKey, u16), room: usize, into: &mut Vec<u8>) -> Result<Step, Problem> {
        let event = match self.store.events(vec![event], space(room)).await? {
            Fit::Needs(bytes) => return Ok(Step::Needs(bytes)),
            Fit::Fits(mut found) => found.pop().flatten().map(|event| event.content.body()),
        };
        document::member("request", &event.as_deref().map(body_of), into);
        into.extend_from_slice(b",\"attempts\":[");
        Ok(Step::Printed(At::Attempt { index, number: 1, last, first: true }))
    }

    /// Prints as many attempts as there is room for.
    async fn attempts(
        &self,
        (index, number, last, mut first): (usize, u16, u16, bool),
        room: usize,
        into: &mut Vec<u8>,
    ) -> Result<Step, Problem> {
        let found = match self.store.attempts(self.keys[index], number..=last, space(room)).await? {
            Fit::Needs(bytes) => return Ok(Step::Needs(bytes)),
            Fit::Fits(found) => found,
        };
        let read = u16::try_from(found.len()).unwrap_or(u16::MAX);
        for attempt in found.into_iter().flatten() {
            if !std::mem::replace(&mut first, false) {
                into.push(b',');
            }
            let id = self.store.node().attempt_id(attempt.key(self.keys[index]));
            document::write(&attempt_of(id, &attempt, self.rank), into);
        }
        Ok(Step::Printed(At::Attempt { index, number: number.saturating_add(read), last, first }))
    }
}

/// Of a byte, a string of JSON makes up to six.
pub(super) fn space(room: usize) -> Space {
    Space { room, printed: 6 }
}

/// A piece is sent when it has grown so long.
const FILLED_BYTES: usize = PIECE_BYTES * 3 / 4;
