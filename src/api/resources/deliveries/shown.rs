//! What is shown of a delivery and of its attempts.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::api::document::delivery::{self as document, Reason};
use crate::api::document::members::Members;
use crate::api::request::auth::Rank;
use crate::domain::delivery::outcome::{Failure, Response};
use crate::domain::delivery::{End, QueuePosition, State, Trigger};
use crate::domain::headers::Headers;
use crate::domain::id::Node;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::WebhookState;
use crate::domain::webhook::target::{OPENED_BY, REFUSED};
use crate::store::{Attempt, Status, View};

/// All of a delivery but what its attempts sent and got.
pub(in crate::api) fn document(node: Node, view: &View) -> document::Delivery {
    let delivery = &view.delivery;
    document::Delivery {
        id: node.delivery_id(delivery.key),
        event_id: view.event_id.to_string(),
        event_type: view.kind.to_string(),
        webhook_id: view.endpoint.id.to_string(),
        url: view.url().into(),
        status: view.status,
        reason: reason(view),
        test: delivery.is_test(),
        created_at: delivery.key.event.time().into(),
        succeeded_at: delivery.succeeded_at.map(Into::into),
        next_attempt_at: next_attempt_at(view).map(Into::into),
    }
}

/// An attempt with this id, as someone of this rank sees it.
pub(in crate::api) fn attempt(id: String, attempt: &Attempt, rank: Rank) -> document::Attempt {
    let failure = attempt.outcome.result.as_ref().err();
    document::Attempt {
        id,
        number: attempt.number,
        trigger: trigger(attempt.trigger).into(),
        started_at: attempt.started_at.into(),
        duration_ms: u64::try_from(attempt.outcome.duration.as_millis()).unwrap_or(u64::MAX),
        error: attempt.error.map(|class| class.name().into()),
        detail: failure.map(|failure| detail(failure, rank).into_owned()),
        request: document::Request { url: attempt.url.to_string(), headers: headers(&attempt.request_headers) },
        response: attempt.outcome.result.as_ref().ok().map(response),
    }
}

/// An operator is told what opens a refused address; others cannot do it.
fn detail(failure: &Failure, rank: Rank) -> Cow<'_, str> {
    match &*failure.detail {
        REFUSED if rank == Rank::Operator => Cow::Owned(format!("{REFUSED}; {OPENED_BY}")),
        detail => Cow::Borrowed(detail),
    }
}

fn response(response: &Response) -> document::Response {
    let (body, encoding) = readable(&response.body);
    document::Response {
        status: response.status,
        headers: headers(&response.headers),
        body: body.into_owned(),
        encoding: encoding.map(Into::into),
        truncated: response.truncated,
        body_error: response.body_error.as_deref().map(Into::into),
    }
}

/// One member a name, the values of one that came more than once behind each other, as RFC 9110 section 5.3 joins them.
fn headers(headers: &Headers) -> document::Headers {
    let mut joined: Vec<(String, String)> = Vec::new();
    for (name, value) in headers.iter() {
        match joined.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, values)) => values.extend([", ", value]),
            None => joined.push((name.into(), value.into())),
        }
    }
    Members(joined)
}

/// A body as text; what is not UTF-8 in base64, and the name of that encoding.
fn readable(body: &[u8]) -> (Cow<'_, str>, Option<&'static str>) {
    match str::from_utf8(body) {
        Ok(text) => (Cow::Borrowed(text), None),
        Err(_) => (Cow::Owned(STANDARD.encode(body)), Some("base64")),
    }
}

/// The body that every attempt of a delivery sends.
pub(in crate::api) fn body(body: &[u8]) -> document::Body<'_> {
    let (body, encoding) = readable(body);
    document::Body { body, encoding: encoding.map(Into::into) }
}

/// Why it failed for good, or why it is held.
pub(in crate::api) fn reason(view: &View) -> Option<Reason> {
    match (view.delivery.state, view.endpoint.state) {
        (State::Failed { end, .. }, _) => Some(Reason::Ended(end)),
        (State::Pending(_), _) if view.status != Status::Held => None,
        (State::Pending(_), WebhookState::Disabled { .. }) => Some(Reason::WebhookDisabled),
        (State::Pending(_), WebhookState::Removed { .. }) => Some(Reason::WebhookRemoved),
        (State::Pending(_), WebhookState::Deleted { .. }) => Some(Reason::Ended(End::WebhookDeleted)),
        (State::Pending(_), WebhookState::Active) | (State::Succeeded { .. }, _) => None,
    }
}

/// A held delivery has no next attempt, and one in its endpoint's queue no time for it.
pub(in crate::api) fn next_attempt_at(view: &View) -> Option<Timestamp> {
    match (view.status, view.delivery.state) {
        (Status::Pending, State::Pending(QueuePosition::Due(at))) => Some(at),
        _ => None,
    }
}

fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Schedule => "schedule",
        Trigger::Manual => "manual",
        Trigger::Test => "test",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_shown_as_base64() {
        let printed = |bytes: &[u8]| serde_json::to_string(&body(bytes)).unwrap();
        assert_eq!(printed(b"\x1b[31m<script>"), r#"{"body":"\u001b[31m<script>"}"#);
        assert_eq!(printed(b"\xff\x00"), r#"{"body":"/wA=","encoding":"base64"}"#);
    }

    #[test]
    fn a_header_that_came_twice_is_one_member() {
        let twice = [("A", "1"), ("b", "2"), ("a", "3")].into_iter().collect();
        let once = headers(&twice).0;
        assert_eq!(once, [("A", "1, 3"), ("b", "2")].map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
}
