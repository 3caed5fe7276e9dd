//! How things stand, in a few lines of the log: what SIGUSR1 asks for.

use tracing::info;

use crate::deliver::pump::Pump;
use crate::store::Store;

/// Writes the state of queues, store and wheel to the log. These are counts alone: no URL, no body, no secret.
pub(super) fn log(store: &Store, pump: &Pump) {
    let health = store.health();
    let state = pump.state();
    info!(
        pending = health.pending,
        events = health.events,
        live_bytes = health.live_bytes,
        commits = health.commits,
        writes_waiting = health.queue,
        last_commit_age_ms = millis(health.last_commit_age),
        full = health.full,
        disk_low = health.disk_low,
        "state of the store"
    );
    info!(
        in_flight = state.in_flight,
        endpoints = state.endpoints,
        queued = state.queued,
        slow_endpoints = state.slow,
        paced_endpoints = state.paced,
        backlogs_on_disk = state.on_disk,
        idle_connections = state.idle,
        "state of the queues"
    );
    info!(
        armed = health.armed,
        behind = health.behind,
        oldest_due_late_ms = millis(health.oldest_due_late),
        webhooks = health.webhooks,
        disabled = health.disabled,
        "state of the wheel"
    );
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
