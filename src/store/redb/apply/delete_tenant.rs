//! The deletion of a tenant, inside the writer: its webhooks, keys and secrets go in one commit. What is kept of it goes afterwards, a
//! slice in each commit: see [`erase`](crate::store::redb::background::erase).

use crate::config::checked::DEFAULT_OWNER;
use crate::domain::access::{Key, Role};
use crate::domain::id::EventKey;
use crate::store::error::Error;
use crate::store::message::audit::{Origin, shown};
use crate::store::record::Listing;
use crate::store::redb::batch::Batch;
use crate::store::redb::state::RunningDeletion;
use crate::store::rules::{tenants, webhooks};
use crate::store::{Deletion, Denied, Owned, Tenant};

impl Batch<'_, '_> {
    /// Begins to delete a tenant. Of one that is being deleted already it answers how far that has come.
    pub(in crate::store) fn delete_tenant(&mut self, owned: Owned, by: &Origin) -> Result<Result<Tenant, Denied>, Error> {
        let Owned { provider, tenant } = &owned;
        let found = self.shared.registry().tenant(provider, tenant);
        let listing = self.shared.registry().listing_of(provider, tenant);
        let is_default = (&**provider, &**tenant) == (DEFAULT_OWNER, DEFAULT_OWNER);
        let no = match (tenants::may_delete(listing, is_default), found) {
            (Ok(()), Some(no)) => no,
            (denied, _) => return Ok(denied.and(Err(Denied::NoTenant))),
        };
        let kept = self.kept_tenant(no, &owned)?;
        if listing == Some(Listing::Deleting) {
            return Ok(Ok(kept));
        }
        let deletion = Deletion { since: self.now.max(self.newest_key().time()), events: 0, deliveries: 0 };
        let deleting = Tenant { listing: Listing::Deleting, deletion: Some(deletion), ..kept.clone() };
        self.put_tenant(no, &deleting)?;
        let running = RunningDeletion::new(no, deleting.clone(), deletion);
        self.give_keys_behind(running.until);
        self.memory.deletions.push_back(running);
        self.memory.replays.forget_tenant(no);
        self.put_away(&owned, &kept, by)?;
        Ok(Ok(deleting))
    }

    /// Revokes the keys and deletes the webhooks of a tenant that is being deleted.
    fn put_away(&mut self, owned: &Owned, kept: &Tenant, by: &Origin) -> Result<(), Error> {
        let (keys, webhooks) = (self.keys_of(owned)?, self.webhooks_of(owned));
        let counts = (webhooks.len(), keys.len());
        for key in keys {
            self.drop_key(key.hash)?;
            self.after.consequences.note(|| Some(shown::key_revoked(&key)));
        }
        for webhook in webhooks {
            self.follow(webhooks::delete_with_tenant(&webhook, self.now))?;
        }
        let unlisted = self.after.consequences.unlisted();
        self.audit(by, Some(shown::tenant_deleted(kept, counts, unlisted)))?;
        self.audit_consequences(by)
    }

    /// Gives later events keys behind this one, so that the key alone tells which events a deletion erases, also after a crash.
    fn give_keys_behind(&mut self, key: EventKey) {
        self.memory.counters.last_key = key.0;
        self.after.dirty = true;
    }

    /// The kept keys of a tenant as this transaction has them.
    fn keys_of(&mut self, Owned { provider, tenant }: &Owned) -> Result<Vec<Key>, Error> {
        let is_theirs = |key: &Key| match &key.role {
            Role::Tenant { provider: of, tenant: own, .. } => of == provider && own == tenant,
            Role::Operator | Role::Provider { .. } => false,
        };
        Ok(self.kept_keys()?.into_iter().filter(is_theirs).collect())
    }
}
