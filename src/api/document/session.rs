//! Connections: spans of time in which deliveries keep the URLs that webhooks had at their beginning.

use serde::{Deserialize, Serialize};

use super::moment::Moment;

/// A connection that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Connection {
    pub(crate) id: String,
    /// The name of the one webhook that it is for; null: all of the tenant's.
    pub(crate) link: Option<String>,
    pub(crate) opened_at: Moment,
    pub(crate) webhooks: Vec<Pinned>,
}

/// A webhook whose URL a connection keeps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "PinnedWebhook"))]
pub(crate) struct Pinned {
    pub(crate) id: String,
    pub(crate) url: String,
}
