//! Finds out who makes a request and for which tenant, and decides which calls they may make.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::entrance::Entrance;
use super::route::Need;
use super::settings::{Provider, Settings};
use super::target::{TARGET, Target, named};
use crate::api::response::no_key::NoKey;
use crate::api::response::problem::Problem;
use crate::config::checked::DEFAULT_OWNER;
use crate::domain::access::{Key, KeyHash, Maker, Role, Scopes};
use crate::domain::id::is_name;
use crate::domain::resource::Resource;
use crate::domain::webhook::endpoint::{Endpoint, Owner};
use crate::store::{OPERATOR_PROVIDER, Owned, Owners};

/// Who made a request, and which tenant the request is about.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) rank: Rank,
    pub(crate) provider: Arc<Provider>,
    pub(crate) target: Target,
    /// Whether the caller sees the webhooks and deliveries of every tenant. True for an operator whose request names no tenant.
    pub(crate) anywhere: bool,
    /// The key that the request carried. `None` for requests at the admin socket and in `dev`, which need no key.
    pub(crate) key: Option<Arc<Key>>,
}

/// Whose key the caller has: the operator's, a provider's or a tenant's. The last two have scopes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    Operator,
    Provider(Scopes),
    Tenant(Scopes),
}

/// Looks keys up: first those of the config file, then those of the store.
pub(crate) struct Keys<'a, F> {
    pub(crate) settings: &'a Settings,
    /// Returns the store's key with the given hash.
    pub(crate) kept: F,
}

impl<F: Fn(&KeyHash) -> Option<Arc<Key>>> Keys<'_, F> {
    /// Returns who makes a request. `any` tells whether any key exists; it is called only when the request has no valid key.
    pub(crate) fn caller(&self, entrance: Entrance, headers: &HeaderMap, any: impl FnOnce() -> bool) -> Result<Caller, Problem> {
        match entrance {
            Entrance::Admin => self.operator(None, headers),
            Entrance::Dev => self.caller_of(Rank::Tenant(Scopes::ALL), DEFAULT_OWNER, Target::Tenant(DEFAULT_OWNER.into()), None),
            Entrance::Tcp => match shown(headers).map(|hash| self.find(&hash)) {
                Some(Some(key)) => self.caller_with(key, headers),
                _ if !any() => Err(Problem::NoKey(NoKey::NoneYet)),
                Some(None) => Err(Problem::NoKey(NoKey::Unknown)),
                None => Err(Problem::NoKey(NoKey::Missing)),
            },
        }
    }

    /// Returns on whose behalf a key acts that was shown before. Fails when it is not known, or not any more.
    pub(crate) fn caller_by(&self, hash: &KeyHash, headers: &HeaderMap) -> Result<Caller, Problem> {
        self.caller_with(self.find(hash).ok_or(Problem::NoKey(NoKey::Unknown))?, headers)
    }

    /// Fails when the caller's key was revoked after [`Keys::caller`] accepted it, or lost a right that it had then.
    pub(crate) fn check_again(&self, caller: &Caller) -> Result<(), Problem> {
        let stands = |key: &Arc<Key>| self.find(&key.hash).is_some_and(|found| found.role.covers(&key.role));
        if caller.key.as_ref().is_none_or(stands) { Ok(()) } else { Err(Problem::NoKey(NoKey::Revoked)) }
    }

    /// Finds a key by its hash. The hashes are compared once more in constant time, so that the time of an answer tells nothing
    /// about a valid hash.
    fn find(&self, hash: &KeyHash) -> Option<Arc<Key>> {
        let found = self.settings.key(hash).cloned().or_else(|| (self.kept)(hash))?;
        bool::from(found.hash.ct_eq(hash)).then_some(found)
    }

    fn caller_with(&self, key: Arc<Key>, headers: &HeaderMap) -> Result<Caller, Problem> {
        match &key.role {
            Role::Operator => self.operator(Some(key.clone()), headers),
            Role::Provider { provider, scopes } => {
                self.caller_of(Rank::Provider(*scopes), provider, own_tenants(headers, provider)?, Some(key.clone()))
            }
            Role::Tenant { provider, tenant, scopes } => {
                let target = itself(headers, provider, tenant)?;
                self.caller_of(Rank::Tenant(*scopes), provider, target, Some(key.clone()))
            }
        }
    }

    fn caller_of(&self, rank: Rank, provider: &str, target: Target, key: Option<Arc<Key>>) -> Result<Caller, Problem> {
        let provider = self.settings.provider(provider).ok_or(Problem::NoKey(NoKey::NoProvider))?.clone();
        Ok(Caller { rank, provider, target, anywhere: false, key })
    }

    fn operator(&self, key: Option<Arc<Key>>, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some((provider, target)) = named(headers)? else {
            let caller = self.caller_of(Rank::Operator, DEFAULT_OWNER, Target::Tenant(DEFAULT_OWNER.into()), key)?;
            return Ok(Caller { anywhere: true, ..caller });
        };
        let provider = self.settings.known_provider(provider)?.clone();
        Ok(Caller { rank: Rank::Operator, provider, target, anywhere: false, key })
    }
}

impl Caller {
    /// Finds the tenant whose uid the request names. Fails when what it names can be no tenant's id.
    pub(crate) fn resolve(&mut self) -> Result<(), Problem> {
        let Target::Tenant(named) = &self.target else { return Ok(()) };
        let id = self.provider.tenant_called(named);
        if !is_name(id) {
            return Err(Problem::Unknown { what: Resource::Tenant, name: named.clone(), near: None });
        }
        if *id != **named {
            self.target = Target::Tenant(id.into());
        }
        Ok(())
    }

    /// Fails with 403 when this caller may not make a call that needs `need`.
    pub(crate) fn may(&self, need: Need, entrance: Entrance) -> Result<(), Problem> {
        match (need, self.rank) {
            (Need::AdminSocket, _) if entrance != Entrance::Admin => Err(forbidden("this is answered at the admin socket alone")),
            (_, Rank::Operator) | (Need::Open, _) => Ok(()),
            (Need::Operator | Need::AdminSocket | Need::Metrics, _) => Err(forbidden("this needs an operator's key")),
            (Need::Catalogue, Rank::Tenant(_)) => {
                Err(forbidden("the catalogue is the provider's; this needs its key, or an operator's"))
            }
            (Need::ReadTenants | Need::ManageTenants, Rank::Tenant(_)) => {
                Err(forbidden("this is about all tenants; it needs an operator's key, or one of the provider with `manage`"))
            }
            (Need::ReadCatalogue, Rank::Provider(_)) => Ok(()),
            (Need::Catalogue, Rank::Provider(scopes)) => scope(scopes.publish || scopes.manage, "manage"),
            (Need::Publish, Rank::Provider(scopes) | Rank::Tenant(scopes)) => scope(scopes.publish, "publish"),
            (_, Rank::Provider(scopes)) if !scopes.may_read() => Err(forbidden(PROVIDERS_OWN)),
            (Need::Read | Need::ReadTenants | Need::ReadCatalogue, Rank::Provider(scopes) | Rank::Tenant(scopes)) => {
                scope(scopes.may_read(), "read")
            }
            (Need::Manage | Need::ManageTenants, Rank::Provider(scopes) | Rank::Tenant(scopes)) => scope(scopes.manage, "manage"),
        }
    }

    /// Whether the caller has a tenant's own key. Such a caller sees only the fields that the tenant's dialect shows.
    pub(crate) fn is_tenant(&self) -> bool {
        matches!(self.rank, Rank::Tenant(_))
    }

    /// The id of the tenant that the call is about. `None` when the call is about several tenants or names none.
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.target.tenant()
    }

    /// The tenant that the call is about, with its provider. Fails when the call does not name one tenant.
    pub(crate) fn owned(&self) -> Result<Owned, Problem> {
        let tenant = self.tenant().ok_or_else(|| {
            Problem::Wrong(format!("this call is about one tenant; send {TARGET}: {}/TENANT", self.provider.name))
        })?;
        Ok(Owned { provider: (&*self.provider.name).into(), tenant: tenant.into() })
    }

    /// Whether publishing an event creates its tenant when that does not exist yet. So it is for a tenant's own key, for the
    /// default tenant, and for every tenant of a provider with `create_tenants`.
    pub(crate) fn makes_tenant(&self) -> bool {
        let is_default = &*self.provider.name == DEFAULT_OWNER && self.tenant() == Some(DEFAULT_OWNER);
        self.provider.create_tenants || is_default || matches!(self.rank, Rank::Tenant(_))
    }

    /// Whether this caller can see a webhook. For the caller a webhook that it cannot see does not exist.
    pub(crate) fn sees(&self, endpoint: &Endpoint) -> bool {
        let own = *endpoint.provider == *self.provider.name && self.tenant().is_none_or(|tenant| *tenant == *endpoint.tenant);
        // The operator's own webhooks belong to a provider that no config names, so a target cannot name them.
        let operators = self.rank == Rank::Operator && *endpoint.provider == *OPERATOR_PROVIDER;
        self.anywhere || own || operators
    }

    /// Whose webhooks the caller may see, but for what [`Self::sees`] leaves out.
    pub(crate) fn owners(&self) -> Owners {
        if self.anywhere {
            return Owners::All;
        }
        let provider: Box<str> = (&*self.provider.name).into();
        match self.tenant() {
            Some(tenant) => Owners::Tenant(Owned { provider, tenant: tenant.into() }),
            None => Owners::Provider(provider),
        }
    }

    /// Whether this caller can see what belongs to a tenant and to none of its webhooks.
    pub(crate) fn sees_tenant(&self, owned: &Owned) -> bool {
        let own = *owned.provider == *self.provider.name && self.tenant().is_none_or(|tenant| *tenant == *owned.tenant);
        self.anywhere || own
    }

    /// The maker that is recorded with a key that this caller makes.
    pub(crate) fn maker(&self) -> Maker {
        let id = self.key.as_ref().map(|key| key.id.clone());
        match (self.rank, id) {
            (Rank::Provider(_) | Rank::Tenant(_), Some(id)) => Maker::Provider(id),
            (_, id) => Maker::Operator(id),
        }
    }

    /// The provider and tenant whose share of connections and memory the caller's requests use up. `None` for the operator. Of a
    /// provider's key it is the provider alone, since such a key may name any tenant, even one that does not exist.
    pub(crate) fn party(&self) -> Option<(&str, Option<&str>)> {
        match self.rank {
            Rank::Operator => None,
            Rank::Provider(_) => Some((&self.provider.name, None)),
            Rank::Tenant(_) => Some((&self.provider.name, self.tenant())),
        }
    }

    /// The owner that is recorded with a webhook that this caller makes. The bound on the webhooks of one key counts only webhooks
    /// that a tenant's own key made.
    pub(crate) fn owner(&self) -> Owner {
        match (&self.key, self.rank) {
            (Some(key), Rank::Tenant(_)) => Owner::Key(key.id.clone()),
            (Some(key), Rank::Provider(_)) => Owner::Provider(key.id.clone()),
            (_, Rank::Operator) | (None, _) => Owner::Operator,
        }
    }
}

/// Returns the SHA-256 of a key's text.
pub(crate) fn hash(key: &[u8]) -> KeyHash {
    Sha256::digest(key).into()
}

/// Returns the hash of the key that a request carries. `None` when it carries none.
pub(crate) fn shown(headers: &HeaderMap) -> Option<KeyHash> {
    given_key(headers).map(hash)
}

/// Returns the key in the header `Authorization: Bearer KEY` or, without that header, in `X-API-Key: KEY`.
fn given_key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| key.trim_ascii())
    });
    bearer.or_else(|| headers.get(API_KEY).map(|value| value.as_bytes().trim_ascii()))
}

/// Returns the target that a request with a provider's key names. Fails when that is another provider's. No scope is needed to
/// name a tenant, since an event that is published with the same key may name it too.
fn own_tenants(headers: &HeaderMap, provider: &str) -> Result<Target, Problem> {
    match named(headers)? {
        None => Ok(Target::Unnamed),
        Some((named, target)) if named == provider => Ok(target),
        Some(_) => Err(forbidden(format!("this key acts for the tenants of {provider} alone; name one of them in {TARGET}"))),
    }
}

/// Returns the tenant of a tenant's key. Fails when the request names another target, since a call that was meant for another
/// tenant must not change this one.
fn itself(headers: &HeaderMap, provider: &str, tenant: &str) -> Result<Target, Problem> {
    let own = Target::Tenant(tenant.into());
    if named(headers)?.is_none_or(|(named, target)| named == provider && target == own) {
        return Ok(own);
    }
    Err(forbidden(format!(
        "this key acts for {provider}/{tenant} alone; leave {TARGET} out, or use the key of the tenant that it names"
    )))
}

fn scope(has: bool, name: &str) -> Result<(), Problem> {
    if has { Ok(()) } else { Err(forbidden(format!("this key has no scope `{name}`"))) }
}

fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::Forbidden(detail.into())
}

const BEARER: &[u8] = b"Bearer ";
const API_KEY: &str = "x-api-key";

const PROVIDERS_OWN: &str = "a provider's key publishes events and keeps the catalogue; use a key of the tenant for this, or one of the \
     provider with the scope `manage`";
