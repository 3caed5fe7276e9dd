//! The page of deliveries: the log with its filters, and how many there are of each state.

use std::sync::Arc;

use super::visit::Visit;
use crate::api::request::context::Context;
use crate::api::request::cursor;
use crate::api::request::params::Query;
use crate::api::resources::deliveries::{self as log, PARAMETERS_OF_ALL, Searched};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::dialect::Dialect;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::{self, Filter, Status, Store, View};
use crate::ui::deliveries::{Counts, Deliveries, Given, Row, show as shown};
use crate::ui::frame::Viewer;
use crate::ui::part::{Answer, Mark};

/// `GET /ui/deliveries`
pub(super) async fn show(visit: &Visit<'_>, viewer: &Viewer<'_>, context: &Context<'_>) -> Result<Reply, Problem> {
    let (store, query) = (&context.api.store, context.query(PARAMETERS_OF_ALL));
    let (given, is_later) = (given(&query), query.text("cursor").is_some());
    let (found, counts) = match log::search(context, context.query(PARAMETERS_OF_ALL)).await? {
        Some(searched) => read(store, searched).await?,
        None => (store::Page::default(), store::Counts::default()),
    };
    let dialects: Vec<Arc<Dialect>> = found.views.iter().map(|view| context.dialect_of(&view.endpoint)).collect();
    let names: Vec<String> = found.views.iter().map(|view| called(&view.endpoint)).collect();
    let shows_owner = context.caller.tenant().is_none() || context.caller.anywhere;
    let rows = found.views.iter().zip(&dialects).zip(&names).map(|((view, dialect), name)| {
        let id = store.node().delivery_id(view.delivery.key);
        Row { owner: shows_owner.then(|| owner(&view.endpoint)), ..row(view, dialect, name, id) }
    });
    let next = found.next.as_ref().map(cursor::encode);
    let page = Deliveries { rows: rows.collect(), given: given.shown(), counts: told(counts), next, is_later, now: store.now() };
    visit.page_of(context, shown(viewer, &page)).await
}

/// A page of rows, and the counts of the same filters without those by state.
async fn read(store: &Store, searched: Searched) -> Result<(store::Page, store::Counts), Problem> {
    let Searched { of, filter, before, .. } = searched;
    let counted = Filter { status: None, test: None, ..filter.clone() };
    let found = store.deliveries(of.clone(), filter, before, ROWS).await?;
    Ok((found, store.delivery_counts(of, counted).await?))
}

pub(super) fn row<'a>(view: &'a View, dialect: &Dialect, webhook: &'a str, id: String) -> Row<'a> {
    Row {
        id,
        kind: &view.kind,
        mark: mark(view.status),
        is_test: view.delivery.is_test(),
        webhook,
        owner: None,
        answer: Answer::new(view.delivery.code, view.error.map(|class| class.name())),
        attempts: (view.delivery.attempts, planned(view, dialect)),
        next_attempt_at: log::next_attempt_at(view),
        created_at: view.delivery.key.event.time(),
    }
}

/// How many attempts a delivery's schedule has. A test is attempted once.
pub(super) fn planned(view: &View, dialect: &Dialect) -> u32 {
    let retries = view.endpoint.effective(dialect).retry.retries();
    if view.delivery.is_test() { 1 } else { retries.saturating_add(1) }
}

pub(super) fn mark(status: Status) -> Mark {
    match status {
        Status::Pending => Mark::Pending,
        Status::Succeeded => Mark::Succeeded,
        Status::Failed => Mark::Failed,
        Status::Held => Mark::Held,
    }
}

/// What a webhook is called: its name, or the host and path of its URL.
pub(super) fn called(endpoint: &Endpoint) -> String {
    let (name, url) = (&endpoint.definition.name, &endpoint.definition.url);
    if !name.is_empty() {
        return name.to_string();
    }
    let bare = url.split_once("://").map_or(&**url, |(_, rest)| rest);
    let bare = bare.split(['?', '#']).next().unwrap_or_default();
    bare.rsplit_once('@').map_or(bare, |(_, host)| host).trim_end_matches('/').to_owned()
}

fn owner(endpoint: &Endpoint) -> (&str, &str) {
    (&endpoint.provider, &endpoint.tenant)
}

/// The counts as a page shows them.
pub(super) fn told(counts: store::Counts) -> Counts {
    Counts {
        succeeded: counts.of(Status::Succeeded),
        failed: counts.of(Status::Failed),
        pending: counts.of(Status::Pending),
        held: counts.of(Status::Held),
        tests: counts.tests,
        is_cut: counts.is_cut,
    }
}

/// The filters of a query as they were typed.
struct Typed([String; 8]);

fn given(query: &Query) -> Typed {
    let names = ["status", "test", "type", "webhook", "code", "event", "since", "until"];
    Typed(names.map(|name| query.text(name).unwrap_or_default().to_owned()))
}

impl Typed {
    fn shown(&self) -> Given<'_> {
        let [status, test, kind, webhook, code, event, since, until] = &self.0;
        Given { status, test, kind, webhook, code, event, since, until }
    }
}

/// How many deliveries a page shows.
const ROWS: usize = 40;
