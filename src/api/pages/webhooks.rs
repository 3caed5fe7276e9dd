//! The page of webhooks.

use super::deliveries::called;
use super::visit::Visit;
use crate::api::request::context::Context;
use crate::api::request::cursor;
use crate::api::request::route::Need;
use crate::api::resources::webhooks::search;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::dialect::{Dialect, WebhookField as Field};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::WebhookState;
use crate::store::WebhookView;
use crate::ui::frame::Viewer;
use crate::ui::part::{Answer, Mark};
use crate::ui::webhooks::{Row, Webhooks, show as shown};

/// `GET /ui/webhooks`
pub(super) async fn show(visit: &Visit<'_>, viewer: &Viewer<'_>, context: &Context<'_>) -> Result<Reply, Problem> {
    let query = context.query(&["limit", "cursor", "tenant", "name", "uid", "failing", "metadata.*"]);
    let failing = query.text("failing").unwrap_or_default();
    let mut found = search(context, Some(ROWS)).await?;
    found.views.sort_by_key(|view| order(mark(view)));
    let names: Vec<String> = found.views.iter().map(|view| called(&view.endpoint)).collect();
    let shows_owner = context.caller.tenant().is_none() || context.caller.anywhere;
    let rows = found.views.iter().zip(&names).map(|(view, name)| {
        let dialect = context.dialect_of(&view.endpoint);
        let shows = |field| is_shown(context, &dialect, field);
        let failures = if shows(Field::Failures) { view.endpoint.failures } else { 0 };
        Row { failures, last: last(view).filter(|_| shows(Field::LastCode)), ..row(view, name, shows_owner) }
    });
    let page = Webhooks {
        rows: rows.collect(),
        failing,
        next: found.next.as_ref().map(cursor::encode),
        is_later: query.text("cursor").is_some(),
        may_manage: context.caller.may(Need::Manage, context.way.entrance).is_ok(),
        was_deleted: visit.parameters.done.as_deref() == Some("delete"),
        now: context.api.store.now(),
    };
    visit.page_of(context, shown(viewer, &page)).await
}

fn row<'a>(view: &'a WebhookView, name: &'a str, shows_owner: bool) -> Row<'a> {
    let endpoint = &view.endpoint;
    Row {
        id: &endpoint.id,
        name,
        url: &endpoint.definition.url,
        owner: shows_owner.then_some((&*endpoint.provider, &*endpoint.tenant)),
        events: endpoint.definition.events.iter().map(ToString::to_string).collect(),
        mark: mark(view),
        failures: endpoint.failures,
        last: last(view),
    }
}

/// The answer to a webhook's newest attempt, and when that ended.
pub(super) fn last(view: &WebhookView) -> Option<(Answer<'static>, Timestamp)> {
    view.last.map(|last| (Answer::new(last.code, last.error.map(|class| class.name())), last.ended_at))
}

pub(super) fn mark(view: &WebhookView) -> Mark {
    match view.endpoint.state {
        WebhookState::Removed { .. } | WebhookState::Deleted { .. } => Mark::Removed,
        WebhookState::Disabled { .. } if view.endpoint.was_disabled_by_failures() => Mark::DisabledByFailures,
        WebhookState::Disabled { .. } => Mark::Disabled,
        WebhookState::Active if view.is_failing() => Mark::Failing,
        WebhookState::Active => Mark::Active,
    }
}

/// Those in trouble come first.
fn order(mark: Mark) -> u8 {
    match mark {
        Mark::DisabledByFailures => 0,
        Mark::Failing => 1,
        Mark::Disabled | Mark::Removed => 2,
        _ => 3,
    }
}

/// How many webhooks a page shows.
const ROWS: usize = 40;

/// Whether a viewer is shown a member of a webhook: a tenant is shown what its dialect shows, and anybody else all.
pub(super) fn is_shown(context: &Context<'_>, dialect: &Dialect, field: Field) -> bool {
    !context.caller.is_tenant() || dialect.api.webhook.contains(&field)
}
