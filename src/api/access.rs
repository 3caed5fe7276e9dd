//! Who asks, for whom, and whether they may.

use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::door::Door;
use super::problem::Problem;
use super::route::Need;
use super::settings::{Provider, Settings};
use crate::config::checked::DEFAULT_OWNER;
use crate::domain::access::{Key, KeyHash, Role, Scopes};
use crate::domain::endpoint::{Endpoint, Owner};
use crate::domain::id::is_name;
use crate::store::{OPERATOR_PROVIDER, Owned};

/// Whoever made a request, and the tenant it is about.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) rank: Rank,
    pub(crate) provider: Arc<Provider>,
    /// `None`: a provider's key that names no tenant, or an operator's `PROVIDER/*`.
    pub(crate) tenant: Option<Box<str>>,
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

/// Why a request has no caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum NoKey {
    /// There is no key that could be right.
    NoneYet,
    Missing,
    Unknown,
    /// Since it was last seen, or since the service started.
    Revoked,
    /// A key whose provider was taken out of the config is as good as revoked.
    NoProvider,
}

impl NoKey {
    /// Whether a key was shown that opens nothing.
    pub(crate) fn is_wrong(self) -> bool {
        !matches!(self, Self::NoneYet | Self::Missing)
    }

    /// For the caller, who is told no more of a key than that it opens nothing.
    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::NoneYet => NO_KEYS_YET,
            Self::Missing => KEY_MISSING,
            Self::Unknown | Self::Revoked | Self::NoProvider => UNKNOWN_KEY,
        }
    }
}

/// Where keys are looked up: in the files' first, then in the store.
pub(crate) struct Keys<'a, F> {
    pub(crate) settings: &'a Settings,
    /// The store's key of a hash.
    pub(crate) kept: F,
}

impl<F: Fn(&KeyHash) -> Option<Arc<Key>>> Keys<'_, F> {
    /// Finds out who asks. `any`: whether there is any key at all, asked only when the one given is unknown.
    pub(crate) fn caller(&self, door: Door, headers: &HeaderMap, any: impl FnOnce() -> bool) -> Result<Caller, Problem> {
        match door {
            Door::Admin => self.operator(None, headers),
            Door::Dev => self.caller_of(Rank::Tenant(Scopes::ALL), DEFAULT_OWNER, Some(DEFAULT_OWNER), None),
            Door::Tcp => match shown(headers).map(|hash| self.find(&hash)) {
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
                let tenant = own_tenant(headers, provider, *scopes)?;
                self.caller_of(Rank::Provider(*scopes), provider, tenant, Some(key.clone()))
            }
            Role::Tenant { provider, tenant, scopes } => {
                names_itself(headers, provider, Some(tenant))?;
                self.caller_of(Rank::Tenant(*scopes), provider, Some(tenant), Some(key.clone()))
            }
        }
    }

    fn caller_of(&self, rank: Rank, provider: &str, tenant: Option<&str>, key: Option<Arc<Key>>) -> Result<Caller, Problem> {
        let provider = self.settings.provider(provider).ok_or(Problem::NoKey(NoKey::NoProvider))?.clone();
        Ok(Caller { rank, provider, tenant: tenant.map(Into::into), anywhere: false, key })
    }

    fn operator(&self, key: Option<Arc<Key>>, headers: &HeaderMap) -> Result<Caller, Problem> {
        let Some(target) = headers.get(TARGET) else {
            let caller = self.caller_of(Rank::Operator, DEFAULT_OWNER, Some(DEFAULT_OWNER), key)?;
            return Ok(Caller { anywhere: true, ..caller });
        };
        let (provider, tenant) = target.to_str().ok().and_then(target_parts).ok_or_else(unreadable_target)?;
        let provider = self.settings.provider(provider).ok_or(Problem::NotFound("provider"))?.clone();
        Ok(Caller { rank: Rank::Operator, provider, tenant: tenant.map(Into::into), anywhere: false, key })
    }
}

impl Caller {
    /// Whether this caller may make a call that needs `need`.
    pub(crate) fn may(&self, need: Need, door: Door) -> Result<(), Problem> {
        match (need, self.rank) {
            (Need::AdminSocket, _) if door != Door::Admin => Err(forbidden("this is answered at the admin socket alone")),
            (_, Rank::Operator) | (Need::Open, _) => Ok(()),
            (Need::Operator | Need::AdminSocket, _) => Err(forbidden("this needs an operator's key")),
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

    /// The one tenant that the call is about.
    pub(crate) fn owned(&self) -> Result<Owned, Problem> {
        let tenant = self.tenant.clone().ok_or_else(|| {
            Problem::Wrong(format!("this call is about one tenant; send {TARGET}: {}/TENANT", self.provider.name))
        })?;
        Ok(Owned { provider: (&*self.provider.name).into(), tenant })
    }

    /// Whether an event of this caller makes the tenant that it is for: with a key of its own a tenant is there, and the default one
    /// always is.
    pub(crate) fn makes_tenant(&self) -> bool {
        let own = self.tenant.as_deref();
        let is_default = &*self.provider.name == DEFAULT_OWNER && own == Some(DEFAULT_OWNER);
        self.provider.create_tenants || is_default || matches!(self.rank, Rank::Tenant(_))
    }

    /// Whether a webhook is within this caller's sight: all others do not exist.
    pub(crate) fn sees(&self, endpoint: &Endpoint) -> bool {
        let own =
            *endpoint.provider == *self.provider.name && self.tenant.as_ref().is_none_or(|tenant| *tenant == endpoint.tenant);
        // No target names the operator's own webhook: its provider is none of the config's.
        let operators = self.rank == Rank::Operator && *endpoint.provider == *OPERATOR_PROVIDER;
        self.anywhere || own || operators
    }

    /// Whom a webhook that this caller makes belongs to: who stands above the tenants does not use up what a key of theirs may make.
    pub(crate) fn owner(&self) -> Owner {
        match (&self.key, self.rank) {
            (Some(key), Rank::Tenant(_)) => Owner::Key(key.id.clone()),
            _ => Owner::Operator,
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

/// `PROVIDER/TENANT`, or `PROVIDER/*` for all of them.
pub(crate) fn target_parts(target: &str) -> Option<(&str, Option<&str>)> {
    let (provider, tenant) = target.trim().split_once('/')?;
    let tenant = (tenant != "*").then_some(tenant);
    (is_name(provider) && tenant.is_none_or(is_name)).then_some((provider, tenant))
}

/// The tenant that a provider's key names; with no scope for tenants it names none.
fn own_tenant<'h>(headers: &'h HeaderMap, provider: &str, scopes: Scopes) -> Result<Option<&'h str>, Problem> {
    if !scopes.may_read() {
        return names_itself(headers, provider, None).map(|()| None);
    }
    let Some(target) = headers.get(TARGET) else { return Ok(None) };
    let (named, tenant) = target.to_str().ok().and_then(target_parts).ok_or_else(unreadable_target)?;
    if named == provider {
        return Ok(tenant);
    }
    Err(forbidden(format!("this key acts for the tenants of {provider} alone; name one of them in {TARGET}")))
}

/// Refuses a target that is not the key's own: a call that was meant for another tenant must not change this one.
fn names_itself(headers: &HeaderMap, provider: &str, tenant: Option<&str>) -> Result<(), Problem> {
    let Some(target) = headers.get(TARGET) else { return Ok(()) };
    let named = target.to_str().ok().and_then(target_parts).ok_or_else(unreadable_target)?;
    if named == (provider, tenant) {
        return Ok(());
    }
    let own = tenant.unwrap_or("*");
    Err(forbidden(format!("this key acts for {provider}/{own} alone; leave {TARGET} out, or use the key of the tenant it names")))
}

fn scope(has: bool, name: &str) -> Result<(), Problem> {
    if has { Ok(()) } else { Err(forbidden(format!("this key has no scope `{name}`"))) }
}

fn forbidden(detail: impl Into<String>) -> Problem {
    Problem::Forbidden(detail.into())
}

fn unreadable_target() -> Problem {
    Problem::Malformed(format!("{TARGET} is not PROVIDER/TENANT or PROVIDER/*"))
}

const BEARER: &[u8] = b"Bearer ";
const API_KEY: &str = "x-api-key";

/// Names an operator's target.
pub(crate) const TARGET: &str = "Hookwheel-Tenant";

const PROVIDERS_OWN: &str = "a provider's key publishes events and keeps the catalogue; use a key of the tenant for this, or one of the \
     provider with the scope `manage`";
const KEY_MISSING: &str =
    "no key was given; send Authorization: Bearer KEY or X-API-Key: KEY, with a key that `hookwheel keys new my-app` made";
const UNKNOWN_KEY: &str = "this key is unknown or was revoked; `hookwheel keys new my-app` makes another";
const NO_KEYS_YET: &str =
    "there is no key yet; make one on the machine with `hookwheel keys new my-app`, or name one in the config file";

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::settings::fixture::{settings, tenant};
    use super::*;
    use crate::domain::endpoint::fixture::endpoint;
    use crate::domain::time::Timestamp;

    const ACME: &str = "a-key-of-the-tenant-t1";
    const PROVIDER: &str = "a-key-of-the-provider";
    const MANAGER: &str = "a-key-of-the-provider-with-manage";
    const OPERATOR: &str = "a-key-of-the-operator";

    fn key(text: &str, role: Role) -> Key {
        Key { id: text.into(), name: text.into(), role, hash: hash(text.as_bytes()), created_at: Timestamp::EPOCH }
    }

    fn all_keys() -> Vec<Key> {
        let read = Scopes::parse(["read"]).unwrap();
        vec![
            key(ACME, tenant("acme", "t1", read)),
            key(PROVIDER, Role::Provider { provider: "acme".into(), scopes: Scopes::PUBLISH }),
            key(MANAGER, Role::Provider { provider: "acme".into(), scopes: Scopes::parse(["manage"]).unwrap() }),
            key(OPERATOR, Role::Operator),
            key("of-a-provider-that-is-gone", Role::Provider { provider: "gone".into(), scopes: Scopes::ALL }),
        ]
    }

    fn headers(given: &[(&'static str, &str)]) -> HeaderMap {
        given.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn caller(door: Door, given: &[(&'static str, &str)]) -> Result<Caller, Problem> {
        let settings = settings(all_keys());
        Keys { settings: &settings, kept: |_: &KeyHash| None }.caller(door, &headers(given), || true)
    }

    fn status(result: Result<(), Problem>) -> u16 {
        result.map_or_else(|problem| problem.status().as_u16(), |()| 200)
    }

    #[test]
    fn a_key_is_taken_from_either_header() {
        for given in [
            ("authorization", "Bearer a-key-of-the-tenant-t1"),
            ("authorization", "bearer  a-key-of-the-tenant-t1 "),
            ("x-api-key", ACME),
        ] {
            let caller = caller(Door::Tcp, &[given]).unwrap();
            assert_eq!(caller.tenant.as_deref(), Some("t1"));
            assert_eq!(&*caller.provider.name, "acme");
        }
    }

    #[test]
    fn no_key_an_unknown_one_and_no_keys_at_all_are_told_apart() {
        for (given, expected) in [
            (&[][..], NoKey::Missing),
            (&[("x-api-key", "wrong")], NoKey::Unknown),
            (&[("authorization", "Basic YTpi")], NoKey::Missing),
            (&[("x-api-key", "of-a-provider-that-is-gone")], NoKey::NoProvider),
        ] {
            let problem = caller(Door::Tcp, given).unwrap_err();
            assert!(matches!(problem, Problem::NoKey(why) if why == expected), "{given:?}");
        }
        let settings = settings(Vec::new());
        let keys = Keys { settings: &settings, kept: |_: &KeyHash| None };
        let problem = keys.caller(Door::Tcp, &headers(&[("x-api-key", "any")]), || false).unwrap_err();
        assert!(problem.detail().contains("hookwheel keys new"));
    }

    #[test]
    fn a_kept_key_is_as_good_as_one_from_a_file() {
        let settings = settings(Vec::new());
        let kept = Arc::new(key("kept", tenant("acme", "t9", Scopes::ALL)));
        let find = |hash: &KeyHash| (*hash == kept.hash).then(|| kept.clone());
        let caller = Keys { settings: &settings, kept: find }.caller(Door::Tcp, &headers(&[("x-api-key", "kept")]), || true);
        assert_eq!(caller.unwrap().tenant.as_deref(), Some("t9"));
    }

    #[test]
    fn a_revoked_key_is_found_out_by_a_second_look() {
        let (before, after) = (settings(all_keys()), settings(Vec::new()));
        let none = |_: &KeyHash| None;
        let caller = Keys { settings: &before, kept: none }.caller(Door::Tcp, &headers(&[("x-api-key", ACME)]), || true).unwrap();
        assert_eq!(status(Keys { settings: &before, kept: none }.check_again(&caller)), 200);
        assert_eq!(status(Keys { settings: &after, kept: none }.check_again(&caller)), 401);
    }

    #[test]
    fn scopes_open_what_they_name() {
        let may = |scopes: &[&str], need| {
            let mut caller = caller(Door::Tcp, &[("x-api-key", ACME)]).unwrap();
            caller.rank = Rank::Tenant(Scopes::parse(scopes.iter().copied()).unwrap());
            caller.may(need, Door::Tcp).is_ok()
        };
        let needs = [Need::Publish, Need::Read, Need::Manage, Need::Operator, Need::AdminSocket];
        for (scopes, expected) in [
            (&["publish"][..], [true, false, false, false, false]),
            (&["read"], [false, true, false, false, false]),
            (&["manage"], [false, true, true, false, false]),
            (&["publish", "read", "manage"], [true, true, true, false, false]),
        ] {
            assert_eq!(needs.map(|need| may(scopes, need)), expected, "{scopes:?}");
        }
    }

    #[test]
    fn a_providers_key_publishes_and_nothing_else() {
        let caller = caller(Door::Tcp, &[("x-api-key", PROVIDER)]).unwrap();
        assert_eq!(caller.tenant, None);
        let needs = [Need::Publish, Need::Read, Need::Manage, Need::Operator];
        assert_eq!(needs.map(|need| status(caller.may(need, Door::Tcp))), [200, 403, 403, 403]);
    }

    #[test]
    fn a_providers_scopes_open_its_tenants() {
        let may = |scopes: &[&str]| {
            let mut caller = caller(Door::Tcp, &[("x-api-key", MANAGER)]).unwrap();
            caller.rank = Rank::Provider(Scopes::parse(scopes.iter().copied()).unwrap());
            let needs = [Need::Publish, Need::Read, Need::ReadTenants, Need::Manage, Need::ManageTenants, Need::Catalogue];
            needs.map(|need| caller.may(need, Door::Tcp).is_ok())
        };
        assert_eq!(may(&["publish"]), [true, false, false, false, false, true]);
        assert_eq!(may(&["read"]), [false, true, true, false, false, false]);
        assert_eq!(may(&["manage"]), [false, true, true, true, true, true]);
        assert_eq!(may(&["publish", "manage"]), [true; 6]);
        let manager = caller(Door::Tcp, &[("x-api-key", MANAGER)]).unwrap();
        assert_eq!([Need::Operator, Need::AdminSocket].map(|need| status(manager.may(need, Door::Tcp))), [403, 403]);
        let tenant = caller(Door::Tcp, &[("x-api-key", ACME)]).unwrap();
        assert_eq!([Need::ReadTenants, Need::ManageTenants].map(|need| status(tenant.may(need, Door::Tcp))), [403, 403]);
    }

    #[test]
    fn a_provider_that_manages_names_its_own_tenants_alone() {
        let named = |target| caller(Door::Tcp, &[("x-api-key", MANAGER), ("hookwheel-tenant", target)]);
        let tenant =
            |target| named(target).map(|caller| caller.tenant.map(String::from)).map_err(|problem| problem.status().as_u16());
        assert_eq!(tenant("acme/t1"), Ok(Some("t1".into())));
        assert_eq!(tenant("acme/*"), Ok(None));
        assert_eq!([tenant("default/t1"), tenant("gone/t1"), tenant("t1")], [Err(403), Err(403), Err(400)]);
        assert_eq!(named("acme/t1").unwrap().owner(), Owner::Operator);
        let of = |provider: &str, tenant: &str| Endpoint { provider: provider.into(), tenant: tenant.into(), ..endpoint(&["*"]) };
        let sees =
            |target| [of("acme", "t1"), of("acme", "t2"), of("default", "t1")].map(|one| named(target).unwrap().sees(&one));
        assert_eq!((sees("acme/t1"), sees("acme/*")), ([true, false, false], [true, true, false]));
    }

    #[test]
    fn an_operator_may_everything_but_what_only_the_socket_shows() {
        let by_key = caller(Door::Tcp, &[("x-api-key", OPERATOR)]).unwrap();
        let at_socket = caller(Door::Admin, &[]).unwrap();
        for need in [Need::Publish, Need::Read, Need::Manage, Need::Operator] {
            assert_eq!(status(by_key.may(need, Door::Tcp)), 200);
        }
        assert_eq!(status(by_key.may(Need::AdminSocket, Door::Tcp)), 403);
        assert_eq!(status(at_socket.may(Need::AdminSocket, Door::Admin)), 200);
    }

    #[test]
    fn an_operator_names_the_target() {
        let target = |value| caller(Door::Admin, &[("hookwheel-tenant", value)]);
        assert_eq!(target("acme/t1").unwrap().owned().unwrap(), Owned { provider: "acme".into(), tenant: "t1".into() });
        assert_eq!(status(target("acme/*").unwrap().owned().map(drop)), 422);
        assert_eq!(status(target("nobody/t1").map(drop)), 404);
        for unreadable in ["acme", "acme/", "/t1", "acme/a.b", ""] {
            assert_eq!(status(target(unreadable).map(drop)), 400, "{unreadable}");
        }
        let unnamed = caller(Door::Admin, &[]).unwrap();
        assert_eq!(unnamed.owned().unwrap(), Owned { provider: "default".into(), tenant: "default".into() });
        assert!(unnamed.anywhere);
    }

    #[test]
    fn a_key_names_no_target_but_its_own() {
        let named = |key, target| status(caller(Door::Tcp, &[("x-api-key", key), ("hookwheel-tenant", target)]).map(drop));
        assert_eq!(
            ["acme/t1", "acme/t2", "acme/*", "other/t1", "t1"].map(|target| named(ACME, target)),
            [200, 403, 403, 403, 400]
        );
        assert_eq!(["acme/*", "acme/t1", "other/*"].map(|target| named(PROVIDER, target)), [200, 403, 403]);
    }

    #[test]
    fn dev_is_the_default_tenant() {
        let caller = caller(Door::Dev, &[("authorization", "Bearer whatever")]).unwrap();
        assert_eq!(caller.owned().unwrap(), Owned { provider: "default".into(), tenant: "default".into() });
        assert_eq!(caller.owner(), Owner::Operator);
    }
}
