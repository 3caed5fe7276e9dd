//! What the store knows of names in an event: whether its tenant exists, and which event type was probably meant.

use super::registry::Audience;
use crate::domain::text::nearest::nearest;
use crate::store::handle::Store;
use crate::store::rules::tenants;
use crate::store::{Owned, Refusal, Unwanted};

impl Store {
    /// Fails when the tenant does not exist, or was taken out of the config file.
    pub(crate) fn check_tenant(&self, owned: &Owned) -> Result<(), Refusal> {
        tenants::existing(&owned.tenant, self.shared.registry().listing_of(&owned.provider, &owned.tenant))
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

/// How many names are compared: as many as one webhook may have. That takes some ten microseconds, in which the writer waits.
const WANTED_SEEN: usize = 256;
