//! Ending all that waits for a webhook.

use http::StatusCode;

use crate::api::document::webhook::Purging;
use crate::api::request::context::{self, Context};
use crate::api::request::params::Form;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::told;
use crate::store::{Purge, Status};

/// `POST /v1/webhooks/{id}/purge`: its pending or its held deliveries end as failed, for the reason `cancelled`. The answer says up to
/// which publication; none of those starts any more, and they end one after the other.
pub(crate) async fn purge(context: &Context<'_>) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    let mut form = Form::read(&context.body, &["status", "until"])?;
    let named = form.required_text("status");
    let status = named.as_deref().and_then(Status::parse).filter(|status| [Status::Pending, Status::Held].contains(status));
    if named.is_some() && status.is_none() {
        form.note("status", "is neither `pending` nor `held`");
    }
    let now = context.api.store.now();
    let until = form.when("until", now);
    form.finish()?;
    let status = status.unwrap_or(Status::Pending);
    let purge = Purge { held: status == Status::Held, until };
    context.commands().purge(endpoint.no, purge).await.map_err(|denied| context.denied(&endpoint, denied))?;
    told::webhook("purged", &context.caller, &endpoint);
    let until = until.unwrap_or(now).min(now).into();
    let purging = Purging { id: endpoint.id.to_string(), status, until };
    Ok(context::document(StatusCode::ACCEPTED, &context.dialect_of(&endpoint), &purging))
}
