//! The page of a delivery: its attempts, of which one is shown whole.

use std::collections::VecDeque;

use super::deliveries::{called, mark, planned};
use super::visit::Visit;
use crate::api::document::delivery as document;
use crate::api::request::auth::Rank;
use crate::api::request::context::Context;
use crate::api::request::route::Need;
use crate::api::resources::deliveries::{self as log, attempt_shown, body_shown, next_attempt_at, reason};
use crate::api::response::answer::{self, Rooms};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::event::Event;
use crate::domain::id::{DeliveryKey, EventKey};
use crate::domain::time::Timestamp;
use crate::store::{self, Fit, Space, Store, View};
use crate::ui::delivery::{Attempt, Brief, Delivery, Response, show as shown};
use crate::ui::frame::Viewer;
use crate::ui::part::Answer;

/// `GET /ui/deliveries/{id}`
pub(super) async fn show(visit: &Visit<'_>, viewer: &Viewer<'_>, context: &Context<'_>) -> Result<Reply, Problem> {
    let view = log::found(context).await?;
    let (rooms, store) = (context.rooms(), &context.api.store);
    let wanted = visit.parameters.attempt.filter(|number| (1..=view.delivery.attempts).contains(number));
    let attempts = attempts(store, &rooms, view.delivery.key, (view.delivery.attempts, wanted, context.caller.rank)).await?;
    let event = event(store, &rooms, view.delivery.key.event).await?;
    let body = event.as_ref().map(|event| event.content.body());
    let body = body.as_ref().map(|body| body_shown(body));
    let name = called(&view.endpoint);
    let id = store.node().delivery_id(view.delivery.key);
    let reason = reason(&view);
    let page = Delivery {
        attempts: (view.delivery.attempts, planned(&view, &context.dialect_of(&view.endpoint))),
        listed: attempts.listed.iter().map(Listed::brief).collect(),
        shown: attempts.shown.as_ref().map(|shown| whole(shown)),
        request_body: body.as_ref().map(|body| (&*body.body, body.encoding.as_deref())),
        was_retried: visit.parameters.done.as_deref() == Some("retry"),
        may_retry: context.caller.may(Need::Manage, context.way.entrance).is_ok(),
        reason: reason.as_ref().map(document::Reason::name),
        ..delivery(&view, &id, &name, store.now())
    };
    visit.page_of(context, shown(viewer, &page)).await
}

/// What the page shows besides attempts and body.
fn delivery<'a>(view: &'a View, id: &'a str, name: &'a str, now: Timestamp) -> Delivery<'a> {
    Delivery {
        id,
        event_id: &view.event_id,
        kind: &view.kind,
        mark: mark(view.status),
        reason: None,
        is_test: view.delivery.is_test(),
        webhook: name,
        webhook_id: &view.endpoint.id,
        url: view.url(),
        provider: &view.endpoint.provider,
        tenant: &view.endpoint.tenant,
        created_at: view.delivery.key.event.time(),
        next_attempt_at: next_attempt_at(view),
        attempts: (0, 0),
        listed: Vec::new(),
        shown: None,
        request_body: None,
        was_retried: false,
        may_retry: false,
        now,
    }
}

/// The newest attempts, and the one that is shown whole.
#[derive(Default)]
struct Attempts {
    listed: VecDeque<Listed>,
    shown: Option<document::Attempt>,
}

/// An attempt without what it sent and got.
struct Listed {
    number: u16,
    code: Option<u16>,
    error: Option<String>,
    started_at: Timestamp,
    milliseconds: u64,
    trigger: String,
}

impl Listed {
    fn new(attempt: &document::Attempt) -> Self {
        Self {
            number: attempt.number,
            code: attempt.response.as_ref().map(|response| response.status),
            error: attempt.error.clone(),
            started_at: attempt.started_at.0,
            milliseconds: attempt.duration_ms,
            trigger: attempt.trigger.clone(),
        }
    }

    fn brief(&self) -> Brief<'_> {
        Brief {
            number: self.number,
            answer: Answer::new(self.code, self.error.as_deref()),
            started_at: self.started_at,
            milliseconds: self.milliseconds,
            trigger: &self.trigger,
        }
    }
}

/// Reads the newest attempts of a delivery, as many at a time as there is room for. Of all but the shown one, which is the `wanted` one or
/// else the newest, only what the list shows is kept.
async fn attempts(
    store: &Store,
    rooms: &Rooms,
    key: DeliveryKey,
    (last, wanted, rank): (u16, Option<u16>, Rank),
) -> Result<Attempts, Problem> {
    let (mut all, whole) = (Attempts::default(), wanted.unwrap_or(last));
    let mut number = last.saturating_sub(ATTEMPTS_LISTED - 1).max(1).min(whole.max(1));
    let (mut room, mut held) = (READ_BYTES, answer::room(READ_BYTES, rooms).await?);
    while number <= last {
        match store.attempts(key, number..=last, Space { room, printed: PRINTED }).await? {
            Fit::Needs(bytes) => {
                drop(held);
                (room, held) = (bytes, answer::room(bytes, rooms).await?);
            }
            Fit::Fits(found) => {
                number = number.saturating_add(u16::try_from(found.len()).unwrap_or(u16::MAX).max(1));
                let found = found.into_iter().flatten().map(|attempt| of(store, key, &attempt, rank));
                found.for_each(|attempt| all.take(attempt, whole));
            }
        }
    }
    drop(held);
    Ok(all)
}

impl Attempts {
    fn take(&mut self, attempt: document::Attempt, whole: u16) {
        self.listed.push_back(Listed::new(&attempt));
        if self.listed.len() > usize::from(ATTEMPTS_LISTED) {
            self.listed.pop_front();
        }
        if attempt.number == whole {
            self.shown = Some(attempt);
        }
    }
}

fn of(store: &Store, key: DeliveryKey, attempt: &store::Attempt, rank: Rank) -> document::Attempt {
    attempt_shown(store.node().attempt_id(attempt.key(key)), attempt, rank)
}

fn whole(attempt: &document::Attempt) -> Attempt<'_> {
    let response = attempt.response.as_ref().map(|response| Response {
        status: response.status,
        headers: pairs(&response.headers),
        body: &response.body,
        encoding: response.encoding.as_deref(),
        is_truncated: response.truncated,
        body_error: response.body_error.as_deref(),
    });
    let answer = Answer::new(attempt.response.as_ref().map(|response| response.status), attempt.error.as_deref());
    let brief = Brief {
        number: attempt.number,
        answer,
        started_at: attempt.started_at.0,
        milliseconds: attempt.duration_ms,
        trigger: &attempt.trigger,
    };
    let request_headers = pairs(&attempt.request.headers);
    Attempt { brief, detail: attempt.detail.as_deref(), url: &attempt.request.url, request_headers, response }
}

fn pairs(headers: &document::Headers) -> Vec<(&str, &str)> {
    headers.0.iter().map(|(name, value)| (&**name, &**value)).collect()
}

/// The event of a delivery. `None` once it is gone.
pub(super) async fn event(store: &Store, rooms: &Rooms, key: EventKey) -> Result<Option<Event>, Problem> {
    let mut room = READ_BYTES;
    loop {
        let _held = answer::room(room, rooms).await?;
        match store.events(vec![key], Space { room, printed: PRINTED }).await? {
            Fit::Needs(bytes) => room = bytes,
            Fit::Fits(mut found) => return Ok(found.pop().flatten()),
        }
    }
}

/// How many attempts the list holds. Those before are in the answer of the API.
const ATTEMPTS_LISTED: u16 = 50;

/// The room to read attempts into, unless one of them needs more.
const READ_BYTES: usize = 256 << 10;

/// A row is read, and made into text.
const PRINTED: usize = 2;
