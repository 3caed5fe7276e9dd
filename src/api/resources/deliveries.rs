//! Deliveries: the log with its filters, one with all its attempts, retry and end by hand.

pub(in crate::api) mod attempts;
pub(in crate::api) mod replays;
mod shown;
pub(in crate::api) mod stream;
pub(in crate::api) mod whole;

pub(in crate::api) use shown::{attempt as attempt_shown, body as body_shown, next_attempt_at, reason};

use std::sync::Arc;

use http::StatusCode;

use crate::api::document::delivery::{Owner, Row};
use crate::api::request::context::{self, Context};
use crate::api::request::cursor;
use crate::api::request::params::Query;
use crate::api::request::whose::Whose;
use crate::api::response::page::{Frame, Listed, Rows, documents, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::told;
use crate::domain::dialect::Dialect;
use crate::domain::id::{DeliveryKey, Node};
use crate::domain::resource::Resource;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::pattern::Pattern;
use crate::store::{self, Filter, Of, Owned, Status, Store, View};

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
    context.commands().retry(key).await.map_err(|denied| context.denied(&view.endpoint, denied))?;
    let view = context.api.store.delivery_by_key(key).await?.ok_or(Problem::NotFound(Resource::Delivery))?;
    let node = context.api.store.node();
    Ok(context::document(StatusCode::OK, &context.dialect_of(&view.endpoint), &row(node, &view)))
}

/// `DELETE /v1/deliveries/{id}`: one that waits ends as failed, for the reason `cancelled`. It stays in the log, and an attempt
/// under way may still succeed.
pub(crate) async fn cancel(context: &Context<'_>) -> Result<Reply, Problem> {
    let view = found(context).await?;
    context.commands().cancel(view.delivery.key).await.map_err(|denied| context.denied(&view.endpoint, denied))?;
    told::cancelled(&context.caller, context.id);
    Ok(Reply::no_content())
}

/// The delivery that the path names, if the caller sees its webhook.
pub(in crate::api) async fn found(context: &Context<'_>) -> Result<View, Problem> {
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
    let found = match search(context, context.query(PARAMETERS_OF_ALL)).await? {
        Some(Searched { of, filter, before, limit }) => store.deliveries(of, filter, before, limit).await?,
        None => store::Page::default(),
    };
    page(context, Frame::default(), lines(node, found, row_with_owner)).await
}

/// A search over the deliveries of several tenants.
pub(in crate::api) struct Searched {
    pub(in crate::api) of: Of,
    pub(in crate::api) filter: Filter,
    pub(in crate::api) before: Option<DeliveryKey>,
    pub(in crate::api) limit: usize,
}

/// Reads what is searched for, of the tenants that the caller may see. `None`: the query names an event that none of them has.
pub(in crate::api) async fn search(context: &Context<'_>, mut query: Query) -> Result<Option<Searched>, Problem> {
    let store = &context.api.store;
    let (limit, before) = (query.limit(), cursor::from_query(&mut query));
    let (filter, whose) = (filter(&mut query, store.now()), Whose::from_query(&mut query));
    let [event, webhook] = ["event", "webhook"].map(|name| query.id(name));
    query.finish()?;
    let whose = whose.check(context)?;
    let is_theirs = |endpoint: &Endpoint| whose.holds(&endpoint.provider, &endpoint.tenant);
    let known = |id: String| context::webhook_of(store, &whose.owners(), &id, is_theirs);
    let webhook = webhook.map(known).transpose()?.map(|endpoint| Of::Webhook(endpoint.no));
    let tenants = whose.tenants(store).await?;
    let filter = with_event(store, &tenants, filter, event).await?;
    Ok(filter.map(|filter| Searched { of: webhook.unwrap_or(Of::Tenants(tenants)), filter, before, limit }))
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
    Row { owner: Some(Owner { provider: provider.to_string(), tenant: tenant.to_string() }), ..row(node, view) }
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
        delivery: shown::document(node, view),
        attempts: view.delivery.attempts,
        last_code: view.delivery.code,
        last_error: view.error.map(|class| class.name().into()),
        owner: None,
    }
}

fn owned(endpoint: &Endpoint) -> Owned {
    Owned { provider: endpoint.provider.clone(), tenant: endpoint.tenant.clone() }
}

const PARAMETERS: &[&str] = &["limit", "cursor", "status", "type", "code", "since", "until", "event", "test"];

/// The parameters of a list over tenants.
pub(in crate::api) const PARAMETERS_OF_ALL: &[&str] =
    &["limit", "cursor", "status", "type", "code", "since", "until", "event", "test", "tenant", "webhook"];

#[cfg(test)]
mod tests {
    use super::*;

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
            "event=a/b",
            "stats=failed",
            "cursor=abc",
        ] {
            let mut query = Query::read(Some(bad), PARAMETERS);
            let _ = (filter(&mut query, NOW), query.id("event"), cursor::from_query::<DeliveryKey>(&mut query));
            assert!(query.finish().is_err(), "{bad}");
        }
    }
}
