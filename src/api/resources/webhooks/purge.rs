//! Ending all that waits for a webhook.

use http::StatusCode;

use crate::api::document::webhook::Purging;
use crate::api::request::context::{self, Ask};
use crate::api::request::params::Form;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::told;
use crate::store::{Purge, Status};

/// `POST /v1/webhooks/{id}/purge`: its pending or its held deliveries end as failed, for the reason `cancelled`. The answer says up to
/// which publication; none of those starts any more, and they end one after the other.
pub(crate) async fn purge(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let endpoint = ask.webhook()?;
    let mut form = Form::read(&ask.body, &["status", "until"])?;
    let named = form.required_text("status");
    let status = named.as_deref().and_then(Status::parse).filter(|status| [Status::Pending, Status::Held].contains(status));
    if named.is_some() && status.is_none() {
        form.note("status", "is neither `pending` nor `held`");
    }
    let now = ask.api.store.now();
    let until = form.when("until", now);
    form.finish()?;
    let status = status.unwrap_or(Status::Pending);
    let purge = Purge { held: status == Status::Held, until };
    ask.api.store.purge(endpoint.no, purge).await.map_err(|denied| ask.denied(&endpoint, denied))?;
    told::webhook("purged", &ask.caller, &endpoint);
    let until = until.unwrap_or(now).min(now).into();
    let purging = Purging { id: endpoint.id.to_string(), status, until };
    Ok(context::document(StatusCode::ACCEPTED, &ask.dialect_of(&endpoint), &purging))
}
