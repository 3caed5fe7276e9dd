//! What is told as it is when somebody asks, and what seldom changes.

use std::time::Duration;

use prometheus::{Gauge, IntCounter, IntGauge, Opts};

use crate::domain::time::Timestamp;

use super::{Make, open_connections, options};

/// The metrics of this kind.
pub(crate) struct Gauges {
    pending: IntGauge,
    held: IntGauge,
    oldest_due_age: Gauge,
    active: IntGauge,
    disabled: IntGauge,
    removed: IntGauge,
    disabled_for: [IntCounter; DisabledFor::ALL.len()],
    store_bytes: IntGauge,
    store_limit_bytes: IntGauge,
    disk_free_bytes: IntGauge,
    journal_bytes: IntGauge,
    network: IntGauge,
    socket: IntGauge,
    streams: IntGauge,
    reload_success: IntGauge,
    reload_timestamp: Gauge,
    backups: [IntCounter; 2],
    backup_timestamp: Gauge,
}

/// What a look tells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Now {
    pub(crate) pending: u64,
    pub(crate) held: u64,
    /// How late the delivery is that is due longest and has not begun.
    pub(crate) oldest_due_age: Duration,
    pub(crate) active: usize,
    pub(crate) disabled: usize,
    pub(crate) removed: usize,
    pub(crate) store_bytes: u64,
    pub(crate) store_limit_bytes: u64,
    pub(crate) disk_free_bytes: u64,
    pub(crate) journal_bytes: u64,
    /// Connections over the network.
    pub(crate) network: usize,
    /// Connections to the admin socket.
    pub(crate) socket: usize,
    /// Live streams of deliveries.
    pub(crate) streams: usize,
}

/// Why a webhook was disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DisabledFor {
    Failures,
    Gone,
    Held,
    ByHand,
}

impl DisabledFor {
    const ALL: [Self; 4] = [Self::Failures, Self::Gone, Self::Held, Self::ByHand];

    const fn name(self) -> &'static str {
        match self {
            Self::Failures => "failures",
            Self::Gone => "gone",
            Self::Held => "held",
            Self::ByHand => "by_hand",
        }
    }
}

impl Gauges {
    pub(super) fn new(make: Make<'_>) -> Self {
        let labelled = |options: Opts, name, value| make.enter(IntGauge::with_opts(options.const_label(name, value)));
        let endpoints = |state| labelled(options("endpoints", "Webhooks, by state."), "state", state);
        let sides = |side| labelled(open_connections(), "side", side);
        let disabled_for = make.counters("webhooks_disabled_total", "Webhooks that were disabled, by why.", &["reason"]);
        let backups = make.counters("backups_total", "Backups that came to their end, by how.", &["result"]);
        let build = options("build_info", "1; the labels say what runs.").const_label("version", env!("CARGO_PKG_VERSION"));
        let commit = option_env!("HOOKWHEEL_COMMIT").unwrap_or("unknown");
        make.enter(IntGauge::with_opts(build.const_label("commit", commit))).set(1);
        Self {
            pending: make.whole("deliveries_pending", "Deliveries that have not ended, those that are held among them."),
            held: make.whole("deliveries_held", "Deliveries that wait for a webhook that is disabled or removed."),
            oldest_due_age: make.gauge(
                "oldest_due_age_seconds",
                "How long the delivery that waits longest has waited for nothing but the relay itself.",
            ),
            active: endpoints("active"),
            disabled: endpoints("disabled"),
            removed: endpoints("removed"),
            disabled_for: DisabledFor::ALL.map(|reason| disabled_for.with_label_values(&[reason.name()])),
            store_bytes: make.whole("store_bytes", "What counts of the store against its limit."),
            store_limit_bytes: make.whole("store_limit_bytes", "The limit of the store: max_bytes of the config."),
            disk_free_bytes: make.whole("disk_free_bytes", "What is free on the disk of the store."),
            journal_bytes: make.whole("journal_bytes", "What the journal takes of the disk."),
            network: sides("client"),
            socket: sides("admin_socket"),
            streams: make.whole("streams_open", "Live streams of deliveries that are open."),
            reload_success: make
                .whole("config_last_reload_success", "Whether the last reload of the config was taken; 1 at the start."),
            reload_timestamp: make.gauge("config_last_reload_timestamp_seconds", "When the config was taken last, in Unix time."),
            backups: ["failed", "succeeded"].map(|result| backups.with_label_values(&[result])),
            backup_timestamp: make.gauge(
                "backup_last_success_timestamp_seconds",
                "When the last backup that succeeded began, in Unix time; 0: none is known.",
            ),
        }
    }

    /// A webhook was disabled.
    pub(crate) fn webhook_disabled(&self, reason: DisabledFor) {
        self.disabled_for[reason as usize].inc();
    }

    /// The config was read, at the start or by a reload: when it was taken; `None`: it was refused.
    pub(crate) fn reloaded(&self, taken: Option<Timestamp>) {
        self.reload_success.set(i64::from(taken.is_some()));
        let unix = taken.map(|taken| taken.since(Timestamp::EPOCH));
        unix.into_iter().for_each(|time| self.reload_timestamp.set(time.as_secs_f64()));
    }

    /// A backup ended.
    pub(crate) fn backup_ended(&self, is_whole: bool) {
        self.backups[usize::from(is_whole)].inc();
    }

    /// When the last backup that succeeded began.
    pub(crate) fn backed_up(&self, at: Timestamp) {
        self.backup_timestamp.set(at.since(Timestamp::EPOCH).as_secs_f64());
    }

    pub(super) fn set(&self, now: &Now) {
        self.pending.set(signed(now.pending));
        self.held.set(signed(now.held));
        self.oldest_due_age.set(now.oldest_due_age.as_secs_f64());
        self.active.set(signed(now.active as u64));
        self.disabled.set(signed(now.disabled as u64));
        self.removed.set(signed(now.removed as u64));
        self.store_bytes.set(signed(now.store_bytes));
        self.store_limit_bytes.set(signed(now.store_limit_bytes));
        self.disk_free_bytes.set(signed(now.disk_free_bytes));
        self.journal_bytes.set(signed(now.journal_bytes));
        self.network.set(signed(now.network as u64));
        self.socket.set(signed(now.socket as u64));
        self.streams.set(signed(now.streams as u64));
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
