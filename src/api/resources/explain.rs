//! Why an event went to a webhook or did not: computed when asked, by the webhooks as they are now.

use std::sync::Arc;

use super::events::{self, SCHEMA_ERRORS};
use crate::api::document::explained::Explained;
use crate::api::request::context::{self, Context};
use crate::api::request::cursor;
use crate::api::response::page::{Frame, Listed, documents, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::delivery::{End, State};
use crate::domain::event::Event;
use crate::domain::id::{ByEndpoint, DeliveryKey, EndpointNo};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::filter::{Filter, Judge, Subject};
use crate::domain::webhook::sample::Place;
use crate::store::{Status, View};

/// `GET /v1/events/{id}/explain`: each webhook of the tenant, oldest first.
pub(crate) async fn explain(context: &Context<'_>) -> Result<Reply, Problem> {
    let event = events::find(context).await?;
    let frame = Frame::new(context.dialect()).telling(SCHEMA_ERRORS, &event.schema_errors);
    let mut query = context.query(&["limit", "cursor"]);
    let (limit, after): (usize, EndpointNo) = (query.limit(), cursor::from_query(&mut query).unwrap_or_default());
    query.finish()?;
    let rows = explained(context, &event, after, limit).await?;
    let rows = Listed::new(rows, limit, |(no, _)| cursor::encode(no), documents(|(_, one): &(_, Explained)| Ok(one.clone())));
    page(context, frame, rows).await
}

/// What is said of the webhooks of the caller's tenant behind `after`: of one more than `limit`, if there are so many.
pub(in crate::api) async fn explained(
    context: &Context<'_>,
    event: &Event,
    after: EndpointNo,
    limit: usize,
) -> Result<Vec<(EndpointNo, Explained)>, Problem> {
    let (store, node) = (&context.api.store, context.api.store.node());
    let endpoints = store.webhooks(&context.caller.owned()?, after, limit + 1);
    let keys = endpoints.iter().map(|endpoint| DeliveryKey { event: event.key, endpoint: endpoint.no }).collect();
    let views = store.deliveries_by_key(keys).await?;
    let link = context.dialect().link(&event.attributes);
    let differing = differing(context, event, &endpoints[..endpoints.len().min(limit)]).await?;
    let told = endpoints.iter().zip(&views).map(|(endpoint, view)| {
        let told = Explained {
            webhook_id: endpoint.id.to_string(),
            name: endpoint.definition.name.to_string(),
            url: endpoint.definition.url.to_string(),
            sent: view.is_some(),
            why: verdict(event, &Judged::of(endpoint, link.as_deref(), &differing), view.as_ref()),
            changed_since: is_changed(event, endpoint),
            delivery_id: view.as_ref().map(|view| node.delivery_id(view.delivery.key)),
            delivery_status: view.as_ref().map(|view| view.status.name().into()),
        };
        (endpoint.no, told)
    });
    Ok(told.collect())
}

/// Where the filters of webhooks do not match the event: for each such webhook the pointer inside its filter.
type Differing = ByEndpoint<String>;

/// Judges the event by the filters of those webhooks that subscribe to it. The event's content is read once, and only for a filter.
async fn differing(context: &Context<'_>, event: &Event, endpoints: &[Arc<Endpoint>]) -> Result<Differing, Problem> {
    let filter = |endpoint: &Arc<Endpoint>| Some((endpoint.no, endpoint.definition.settings.filter.clone()?));
    let filters: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.wants(&event.kind)).filter_map(filter).collect();
    if filters.is_empty() {
        return Ok(Differing::default());
    }
    let Some((event, _room)) = events::whole(context, event.key).await? else { return Ok(Differing::default()) };
    context::aside(move || pointers(&event, &filters)).await
}

fn pointers(event: &Event, filters: &[(EndpointNo, Arc<Filter>)]) -> Differing {
    let data = event.content.data();
    let Ok(subject) = Subject::read(&event.kind, &data, &event.attributes) else { return Differing::default() };
    let mut judge = Judge::new(&subject);
    filters.iter().filter_map(|(no, filter)| Some((*no, judge.why(filter)?))).collect()
}

/// A webhook, and what an event is judged by.
struct Judged<'a> {
    endpoint: &'a Endpoint,
    link: Option<&'a str>,
    /// The pointer inside the webhook's filter to the part that does not match.
    differs_at: Option<&'a str>,
}

impl<'a> Judged<'a> {
    fn of(endpoint: &'a Endpoint, link: Option<&'a str>, differing: &'a Differing) -> Self {
        Self { endpoint, link, differs_at: differing.get(&endpoint.no).map(String::as_str) }
    }
}

/// One sentence for a person.
fn verdict(event: &Event, judged: &Judged<'_>, view: Option<&View>) -> String {
    let endpoint = judged.endpoint;
    let why = match view {
        None => unsent(event, judged),
        Some(view) if view.delivery.is_test() => format!("it was tested with it; {}", sent(view)),
        Some(view) if mismatch(event, judged).is_none() => format!("it matches; {}", sent(view)),
        Some(view) => format!("it matched when it was sent, and does no more; {}", sent(view)),
    };
    let change = "; the webhook was changed after the event, and this is judged by what it is now";
    if is_changed(event, endpoint) { why + change } else { why }
}

fn sent(view: &View) -> String {
    let attempts = view.delivery.attempts;
    match (view.status, view.delivery.state) {
        (Status::Held, _) => "the delivery is held until the webhook is enabled".into(),
        (Status::Pending, _) => format!("the delivery is pending after {attempts} attempts"),
        (Status::Succeeded, _) => format!("delivered at attempt {attempts}"),
        (Status::Failed, State::Failed { end: End::Exhausted, .. }) => format!("all {attempts} attempts failed"),
        (Status::Failed, State::Failed { end, .. }) => format!("the delivery failed: {}", end.name()),
        (Status::Failed, _) => "the delivery failed".into(),
    }
}

/// What of the webhook keeps the event from it, as it is now.
fn mismatch(event: &Event, &Judged { endpoint, link, differs_at }: &Judged<'_>) -> Option<String> {
    let definition = &endpoint.definition;
    if let Some(link) = link.filter(|link| **link != *definition.name) {
        return Some(format!("the event is for the webhook named `{link}` alone"));
    }
    let events = || definition.events.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if !endpoint.wants(&event.kind) {
        return Some(format!("`{}` is none of its event types: {}", event.kind, events()));
    }
    let channels = &definition.settings.channels;
    if !definition.settings.takes(&event.channels) {
        let channels = channels.iter().collect::<Vec<_>>().join(", ");
        return Some(format!("the event is in none of its channels: {channels}"));
    }
    if let Some(sample) = definition.settings.sample.filter(|sample| !sample.takes(Place::of(&event.id))) {
        return Some(format!("its sample of {sample} leaves the event out, by the event's id"));
    }
    differs_at.map(|pointer| format!("its filter does not match at `{pointer}`"))
}

fn unsent(event: &Event, judged: &Judged<'_>) -> String {
    let endpoint = judged.endpoint;
    if let Some(why) = mismatch(event, judged) {
        return why;
    }
    if is_after(endpoint.created_at, event) {
        return "it matches now, but was made after the event; `recover` sends what was missed".into();
    }
    "it matches now, but has no delivery: it did not match then, or the delivery is past its retention; `recover` sends what was missed".into()
}

fn is_changed(event: &Event, endpoint: &Endpoint) -> bool {
    is_after(endpoint.changed_at, event) && endpoint.changed_at > endpoint.created_at
}

/// An event's time is known to the millisecond: what happened in the same one is not told apart from it.
fn is_after(at: Timestamp, event: &Event) -> bool {
    at.as_millis() > event.key.time().as_millis()
}
