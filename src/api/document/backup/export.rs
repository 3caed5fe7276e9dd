//! The lines of an export: one JSON object a line, each with its `kind`.
//!
//! The first line is the [`Header`], the last one the [`End`]. Between them stand providers, event types, tenants, keys and webhooks, then
//! each event before its deliveries, so that whoever reads the lines in order finds what a line names in those before it. Members that
//! a reader does not know are errors: an import would lose them in silence.

mod words;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::api::document::moment::Exact;
use crate::domain::delivery::outcome::Class;
use crate::domain::delivery::{Cause, End as Ended, Trigger};

/// What the first line names as its `format`.
pub(crate) const FORMAT: &str = "hookwheel-export";

/// The version of the lines. A reader takes this one and those before it.
pub(crate) const VERSION: u32 = 1;

/// The longest line, in bytes with its end.
pub(crate) const LINE_BYTES_MAX: usize = 16 << 20;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Header {
    pub(crate) kind: HeaderKind,
    pub(crate) format: String,
    pub(crate) version: u32,
    /// The release that wrote the file.
    pub(crate) hookwheel: String,
    pub(crate) made_at: Exact,
    /// Whether keys, secrets and credentials are in it.
    pub(crate) secrets: bool,
}

/// The config that the relay ran with, for people. An import leaves it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    pub(crate) kind: ConfigKind,
    pub(crate) file: String,
    pub(crate) settings: Box<RawValue>,
}

/// What the API says of a provider; null where the dialect or a default says it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provider {
    pub(crate) kind: ProviderKind,
    pub(crate) name: String,
    pub(crate) validate: Option<String>,
    pub(crate) unknown_types: Option<String>,
    pub(crate) create_tenants: Option<bool>,
}

/// An event type that was added to a provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EventType {
    pub(crate) kind: EventTypeKind,
    pub(crate) provider: String,
    pub(crate) name: String,
    /// What `PUT /v1/event-types/{name}` takes.
    pub(crate) definition: Box<RawValue>,
}

/// A tenant that the config file does not list.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tenant {
    pub(crate) kind: TenantKind,
    pub(crate) provider: String,
    pub(crate) id: String,
    /// What `PUT /v1/admin/tenants/{provider}/{id}` takes.
    pub(crate) profile: Box<RawValue>,
}

/// A key that the API made. Its text is known to nobody; by the hash it goes on to open what it opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Key {
    pub(crate) kind: KeyKind,
    pub(crate) id: String,
    pub(crate) name: String,
    /// Null for an operator's key.
    pub(crate) provider: Option<String>,
    /// Null for a provider's or an operator's key.
    pub(crate) tenant: Option<String>,
    pub(crate) scopes: Vec<String>,
    /// The SHA-256 of the key's text, in hex.
    pub(crate) sha256: String,
    pub(crate) created_at: Exact,
    /// The id of the key that made it.
    pub(crate) made_by: Option<String>,
    pub(crate) made_by_provider: bool,
    pub(crate) description: String,
    pub(crate) expires_at: Option<Exact>,
    pub(crate) rate_limit: Option<String>,
}

/// A webhook.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Webhook {
    pub(crate) kind: WebhookKind,
    pub(crate) id: String,
    pub(crate) provider: String,
    pub(crate) tenant: String,
    pub(crate) owner: WebhookOwner,
    pub(crate) created_at: Exact,
    pub(crate) changed_at: Exact,
    /// Null while it is active.
    pub(crate) disabled: Option<Disabled>,
    pub(crate) failures: u32,
    /// What `POST /v1/webhooks` takes. Without secrets it lacks the settings of `left_out`.
    pub(crate) definition: Box<RawValue>,
    /// Whether the operator named the proxy of the definition.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) proxy_of_operator: bool,
    /// Settings that hold credentials, in a file without secrets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) left_out: Vec<String>,
    /// The newest first. Null in a file without secrets.
    pub(crate) secrets: Option<Vec<LiveSecret>>,
}

/// Who made a webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum WebhookOwner {
    File,
    Operator,
    /// A tenant's key, by its id.
    Key(String),
    /// A provider's key, by its id.
    Provider(String),
}

/// Since when a webhook is disabled, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Disabled {
    pub(crate) at: Exact,
    pub(crate) why: Why,
}

/// Why a webhook is disabled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Why {
    /// So many failures in a row.
    Failures(u32),
    Gone,
    Held,
    ByHand,
}

/// A secret that signs, without end or until an overlap ends.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LiveSecret {
    pub(crate) secret: String,
    pub(crate) until: Option<Exact>,
}

/// An event.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Event {
    pub(crate) kind: EventKind,
    pub(crate) id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<String>,
    pub(crate) provider: String,
    /// Null for an event for all tenants of the provider.
    pub(crate) tenant: Option<String>,
    pub(crate) r#type: String,
    /// When it was published, in milliseconds, and which of that millisecond it was.
    pub(crate) published: Published,
    /// What the body calls its time.
    pub(crate) time: Exact,
    pub(crate) occurred_at: Option<Exact>,
    /// Each value is the JSON of a scalar.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) attributes: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) connection: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) channels: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) test: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) schema_errors: String,
    /// The id of the event that it is a replay of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replay_of: Option<String>,
    /// The ids of its newest replays, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) replays: Vec<String>,
    /// The hash by which a repeated publication is known, in hex. Null where the publisher gave no id.
    pub(crate) content_sha256: Option<String>,
    pub(crate) deliveries: u32,
    /// The body that is sent, and behind it the data where the body does not hold it.
    pub(crate) content: Bytes,
    /// Where in the content the body ends.
    pub(crate) body_end: usize,
    /// Where in the content the data begins and ends.
    pub(crate) data: (usize, usize),
}

/// An event's place in the order of publishing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Published {
    /// Unix time.
    pub(crate) ms: u64,
    pub(crate) number: u16,
}

/// Bytes, as text where they are UTF-8, else in base64.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Bytes {
    pub(crate) text: String,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) base64: bool,
}

/// A delivery with its attempts.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Delivery {
    pub(crate) kind: DeliveryKind,
    /// The id in the relay that wrote the file.
    pub(crate) id: String,
    pub(crate) provider: String,
    /// The tenant of its event.
    pub(crate) tenant: Option<String>,
    pub(crate) event_id: String,
    pub(crate) webhook_id: String,
    pub(crate) state: State,
    pub(crate) cause: Cause,
    /// Attempts before the run that `cause` began.
    pub(crate) before: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) url: Option<String>,
    pub(crate) succeeded_at: Option<Exact>,
    pub(crate) code: Option<u16>,
    pub(crate) attempts: Vec<Attempt>,
}

/// Where a delivery stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    Pending,
    Succeeded { at: Exact },
    Failed { at: Exact, reason: Ended },
}

/// An attempt.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Attempt {
    pub(crate) trigger: Trigger,
    pub(crate) started_at: Exact,
    pub(crate) micros: u64,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    /// The class of its failure; null for a success.
    pub(crate) error: Option<Class>,
    pub(crate) result: Outcome,
}

/// What an attempt came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Response { status: u16, headers: Vec<(String, String)>, body: Bytes, truncated: bool, body_error: Option<String> },
    Failure { class: Class, detail: String },
}

/// The last line: by it a reader knows that nothing is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct End {
    pub(crate) kind: EndKind,
    /// How many lines stand between the first and this one.
    pub(crate) records: u64,
}

/// The last line of an answer of `GET /v1/admin/export`. It is no line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Page {
    pub(crate) kind: PageKind,
    /// The `cursor` of the next answer; null behind the last.
    pub(crate) next: Option<String>,
    /// How many events there are, about.
    pub(crate) events: u64,
}

/// What became of one line of an import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Imported {
    pub(crate) status: Status,
    /// Why a line was refused, or what else is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) detail: Option<String>,
    /// The id of a webhook that has another one here than in the file, as those of the config file do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) id: Option<String>,
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    Added,
    /// What was there is now as the line says.
    Changed,
    /// It was there already.
    Left,
    Refused,
}

/// What is read of a line first: which kind it is.
#[derive(Debug, Deserialize)]
pub(crate) struct Kind {
    pub(crate) kind: String,
}

/// Makes the types of the members `kind`, each of one word.
macro_rules! kinds {
    ($($name:ident = $word:literal),* $(,)?) => {
        $(
            #[doc = concat!("The word `", $word, "`.")]
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
            pub(crate) enum $name {
                #[default]
                #[serde(rename = $word)]
                Only,
            }
        )*
    };
}

kinds! {
    HeaderKind = "header",
    ConfigKind = "config",
    ProviderKind = "provider",
    EventTypeKind = "event_type",
    TenantKind = "tenant",
    KeyKind = "key",
    WebhookKind = "webhook",
    EventKind = "event",
    DeliveryKind = "delivery",
    EndKind = "end",
    PageKind = "page",
}

/// Secrets reach no log.
impl std::fmt::Debug for LiveSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LiveSecret(…)")
    }
}

/// Takes a reference because serde gives one.
fn is_false(flag: &bool) -> bool {
    !flag
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_read_as_it_is_printed() {
        for end in Ended::ALL {
            let printed = serde_json::to_string(&end).unwrap();
            assert_eq!(serde_json::from_str::<Ended>(&printed).unwrap(), end);
        }
        assert!(serde_json::from_str::<Class>(r#""rain""#).is_err());
    }

    #[test]
    fn a_line_of_another_kind_or_with_more_members_is_none() {
        let end = r#"{"kind":"end","records":3}"#;
        assert_eq!(serde_json::from_str::<End>(end).unwrap(), End { kind: EndKind::Only, records: 3 });
        assert!(serde_json::from_str::<End>(&end.replace("end", "event")).is_err());
        assert!(serde_json::from_str::<End>(r#"{"kind":"end","records":3,"more":1}"#).is_err());
    }

    #[test]
    fn debug_shows_no_secret() {
        assert!(!format!("{:?}", LiveSecret { secret: "sesame".into(), until: None }).contains("sesame"));
    }
}
