//! Deliveries: the log with its filters, one with all its attempts, retry and end by hand.

use std::borrow::Cow;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;

use super::whole;
use crate::api::document::delivery::{self as document, Reason, Row};
use crate::api::document::members::Members;
use crate::api::request::auth::Rank;
use crate::api::request::context::{self, Context};
use crate::api::request::cursor;
use crate::api::request::params::Query;
use crate::api::request::whose::Whose;
use crate::api::response::page::{Frame, Listed, Rows, documents, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::told;
use crate::domain::delivery::outcome::{Failure, Response};
use crate::domain::delivery::{End, QueuePosition, State, Trigger};
use crate::domain::dialect::Dialect;
use crate::domain::headers::Headers;
use crate::domain::id::Node;
use crate::domain::resource::Resource;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Endpoint, WebhookState};
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::target::{OPENED_BY, REFUSED};
use crate::store::{self, Attempt, Filter, Of, Owned, Status, Store, View};

/// `GET /v1/deliveries`: of all webhooks of the tenant, newest first.
pub(crate) async fn list(context: &Context<'_>) -> Result<Reply, Problem> {
    let owned = context.caller.owned()?;
    list_of(context, context.dialect(), Of::Tenant(owned.clone()), &owned).await
}

/// `GET /v1/webhooks/{id}/deliveries`, newest first.
pub(crate) async fn list_of_webhook(context: &Context<'_>) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    list_of(context, &context.dialect_of(&endpoint), Of::Webhook(endpoint.no), &owned(&endpoint)).await
}

/// `GET /v1/deliveries/{id}`: with every attempt that is kept.
pub(crate) async fn show(context: &Context<'_>) -> Result<Reply, Problem> {
    let view = found(context).await?;
    whole::one(context, &context.dialect_of(&view.endpoint), view.delivery.key).await
}

/// `POST /v1/deliveries/{id}/retry`
pub(crate) async fn retry(context: &Context<'_>) -> Result<Reply, Problem> {
    let view = found(context).await?;
    let key = view.delivery.key;
    context.api.store.retry(key).await.map_err(|denied| context.denied(&view.endpoint, denied))?;
    let view = context.api.store.delivery_by_key(key).await?.ok_or(Problem::NotFound(Resource::Delivery))?;
    let node = context.api.store.node();
    Ok(context::document(StatusCode::OK, &context.dialect_of(&view.endpoint), &row(node, &view)))
}

/// `DELETE /v1/deliveries/{id}`: one that waits ends as failed, for the reason `cancelled`. It stays in the log, and an attempt
/// under way may still succeed.
pub(crate) async fn cancel(context: &Context<'_>) -> Result<Reply, Problem> {
    let view = found(context).await?;
    context.api.store.cancel(view.delivery.key).await.map_err(|denied| context.denied(&view.endpoint, denied))?;
    told::cancelled(&context.caller, context.id);
    Ok(Reply::no_content())
}

/// The delivery that the path names, if the caller sees its webhook.
async fn found(context: &Context<'_>) -> Result<View, Problem> {
    let view = context.api.store.delivery(context.id).await?.filter(|view| context.caller.sees(&view.endpoint));
    view.ok_or(Problem::NotFound(Resource::Delivery))
}

async fn list_of(context: &Context<'_>, dialect: &Dialect, of: Of, owned: &Owned) -> Result<Reply, Problem> {
    let (store, node) = (&context.api.store, context.api.store.node());
    let mut query = context.query(PARAMETERS);
    let (limit, before) = (query.limit(), cursor::from_query(&mut query));
    let mut filter = filter(&mut query, store.now());
    let event = query.id("event");
    query.finish()?;
    if let Some(id) = event {
        let Some(event) = store.event_by_id(owned, &id).await? else {
            return page(context, Frame::new(dialect), lines(node, store::Page::default(), row)).await;
        };
        filter.event = Some(event.key);
    }
    let found = store.deliveries(of, filter, before, limit).await?;
    page(context, Frame::new(dialect), lines(node, found, row)).await
}

/// `GET /v1/admin/deliveries`: of all tenants that the caller may see, newest first, each with its provider and tenant and its last result; `?tenant=`
/// those of one or of a provider, `?webhook=` those of a webhook.
pub(crate) async fn list_all(context: &Context<'_>) -> Result<Reply, Problem> {
    let (store, node) = (&context.api.store, context.api.store.node());
    let mut query = context.query(&[PARAMETERS, &["tenant", "webhook"]].concat());
    let (limit, before) = (query.limit(), cursor::from_query(&mut query));
    let (filter, whose) = (filter(&mut query, store.now()), Whose::from_query(&mut query));
    let [event, webhook] = ["event", "webhook"].map(|name| query.id(name));
    query.finish()?;
    let whose = whose.check(context)?;
    let is_theirs = |endpoint: &Arc<Endpoint>| whose.holds(&endpoint.provider, &endpoint.tenant);
    let known = |id: String| store.webhook(&id).filter(is_theirs).ok_or(Problem::NotFound(Resource::Webhook));
    let webhook = webhook.map(known).transpose()?.map(|endpoint| Of::Webhook(endpoint.no));
    let tenants = whose.tenants(store).await?;
    let found = match with_event(store, &tenants, filter, event).await? {
        Some(filter) => store.deliveries(webhook.unwrap_or(Of::Tenants(tenants)), filter, before, limit).await?,
        None => store::Page::default(),
    };
    page(context, Frame::default(), lines(node, found, row_with_owner)).await
}

/// A filter for an event that one of the tenants has; `None` when none of them has it.
async fn with_event(
    store: &Store,
    tenants: &Arc<[Owned]>,
    filter: Filter,
    id: Option<String>,
) -> Result<Option<Filter>, store::Error> {
    let Some(id) = id else { return Ok(Some(filter)) };
    let found = store.event_of_any(tenants.clone(), id).await?;
    Ok(found.map(|event| Filter { event: Some(event.key), ..filter }))
}

/// A row of a list over tenants.
fn row_with_owner(node: Node, view: &View) -> Row {
    let Endpoint { provider, tenant, .. } = &*view.endpoint;
    Row { owner: Some(document::Owner { provider: provider.to_string(), tenant: tenant.to_string() }), ..row(node, view) }
}

/// The deliveries of a page.
fn lines(node: Node, found: store::Page, row: fn(Node, &View) -> Row) -> impl Rows {
    Listed::found(
        found.views,
        found.next.as_ref().map(cursor::encode),
        |view| cursor::encode(&view.delivery.key),
        documents(move |view| Ok(row(node, view))),
    )
}

/// All filters but `event`, which needs the store.
fn filter(query: &mut Query, now: Timestamp) -> Filter {
    let (since, until) = query.window(now);
    Filter {
        status: query.read_with("status", "is none of pending, succeeded, failed, held", Status::parse),
        kind: query.read_with("type", "is neither an event type's name, nor prefix.*, nor *", |text| Pattern::parse(text).ok()),
        code: query.read_with("code", "is no HTTP status", |text| text.parse().ok().filter(|code| (100..600).contains(code))),
        since,
        until,
        event: None,
        test: query.boolean("test"),
    }
}

/// A row of a tenant's list.
fn row(node: Node, view: &View) -> Row {
    Row {
        delivery: document(node, view),
        attempts: view.delivery.attempts,
        last_code: view.delivery.code,
        last_error: view.error.map(|class| class.name().into()),
        owner: None,
    }
}

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

/// An attempt, as someone of this rank sees it.
pub(in crate::api) fn attempt(attempt: &Attempt, rank: Rank) -> document::Attempt {
    let failure = attempt.outcome.result.as_ref().err();
    document::Attempt {
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
fn reason(view: &View) -> Option<Reason> {
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
fn next_attempt_at(view: &View) -> Option<Timestamp> {
    match (view.status, view.delivery.state) {
        (Status::Pending, State::Pending(QueuePosition::Due(at))) => Some(at),
        _ => None,
    }
}

fn owned(endpoint: &Endpoint) -> Owned {
    Owned { provider: endpoint.provider.clone(), tenant: endpoint.tenant.clone() }
}

fn trigger(trigger: Trigger) -> &'static str {
    match trigger {
        Trigger::Schedule => "schedule",
        Trigger::Manual => "manual",
        Trigger::Test => "test",
    }
}

const PARAMETERS: &[&str] = &["limit", "cursor", "status", "type", "code", "since", "until", "event", "test"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::DeliveryKey;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    #[test]
    fn filters_are_typed() {
        let mut query = Query::read(Some("status=held&type=a.*&code=503&since=10m&test=false"), PARAMETERS);
        let filter = filter(&mut query, NOW);
        assert!(query.finish().is_ok());
        assert_eq!(filter.status, Some(Status::Held));
        assert_eq!(
            (filter.kind.map(|kind| kind.to_string()).as_deref(), filter.code, filter.test),
            (Some("a.*"), Some(503), Some(false))
        );
        assert_eq!((filter.since, filter.until), (Some(Timestamp::from_secs(400)), None));
    }

    #[test]
    fn a_filter_that_says_nothing_is_refused() {
        for bad in [
            "status=ok",
            "status=",
            "code=99",
            "code=abc",
            "since=yesterday",
            "since=30",
            "since=10m&until=1h",
            "since=2026-03-01T00:00:00Z&until=2026-02-01T00:00:00Z",
            "test=1",
            "type=b*",
            "type=",
            "event=",
            "event=a.b",
            "stats=failed",
            "cursor=abc",
        ] {
            let mut query = Query::read(Some(bad), PARAMETERS);
            let _ = (filter(&mut query, NOW), query.id("event"), cursor::from_query::<DeliveryKey>(&mut query));
            assert!(query.finish().is_err(), "{bad}");
        }
    }

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
