//! The records that belong to tenants and providers: names, keys, connections and catalogues.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bincode::{BorrowDecode, Decode, Encode};

use super::codec::{VERSION, close, close_as, coded, decode, intact, open, unknown, unknown_version};
use crate::domain::access::{Key, Maker, Role, Scopes, Terms};
use crate::domain::dialect::{EventType, UnknownTypes};
use crate::domain::id::uid::Uid;
use crate::domain::id::{EndpointNo, EventKey, TenantNo};
use crate::domain::provider::ProviderSettings;
use crate::domain::rate::{Per, Rate};
use crate::domain::schema::{Schema, Validate};
use crate::domain::tenant::Profile;
use crate::domain::time::Timestamp;
use crate::store::Owned;
use crate::store::error::Error;
use crate::store::message::session::Connection;
use crate::store::message::tenant::{Deletion, Listing, Tenant};

#[derive(Encode, Decode)]
struct KeyForm {
    id: String,
    name: String,
    provider: Option<String>,
    tenant: Option<String>,
    scopes: u8,
    created_at: u64,
}

/// A key, with the id of the key that made it.
#[derive(Encode, Decode)]
struct MadeKeyForm {
    key: KeyForm,
    maker: Option<String>,
    by_provider: bool,
}

/// A key with its terms, and when it was used last.
#[derive(Encode, Decode)]
struct TermedKeyForm {
    made: MadeKeyForm,
    description: String,
    expires_at: Option<u64>,
    rate_limit: Option<(u32, u8)>,
    used_at: Option<u64>,
}

#[derive(Encode, BorrowDecode)]
struct TenantForm<'a> {
    provider: &'a str,
    tenant: &'a str,
    listing: u8,
    created_at: Option<u64>,
    updated_at: Option<u64>,
    environment: Option<&'a str>,
    name: &'a str,
    metadata: Vec<(&'a str, &'a str)>,
    rate_limit: Option<(u32, u8)>,
}

/// What the API says of a provider.
#[derive(Encode, Decode)]
struct ProviderForm {
    validate: Option<u8>,
    unknown_types: Option<u8>,
    create_tenants: Option<bool>,
}

#[derive(Encode, BorrowDecode)]
struct ConnectionForm<'a> {
    opened_at: u64,
    used_at: u64,
    link: Option<&'a str>,
    urls: Vec<(u32, &'a str)>,
}

#[derive(Encode, BorrowDecode)]
struct EventTypeForm<'a> {
    name: &'a str,
    description: &'a str,
    example: &'a str,
    version: i64,
}

/// An event type with a schema, or that is deprecated.
#[derive(Encode, BorrowDecode)]
struct JudgedTypeForm<'a> {
    event_type: EventTypeForm<'a>,
    schema: Option<&'a str>,
    deprecated: bool,
}

/// A tenant that is being deleted: since when, and how many events and deliveries were erased.
#[derive(Encode, BorrowDecode)]
struct DeletedTenantForm<'a> {
    tenant: TenantForm<'a>,
    since: u64,
    events: u64,
    deliveries: u64,
}

/// A tenant with a uid or a retention of its own, or whose events are gone through for their age.
#[derive(Encode, BorrowDecode)]
struct CalledTenantForm<'a> {
    tenant: TenantForm<'a>,
    deletion: Option<(u64, u64, u64)>,
    uid: Option<&'a str>,
    retention: Option<u64>,
    aged: Option<u64>,
}

pub(in crate::store) fn write_tenant(no: TenantNo, tenant: &Tenant, out: &mut Vec<u8>) {
    let Tenant { owned, listing, created_at, updated_at, profile, deletion, aged } = tenant;
    let form = TenantForm {
        provider: &owned.provider,
        tenant: &owned.tenant,
        listing: listing_code(*listing),
        created_at: created_at.map(Timestamp::as_micros),
        updated_at: updated_at.map(Timestamp::as_micros),
        environment: profile.environment.as_deref(),
        name: &profile.name,
        metadata: profile.metadata.iter().map(|(name, text)| (&**name, &**text)).collect(),
        rate_limit: profile.rate_limit.map(rate_parts),
    };
    if profile.uid.is_some() || profile.retention.is_some() || aged.is_some() {
        let deletion = deletion.map(|deletion| (deletion.since.as_micros(), deletion.events, deletion.deliveries));
        let (uid, retention) = (profile.uid.as_ref().map(Uid::as_str), profile.retention.map(micros));
        let form = CalledTenantForm { tenant: form, deletion, uid, retention, aged: aged.map(|aged| aged.0) };
        return close_as(CALLED_TENANT_VERSION, &no.0.to_be_bytes(), &form, out);
    }
    match deletion {
        None => close_as(TENANT_VERSION, &no.0.to_be_bytes(), &form, out),
        Some(Deletion { since, events, deliveries }) => {
            let (since, events, deliveries) = (since.as_micros(), *events, *deliveries);
            let form = DeletedTenantForm { tenant: form, since, events, deliveries };
            close_as(DELETED_TENANT_VERSION, &no.0.to_be_bytes(), &form, out);
        }
    }
}

pub(in crate::store) fn read_tenant(no: TenantNo, bytes: &[u8]) -> Result<Tenant, Error> {
    let (provider, tenant, code): (&str, &str, u8) = match intact("tenant", &no.0.to_be_bytes(), bytes)? {
        (CALLED_TENANT_VERSION, content) => return called(decode("tenant", content)?),
        (TENANT_VERSION, content) => return described(decode("tenant", content)?),
        (DELETED_TENANT_VERSION, content) => {
            let DeletedTenantForm { tenant, since, events, deliveries } = decode("tenant", content)?;
            let deletion = Some(Deletion { since: Timestamp::from_micros(since), events, deliveries });
            return Ok(Tenant { deletion, ..described(tenant)? });
        }
        (UNDESCRIBED_TENANT_VERSION, content) => decode("tenant", content)?,
        (VERSION, content) => {
            let (provider, tenant) = decode("tenant", content)?;
            (provider, tenant, listing_code(Listing::Never))
        }
        _ => return Err(unknown_version("tenant")),
    };
    let owned = Owned { provider: provider.into(), tenant: tenant.into() };
    Ok(Tenant { listing: listing(code)?, ..Tenant::new(owned, None) })
}

fn called(form: CalledTenantForm<'_>) -> Result<Tenant, Error> {
    let known = described(form.tenant)?;
    let uid = form.uid.map(|uid| Uid::parse(uid).map_err(|why| Error::Damaged { table: "tenant", why })).transpose()?;
    let profile = Profile { uid, retention: form.retention.map(Duration::from_micros), ..known.profile };
    let deletion =
        form.deletion.map(|(since, events, deliveries)| Deletion { since: Timestamp::from_micros(since), events, deliveries });
    Ok(Tenant { profile, deletion, aged: form.aged.map(EventKey), ..known })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn described(form: TenantForm<'_>) -> Result<Tenant, Error> {
    let profile = Profile {
        environment: form.environment.map(Into::into),
        name: form.name.into(),
        metadata: form.metadata.into_iter().map(|(name, text)| (name.into(), text.into())).collect(),
        uid: None,
        retention: None,
        rate_limit: form.rate_limit.map(|parts| rate("tenant", parts)).transpose()?,
    };
    Ok(Tenant {
        owned: Owned { provider: form.provider.into(), tenant: form.tenant.into() },
        listing: listing(form.listing)?,
        created_at: form.created_at.map(Timestamp::from_micros),
        updated_at: form.updated_at.map(Timestamp::from_micros),
        profile,
        deletion: None,
        aged: None,
    })
}

fn rate_parts(rate: Rate) -> (u32, u8) {
    (rate.count.get(), per_code(rate.per))
}

fn rate(table: &'static str, (count, code): (u32, u8)) -> Result<Rate, Error> {
    Ok(Rate { count: NonZeroU32::new(count).ok_or(unknown(table))?, per: per(code)? })
}

pub(in crate::store) fn write_key(key: &Key, used: Option<Timestamp>, out: &mut Vec<u8>) {
    let (provider, tenant, scopes) = match &key.role {
        Role::Operator => (None, None, Scopes::ALL),
        Role::Provider { provider, scopes } => (Some(provider), None, *scopes),
        Role::Tenant { provider, tenant, scopes } => (Some(provider), Some(tenant), *scopes),
    };
    let form = KeyForm {
        id: key.id.to_string(),
        name: key.name.to_string(),
        provider: provider.map(ToString::to_string),
        tenant: tenant.map(ToString::to_string),
        scopes: u8::from(scopes.publish) | u8::from(scopes.read) << 1 | u8::from(scopes.manage) << 2,
        created_at: key.created_at.as_micros(),
    };
    let maker = key.maker.key().map(ToString::to_string);
    let made = MadeKeyForm { key: form, maker, by_provider: key.maker.is_provider() };
    let Terms { description, expires_at, rate_limit } = &key.terms;
    let (description, expires_at) = (description.to_string(), expires_at.map(Timestamp::as_micros));
    let (rate_limit, used_at) = (rate_limit.map(rate_parts), used.map(Timestamp::as_micros));
    let form = TermedKeyForm { made, description, expires_at, rate_limit, used_at };
    close_as(KEY_VERSION, &key.hash, &form, out);
}

/// A key, and when it was used last.
pub(in crate::store) fn read_key(hash: [u8; 32], bytes: &[u8]) -> Result<(Key, Option<Timestamp>), Error> {
    let (version, content) = intact("key", &hash, bytes)?;
    let ReadKey { form, maker, terms, used } = match version {
        KEY_VERSION => termed(decode("key", content)?)?,
        MADE_KEY_VERSION => made(decode("key", content)?),
        UNMADE_KEY_VERSION | VERSION => ReadKey::of(decode("key", content)?, Maker::NOT_KEPT),
        _ => return Err(unknown_version("key")),
    };
    let scopes = Scopes { publish: form.scopes & 1 != 0, read: form.scopes & 2 != 0, manage: form.scopes & 4 != 0 };
    let role = match (form.provider, form.tenant) {
        (None, _) => Role::Operator,
        (Some(provider), None) => {
            let scopes = if version == VERSION { Scopes::PUBLISH } else { scopes };
            Role::Provider { provider: provider.into(), scopes }
        }
        (Some(provider), Some(tenant)) => Role::Tenant { provider: provider.into(), tenant: tenant.into(), scopes },
    };
    let created_at = Timestamp::from_micros(form.created_at);
    Ok((Key { id: form.id.into(), name: form.name.into(), role, hash, created_at, maker, terms }, used))
}

/// What a key's record says, whatever its version.
struct ReadKey {
    form: KeyForm,
    maker: Maker,
    terms: Terms,
    used: Option<Timestamp>,
}

impl ReadKey {
    fn of(form: KeyForm, maker: Maker) -> Self {
        Self { form, maker, terms: Terms::default(), used: None }
    }
}

fn termed(form: TermedKeyForm) -> Result<ReadKey, Error> {
    let rate_limit = form.rate_limit.map(|parts| rate("key", parts)).transpose()?;
    let (description, expires_at) = (form.description.into(), form.expires_at.map(Timestamp::from_micros));
    let used = form.used_at.map(Timestamp::from_micros);
    Ok(ReadKey { terms: Terms { description, expires_at, rate_limit }, used, ..made(form.made) })
}

fn made(MadeKeyForm { key, maker, by_provider }: MadeKeyForm) -> ReadKey {
    let maker = match maker.map(Box::from) {
        Some(id) if by_provider => Maker::Provider(id),
        maker => Maker::Operator(maker),
    };
    ReadKey::of(key, maker)
}

pub(in crate::store) fn write_provider(name: &[u8], settings: &ProviderSettings, out: &mut Vec<u8>) {
    let (validate, unknown_types) = (settings.validate.map(validate_code), settings.unknown_types.map(unknown_types_code));
    close(name, &ProviderForm { validate, unknown_types, create_tenants: settings.create_tenants }, out);
}

pub(in crate::store) fn read_provider(name: &[u8], bytes: &[u8]) -> Result<ProviderSettings, Error> {
    let form: ProviderForm = open("provider", name, bytes)?;
    Ok(ProviderSettings {
        validate: form.validate.map(validate).transpose()?,
        unknown_types: form.unknown_types.map(unknown_types).transpose()?,
        create_tenants: form.create_tenants,
    })
}

pub(in crate::store) fn write_connection(name: &[u8], connection: &Connection, out: &mut Vec<u8>) {
    let form = ConnectionForm {
        opened_at: connection.opened_at.as_micros(),
        used_at: connection.used_at.as_micros(),
        link: connection.link.as_deref(),
        urls: connection.urls.iter().map(|(no, url)| (no.0, &**url)).collect(),
    };
    close(name, &form, out);
}

pub(in crate::store) fn read_connection(name: &[u8], bytes: &[u8]) -> Result<Connection, Error> {
    let form: ConnectionForm<'_> = open("connection", name, bytes)?;
    Ok(Connection {
        opened_at: Timestamp::from_micros(form.opened_at),
        used_at: Timestamp::from_micros(form.used_at),
        link: form.link.map(Into::into),
        urls: form.urls.into_iter().map(|(no, url)| (EndpointNo(no), url.into())).collect(),
    })
}

pub(in crate::store) fn write_event_type(key: &[u8], event_type: &EventType, out: &mut Vec<u8>) {
    let EventType { name, description, example, version, schema, deprecated, .. } = event_type;
    let form = EventTypeForm { name, description, example, version: *version };
    match (schema, deprecated) {
        (None, false) => close(key, &form, out),
        (schema, deprecated) => {
            let schema = schema.as_ref().map(|schema| schema.text());
            close_as(JUDGED_TYPE_VERSION, key, &JudgedTypeForm { event_type: form, schema, deprecated: *deprecated }, out);
        }
    }
}

/// Reads an event type that a provider added. Its example is the provider's own.
pub(in crate::store) fn read_event_type(key: &[u8], bytes: &[u8]) -> Result<EventType, Error> {
    let form = match intact("event_type", key, bytes)? {
        (VERSION, content) => JudgedTypeForm { event_type: decode("event_type", content)?, schema: None, deprecated: false },
        (JUDGED_TYPE_VERSION, content) => decode("event_type", content)?,
        _ => return Err(unknown_version("event_type")),
    };
    let JudgedTypeForm { event_type: EventTypeForm { name, description, example, version }, schema, deprecated } = form;
    let schema = schema.map(|text| Arc::new(Schema::from_stored(text.into())));
    let (name, description, example) = (name.into(), description.into(), example.into());
    Ok(EventType { name, description, example, ours: false, version, schema, deprecated })
}

coded!(validate_code, validate: Validate in "provider" { 0 = Off, 1 = Warn, 2 = Refuse });

coded!(unknown_types_code, unknown_types: UnknownTypes in "provider" { 0 = Pass, 1 = Refuse });

coded!(listing_code, listing: Listing in "tenant" { 0 = Never, 1 = Listed, 2 = Gone, 3 = Deleting });

/// The version of a key with its terms and its last use.
const KEY_VERSION: u8 = 4;

/// The version of a key that names the key which made it.
const MADE_KEY_VERSION: u8 = 3;

/// The version of a key whose scopes also count for a provider's key. In the version before they were stored and had no effect.
const UNMADE_KEY_VERSION: u8 = 2;

/// The version of an event type that has a schema or is deprecated. Other event types keep the first version.
const JUDGED_TYPE_VERSION: u8 = 2;

coded!(per_code, per: Per in "tenant" { 0 = Second, 1 = Minute, 2 = Hour });

/// The version of a tenant with what the API says of it.
const TENANT_VERSION: u8 = 3;

/// The version of a tenant that is being deleted. Other tenants keep the version before.
const DELETED_TENANT_VERSION: u8 = 4;

/// The version of a tenant with a uid or a retention of its own. Other tenants keep the versions before.
const CALLED_TENANT_VERSION: u8 = 5;

/// The version of a tenant with what the config file says of it. In the version before a tenant was its two names.
const UNDESCRIBED_TENANT_VERSION: u8 = 2;
