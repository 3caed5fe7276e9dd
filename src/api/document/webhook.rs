//! Webhooks: as lists over tenants show them, and what is answered to changes. What a tenant's own list shows of one, and in which
//! order, its dialect says.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::members::Members;
use super::moment::Moment;

/// A webhook in a list over tenants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "WebhookOfTenant"))]
pub(crate) struct Webhook {
    pub(crate) id: String,
    /// Empty for a webhook without one.
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) url: String,
    /// Event types: names, `prefix.*`, or `*`.
    pub(crate) events: Vec<String>,
    pub(crate) status: WebhookStatus,
    pub(crate) created_at: Moment,
    /// When its URL, event types, name, description or settings were last set.
    pub(crate) updated_at: Moment,
    /// The end of the newest attempt.
    pub(crate) last_delivery_at: Option<Moment>,
    /// Failures in a row, as the dialect counts them.
    pub(crate) failures: u32,
    /// The status of the newest attempt's response.
    pub(crate) last_code: Option<u16>,
    /// The class of the newest attempt's failure.
    pub(crate) last_error: Option<String>,
    /// Since when nothing is sent to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disabled_at: Option<Moment>,
    /// Why nothing is sent to it, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) disabled_reason: Option<String>,
    pub(crate) provider: String,
    pub(crate) tenant: String,
    /// `file`, `operator`, or the id of the key that made it.
    pub(crate) owner: String,
    /// What else was set of it, each setting by its name.
    #[serde(flatten)]
    #[cfg_attr(test, schemars(with = "crate::api::description::bodies::Settings"))]
    pub(crate) settings: BTreeMap<String, Value>,
}

/// What of a webhook in a list over tenants is needed to find it: of a service of any version.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Found {
    pub(crate) id: String,
    #[serde(default)]
    pub(crate) provider: String,
    #[serde(default)]
    pub(crate) tenant: String,
}

/// A webhook as its dialect shows it: which members it has, and in which order, the dialect's file says.
pub(crate) type InDialect<'a> = Members<Member<'a>, &'static str>;

/// The value of a member of a webhook. It has no `Debug`, since one of them is the secret.
#[derive(Clone, Serialize)]
#[serde(untagged)]
pub(crate) enum Member<'a> {
    Text(Cow<'a, str>),
    Texts(Vec<String>),
    Flag(bool),
    Number(u64),
    Moment(Moment),
    /// A setting, as it was written.
    Json(Box<RawValue>),
    Null,
}

/// The member that only the answer that makes a secret has. It has no `Debug`, so that the secret reaches no log.
#[derive(Deserialize)]
pub(crate) struct ShownOnce {
    #[serde(default)]
    pub(crate) secret: Option<String>,
}

/// Whether deliveries go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum WebhookStatus {
    Active,
    Disabled,
    /// Taken out of the config file. A dialect may not know the word, and shows `disabled`.
    Removed,
    Deleted,
}

impl WebhookStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Disabled => "disabled",
            Self::Removed => "removed",
            Self::Deleted => "deleted",
        }
    }
}

/// A webhook's secret: `GET /v1/webhooks/{id}/secret`.
// It has no `Debug`, so that the secret reaches no log.
#[derive(Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct WebhookSecret {
    pub(crate) id: String,
    pub(crate) name: String,
    /// The one that signs now. This answer goes to the admin socket alone.
    pub(crate) secret: String,
}

/// Whether a filter lets an event through: `POST /v1/webhooks/{id}/filter-test`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct FilterTested {
    /// Whether the webhook would get the event, if it subscribes to the event's type.
    pub(crate) matches: bool,
    /// The JSON pointer inside the filter to the part that does not match.
    pub(crate) why: Option<String>,
}

/// How much a recovery brought back: `POST /v1/webhooks/{id}/recover`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "RecoveredDeliveries"))]
pub(crate) struct Recovered {
    /// Deliveries that were brought back.
    pub(crate) count: u64,
}

/// What ends from now on: `POST /v1/webhooks/{id}/purge`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Purging {
    pub(crate) id: String,
    /// Which deliveries: those that are `pending`, or `held`.
    pub(crate) status: super::delivery::Status,
    /// Those of events that were published up to then.
    pub(crate) until: Moment,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_webhook_are_printed_as_what_they_are() {
        let at = crate::domain::time::Timestamp::EPOCH.into();
        let members = vec![
            ("a", Member::Text("x".into())),
            ("b", Member::Texts(vec!["y.*".into()])),
            ("c", Member::Flag(true)),
            ("d", Member::Number(3)),
            ("e", Member::Moment(at)),
            ("f", Member::Null),
        ];
        let printed = serde_json::to_string(&Members(members)).unwrap();
        assert_eq!(printed, r#"{"a":"x","b":["y.*"],"c":true,"d":3,"e":"1970-01-01T00:00:00Z","f":null}"#);
    }

    #[test]
    fn a_webhooks_status_has_one_word() {
        use WebhookStatus::{Active, Deleted, Disabled, Removed};
        for status in [Active, Disabled, Removed, Deleted] {
            assert_eq!(serde_json::to_value(status).unwrap(), status.name());
        }
    }
}
