//! Webhooks: made, listed, changed, switched on and off, deleted. Each answer looks as the webhook's dialect says.

mod definition;
mod everywhere;
mod expand;
mod filter_test;
mod purge;
mod secrets;
mod show;
mod stats;
mod trial;

use std::sync::Arc;

use http::StatusCode;

use crate::api::document;
use crate::api::document::members::Members;
use crate::api::document::webhook::{InDialect, Member, Recovered};
use crate::api::request::auth::Rank;
use crate::api::request::context::{self, Context};
use crate::api::request::cursor;
use crate::api::request::params::{BEFORE_SINCE, Form};
use crate::api::response::page::{Frame, Listed, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::told;
use crate::clock;
use crate::domain::dialect::{Dialect, WebhookField};
use crate::domain::webhook::endpoint::{Definition, Endpoint};
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::WebhookSettings;
use crate::store::{NewWebhook, Owners, Recover, WebhookFilter, WebhookView};
pub(in crate::api) use definition::{DEFINITION, Given, Rules};
use definition::{PATCHED, Switch};
use expand::{Expand, expand, expand_of};
use show::Shown;

pub(crate) use everywhere::list_all;
pub(in crate::api) use everywhere::search;
pub(crate) use filter_test::filter_test;
pub(crate) use purge::purge;
pub(crate) use secrets::{rotate_secret, show_secret};
pub(crate) use stats::stats;
pub(crate) use trial::{test_all, test_one};
pub(in crate::api) use {secrets::rotated, stats::of_day, trial::tested};

/// `POST /v1/webhooks`: the one answer, besides a rotation's, that shows the secret.
pub(crate) async fn create(context: &Context<'_>) -> Result<Reply, Problem> {
    let expand = expand(context)?;
    let (endpoint, secret) = created(context).await?;
    Ok(with_secret(context, StatusCode::CREATED, &endpoint, secret.as_ref(), expand, []).await)
}

/// Makes the webhook that the body defines. Returns it with its secret, which is `None` where the dialect signs nothing.
pub(in crate::api) async fn created(context: &Context<'_>) -> Result<(Arc<Endpoint>, Option<Secret>), Problem> {
    let (owned, owner, dialect) = (context.caller.owned()?, context.caller.owner(), context.dialect());
    let mut form = Form::read(&context.body, DEFINITION)?;
    let given = Given::take(&mut form, rules(context, dialect, &[]));
    let secret = secrets::take_or_make(&mut form, dialect)?;
    form.finish()?;
    let definition = given.whole();
    let limit = dialect.api.max_webhooks_per_key;
    let file_keys = context.settings.keys().map(|key| key.id.clone()).collect();
    let new = NewWebhook {
        owned,
        definition,
        owner,
        secret: secret.clone(),
        limit,
        file_keys,
        restores: context.caller.rank == Rank::Operator,
    };
    context.api.creations.take(&context.caller, clock::steady())?;
    let made = context.commands().create_webhook(new).await.inspect_err(|_| context.api.creations.give_back(&context.caller));
    let endpoint = made?;
    told::webhook("made", &context.caller, &endpoint);
    Ok((endpoint, secret))
}

/// `GET /v1/webhooks`, oldest first; `?name=` finds one by its name, or several of an earlier release's store, `?uid=` one by its uid, and
/// `?metadata.NAME=VALUE` those whose metadata has that.
pub(crate) async fn list(context: &Context<'_>) -> Result<Reply, Problem> {
    let owned = context.caller.owned()?;
    let mut query = context.query(&["limit", "cursor", "name", "uid", "expand", "metadata.*"]);
    let metadata = query.under("metadata.");
    let expand = expand_of(&mut query);
    let (limit, after) = (query.limit(), cursor::from_query(&mut query).unwrap_or_default());
    let (name, uid) = (definition::name_of(&mut query), definition::uid_of(&mut query));
    query.finish()?;
    let (store, dialect, is_tenant) = (&context.api.store, context.dialect().clone(), context.caller.is_tenant());
    let (found, next) = match name {
        Some(name) => {
            let mut found = store.webhooks_named(&owned, &name);
            let is_meant = |settings: &WebhookSettings| uid.is_none() || settings.uid == uid;
            found.retain(|endpoint| is_meant(&endpoint.definition.settings));
            found.retain(|endpoint| endpoint.definition.settings.metadata.has_all(&metadata));
            (store.webhook_views(found).await?, None)
        }
        None => {
            let filter = WebhookFilter { of: Owners::Tenant(owned), name: None, uid, failing: None, metadata };
            let page = store.webhooks_where(filter, after, limit).await?;
            (page.views, page.next)
        }
    };
    let next = next.as_ref().map(cursor::encode);
    let defaults = context.settings.defaults;
    let print = move |view: &WebhookView, into: &mut Vec<u8>| {
        document::write(&shown(Shown { view, secret: None, expand, defaults }, &dialect, is_tenant), into);
        Ok(())
    };
    let rows = Listed::found(found, next, |view| cursor::encode(&view.endpoint.no), print);
    page(context, Frame::new(context.dialect()), rows).await
}

/// `GET /v1/webhooks/{id}`
pub(crate) async fn show(context: &Context<'_>) -> Result<Reply, Problem> {
    let (endpoint, expand) = (context.webhook()?, expand(context)?);
    Ok(answer(context, &endpoint, expand).await)
}

/// `PUT /v1/webhooks/{id}`: sets all that create sets but the secret. Settings that the answer does not show stay, unless they are
/// named: the caller cannot know of them.
pub(crate) async fn put(context: &Context<'_>) -> Result<Reply, Problem> {
    let (endpoint, expand) = (context.webhook()?, expand(context)?);
    let dialect = context.dialect_of(&endpoint);
    let mut form = Form::read(&context.body, DEFINITION)?;
    let given = Given::take(&mut form, rules(context, &dialect, &endpoint.definition.events));
    secrets::refuse(&mut form);
    form.finish()?;
    let are_hidden = !shows_settings(context, &dialect, expand);
    let redefine = move |before: &Definition| if are_hidden { given.whole_beside_settings_of(before) } else { given.whole() };
    let changed = context.commands().update_webhook(endpoint.no, redefine).await;
    Ok(answer(context, &changed.map_err(|denied| context.denied(&endpoint, denied))?, expand).await)
}

/// Whether the answer to this request shows the settings of a webhook.
fn shows_settings(context: &Context<'_>, dialect: &Dialect, expand: Expand) -> bool {
    !context.caller.is_tenant() || expand == Expand::Settings || dialect.api.webhook.contains(&WebhookField::Settings)
}

/// `PATCH /v1/webhooks/{id}`: sets what is given; `status` or `is_active` switches it on or off.
pub(crate) async fn patch(context: &Context<'_>) -> Result<Reply, Problem> {
    let (mut endpoint, expand) = (context.webhook()?, expand(context)?);
    let dialect = context.dialect_of(&endpoint);
    let mut form = Form::read(&context.body, PATCHED)?;
    let given = Given::take_some(&mut form, rules(context, &dialect, &endpoint.definition.events));
    let switch = Switch::take(&mut form);
    secrets::refuse(&mut form);
    form.finish()?;
    let changes = given.clone().over(&endpoint.definition) != endpoint.definition;
    // The file's own is refused by the store, also where nothing would change.
    if changes || (switch.is_none() && endpoint.is_file_owned()) {
        let redefine = move |definition: &Definition| given.over(definition);
        let changed = context.commands().update_webhook(endpoint.no, redefine).await;
        endpoint = changed.map_err(|denied| context.denied(&endpoint, denied))?;
    }
    let switched = match switch {
        Some(Switch::On) if !endpoint.is_active() => context.commands().enable_webhook(endpoint.no).await,
        Some(Switch::Off) if endpoint.is_active() || endpoint.is_removed() => {
            context.commands().disable_webhook(endpoint.no).await
        }
        _ => return Ok(answer(context, &endpoint, expand).await),
    };
    Ok(answer(context, &switched.map_err(|denied| context.denied(&endpoint, denied))?, expand).await)
}

/// `DELETE /v1/webhooks/{id}`
pub(crate) async fn delete(context: &Context<'_>) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    context.commands().delete_webhook(endpoint.no).await.map_err(|denied| context.denied(&endpoint, denied))?;
    told::webhook("deleted", &context.caller, &endpoint);
    Ok(Reply::no_content())
}

/// `POST /v1/webhooks/{id}/enable`
pub(crate) async fn enable(context: &Context<'_>) -> Result<Reply, Problem> {
    let (endpoint, expand) = (context.webhook()?, expand(context)?);
    Form::read_or_empty(&context.body, &[])?.finish()?;
    let enabled = context.commands().enable_webhook(endpoint.no).await;
    Ok(answer(context, &enabled.map_err(|denied| context.denied(&endpoint, denied))?, expand).await)
}

/// `POST /v1/webhooks/{id}/disable`
pub(crate) async fn disable(context: &Context<'_>) -> Result<Reply, Problem> {
    let (endpoint, expand) = (context.webhook()?, expand(context)?);
    Form::read_or_empty(&context.body, &[])?.finish()?;
    let disabled = context.commands().disable_webhook(endpoint.no).await;
    Ok(answer(context, &disabled.map_err(|denied| context.denied(&endpoint, denied))?, expand).await)
}

/// `POST /v1/webhooks/{id}/recover`: `failed` deliveries, `missed` events, or both.
pub(crate) async fn recover(context: &Context<'_>) -> Result<Reply, Problem> {
    let endpoint = context.webhook()?;
    let mut form = Form::read(&context.body, &["since", "until", "status"])?;
    form.required("since");
    let now = context.api.store.now();
    let (since, until) = (form.when("since", now).unwrap_or_default(), form.when("until", now));
    let status = form.text("status");
    let what = match status.as_deref() {
        None => Recover { failed: true, missed: true },
        Some(word) => Recover { failed: word == "failed", missed: word == "missed" },
    };
    if !(what.failed || what.missed) {
        form.note("status", "is neither `failed` nor `missed`; left out, both are recovered");
    }
    match until {
        Some(until) if until < since => form.note("until", BEFORE_SINCE),
        None if now < since => form.note("since", "is in the future"),
        _ => {}
    }
    form.finish()?;
    let until = until.unwrap_or(now);
    let count =
        context.commands().recover(endpoint.no, since, until, what).await.map_err(|denied| context.denied(&endpoint, denied))?;
    let dialect = context.dialect_of(&endpoint);
    Ok(context::document(StatusCode::ACCEPTED, &dialect, &Recovered { count }))
}

fn rules<'a>(context: &Context<'a>, dialect: &'a Dialect, held: &'a [Pattern]) -> Rules<'a> {
    Rules { rank: context.caller.rank, settings: context.settings, dialect, held }
}

async fn answer(context: &Context<'_>, endpoint: &Arc<Endpoint>, expand: Expand) -> Reply {
    with_secret(context, StatusCode::OK, endpoint, None, expand, []).await
}

/// A webhook as its dialect shows it, with its secret where that is new, and with what `more` adds.
async fn with_secret(
    context: &Context<'_>,
    status: StatusCode,
    endpoint: &Arc<Endpoint>,
    secret: Option<&Secret>,
    expand: Expand,
    more: impl IntoIterator<Item = (&'static str, Member<'static>)>,
) -> Reply {
    let (dialect, view, is_tenant) = (context.dialect_of(endpoint), context.view(endpoint).await, context.caller.is_tenant());
    let Members(mut members) =
        shown(Shown { view: &view, secret, expand, defaults: context.settings.defaults }, &dialect, is_tenant);
    more.into_iter().for_each(|member| members.push(member));
    context::document(status, &dialect, &Members(members))
}

/// A tenant sees what its dialect shows, who stands above it the rest too.
fn shown<'a>(shown: Shown<'a>, dialect: &Dialect, is_tenant: bool) -> InDialect<'a> {
    Members(if is_tenant { shown.members(dialect) } else { shown.all_members(dialect) })
}
