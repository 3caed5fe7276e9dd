//! Attempts: lists of them, newest first, and one by its id.

use std::collections::VecDeque;
use std::sync::Arc;

use http::StatusCode;

use super::shown::attempt as attempt_of;
use super::whole::space;
use crate::api::document;
use crate::api::document::delivery::{AttemptRow, Owner};
use crate::api::request::auth::Rank;
use crate::api::request::context::{Context, webhook_of};
use crate::api::request::cursor;
use crate::api::request::params::Query;
use crate::api::request::whose::Whose;
use crate::api::response::answer::{Next, Source};
use crate::api::response::page::{Frame, Row, Rows, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::id::{AttemptKey, Node};
use crate::domain::json::quote;
use crate::domain::resource::Resource;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::{Attempt, AttemptClass, AttemptFilter, AttemptPage, AttemptView, Fit, Of, Status, Store};

/// `GET /v1/attempts`: of all webhooks of the tenant, newest first; `?webhook=` those of a webhook, `?event=` those of an event.
pub(crate) async fn list(context: &Context<'_>) -> Result<Reply, Problem> {
    let (owned, store) = (context.caller.owned()?, &context.api.store);
    let mut query = context.query(PARAMETERS);
    let asked = Asked::from_query(&mut query, store.now());
    query.finish()?;
    let of = asked.webhook(|id| context.webhook_by_id(id))?.unwrap_or(Of::Tenant(owned.clone()));
    let event = match &asked.event {
        Some(id) => Some(store.event_by_id(&owned, id).await?),
        None => None,
    };
    let found = found(store, of, &asked, event.map(|event| event.map(|event| event.key))).await?;
    page(context, Frame::new(context.dialect()), Attempts::of(context, found, false)).await
}

/// `GET /v1/admin/attempts`: of all tenants that the caller may see, newest first, each with its provider and tenant; `?tenant=` those
/// of one or of a provider.
pub(crate) async fn list_all(context: &Context<'_>) -> Result<Reply, Problem> {
    let store = &context.api.store;
    let mut query = context.query(&[PARAMETERS, &["tenant"]].concat());
    let (asked, whose) = (Asked::from_query(&mut query, store.now()), Whose::from_query(&mut query));
    query.finish()?;
    let whose = whose.check(context)?;
    let is_theirs = |endpoint: &Endpoint| whose.holds(&endpoint.provider, &endpoint.tenant);
    let webhook = asked.webhook(|id| webhook_of(store, &whose.owners(), id, is_theirs))?;
    let tenants = whose.tenants(store).await?;
    let event = match &asked.event {
        Some(id) => Some(store.event_of_any(tenants.clone(), id.clone()).await?.map(|event| event.key)),
        None => None,
    };
    let found = found(store, webhook.unwrap_or(Of::Tenants(tenants)), &asked, event).await?;
    page(context, Frame::default(), Attempts::of(context, found, true)).await
}

/// `GET /v1/attempts/{id}`
pub(crate) async fn show(context: &Context<'_>) -> Result<Reply, Problem> {
    let store = &context.api.store;
    let key = store.attempt_key(context.id.to_owned()).await?.ok_or(Problem::NotFound(Resource::Attempt))?;
    let view = store.delivery_by_key(key.delivery).await?.filter(|view| context.caller.sees(&view.endpoint));
    let endpoint = view.ok_or(Problem::NotFound(Resource::Attempt))?.endpoint;
    let wrap = context.dialect_of(&endpoint).api.wrap.clone();
    let shown = Shown { store: store.clone(), rank: context.caller.rank, key, wrap };
    Reply::rendered(StatusCode::OK, shown, context.rooms()).await
}

/// What a list is asked for.
struct Asked {
    limit: usize,
    before: Option<AttemptKey>,
    /// All but the event, which needs the store.
    filter: AttemptFilter,
    webhook: Option<String>,
    event: Option<String>,
}

impl Asked {
    fn from_query(query: &mut Query, now: Timestamp) -> Self {
        let (limit, before, (since, until)) = (query.limit(), cursor::from_query(query), query.window(now));
        let code = |text: &str| text.parse().ok().filter(|code| (100..600).contains(code));
        let filter = AttemptFilter {
            succeeded: query.read_with("status", "is neither succeeded nor failed", succeeded),
            code: query.read_with("code", "is no HTTP status", code),
            class: query.read_with("class", "is neither an error's class, as `timeout`, nor 1xx to 5xx", AttemptClass::parse),
            since,
            until,
            event: None,
        };
        let [webhook, event] = ["webhook", "event"].map(|name| query.id(name));
        Self { limit, before, filter, webhook, event }
    }

    /// The webhook that is named, as `find` finds it.
    fn webhook(&self, find: impl Fn(&str) -> Result<Arc<Endpoint>, Problem>) -> Result<Option<Of>, Problem> {
        let found = self.webhook.as_deref().map(find).transpose()?;
        Ok(found.map(|found| Of::Webhook(found.no)))
    }
}

/// A page; `event`: the event that was asked for, which may be none of theirs.
async fn found(
    store: &Store,
    of: Of,
    asked: &Asked,
    event: Option<Option<crate::domain::id::EventKey>>,
) -> Result<AttemptPage, Problem> {
    let event = match event {
        Some(None) => return Ok(AttemptPage::default()),
        Some(found) => found,
        None => None,
    };
    let filter = AttemptFilter { event, ..asked.filter.clone() };
    Ok(store.attempt_keys(of, filter, asked.before, asked.limit).await?)
}

fn succeeded(text: &str) -> Option<bool> {
    match Status::parse(text)? {
        Status::Succeeded => Some(true),
        Status::Failed => Some(false),
        Status::Pending | Status::Held => None,
    }
}

/// The attempts of a page, read a few at a time.
struct Attempts {
    store: Store,
    rank: Rank,
    keys: Vec<AttemptKey>,
    at: usize,
    /// The attempts from `at` on, as far as they are read. `None` stands for an attempt that is gone.
    read: VecDeque<Option<AttemptView>>,
    /// Where the list goes on behind all of them.
    next: Option<AttemptKey>,
    has_owners: bool,
}

impl Attempts {
    fn of(context: &Context<'_>, found: AttemptPage, has_owners: bool) -> Self {
        let (store, rank) = (context.api.store.clone(), context.caller.rank);
        Self { store, rank, keys: found.keys, at: 0, read: VecDeque::new(), next: found.next, has_owners }
    }
}

impl Rows for Attempts {
    async fn print(&mut self, room: usize, into: &mut Vec<u8>) -> Result<Row, Problem> {
        if self.read.is_empty() && self.at < self.keys.len() {
            match self.store.attempts_by_key(self.keys[self.at..].to_vec(), space(room)).await? {
                Fit::Needs(bytes) => return Ok(Row::Needs(bytes)),
                Fit::Fits(attempts) => self.read = attempts.into(),
            }
        }
        Ok(match self.read.front() {
            None => Row::End,
            Some(None) => Row::Gone,
            Some(Some(view)) => {
                document::write(&row(&self.store, view, self.rank, self.has_owners), into);
                Row::Printed
            }
        })
    }

    fn pass(&mut self) {
        self.at += 1;
        self.read.pop_front();
    }

    fn let_go(&mut self) {
        self.read.clear();
    }

    fn cursor(&self) -> String {
        let last = self.keys[..self.at].last();
        let at = if self.at == self.keys.len() { self.next.as_ref().or(last) } else { last };
        at.map(cursor::encode).unwrap_or_default()
    }

    fn has_more(&self) -> bool {
        self.next.is_some() || self.at < self.keys.len()
    }
}

fn row(store: &Store, view: &AttemptView, rank: Rank, has_owner: bool) -> AttemptRow {
    let owner = || Owner { provider: view.endpoint.provider.to_string(), tenant: view.endpoint.tenant.to_string() };
    let shown = shown(store.node(), view.key, &view.attempt, (&view.event_id, &view.kind), &view.endpoint, rank);
    AttemptRow { owner: has_owner.then(owner), ..shown }
}

/// An attempt of an event with this id and type, as someone of this rank sees it, without its provider and tenant.
pub(super) fn shown(
    node: Node,
    key: AttemptKey,
    attempt: &Attempt,
    (event_id, event_type): (&str, &str),
    endpoint: &Endpoint,
    rank: Rank,
) -> AttemptRow {
    AttemptRow {
        attempt: attempt_of(node.attempt_id(key), attempt, rank),
        delivery_id: node.delivery_id(key.delivery),
        event_id: event_id.into(),
        event_type: event_type.into(),
        webhook_id: endpoint.id.to_string(),
        owner: None,
    }
}

/// One attempt, under the dialect's `wrap`.
struct Shown {
    store: Store,
    /// Who asks.
    rank: Rank,
    key: AttemptKey,
    wrap: Box<str>,
}

impl Source for Shown {
    async fn next(&mut self, room: usize) -> Result<Next, Problem> {
        let view = match self.store.attempts_by_key(vec![self.key], space(room)).await? {
            Fit::Needs(bytes) => return Ok(Next::Needs(bytes)),
            Fit::Fits(mut found) => found.pop().flatten().ok_or(Problem::NotFound(Resource::Attempt))?,
        };
        let (mut bytes, row) = (Vec::new(), row(&self.store, &view, self.rank, false));
        if self.wrap.is_empty() {
            document::write(&row, &mut bytes);
        } else {
            bytes.push(b'{');
            quote(&self.wrap, &mut bytes);
            bytes.push(b':');
            document::write(&row, &mut bytes);
            bytes.push(b'}');
        }
        Ok(Next::Piece { bytes, last: true })
    }
}

const PARAMETERS: &[&str] = &["limit", "cursor", "webhook", "event", "status", "code", "class", "since", "until"];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::outcome::Class;

    const NOW: Timestamp = Timestamp::from_secs(1_000);

    fn asked(text: &str) -> Result<Asked, Problem> {
        let mut query = Query::read(Some(text), PARAMETERS);
        let asked = Asked::from_query(&mut query, NOW);
        query.finish().map(|()| asked)
    }

    #[test]
    fn filters_of_attempts_are_typed() {
        let Ok(typed) = asked("status=failed&code=503&class=5xx&since=10m&webhook=wh_1&event=order-1") else {
            panic!("it is taken")
        };
        assert_eq!((typed.filter.succeeded, typed.filter.code), (Some(false), Some(503)));
        assert_eq!((typed.filter.class, typed.filter.since), (Some(AttemptClass::Hundreds(5)), Some(Timestamp::from_secs(400))));
        assert_eq!((typed.webhook.as_deref(), typed.event.as_deref(), typed.limit), (Some("wh_1"), Some("order-1"), 50));
        let of_class = |name: &str| asked(&format!("class={name}")).ok().and_then(|asked| asked.filter.class);
        assert!(Class::ALL.into_iter().all(|class| of_class(class.name()) == Some(AttemptClass::Failed(class))));
    }

    #[test]
    fn a_filter_of_attempts_that_says_nothing_is_refused() {
        for bad in [
            "status=held",
            "status=",
            "code=99",
            "class=6xx",
            "class=xx",
            "class=05xx",
            "class=slow",
            "until=x",
            "webhook=a/b",
            "type=a",
        ] {
            assert!(asked(bad).is_err(), "{bad}");
        }
    }
}
