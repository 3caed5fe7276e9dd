//! What memory alone answers, at once and without a wait: webhooks, tenants, keys, dialects and event types.
//!
//! The writer changes the registry behind each commit, before it answers, so what is read here was committed.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Shared;
use super::described::Added;
use super::registry::Audience;
use crate::domain::access::{Key, KeyHash};
use crate::domain::dialect::Dialect;
use crate::domain::id::EndpointNo;
use crate::domain::text::nearest::nearest;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::handle::Store;
use crate::store::message::view::Owners;
use crate::store::rules::tenants;
use crate::store::{ALL_TENANTS, Owned, Refusal, Unwanted};

impl Store {
    /// The dialect of a provider.
    pub(crate) fn dialect(&self, provider: &str) -> Arc<Dialect> {
        self.shared.dialect(provider)
    }

    /// What the API added to a provider: event types, and what is said of its tenants.
    pub(crate) fn added(&self, provider: &str) -> Added {
        self.shared.registry().added(provider)
    }

    /// The webhook with this id, unless it was deleted.
    pub(crate) fn webhook(&self, id: &str) -> Option<Arc<Endpoint>> {
        self.shared.registry().by_id(id).map(|entry| entry.endpoint.clone())
    }

    /// The webhooks of some owners with this uid: none, one, or of several tenants the first two.
    pub(crate) fn webhooks_with_uid(&self, of: &Owners, uid: &str, is_seen: impl Fn(&Endpoint) -> bool) -> Vec<Arc<Endpoint>> {
        let registry = self.shared.registry();
        let seen = registry.with_uid(of, uid).map(|entry| &entry.endpoint).filter(|endpoint| is_seen(endpoint));
        seen.take(2).cloned().collect()
    }

    /// The webhook with this number, unless it was deleted.
    pub(crate) fn webhook_no(&self, no: EndpointNo) -> Option<Arc<Endpoint>> {
        self.shared.webhook_no(no)
    }

    /// A tenant's webhooks with this name, oldest first. There is at most one, but for stores of earlier releases.
    pub(crate) fn webhooks_named(&self, owned: &Owned, name: &str) -> Vec<Arc<Endpoint>> {
        let registry = self.shared.registry();
        let Some(tenant) = registry.tenant(&owned.provider, &owned.tenant) else { return Vec::new() };
        registry.named(Audience::Tenant(tenant), name).map(|entry| entry.endpoint.clone()).collect()
    }

    /// At most `limit` of a tenant's webhooks, in the order of their numbers, behind the number `after`.
    pub(crate) fn webhooks(&self, owned: &Owned, after: EndpointNo, limit: usize) -> Vec<Arc<Endpoint>> {
        let registry = self.shared.registry();
        let Some(tenant) = registry.tenant(&owned.provider, &owned.tenant) else { return Vec::new() };
        registry.webhooks(tenant, after).take(limit).map(|entry| entry.endpoint.clone()).collect()
    }

    /// The key with this hash that `keys new` or a call made, unless its time is over. That it was used is noted.
    pub(crate) fn key(&self, hash: &KeyHash) -> Option<Arc<Key>> {
        let (registry, now) = (self.shared.registry(), self.now());
        let kept = registry.kept_key(hash).filter(|kept| !kept.key.terms.have_ended(now))?;
        kept.used.note(now);
        Some(kept.key.clone())
    }

    /// When a key was used last, by the minute. `None` when it never was, or when no call and no `keys new` made it.
    pub(crate) fn key_used(&self, hash: &KeyHash) -> Option<Timestamp> {
        self.shared.registry().kept_key(hash)?.used.last()
    }

    /// Whether a key that is unknown was revoked since the start. Keys that were revoked before are forgotten.
    pub(crate) fn was_revoked(&self, hash: &KeyHash) -> bool {
        self.shared.registry().was_revoked(hash)
    }

    /// All keys that `keys new` or a call made, oldest first.
    pub(crate) fn keys(&self) -> Vec<Arc<Key>> {
        let mut keys: Vec<_> = self.shared.registry().keys().cloned().collect();
        keys.sort_unstable_by(|a, b| a.id.cmp(&b.id));
        keys
    }

    /// Whether [`Self::keys`] has any.
    pub(crate) fn has_keys(&self) -> bool {
        self.shared.registry().keys().next().is_some()
    }

    /// Whether a tenant has come to be, by the config file, a key, a webhook or an event.
    pub(crate) fn has_tenant(&self, provider: &str, tenant: &str) -> bool {
        self.shared.registry().tenant(provider, tenant).is_some()
    }

    /// The id of a provider's tenant that this text names, by its id or its uid. A text that names none stays as it is.
    pub(crate) fn tenant_called(&self, provider: &str, text: &str) -> Box<str> {
        self.shared.registry().tenant_called(provider, text).into()
    }

    /// Fails when the tenant does not exist, or was taken out of the config file.
    pub(crate) fn check_tenant(&self, owned: &Owned) -> Result<(), Refusal> {
        tenants::existing(&owned.tenant, self.shared.registry().listing_of(&owned.provider, &owned.tenant))
    }

    /// The tenant of a provider whose id is nearest to one that is unknown, if any is near.
    pub(crate) fn nearest_tenant(&self, provider: &str, unknown: &str) -> Option<Box<str>> {
        let registry = self.shared.registry();
        let known = registry.tenants_of(provider).filter(|tenant| *tenant != ALL_TENANTS);
        nearest(unknown, known).map(Into::into)
    }

    /// The event type that was probably meant by a type that no webhook wants: one that webhooks name. At most [`WANTED_SEEN`]
    /// names are compared.
    pub(crate) fn nearest_wanted(&self, provider: &str, unwanted: &Unwanted) -> Option<Box<str>> {
        let registry = self.shared.registry();
        let audience = match &unwanted.tenant {
            Some(tenant) => Audience::Tenant(registry.tenant(provider, tenant)?),
            None => Audience::Provider(provider),
        };
        nearest(&unwanted.kind, registry.wanted(audience).take(WANTED_SEEN)).map(Into::into)
    }
}

impl Shared {
    pub(in crate::store) fn webhook_no(&self, no: EndpointNo) -> Option<Arc<Endpoint>> {
        self.registry().entry(no).map(|entry| entry.endpoint.clone())
    }

    /// The numbers of the wanted webhooks of some owners. It looks at each of their webhooks, and at no other.
    pub(in crate::store) fn numbers_where(&self, of: &Owners, wanted: impl Fn(&Endpoint) -> bool) -> BTreeSet<EndpointNo> {
        let registry = self.registry();
        let theirs = registry.of(of, EndpointNo(0)).map(|entry| &entry.endpoint);
        theirs.filter(|endpoint| wanted(endpoint)).map(|endpoint| endpoint.no).collect()
    }

    /// The wanted tenants, in no order. It looks at every tenant.
    pub(in crate::store) fn tenants_where(&self, wanted: impl Fn(&Owned) -> bool) -> Arc<[Owned]> {
        let registry = self.registry();
        registry.tenants().map(|(owned, _)| owned).filter(|owned| *owned.tenant != *ALL_TENANTS && wanted(owned)).collect()
    }
}

/// How many names are compared: as many as one webhook may have. That takes some ten microseconds, in which the writer waits.
const WANTED_SEEN: usize = 256;
