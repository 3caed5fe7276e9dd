//! Whose things an operator's list shows: everyone's, those of a provider's tenants, or one tenant's.

use super::access::target_parts;
use super::ask::Ask;
use super::form::Query;
use super::problem::Problem;
use crate::store::{OPERATOR_PROVIDER, Owned};

/// `?tenant=PROVIDER/TENANT`, `?tenant=PROVIDER/*`, or without it everyone's.
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

    /// Those of all its tenants.
    pub(crate) fn of_provider(provider: Box<str>) -> Self {
        Self { provider: Some(provider), tenant: None }
    }

    /// A provider that nobody knows is told, rather than an empty list.
    pub(crate) fn check(self, ask: &Ask<'_>) -> Result<Self, Problem> {
        let known = |name: &str| ask.settings.provider(name).is_some() || name == OPERATOR_PROVIDER;
        if self.provider.as_deref().is_none_or(known) { Ok(self) } else { Err(Problem::NotFound("provider")) }
    }

    pub(crate) fn holds(&self, provider: &str, tenant: &str) -> bool {
        self.provider.as_deref().is_none_or(|own| own == provider) && self.tenant.as_deref().is_none_or(|own| own == tenant)
    }

    pub(crate) fn tenants(&self, ask: &Ask<'_>) -> Vec<Owned> {
        ask.api.store.tenants_where(|owned| self.holds(&owned.provider, &owned.tenant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whose(query: &str) -> Option<Whose> {
        let mut query = Query::read(Some(query), &["tenant"]);
        let whose = Whose::from_query(&mut query);
        query.finish().ok().map(|()| whose)
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
