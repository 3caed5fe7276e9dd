//! Lines about webhooks: judged as those that are made, and put in the place of the one with the same id.

use super::{Refused, done};
use crate::api::document::backup::export::{self, Imported, Status, WebhookOwner};
use crate::api::random;
use crate::api::request::auth::Rank;
use crate::api::request::context::Context;
use crate::api::request::params::Form;
use crate::api::resources::webhooks::{DEFINITION, Given, Rules};
use crate::api::response::problem::Problem;
use crate::docs::problem::ProblemType;
use crate::domain::access::Scopes;
use crate::domain::dialect::Dialect;
use crate::domain::id::{has_own_form, is_name};
use crate::domain::webhook::endpoint::{Definition, Endpoint, LiveSecret, Owner, WebhookState, Why};
use crate::domain::webhook::pattern::Pattern;
use crate::store::{OldWebhook, Owned};

pub(super) async fn import(context: &Context<'_>, line: export::Webhook) -> Refused<Imported> {
    let provider = context.settings.known_provider(&line.provider)?.clone();
    let provider = context.api.catalogues.provider(provider, &context.api.store);
    if line.owner == WebhookOwner::File {
        return of_file(context, &line);
    }
    let known = context.api.store.webhook(&line.id);
    let old = read(context, &provider.dialect, &line)?;
    if known.as_ref().is_some_and(|known| (&known.provider, &known.tenant) != (&old.owned.provider, &old.owned.tenant)) {
        return Err(Problem::Conflict(format!("the webhook {} is there already, of another tenant", line.id)));
    }
    if known.as_ref().is_some_and(|known| is_same(known, &old, &line)) {
        return Ok(done(Status::Left));
    }
    let (is_new, without_secrets) = (known.is_none(), line.secrets.is_none());
    let no = known.as_ref().map(|known| known.no);
    let imported = context.commands().import_webhook(no, old).await;
    imported.map_err(|denied| match &known {
        Some(known) => context.denied(known, denied),
        None => denied.into(),
    })?;
    let status = if is_new { Status::Added } else { Status::Changed };
    Ok(Imported { detail: (is_new && without_secrets).then(|| left_to_do(&line)), ..done(status) })
}

/// What a person has to do about a webhook whose secrets are not in the file.
fn left_to_do(line: &export::Webhook) -> String {
    let shown = format!("it has a new secret, which `hookwheel webhooks secret {}` shows", line.id);
    match &line.left_out[..] {
        [] => shown,
        names => format!("{shown}; it is disabled until you set {} again and enable it", names.join(", ")),
    }
}

/// A webhook of the config file is known by its tenant and name, and is as the file of this relay says.
fn of_file(context: &Context<'_>, line: &export::Webhook) -> Refused<Imported> {
    let name = read_name(line)?;
    let owned = Owned { provider: line.provider.as_str().into(), tenant: line.tenant.as_str().into() };
    let found = context.api.store.webhooks_named(&owned, &name);
    match found.iter().find(|found| found.is_file_owned()) {
        Some(found) => {
            let id = (*found.id != *line.id).then(|| found.id.to_string());
            Ok(Imported { id, ..done(Status::Left) })
        }
        None => Err(Problem::Told(
            ProblemType::FileOwned,
            format!(
                "the webhook `{name}` of {}/{} belonged to the config file; add it to {}, run `hookwheel reload`, and import again",
                line.provider, line.tenant, context.settings.file
            ),
        )),
    }
}

fn read_name(line: &export::Webhook) -> Refused<String> {
    let mut form = Form::read(line.definition.get().as_bytes(), DEFINITION)?;
    Ok(form.text("name").unwrap_or_default().into_owned())
}

/// Whether a webhook is what its line says; of a line without secrets what is no secret.
fn is_same(known: &Endpoint, old: &OldWebhook, line: &export::Webhook) -> bool {
    let (is, wanted) = (&known.definition, &old.definition);
    let same_words =
        (&is.name, &is.description, &is.url, &is.events) == (&wanted.name, &wanted.description, &wanted.url, &wanted.events);
    let differing = is.settings.differences(&wanted.settings);
    let same_settings = differing.iter().all(|name| line.left_out.iter().any(|left_out| left_out == name));
    let secrets = |all: &[LiveSecret]| all.iter().map(|held| (held.secret.clone(), held.until)).collect::<Vec<_>>();
    let same_secrets = old.secrets.as_ref().is_none_or(|wanted| secrets(wanted) == secrets(&known.secrets));
    // A webhook that came without its credentials was disabled by its import, or has got them since.
    let same_state = !line.left_out.is_empty() || known.state == old.state;
    same_words && same_settings && same_secrets && same_state && known.owner == old.owner
}

fn read(context: &Context<'_>, dialect: &Dialect, line: &export::Webhook) -> Refused<OldWebhook> {
    if !(has_own_form(&line.id) && line.id.starts_with("wh_")) {
        return Err(Problem::field("/id", "is no id of a webhook: wh_ and a ULID"));
    }
    if !is_name(&line.tenant) {
        return Err(Problem::field("/tenant", "is not 1 to 64 of A-Za-z0-9_-"));
    }
    let state = match &line.disabled {
        Some(disabled) => WebhookState::Disabled { at: disabled.at.0, why: why(disabled.why) },
        // Its attempts would lack what lets them in.
        None if !line.left_out.is_empty() => WebhookState::Disabled { at: context.api.store.now(), why: Why::ByHand },
        None => WebhookState::Active,
    };
    Ok(OldWebhook {
        id: line.id.as_str().into(),
        owned: Owned { provider: line.provider.as_str().into(), tenant: line.tenant.as_str().into() },
        definition: definition(context, dialect, line)?,
        owner: match &line.owner {
            WebhookOwner::File | WebhookOwner::Operator => Owner::Operator,
            WebhookOwner::Key(id) => Owner::Key(id.as_str().into()),
            WebhookOwner::Provider(id) => Owner::Provider(id.as_str().into()),
        },
        created_at: line.created_at.0,
        changed_at: line.changed_at.0,
        state,
        failures: line.failures,
        secrets: line.secrets.as_deref().map(|secrets| live(dialect, secrets)).transpose()?,
        fresh_secret: match (&line.secrets, &dialect.signature) {
            (None, Some(_)) => Some(dialect.api.secret_format.generate(&random::bytes()?)),
            _ => None,
        },
    })
}

/// What the line defines, judged as a webhook that is made; it may go on to subscribe to types that the catalogue lacks.
fn definition(context: &Context<'_>, dialect: &Dialect, line: &export::Webhook) -> Refused<Definition> {
    let mut form = Form::read(line.definition.get().as_bytes(), DEFINITION)?;
    let held: Vec<Pattern> = form.texts("events").iter().flatten().filter_map(|text| Pattern::parse(text).ok()).collect();
    let may_name_proxies = line.proxy_of_operator || line.owner == WebhookOwner::Operator;
    let rank = if may_name_proxies { Rank::Operator } else { Rank::Tenant(Scopes::ALL) };
    let given = Given::take(&mut form, Rules { rank, settings: context.settings, dialect, held: &held });
    form.finish()?;
    Ok(given.whole())
}

fn live(dialect: &Dialect, secrets: &[export::LiveSecret]) -> Refused<Vec<LiveSecret>> {
    let one = |(index, held): (usize, &export::LiveSecret)| {
        let secret = dialect.api.secret_format.accept(&held.secret);
        let secret = secret.map_err(|reason| Problem::field(format!("/secrets/{index}/secret"), reason.to_string()))?;
        Ok(LiveSecret { secret, until: held.until.map(|at| at.0) })
    };
    match secrets {
        [] if dialect.signature.is_some() => Err(Problem::field("/secrets", "is empty, and the dialect signs")),
        secrets => secrets.iter().enumerate().map(one).collect(),
    }
}

fn why(why: export::Why) -> Why {
    match why {
        export::Why::Failures(count) => Why::Failures(count),
        export::Why::Gone => Why::Gone,
        export::Why::Held => Why::Held,
        export::Why::ByHand => Why::ByHand,
    }
}
