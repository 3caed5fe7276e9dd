//! Providers, and tenants: their customers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::moment::Moment;

/// A customer of a provider: `GET /v1/admin/tenants/{provider}/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Tenant {
    pub(crate) id: String,
    /// A second name, which every path takes in place of the id.
    #[serde(default)]
    pub(crate) uid: Option<String>,
    pub(crate) provider: String,
    /// For people; empty for a tenant without one.
    pub(crate) name: String,
    /// What bodies print as the tenant's environment.
    pub(crate) environment: String,
    /// The caller's own names and texts.
    pub(crate) metadata: BTreeMap<String, String>,
    /// How long its events and deliveries are kept, as in `30d`; null: as long as those of others.
    #[serde(default)]
    pub(crate) retention: Option<String>,
    /// How often an event may be published for it, as in `1000/s`; null: as often as the service takes them.
    pub(crate) rate_limit: Option<String>,
    pub(crate) owner: TenantOwner,
    /// Whether it was taken out of the config file: no event is taken for it.
    pub(crate) removed: bool,
    /// Null for a tenant that is older than the release that notes it.
    pub(crate) created_at: Option<Moment>,
    /// When the API described it last.
    pub(crate) updated_at: Option<Moment>,
    /// How far its deletion has come. Absent for a tenant that stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) deleting: Option<Deleting>,
}

/// A deletion under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Deleting {
    /// When it was asked for.
    pub(crate) since: Moment,
    /// Events and deliveries that were erased so far.
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
}

/// Who says what a tenant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum TenantOwner {
    /// It stands in the config file.
    File,
    Api,
}

impl TenantOwner {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Api => "api",
        }
    }
}

/// A system that emits events and speaks one dialect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Provider {
    pub(crate) name: String,
    pub(crate) dialect: String,
    /// What becomes of an event whose data does not match the schema of its type: `off`, `warn` or `refuse`.
    pub(crate) validate: String,
    /// What becomes of event types that the catalogue does not have: `allow` or `refuse`.
    pub(crate) unknown_types: String,
    /// Whether an event for a tenant that does not exist makes it.
    pub(crate) create_tenants: bool,
    /// Which of the three the config file sets, so that they can be changed only there.
    pub(crate) set_by_file: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_has_one_word() {
        for owner in [TenantOwner::File, TenantOwner::Api] {
            assert_eq!(serde_json::to_value(owner).unwrap(), owner.name());
        }
    }
}
