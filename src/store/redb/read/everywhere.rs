//! What an operator looks at over tenants: webhooks and their last results, and the deliveries of many tenants as one list.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::snapshot::Snapshot;
use crate::domain::delivery::outcome::Class;
use crate::domain::id::EndpointNo;
use crate::domain::text::nearest::nearest;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::handle::Store;
use crate::store::message::view::{Filter, Owners};
use crate::store::redb::schema::Scope;
use crate::store::shared::registry::Entry;
use crate::store::{ALL_TENANTS, Error, Owned};

/// How a webhook's last attempt ended, as far as its log goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LastResult {
    /// Of the response.
    pub(crate) code: Option<u16>,
    /// Why it was no success.
    pub(crate) error: Option<Class>,
}

impl Store {
    /// The webhooks that are wanted, by number, after one of them.
    pub(crate) fn webhooks_where(
        &self,
        after: EndpointNo,
        limit: usize,
        wanted: impl Fn(&Endpoint) -> bool,
    ) -> Vec<Arc<Endpoint>> {
        let registry = self.shared.registry();
        let known = registry.entries().map(|entry| &entry.endpoint);
        let left = known.filter(|endpoint| endpoint.no > after && wanted(endpoint));
        let mut found: Vec<_> = left.cloned().collect();
        found.sort_unstable_by_key(|endpoint| endpoint.no);
        found.truncate(limit);
        found
    }

    /// The numbers of those of some owners that are wanted; of no other owner a webhook is looked at.
    pub(crate) fn numbers_where(&self, of: Owners<'_>, wanted: impl Fn(&Endpoint) -> bool) -> BTreeSet<EndpointNo> {
        let registry = self.shared.registry();
        let mut found = BTreeSet::new();
        let add = |entry: &Entry| {
            if wanted(&entry.endpoint) {
                found.insert(entry.endpoint.no);
            }
        };
        match of {
            Owners::Tenant(provider, tenant) => {
                let tenant = registry.tenant(provider, tenant).into_iter();
                tenant.flat_map(|no| registry.webhooks(no, EndpointNo(0))).for_each(add);
            }
            Owners::Provider(provider) => registry.webhooks_of_provider(provider).for_each(add),
            Owners::All => registry.entries().for_each(add),
        }
        found
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

    /// How the last attempt of a webhook ended; with none, nothing.
    pub(crate) fn last_result(&self, no: EndpointNo) -> Result<LastResult, Error> {
        let snapshot = Snapshot::of(self, &[Scope::Endpoint(no)])?;
        let mut last = None;
        for key in snapshot.delivery_keys(&Filter::default(), None, NEWEST)? {
            let Some((delivery, Some(attempt))) = snapshot.row(key)? else { continue };
            let result = LastResult { code: delivery.code.filter(|_| attempt.outcome.result.is_ok()), error: attempt.error };
            if last.is_none_or(|(at, _)| at < attempt.started_at) {
                last = Some((attempt.started_at, result));
            }
        }
        Ok(last.map(|(_, result)| result).unwrap_or_default())
    }
}

/// Deliveries among which a webhook's last attempt is looked for: retries end in another order than they began.
const NEWEST: usize = 20;
