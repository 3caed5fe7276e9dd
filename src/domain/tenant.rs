//! What is said of a tenant: the customer of a provider.

use std::collections::BTreeMap;

use super::rate::Rate;

/// What the API says of a tenant. Of one that nobody described it is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Profile {
    /// What `$tenant.environment` prints; `None`: `Production`.
    pub(crate) environment: Option<Box<str>>,
    /// For people; may be empty.
    pub(crate) name: Box<str>,
    /// The caller's own names and texts.
    pub(crate) metadata: BTreeMap<Box<str>, Box<str>>,
    /// How often an event may be published for the tenant; `None`: as often as the service takes them.
    pub(crate) rate_limit: Option<Rate>,
}
