//! Why a webhook got an event, or did not.

use serde::{Deserialize, Serialize};

/// What is said of one webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "Explanation"))]
pub(crate) struct Explained {
    pub(crate) webhook_id: String,
    pub(crate) name: String,
    pub(crate) url: String,
    /// Whether there is a delivery for it.
    pub(crate) sent: bool,
    /// One sentence for a person.
    pub(crate) why: String,
    /// Whether the webhook was changed after the event, so that this may not be what was so then.
    pub(crate) changed_since: bool,
    pub(crate) delivery_id: Option<String>,
    pub(crate) delivery_status: Option<String>,
}
