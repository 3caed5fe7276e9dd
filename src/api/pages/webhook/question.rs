//! The pages that ask before a secret is rotated or a webhook is deleted, and the page that shows a new secret.

use bytes::Bytes;

use crate::api::pages::deliveries::{called, told};
use crate::api::pages::html;
use crate::api::pages::session::{Made, Unseen};
use crate::api::pages::visit::Visit;
use crate::api::request::context::Context;
use crate::api::request::route::Call;
use crate::api::resources::webhooks::{delete as delete_webhook, rotated};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::store::{Denied, Filter, Of};
use crate::ui::frame::Viewer;
use crate::ui::webhook::question::{self, Asked};
use crate::ui::webhook::secret::{Came, New, show};

/// `GET /ui/webhooks/{id}/rotate`
pub(in crate::api::pages) async fn ask_rotate(
    visit: &Visit<'_>,
    viewer: &Viewer<'_>,
    context: &Context<'_>,
) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    let dialect = context.dialect_of(&endpoint);
    let signature = dialect.signature.as_ref();
    let signature = signature.ok_or_else(|| Problem::Conflict(format!("the dialect {} signs nothing", dialect.name)))?;
    let overlap = signature.overlap.then_some(context.settings.rotation_overlap);
    let name = called(&endpoint);
    let asked = Asked { id: &endpoint.id, name: &name, url: &endpoint.definition.url };
    visit.page_of(context, question::rotate(viewer, asked, overlap)).await
}

/// `POST /ui/webhooks/{id}/rotate`: leads to the page that shows the new secret once.
pub(in crate::api::pages) async fn rotate(
    visit: &Visit<'_>,
    viewer: &Viewer<'_>,
    context: Context<'_>,
) -> Result<Reply, Problem> {
    let new = rotated(&visit.as_call(Call::RotateSecret, Bytes::new(), context)?).await?;
    let path = html::path("/ui/webhooks", &new.endpoint.id);
    let made = Made::ByRotation(new.previous_until);
    visit.keep(Unseen { webhook: new.endpoint.id.clone(), secret: new.secret, made });
    Ok(html::see_other(&viewer.links().to(&format!("{path}/secret"), &[])))
}

/// `GET /ui/webhooks/{id}/secret`: the new secret, for the session that made it, and once.
pub(in crate::api::pages) async fn secret(
    visit: &Visit<'_>,
    viewer: &Viewer<'_>,
    context: &Context<'_>,
) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    let (name, dialect, unseen) = (called(&endpoint), context.dialect_of(&endpoint), visit.take_unseen(&endpoint.id));
    let came = |made| match made {
        Made::WithWebhook => Came::WithWebhook,
        Made::ByRotation(until) => Came::ByRotation(until),
    };
    let new = New {
        id: &endpoint.id,
        name: &name,
        url: &endpoint.definition.url,
        secret: unseen.as_ref().map(|unseen| (unseen.secret.expose(), came(unseen.made))),
        header: dialect.signature.as_ref().map(|signature| &*signature.header),
        now: context.api.store.now(),
    };
    visit.page_of(context, show(viewer, new)).await
}

/// `GET /ui/webhooks/{id}/delete`
pub(in crate::api::pages) async fn ask_delete(
    visit: &Visit<'_>,
    viewer: &Viewer<'_>,
    context: &Context<'_>,
) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    if endpoint.is_file_owned() && !endpoint.is_removed() {
        return Err(context.denied(&endpoint, Denied::FileOwned));
    }
    let waiting = context.api.store.delivery_counts(Of::Webhook(endpoint.no), Filter::default()).await?;
    let name = called(&endpoint);
    let asked = Asked { id: &endpoint.id, name: &name, url: &endpoint.definition.url };
    visit.page_of(context, question::delete(viewer, asked, told(waiting))).await
}

/// `POST /ui/webhooks/{id}/delete`
pub(in crate::api::pages) async fn delete(
    visit: &Visit<'_>,
    viewer: &Viewer<'_>,
    context: Context<'_>,
) -> Result<Reply, Problem> {
    delete_webhook(&visit.as_call(Call::DeleteWebhook, Bytes::new(), context)?).await?;
    Ok(html::see_other(&viewer.links().to("/ui/webhooks", &[("done", "delete")])))
}
