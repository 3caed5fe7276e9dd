//! Finds the webhook that a command names, by its id, by its name or by its uid. A name goes before a uid.

use super::{WEBHOOKS, tenant_of};
use crate::api::document::webhook::Found;
use crate::cli::args::Target;
use crate::cli::client::{Error, Service};
use crate::cli::named::Name;
use crate::cli::output::exit::Failure;
use crate::cli::output::hint::Hint;
use crate::domain::id::has_own_form;
use crate::domain::id::uid::Uid;

/// The service, and the id of a webhook: an id is found in every tenant, a name or a uid in the target alone.
pub(crate) fn find(target: &Target, webhook: &Name) -> Result<(Service, String), Failure> {
    let service = target.reach.service()?;
    let id = find_among(&service, Some(target.tenant()), webhook)?;
    Ok((service, id))
}

/// The id of a webhook of one tenant, of all of a provider, or with `None` of all.
pub(crate) fn find_among(service: &Service, whose: Option<&str>, webhook: &Name) -> Result<String, Failure> {
    if has_own_form(webhook.as_str()) {
        return Ok(webhook.as_str().to_owned());
    }
    let found = named(service, whose, webhook)?;
    let ids: Vec<&str> = found.iter().map(|webhook| webhook.id.as_str()).collect();
    match whose.filter(|_| ids.is_empty()) {
        Some(whose) => Err(nowhere(service, whose, webhook)?),
        None => webhook.only(&ids, "webhook", Hint::service("webhooks list --all")),
    }
}

/// The webhooks of this name, or where there is none of this uid, of one tenant, of all of a provider, or with `None` of all.
fn named(service: &Service, whose: Option<&str>, webhook: &Name) -> Result<Vec<Found>, Error> {
    let called = |filter| {
        let filters = whose.map(|whose| ("tenant", whose)).into_iter().chain([(filter, webhook.as_str())]);
        service.rows(WEBHOOKS, &filters.collect::<Vec<_>>())
    };
    let found = called("name")?;
    if found.is_empty() && Uid::parse(webhook.as_str()).is_ok() { called("uid") } else { Ok(found) }
}

/// The failure for a name that no webhook of `whose` has. It names another tenant that has such a webhook, if there is one.
fn nowhere(service: &Service, whose: &str, webhook: &Name) -> Result<Failure, Error> {
    let elsewhere = named(service, None, webhook)?;
    Ok(match elsewhere.first().map(|found| tenant_of(&found.provider, &found.tenant)) {
        Some(other) => {
            let message = format!("no webhook of {whose} is named `{webhook}`, but one of {other} is");
            Failure::negative(message, Hint::again_with_value("--tenant", other))
        }
        None => Failure::negative(format!("no webhook is named `{webhook}`"), Hint::tenants("webhooks list")),
    })
}
