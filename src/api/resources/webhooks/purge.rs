//! Ending all that waits for a webhook.

use http::StatusCode;

use crate::api::request::context::{self, Ask};
use crate::api::request::params::Form;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::told;
use crate::store::Purge;

/// `POST /v1/webhooks/{id}/purge`: its pending or its held deliveries end as failed, for the reason `cancelled`. The answer says up to
/// which publication; none of those starts any more, and they end one after the other.
pub(crate) async fn purge(ask: &Ask<'_>) -> Result<Reply, Problem> {
    let endpoint = ask.webhook()?;
    let mut form = Form::read(&ask.body, &["status", "until"])?;
    let status = form.required_text("status");
    if status.as_deref().is_some_and(|status| ![PENDING, HELD].contains(&status)) {
        form.note("status", "is neither `pending` nor `held`");
    }
    let now = ask.api.store.now();
    let until = form.when("until", now);
    form.finish()?;
    let status = if status.as_deref() == Some(HELD) { HELD } else { PENDING };
    let purge = Purge { held: status == HELD, until };
    ask.api.store.purge(endpoint.no, purge).await.map_err(|denied| ask.denied(&endpoint, denied))?;
    told::webhook("purged", &ask.caller, &endpoint);
    Ok(context::object(StatusCode::ACCEPTED, &ask.dialect_of(&endpoint), |object| {
        object.text("id", &endpoint.id);
        object.text("status", status);
        object.time("until", Some(until.unwrap_or(now).min(now)));
    }))
}

const PENDING: &str = "pending";
const HELD: &str = "held";
