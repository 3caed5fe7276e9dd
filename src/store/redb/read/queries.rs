//! Events and deliveries by their ids, and lists of deliveries: each query takes one snapshot.

use super::Reader;
use super::snapshot::{LOOK, Snapshot, is_of};
use crate::domain::event::Event;
use crate::domain::id::DeliveryKey;
use crate::store::message::view::{Counts, Filter, Of, Page, View};
use crate::store::record::key::Scope;
use crate::store::redb::apply::publish::NameOf;
use crate::store::{Error, Owned};

impl Reader {
    /// The event with an id or a uid that one of the tenants has, or that is for all tenants of its provider, without its content. It
    /// looks once or twice for each tenant: an event's id goes before the uid of any other.
    pub(crate) fn event_by_id(&self, tenants: &[Owned], id: &str) -> Result<Option<Event>, Error> {
        let snapshot = Snapshot::of(self, &[])?;
        if let Some(key) = self.shared.node.event_key(id) {
            let found = snapshot.bare_event(NameOf::Id, key, id)?;
            return Ok(found.filter(|event| tenants.iter().any(|owned| is_of(event, owned))));
        }
        let names = snapshot.names()?;
        for of in [NameOf::Id, NameOf::Uid] {
            for owned in tenants {
                let Some(key) = names.event(of, owned, id)? else { continue };
                if let Some(event) = snapshot.bare_event(of, key, id)?.filter(|event| is_of(event, owned)) {
                    return Ok(Some(event));
                }
            }
        }
        Ok(None)
    }

    /// A delivery by its id.
    pub(crate) fn delivery(&self, id: &str) -> Result<Option<View>, Error> {
        self.shared.node.delivery_key(id).map_or(Ok(None), |key| self.delivery_by_key(key))
    }

    pub(crate) fn delivery_by_key(&self, key: DeliveryKey) -> Result<Option<View>, Error> {
        Snapshot::of(self, &[])?.view(key)
    }

    /// The deliveries with these keys, in their order. `None` for a delivery that is not there.
    pub(crate) fn deliveries_by_key(&self, keys: &[DeliveryKey]) -> Result<Vec<Option<View>>, Error> {
        let snapshot = Snapshot::of(self, &[])?;
        keys.iter().map(|key| snapshot.view(*key)).collect()
    }

    /// A piece of a list, newest first, before `before`.
    pub(crate) fn deliveries(&self, of: &Of, filter: &Filter, before: Option<DeliveryKey>, limit: usize) -> Result<Page, Error> {
        let scopes = self.delivery_scopes(of);
        let snapshot = Snapshot::of(self, &scopes)?;
        let look = if filter.needs_look() { LOOK } else { limit + 1 };
        let keys = snapshot.delivery_keys(filter, before, look)?;
        let mut page = Page::default();
        let whole = keys.len() < look;
        let last = keys.last().copied();
        for key in keys {
            if page.views.len() == limit {
                return Ok(page);
            }
            page.next = Some(key);
            page.views.extend(snapshot.view(key)?.filter(|view| filter.matches(&view.facts())));
        }
        page.next = if whole { None } else { last };
        Ok(page)
    }

    /// How many deliveries a filter leaves by their status, which the filter itself does not name, among the newest [`LOOK`].
    pub(crate) fn delivery_counts(&self, of: &Of, filter: &Filter) -> Result<Counts, Error> {
        let snapshot = Snapshot::of(self, &self.delivery_scopes(of))?;
        let keys = snapshot.delivery_keys(filter, None, LOOK)?;
        let mut counts = Counts { is_cut: keys.len() == LOOK, ..Counts::default() };
        for key in keys {
            let Some(delivery) = snapshot.delivery(key)? else { continue };
            let Some(endpoint) = snapshot.webhook(key.endpoint)? else { continue };
            let is_of_code = filter.code.is_none_or(|code| Some(code) == delivery.code);
            if is_of_code && snapshot.is_of_kind(key, filter)? {
                counts.add(&delivery, endpoint.is_active());
            }
        }
        Ok(counts)
    }

    /// Where deliveries are listed; nowhere for tenants that nobody knows.
    pub(super) fn delivery_scopes(&self, of: &Of) -> Vec<Scope> {
        let registry = self.shared.registry();
        let tenant = |owned: &Owned| registry.tenant(&owned.provider, &owned.tenant).map(Scope::Tenant);
        match of {
            Of::Webhook(no) => vec![Scope::Endpoint(*no)],
            Of::Tenant(owned) => tenant(owned).into_iter().collect(),
            Of::Tenants(all) => all.iter().filter_map(tenant).collect(),
        }
    }

    /// The size of the store's file, in bytes. 0 when the file cannot be looked at.
    pub(crate) fn file_bytes(&self) -> u64 {
        std::fs::metadata(&self.shared.path).map_or(0, |found| found.len())
    }

    /// Where a tenant's events are listed: its own, and those for all tenants of its provider.
    pub(in crate::store) fn event_scopes(&self, owned: &Owned) -> Vec<Scope> {
        let registry = self.shared.registry();
        let owners = [owned, &Owned::all_of(&owned.provider)];
        owners.into_iter().filter_map(|owner| registry.tenant(&owner.provider, &owner.tenant)).map(Scope::Events).collect()
    }
}
