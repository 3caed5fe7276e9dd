//! The page of an event: why each webhook of its tenant got it, or did not.

use super::deliveries::mark;
use super::delivery::event as read;
use super::html;
use super::visit::Visit;
use crate::api::document::explained as document;
use crate::api::request::context::Context;
use crate::api::request::cursor;
use crate::api::request::whose::Whose;
use crate::api::resources::deliveries::body_shown;
use crate::api::resources::{events, explain};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::id::EndpointNo;
use crate::domain::resource::Resource;
use crate::store::Status;
use crate::ui::event::{Event, Explained, show as shown};
use crate::ui::frame::Viewer;
use crate::ui::href::Links;

/// `GET /ui/events/{id}`
pub(super) async fn show(visit: &Visit<'_>, viewer: &Viewer<'_>, context: &Context<'_>) -> Result<Reply, Problem> {
    let Some(owned) = context.caller.owned().ok().filter(|_| !context.caller.anywhere) else { return elsewhere(context).await };
    let event = events::find(context).await?;
    let mut query = context.query(&["tenant", "cursor"]);
    let after: EndpointNo = cursor::from_query(&mut query).unwrap_or_default();
    query.finish()?;
    let mut explained = explain::explained(context, &event, after, ROWS).await?;
    let has_more = explained.len() > ROWS;
    explained.truncate(ROWS);
    let next = explained.last().filter(|_| has_more).map(|(no, _)| cursor::encode(no));
    let whole = read(&context.api.store, &context.rooms(), event.key).await?;
    let body = whole.as_ref().map(|event| event.content.body());
    let body = body.as_ref().map(|body| body_shown(body));
    let page = Event {
        id: &event.id,
        kind: &event.kind,
        provider: &owned.provider,
        tenant: &owned.tenant,
        is_for_all: event.tenant.is_none(),
        created_at: event.key.time(),
        occurred_at: event.occurred_at,
        body: body.as_ref().map(|body| (&*body.body, body.encoding.as_deref())),
        explained: explained.iter().map(|(_, one)| row(one)).collect(),
        next,
        now: context.api.store.now(),
    };
    visit.page_of(context, shown(viewer, &page)).await
}

fn row(one: &document::Explained) -> Explained<'_> {
    let status = one.delivery_status.as_deref().and_then(Status::parse);
    let delivery = one.delivery_id.as_deref().zip(status).map(|(id, status)| (id, mark(status)));
    let name = if one.name.is_empty() { &one.url } else { &one.name };
    Explained { webhook_id: &one.webhook_id, name, why: &one.why, delivery }
}

/// Leads somebody who looks at several tenants to the page of the tenant whose event it is.
async fn elsewhere(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut query = context.query(&["tenant", "cursor"]);
    let whose = Whose::from_query(&mut query).check(context)?;
    let tenants = whose.tenants(&context.api.store).await?;
    let found = context.api.store.event_of_any(tenants.clone(), context.id.to_owned()).await?;
    let event = found.ok_or(Problem::NotFound(Resource::Event))?;
    let theirs = tenants
        .iter()
        .find(|owned| *owned.provider == *event.provider && event.tenant.as_ref().is_none_or(|tenant| *tenant == owned.tenant));
    let owned = theirs.ok_or(Problem::NotFound(Resource::Event))?;
    let scope = format!("{}/{}", owned.provider, owned.tenant);
    Ok(html::see_other(&Links { scope: Some(&scope) }.to_one("/ui/events", context.id)))
}

/// How many webhooks a page tells of.
const ROWS: usize = 40;
