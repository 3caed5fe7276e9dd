//! Keys that are made.

use super::tenants;
use crate::domain::access::{Key, Role};
use crate::store::Denied;
use crate::store::record::Listing;

/// What is known where a key is to be kept.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Standing {
    /// Whether the key that it is made with was revoked: it may have left the config file just now.
    pub(in crate::store) is_maker_revoked: bool,
    /// Whether an import brings the key.
    pub(in crate::store) is_imported: bool,
    /// Whether the key itself was revoked here.
    pub(in crate::store) is_revoked: bool,
    /// What the config file says of the key's tenant; `None`: there is none of that name.
    pub(in crate::store) tenant: Option<Listing>,
    /// Kept keys that were made with keys of the key's provider.
    pub(in crate::store) made: usize,
}

/// Whether a key is kept. The operator alone may bring a tenant back that was taken out of the config file, and may keep any number
/// of keys.
pub(in crate::store) fn may_add(key: &Key, standing: Standing) -> Result<(), Denied> {
    if standing.is_maker_revoked {
        return Err(Denied::KeyRevoked);
    }
    if standing.is_imported && standing.is_revoked {
        return Err(Denied::KeyWasRevoked(key.id.clone()));
    }
    let Role::Tenant { tenant, .. } = &key.role else { return Ok(()) };
    tenants::may_make_for(tenant, standing.tenant)?;
    if standing.is_imported {
        tenants::may_import_for(tenant, standing.tenant)?;
    }
    match (key.maker.is_provider(), standing.tenant) {
        (false, _) => Ok(()),
        (true, Some(Listing::Gone)) => Err(Denied::TenantRemoved(tenant.clone())),
        (true, _) if standing.made >= KEYS_MAX => Err(Denied::TooManyKeys(KEYS_MAX)),
        (true, _) => Ok(()),
    }
}

/// Kept keys that were made with the keys of one provider: some 300 bytes of memory each, all of which a reload looks through.
pub(in crate::store) const KEYS_MAX: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access::{Maker, Scopes, Terms};
    use crate::domain::time::Timestamp;

    const FREE: Standing = Standing { is_maker_revoked: false, is_imported: false, is_revoked: false, tenant: None, made: 0 };

    fn key(maker: Maker, role: Role) -> Key {
        Key {
            id: "key_1".into(),
            name: "k".into(),
            role,
            hash: [1; 32],
            created_at: Timestamp::EPOCH,
            maker,
            terms: Terms::default(),
        }
    }

    fn of_tenant() -> Role {
        Role::Tenant { provider: "acme".into(), tenant: "t1".into(), scopes: Scopes::ALL }
    }

    fn by_provider() -> Key {
        key(Maker::Provider("key_p".into()), of_tenant())
    }

    #[test]
    fn an_import_brings_back_no_revoked_key_and_no_tenant() {
        let imported = Standing { is_imported: true, ..FREE };
        let of_operator = key(Maker::Operator(None), of_tenant());
        assert_eq!(may_add(&of_operator, imported), Ok(()));
        let revoked = Standing { is_revoked: true, ..imported };
        assert_eq!(may_add(&of_operator, revoked), Err(Denied::KeyWasRevoked(of_operator.id.clone())));
        let gone = Standing { tenant: Some(Listing::Gone), ..imported };
        assert_eq!(may_add(&of_operator, gone), Err(Denied::TenantRemoved("t1".into())));
        assert_eq!(may_add(&of_operator, Standing { is_imported: false, ..gone }), Ok(()), "the operator restores it");
    }

    #[test]
    fn a_revoked_key_makes_no_key() {
        let revoked = Standing { is_maker_revoked: true, ..FREE };
        assert_eq!(may_add(&by_provider(), revoked), Err(Denied::KeyRevoked));
        assert_eq!(may_add(&by_provider(), FREE), Ok(()));
    }

    #[test]
    fn a_provider_keeps_ten_thousand_keys_and_the_operator_any_number() {
        let made = |made| Standing { made, ..FREE };
        assert_eq!(may_add(&by_provider(), made(KEYS_MAX - 1)), Ok(()));
        assert_eq!(may_add(&by_provider(), made(KEYS_MAX)), Err(Denied::TooManyKeys(KEYS_MAX)));
        assert_eq!(may_add(&key(Maker::NOT_KEPT, of_tenant()), made(KEYS_MAX)), Ok(()));
    }

    #[test]
    fn only_the_operator_brings_a_tenant_back() {
        let gone = Standing { tenant: Some(Listing::Gone), ..FREE };
        assert_eq!(may_add(&by_provider(), gone), Err(Denied::TenantRemoved("t1".into())));
        assert_eq!(may_add(&key(Maker::NOT_KEPT, of_tenant()), gone), Ok(()));
        assert_eq!(may_add(&key(Maker::NOT_KEPT, Role::Operator), gone), Ok(()));
    }
}
