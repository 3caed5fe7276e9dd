//! What the API says of the tenants of a provider, as far as publishing needs it.

use std::collections::HashMap;
use std::sync::Arc;

use super::catalogue::Catalogue;
use crate::domain::provider::ProviderSettings;
use crate::domain::rate::Rate;
use crate::domain::tenant::Profile;

/// What was added to a provider over the API.
#[derive(Clone, Debug, Default)]
pub(crate) struct Added {
    pub(crate) catalogue: Catalogue,
    pub(crate) tenants: Option<Tenants>,
    pub(crate) settings: ProviderSettings,
}

/// The tenants of a provider of which anything is said that requests must know. Usually there are none.
pub(crate) type Tenants = Arc<KnownTenants>;

/// What requests must know of the tenants of a provider.
#[derive(Clone, Debug, Default)]
pub(crate) struct KnownTenants {
    /// By their ids.
    pub(crate) described: HashMap<Box<str>, Described>,
    /// Their ids by their uids. A uid that is the id of another tenant is not here: there is none it names.
    pub(crate) ids: HashMap<Box<str>, Box<str>>,
}

impl KnownTenants {
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.described.is_empty() && self.ids.is_empty()
    }
}

/// What publishing for a tenant needs to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Described {
    pub(crate) environment: Option<Arc<str>>,
    pub(crate) rate_limit: Option<Rate>,
}

impl Described {
    /// `None`: nothing of it matters to publishing.
    pub(in crate::store) fn of(profile: &Profile) -> Option<Self> {
        let environment = profile.environment.as_deref().map(Into::into);
        let described = Self { environment, rate_limit: profile.rate_limit };
        (described.environment.is_some() || described.rate_limit.is_some()).then_some(described)
    }
}

impl Added {
    pub(crate) fn is_empty(&self) -> bool {
        self.catalogue.is_empty() && self.tenants.is_none() && self.settings == ProviderSettings::default()
    }

    /// Whether both are of the same time.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same_tenants = match (&self.tenants, &other.tenants) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        Arc::ptr_eq(&self.catalogue, &other.catalogue) && same_tenants && self.settings == other.settings
    }
}
