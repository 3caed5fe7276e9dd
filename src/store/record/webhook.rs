//! The records of webhooks, with sealed secrets.

use bincode::{Decode, Encode};

use super::codec::{VERSION, close_as, decode, intact, unknown, unknown_version};
use crate::domain::event::Event;
use crate::domain::id::{EndpointNo, TenantNo};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Definition, Endpoint, LiveSecret, Owner, WebhookState, Why};
use crate::domain::webhook::pattern::Pattern;
use crate::store::Owned;
use crate::store::error::Error;
use crate::store::record::seal::Sealer;

#[derive(Encode, Decode)]
struct EndpointForm {
    id: String,
    provider: String,
    tenant: String,
    tenant_no: u32,
    name: String,
    description: String,
    url: String,
    events: Vec<String>,
    /// `None` for the config file, empty for the operator, else a key's id. A provider's key has [`OF_PROVIDER`] before its id.
    owner: Option<String>,
    created_at: u64,
    changed_at: u64,
    state: WebhookStateForm,
    failures: u32,
    secrets: Vec<SecretForm>,
}

/// The field that the second version adds at the end.
type Later = u64;

#[derive(Encode, Decode)]
enum WebhookStateForm {
    Active,
    Disabled { at: u64, why: u8, count: u32 },
    Deleted { at: u64 },
    Removed { at: u64, disabled: Option<(u64, u8, u32)> },
}

#[derive(Encode, Decode)]
struct SecretForm {
    sealed: Vec<u8>,
    until: Option<u64>,
}

/// Writes a webhook's record. Its secrets are sealed together with the row that they belong to, so a sealed secret that is moved
/// to another row does not open.
pub(in crate::store) fn write_endpoint(endpoint: &Endpoint, sealer: &Sealer, out: &mut Vec<u8>) -> Result<(), Error> {
    let secrets = endpoint.secrets.iter().map(|held| sealed(held, endpoint, sealer)).collect::<Result<_, Error>>()?;
    let definition = &endpoint.definition;
    let form = EndpointForm {
        id: endpoint.id.to_string(),
        provider: endpoint.provider.to_string(),
        tenant: endpoint.tenant.to_string(),
        tenant_no: endpoint.tenant_no.0,
        name: definition.name.to_string(),
        description: definition.description.to_string(),
        url: definition.url.to_string(),
        events: definition.events.iter().map(ToString::to_string).collect(),
        owner: owner_form(&endpoint.owner),
        created_at: endpoint.created_at.as_micros(),
        changed_at: endpoint.changed_at.as_micros(),
        state: state_form(endpoint.state),
        failures: endpoint.failures,
        secrets,
    };
    let pins_from: Later = endpoint.pins_from.as_micros();
    close_as(ENDPOINT_VERSION, &endpoint.no.0.to_be_bytes(), &(form, pins_from), out);
    Ok(())
}

pub(in crate::store) fn read_endpoint(no: EndpointNo, sealer: &Sealer, bytes: &[u8]) -> Result<Endpoint, Error> {
    let (form, pins_from) = forms(no, bytes)?;
    let label = seal_label(&form.provider, &form.tenant, &form.id);
    let secrets = form.secrets.iter().map(|kept| opened(kept, &label, sealer)).collect::<Result<_, Error>>()?;
    let unreadable = Error::Damaged { table: "endpoint", why: "an event pattern cannot be read" };
    let events: Option<Vec<Pattern>> = form.events.iter().map(|text| Pattern::parse(text).ok()).collect();
    let state = state(&form.state)?;
    let removed_at = if let WebhookState::Removed { at, .. } = state { at } else { Timestamp::EPOCH };
    Ok(Endpoint {
        no,
        id: form.id.into(),
        provider: form.provider.into(),
        tenant: form.tenant.into(),
        tenant_no: TenantNo(form.tenant_no),
        definition: Definition {
            name: form.name.into(),
            description: form.description.into(),
            url: form.url.into(),
            events: events.ok_or(unreadable)?,
        },
        owner: owner(form.owner),
        created_at: Timestamp::from_micros(form.created_at),
        changed_at: Timestamp::from_micros(form.changed_at),
        state,
        failures: form.failures,
        secrets,
        pins_from: pins_from.map_or(removed_at, Timestamp::from_micros),
    })
}

/// The fields of a webhook's record that are not secret.
#[derive(Clone, Debug)]
pub(in crate::store) struct WebhookFacts {
    pub(in crate::store) tenant_no: TenantNo,
    pub(in crate::store) owned: Owned,
    pub(in crate::store) state: WebhookState,
    created_at: Timestamp,
    events: Vec<Pattern>,
}

impl WebhookFacts {
    /// Whether the webhook would have got an event when that was published.
    pub(in crate::store) fn matched(&self, event: &Event) -> bool {
        let theirs = event.tenant.as_deref().is_none_or(|tenant| *tenant == *self.owned.tenant);
        let was_there = self.created_at <= event.key.time() && !matches!(self.state, WebhookState::Deleted { .. });
        let wanted = self.events.iter().any(|pattern| pattern.matches(&event.kind));
        *event.provider == *self.owned.provider && theirs && was_there && wanted && !event.test
    }
}

pub(in crate::store) fn read_webhook_facts(no: EndpointNo, bytes: &[u8]) -> Result<WebhookFacts, Error> {
    let (form, _) = forms(no, bytes)?;
    Ok(WebhookFacts {
        tenant_no: TenantNo(form.tenant_no),
        state: state(&form.state)?,
        created_at: Timestamp::from_micros(form.created_at),
        events: form.events.iter().filter_map(|text| Pattern::parse(text).ok()).collect(),
        owned: Owned { provider: form.provider.into(), tenant: form.tenant.into() },
    })
}

/// Checks that a record is a webhook's, as far as that can be seen without the master key.
pub(in crate::store) fn check_endpoint(no: EndpointNo, bytes: &[u8]) -> Result<(), Error> {
    let (form, _) = forms(no, bytes)?;
    let readable = form.events.iter().all(|text| Pattern::parse(text).is_ok());
    state(&form.state)?;
    if readable { Ok(()) } else { Err(Error::Damaged { table: "endpoint", why: "an event pattern cannot be read" }) }
}

/// Reads the form, and what the second version has at its end.
fn forms(no: EndpointNo, bytes: &[u8]) -> Result<(EndpointForm, Option<Later>), Error> {
    match intact("endpoint", &no.0.to_be_bytes(), bytes)? {
        (ENDPOINT_VERSION, content) => decode("endpoint", content).map(|(form, later)| (form, Some(later))),
        (VERSION, content) => Ok((decode("endpoint", content)?, None)),
        _ => Err(unknown_version("endpoint")),
    }
}

fn seal_label(provider: &str, tenant: &str, webhook: &str) -> String {
    format!("{provider}/{tenant}/{webhook}")
}

fn sealed(held: &LiveSecret, endpoint: &Endpoint, sealer: &Sealer) -> Result<SecretForm, Error> {
    let label = seal_label(&endpoint.provider, &endpoint.tenant, &endpoint.id);
    let sealed = sealer.seal(held.secret.expose().as_bytes(), &label)?;
    Ok(SecretForm { sealed, until: held.until.map(Timestamp::as_micros) })
}

fn opened(kept: &SecretForm, label: &str, sealer: &Sealer) -> Result<LiveSecret, Error> {
    let secret = sealer.open(&kept.sealed, label)?;
    Ok(LiveSecret { secret, until: kept.until.map(Timestamp::from_micros) })
}

fn owner_form(owner: &Owner) -> Option<String> {
    match owner {
        Owner::File => None,
        Owner::Operator => Some(String::new()),
        Owner::Key(id) => Some(id.to_string()),
        Owner::Provider(id) => Some(format!("{OF_PROVIDER}{id}")),
    }
}

fn owner(form: Option<String>) -> Owner {
    match form {
        None => Owner::File,
        Some(id) if id.is_empty() => Owner::Operator,
        Some(id) => match id.strip_prefix(OF_PROVIDER) {
            Some(id) => Owner::Provider(id.into()),
            None => Owner::Key(id.into()),
        },
    }
}

fn state_form(state: WebhookState) -> WebhookStateForm {
    match state {
        WebhookState::Active => WebhookStateForm::Active,
        WebhookState::Deleted { at } => WebhookStateForm::Deleted { at: at.as_micros() },
        WebhookState::Disabled { at, why } => {
            let (at, why, count) = disabled_form((at, why));
            WebhookStateForm::Disabled { at, why, count }
        }
        WebhookState::Removed { at, disabled } => {
            WebhookStateForm::Removed { at: at.as_micros(), disabled: disabled.map(disabled_form) }
        }
    }
}

fn disabled_form((at, why): (Timestamp, Why)) -> (u64, u8, u32) {
    let (why, count) = match why {
        Why::Failures(count) => (0, count),
        Why::Gone => (1, 0),
        Why::ByHand => (2, 0),
    };
    (at.as_micros(), why, count)
}

fn state(form: &WebhookStateForm) -> Result<WebhookState, Error> {
    Ok(match *form {
        WebhookStateForm::Active => WebhookState::Active,
        WebhookStateForm::Deleted { at } => WebhookState::Deleted { at: Timestamp::from_micros(at) },
        // In the first version a webhook that was out of the config file was disabled for that reason.
        WebhookStateForm::Disabled { at, why: NOT_IN_FILE, .. } => {
            WebhookState::Removed { at: Timestamp::from_micros(at), disabled: None }
        }
        WebhookStateForm::Disabled { at, why, count } => {
            let (at, why) = disabled((at, why, count))?;
            WebhookState::Disabled { at, why }
        }
        WebhookStateForm::Removed { at, disabled: was } => {
            WebhookState::Removed { at: Timestamp::from_micros(at), disabled: was.map(disabled).transpose()? }
        }
    })
}

fn disabled((at, why, count): (u64, u8, u32)) -> Result<(Timestamp, Why), Error> {
    let why = match why {
        0 => Why::Failures(count),
        1 => Why::Gone,
        2 => Why::ByHand,
        _ => return Err(unknown("endpoint")),
    };
    Ok((Timestamp::from_micros(at), why))
}

/// The version that says since when pins count. In the version before a webhook that was out of the config file was disabled.
const ENDPOINT_VERSION: u8 = 2;

/// A prefix that tells a provider's key from a tenant's. No key's id holds a colon, and an earlier release reads such an id as
/// unknown.
const OF_PROVIDER: &str = "provider:";

/// The code of a disabled webhook that was out of the config file, in the first version.
const NOT_IN_FILE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_as_it_was_written() {
        for one in [Owner::File, Owner::Operator, Owner::Key("key_1".into()), Owner::Provider("key_file_shop.app".into())] {
            assert_eq!(owner(owner_form(&one)), one);
        }
    }
}
