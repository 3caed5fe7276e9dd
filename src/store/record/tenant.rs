//! The records that belong to tenants and providers: names, keys, connections and catalogues.

use bincode::{BorrowDecode, Decode, Encode};

use super::codec::{VERSION, close, close_as, coded, decode, intact, open, unknown, unknown_version};
use crate::domain::access::{Key, Maker, Role, Scopes};
use crate::domain::dialect::EventType;
use crate::domain::id::{EndpointNo, TenantNo};
use crate::domain::time::Timestamp;
use crate::store::Owned;
use crate::store::error::Error;
use crate::store::message::session::Connection;

/// What the config file says of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) enum Listing {
    /// It is known by its use alone.
    #[default]
    Never,
    Listed,
    /// It was listed, and was taken out.
    Gone,
}

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

pub(in crate::store) fn write_tenant(no: TenantNo, owned: &Owned, listing: Listing, out: &mut Vec<u8>) {
    close_as(TENANT_VERSION, &no.0.to_be_bytes(), &(&*owned.provider, &*owned.tenant, listing_code(listing)), out);
}

pub(in crate::store) fn read_tenant(no: TenantNo, bytes: &[u8]) -> Result<(Owned, Listing), Error> {
    let (provider, tenant, code): (&str, &str, u8) = match intact("tenant", &no.0.to_be_bytes(), bytes)? {
        (TENANT_VERSION, content) => decode("tenant", content)?,
        (VERSION, content) => {
            let (provider, tenant) = decode("tenant", content)?;
            (provider, tenant, listing_code(Listing::Never))
        }
        _ => return Err(unknown_version("tenant")),
    };
    Ok((Owned { provider: provider.into(), tenant: tenant.into() }, listing(code)?))
}

pub(in crate::store) fn write_key(key: &Key, out: &mut Vec<u8>) {
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
    close_as(KEY_VERSION, &key.hash, &MadeKeyForm { key: form, maker, by_provider: key.maker.is_provider() }, out);
}

pub(in crate::store) fn read_key(hash: [u8; 32], bytes: &[u8]) -> Result<Key, Error> {
    let (version, content) = intact("key", &hash, bytes)?;
    let (form, maker): (KeyForm, Maker) = match version {
        KEY_VERSION => made(decode("key", content)?),
        UNMADE_KEY_VERSION | VERSION => (decode("key", content)?, Maker::NOT_KEPT),
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
    Ok(Key { id: form.id.into(), name: form.name.into(), role, hash, created_at, maker })
}

fn made(MadeKeyForm { key, maker, by_provider }: MadeKeyForm) -> (KeyForm, Maker) {
    let maker = maker.map(Box::from);
    let maker = match maker {
        Some(id) if by_provider => Maker::Provider(id),
        maker => Maker::Operator(maker),
    };
    (key, maker)
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
    let EventType { name, description, example, version, .. } = event_type;
    close(key, &EventTypeForm { name, description, example, version: *version }, out);
}

/// Reads an event type that a provider added. Its example is the provider's own.
pub(in crate::store) fn read_event_type(key: &[u8], bytes: &[u8]) -> Result<EventType, Error> {
    let EventTypeForm { name, description, example, version } = open("event_type", key, bytes)?;
    Ok(EventType { name: name.into(), description: description.into(), example: example.into(), ours: false, version })
}

coded!(listing_code, listing: Listing in "tenant" { 0 = Never, 1 = Listed, 2 = Gone });

/// The version of a key that names the key which made it.
const KEY_VERSION: u8 = 3;

/// The version of a key whose scopes also count for a provider's key. In the version before they were stored and had no effect.
const UNMADE_KEY_VERSION: u8 = 2;

/// The version of a tenant with what the config file says of it. In the version before a tenant was its two names.
const TENANT_VERSION: u8 = 2;
