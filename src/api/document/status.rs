//! How the service is: for its operator, and for whatever watches it.

use serde::{Deserialize, Serialize};

use super::backup::Backups;
use super::moment::Moment;

/// How the service is: `GET /v1/admin/status`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ServiceStatus"))]
pub(crate) struct Status {
    pub(crate) version: String,
    pub(crate) ready: bool,
    /// Why it is not ready.
    pub(crate) reasons: Vec<String>,
    /// What should be mended soon.
    pub(crate) warnings: Vec<String>,
    pub(crate) uptime_s: u64,
    pub(crate) providers: u64,
    /// All that are not deleted.
    pub(crate) webhooks: u64,
    /// Those of them that are disabled.
    pub(crate) disabled: u64,
    /// Those of them that were taken out of the config file.
    pub(crate) removed: u64,
    /// Events that are kept.
    pub(crate) events: u64,
    /// Deliveries that have not ended, held ones too.
    pub(crate) pending: u64,
    /// Deliveries whose time the wheel in memory knows.
    pub(crate) armed: u64,
    /// Operations that wait for the writer.
    pub(crate) queue: u64,
    /// Commits since the start.
    pub(crate) commits: u64,
    pub(crate) oldest_due_late_ms: u64,
    pub(crate) last_commit_age_ms: u64,
    /// Open over the network.
    pub(crate) connections: u64,
    /// Requests without a valid key, since the start.
    pub(crate) unauthorized: u64,
    /// Those of them that were beyond the rate of their address.
    pub(crate) wrong_keys_limited: u64,
    /// Of the store's file.
    pub(crate) store_bytes: u64,
    /// `max_bytes` of the config.
    pub(crate) store_bytes_max: u64,
    /// Of all that the store's file holds in use.
    pub(crate) live_bytes: u64,
    pub(crate) clock: Clock,
    /// What the start found wrong and nobody has acknowledged.
    pub(crate) findings: Vec<String>,
    /// Damaged rows that were put aside.
    pub(crate) quarantined: u64,
    /// What may not be deleted fills the store, so nothing is published.
    pub(crate) full: bool,
    /// The disk is nearly full, so nothing is published.
    pub(crate) disk_low: bool,
    pub(crate) backups: Backups,
}

/// What each table of the store takes: `GET /v1/admin/tables`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TableSizes"))]
pub(crate) struct Tables {
    pub(crate) tables: Vec<Table>,
}

/// What a table takes of the store's file. What was published in the last second may not be in it yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "TableSize"))]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) rows: u64,
    /// Of keys and values.
    pub(crate) bytes: u64,
    /// Of its pages.
    pub(crate) file_bytes: u64,
}

/// The wall clock, as far as it is trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ServiceClock"))]
pub(crate) struct Clock {
    /// The time that the service goes by.
    pub(crate) now: Moment,
    /// `trusted`, or what is wrong with it.
    pub(crate) state: String,
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub(crate) doubt: Option<Doubt>,
}

/// What is wrong with the wall clock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Doubt {
    /// By how much it is off.
    pub(crate) off_s: u64,
    /// How long nothing is deleted for its age.
    pub(crate) left_s: u64,
    /// The same in words.
    pub(crate) detail: String,
}

/// Whether the wall clock was trusted before: `POST /v1/admin/clock/accept`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ClockAccepted {
    /// Whether anybody had doubted it.
    pub(crate) doubted: bool,
}

/// What a new config changed, in words and thing by thing: `POST /v1/admin/reload`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Reloaded {
    /// For a person; empty: nothing changed.
    pub(crate) changes: String,
    pub(crate) added: Vec<Named>,
    pub(crate) changed: Vec<Changed>,
    pub(crate) removed: Vec<Named>,
}

/// Something of the config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ConfigItem"))]
pub(crate) struct Named {
    /// What it is: `provider`, `webhook`, …
    pub(crate) kind: String,
    pub(crate) name: String,
}

/// Something of the config that is otherwise than it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ChangedConfigItem"))]
pub(crate) struct Changed {
    #[serde(flatten)]
    pub(crate) what: Named,
    /// Which of its settings changed.
    pub(crate) fields: Vec<String>,
}

/// How the service is, in one word and with reasons: `GET /healthz` and `GET /readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Health {
    pub(crate) status: HealthWord,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) reasons: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) findings: Vec<String>,
}

/// What the service says of itself in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum HealthWord {
    /// It answers.
    Ok,
    Ready,
    #[serde(rename = "not ready")]
    NotReady,
}

#[cfg(test)]
pub(crate) mod fixture {
    //! A status for tests.

    use super::*;
    use crate::domain::time::Timestamp;

    /// Of a service that is ready and has nothing to do.
    pub(crate) fn status() -> Status {
        Status {
            version: "0.1.0".into(),
            ready: true,
            reasons: Vec::new(),
            warnings: Vec::new(),
            uptime_s: 90,
            providers: 1,
            webhooks: 0,
            disabled: 0,
            removed: 0,
            events: 0,
            pending: 0,
            armed: 0,
            queue: 0,
            commits: 0,
            oldest_due_late_ms: 0,
            last_commit_age_ms: 0,
            connections: 0,
            unauthorized: 0,
            wrong_keys_limited: 0,
            store_bytes: 1_536,
            store_bytes_max: 10 << 30,
            live_bytes: 0,
            clock: Clock { now: Timestamp::EPOCH.into(), state: "trusted".into(), doubt: None },
            findings: Vec::new(),
            quarantined: 0,
            full: false,
            disk_low: false,
            backups: Backups { running: None, last: None, last_success_at: None },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_as_it_is_printed() {
        let calm = fixture::status();
        let doubt = Some(Doubt { off_s: 3_600, left_s: 5_400, detail: "it jumped".into() });
        let doubted = Status { clock: Clock { state: "ahead".into(), doubt, ..calm.clock.clone() }, ..calm.clone() };
        for status in [calm, doubted] {
            let printed = serde_json::to_value(&status).unwrap();
            assert_eq!(serde_json::from_value::<Status>(printed.clone()).unwrap(), status);
            assert_eq!(printed["clock"].get("left_s").is_some(), status.clock.doubt.is_some());
        }
    }

    #[test]
    fn a_status_without_a_member_is_none() {
        let mut printed = serde_json::to_value(fixture::status()).unwrap();
        printed.as_object_mut().unwrap().remove("pending");
        let refused = serde_json::from_value::<Status>(printed).unwrap_err();
        assert!(refused.to_string().contains("`pending`"), "{refused}");
    }

    #[test]
    fn what_is_not_wrong_is_left_out_of_health() {
        let printed = |status| serde_json::to_string(&Health { status, reasons: Vec::new(), findings: Vec::new() }).unwrap();
        assert_eq!([HealthWord::Ok, HealthWord::NotReady].map(printed), [r#"{"status":"ok"}"#, r#"{"status":"not ready"}"#]);
    }
}
