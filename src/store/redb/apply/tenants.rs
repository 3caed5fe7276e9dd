//! Tenants as the config file lists them, inside the writer: who left it, who came, and the keys of those who left.
//!
//! A tenant that was never listed lives by its use alone, so what the file said last is kept with each tenant. It is compared
//! with what the file says now: only the step out of the file takes keys and webhooks away, so that an operator may go on with
//! a tenant that left, by making a key or a webhook for it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use redb::ReadableTable;

use crate::domain::access::{Key, KeyHash, Role};
use crate::domain::id::TenantNo;
use crate::domain::id::uid::Uid;
use crate::domain::tenant::Profile;
use crate::store::error::{Error, intact};
use crate::store::message::audit::{FileChanges, Origin, shown};
use crate::store::record::Listing;
use crate::store::redb::batch::Batch;
use crate::store::rules::config_sync;
use crate::store::rules::tenants;
use crate::store::{Denied, NewTenant, Owned, Tenant, record};

impl Batch<'_, '_> {
    /// Notes which tenants the file lists; answers those that it listed until now and does not any more.
    pub(in crate::store) fn list_tenants(
        &mut self,
        listed: &[Owned],
        retentions: &HashMap<Owned, Duration>,
        brought: &mut FileChanges,
    ) -> Result<HashSet<TenantNo>, Error> {
        let numbers = listed.iter().map(|owned| self.listed_no(owned)).collect::<Result<Vec<_>, _>>()?;
        for (no, owned) in numbers.iter().zip(listed) {
            self.keep_as_listed(*no, owned, retentions.get(owned).copied())?;
        }
        let listed = numbers.into_iter().collect();
        let moved = self.moved_tenants(&listed);
        for (no, owned, listing) in &moved {
            self.put_listing(*no, owned, *listing)?;
            brought.tenant(owned, *listing);
        }
        Ok(moved.into_iter().filter(|(_, _, listing)| *listing == Listing::Gone).map(|(no, _, _)| no).collect())
    }

    /// The number of a tenant that the file lists. While one of that name is being deleted, this is another one: what is kept of the
    /// old one goes by its number, and a service whose file lists it must start.
    fn listed_no(&mut self, Owned { provider, tenant }: &Owned) -> Result<TenantNo, Error> {
        let is_deleting = self.shared.registry().listing_of(provider, tenant) == Some(Listing::Deleting);
        if is_deleting { self.new_tenant_no(provider, tenant) } else { self.tenant_no(provider, tenant) }
    }

    fn moved_tenants(&self, listed: &HashSet<TenantNo>) -> Vec<(TenantNo, Owned, Listing)> {
        let registry = self.shared.registry();
        let moved = registry.tenants().filter_map(|(owned, no)| {
            let listing = tenants::moved(registry.listing(no), listed.contains(&no))?;
            Some((no, owned, listing))
        });
        moved.collect()
    }

    fn put_listing(&mut self, no: TenantNo, owned: &Owned, listing: Listing) -> Result<(), Error> {
        let tenant = Tenant { listing, ..self.kept_tenant(no, owned)? };
        // Known before the commit: nobody but the writer asks, and a failed commit ends the process.
        self.put_tenant(no, &tenant)
    }

    /// The tenant as its row has it, which may be of this batch. A damaged row says nothing of it.
    pub(in crate::store) fn kept_tenant(&mut self, no: TenantNo, owned: &Owned) -> Result<Tenant, Error> {
        let row = self.tables.tenant()?.get(no.0)?.map(|row| record::read_tenant(no, row.value()));
        Ok(intact(row)?.unwrap_or_else(|| Tenant::new(owned.clone(), None)))
    }

    /// Writes a tenant, and lets memory know it.
    pub(in crate::store) fn put_tenant(&mut self, no: TenantNo, tenant: &Tenant) -> Result<(), Error> {
        self.write_tenant(no, tenant)?;
        self.shared.registry_mut().put_tenant(no, tenant);
        Ok(())
    }

    pub(in crate::store) fn write_tenant(&mut self, no: TenantNo, tenant: &Tenant) -> Result<(), Error> {
        let mut bytes = Vec::new();
        record::write_tenant(no, tenant, &mut bytes);
        self.tables.tenant()?.insert(no.0, &*bytes)?;
        if self.memory.ages.note(no, tenant) {
            self.memory.sweep.more = true;
        }
        Ok(())
    }

    /// Describes a tenant, and makes one that is not there. Answers the tenant, and whether it was made.
    pub(in crate::store) fn describe_tenant(
        &mut self,
        new: NewTenant,
        by: &Origin,
    ) -> Result<Result<(Tenant, bool), Denied>, Error> {
        let Owned { provider, tenant } = &new.owned;
        let listing = self.shared.registry().listing_of(provider, tenant);
        if let Err(denied) = tenants::may_describe(tenant, listing, new.restores) {
            return Ok(Err(denied));
        }
        if let Err(denied) = self.may_be_called(&new) {
            return Ok(Err(denied));
        }
        let no = self.make_tenant(provider, tenant)?;
        let kept = self.kept_tenant(no, &new.owned)?;
        let aged = tenants::aged(&kept, new.profile.retention);
        let described = Tenant { profile: new.profile, updated_at: Some(self.now), aged, ..kept.clone() };
        if let Some(uid) = &described.profile.uid {
            self.after.called.push((new.owned.clone(), uid.clone()));
        }
        self.audit(by, shown::tenant(listing.map(|_| &kept), &described))?;
        self.audit_consequences(by)?;
        self.write_tenant(no, &described)?;
        // Who publishes may read it, so it is shown once it is on disk. A config file later in this batch has its say by then.
        let (shared, shown) = (self.shared.clone(), described.clone());
        self.answer(move || {
            let mut registry = shared.registry_mut();
            let listing = registry.listing(no);
            registry.put_tenant(no, &Tenant { listing, ..shown });
        });
        Ok(Ok((described, listing.is_none())))
    }

    /// Whether the tenant may have its uid, also by what this batch has given to others.
    fn may_be_called(&self, new: &NewTenant) -> Result<(), Denied> {
        let (Owned { provider, tenant }, Some(uid)) = (&new.owned, &new.profile.uid) else { return Ok(()) };
        let registry = self.shared.registry();
        let known = registry.tenant_with_uid(provider, uid).map(|(_, id)| id);
        let is_of = |(owned, called): &&(Owned, Uid)| owned.provider == *provider && called == uid;
        let fresh = self.after.called.iter().filter(is_of).map(|(owned, _)| &*owned.tenant);
        let holder = known.into_iter().chain(fresh).find(|id| **id != **tenant);
        let is_id = *uid.as_str() != **tenant && registry.tenant(provider, uid.as_str()).is_some();
        tenants::may_be_called(uid, holder, is_id)
    }

    /// Keeps the events of tenants as long as the file says, of those that it lists.
    fn keep_as_listed(&mut self, no: TenantNo, owned: &Owned, retention: Option<Duration>) -> Result<(), Error> {
        if self.memory.ages.of(no) == retention {
            return Ok(());
        }
        let kept = self.kept_tenant(no, owned)?;
        let aged = tenants::aged(&kept, retention);
        let profile = Profile { retention, ..kept.profile.clone() };
        self.put_tenant(no, &Tenant { profile, aged, ..kept })
    }

    /// Revokes the kept keys of tenants that just left, and of providers that the file does not name. Of the others each makes its
    /// tenant, also one that a release before this rule kept.
    pub(in crate::store) fn revoke_left(&mut self, left: &HashSet<TenantNo>, brought: &mut FileChanges) -> Result<(), Error> {
        for key in self.kept_keys()? {
            if self.has_left(&key.role, left) {
                self.drop_key(key.hash)?;
                brought.key_revoked(&key);
                self.after.consequences.note(|| Some(shown::key_revoked(&key)));
            } else {
                self.make_tenant_of(&key.role)?;
            }
        }
        Ok(())
    }

    /// Of a key that left the file nothing is taken any more that still waits; one that came back is as good as new.
    pub(in crate::store) fn know_file_keys(&mut self, keys: HashSet<KeyHash>) {
        let memory = &mut *self.memory;
        memory.file_keys.difference(&keys).for_each(|hash| memory.revoked.insert(*hash));
        keys.iter().for_each(|hash| memory.revoked.remove(hash));
        memory.file_keys = keys;
    }

    /// A tenant is there once it has a key.
    pub(in crate::store) fn make_tenant_of(&mut self, role: &Role) -> Result<(), Error> {
        match role {
            Role::Operator | Role::Provider { .. } => Ok(()),
            Role::Tenant { provider, tenant, .. } => self.make_tenant(provider, tenant).map(drop),
        }
    }

    /// The number of a tenant that a key or a webhook is made for. One that was taken out of the config file is there again, by its
    /// use alone, and its own webhooks with it.
    pub(in crate::store) fn make_tenant(&mut self, provider: &str, tenant: &str) -> Result<TenantNo, Error> {
        let no = self.tenant_no(provider, tenant)?;
        let listing = tenants::made_for(self.shared.registry().listing(no));
        if let Some(listing) = listing {
            let owned = Owned { provider: provider.into(), tenant: tenant.into() };
            let kept = self.kept_tenant(no, &owned)?;
            self.after.consequences.note(|| shown::tenant_moved(&kept, listing));
            self.put_listing(no, &owned, listing)?;
            self.follow_owners()?;
        }
        Ok(no)
    }

    fn has_left(&self, role: &Role, left: &HashSet<TenantNo>) -> bool {
        let registry = self.shared.registry();
        let is_provider_known = role.provider().is_none_or(|provider| registry.dialects.contains_key(provider));
        let no = match role {
            Role::Tenant { provider, tenant, .. } => registry.tenant(provider, tenant),
            Role::Operator | Role::Provider { .. } => None,
        };
        config_sync::revokes(role, is_provider_known, no.is_some_and(|no| left.contains(&no)))
    }

    /// The keys as this transaction has them: one may have been made in the same batch.
    pub(in crate::store) fn kept_keys(&mut self) -> Result<Vec<Key>, Error> {
        let mut found = Vec::new();
        for row in self.tables.key()?.range::<&KeyHash>(..)? {
            let (hash, value) = row?;
            found.extend(intact(Some(record::read_key(*hash.value(), value.value())))?.map(|(key, _)| key));
        }
        Ok(found)
    }
}
