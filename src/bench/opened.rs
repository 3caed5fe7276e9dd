//! A service's store, opened without the service: the same file, the same webhooks, the same writer.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::checked::{Config, DEFAULT_DIALECT, Provider, Tenant, Webhook};
use crate::config::{self, Sources};
use crate::domain::dialect::Dialect;
use crate::domain::exit::STORE_IO;
use crate::domain::webhook::endpoint::Definition;
use crate::domain::webhook::secret::RANDOM_BYTES;
use crate::store::{Committed, DesiredState, FileWebhook, Limits, Machine, Options, Owned, Store};

use super::part;

/// A store with its writer at work.
pub(super) struct Opened {
    pub(super) store: Store,
    /// What the config's provider speaks.
    pub(super) dialect: Arc<Dialect>,
}

/// Opens the store that a config names, and makes the config's webhooks. `on_commit` is called by the writer.
pub(super) async fn open(file: &Path, on_commit: impl Fn(&Store, Committed) + Send + 'static) -> Result<Opened, String> {
    let config = config::load(Sources { file: Some(file), environment: Vec::new(), flags: Vec::new() });
    let config = config.map_err(|faults| format!("cannot use its config: {faults}"))?;
    let provider = config.providers.first().ok_or("found no provider in its config")?;
    let dialect = config.dialects.get(&provider.dialect).cloned().ok_or("found no dialect in its config")?;
    let (store, unstarted) =
        Store::open(&options(&config, dialect.clone())).map_err(|cause| format!("cannot open its store: {cause}"))?;
    let webhooks = config.webhooks().map(|found| from_file(found, &dialect)).collect::<Result<_, _>>()?;
    let dialects = vec![(provider.name.as_str().into(), dialect.clone())];
    let says = DesiredState { dialects, tenants: Vec::new(), keys: HashSet::new(), webhooks };
    let named = store.clone();
    let start = async { store.start(unstarted, Box::new(move |committed| on_commit(&named, committed)), broken) };
    let (synced, ()) = tokio::join!(biased; store.sync(says), start);
    synced.map_err(|denied| format!("cannot make its webhooks: {denied}"))?;
    while store.health().behind {
        tokio::time::sleep(LOOK).await;
    }
    Ok(Opened { store, dialect })
}

fn options(config: &Config, dialect: Arc<Dialect>) -> Options {
    let limits = Limits {
        retention: config.storage.retention,
        max_bytes: config.storage.max_bytes.bytes(),
        memory: config.delivery.memory.bytes(),
        connection_idle: config.delivery.connection_idle,
    };
    Options {
        path: config.storage.path.clone(),
        credentials: std::env::var_os("CREDENTIALS_DIRECTORY").map(Into::into),
        limits,
        standard: config.dialects.get(DEFAULT_DIALECT).cloned().unwrap_or(dialect),
        machine: Machine::default(),
    }
}

/// As the service makes it of the same config, so that it finds the webhook again and changes nothing.
fn from_file((provider, tenant, webhook): (&Provider, &Tenant, &Webhook), dialect: &Dialect) -> Result<FileWebhook, String> {
    let mut random = [0; RANDOM_BYTES];
    getrandom::fill(&mut random).map_err(|cause| format!("cannot draw a secret: {cause}"))?;
    Ok(FileWebhook {
        owned: Owned { provider: provider.name.as_str().into(), tenant: tenant.id.as_str().into() },
        definition: Definition {
            name: webhook.name.as_str().into(),
            description: webhook.description.as_str().into(),
            url: webhook.url.as_str().into(),
            events: webhook.events.clone(),
        },
        secret: webhook.secret.clone(),
        fresh_secret: Some(dialect.api.secret_format.generate(&random)),
        overlap: Duration::ZERO,
    })
}

/// Nothing can be filled any more; what was said until now stands.
fn broken(cause: crate::store::Error) {
    drop(part::report::<()>(Err(format!("cannot write its store: {cause}"))));
    std::process::exit(STORE_IO.into());
}

const LOOK: Duration = Duration::from_millis(2);
