//! Tenants as the config file lists them: who left it and who came.

use std::time::Duration;

use crate::domain::id::EventKey;
use crate::domain::id::uid::Uid;
use crate::store::message::publication::Refusal;
use crate::store::record::Listing;
use crate::store::{Denied, Tenant};

impl Listing {
    /// What it is after the file was read again, which lists the tenant or does not.
    fn after(self, is_listed: bool) -> Self {
        match (is_listed, self) {
            (true, _) => Self::Listed,
            (false, Self::Never) => Self::Never,
            (false, Self::Listed | Self::Gone) => Self::Gone,
            (false, Self::Deleting) => Self::Deleting,
        }
    }
}

/// What the config file says of a tenant that a key or a webhook is made for: one that was taken out is there again, by its use
/// alone. `None`: nothing changes.
pub(in crate::store) fn made_for(listing: Listing) -> Option<Listing> {
    (listing == Listing::Gone).then_some(Listing::Never)
}

/// What the config file says of a tenant after it was read again; `None`: the same as before.
pub(in crate::store) fn moved(before: Listing, is_listed: bool) -> Option<Listing> {
    let after = before.after(is_listed);
    (after != before).then_some(after)
}

/// Whether a tenant may be described over the API: what the config file lists, the file describes, and only the operator brings back
/// what was taken out of it. `listing` is what the config file says of it; `None`: there is none yet.
pub(in crate::store) fn may_describe(tenant: &str, listing: Option<Listing>, restores: bool) -> Result<(), Denied> {
    match listing {
        Some(Listing::Listed) => Err(Denied::TenantInFile),
        Some(Listing::Deleting) => Err(Denied::TenantDeleting(tenant.into())),
        Some(Listing::Gone) if !restores => Err(Denied::TenantRemoved(tenant.into())),
        _ => Ok(()),
    }
}

/// Whether a tenant may have a uid. `holder` is the id of another tenant that has it, and `is_id` says that it is the id of another.
pub(in crate::store) fn may_be_called(uid: &Uid, holder: Option<&str>, is_id: bool) -> Result<(), Denied> {
    let text = || Box::from(uid.as_str());
    match holder {
        Some(holder) => Err(Denied::UidTaken { uid: text(), holder: holder.into() }),
        None if is_id => Err(Denied::UidIsId { uid: text() }),
        None => Ok(()),
    }
}

/// Up to which event those of a tenant were gone through for their age once its retention is `after`: a changed one counts for what
/// stands, so it begins anew, also when it was taken away.
pub(in crate::store) fn aged(before: &Tenant, after: Option<Duration>) -> Option<EventKey> {
    if before.profile.retention == after { before.aged } else { Some(EventKey::MIN) }
}

/// Whether events can be published for a tenant. `listing` is what the config file says of it; `None`: there is none.
pub(in crate::store) fn existing(tenant: &str, listing: Option<Listing>) -> Result<(), Refusal> {
    match listing {
        None | Some(Listing::Deleting) => Err(Refusal::NoTenant(tenant.into())),
        Some(Listing::Gone) => Err(Refusal::TenantRemoved(tenant.into())),
        Some(Listing::Never | Listing::Listed) => Ok(()),
    }
}

/// Whether a key or a webhook may be made for a tenant: not while it is being deleted.
pub(in crate::store) fn may_make_for(tenant: &str, listing: Option<Listing>) -> Result<(), Denied> {
    if listing == Some(Listing::Deleting) { Err(Denied::TenantDeleting(tenant.into())) } else { Ok(()) }
}

/// Whether a key or a webhook of another relay may be taken over for a tenant: it brings no tenant back that was taken out of the config
/// file.
pub(in crate::store) fn may_import_for(tenant: &str, listing: Option<Listing>) -> Result<(), Denied> {
    may_make_for(tenant, listing)?;
    if listing == Some(Listing::Gone) { Err(Denied::TenantRemoved(tenant.into())) } else { Ok(()) }
}

/// Whether a tenant may be deleted. What the config file lists is the file's, and so are webhooks of a tenant that it does not list:
/// those of the default tenant, which is always there. `listing` is what the file says of the tenant; `None`: there is none.
pub(in crate::store) fn may_delete(listing: Option<Listing>, is_default: bool) -> Result<(), Denied> {
    match listing {
        _ if is_default => Err(Denied::DefaultTenant),
        None => Err(Denied::NoTenant),
        Some(Listing::Listed) => Err(Denied::TenantInFile),
        Some(Listing::Never | Listing::Gone | Listing::Deleting) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_for_a_tenant_that_is_being_deleted() {
        let deleting = || Err(Denied::TenantDeleting("t1".into()));
        assert_eq!(may_make_for("t1", Some(Listing::Deleting)), deleting());
        assert_eq!(may_describe("t1", Some(Listing::Deleting), true), deleting());
        assert_eq!(existing("t1", Some(Listing::Deleting)), Err(Refusal::NoTenant("t1".into())));
        assert_eq!((made_for(Listing::Deleting), moved(Listing::Deleting, false)), (None, None));
        assert!([None, Some(Listing::Never), Some(Listing::Gone)].iter().all(|listing| may_make_for("t1", *listing).is_ok()));
    }

    #[test]
    fn only_what_the_file_does_not_own_is_deleted() {
        assert_eq!(may_delete(Some(Listing::Listed), false), Err(Denied::TenantInFile));
        assert_eq!((may_delete(None, false), may_delete(None, true)), (Err(Denied::NoTenant), Err(Denied::DefaultTenant)));
        assert!(
            [Listing::Never, Listing::Gone, Listing::Deleting].iter().all(|listing| may_delete(Some(*listing), false).is_ok())
        );
    }

    #[test]
    fn only_a_tenant_that_was_listed_can_leave_the_file() {
        assert_eq!(Listing::Never.after(false), Listing::Never, "it lives by its use alone");
        assert_eq!([Listing::Listed, Listing::Gone].map(|was| was.after(false)), [Listing::Gone; 2]);
        assert_eq!([Listing::Never, Listing::Listed, Listing::Gone].map(|was| was.after(true)), [Listing::Listed; 3]);
    }

    #[test]
    fn only_a_tenant_that_moves_is_written() {
        assert_eq!(moved(Listing::Listed, true), None);
        assert_eq!([moved(Listing::Listed, false), moved(Listing::Gone, false)], [Some(Listing::Gone), None]);
        assert_eq!(moved(Listing::Gone, true), Some(Listing::Listed));
    }

    #[test]
    fn a_tenant_that_left_comes_back_by_its_use() {
        assert_eq!([Listing::Never, Listing::Listed, Listing::Gone].map(made_for), [None, None, Some(Listing::Never)]);
    }

    #[test]
    fn what_the_file_lists_the_file_describes() {
        assert_eq!(may_describe("t1", Some(Listing::Listed), true), Err(Denied::TenantInFile));
        assert_eq!(may_describe("t1", Some(Listing::Gone), false), Err(Denied::TenantRemoved("t1".into())));
        for listing in [None, Some(Listing::Never), Some(Listing::Gone)] {
            assert_eq!(may_describe("t1", listing, true), Ok(()), "{listing:?}");
        }
    }

    #[test]
    fn a_uid_is_had_once_and_is_nobodys_id() {
        let uid = Uid::parse("u").expect("a uid");
        assert_eq!(may_be_called(&uid, None, false), Ok(()));
        assert_eq!(may_be_called(&uid, Some("t2"), false), Err(Denied::UidTaken { uid: "u".into(), holder: "t2".into() }));
        assert_eq!(may_be_called(&uid, None, true), Err(Denied::UidIsId { uid: "u".into() }));
    }

    #[test]
    fn a_changed_retention_counts_for_what_stands() {
        let owned = crate::store::Owned { provider: "acme".into(), tenant: "t1".into() };
        let mut tenant = Tenant { aged: Some(EventKey(7)), ..Tenant::new(owned, None) };
        tenant.profile.retention = Some(Duration::from_secs(60));
        assert_eq!(aged(&tenant, Some(Duration::from_secs(60))), Some(EventKey(7)));
        assert_eq!([aged(&tenant, Some(Duration::from_secs(61))), aged(&tenant, None)], [Some(EventKey::MIN); 2]);
        assert_eq!(aged(&Tenant::new(tenant.owned, None), None), None);
    }

    #[test]
    fn a_tenant_takes_events_while_it_is_there() {
        assert_eq!(existing("t1", Some(Listing::Never)), Ok(()));
        assert_eq!(existing("t1", Some(Listing::Listed)), Ok(()));
        assert_eq!(existing("t1", Some(Listing::Gone)), Err(Refusal::TenantRemoved("t1".into())));
        assert_eq!(existing("t1", None), Err(Refusal::NoTenant("t1".into())));
    }
}
