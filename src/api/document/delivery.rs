//! Deliveries: as rows of the log, and one with all its attempts.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::moment::Moment;
use crate::domain::delivery::End;
pub(crate) use crate::store::Status;

/// What every answer says of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Delivery {
    pub(crate) id: String,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) webhook_id: String,
    /// Where it is sent, or was.
    pub(crate) url: String,
    pub(crate) status: Status,
    /// Why it failed for good, or why it is held.
    pub(crate) reason: Option<Reason>,
    pub(crate) test: bool,
    pub(crate) created_at: Moment,
    /// The first success, also after later runs.
    pub(crate) succeeded_at: Option<Moment>,
    /// Null where no time is known: it waits in its endpoint's queue, is held, or has ended.
    pub(crate) next_attempt_at: Option<Moment>,
}

/// A delivery in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Row {
    #[serde(flatten)]
    pub(crate) delivery: Delivery,
    /// How many were made.
    pub(crate) attempts: u16,
    /// The status of the newest response.
    pub(crate) last_code: Option<u16>,
    /// The class of the newest attempt's failure.
    pub(crate) last_error: Option<String>,
    /// Only in a list over tenants.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Owner>,
}

/// Why a delivery failed for good, or why it is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Ended(End),
    /// It is held until its webhook is enabled.
    WebhookDisabled,
    /// It is held until its webhook stands in the config file again.
    WebhookRemoved,
}

impl Reason {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ended(end) => end.name(),
            Self::WebhookDisabled => "webhook_disabled",
            Self::WebhookRemoved => "webhook_removed",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        let all = End::ALL.into_iter().map(Self::Ended).chain([Self::WebhookDisabled, Self::WebhookRemoved]);
        all.into_iter().find(|reason| reason.name() == name)
    }
}

/// Whose a row is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) provider: String,
    pub(crate) tenant: String,
}

/// One request of a delivery. What it sent besides its headers is the event's body, which stands with the delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    /// From 1.
    pub(crate) number: u16,
    /// `schedule`, `manual` or `test`.
    pub(crate) trigger: String,
    pub(crate) started_at: Moment,
    pub(crate) duration_ms: u64,
    /// The class of its failure; null for a success.
    pub(crate) error: Option<String>,
    /// The failure in one sentence; null where a response came.
    pub(crate) detail: Option<String>,
    pub(crate) request: Request,
    /// Null where none came.
    pub(crate) response: Option<Response>,
}

/// What an attempt sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) url: String,
    pub(crate) headers: Headers,
}

/// What an endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: String,
    /// `base64` for a body that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encoding: Option<String>,
    /// Whether there was more of the body than is kept.
    pub(crate) truncated: bool,
    /// What was wrong with the body. It changes no verdict.
    pub(crate) body_error: Option<String>,
}

/// Headers in the order in which they were sent, each name once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Headers(pub(crate) Vec<(String, String)>);

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of headers")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Headers, A::Error> {
                let mut headers = Vec::new();
                while let Some(header) = map.next_entry()? {
                    headers.push(header);
                }
                Ok(Headers(headers))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| de::Error::custom(format!("`{name}` is no status of a delivery")))
    }
}

impl Serialize for Reason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Reason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::parse(&name).ok_or_else(|| de::Error::custom(format!("`{name}` is no reason of a delivery")))
    }
}

#[cfg(test)]
pub(crate) mod fixture {
    //! Rows for tests.

    use super::*;
    use crate::domain::time::Timestamp;

    /// A delivery of tenant `acme/t1`, after two attempts.
    pub(crate) fn row(status: Status) -> Row {
        let delivery = Delivery {
            id: "dlv_1".into(),
            event_id: "evt_1".into(),
            event_type: "a.b".into(),
            webhook_id: "wh_1".into(),
            url: "https://x/".into(),
            status,
            reason: None,
            test: false,
            created_at: Timestamp::EPOCH.into(),
            succeeded_at: None,
            next_attempt_at: None,
        };
        let owner = Some(Owner { provider: "acme".into(), tenant: "t1".into() });
        Row { delivery, attempts: 2, last_code: None, last_error: None, owner }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_read_as_it_is_printed() {
        for status in Status::ALL {
            let everywhere = Row { last_code: Some(503), last_error: Some("status".into()), ..fixture::row(status) };
            for row in [Row { owner: None, ..everywhere.clone() }, everywhere] {
                let printed = serde_json::to_string(&row).unwrap();
                assert_eq!(serde_json::from_str::<Row>(&printed).unwrap(), row);
                assert_eq!(printed.contains("tenant"), row.owner.is_some());
            }
        }
        assert!(serde_json::from_str::<Status>(r#""ok""#).is_err());
    }

    #[test]
    fn each_reason_is_read_as_it_is_printed() {
        let ends = End::ALL.map(Reason::Ended);
        for reason in ends.into_iter().chain([Reason::WebhookDisabled, Reason::WebhookRemoved]) {
            let printed = serde_json::to_string(&reason).unwrap();
            assert_eq!(serde_json::from_str::<Reason>(&printed).unwrap(), reason, "{printed}");
        }
        assert!(serde_json::from_str::<Reason>(r#""bored""#).is_err());
    }

    #[test]
    fn headers_keep_their_order() {
        let printed = r#"{"number":1,"trigger":"schedule","started_at":"1970-01-01T00:00:00Z","duration_ms":5,"error":null,"detail":null,"request":{"url":"https://x/","headers":{"z":"1","a":"2"}},"response":{"status":200,"headers":{"b":"3"},"body":"","truncated":false,"body_error":null}}"#;
        let attempt: Attempt = serde_json::from_str(printed).unwrap();
        assert_eq!(attempt.request.headers.0[0], ("z".to_owned(), "1".to_owned()));
        assert_eq!(serde_json::to_string(&attempt).unwrap(), printed);
    }
}
