//! The audit log, as the API shows it.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::moment::Moment;

/// A row of `GET /v1/admin/audit`: one change.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "AuditEntry"))]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) at: Moment,
    pub(crate) actor: Actor,
    /// The IP address that the request came from. Null: it did not come over the network.
    pub(crate) address: Option<String>,
    /// The method and path of the call, as in `POST /v1/webhooks`; `start` or `reload` for what the config file brings about.
    pub(crate) call: String,
    pub(crate) object: Object,
    /// What of the object was so before and differs now. Null: the object was not there, or nothing of it changed.
    pub(crate) before: Option<Box<RawValue>>,
    /// What of it is so now. Null: the object is gone.
    pub(crate) after: Option<Box<RawValue>>,
}

/// Who made a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "AuditActor"))]
pub(crate) struct Actor {
    /// `key`, `socket` or `file`.
    pub(crate) kind: String,
    /// A key's id, the user at the other end of the admin socket as in `uid:0`, or the path of the config file. Null: nobody knows.
    pub(crate) id: Option<String>,
    pub(crate) name: String,
}

/// What was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(rename = "AuditObject"))]
pub(crate) struct Object {
    /// `webhook`, `delivery`, `key`, `tenant`, `event_type`, `config`, `clock` or `backup`.
    pub(crate) kind: String,
    pub(crate) id: String,
    /// Absent for an object without a name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    /// The tenant that owns it, as `PROVIDER/TENANT`. Absent for what belongs to no tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<String>,
}
