//! The audit log, for the operator.

use serde_json::value::RawValue;

use crate::api::document::audit::{Actor, Entry, Object};
use crate::api::request::context::Context;
use crate::api::request::cursor;
use crate::api::request::params::Query;
use crate::api::response::page::{Frame, Listed, documents, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::id::Node;
use crate::store::{AuditFilter, AuditRow, Owned};

/// `GET /v1/admin/audit`: every change, newest first; `?actor=` by whom, `?object=` of what, `?call=` by which call, `?since=` and
/// `?until=` when.
pub(crate) async fn list(context: &Context<'_>) -> Result<Reply, Problem> {
    let (store, node) = (&context.api.store, context.api.store.node());
    let mut query = context.query(&["limit", "cursor", "actor", "object", "call", "since", "until"]);
    let (limit, before) = (query.limit(), cursor::from_query(&mut query));
    let (since, until) = query.window(store.now());
    let [actor, object, call] = ["actor", "object", "call"].map(|name| named(&mut query, name));
    query.finish()?;
    let found = store.audit(AuditFilter { actor, object, call, since, until }, before, limit).await?;
    let next = found.next.as_ref().map(cursor::encode);
    let rows = documents(move |row: &AuditRow| Ok(entry(row, node)));
    page(context, Frame::default(), Listed::found(found.rows, next, |row| cursor::encode(&row.key), rows)).await
}

fn named(query: &mut Query, name: &'static str) -> Option<Box<str>> {
    query.read_with(name, "is empty, or longer than 1024 bytes", |text| {
        (1..=TEXT_BYTES_MAX).contains(&text.len()).then(|| text.into())
    })
}

fn entry(row: &AuditRow, node: Node) -> Entry {
    let AuditRow { key, at, origin, object, before, after, .. } = row;
    let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    // What is kept was printed as JSON.
    let raw = |text: &Option<Box<str>>| text.as_ref().and_then(|text| RawValue::from_string(text.to_string()).ok());
    Entry {
        id: node.audit_id(*key),
        at: (*at).into(),
        actor: Actor { kind: origin.actor.kind.name().into(), id: text(&origin.actor.id), name: origin.actor.name.to_string() },
        address: text(&origin.address),
        call: origin.call.to_string(),
        object: Object {
            kind: object.kind.name().into(),
            id: object.id.to_string(),
            name: object.name.to_string(),
            tenant: object.owner.as_ref().map(|Owned { provider, tenant }| format!("{provider}/{tenant}")),
        },
        before: raw(before),
        after: raw(after),
    }
}

/// A path, or the name of a key, is longer than an id.
const TEXT_BYTES_MAX: usize = 1_024;
