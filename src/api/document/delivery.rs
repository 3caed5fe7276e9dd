//! Deliveries: as rows of the log, and one with all its attempts.

pub(crate) mod replay;

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::members::Members;
use super::moment::Exact;
use crate::domain::delivery::End;
pub(crate) use crate::store::Status;

/// What every answer says of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
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
    pub(crate) created_at: Exact,
    /// The first success, also after later runs.
    pub(crate) succeeded_at: Option<Exact>,
    /// Null where no time is known: it waits in its endpoint's queue, is held, or has ended.
    pub(crate) next_attempt_at: Option<Exact>,
}

/// A delivery in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Delivery"))]
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

/// A delivery with its event's body and every attempt that is kept: `GET /v1/deliveries/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "DeliveryWithAttempts"))]
pub(crate) struct Whole {
    #[serde(flatten)]
    pub(crate) delivery: Delivery,
    /// What every attempt sends; null once the event is gone.
    pub(crate) request: Option<Body<'static>>,
    pub(crate) attempts: Vec<Attempt>,
}

/// A body that is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "SentBody"))]
pub(crate) struct Body<'a> {
    pub(crate) body: Cow<'a, str>,
    /// `base64` for a body that is no text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encoding: Option<Cow<'a, str>>,
}

/// Why a delivery failed for good, or why it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    Ended(End),
    /// It is held until its webhook is enabled.
    WebhookDisabled,
    /// It is held until its webhook stands in the config file again.
    WebhookRemoved,
    /// A word of a newer service.
    Other(Box<str>),
}

impl Reason {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Ended(end) => end.name(),
            Self::WebhookDisabled => "webhook_disabled",
            Self::WebhookRemoved => "webhook_removed",
            Self::Other(name) => name,
        }
    }

    fn parse(name: &str) -> Self {
        let mut all = End::ALL.into_iter().map(Self::Ended).chain([Self::WebhookDisabled, Self::WebhookRemoved]);
        all.find(|reason| reason.name() == name).unwrap_or_else(|| Self::Other(name.into()))
    }
}

/// Whose a row is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Owner {
    pub(crate) provider: String,
    pub(crate) tenant: String,
}

/// One request of a delivery. What it sent besides its headers is the event's body, which stands with the delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Attempt {
    /// Empty where a release before the ids of attempts answered.
    #[serde(default)]
    pub(crate) id: String,
    /// From 1.
    pub(crate) number: u16,
    /// `schedule`, `manual` or `test`.
    pub(crate) trigger: String,
    pub(crate) started_at: Exact,
    pub(crate) duration_ms: u64,
    /// The class of its failure; null for a success.
    pub(crate) error: Option<String>,
    /// The failure in one sentence; null where a response came.
    pub(crate) detail: Option<String>,
    pub(crate) request: Request,
    /// Null where none came.
    pub(crate) response: Option<Response>,
}

/// An attempt in a list of attempts, or by its id: `GET /v1/attempts`, `GET /v1/attempts/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct AttemptRow {
    #[serde(flatten)]
    pub(crate) attempt: Attempt,
    pub(crate) delivery_id: String,
    pub(crate) event_id: String,
    pub(crate) event_type: String,
    pub(crate) webhook_id: String,
    /// Only in a list over tenants.
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub(crate) owner: Option<Owner>,
}

/// What an attempt sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "SentRequest"))]
pub(crate) struct Request {
    pub(crate) url: String,
    pub(crate) headers: Headers,
}

/// What an endpoint answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ReceivedResponse"))]
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
pub(crate) type Headers = Members<String>;

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
        Ok(Self::parse(&String::deserialize(deserializer)?))
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
        let newer: Reason = serde_json::from_str(r#""bored""#).unwrap();
        assert_eq!((newer.name(), serde_json::to_string(&newer).unwrap().as_str()), ("bored", r#""bored""#));
    }

    #[test]
    fn a_row_of_another_version_is_read() {
        let mut row = serde_json::to_value(fixture::row(Status::Held)).unwrap();
        row["shard"] = 7.into();
        row.as_object_mut().unwrap().remove("last_code");
        assert_eq!(serde_json::from_value::<Row>(row.clone()).unwrap(), fixture::row(Status::Held));
        row.as_object_mut().unwrap().remove("url");
        assert!(serde_json::from_value::<Row>(row).unwrap_err().to_string().contains("`url`"));
    }

    #[test]
    fn a_whole_delivery_is_read_as_it_is_printed() {
        let delivery = fixture::row(Status::Pending).delivery;
        let body = Body { body: "/wA=".into(), encoding: Some("base64".into()) };
        for request in [Some(body), None] {
            let whole = Whole { delivery: delivery.clone(), request, attempts: Vec::new() };
            let printed = serde_json::to_string(&whole).unwrap();
            assert_eq!(serde_json::from_str::<Whole>(&printed).unwrap(), whole);
        }
    }

    #[test]
    fn headers_keep_their_order() {
        let printed = r#"{"id":"att_1","number":1,"trigger":"schedule","started_at":"1970-01-01T00:00:00.000000Z","duration_ms":5,"error":null,"detail":null,"request":{"url":"https://x/","headers":{"z":"1","a":"2"}},"response":{"status":200,"headers":{"b":"3"},"body":"","truncated":false,"body_error":null}}"#;
        let attempt: Attempt = serde_json::from_str(printed).unwrap();
        assert_eq!(attempt.request.headers.0[0], ("z".to_owned(), "1".to_owned()));
        assert_eq!(serde_json::to_string(&attempt).unwrap(), printed);
        let without_id: Attempt = serde_json::from_str(&printed.replace(r#""id":"att_1","#, "")).unwrap();
        assert_eq!(without_id, Attempt { id: String::new(), ..attempt });
    }
}
