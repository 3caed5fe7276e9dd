//! Reloads the config: reads it, checks it, compares it with the old one, and applies the whole of it or nothing.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tracing::{error, info, warn};

use super::loader::Loader;
use super::{listen, logging, notify, wiring};
use crate::api::Settings;
use crate::clock;
use crate::config::checked::{Backup, Config};
use crate::config::dangers::Dangers;
use crate::config::fault::{Fault, Faults};
use crate::config::reload::{Changes, diff};
use crate::deliver::pump::Pump;
use crate::store::{Actor, DesiredState, FileChanges, Origin, Store};

/// All that a reload reads and changes.
pub(super) struct Reloader {
    pub(super) loader: Option<Loader>,
    pub(super) config: Mutex<Config>,
    pub(super) store: Store,
    pub(super) pump: Arc<Pump>,
    pub(super) settings: watch::Sender<Arc<Settings>>,
    pub(super) tls: watch::Sender<Option<TlsAcceptor>>,
    /// When backups are made by themselves.
    pub(super) backup: watch::Sender<Option<Backup>>,
    pub(super) own: Vec<SocketAddr>,
}

impl Reloader {
    /// Reloads because a signal says so.
    pub(super) async fn reload_by_signal(&self) -> Result<Changes, Faults> {
        let file = wiring::file_path(&self.config());
        self.reload(Origin { actor: Actor::file(&file), address: "".into(), call: "reload".into() }).await
    }

    /// Reloads, and returns what changed, or why nothing did. Two reloads never overlap, since one task calls this.
    pub(super) async fn reload(&self, by: Origin) -> Result<Changes, Faults> {
        notify::reloading();
        let result = self.apply(by).await;
        self.store.metrics().gauges.reloaded(result.is_ok().then(clock::now));
        match &result {
            Ok(changes) => info!("{changes}"),
            Err(why) => {
                error!("reload: the config was not taken and the old one stays in force\n{why}");
                self.store.notify("config.rejected", &serde_json::json!({ "reason": why.to_string() })).await;
            }
        }
        notify::ready(if result.is_ok() { "ready" } else { "ready; the last reload was refused, see the log" });
        result
    }

    async fn apply(&self, by: Origin) -> Result<Changes, Faults> {
        let loader = self.loader.as_ref().ok_or_else(|| of_all("there is no config file to read again"))?;
        let new = loader.load()?;
        let changes = diff(&self.config(), &new)?;
        let pump = wiring::pump(&new, &self.own).map_err(of_all)?;
        let file = DesiredState { changes: told(&changes), ..wiring::file(&new).map_err(of_all)? };
        let settings = wiring::api(&new, &self.own).ok_or_else(|| of_all("a provider speaks an unknown dialect"))?;
        self.store.by(by).sync(file).await.map_err(of_all)?;
        self.store.set_limits(wiring::limits(&new));
        self.pump.reload(pump);
        self.settings.send_replace(Arc::new(settings));
        let (had, has) = (self.tls.send_replace(listen::tls(&new)).is_some(), new.server.tls.is_some());
        if had && !has {
            warn!("the listener speaks http now and no TLS: keys and events come in the clear");
        }
        self.backup.send_replace(new.storage.backup.clone());
        logging::set(new.server.log);
        warn_of_dangers(&new);
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = new;
        Ok(changes)
    }

    fn config(&self) -> Config {
        self.config.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What the audit log shows of a reload. `None`: nothing changed.
fn told(changes: &Changes) -> Option<FileChanges> {
    let name = |(kind, name): (&str, &str)| format!("{kind} {name}");
    let told = FileChanges {
        added: changes.added().map(name).collect(),
        changed: changes.changed().map(|(kind, changed)| format!("{kind} {changed}")).collect(),
        removed: changes.removed().map(name).collect(),
    };
    (!changes.is_empty()).then_some(told)
}

/// Logs each part of a config that opens what is closed by default.
pub(super) fn warn_of_dangers(config: &Config) {
    Dangers::of(config).warnings(clock::now()).iter().for_each(|warning| warn!("{warning}"));
}

/// A fault that has no place of its own in the config.
fn of_all(why: impl ToString) -> Faults {
    Faults::of([Fault::of_all(why.to_string())])
}
