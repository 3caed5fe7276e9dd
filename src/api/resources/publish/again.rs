//! `POST /v1/events/{id}/replay`: publishes an event again as a new one, perhaps with other data or for one webhook.

use bytes::Bytes;
use http::StatusCode;

use super::{Draft, Published, Reader, validation};
use crate::api::document::event::Accepted;
use crate::api::request::context::{self, Context};
use crate::api::request::params::Form;
use crate::api::resources::events;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::domain::event::Event;
use crate::domain::resource::Resource;
use crate::store::{Denied, EventReplay, NotReplayed, Publication};

/// Publishes the event that the path names again. The new event has an id of its own; both name the other.
pub(crate) async fn replay(context: &Context<'_>) -> Result<Reply, Problem> {
    let original = events::find(context).await?.key;
    let mut form = Form::read_or_empty(&context.body, &["data", "webhook"])?;
    let id = form.text("webhook");
    let webhook = id.and_then(|id| {
        let found = context.webhook_by_id(&id).ok();
        if found.is_none() {
            form.note("webhook", "is no webhook of the tenant");
        }
        found
    });
    // Null is a value too, as in a publication.
    let data = form.member("data").map(|field| context.body.slice_ref(field.raw.as_bytes()));
    form.finish()?;
    let (event, room) = events::whole(context, original).await?.ok_or(Problem::NotFound(Resource::Event))?;
    let mut publication = again(context, &event, data)?;
    drop(room);
    validation::judge(&context.caller.provider, &mut publication).await?;
    let schema_errors = publication.schema_errors.clone();
    let asked = EventReplay { original, publication, webhook: webhook.as_ref().map(|webhook| webhook.no) };
    let accepted = context.commands().replay_event(asked).await.map_err(|refusal| match (refusal, &webhook) {
        (NotReplayed::Refused(refusal), _) => context.refused(refusal),
        (NotReplayed::Denied(denied), Some(webhook)) => context.denied(webhook, denied),
        (NotReplayed::Denied(denied), None) => denied.into(),
    })?;
    let published = Published { accepted, near: None, schema_errors };
    let document: Accepted<'_> = published.document();
    Ok(context::document(StatusCode::ACCEPTED, context.dialect(), &document))
}

/// The event as a publication of the tenant that the call is about, with other data if that is given.
fn again(context: &Context<'_>, event: &Event, data: Option<Bytes>) -> Result<Publication, Problem> {
    let reader =
        Reader { caller: &context.caller, idempotency_key: None, now: context.api.store.now(), limits: &context.api.rate_limits };
    let body = data.unwrap_or_else(|| event.content.data());
    let text = std::str::from_utf8(&body).map_err(|_| Problem::from(Denied::NoEvent))?;
    let draft = Draft {
        tenant: Some(context.caller.owned()?.tenant),
        kind: (&*event.kind).into(),
        id: None,
        uid: None,
        occurred_at: event.occurred_at,
        attributes: event.attributes.clone(),
        connection: None,
        channels: event.channels.clone(),
        data: text,
    };
    reader.judge(draft, &body)
}
