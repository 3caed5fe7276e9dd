//! Connections: spans of time in which deliveries keep the URLs that webhooks had at their beginning.

use http::StatusCode;

use crate::api::document::session::{self as document, Pinned};
use crate::api::request::context::{self, Context};
use crate::api::request::params::Form;
use crate::api::request::target::TARGET;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::id::is_name;
use crate::store::{Connection, NewConnection, Owned};

/// `POST /v1/connections`: pins the URLs of the tenant's webhooks, or of the one that `link` names. 200 for one that is open.
pub(crate) async fn open(context: &Context<'_>) -> Result<Reply, Problem> {
    pins(context)?;
    let mut form = Form::read(&context.body, &["id", "link", "tenant"])?;
    let owned = owned(context, "/tenant", form.text("tenant").as_deref())?;
    if !context.caller.makes_tenant() {
        context.api.store.check_tenant(&owned)?;
    }
    let id = form.required_text("id");
    if id.as_deref().is_some_and(|id| !is_name(id)) {
        form.note("id", NO_NAME);
    }
    let id = id.unwrap_or_default();
    let link = form.text("link");
    let names_one = |link: &str| context.api.store.webhooks_named(&owned, link).iter().any(|endpoint| endpoint.is_subscribed());
    if link.as_deref().is_some_and(|link| !names_one(link)) {
        form.note("link", "names no webhook of this tenant");
    }
    form.finish()?;
    let new = NewConnection { owned, id: (&*id).into(), link: link.map(Into::into) };
    let (connection, was_open) = context.api.store.open_connection(new).await?;
    let status = if was_open { StatusCode::OK } else { StatusCode::CREATED };
    Ok(answer(context, status, &id, &connection))
}

/// `DELETE /v1/connections/{id}`: deliveries that are made keep their URL, the next ones take the one of then.
pub(crate) async fn close(context: &Context<'_>) -> Result<Reply, Problem> {
    pins(context)?;
    let query = context.query(&["tenant"]);
    let owned = owned(context, "?tenant", query.text("tenant"))?;
    query.finish()?;
    context.api.store.close_connection(owned, context.id).await?;
    Ok(Reply::no_content())
}

fn answer(context: &Context<'_>, status: StatusCode, id: &str, connection: &Connection) -> Reply {
    let known = connection.urls.iter().filter_map(|(no, url)| Some((context.api.store.webhook_no(*no)?, url)));
    let webhooks = known.map(|(endpoint, url)| Pinned { id: endpoint.id.to_string(), url: url.to_string() }).collect();
    let link = connection.link.as_deref().map(Into::into);
    let opened_at = connection.opened_at.into();
    context::document(status, context.dialect(), &document::Connection { id: id.into(), link, opened_at, webhooks })
}

fn pins(context: &Context<'_>) -> Result<(), Problem> {
    let dialect = context.dialect();
    let refused = || Problem::Wrong(format!("webhooks of the dialect {} keep no URL for a connection", dialect.name));
    if dialect.delivery.pin_url { Ok(()) } else { Err(refused()) }
}

/// The caller's tenant, or the one that a provider's key names.
fn owned(context: &Context<'_>, pointer: &str, named: Option<&str>) -> Result<Owned, Problem> {
    match (context.caller.tenant(), named) {
        (Some(own), Some(named)) if own != named => {
            Err(Problem::Forbidden("this key opens and closes connections of its own tenant alone".into()))
        }
        (None, Some(named)) if is_name(named) => {
            Ok(Owned { provider: (&*context.caller.provider.name).into(), tenant: named.into() })
        }
        (None, Some(_)) => Err(Problem::field(pointer, NO_NAME)),
        (None, None) => {
            Err(Problem::field(pointer, format!("is missing; a provider's key names the tenant, here or as {TARGET}")))
        }
        (Some(_), _) => context.caller.owned(),
    }
}

const NO_NAME: &str = "is not 1 to 64 of A-Za-z0-9_-";
