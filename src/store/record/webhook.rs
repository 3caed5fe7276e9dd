//! The records of webhooks, with sealed secrets.

use std::sync::Arc;

use bincode::{Decode, Encode};

use super::codec::{VERSION, close_as, decode, intact, unknown, unknown_version};
use crate::domain::event::Event;
use crate::domain::id::{EndpointNo, TenantNo};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Definition, Endpoint, LiveSecret, Owner, WebhookState, Why};
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::Secret;
use crate::domain::webhook::settings::member::Member;
use crate::domain::webhook::settings::{Kept, Setting, WebhookSettings, is_sealed};
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

/// The field that the second version adds at the end: since when pins count.
type PinsFrom = u64;

/// A setting, as the third version adds them at the end.
#[derive(Encode, Decode)]
struct SettingForm {
    name: String,
    value: ValueForm,
}

/// A setting's value in JSON.
#[derive(Encode, Decode)]
enum ValueForm {
    Plain(String),
    /// A value that holds credentials, sealed together with the row and the setting that it belongs to.
    Sealed(Vec<u8>),
}

/// What is read of a record of any version.
struct Forms {
    endpoint: EndpointForm,
    pins_from: Option<PinsFrom>,
    settings: Vec<SettingForm>,
}

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
    let (key, pins_from): (_, PinsFrom) = (endpoint.no.0.to_be_bytes(), endpoint.pins_from.as_micros());
    let settings = settings_form(endpoint, sealer)?;
    match settings.is_empty() {
        true => close_as(WITH_PINS, &key, &(form, pins_from), out),
        false => close_as(WITH_SETTINGS, &key, &(form, pins_from, settings), out),
    }
    Ok(())
}

pub(in crate::store) fn read_endpoint(no: EndpointNo, sealer: &Sealer, bytes: &[u8]) -> Result<Endpoint, Error> {
    let Forms { endpoint: form, pins_from, settings } = forms(no, bytes)?;
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
            settings: read_settings(&settings, Some((&label, sealer)))?,
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
    settings: Arc<WebhookSettings>,
}

impl WebhookFacts {
    /// Whether the webhook would have got an event when that was published.
    pub(in crate::store) fn matched(&self, event: &Event) -> bool {
        let theirs = event.tenant.as_deref().is_none_or(|tenant| *tenant == *self.owned.tenant);
        let was_there = self.created_at <= event.key.time() && !matches!(self.state, WebhookState::Deleted { .. });
        let wanted = self.events.iter().any(|pattern| pattern.matches(&event.kind));
        *event.provider == *self.owned.provider
            && theirs
            && was_there
            && wanted
            && !event.test
            && self.settings.lets_through(event)
    }
}

pub(in crate::store) fn read_webhook_facts(no: EndpointNo, bytes: &[u8]) -> Result<WebhookFacts, Error> {
    let Forms { endpoint: form, settings, .. } = forms(no, bytes)?;
    Ok(WebhookFacts {
        tenant_no: TenantNo(form.tenant_no),
        state: state(&form.state)?,
        created_at: Timestamp::from_micros(form.created_at),
        events: form.events.iter().filter_map(|text| Pattern::parse(text).ok()).collect(),
        settings: read_settings(&settings, None)?,
        owned: Owned { provider: form.provider.into(), tenant: form.tenant.into() },
    })
}

/// What a webhook's record says that is no secret, for a person.
pub(in crate::store) struct WebhookShown {
    pub(in crate::store) id: String,
    pub(in crate::store) owned: Owned,
    pub(in crate::store) name: String,
    pub(in crate::store) description: String,
    pub(in crate::store) url: String,
    pub(in crate::store) events: Vec<String>,
}

pub(in crate::store) fn show_webhook(no: EndpointNo, bytes: &[u8]) -> Result<WebhookShown, Error> {
    let EndpointForm { id, provider, tenant, name, description, url, events, .. } = forms(no, bytes)?.endpoint;
    let owned = Owned { provider: provider.into(), tenant: tenant.into() };
    Ok(WebhookShown { id, owned, name, description, url, events })
}

/// Checks that a record is a webhook's, as far as that can be seen without the master key.
pub(in crate::store) fn check_endpoint(no: EndpointNo, bytes: &[u8]) -> Result<(), Error> {
    let Forms { endpoint: form, settings, .. } = forms(no, bytes)?;
    let readable = form.events.iter().all(|text| Pattern::parse(text).is_ok());
    state(&form.state)?;
    read_settings(&settings, None)?;
    if readable { Ok(()) } else { Err(Error::Damaged { table: "endpoint", why: "an event pattern cannot be read" }) }
}

/// Reads the form, and what later versions have at its end.
fn forms(no: EndpointNo, bytes: &[u8]) -> Result<Forms, Error> {
    let (version, content) = intact("endpoint", &no.0.to_be_bytes(), bytes)?;
    let (endpoint, pins_from, settings) = match version {
        WITH_SETTINGS => decode("endpoint", content).map(|(form, pins, settings)| (form, Some(pins), settings))?,
        WITH_PINS => decode("endpoint", content).map(|(form, pins)| (form, Some(pins), Vec::new()))?,
        VERSION => (decode("endpoint", content)?, None, Vec::new()),
        _ => return Err(unknown_version("endpoint")),
    };
    Ok(Forms { endpoint, pins_from, settings })
}

fn settings_form(endpoint: &Endpoint, sealer: &Sealer) -> Result<Vec<SettingForm>, Error> {
    let label = seal_label(&endpoint.provider, &endpoint.tenant, &endpoint.id);
    let form = |kept: Kept<'_>| match kept {
        Kept::Plain(Member { name, json }) => Ok(SettingForm { name: name.into(), value: ValueForm::Plain(json.into()) }),
        Kept::Secret { name, json } => {
            let sealed = sealer.seal(json.expose().as_bytes(), &setting_label(&label, name))?;
            Ok(SettingForm { name: name.into(), value: ValueForm::Sealed(sealed) })
        }
    };
    endpoint.definition.settings.kept().into_iter().map(form).collect()
}

/// Reads the settings. Without a sealer the sealed ones are left out.
fn read_settings(forms: &[SettingForm], seal: Option<(&str, &Sealer)>) -> Result<Arc<WebhookSettings>, Error> {
    let changes = forms.iter().filter_map(|form| read_setting(form, seal).transpose()).collect::<Result<Vec<_>, _>>()?;
    Ok(WebhookSettings::default().with(&changes))
}

fn read_setting(form: &SettingForm, seal: Option<(&str, &Sealer)>) -> Result<Option<Setting>, Error> {
    let damaged = |why| Error::Damaged { table: "endpoint", why };
    let read = |json: &str| Setting::read(&form.name, json).map_err(|_| damaged("a setting cannot be read"));
    match (&form.value, seal) {
        (ValueForm::Plain(_), _) if is_sealed(&form.name) => Err(damaged("a setting that must be sealed is not")),
        (ValueForm::Plain(json), _) => read(json).map(Some),
        (ValueForm::Sealed(_), None) => Ok(None),
        (ValueForm::Sealed(sealed), Some((label, sealer))) => {
            let json: Secret = sealer.open(sealed, &setting_label(label, &form.name))?;
            read(json.expose()).map(Some)
        }
    }
}

/// What a sealed setting belongs to. No id holds a slash, so no other webhook, setting or secret has this label.
fn setting_label(webhook: &str, setting: &str) -> String {
    format!("{webhook}/settings/{setting}")
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
        Why::Held => (4, 0),
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
        4 => Why::Held,
        _ => return Err(unknown("endpoint")),
    };
    Ok((Timestamp::from_micros(at), why))
}

/// The version that says since when pins count. In the version before a webhook that was out of the config file was disabled.
const WITH_PINS: u8 = 2;

/// The version that has settings. A webhook without settings is still written in the version before, so that an earlier release
/// reads it.
const WITH_SETTINGS: u8 = 3;

/// A prefix that tells a provider's key from a tenant's. No key's id holds a colon, and an earlier release reads such an id as
/// unknown.
const OF_PROVIDER: &str = "provider:";

/// The code of a disabled webhook that was out of the config file, in the first version.
const NOT_IN_FILE: u8 = 3;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::endpoint::fixture::endpoint;

    #[test]
    fn a_setting_that_cannot_be_read_is_damage() {
        let form = |name: &str, json: &str| SettingForm { name: name.into(), value: ValueForm::Plain(json.into()) };
        let read = |form: SettingForm| read_settings(&[form], None);
        assert!(read(form("filter", "{}")).is_ok());
        assert!(read(form("filter", "[")).is_err() && read(form("later", "1")).is_err());
        assert!(read(form("headers", "{}")).is_err(), "it stands in the open");
    }

    #[test]
    fn a_sealed_setting_opens_for_its_own_webhook_and_name_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sealer = Sealer::load(&folder.path().join("store"), None, true).unwrap();
        let setting = Setting::read("headers", r#"{"X-Api-Key":"k"}"#).unwrap();
        let mut endpoint = endpoint(&["*"]);
        endpoint.definition.settings = WebhookSettings::none().with(&[setting]);
        let label = seal_label(&endpoint.provider, &endpoint.tenant, &endpoint.id);
        let mut forms = settings_form(&endpoint, &sealer).unwrap();
        assert_eq!(read_settings(&forms, Some((&label, &sealer))).unwrap(), endpoint.definition.settings);
        assert_eq!(read_settings(&forms, None).unwrap(), WebhookSettings::none());
        assert!(read_settings(&forms, Some(("acme/t1/wh_2", &sealer))).is_err(), "another webhook");
        forms[0].name = "auth".into();
        assert!(read_settings(&forms, Some((&label, &sealer))).is_err(), "another setting");
    }

    #[test]
    fn an_owner_is_read_as_it_was_written() {
        for one in [Owner::File, Owner::Operator, Owner::Key("key_1".into()), Owner::Provider("key_file_shop.app".into())] {
            assert_eq!(owner(owner_form(&one)), one);
        }
    }
}
