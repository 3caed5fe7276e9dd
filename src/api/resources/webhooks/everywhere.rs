//! The webhooks of many tenants, for an operator or their provider: which of them fail, and how.

use super::definition::{name_of, uid_of};
use super::show::document;
use crate::api::request::context::Context;
use crate::api::request::cursor;
use crate::api::request::whose::Whose;
use crate::api::response::page::{Frame, Listed, documents, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::id::EndpointNo;
use crate::store::{WebhookFilter, WebhookPage};

/// `GET /v1/admin/webhooks`: all of them, oldest first, each with its provider, tenant and owner, its failures in a row and its last
/// result; `?tenant=` those of one or of a provider, `?name=` those of a name, `?uid=` those of a uid, `?failing=true` those that fail,
/// `?metadata.NAME=VALUE` those whose metadata has that.
pub(crate) async fn list_all(context: &Context<'_>) -> Result<Reply, Problem> {
    let found = search(context, None).await?;
    let next = found.next.as_ref().map(cursor::encode);
    let rows = documents(|view| Ok(document(view)));
    page(context, Frame::default(), Listed::found(found.views, next, |view| cursor::encode(&view.endpoint.no), rows)).await
}

/// Reads a page of the webhooks that the query asks for, of the tenants that the caller may see; `most` is put before the query's limit.
pub(in crate::api) async fn search(context: &Context<'_>, most: Option<usize>) -> Result<WebhookPage, Problem> {
    let mut query = context.query(&["limit", "cursor", "tenant", "name", "uid", "failing", "metadata.*"]);
    let metadata = query.under("metadata.");
    let (limit, after): (usize, EndpointNo) = (query.limit(), cursor::from_query(&mut query).unwrap_or_default());
    let (whose, name, uid) = (Whose::from_query(&mut query), name_of(&mut query), uid_of(&mut query));
    let failing = query.boolean("failing");
    query.finish()?;
    let filter = WebhookFilter { of: whose.check(context)?.owners(), name: name.map(Into::into), uid, failing, metadata };
    Ok(context.api.store.webhooks_where(filter, after, most.unwrap_or(limit)).await?)
}
