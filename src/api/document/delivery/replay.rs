//! Replays: deliveries that are sent again in the background.

use serde::{Deserialize, Serialize};

use crate::api::document::moment::{Exact, Moment};

/// A replay: `GET /v1/replays/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Replay {
    pub(crate) id: String,
    pub(crate) state: ReplayState,
    /// Why it is paused or cancelled, unless somebody asked for it: `webhook_inactive`, `webhook_deleted`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// How many deliveries matched when it was asked for.
    pub(crate) matched: u64,
    /// How many of them were sent again and have ended.
    pub(crate) done: u64,
    /// How many of `done` failed.
    pub(crate) failed: u64,
    /// How many of `matched` were left out, since by then somebody else had sent them again, retention had taken them, or their webhook
    /// was not active. 0 until all deliveries were looked at.
    pub(crate) skipped: u64,
    pub(crate) filter: ReplayFilter,
    /// Whether a new event is made of each old one.
    #[serde(default)]
    pub(crate) new_id: bool,
    /// The most deliveries that are sent in a time, as in `100/s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rate: Option<String>,
    pub(crate) created_at: Moment,
    /// When it was done or cancelled; null before.
    pub(crate) ended_at: Option<Moment>,
    /// The provider and tenant, in lists over tenants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
}

/// Which deliveries a replay sends again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ReplayFilter {
    /// The webhook's id; absent: all webhooks of the tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook: Option<String>,
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub(crate) kind: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<EndedStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) code: Option<u16>,
    pub(crate) since: Exact,
    pub(crate) until: Exact,
}

/// How many deliveries a replay would send: `POST /v1/replays` with `dry_run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct ReplayCount {
    pub(crate) matched: u64,
    pub(crate) filter: ReplayFilter,
}

/// What a replay is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum ReplayState {
    /// It sends, or waits for what it has sent to end.
    Running,
    /// It sends nothing more until it is resumed.
    Paused,
    /// All that it has sent has ended.
    Done,
    /// It sends nothing more.
    Cancelled,
}

/// How a delivery has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) enum EndedStatus {
    Succeeded,
    Failed,
}

impl ReplayState {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
}

impl EndedStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_has_one_word() {
        use ReplayState::{Cancelled, Done, Paused, Running};
        for state in [Running, Paused, Done, Cancelled] {
            assert_eq!(serde_json::to_value(state).unwrap(), state.name());
        }
        for status in [EndedStatus::Succeeded, EndedStatus::Failed] {
            assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        }
    }
}
