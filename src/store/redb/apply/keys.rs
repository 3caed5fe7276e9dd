//! Keys that are made and revoked, inside the writer.

use std::sync::Arc;

use redb::ReadableTable;

use crate::domain::access::{Key, KeyHash, Role};
use crate::domain::time::Timestamp;
use crate::store::error::{Error, intact};
use crate::store::message::audit::{Origin, shown};
use crate::store::message::command::NewKey;
use crate::store::redb::batch::Batch;
use crate::store::rules::keys::{self, Standing};
use crate::store::{Denied, record};

impl Batch<'_, '_> {
    /// Keeps a key, unless the one that it is made with is not valid any more: it may have left the config file just now.
    pub(in crate::store) fn add_key(
        &mut self,
        NewKey { key, by: maker, is_imported }: NewKey,
        by: &Origin,
    ) -> Result<Result<(), Denied>, Error> {
        let is_maker_revoked = maker.is_some_and(|hash| self.memory.revoked.contains(&hash));
        if let Err(denied) = keys::may_add(&key, Standing { is_maker_revoked, is_imported, ..self.standing(&key) }) {
            return Ok(Err(denied));
        }
        self.make_tenant_of(&key.role)?;
        let mut bytes = Vec::new();
        record::write_key(&key, None, &mut bytes);
        self.tables.key()?.insert(&key.hash, &*bytes)?;
        self.after.keys_made += usize::from(key.maker.is_provider());
        self.memory.revoked.remove(&key.hash);
        self.audit(by, Some(shown::key_made(&key)))?;
        self.audit_consequences(by)?;
        let shared = self.shared.clone();
        self.answer(move || shared.registry_mut().put_key(Arc::new(key), None));
        Ok(Ok(()))
    }

    /// What is known where a key is to be kept. Of the keys of this batch memory learns after the commit, so they count for every
    /// provider.
    fn standing(&self, key: &Key) -> Standing {
        let registry = self.shared.registry();
        let (tenant, made) = match &key.role {
            Role::Tenant { provider, tenant, .. } => (registry.listing_of(provider, tenant), registry.keys_made(provider)),
            Role::Operator | Role::Provider { .. } => (None, 0),
        };
        let is_revoked = self.memory.revoked.contains(&key.hash);
        let made = made + self.after.keys_made;
        Standing { is_maker_revoked: false, is_imported: false, is_revoked, tenant, made }
    }

    /// Writes down when keys were used last. A key that was revoked meanwhile has no row any more.
    pub(in crate::store) fn keep_key_uses(&mut self, uses: Vec<(KeyHash, Timestamp)>) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for (hash, at) in uses {
            let row = self.tables.key()?.get(&hash)?.map(|row| record::read_key(hash, row.value()));
            if let Some((key, _)) = intact(row)? {
                record::write_key(&key, Some(at), &mut bytes);
                self.tables.key()?.insert(&hash, &*bytes)?;
            }
        }
        Ok(())
    }

    pub(in crate::store) fn revoke_key(&mut self, id: &str, by: &Origin) -> Result<Result<(), Denied>, Error> {
        let found = self.shared.registry().key_called(id).cloned();
        let Some(key) = found else { return Ok(Err(Denied::NoKey)) };
        self.drop_key(key.hash)?;
        self.audit(by, Some(shown::key_revoked(&key)))?;
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
