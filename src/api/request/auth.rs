//! Who asks, for whom, and whether they may.

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
use crate::domain::webhook::endpoint::{Endpoint, Owner};
use crate::store::{OPERATOR_PROVIDER, Owned};

/// Whoever made a request, and the tenant it is about.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) rank: Rank,
    pub(crate) provider: Arc<Provider>,
    pub(crate) target: Target,
    /// An operator who names no target finds every id.
    pub(crate) anywhere: bool,
    /// `None` at the admin socket and in dev.
    pub(crate) key: Option<Arc<Key>>,
}

/// What kind of caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rank {
    Operator,
    Provider(Scopes),
    Tenant(Scopes),
}

/// Where keys are looked up: in the files' first, then in the store.
pub(crate) struct Keys<'a, F> {
    pub(crate) settings: &'a Settings,
    /// The store's key of a hash.
    pub(crate) kept: F,
}

impl<F: Fn(&KeyHash) -> Option<Arc<Key>>> Keys<'_, F> {
    /// Finds out who asks. `any`: whether there is any key at all, asked only when the one given is unknown.
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

    /// Refuses a caller whose key was revoked meanwhile.
    pub(crate) fn check_again(&self, caller: &Caller) -> Result<(), Problem> {
        let known = caller.key.as_ref().is_none_or(|key| self.find(&key.hash).is_some());
        if known { Ok(()) } else { Err(Problem::NoKey(NoKey::Revoked)) }
    }

    /// The table finds the key; the comparison that lets it pass takes the same time wherever two hashes differ.
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
    /// Whether this caller may make a call that needs `need`.
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

    /// Whether it acts with a tenant's own key, and so sees of each thing what the tenant's dialect shows.
    pub(crate) fn is_tenant(&self) -> bool {
        matches!(self.rank, Rank::Tenant(_))
    }

    /// The id of the one tenant that the call is about, if it is about one.
    pub(crate) fn tenant(&self) -> Option<&str> {
        self.target.tenant()
    }

    /// The one tenant that the call is about.
    pub(crate) fn owned(&self) -> Result<Owned, Problem> {
        let tenant = self.tenant().ok_or_else(|| {
            Problem::Wrong(format!("this call is about one tenant; send {TARGET}: {}/TENANT", self.provider.name))
        })?;
        Ok(Owned { provider: (&*self.provider.name).into(), tenant: tenant.into() })
    }

    /// Whether an event of this caller makes the tenant that it is for: with a key of its own a tenant is there, and the default one
    /// always is.
    pub(crate) fn makes_tenant(&self) -> bool {
        let is_default = &*self.provider.name == DEFAULT_OWNER && self.tenant() == Some(DEFAULT_OWNER);
        self.provider.create_tenants || is_default || matches!(self.rank, Rank::Tenant(_))
    }

    /// Whether a webhook is within this caller's sight: all others do not exist.
    pub(crate) fn sees(&self, endpoint: &Endpoint) -> bool {
        let own = *endpoint.provider == *self.provider.name && self.tenant().is_none_or(|tenant| *tenant == *endpoint.tenant);
        // No target names the operator's own webhook: its provider is none of the config's.
        let operators = self.rank == Rank::Operator && *endpoint.provider == *OPERATOR_PROVIDER;
        self.anywhere || own || operators
    }

    /// Who made the keys that this caller makes.
    pub(crate) fn maker(&self) -> Maker {
        let id = self.key.as_ref().map(|key| key.id.clone());
        match (self.rank, id) {
            (Rank::Provider(_) | Rank::Tenant(_), Some(id)) => Maker::Provider(id),
            (_, id) => Maker::Operator(id),
        }
    }

    /// Whom its connections, bodies and answers count for; `None`: the operator. A provider's key may name any tenant, also one that
    /// is not there, so what it names makes it nobody else.
    pub(crate) fn party(&self) -> Option<(&str, Option<&str>)> {
        match self.rank {
            Rank::Operator => None,
            Rank::Provider(_) => Some((&self.provider.name, None)),
            Rank::Tenant(_) => Some((&self.provider.name, self.tenant())),
        }
    }

    /// Whom a webhook that this caller makes belongs to: who stands above the tenants does not use up what a key of theirs may make.
    pub(crate) fn owner(&self) -> Owner {
        match (&self.key, self.rank) {
            (Some(key), Rank::Tenant(_)) => Owner::Key(key.id.clone()),
            (Some(key), Rank::Provider(_)) => Owner::Provider(key.id.clone()),
            (_, Rank::Operator) | (None, _) => Owner::Operator,
        }
    }
}

/// The SHA-256 by which a key is known.
pub(crate) fn hash(key: &[u8]) -> KeyHash {
    Sha256::digest(key).into()
}

/// By what the key of a request is known, if it has one.
pub(crate) fn shown(headers: &HeaderMap) -> Option<KeyHash> {
    given_key(headers).map(hash)
}

/// `Authorization: Bearer KEY`, else `X-API-Key: KEY`.
fn given_key(headers: &HeaderMap) -> Option<&[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(|value| {
        let (scheme, key) = value.as_bytes().split_at_checked(BEARER.len())?;
        scheme.eq_ignore_ascii_case(BEARER).then(|| key.trim_ascii())
    });
    bearer.or_else(|| headers.get(API_KEY).map(|value| value.as_bytes().trim_ascii()))
}

/// The tenants that a provider's key names: its own alone. Naming them takes no scope, since an event of this key may do it too.
fn own_tenants(headers: &HeaderMap, provider: &str) -> Result<Target, Problem> {
    match named(headers)? {
        None => Ok(Target::Unnamed),
        Some((named, target)) if named == provider => Ok(target),
        Some(_) => Err(forbidden(format!("this key acts for the tenants of {provider} alone; name one of them in {TARGET}"))),
    }
}

/// The tenant of a key. A target that is not this tenant is refused: a call that was meant for another one must not change it.
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
