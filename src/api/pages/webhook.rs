//! The page of a webhook, and its test.

pub(super) mod edit;
pub(super) mod question;

use std::time::Duration;

use super::deliveries::{called, row};
use super::html;
use super::visit::Visit;
use super::webhooks::{is_shown, last, mark};
use crate::api::request::context::Context;
use crate::api::request::route::Need;
use crate::api::resources::webhooks::{of_day, tested};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::dialect::{Dialect, WebhookField as Field};
use crate::domain::units::duration_text;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::{Filter, Of};
use crate::ui::frame::Viewer;
use crate::ui::webhook::{Day, Webhook, show as shown};

/// `GET /ui/webhooks/{id}`
pub(super) async fn show(visit: &Visit<'_>, viewer: &Viewer<'_>, context: &Context<'_>) -> Result<Reply, Problem> {
    let (endpoint, store) = (context.webhook()?, &context.api.store);
    let (view, dialect) = (context.view(&endpoint).await, context.dialect_of(&endpoint));
    let found = store.deliveries(Of::Webhook(endpoint.no), Filter::default(), None, NEWEST).await?;
    let day = of_day(store, endpoint.no).await?;
    let (name, stopped) = (called(&endpoint), endpoint.stopped());
    let newest = found.views.iter().map(|one| row(one, &dialect, &name, store.node().delivery_id(one.delivery.key)));
    let (shows, place) = (|field| is_shown(context, &dialect, field), context.settings.place(&endpoint));
    let page = Webhook {
        id: &endpoint.id,
        name: &name,
        description: if shows(Field::Description) { &endpoint.definition.description } else { "" },
        url: &endpoint.definition.url,
        provider: &endpoint.provider,
        tenant: &endpoint.tenant,
        events: endpoint.definition.events.iter().map(ToString::to_string).collect(),
        mark: mark(&view),
        stopped: stopped.as_ref().map(|(at, why)| (*at, why.as_str())),
        failures: if shows(Field::Failures) { endpoint.failures } else { 0 },
        disabled_at: if shows(Field::Settings) { endpoint.effective(&dialect).disable.consecutive } else { 0 },
        last: last(&view).filter(|_| shows(Field::LastCode)),
        day: Day {
            succeeded: day.successful,
            failed: day.failed,
            average: day.average_response_time.map(|time| time.0),
            p50: day.p50.map(|time| time.0),
            p99: day.p99.map(|time| time.0),
        },
        rules: if shows(Field::Settings) { rules(&endpoint, &dialect) } else { Vec::new() },
        place: place.map(|place| if context.caller.is_tenant() { "the operator's" } else { place }),
        created_at: endpoint.created_at,
        changed_at: endpoint.changed_at,
        deliveries: newest.collect(),
        done: visit.parameters.done.as_deref().unwrap_or_default(),
        may_manage: context.caller.may(Need::Manage, context.way.entrance).is_ok(),
        is_signed: dialect.signature.is_some(),
        now: store.now(),
    };
    visit.page_of(context, shown(viewer, &page)).await
}

/// What counts for its attempts, by its own settings or by its dialect.
fn rules(endpoint: &Endpoint, dialect: &Dialect) -> Vec<(&'static str, String)> {
    let rules = endpoint.effective(dialect);
    in_words(dialect, rules.timeout, rules.retry.retries(), rules.disable.consecutive)
}

/// What counts for the attempts of a webhook that sets nothing of its own.
fn rules_of(dialect: &Dialect) -> Vec<(&'static str, String)> {
    let mut rules = in_words(dialect, dialect.delivery.timeout, dialect.retry.retries(), dialect.disable.consecutive);
    rules.extend(dialect.signature.as_ref().map(|signature| ("Signature", format!("in the header {}", signature.header))));
    rules
}

fn in_words(dialect: &Dialect, timeout: Duration, retries: u32, failures: u32) -> Vec<(&'static str, String)> {
    let disabled = match failures {
        0 => "never by failures".to_owned(),
        count => format!("after {count} failures in a row"),
    };
    let attempts = retries.saturating_add(1);
    vec![
        ("Dialect", dialect.name.to_string()),
        ("Timeout", duration_text(timeout)),
        ("Attempts", format!("at most {attempts} of a delivery")),
        ("Disabled", disabled),
    ]
}

/// `POST /ui/webhooks/{id}/test`: shows the delivery of the test.
pub(super) async fn test(viewer: &Viewer<'_>, context: &Context<'_>) -> Result<Reply, Problem> {
    context.caller.may(Need::Manage, context.way.entrance)?;
    let key = tested(context).await?;
    Ok(html::see_other(&viewer.links().to_one("/ui/deliveries", &context.api.store.node().delivery_id(key))))
}

/// How many of its deliveries the page shows.
const NEWEST: usize = 10;
