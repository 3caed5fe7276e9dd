//! Tenants: what is kept of one, and what is asked of it.

use crate::domain::id::uid::Uid;
use crate::domain::id::{EventKey, TenantNo};
use crate::domain::tenant::Profile;
use crate::domain::time::Timestamp;
use crate::store::Owned;

/// What the config file says of a tenant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) enum Listing {
    /// It is known by its use alone.
    #[default]
    Never,
    Listed,
    /// It was listed, and was taken out.
    Gone,
    /// The tenant is being deleted: nothing is taken for it, and what is kept of it goes, a slice in each commit.
    Deleting,
}

/// A tenant as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tenant {
    pub(crate) owned: Owned,
    pub(in crate::store) listing: Listing,
    /// When it came to be; `None`: before a release that notes it, or it has no row yet.
    pub(crate) created_at: Option<Timestamp>,
    /// When the API described it last.
    pub(crate) updated_at: Option<Timestamp>,
    pub(crate) profile: Profile,
    /// How far its deletion has come. `None`: it is not being deleted.
    pub(crate) deletion: Option<Deletion>,
    /// Up to which of its events they were gone through for their age, since the tenant's retention was set or taken away. `None`: the
    /// pass over the events of all tenants is enough.
    pub(in crate::store) aged: Option<EventKey>,
}

/// How far the deletion of a tenant has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deletion {
    /// When it was asked for.
    pub(crate) since: Timestamp,
    /// Events and deliveries that were erased so far.
    pub(crate) events: u64,
    pub(crate) deliveries: u64,
}

impl Tenant {
    /// A tenant of which nothing is said.
    pub(crate) fn new(owned: Owned, created_at: Option<Timestamp>) -> Self {
        let (listing, profile) = (Listing::Never, Profile::default());
        Self { owned, listing, created_at, updated_at: None, profile, deletion: None, aged: None }
    }

    /// Whether the config file lists it, and so says all that is said of it.
    pub(crate) fn is_from_file(&self) -> bool {
        self.listing == Listing::Listed
    }

    /// Whether it was taken out of the config file and has not come back.
    pub(crate) fn has_left_file(&self) -> bool {
        self.listing == Listing::Gone
    }
}

/// A tenant that is to be described, and made where it is not there.
#[derive(Clone, Debug)]
pub(crate) struct NewTenant {
    pub(crate) owned: Owned,
    pub(crate) profile: Profile,
    /// Whether that brings back a tenant that was taken out of the config file.
    pub(crate) restores: bool,
}

/// Some tenants, each with its place in the list.
#[derive(Clone, Debug, Default)]
pub(crate) struct TenantPage {
    pub(crate) tenants: Vec<(TenantNo, Tenant)>,
    /// The last row that was looked at, when there may be more.
    pub(crate) next: Option<TenantNo>,
}

/// Which tenants a list shows.
#[derive(Clone, Debug, Default)]
pub(crate) struct TenantFilter {
    /// Those of this provider.
    pub(crate) provider: Option<Box<str>>,
    /// The one of this id.
    pub(crate) tenant: Option<Box<str>>,
    /// Those whose id, uid or name holds this text, in lower case.
    pub(crate) search: Option<Box<str>>,
}

impl TenantFilter {
    pub(in crate::store) fn takes(&self, tenant: &Tenant) -> bool {
        let Owned { provider, tenant: id } = &tenant.owned;
        let uid = tenant.profile.uid.as_ref().map_or("", Uid::as_str);
        let holds = |search: &str| [&**id, uid, &*tenant.profile.name].iter().any(|text| text.to_lowercase().contains(search));
        self.provider.as_ref().is_none_or(|named| named == provider)
            && self.tenant.as_ref().is_none_or(|named| named == id)
            && self.search.as_deref().is_none_or(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_looks_into_id_uid_and_name_whatever_their_case() {
        let owned = Owned { provider: "acme".into(), tenant: "T-17".into() };
        let mut tenant = Tenant::new(owned, None);
        tenant.profile.name = "Weiß & Söhne".into();
        tenant.profile.uid = Uid::parse("CRM.9").ok();
        let found = |search: &str| TenantFilter { search: Some(search.into()), ..TenantFilter::default() }.takes(&tenant);
        assert_eq!(["t-1", "söhne", "crm.", "acme", "18"].map(found), [true, true, true, false, false]);
        let of = |provider: &str| TenantFilter { provider: Some(provider.into()), ..TenantFilter::default() }.takes(&tenant);
        assert_eq!([of("acme"), of("deck")], [true, false]);
    }
}
