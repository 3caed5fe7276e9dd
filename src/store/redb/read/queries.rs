//! What readers ask the store: each query takes one snapshot, or looks into the registry.

use std::sync::Arc;

use super::snapshot::{LOOK, Snapshot, is_of, matches};
use crate::domain::access::{Key, KeyHash};
use crate::domain::dialect::Dialect;
use crate::domain::event::Event;
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::handle::Store;
use crate::store::message::view::{Filter, Of, Page, View};
use crate::store::record::key::Scope;
use crate::store::shared::registry::Audience;
use crate::store::{Error, Owned};

impl Store {
    /// What a provider speaks.
    pub(crate) fn dialect(&self, provider: &str) -> Arc<Dialect> {
        self.shared.dialect(provider)
    }

    /// A webhook that is not deleted.
    pub(crate) fn webhook(&self, id: &str) -> Option<Arc<Endpoint>> {
        self.shared.registry().by_id(id).map(|entry| entry.endpoint.clone())
    }

    /// A tenant's webhooks of one name, oldest first: one, or several in a store of an earlier release.
    pub(crate) fn webhooks_named(&self, owned: &Owned, name: &str) -> Vec<Arc<Endpoint>> {
        let registry = self.shared.registry();
        let Some(tenant) = registry.tenant(&owned.provider, &owned.tenant) else { return Vec::new() };
        registry.named(Audience::Tenant(tenant), name).map(|entry| entry.endpoint.clone()).collect()
    }

    /// One that is not deleted, by its number.
    pub(crate) fn webhook_no(&self, no: EndpointNo) -> Option<Arc<Endpoint>> {
        self.shared.registry().entry(no).map(|entry| entry.endpoint.clone())
    }

    /// A tenant's webhooks by number, after one of them.
    pub(crate) fn webhooks(&self, owned: &Owned, after: EndpointNo, limit: usize) -> Vec<Arc<Endpoint>> {
        let registry = self.shared.registry();
        let Some(tenant) = registry.tenant(&owned.provider, &owned.tenant) else { return Vec::new() };
        registry.webhooks(tenant, after).take(limit).map(|entry| entry.endpoint.clone()).collect()
    }

    /// A tenant's event, or one for all tenants of its provider, by the id on the wire; without its content.
    pub(crate) fn event_by_id(&self, owned: &Owned, id: &str) -> Result<Option<Event>, Error> {
        self.event_of_any(std::slice::from_ref(owned), id)
    }

    /// The same for the first of some tenants that has it: a look for each of them, so it belongs on a thread that may block.
    pub(crate) fn event_of_any(&self, tenants: &[Owned], id: &str) -> Result<Option<Event>, Error> {
        let snapshot = Snapshot::of(self, &[])?;
        if let Some(key) = self.shared.node.event_key(id) {
            let found = snapshot.bare_event(key, id)?;
            return Ok(found.filter(|event| tenants.iter().any(|owned| is_of(event, owned))));
        }
        for owned in tenants {
            let Some(key) = snapshot.named(owned, id)? else { continue };
            if let Some(event) = snapshot.bare_event(key, id)?.filter(|event| is_of(event, owned)) {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// A delivery by its id. Whose it is, its webhook tells.
    pub(crate) fn delivery(&self, id: &str) -> Result<Option<View>, Error> {
        self.shared.node.delivery_key(id).map_or(Ok(None), |key| self.delivery_by_key(key))
    }

    pub(crate) fn delivery_by_key(&self, key: DeliveryKey) -> Result<Option<View>, Error> {
        Snapshot::of(self, &[])?.view(key)
    }

    /// A piece of a listing, newest first, before `before`.
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
            page.views.extend(snapshot.view(key)?.filter(|view| matches(view, filter)));
        }
        page.next = if whole { None } else { last };
        Ok(page)
    }

    /// Where deliveries are listed; nowhere for tenants that nobody knows.
    fn delivery_scopes(&self, of: &Of) -> Vec<Scope> {
        let registry = self.shared.registry();
        let tenant = |owned: &Owned| registry.tenant(&owned.provider, &owned.tenant).map(Scope::Tenant);
        match of {
            Of::Webhook(no) => vec![Scope::Endpoint(*no)],
            Of::Tenant(owned) => tenant(owned).into_iter().collect(),
            Of::Tenants(all) => all.iter().filter_map(tenant).collect(),
        }
    }

    /// The key that a request comes with, unless its time is over. That it was used is noted.
    pub(crate) fn key(&self, hash: &KeyHash) -> Option<Arc<Key>> {
        let (registry, now) = (self.shared.registry(), self.now());
        let kept = registry.kept_key(hash).filter(|kept| !kept.key.terms.have_ended(now))?;
        kept.used.note(now);
        Some(kept.key.clone())
    }

    /// When a key was used last, by the minute; `None`: never, or it is none that was made here.
    pub(crate) fn key_used(&self, hash: &KeyHash) -> Option<Timestamp> {
        self.shared.registry().kept_key(hash)?.used.last()
    }

    /// Whether a key that is unknown was revoked since the start. Older ones are forgotten.
    pub(crate) fn was_revoked(&self, hash: &KeyHash) -> bool {
        self.shared.registry().was_revoked(hash)
    }

    /// Keys made by `keys new`, oldest first.
    pub(crate) fn keys(&self) -> Vec<Arc<Key>> {
        let mut keys: Vec<_> = self.shared.registry().keys().cloned().collect();
        keys.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        keys
    }

    /// Whether any was made.
    pub(crate) fn has_keys(&self) -> bool {
        self.shared.registry().keys().next().is_some()
    }

    /// The size of the store's file, in bytes.
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
