//! Keys that are made and revoked, inside the writer.

use std::sync::Arc;

use crate::domain::access::{Key, KeyHash, Role};
use crate::store::error::Error;
use crate::store::message::command::NewKey;
use crate::store::redb::batch::Batch;
use crate::store::{Denied, record};

impl Batch<'_, '_> {
    /// Keeps a key, unless the one that it is made with is not valid any more: it may have left the config file just now.
    pub(in crate::store) fn add_key(&mut self, NewKey { key, by }: NewKey) -> Result<Result<(), Denied>, Error> {
        if by.is_some_and(|hash| self.memory.revoked.contains(&hash)) {
            return Ok(Err(Denied::KeyRevoked));
        }
        if let Some(denied) = self.denied_to_providers(&key) {
            return Ok(Err(denied));
        }
        self.make_tenant_of(&key.role)?;
        let mut bytes = Vec::new();
        record::write_key(&key, &mut bytes);
        self.tables.key()?.insert(&key.hash, &*bytes)?;
        self.after.keys_made += usize::from(key.maker.is_provider());
        self.memory.revoked.remove(&key.hash);
        let shared = self.shared.clone();
        self.answer(move || shared.registry_mut().put_key(Arc::new(key)));
        Ok(Ok(()))
    }

    /// What the operator alone may do: bring a tenant back that was taken out of the config file, and keep any number of keys. Of
    /// those of this batch memory learns after the commit, so they count for every provider.
    fn denied_to_providers(&self, key: &Key) -> Option<Denied> {
        let Role::Tenant { provider, tenant, .. } = &key.role else { return None };
        if !key.maker.is_provider() {
            return None;
        }
        let registry = self.shared.registry();
        if registry.is_gone(provider, tenant) {
            return Some(Denied::TenantRemoved(tenant.clone()));
        }
        (registry.keys_made(provider) + self.after.keys_made >= KEYS_MAX).then_some(Denied::TooManyKeys(KEYS_MAX))
    }

    pub(in crate::store) fn revoke_key(&mut self, id: &str) -> Result<Result<(), Denied>, Error> {
        let found = self.shared.registry().key_called(id).map(|key| key.hash);
        let Some(hash) = found else { return Ok(Err(Denied::NoKey)) };
        self.drop_key(hash)?;
        Ok(Ok(()))
    }

    /// Takes a key away, for every request that comes after the commit.
    pub(in crate::store) fn drop_key(&mut self, hash: KeyHash) -> Result<(), Error> {
        self.tables.key()?.remove(&hash)?;
        self.memory.revoked.insert(hash);
        let shared = self.shared.clone();
        self.answer(move || shared.registry_mut().drop_key(&hash));
        Ok(())
    }
}

/// Kept keys that were made with the keys of one provider: some 300 bytes of memory each, all of which a reload looks through.
pub(in crate::store) const KEYS_MAX: usize = 10_000;
