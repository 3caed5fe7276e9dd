//! What the store knows of what an event names: whether its tenant is there, and what its type was meant as.

use super::registry::Audience;
use crate::domain::text::nearest::nearest;
use crate::store::handle::Store;
use crate::store::rules::tenants;
use crate::store::{Owned, Refusal, Unwanted};

impl Store {
    /// Refuses a tenant that is not there, or was taken out of the config file.
    pub(crate) fn check_tenant(&self, owned: &Owned) -> Result<(), Refusal> {
        tenants::existing(&owned.tenant, self.shared.registry().listing_of(&owned.provider, &owned.tenant))
    }

    /// The event type that was probably meant by one that no webhook wants: one that some want by its name. Of more than
    /// [`WANTED_SEEN`] of those, so many are looked at.
    pub(crate) fn nearest_wanted(&self, provider: &str, unwanted: &Unwanted) -> Option<Box<str>> {
        let registry = self.shared.registry();
        let audience = match &unwanted.tenant {
            Some(tenant) => Audience::Tenant(registry.tenant(provider, tenant)?),
            None => Audience::Provider(provider),
        };
        nearest(&unwanted.kind, registry.wanted(audience).take(WANTED_SEEN)).map(Into::into)
    }
}

/// As many as one webhook may name: some ten microseconds' work, in which the writer waits.
const WANTED_SEEN: usize = 256;
