//! The catalogue of a provider.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An event type of a catalogue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct EventType {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) version: i64,
    /// The data of such an event, as it was written.
    pub(crate) example: Box<RawValue>,
    /// Whether the example was made for hookwheel and is not the provider's own.
    pub(crate) ours: bool,
    /// The JSON Schema of the data of such an event, as it was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) schema: Option<Box<RawValue>>,
    /// Whether the type is deprecated: subscribers should stop using it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) deprecated: bool,
}

/// The answer to an import: the names of the event types that it added, changed, and found as they were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "ImportedEventTypes"))]
pub(crate) struct Imported {
    pub(crate) added: Vec<String>,
    pub(crate) changed: Vec<String>,
    pub(crate) left: Vec<String>,
}

/// Takes a reference because serde gives one.
fn is_false(flag: &bool) -> bool {
    !flag
}
