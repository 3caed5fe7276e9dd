//! What is looked at over tenants: the tenants themselves, and which webhooks are whose.

use std::collections::BTreeSet;

use crate::domain::id::EndpointNo;
use crate::domain::text::nearest::nearest;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::handle::Store;
use crate::store::message::view::Owners;
use crate::store::{ALL_TENANTS, Owned};

impl Store {
    /// The numbers of those of some owners that are wanted; of no other owner a webhook is looked at.
    pub(crate) fn numbers_where(&self, of: Owners<'_>, wanted: impl Fn(&Endpoint) -> bool) -> BTreeSet<EndpointNo> {
        let registry = self.shared.registry();
        let theirs = registry.of(of, EndpointNo(0)).map(|entry| &entry.endpoint);
        theirs.filter(|endpoint| wanted(endpoint)).map(|endpoint| endpoint.no).collect()
    }

    /// Whether a tenant has come to be, by the config file, a key, a webhook or an event.
    pub(crate) fn has_tenant(&self, provider: &str, tenant: &str) -> bool {
        self.shared.registry().tenant(provider, tenant).is_some()
    }

    /// The tenant of a provider whose id is nearest to one that is unknown, if any is near.
    pub(crate) fn nearest_tenant(&self, provider: &str, unknown: &str) -> Option<Box<str>> {
        let registry = self.shared.registry();
        let known = registry.tenants_of(provider).filter(|tenant| *tenant != ALL_TENANTS);
        nearest(unknown, known).map(Into::into)
    }

    /// The tenants that are wanted, in no order.
    pub(crate) fn tenants_where(&self, wanted: impl Fn(&Owned) -> bool) -> Vec<Owned> {
        let registry = self.shared.registry();
        registry.tenants().map(|(owned, _)| owned).filter(|owned| *owned.tenant != *ALL_TENANTS && wanted(owned)).collect()
    }
}
