//! Turns the config into the settings of each room.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::api::Settings;
use crate::config::checked::{Config, DEFAULT_DIALECT, DEFAULT_OWNER, Provider, Tenant, Webhook};
use crate::deliver::connect::{self, Connector};
use crate::deliver::{pump, queues};
use crate::domain::access::KeyHash;
use crate::domain::dialect::Dialect;
use crate::domain::webhook::endpoint::Definition;
use crate::domain::webhook::pattern::Pattern;
use crate::domain::webhook::secret::{RANDOM_BYTES, Secret};
use crate::domain::webhook::settings::WebhookSettings;
use crate::domain::webhook::target::Guard;
use crate::store::{self, DesiredState, Dialects, FileWebhook, Limits, OPERATOR_PROVIDER, OPERATOR_TENANT, Owned};

use super::{Error, descriptors};

/// The addresses that may be dialled: public ones and those that `allow_private` covers, never our own.
pub(super) fn guard(config: &Config, own: &[SocketAddr]) -> Guard {
    Guard { allow: config.delivery.allow_private.clone(), own: own.to_vec() }
}

/// The settings of the pump. Reads certificates and the resolver's config, which may fail.
pub(super) fn pump(config: &Config, own: &[SocketAddr]) -> Result<pump::Settings, Error> {
    let delivery = &config.delivery;
    let guard = guard(config, own);
    let connector = Connector::new(connect::Options {
        guard: guard.clone(),
        connect_timeout: delivery.connect_timeout,
        resolvers: delivery.resolvers.clone(),
        ca_file: delivery.ca_file.clone(),
    })?;
    let plan = descriptors::plan(delivery.in_flight);
    let limits = queues::Limits { in_flight: plan.attempts, per_endpoint: delivery.in_flight_per_endpoint, kept: plan.kept };
    let capture = usize::try_from(delivery.response_capture.bytes()).unwrap_or(usize::MAX);
    Ok(pump::Settings {
        connector,
        guard,
        limits,
        response_capture: capture,
        proxy: delivery.proxy.clone(),
        danger_allow_http: delivery.danger_allow_http,
    })
}

pub(super) fn api(config: &Config, own: &[SocketAddr]) -> Option<Settings> {
    Settings::new(config, |name| config.dialects.get(name).cloned(), guard(config, own))
}

pub(super) fn limits(config: &Config) -> Limits {
    Limits {
        retention: config.storage.retention,
        max_bytes: config.storage.max_bytes.bytes(),
        memory: config.delivery.memory.bytes(),
        audit_retention: config.server.audit_retention,
        connection_idle: config.delivery.connection_idle,
    }
}

pub(super) fn standard(config: &Config) -> Arc<Dialect> {
    config.dialects.get(DEFAULT_DIALECT).cloned().expect("the standard dialect is compiled in and cannot be taken out")
}

/// Every provider with its dialect, and the operator's when `notify_url` is set.
fn dialects(config: &Config) -> Dialects {
    let known = |name: &str| config.dialects.get(name).cloned();
    let named = config.providers.iter().filter_map(|provider| Some((provider.name.as_str().into(), known(&provider.dialect)?)));
    let default = (Box::from(DEFAULT_OWNER), standard(config));
    let operator = config.operator.notify_url.as_ref().map(|_| (Box::from(OPERATOR_PROVIDER), standard(config)));
    std::iter::once(default).chain(named).chain(operator).collect()
}

/// What the store must make of the config: the dialects, tenants, keys and webhooks that are to be there.
pub(super) fn file(config: &Config) -> Result<DesiredState, Error> {
    Ok(DesiredState {
        dialects: dialects(config),
        tenants: tenants(config),
        retentions: retentions(config),
        keys: file_keys(config),
        webhooks: webhooks(config)?,
        file: file_path(config).into(),
        changes: None,
    })
}

/// The path of the config file. Empty where there is none, as in `dev`.
pub(super) fn file_path(config: &Config) -> String {
    config.files.first().map(|file| file.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The hashes of all keys in the config.
fn file_keys(config: &Config) -> HashSet<KeyHash> {
    let of_tenant = |tenant: &Tenant| tenant.keys.iter().map(|key| key.hash).collect::<Vec<_>>();
    let of_provider = |provider: &Provider| {
        let own = provider.keys.iter().map(|key| key.hash);
        own.chain(provider.tenants.iter().flat_map(of_tenant)).collect::<Vec<_>>()
    };
    config.operator.keys.iter().map(|key| key.hash).chain(config.providers.iter().flat_map(of_provider)).collect()
}

/// Every tenant of the config but the default one, which is always there.
fn tenants(config: &Config) -> Vec<Owned> {
    let of = |provider: &Provider, tenant: &Tenant| Owned {
        provider: provider.name.as_str().into(),
        tenant: tenant.id.as_str().into(),
    };
    let all = config.providers.iter().flat_map(|provider| provider.tenants.iter().map(move |tenant| of(provider, tenant)));
    all.filter(|owned| (&*owned.provider, &*owned.tenant) != (DEFAULT_OWNER, DEFAULT_OWNER)).collect()
}

/// How long events are kept of the tenants for which the config says so.
fn retentions(config: &Config) -> HashMap<Owned, Duration> {
    let all = config.providers.iter().flat_map(|provider| provider.tenants.iter().map(move |tenant| (provider, tenant)));
    all.filter_map(|(provider, tenant)| {
        let owned = Owned { provider: provider.name.as_str().into(), tenant: tenant.id.as_str().into() };
        Some((owned, tenant.retention?))
    })
    .collect()
}

/// The webhooks of the config, and the operator's own.
fn webhooks(config: &Config) -> Result<Vec<FileWebhook>, Error> {
    let named = config.webhooks().map(|(provider, tenant, webhook)| from_file(config, provider, tenant, webhook));
    named.chain(operator(config)).collect()
}

fn from_file(config: &Config, provider: &Provider, tenant: &Tenant, webhook: &Webhook) -> Result<FileWebhook, Error> {
    let dialect = config.dialects.get(&provider.dialect).cloned().unwrap_or_else(|| standard(config));
    let overlap = dialect.signature.as_ref().is_some_and(|signature| signature.overlap);
    Ok(FileWebhook {
        owned: Owned { provider: provider.name.as_str().into(), tenant: tenant.id.as_str().into() },
        definition: Definition {
            name: webhook.name.as_str().into(),
            description: webhook.description.as_str().into(),
            url: webhook.url.as_str().into(),
            events: webhook.events.clone(),
            settings: webhook.settings.clone(),
        },
        secret: webhook.secret.clone(),
        fresh_secret: fresh_secret(&dialect)?,
        overlap: if overlap { config.delivery.rotation_overlap } else { Duration::ZERO },
    })
}

fn operator(config: &Config) -> Option<Result<FileWebhook, Error>> {
    let url = config.operator.notify_url.as_deref()?;
    let dialect = standard(config);
    Some(fresh_secret(&dialect).map(|fresh_secret| FileWebhook {
        owned: Owned { provider: OPERATOR_PROVIDER.into(), tenant: OPERATOR_TENANT.into() },
        definition: Definition {
            name: "notify".into(),
            description: "operational events".into(),
            url: url.into(),
            events: vec![Pattern::All],
            settings: WebhookSettings::none(),
        },
        secret: config.operator.notify_secret.clone(),
        fresh_secret,
        overlap: config.delivery.rotation_overlap,
    }))
}

fn fresh_secret(dialect: &Dialect) -> Result<Option<Secret>, Error> {
    if dialect.signature.is_none() {
        return Ok(None);
    }
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(store::Error::from)?;
    Ok(Some(dialect.api.secret_format.generate(&random)))
}
