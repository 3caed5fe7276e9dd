//! What is said of a tenant: the customer of a provider.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::id::uid::Uid;
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
    /// A second name, which no other tenant of the provider has.
    pub(crate) uid: Option<Uid>,
    /// How long its events and deliveries are kept, within [`RETENTIONS`]; `None`: as long as those of others.
    pub(crate) retention: Option<Duration>,
    /// How often an event may be published for the tenant; `None`: as often as the service takes them.
    pub(crate) rate_limit: Option<Rate>,
}

/// How long events may be kept.
pub(crate) const RETENTIONS: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(3_650 * 86_400);
