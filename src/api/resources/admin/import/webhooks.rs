//! Lines about webhooks: judged as those that are made, and of one that stands only what its line tells is changed.

use super::{OUT_OF_FILE, Refused, done, kept_away};
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
use crate::domain::webhook::settings::is_sealed;
use crate::store::{OldWebhook, Owned, SECRETS_MAX};

pub(super) async fn import(context: &Context<'_>, line: export::Webhook) -> Refused<Imported> {
    let provider = context.settings.known_provider(&line.provider)?.clone();
    let provider = context.api.catalogues.provider(provider, &context.api.store);
    if line.owner == WebhookOwner::File {
        return of_file(context, &line);
    }
    let (old, given) = read(context, &provider.dialect, &line)?;
    let redefine = move |before: &Definition| told(&given, before);
    let Some(known) = context.api.store.webhook(&line.id) else {
        let imported = context.commands().import_webhook(None, old, redefine).await;
        let detail = line.secrets.is_none().then(|| left_to_do(&line));
        return kept_away(imported.map(|_| Imported { detail, ..done(Status::Added) }));
    };
    let detail = stays(&known, &old, &line);
    let is_of_another = (&known.provider, &known.tenant) != (&old.owned.provider, &old.owned.tenant);
    if !is_of_another && redefine(&known.definition) == known.definition {
        return Ok(Imported { detail, ..done(Status::Left) });
    }
    let imported = context.commands().import_webhook(Some(known.no), old, redefine).await;
    match kept_away(imported.map(|_| Imported { detail, ..done(Status::Changed) })) {
        Err(Problem::Denied(denied)) => Err(context.denied(&known, denied)),
        result => result,
    }
}

/// What the line tells, over what stands. Credentials stay, and so does what the line does not name.
fn told(given: &Given, before: &Definition) -> Definition {
    let after = given.clone().over(before);
    let settings = after.settings.with_credentials_of(&before.settings);
    Definition { settings, ..after }
}

/// What of a webhook that stands is otherwise in the file, and stays. `None`: nothing is.
fn stays(known: &Endpoint, old: &OldWebhook, line: &export::Webhook) -> Option<String> {
    let secrets = |all: &[LiveSecret]| all.iter().map(|held| (held.secret.clone(), held.until)).collect::<Vec<_>>();
    let has_other_secrets = old.secrets.as_ref().is_some_and(|wanted| secrets(wanted) != secrets(&known.secrets));
    let was_disabled = line.disabled.is_some();
    let mut names: Vec<&str> = Vec::new();
    if known.is_removed() {
        return Some(OUT_OF_FILE.into());
    }
    if was_disabled == known.is_active() {
        names.push("its state");
    }
    if has_other_secrets {
        names.push("its secrets");
    }
    let is_sealed = |name: &&str| is_sealed(name) && !line.left_out.iter().any(|left_out| left_out == name);
    names.extend(known.definition.settings.differences(&old.definition.settings).into_iter().filter(is_sealed));
    (!names.is_empty()).then(|| format!("an import never changes {}: they stay as they are here", names.join(", ")))
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

fn read(context: &Context<'_>, dialect: &Dialect, line: &export::Webhook) -> Refused<(OldWebhook, Given)> {
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
    let given = given(context, dialect, line)?;
    let old = OldWebhook {
        id: line.id.as_str().into(),
        owned: Owned { provider: line.provider.as_str().into(), tenant: line.tenant.as_str().into() },
        definition: given.clone().whole(),
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
    };
    Ok((old, given))
}

/// What the line defines, judged as a webhook that is made; it may go on to subscribe to types that the catalogue lacks.
fn given(context: &Context<'_>, dialect: &Dialect, line: &export::Webhook) -> Refused<Given> {
    let mut form = Form::read(line.definition.get().as_bytes(), DEFINITION)?;
    let held: Vec<Pattern> = form.texts("events").iter().flatten().filter_map(|text| Pattern::parse(text).ok()).collect();
    let may_name_proxies = line.proxy_of_operator || line.owner == WebhookOwner::Operator;
    let rank = if may_name_proxies { Rank::Operator } else { Rank::Tenant(Scopes::ALL) };
    let given = Given::take(&mut form, Rules { rank, settings: context.settings, dialect, held: &held });
    form.finish()?;
    Ok(given)
}

fn live(dialect: &Dialect, secrets: &[export::LiveSecret]) -> Refused<Vec<LiveSecret>> {
    let one = |(index, held): (usize, &export::LiveSecret)| {
        let secret = dialect.api.secret_format.accept(&held.secret);
        let secret = secret.map_err(|reason| Problem::field(format!("/secrets/{index}/secret"), reason.to_string()))?;
        Ok(LiveSecret { secret, until: held.until.map(|at| at.0) })
    };
    match secrets {
        [] if dialect.signature.is_some() => Err(Problem::field("/secrets", "is empty, and the dialect signs")),
        many if many.len() > SECRETS_MAX => Err(Problem::field("/secrets", format!("are more than {SECRETS_MAX}"))),
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
