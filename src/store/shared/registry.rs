//! The store's memory of webhooks, tenants and keys, and of which webhooks want which event type.
//!
//! Only the writer changes it, after the commit that makes the change durable.

mod subscriptions;

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use subscriptions::Subscriptions;

use super::catalogue::{self, Catalogue};
use super::described::{Added, Described, Tenants};
use super::last_use::LastUse;
use super::revoked::Revoked;
use crate::domain::access::{Key, KeyHash};
use crate::domain::dialect::{Dialect, EventType};
use crate::domain::id::uid::Uid;
use crate::domain::id::{ByEndpoint, EndpointNo, TenantNo};
use crate::domain::provider::ProviderSettings;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::Owned;
use crate::store::message::permit::Live;
use crate::store::message::tenant::Tenant;
use crate::store::message::view::Owners;
use crate::store::record::Listing;
use crate::store::rules::publish::filters::Narrowing;

/// The registry of one store.
#[derive(Default)]
pub(in crate::store) struct Registry {
    entries: ByEndpoint<Entry>,
    /// The numbers of all webhooks in order, so that a list can go on behind any of them.
    numbers: BTreeSet<EndpointNo>,
    ids: HashMap<Box<str>, EndpointNo>,
    /// The numbers of tenants, by provider and then by tenant.
    tenants: HashMap<Box<str>, HashMap<Box<str>, TenantNo>>,
    /// The tenants that the config file lists or has listed. Usually there are few.
    listings: HashMap<TenantNo, Listing>,
    of_tenant: HashMap<TenantNo, Subscriptions>,
    of_provider: HashMap<Box<str>, Subscriptions>,
    pub(in crate::store) dialects: HashMap<Box<str>, Arc<Dialect>>,
    keys: HashMap<KeyHash, KeptKey>,
    key_ids: HashMap<Box<str>, KeyHash>,
    /// For each provider, how many keys were made with its keys.
    made: HashMap<Box<str>, usize>,
    revoked: Revoked,
    catalogues: HashMap<Box<str>, Catalogue>,
    /// What the API says of providers. Usually there are none.
    provider_settings: HashMap<Box<str>, ProviderSettings>,
    /// By provider, the tenants that the API described or gave a uid.
    described: HashMap<Box<str>, Tenants>,
    /// The uids of tenants. Usually there are none.
    tenant_uids: HashMap<TenantNo, Uid>,
}

/// A key, and when it was used last.
pub(in crate::store) struct KeptKey {
    pub(in crate::store) key: Arc<Key>,
    pub(in crate::store) used: LastUse,
}

/// A webhook, and what memory alone knows of it.
#[derive(Clone)]
pub(in crate::store) struct Entry {
    pub(in crate::store) endpoint: Arc<Endpoint>,
    pub(in crate::store) live: Arc<Live>,
}

/// The webhooks that an event can reach: those of a tenant, or those of all tenants of a provider.
#[derive(Clone, Copy)]
pub(in crate::store) enum Audience<'a> {
    Tenant(TenantNo),
    Provider(&'a str),
}

impl Registry {
    pub(in crate::store) fn entry(&self, no: EndpointNo) -> Option<&Entry> {
        self.entries.get(&no)
    }

    pub(in crate::store) fn by_id(&self, id: &str) -> Option<&Entry> {
        self.entry(*self.ids.get(id)?)
    }

    pub(in crate::store) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The number of webhooks.
    pub(in crate::store) fn count(&self) -> usize {
        self.entries.len()
    }

    /// Puts a webhook in the place of its former value. A deleted webhook is removed: what its log needs is read from the disk.
    pub(in crate::store) fn put(&mut self, endpoint: Arc<Endpoint>) {
        let live = self.take_out(endpoint.no).map_or_else(Arc::default, |old| old.live);
        live.note(&endpoint.definition.settings);
        if endpoint.is_deleted() {
            self.numbers.remove(&endpoint.no);
            return;
        }
        self.ids.insert(endpoint.id.clone(), endpoint.no);
        self.of_tenant.entry(endpoint.tenant_no).or_default().add(&endpoint);
        self.of_provider.entry(endpoint.provider.clone()).or_default().add(&endpoint);
        self.numbers.insert(endpoint.no);
        self.entries.insert(endpoint.no, Entry { endpoint, live });
    }

    fn take_out(&mut self, no: EndpointNo) -> Option<Entry> {
        let old = self.entries.remove(&no)?;
        self.ids.remove(&old.endpoint.id);
        for subscriptions in [self.of_tenant.get_mut(&old.endpoint.tenant_no), self.of_provider.get_mut(&old.endpoint.provider)] {
            subscriptions.into_iter().for_each(|held| held.drop(&old.endpoint));
        }
        Some(old)
    }

    /// The webhooks of one name, oldest first. A tenant has one of them, or several in a store of an earlier release. A webhook
    /// without a name is not found here.
    pub(in crate::store) fn named(&self, audience: Audience<'_>, name: &str) -> impl Iterator<Item = &Entry> {
        let held = self.subscriptions(audience).and_then(|held| held.named.get(name));
        held.into_iter().flatten().filter_map(|no| self.entry(*no))
    }

    /// The webhooks of some owners with one uid, of each tenant one at most.
    pub(in crate::store) fn with_uid<'a>(&'a self, of: &Owners, uid: &'a str) -> impl Iterator<Item = &'a Entry> {
        let (one, all) = match of {
            Owners::All => (None, Some(self.of_provider.values())),
            Owners::Provider(provider) => (self.of_provider.get(provider), None),
            Owners::Tenant(Owned { provider, tenant }) => {
                (self.tenant(provider, tenant).and_then(|no| self.of_tenant.get(&no)), None)
            }
        };
        let held = one.into_iter().chain(all.into_iter().flatten()).filter_map(move |held| held.uids.get(uid));
        held.flatten().filter_map(|no| self.entry(*no))
    }

    /// The webhooks of one name that want an event type, sorted by number.
    pub(in crate::store) fn matching_named(&self, audience: Audience<'_>, name: &str, kind: &str) -> Vec<EndpointNo> {
        let endpoints = self.named(audience, name).map(|entry| &entry.endpoint).filter(|endpoint| endpoint.is_subscribed());
        let wanted = endpoints.filter(|endpoint| endpoint.definition.events.iter().any(|pattern| pattern.matches(kind)));
        wanted.map(|endpoint| endpoint.no).collect()
    }

    /// The webhooks that want an event type and whose numbers are above `after`, sorted by number.
    pub(in crate::store) fn matching(&self, audience: Audience<'_>, kind: &str, after: EndpointNo) -> Vec<EndpointNo> {
        self.subscriptions(audience).map_or_else(Vec::new, |held| held.matching(kind, after))
    }

    /// The settings of the webhooks that leave out some events that they subscribe to. `None` when nobody could want the event.
    pub(in crate::store) fn narrowing(&self, audience: Audience<'_>) -> Option<&Narrowing> {
        self.subscriptions(audience).map(|held| &held.narrowing)
    }

    /// The event types that webhooks want by their full names. Each comes once, in no order.
    pub(in crate::store) fn wanted(&self, audience: Audience<'_>) -> impl Iterator<Item = &str> {
        let held = self.subscriptions(audience).into_iter().flat_map(|held| held.by_pattern.keys());
        held.map(|pattern| &**pattern).filter(|pattern| !pattern.ends_with('*'))
    }

    /// The webhooks of a tenant whose numbers are above `after`, sorted by number.
    pub(in crate::store) fn webhooks(&self, tenant: TenantNo, after: EndpointNo) -> impl Iterator<Item = &Entry> {
        let held = self.of_tenant.get(&tenant);
        held.into_iter().flat_map(move |held| held.after(after)).filter_map(|no| self.entry(no))
    }

    /// The webhooks of some owners whose numbers are above `after`, sorted by number.
    pub(in crate::store) fn of(&self, of: &Owners, after: EndpointNo) -> impl Iterator<Item = &Entry> {
        let numbers = match of {
            Owners::All => Some(&self.numbers),
            Owners::Provider(provider) => self.of_provider.get(provider).map(|held| &held.all),
            Owners::Tenant(Owned { provider, tenant }) => {
                self.tenant(provider, tenant).and_then(|no| self.of_tenant.get(&no)).map(|held| &held.all)
            }
        };
        let behind = numbers.into_iter().flat_map(move |numbers| numbers.range((Bound::Excluded(after), Bound::Unbounded)));
        behind.filter_map(|no| self.entry(*no))
    }

    pub(in crate::store) fn tenant(&self, provider: &str, tenant: &str) -> Option<TenantNo> {
        self.tenants.get(provider)?.get(tenant).copied()
    }

    /// What the config file says of a tenant. `None` when there is no such tenant.
    pub(in crate::store) fn listing_of(&self, provider: &str, tenant: &str) -> Option<Listing> {
        self.tenant(provider, tenant).map(|no| self.listing(no))
    }

    /// The ids of a provider's tenants, in no order.
    pub(in crate::store) fn tenants_of(&self, provider: &str) -> impl Iterator<Item = &str> {
        self.tenants.get(provider).into_iter().flat_map(|tenants| tenants.keys().map(|tenant| &**tenant))
    }

    pub(in crate::store) fn tenants(&self) -> impl Iterator<Item = (Owned, TenantNo)> {
        self.tenants.iter().flat_map(|(provider, tenants)| {
            tenants.iter().map(move |(tenant, no)| (Owned { provider: provider.clone(), tenant: tenant.clone() }, *no))
        })
    }

    pub(in crate::store) fn put_tenant(&mut self, no: TenantNo, tenant: &Tenant) {
        let Owned { provider, tenant: id } = &tenant.owned;
        self.tenants.entry(provider.clone()).or_default().insert(id.clone(), no);
        match tenant.listing {
            Listing::Never => self.listings.remove(&no),
            Listing::Listed | Listing::Gone | Listing::Deleting => self.listings.insert(no, tenant.listing),
        };
        self.describe(tenant);
        self.call(no, tenant);
    }

    /// Forgets a tenant. One that the config file has made anew under its name stays.
    pub(in crate::store) fn drop_tenant(&mut self, no: TenantNo, Owned { provider, tenant }: &Owned) {
        self.listings.remove(&no);
        self.of_tenant.remove(&no);
        let known = self.tenants.get_mut(provider).filter(|tenants| tenants.get(tenant) == Some(&no));
        known.into_iter().for_each(|tenants| _ = tenants.remove(tenant));
        if self.tenant_uids.remove(&no).is_some() || !self.tenant_uids.is_empty() {
            self.list_uids(provider);
        }
    }

    /// Notes the uid of a tenant. One that is being deleted has none any more.
    fn call(&mut self, no: TenantNo, tenant: &Tenant) {
        let uid = tenant.profile.uid.clone().filter(|_| tenant.deletion.is_none());
        let before = match &uid {
            Some(uid) => self.tenant_uids.insert(no, uid.clone()),
            None => self.tenant_uids.remove(&no),
        };
        // A new tenant may have the id that is the uid of another one.
        let is_new = |uids: &HashMap<TenantNo, Uid>| uids.values().any(|uid| *uid.as_str() == *tenant.owned.tenant);
        if before != uid || is_new(&self.tenant_uids) {
            self.list_uids(&tenant.owned.provider);
        }
    }

    /// Makes the list of a provider's uids anew.
    fn list_uids(&mut self, provider: &str) {
        let Some(tenants) = self.tenants.get(provider) else { return };
        let uid = |id: &str, no: &TenantNo| Some((Box::from(self.tenant_uids.get(no)?.as_str()), Box::from(id)));
        let ids: HashMap<Box<str>, Box<str>> = match self.tenant_uids.is_empty() {
            true => HashMap::new(),
            false => tenants.iter().filter_map(|(id, no)| uid(id, no)).filter(|(uid, _)| !tenants.contains_key(uid)).collect(),
        };
        let known = self.described.entry(provider.into()).or_default();
        if known.ids != ids {
            Arc::make_mut(known).ids = ids;
        }
        if known.is_empty() {
            self.described.remove(provider);
        }
    }

    /// The tenant of a provider that has this uid, also where another tenant has it as its id.
    pub(in crate::store) fn tenant_with_uid(&self, provider: &str, uid: &Uid) -> Option<(TenantNo, &str)> {
        let mut tenants = self.tenants.get(provider)?.iter();
        let (id, no) = tenants.find(|(_, no)| self.tenant_uids.get(no) == Some(uid))?;
        Some((*no, id))
    }

    /// The id of a provider's tenant that this text names, by its id or its uid. A text that names none stays as it is.
    pub(in crate::store) fn tenant_called<'a>(&'a self, provider: &str, text: &'a str) -> &'a str {
        self.described.get(provider).and_then(|known| known.ids.get(text)).map_or(text, |id| id)
    }

    /// Keeps what publishing for a tenant needs to know. What the config file lists, the file describes.
    fn describe(&mut self, tenant: &Tenant) {
        let Owned { provider, tenant: id } = &tenant.owned;
        match Described::of(&tenant.profile).filter(|_| !tenant.is_from_file() && tenant.deletion.is_none()) {
            Some(described) => {
                let known = self.described.entry(provider.clone()).or_default();
                Arc::make_mut(known).described.insert(id.clone(), described);
            }
            None => {
                let known = self.described.get_mut(provider).filter(|known| known.described.contains_key(id));
                known.into_iter().for_each(|known| _ = Arc::make_mut(known).described.remove(id));
            }
        }
    }

    /// What the API added to a provider.
    pub(in crate::store) fn added(&self, provider: &str) -> Added {
        let (catalogue, tenants) = (self.catalogue(provider), self.described.get(provider).cloned());
        let settings = self.provider_settings.get(provider).copied().unwrap_or_default();
        Added { catalogue, tenants, settings }
    }

    pub(in crate::store) fn put_provider(&mut self, provider: Box<str>, settings: ProviderSettings) {
        self.provider_settings.insert(provider, settings);
    }

    pub(in crate::store) fn listing(&self, no: TenantNo) -> Listing {
        self.listings.get(&no).copied().unwrap_or_default()
    }

    pub(in crate::store) fn key(&self, hash: &KeyHash) -> Option<&Arc<Key>> {
        self.kept_key(hash).map(|kept| &kept.key)
    }

    pub(in crate::store) fn kept_key(&self, hash: &KeyHash) -> Option<&KeptKey> {
        self.keys.get(hash)
    }

    pub(in crate::store) fn keys(&self) -> impl Iterator<Item = &Arc<Key>> {
        self.keys.values().map(|kept| &kept.key)
    }

    /// The keys that were used since that was last brought to the disk, and when.
    pub(in crate::store) fn new_uses(&self) -> Vec<(KeyHash, Timestamp)> {
        self.keys.iter().filter_map(|(hash, kept)| Some((*hash, kept.used.take_new()?))).collect()
    }

    pub(in crate::store) fn was_revoked(&self, hash: &KeyHash) -> bool {
        self.revoked.contains(hash)
    }

    pub(in crate::store) fn key_called(&self, id: &str) -> Option<&Arc<Key>> {
        self.key(self.key_ids.get(id)?)
    }

    /// How many of the present keys were made with keys of a provider.
    pub(in crate::store) fn keys_made(&self, provider: &str) -> usize {
        self.made.get(provider).copied().unwrap_or(0)
    }

    /// `used`: when it was used last, as far as the disk knows.
    pub(in crate::store) fn put_key(&mut self, key: Arc<Key>, used: Option<Timestamp>) {
        self.take_key_out(&key.hash);
        self.revoked.remove(&key.hash);
        if let Some(provider) = provider_that_made(&key) {
            *self.made.entry(provider.into()).or_default() += 1;
        }
        self.key_ids.insert(key.id.clone(), key.hash);
        self.keys.insert(key.hash, KeptKey { key, used: LastUse::kept(used) });
    }

    pub(in crate::store) fn drop_key(&mut self, hash: &KeyHash) {
        self.take_key_out(hash);
        self.revoked.insert(*hash);
    }

    fn take_key_out(&mut self, hash: &KeyHash) {
        let Some(KeptKey { key, .. }) = self.keys.remove(hash) else { return };
        self.key_ids.remove(&key.id);
        if let Some(made) = provider_that_made(&key).and_then(|provider| self.made.get_mut(provider)) {
            *made -= 1;
        }
    }

    /// The event types that a provider added. Usually there are none.
    pub(in crate::store) fn catalogue(&self, provider: &str) -> Catalogue {
        self.catalogues.get(provider).cloned().unwrap_or_default()
    }

    pub(in crate::store) fn put_event_type(&mut self, provider: Box<str>, event_type: EventType) {
        let held = self.catalogues.entry(provider).or_default();
        *held = catalogue::with(held, event_type);
    }

    pub(in crate::store) fn drop_event_type(&mut self, provider: &str, name: &str) {
        if let Some(held) = self.catalogues.get_mut(provider) {
            *held = catalogue::without(held, name);
        }
    }

    fn subscriptions(&self, audience: Audience<'_>) -> Option<&Subscriptions> {
        match audience {
            Audience::Tenant(no) => self.of_tenant.get(&no),
            Audience::Provider(name) => self.of_provider.get(name),
        }
    }
}

/// The provider whose key made this key. `None` when the operator made it.
fn provider_that_made(key: &Key) -> Option<&str> {
    key.role.provider().filter(|_| key.maker.is_provider())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::webhook::endpoint::Definition;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::domain::webhook::settings::{Setting, WebhookSettings};

    #[test]
    fn a_removed_webhook_is_listed_and_matches_nothing() {
        let mut registry = Registry::default();
        let one = Endpoint { definition: Definition { name: "a".into(), ..endpoint(&["*"]).definition }, ..endpoint(&["*"]) };
        let (tenant, audience) = (one.tenant_no, Audience::Tenant(one.tenant_no));
        let seen = |registry: &Registry| {
            let listed = registry.webhooks(tenant, EndpointNo(0)).count();
            (listed, registry.named(audience, "a").count(), registry.matching(audience, "x", EndpointNo(0)).len())
        };
        registry.put(Arc::new(one.clone()));
        assert_eq!(seen(&registry), (1, 1, 1));
        registry.put(Arc::new(one.clone().removed(Timestamp::EPOCH)));
        assert_eq!(seen(&registry), (1, 1, 0));
        registry.put(Arc::new(one.clone().removed(Timestamp::EPOCH).restored()));
        assert_eq!(seen(&registry), (1, 1, 1));
    }

    #[test]
    fn webhooks_without_a_name_are_not_found_by_name() {
        let mut registry = Registry::default();
        registry.put(Arc::new(endpoint(&["*"])));
        assert_eq!(registry.named(Audience::Tenant(endpoint(&["*"]).tenant_no), "").count(), 0);
    }

    #[test]
    fn a_name_is_found_among_all_tenants_of_a_provider() {
        let mut registry = Registry::default();
        let one = |number: u32, name: &str, events: &[&str]| {
            let known = endpoint(events);
            let definition = Definition { name: name.into(), ..known.definition.clone() };
            let id = format!("wh_{number}").into();
            Arc::new(Endpoint { no: EndpointNo(number), tenant_no: TenantNo(number), id, definition, ..known })
        };
        let provider = endpoint(&[]).provider;
        for webhook in [one(1, "a", &["x"]), one(2, "a", &["y.*"]), one(3, "b", &["*"])] {
            registry.put(webhook);
        }
        let found = |registry: &Registry, audience, name, kind| registry.matching_named(audience, name, kind);
        let all = Audience::Provider(&provider);
        assert_eq!(found(&registry, all, "a", "y.z"), [EndpointNo(2)]);
        assert_eq!(found(&registry, Audience::Tenant(TenantNo(1)), "a", "x"), [EndpointNo(1)]);
        assert_eq!(found(&registry, all, "none", "x"), []);
        registry.put(one(2, "c", &["*"]));
        assert_eq!(registry.named(all, "a").map(|entry| entry.endpoint.no).collect::<Vec<_>>(), [EndpointNo(1)]);
        registry.put(Arc::new(Endpoint::clone(&one(1, "a", &["x"])).deleted(Timestamp::EPOCH)));
        assert_eq!(registry.named(all, "a").count(), 0);
    }

    #[test]
    fn a_uid_is_found_with_its_owner_and_goes_with_its_webhook() {
        let mut registry = Registry::default();
        let with = |uid: &str, settings: &Arc<WebhookSettings>| settings.with(&[Setting::read("uid", uid).expect("a uid")]);
        let mut one = endpoint(&["*"]);
        one.definition.settings = with("\"main\"", &one.definition.settings);
        let found = |registry: &Registry, of: Owners, uid: &str| registry.with_uid(&of, uid).count();
        let of_provider = || Owners::Provider(endpoint(&[]).provider);
        registry.put(Arc::new(one.clone()));
        assert_eq!([found(&registry, of_provider(), "main"), found(&registry, Owners::All, "main")], [1, 1]);
        assert_eq!([found(&registry, Owners::Provider("shop".into()), "main"), found(&registry, Owners::All, "other")], [0, 0]);
        one.definition.settings = with("\"other\"", &one.definition.settings);
        registry.put(Arc::new(one.clone()));
        assert_eq!([found(&registry, Owners::All, "main"), found(&registry, of_provider(), "other")], [0, 1]);
        registry.put(Arc::new(one.deleted(Timestamp::EPOCH)));
        assert_eq!(found(&registry, Owners::All, "other"), 0);
    }
}
