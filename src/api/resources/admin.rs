//! The calls by which an operator looks after the service: status, tables, reload, and trust in the clock.

pub(in crate::api) mod audit;
pub(in crate::api) mod backups;
pub(in crate::api) mod export;
pub(in crate::api) mod import;
pub(in crate::api) mod login_links;
pub(in crate::api) mod providers;
pub(in crate::api) mod tenants;

use std::sync::atomic::Ordering::Relaxed;

use http::StatusCode;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use super::health;
use crate::api::document::status::{Changed, Clock, ClockAccepted, Doubt, Named, Reloaded, Status, Table, Tables};
use crate::api::request::context::Context;
use crate::api::response::problem::{Problem, STOPPING};
use crate::api::response::reply::Reply;
use crate::api::{Api, ReloadAsk};
use crate::clock;
use crate::config::reload::Changes;
use crate::store::{TableSize, consequence, described};

/// `GET /v1/admin/status`
pub(crate) async fn status(api: &Api) -> Reply {
    let store_bytes = api.store.file_bytes().await;
    let health = api.store.health();
    let settings = api.settings.borrow().clone();
    let reasons = health::reasons(api, &health);
    let status = Status {
        version: env!("CARGO_PKG_VERSION").into(),
        ready: reasons.is_empty(),
        reasons,
        warnings: settings.dangers.warnings(clock::now()),
        uptime_s: clock::steady().saturating_duration_since(api.started).as_secs(),
        providers: settings.providers().count() as u64,
        webhooks: health.webhooks as u64,
        disabled: health.disabled as u64,
        removed: health.removed as u64,
        events: health.events,
        pending: health.pending,
        armed: health.armed as u64,
        queue: health.queue as u64,
        commits: health.commits,
        oldest_due_late_ms: millis(health.oldest_due_late),
        last_commit_age_ms: millis(health.last_commit_age),
        connections: api.connections() as u64,
        unauthorized: api.told.unauthorized.load(Relaxed),
        wrong_keys_limited: api.told.too_often.load(Relaxed),
        store_bytes,
        store_bytes_max: settings.store_bytes_max,
        live_bytes: health.live_bytes,
        clock: clock_of(api),
        findings: health::findings(api),
        quarantined: api.store.quarantined(),
        full: health.full,
        disk_low: health.disk_low,
        backups: backups::backups(&api.store),
    };
    Reply::document(StatusCode::OK, &status)
}

fn clock_of(api: &Api) -> Clock {
    let doubt = api.store.doubted_clock();
    let told = doubt.map(|doubt| Doubt {
        off_s: doubt.off.as_secs(),
        left_s: doubt.left().as_secs(),
        detail: format!("{}: {}", described(doubt), consequence(doubt.why)),
    });
    let state = doubt.map_or("trusted", |doubt| doubt.why.name()).into();
    Clock { now: api.store.now().into(), state, doubt: told }
}

/// `POST /v1/admin/clock/accept`: the operator says that the wall clock is right, so it is trusted again.
pub(crate) async fn accept_clock(context: &Context<'_>) -> Result<Reply, Problem> {
    let doubted = context.commands().accept_clock().await?;
    Ok(Reply::document(StatusCode::OK, &ClockAccepted { doubted }))
}

/// `GET /v1/admin/tables`: how many bytes of the store's file each table takes. The call reads the whole store.
pub(crate) async fn tables(context: &Context<'_>) -> Result<Reply, Problem> {
    let sizes = context.api.store.table_sizes().await?;
    let table =
        |size: TableSize| Table { name: size.name.into(), rows: size.rows, bytes: size.bytes, file_bytes: size.file_bytes };
    Ok(Reply::document(StatusCode::OK, &Tables { tables: sizes.into_iter().map(table).collect() }))
}

/// `POST /v1/admin/reload`: reads the config again. Answers 200 with a list of the changes and a text of them, or 422 with every
/// fault of the config.
pub(crate) async fn reload(context: &Context<'_>) -> Result<Reply, Problem> {
    let (answer, answered) = oneshot::channel();
    context.api.reload.try_send(ReloadAsk { by: context.origin(), answer }).map_err(|error| match error {
        TrySendError::Full(_) => Problem::Conflict("a reload is under way; try again in a second".into()),
        TrySendError::Closed(_) => Problem::Unavailable(STOPPING),
    })?;
    let result = answered.await.map_err(|_| Problem::Unavailable(STOPPING))?;
    let changes = result.map_err(Problem::Config)?;
    Ok(Reply::document(StatusCode::OK, &reloaded(&changes)))
}

fn reloaded(changes: &Changes) -> Reloaded {
    let named = |(kind, name): (&str, &str)| Named { kind: kind.into(), name: name.into() };
    let changed = changes.changed().map(|(kind, changed)| Changed {
        what: named((kind, &changed.name)),
        fields: changed.fields.iter().map(ToString::to_string).collect(),
    });
    Reloaded {
        changes: changes.to_string(),
        added: changes.added().map(named).collect(),
        changed: changed.collect(),
        removed: changes.removed().map(named).collect(),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
