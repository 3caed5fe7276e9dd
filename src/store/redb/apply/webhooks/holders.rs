//! Which webhook has a name or a uid, which another one may not have too.

use std::collections::HashMap;
use std::sync::Arc;

use crate::domain::id::{EndpointNo, TenantNo};
use crate::domain::webhook::endpoint::{Definition, Endpoint};
use crate::store::Owned;
use crate::store::message::command::FileWebhook;
use crate::store::message::view::Owners;
use crate::store::redb::batch::Batch;
use crate::store::rules::config_sync::Identity;
use crate::store::shared::registry::{Audience, Entry};

impl Batch<'_, '_> {
    /// A webhook of the file whose uid is that of one that the API made, with that one. Of two in the file no two have the same.
    pub(super) fn uid_taken_by_api<'f>(&self, file: &'f [FileWebhook]) -> Option<(&'f FileWebhook, Arc<Endpoint>)> {
        let held = |webhook: &FileWebhook| self.uid_holder(&webhook.owned, &webhook.definition, EndpointNo(0));
        let mut held = file.iter().filter_map(|webhook| Some((webhook, held(webhook)?)));
        held.find(|(_, holder)| !holder.is_file_owned())
    }

    /// One that is new in the file while the API made a webhook of that name. One that was there before names were unique stays.
    pub(super) fn taken_by_api<'f>(
        &self,
        file: &'f [FileWebhook],
        known: &HashMap<Identity, Arc<Endpoint>>,
    ) -> Option<&'f FileWebhook> {
        let new = file.iter().filter(|webhook| !known.contains_key(&webhook.identity()));
        let mut taken = new.filter(|webhook| self.holder(&webhook.owned, &webhook.definition.name, EndpointNo(0)).is_some());
        taken.next()
    }

    /// The webhook of a tenant that has this name, but for one of them. Many may have none.
    pub(super) fn holder(&self, owned: &Owned, name: &str, but: EndpointNo) -> Option<Arc<Endpoint>> {
        if name.is_empty() {
            return None;
        }
        let registry = self.shared.registry();
        let tenant = registry.tenant(&owned.provider, &owned.tenant)?;
        let known = registry.named(Audience::Tenant(tenant), name);
        self.one_of(tenant, known, but, |endpoint| *endpoint.definition.name == *name)
    }

    /// The webhook of a tenant that has the uid of this definition, but for one of them.
    pub(super) fn uid_holder(&self, owned: &Owned, definition: &Definition, but: EndpointNo) -> Option<Arc<Endpoint>> {
        let uid = definition.settings.uid.as_ref()?;
        let of = Owners::Tenant(owned.clone());
        let registry = self.shared.registry();
        let tenant = registry.tenant(&owned.provider, &owned.tenant)?;
        let known = registry.with_uid(&of, uid.as_str());
        self.one_of(tenant, known, but, |endpoint| endpoint.definition.settings.uid.as_ref() == Some(uid))
    }

    /// The first of those that memory knows and this batch has left as they are, and of those that it has changed.
    fn one_of<'r>(
        &self,
        tenant: TenantNo,
        known: impl Iterator<Item = &'r Entry>,
        but: EndpointNo,
        is_called: impl Fn(&Endpoint) -> bool,
    ) -> Option<Arc<Endpoint>> {
        let changed = &self.after.changed;
        let known = known.map(|entry| &entry.endpoint).filter(|endpoint| !changed.contains_key(&endpoint.no));
        let fresh = changed.values().filter(|endpoint| endpoint.tenant_no == tenant && is_called(endpoint));
        known.chain(fresh).find(|endpoint| endpoint.no != but && !endpoint.is_deleted()).cloned()
    }
}
