//! The tenants that a list covers: all, those of one provider, or one tenant.

use std::sync::Arc;

use super::auth::{Caller, Rank};
use super::context::Context;
use super::params::Query;
use super::target::target_parts;
use crate::api::response::problem::Problem;
use crate::domain::id::is_name;
use crate::domain::resource::Resource;
use crate::store::{self, OPERATOR_PROVIDER, Owned, Owners, Store, TenantFilter};

/// The tenants that `?tenant=PROVIDER/TENANT` or `?tenant=PROVIDER/*` names. Without the parameter these are all tenants that the
/// caller may see, and for an operator that is every tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Whose {
    provider: Option<Box<str>>,
    tenant: Option<Box<str>>,
}

impl Whose {
    pub(crate) fn from_query(query: &mut Query) -> Self {
        let parsed = |text: &str| target_parts(text).map(|(provider, tenant)| (Box::from(provider), tenant.map(Box::from)));
        let given = query.read_with("tenant", "is neither PROVIDER/TENANT nor PROVIDER/*", parsed);
        given.map_or_else(Self::default, |(provider, tenant)| Self { provider: Some(provider), tenant })
    }

    /// All tenants of one provider.
    pub(crate) fn of_provider(provider: Box<str>) -> Self {
        Self { provider: Some(provider), tenant: None }
    }

    /// Reads the tenant that a path names, by its id or its uid. The tenant need not exist. Fails when its provider does not exist, or when the caller's
    /// key is for other tenants.
    pub(crate) fn named(context: &Context<'_>, provider: &str, tenant: &str) -> Result<Owned, Problem> {
        let tenant = context.api.store.tenant_called(provider, tenant);
        if !(is_name(provider) && is_name(&tenant)) {
            return Err(Problem::NotFound(Resource::Tenant));
        }
        if context.caller.rank == Rank::Operator {
            context.settings.known_provider(provider)?;
        }
        let owned = Owned { provider: provider.into(), tenant };
        let named = Self { provider: Some(owned.provider.clone()), tenant: Some(owned.tenant.clone()) };
        named.within(&context.caller).map(|_| owned)
    }

    /// Fails when the provider does not exist, and when an operator names a tenant that nobody knows, since an empty list would
    /// hide that the name is misspelt.
    pub(crate) fn check(self, context: &Context<'_>) -> Result<Self, Problem> {
        let named = self.provider.as_deref().zip(self.tenant.as_deref());
        let tenant = named.map(|(provider, tenant)| context.api.store.tenant_called(provider, tenant));
        let this = Self { tenant, ..self };
        let named = this.provider.as_deref().filter(|name| *name != OPERATOR_PROVIDER);
        if let (Some(provider), Rank::Operator) = (named, context.caller.rank) {
            context.settings.known_provider(provider)?;
            this.tenant.as_deref().map_or(Ok(()), |tenant| context.known_tenant(provider, tenant))?;
        }
        this.within(&context.caller)
    }

    /// Narrows the tenants to those that the caller's key may see. For a provider's key the tenants of others do not exist.
    fn within(self, caller: &Caller) -> Result<Self, Problem> {
        if caller.rank == Rank::Operator {
            return Ok(self);
        }
        let own = Self { provider: Some((&*caller.provider.name).into()), tenant: caller.tenant().map(Into::into) };
        if self.provider.is_some() && self.provider != own.provider {
            return Err(Problem::NotFound(Resource::Provider));
        }
        match (self.tenant, &own.tenant) {
            (Some(named), Some(own)) if named != *own => Err(Problem::NotFound(Resource::Tenant)),
            (Some(named), _) => Ok(Self { tenant: Some(named), ..own }),
            (None, _) => Ok(own),
        }
    }

    pub(crate) fn holds(&self, provider: &str, tenant: &str) -> bool {
        self.provider.as_deref().is_none_or(|own| own == provider) && self.tenant.as_deref().is_none_or(|own| own == tenant)
    }

    /// The filter by these tenants, for a list of tenants.
    pub(crate) fn filter(self, search: Option<Box<str>>) -> TenantFilter {
        TenantFilter { provider: self.provider, tenant: self.tenant, search }
    }

    /// The filter by these tenants, for the store.
    pub(crate) fn owners(&self) -> Owners {
        match (self.provider.clone(), self.tenant.clone()) {
            (Some(provider), Some(tenant)) => Owners::Tenant(Owned { provider, tenant }),
            (Some(provider), None) => Owners::Provider(provider),
            (None, _) => Owners::All,
        }
    }

    /// The tenants that the list covers, in no order.
    pub(crate) async fn tenants(self, store: &Store) -> Result<Arc<[Owned]>, store::Error> {
        store.tenants_where(move |owned| self.holds(&owned.provider, &owned.tenant)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::request::settings::fixture::{dialect, provider};
    use crate::api::request::target::Target;
    use crate::domain::access::Scopes;
    use crate::domain::template::Numbers;

    fn whose(query: &str) -> Option<Whose> {
        let mut query = Query::read(Some(query), &["tenant"]);
        let whose = Whose::from_query(&mut query);
        query.finish().ok().map(|()| whose)
    }

    #[test]
    fn a_provider_sees_its_own_tenants_alone() {
        let caller = |rank, tenant: Option<&str>| {
            let provider = provider("acme", dialect("$data", Numbers::AsPublished));
            let target = tenant.map_or(Target::All, |tenant| Target::Tenant(tenant.into()));
            Caller { rank, provider, target, anywhere: false, key: None }
        };
        let seen = |query: &str, tenant| {
            let whose = whose(query).unwrap().within(&caller(Rank::Provider(Scopes::ALL), tenant)).ok()?;
            Some([("acme", "t1"), ("acme", "t2"), ("shop", "t1")].map(|(provider, tenant)| whose.holds(provider, tenant)))
        };
        assert_eq!([seen("", None), seen("tenant=acme/*", None)], [Some([true, true, false]); 2]);
        assert_eq!([seen("", Some("t1")), seen("tenant=acme/t1", None)], [Some([true, false, false]); 2]);
        assert_eq!(
            [seen("tenant=shop/*", None), seen("tenant=shop/t1", Some("t1")), seen("tenant=acme/t2", Some("t1"))],
            [None; 3]
        );
        let operator = whose("tenant=shop/*").unwrap().within(&caller(Rank::Operator, Some("t1")));
        assert!(operator.is_ok_and(|whose| whose.holds("shop", "t2")));
    }

    #[test]
    fn a_list_is_everyones_a_providers_or_one_tenants() {
        let holds = |query: &str| {
            let whose = whose(query).unwrap();
            [("acme", "t1"), ("acme", "t2"), ("shop", "t1")].map(|(provider, tenant)| whose.holds(provider, tenant))
        };
        assert_eq!(holds(""), [true, true, true]);
        assert_eq!(holds("tenant=acme/*"), [true, true, false]);
        assert_eq!(holds("tenant=acme/t2"), [false, true, false]);
        assert_eq!((whose("tenant=acme"), whose("tenant=*/t1")), (None, None));
    }
}
