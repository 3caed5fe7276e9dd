//! Liveness and readiness, for whatever watches the service. No key, no secrets.

use std::time::Duration;

use http::StatusCode;

use crate::api::Api;
use crate::api::document::status::{self as document, HealthWord};
use crate::api::response::reply::Reply;
use crate::store::{Health, Refusal};

/// The process answers.
pub(crate) fn healthz() -> Reply {
    Reply::document(StatusCode::OK, &document::Health { status: HealthWord::Ok, reasons: Vec::new(), findings: Vec::new() })
}

/// The service does its work; else 503 with what keeps it from it.
pub(crate) fn readyz(api: &Api) -> Reply {
    let reasons = reasons(api, &api.store.health());
    let (code, status) = match reasons.is_empty() {
        true => (StatusCode::OK, HealthWord::Ready),
        false => (StatusCode::SERVICE_UNAVAILABLE, HealthWord::NotReady),
    };
    Reply::document(code, &document::Health { status, reasons, findings: findings(api) })
}

/// What the start found wrong, in words.
pub(crate) fn findings(api: &Api) -> Vec<String> {
    api.store.findings().iter().map(ToString::to_string).collect()
}

/// Why the service is not ready: it stops, its writer stands, deliveries wait for nothing but the service itself, no event is taken
/// until somebody has seen what was lost, or there is no room for one.
pub(crate) fn reasons(api: &Api, health: &Health) -> Vec<String> {
    let mut reasons = Vec::new();
    if api.stop.is_pressed() {
        reasons.push("the service is stopping".into());
    }
    let unknown = api.store.findings().iter().filter(|finding| finding.kind.holds_back());
    reasons.extend(unknown.map(|finding| format!("{finding}; stop the service and run `hookwheel doctor --acknowledge`")));
    if health.last_commit_age > COMMIT_AGE_MAX {
        reasons.push(format!("the store has not committed for {} s", health.last_commit_age.as_secs()));
    }
    if health.oldest_due_late > LATE_MAX {
        reasons.push(format!("a due delivery waits for {} s", health.oldest_due_late.as_secs()));
    }
    if health.full {
        reasons.push(Refusal::Full.to_string());
    }
    if health.disk_low {
        reasons.push(Refusal::DiskLow.to_string());
    }
    if let Some(shortage) = health.shortage {
        reasons.push(format!("deliveries wait: {shortage}"));
    }
    reasons
}

/// A commit, or the check of an idle writer, is at most this old.
const COMMIT_AGE_MAX: Duration = Duration::from_secs(5);

/// A due delivery that only the relay holds back is at most this late.
const LATE_MAX: Duration = Duration::from_secs(5);
