//! Replays: many deliveries that are sent again in the background, begun, looked at, paused, resumed and cancelled.

use std::sync::Arc;

use http::StatusCode;

use crate::api::document::delivery::replay::{EndedStatus, Replay, ReplayCount, ReplayFilter, ReplayState};
use crate::api::request::context::{self, Context};
use crate::api::request::cursor;
use crate::api::request::params::{BEFORE_SINCE, Form, Query};
use crate::api::request::whose::Whose;
use crate::api::response::page::{Frame, Listed, Rows, documents, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::response::wrong::Wrong;
use crate::api::told;
use crate::domain::id::{Node, ReplayNo};
use crate::domain::rate::Rate;
use crate::domain::resource::Resource;
use crate::domain::webhook::endpoint::{Endpoint, WebhookState};
use crate::domain::webhook::pattern::Pattern;
use crate::store::{self, Denied, Ids, NewReplay, Owned};

/// `POST /v1/replays`: sends again what its filter matches. With `dry_run` it only counts.
pub(crate) async fn create(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut form = Form::read(&context.body, &["filter", "new_id", "rate", "dry_run"])?;
    let rate = form.text("rate").and_then(|text| text.parse::<Rate>().map_err(|wrong| form.note("rate", wrong.to_string())).ok());
    let has_new_ids = form.boolean("new_id").unwrap_or(false);
    let is_dry = form.boolean("dry_run").unwrap_or(false);
    form.required("filter");
    let inner = form.member("filter").map_or("{}", |field| field.raw);
    let asked = AskedFilter::read(context, inner.as_bytes(), &mut form);
    form.finish()?;
    let Some(AskedFilter { webhook, filter }) = asked else { return Err(Problem::field("/filter", "is missing")) };
    let owned = webhook.as_deref().map_or_else(|| context.caller.owned(), |webhook| Ok(owner(webhook)))?;
    if let Some(webhook) = &webhook {
        sends_to(context, webhook)?;
    }
    let (store, asked_at) = (&context.api.store, context.api.store.now());
    if !is_dry {
        store.may_begin_replay(&owned)?;
    }
    let matched = store.count_replay(&owned, &filter, asked_at).await??;
    if is_dry {
        let count = ReplayCount { matched, filter: shown_filter(&filter) };
        return Ok(context::document(StatusCode::OK, context.dialect(), &count));
    }
    let ids = match has_new_ids {
        true => Ids::of_new_events(context.caller.provider.environment(Some(&owned.tenant))),
        false => Ids::Same,
    };
    let begun = context.commands().begin_replay(NewReplay { owned, filter, ids, rate, asked_at, matched }).await;
    let replay =
        begun.map_err(|denied| webhook.map_or_else(|| denied.clone().into(), |of| context.denied(&of, denied.clone())))?;
    told::replay("begun", &context.caller, context.api.store.node(), &replay);
    answer(context, StatusCode::ACCEPTED, &replay)
}

/// `GET /v1/replays`: the tenant's, newest first; `?state=` those in a state.
pub(crate) async fn list(context: &Context<'_>) -> Result<Reply, Problem> {
    let (mut query, owned) = (context.query(&["limit", "cursor", "state"]), context.caller.owned()?);
    let found = Page::read(context, &mut query, |replay| replay.owned == owned);
    query.finish()?;
    page(context, Frame::new(context.dialect()), found.lines(document)).await
}

/// `GET /v1/admin/replays`: of all tenants that the caller may see, newest first, each with its tenant.
pub(crate) async fn list_all(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut query = context.query(&["limit", "cursor", "state", "tenant"]);
    let whose = Whose::from_query(&mut query);
    let whose = whose.check(context)?;
    let found = Page::read(context, &mut query, |replay| whose.holds(&replay.owned.provider, &replay.owned.tenant));
    query.finish()?;
    page(context, Frame::default(), found.lines(document_with_owner)).await
}

/// `GET /v1/replays/{id}`
pub(crate) async fn show(context: &Context<'_>) -> Result<Reply, Problem> {
    answer(context, StatusCode::OK, &*found(context)?)
}

/// `POST /v1/replays/{id}/pause`: it sends nothing more until it is resumed. What it has sent goes on.
pub(crate) async fn pause(context: &Context<'_>) -> Result<Reply, Problem> {
    let replay = found(context)?;
    let paused = context.commands().pause_replay(&replay).await?;
    told::replay("paused", &context.caller, context.api.store.node(), &paused);
    answer(context, StatusCode::OK, &paused)
}

/// `POST /v1/replays/{id}/resume`
pub(crate) async fn resume(context: &Context<'_>) -> Result<Reply, Problem> {
    let replay = found(context)?;
    let resumed = context.commands().resume_replay(&replay).await?;
    told::replay("resumed", &context.caller, context.api.store.node(), &resumed);
    answer(context, StatusCode::OK, &resumed)
}

/// `DELETE /v1/replays/{id}`: it sends nothing more. What it has sent goes on.
pub(crate) async fn cancel(context: &Context<'_>) -> Result<Reply, Problem> {
    let replay = found(context)?;
    let cancelled = context.commands().cancel_replay(&replay).await?;
    told::replay("cancelled", &context.caller, context.api.store.node(), &cancelled);
    answer(context, StatusCode::OK, &cancelled)
}

/// What a request asks to be sent again, and the webhook that it names.
struct AskedFilter {
    webhook: Option<Arc<Endpoint>>,
    filter: store::ReplayFilter,
}

impl AskedFilter {
    /// Reads the member `filter`; what is wrong with it is noted in `form`.
    fn read(context: &Context<'_>, body: &[u8], form: &mut Form<'_>) -> Option<Self> {
        let Ok(mut inner) = Form::read(body, &["webhook", "type", "status", "code", "since", "until"]) else {
            form.note("filter", "is not an object");
            return None;
        };
        let now = context.api.store.now();
        inner.required("since");
        let (since, until) = (inner.when("since", now).unwrap_or_default(), inner.when("until", now));
        match until {
            Some(until) if until < since => inner.note("until", BEFORE_SINCE),
            _ if now < since => inner.note("since", "is in the future"),
            _ => {}
        }
        let kind = inner.text("type").and_then(|text| Pattern::parse(&text).map_err(|wrong| inner.note("type", wrong)).ok());
        let succeeded = succeeded(&mut inner);
        let code = code(&mut inner);
        let id = inner.text("webhook");
        let webhook = id.and_then(|id| {
            let found = context.webhook_by_id(&id).ok();
            if found.is_none() {
                inner.note("webhook", "is no webhook of the tenant");
            }
            found
        });
        if let Err(Problem::Fields(wrong)) = inner.finish() {
            wrong.into_iter().for_each(|wrong| form.note_at(Wrong::new(format!("/filter{}", wrong.pointer), wrong.detail)));
            return None;
        }
        let named = webhook.as_ref().map(|webhook| (webhook.no, webhook.id.clone()));
        let filter = store::ReplayFilter { webhook: named, kind, succeeded, code, since, until: until.unwrap_or(now).min(now) };
        Some(Self { webhook, filter })
    }
}

fn succeeded(form: &mut Form<'_>) -> Option<bool> {
    match form.text("status").as_deref() {
        None => None,
        Some("succeeded") => Some(true),
        Some("failed") => Some(false),
        Some(_) => {
            form.note("status", "is neither `succeeded` nor `failed`; what has not ended is on its way");
            None
        }
    }
}

fn code(form: &mut Form<'_>) -> Option<u16> {
    let raw = form.member("code").map(|field| field.raw).filter(|raw| *raw != "null")?;
    let code = raw.parse().ok().filter(|code| (100..600).contains(code));
    if code.is_none() {
        form.note("code", "is no HTTP status: a number from 100 to 599");
    }
    code
}

/// A webhook that is not active is told before anything is counted for it.
fn sends_to(context: &Context<'_>, webhook: &Endpoint) -> Result<(), Problem> {
    match webhook.state {
        WebhookState::Active => Ok(()),
        WebhookState::Disabled { .. } => Err(context.denied(webhook, Denied::Disabled)),
        WebhookState::Removed { .. } => Err(context.denied(webhook, Denied::Removed)),
        WebhookState::Deleted { .. } => Err(context.denied(webhook, Denied::Deleted)),
    }
}

/// The replay that the path names, if the caller sees its tenant.
fn found(context: &Context<'_>) -> Result<Arc<store::Replay>, Problem> {
    let sees = |replay: &Arc<store::Replay>| context.caller.sees_tenant(&replay.owned);
    context.api.store.replay(context.id).filter(sees).ok_or(Problem::NotFound(Resource::Replay))
}

/// The replays of a page.
struct Page {
    found: Vec<Arc<store::Replay>>,
    next: Option<String>,
    node: Node,
}

impl Page {
    fn read(context: &Context<'_>, query: &mut Query, wanted: impl Fn(&store::Replay) -> bool) -> Self {
        let (limit, before) = (query.limit(), cursor::from_query::<ReplayNo>(query));
        let state = query.read_with("state", "is none of running, paused, done, cancelled", store::ReplayState::parse);
        let wanted = |replay: &store::Replay| wanted(replay) && state.is_none_or(|state| state == replay.state);
        let mut found = context.api.store.replays_where(wanted, before, limit + 1);
        let has_more = found.len() > limit;
        found.truncate(limit);
        let next = found.last().filter(|_| has_more).map(|last| cursor::encode(&last.no));
        Self { found, next, node: context.api.store.node() }
    }

    fn lines(self, print: fn(Node, &store::Replay) -> Replay) -> impl Rows {
        let node = self.node;
        let place = |replay: &Arc<store::Replay>| cursor::encode(&replay.no);
        Listed::found(self.found, self.next, place, documents(move |replay: &Arc<store::Replay>| Ok(print(node, replay))))
    }
}

fn answer(context: &Context<'_>, status: StatusCode, replay: &store::Replay) -> Result<Reply, Problem> {
    let dialect = context.api.store.dialect(&replay.owned.provider);
    Ok(context::document(status, &dialect, &document(context.api.store.node(), replay)))
}

fn document(node: Node, replay: &store::Replay) -> Replay {
    Replay {
        id: node.replay_id(replay.no),
        state: match replay.state {
            store::ReplayState::Running => ReplayState::Running,
            store::ReplayState::Paused => ReplayState::Paused,
            store::ReplayState::Done => ReplayState::Done,
            store::ReplayState::Cancelled => ReplayState::Cancelled,
        },
        reason: replay.reason.map(|reason| reason.name().to_owned()),
        matched: replay.matched,
        done: replay.done,
        failed: replay.failed,
        skipped: replay.skipped(),
        filter: shown_filter(&replay.filter),
        new_id: replay.ids.are_new(),
        rate: replay.rate.map(|rate| rate.to_string()),
        created_at: replay.no.time().into(),
        ended_at: replay.ended_at.map(Into::into),
        tenant: None,
    }
}

fn document_with_owner(node: Node, replay: &store::Replay) -> Replay {
    let Owned { provider, tenant } = &replay.owned;
    Replay { tenant: Some(format!("{provider}/{tenant}")), ..document(node, replay) }
}

fn shown_filter(filter: &store::ReplayFilter) -> ReplayFilter {
    let status = |succeeded| if succeeded { EndedStatus::Succeeded } else { EndedStatus::Failed };
    ReplayFilter {
        webhook: filter.webhook.as_ref().map(|(_, id)| id.to_string()),
        kind: filter.kind.as_ref().map(ToString::to_string),
        status: filter.succeeded.map(status),
        code: filter.code,
        since: filter.since.into(),
        until: filter.until.into(),
    }
}

fn owner(webhook: &Endpoint) -> Owned {
    Owned { provider: webhook.provider.clone(), tenant: webhook.tenant.clone() }
}
