//! The catalogue of a provider.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An event type of a catalogue.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct EventType {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) version: i64,
    /// The data of such an event, as it was written.
    pub(crate) example: Box<RawValue>,
    /// Whether the example was made for hookwheel and is not the provider's own.
    pub(crate) ours: bool,
}
