//! Events: what is answered when they are published, and as a feed shows them.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::moment::Exact;
use super::{member, open};
use crate::domain::channels::Channels;
use crate::domain::json::quote;

/// An event on disk: the answer to `POST /v1/events`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "AcceptedEvent"))]
pub(crate) struct Accepted<'a> {
    pub(crate) id: Cow<'a, str>,
    /// How many deliveries it has at first. A wide fan-out makes more.
    pub(crate) deliveries: u32,
    /// What may be wrong with it, though it was taken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) warnings: Vec<String>,
    /// The places at which its data does not match the schema of its type.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) schema_errors: Vec<SchemaError<'a>>,
}

/// A place in the data of an event that does not match the schema of its type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct SchemaError<'a> {
    /// A JSON pointer into the published event (RFC 6901).
    pub(crate) pointer: Cow<'a, str>,
    pub(crate) detail: Cow<'a, str>,
}

/// The result of a line that was published. That of a line that was refused is a problem.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "AcceptedLine"))]
pub(crate) struct Line<'a> {
    /// As an event by itself would have been answered.
    pub(crate) status: u16,
    #[serde(flatten)]
    pub(crate) accepted: Accepted<'a>,
}

/// An event in the feed, without what its publisher wrote: that is JSON of any kind, and is copied byte for byte.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Event<'a> {
    pub(crate) id: &'a str,
    /// The publisher's second name for it. Absent where it has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) uid: Option<&'a str>,
    #[serde(rename = "type")]
    pub(crate) kind: &'a str,
    pub(crate) created_at: Exact,
    pub(crate) occurred_at: Option<Exact>,
    /// `*` for an event of all tenants.
    pub(crate) tenant: &'a str,
    /// The event that it is a replay of. Absent for an event that is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replay_of: Option<&'a str>,
    /// Its own replays, oldest first, at most the newest 20. Absent where there is none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) replays: Vec<&'a str>,
}

/// What the publisher of an event wrote: JSON as text.
pub(crate) struct Written<'a, A> {
    /// Names, and scalars as JSON.
    pub(crate) attributes: A,
    pub(crate) connection: Option<&'a str>,
    pub(crate) channels: &'a Channels,
    /// A JSON array of [`SchemaError`], or empty.
    pub(crate) schema_errors: &'a str,
    pub(crate) data: &'a [u8],
}

impl Event<'_> {
    /// Appends the event with all that its publisher wrote.
    pub(in crate::api) fn write<'w>(&self, written: Written<'w, impl Iterator<Item = (&'w str, &'w str)>>, into: &mut Vec<u8>) {
        open(self, into);
        into.extend_from_slice(b",\"attributes\":{");
        for (index, (name, scalar)) in written.attributes.enumerate() {
            if index > 0 {
                into.push(b',');
            }
            quote(name, into);
            into.push(b':');
            into.extend_from_slice(scalar.as_bytes());
        }
        into.push(b'}');
        member("connection", &written.connection, into);
        if !written.channels.is_empty() {
            into.extend_from_slice(b",\"channels\":");
            into.extend_from_slice(written.channels.json().as_bytes());
        }
        if !written.schema_errors.is_empty() {
            into.extend_from_slice(b",\"schema_errors\":");
            into.extend_from_slice(written.schema_errors.as_bytes());
        }
        into.extend_from_slice(b",\"data\":");
        into.extend_from_slice(written.data);
        into.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_accepted_event_warns_only_of_something() {
        let accepted = Accepted { id: "evt_1".into(), deliveries: 2, warnings: Vec::new(), schema_errors: Vec::new() };
        assert_eq!(serde_json::to_string(&accepted).unwrap(), r#"{"id":"evt_1","deliveries":2}"#);
        assert_eq!(serde_json::from_str::<Accepted<'_>>(r#"{"id":"evt_1","deliveries":2,"more":[]}"#).unwrap(), accepted);
        assert!(serde_json::from_str::<Accepted<'_>>(r#"{"id":"evt_1"}"#).unwrap_err().to_string().contains("`deliveries`"));
        let line = Line { status: 202, accepted: Accepted { warnings: vec!["w".into()], ..accepted } };
        assert_eq!(serde_json::to_string(&line).unwrap(), r#"{"status":202,"id":"evt_1","deliveries":2,"warnings":["w"]}"#);
    }
}
