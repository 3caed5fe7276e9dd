//! What an operator asks of the service itself.

use std::sync::atomic::Ordering::Relaxed;

use http::StatusCode;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::oneshot;

use super::health;
use crate::api::Api;
use crate::api::response::print::Object;
use crate::api::response::problem::{Problem, STOPPING};
use crate::api::response::reply::Reply;
use crate::clock;
use crate::config::reload::Changes;
use crate::store::{consequence, described};

/// `GET /v1/admin/status`
pub(crate) fn status(api: &Api) -> Reply {
    let health = api.store.health();
    let settings = api.settings.borrow().clone();
    let reasons = health::reasons(api, &health);
    let findings: Vec<String> = api.store.findings().iter().map(ToString::to_string).collect();
    let warnings = settings.dangers.warnings(clock::now());
    Reply::object(StatusCode::OK, |object| {
        object.text("version", env!("CARGO_PKG_VERSION"));
        object.boolean("ready", reasons.is_empty());
        object.texts("reasons", reasons.iter().map(String::as_str));
        object.texts("warnings", warnings.iter().map(String::as_str));
        object.number("uptime_s", clock::steady().saturating_duration_since(api.started).as_secs());
        object.number("providers", settings.providers().count() as u64);
        object.number("webhooks", health.webhooks as u64);
        object.number("disabled", health.disabled as u64);
        object.number("removed", health.removed as u64);
        object.number("events", health.events);
        object.number("pending", health.pending);
        object.number("armed", health.armed as u64);
        object.number("queue", health.queue as u64);
        object.number("commits", health.commits);
        object.number("oldest_due_late_ms", millis(health.oldest_due_late));
        object.number("last_commit_age_ms", millis(health.last_commit_age));
        object.number("connections", api.connections() as u64);
        object.number("unauthorized", api.told.unauthorized.load(Relaxed));
        object.number("wrong_keys_limited", api.told.too_often.load(Relaxed));
        object.number("store_bytes", api.store.file_bytes());
        object.number("store_bytes_max", settings.store_bytes_max);
        object.number("live_bytes", health.live_bytes);
        print_clock(api, object);
        object.texts("findings", findings.iter().map(String::as_str));
        object.number("quarantined", api.store.quarantined());
        object.boolean("full", health.full);
        object.boolean("disk_low", health.disk_low);
    })
}

/// `trusted`, or what is wrong with the wall clock and how long nothing is deleted for its age.
fn print_clock(api: &Api, object: &mut Object<'_>) {
    let doubt = api.store.doubted_clock();
    object.object("clock", |object| {
        object.time("now", Some(api.store.now()));
        object.text("state", doubt.map_or("trusted", |doubt| doubt.why.name()));
        if let Some(doubt) = doubt {
            object.number("off_s", doubt.off.as_secs());
            object.number("left_s", doubt.left().as_secs());
            object.text("detail", &format!("{}: {}", described(doubt), consequence(doubt.why)));
        }
    });
}

/// `POST /v1/admin/clock/accept`: the wall clock is right, whatever it did.
pub(crate) async fn accept_clock(api: &Api) -> Result<Reply, Problem> {
    let doubted = api.store.accept_clock().await?;
    Ok(Reply::object(StatusCode::OK, |object| object.boolean("doubted", doubted)))
}

/// `POST /v1/admin/reload`: 200 with what changed, in words and thing by thing, or 422 with every fault.
pub(crate) async fn reload(api: &Api) -> Result<Reply, Problem> {
    let (answer, answered) = oneshot::channel();
    api.reload.try_send(answer).map_err(|error| match error {
        TrySendError::Full(_) => Problem::Conflict("a reload is under way; try again in a second".into()),
        TrySendError::Closed(_) => Problem::Unavailable(STOPPING),
    })?;
    let result = answered.await.map_err(|_| Problem::Unavailable(STOPPING))?;
    let changes = result.map_err(Problem::Config)?;
    Ok(Reply::object(StatusCode::OK, |object| print_changes(&changes, object)))
}

fn print_changes(changes: &Changes, object: &mut Object<'_>) {
    let named = |(kind, name): (&str, &str), object: &mut Object<'_>| {
        object.text("kind", kind);
        object.text("name", name);
    };
    object.text("changes", &changes.to_string());
    object.objects("added", changes.added(), named);
    object.objects("changed", changes.changed(), |(kind, changed), object| {
        named((kind, &changed.name), object);
        object.texts("fields", changed.fields.iter().copied());
    });
    object.objects("removed", changes.removed(), named);
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
