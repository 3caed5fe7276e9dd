use http::HeaderValue;

use super::*;
use crate::api::request::settings::fixture::{settings, tenant};
use crate::domain::access::Terms;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::fixture::endpoint;

const ACME: &str = "a-key-of-the-tenant-t1";
const PROVIDER: &str = "a-key-of-the-provider";
const MANAGER: &str = "a-key-of-the-provider-with-manage";
const OPERATOR: &str = "a-key-of-the-operator";

fn key(text: &str, role: Role) -> Key {
    Key {
        id: text.into(),
        name: text.into(),
        role,
        hash: hash(text.as_bytes()),
        created_at: Timestamp::EPOCH,
        maker: Maker::NOT_KEPT,
        terms: Terms::default(),
    }
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

fn caller(entrance: Entrance, given: &[(&'static str, &str)]) -> Result<Caller, Problem> {
    let settings = settings(all_keys());
    Keys { settings: &settings, kept: |_: &KeyHash| None }.caller(entrance, &headers(given), || true)
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
        let caller = caller(Entrance::Tcp, &[given]).unwrap();
        assert_eq!(caller.tenant(), Some("t1"));
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
        let problem = caller(Entrance::Tcp, given).unwrap_err();
        assert!(matches!(problem, Problem::NoKey(why) if why == expected), "{given:?}");
    }
    let settings = settings(Vec::new());
    let keys = Keys { settings: &settings, kept: |_: &KeyHash| None };
    let problem = keys.caller(Entrance::Tcp, &headers(&[("x-api-key", "any")]), || false).unwrap_err();
    assert!(problem.detail().contains("hookwheel keys new"));
}

#[test]
fn a_kept_key_is_as_good_as_one_from_a_file() {
    let settings = settings(Vec::new());
    let kept = Arc::new(key("kept", tenant("acme", "t9", Scopes::ALL)));
    let find = |hash: &KeyHash| (*hash == kept.hash).then(|| kept.clone());
    let caller = Keys { settings: &settings, kept: find }.caller(Entrance::Tcp, &headers(&[("x-api-key", "kept")]), || true);
    assert_eq!(caller.unwrap().tenant(), Some("t9"));
}

#[test]
fn a_revoked_key_is_found_out_by_a_second_look() {
    let (before, after) = (settings(all_keys()), settings(Vec::new()));
    let none = |_: &KeyHash| None;
    let caller = Keys { settings: &before, kept: none }.caller(Entrance::Tcp, &headers(&[("x-api-key", ACME)]), || true).unwrap();
    assert_eq!(status(Keys { settings: &before, kept: none }.check_again(&caller)), 200);
    assert_eq!(status(Keys { settings: &after, kept: none }.check_again(&caller)), 401);
}

#[test]
fn a_key_that_lost_a_right_is_found_out_by_a_second_look() {
    let with = |role: Role| settings(vec![key(ACME, role)]);
    let none = |_: &KeyHash| None;
    let (before, scopes) = (with(tenant("acme", "t1", Scopes::ALL)), Scopes::parse(["read"]).unwrap());
    let shown = headers(&[("x-api-key", ACME)]);
    let caller = Keys { settings: &before, kept: none }.caller(Entrance::Tcp, &shown, || true).unwrap();
    for (role, expected) in
        [(tenant("acme", "t1", Scopes::ALL), 200), (tenant("acme", "t1", scopes), 401), (tenant("acme", "t2", Scopes::ALL), 401)]
    {
        let after = with(role.clone());
        assert_eq!(status(Keys { settings: &after, kept: none }.check_again(&caller)), expected, "{role:?}");
    }
}

#[test]
fn scopes_open_what_they_name() {
    let may = |scopes: &[&str], need| {
        let mut caller = caller(Entrance::Tcp, &[("x-api-key", ACME)]).unwrap();
        caller.rank = Rank::Tenant(Scopes::parse(scopes.iter().copied()).unwrap());
        caller.may(need, Entrance::Tcp).is_ok()
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
    let caller = caller(Entrance::Tcp, &[("x-api-key", PROVIDER)]).unwrap();
    assert_eq!(caller.target, Target::Unnamed);
    let needs = [Need::Publish, Need::Read, Need::Manage, Need::Operator];
    assert_eq!(needs.map(|need| status(caller.may(need, Entrance::Tcp))), [200, 403, 403, 403]);
}

#[test]
fn a_providers_scopes_open_its_tenants() {
    let may = |scopes: &[&str]| {
        let mut caller = caller(Entrance::Tcp, &[("x-api-key", MANAGER)]).unwrap();
        caller.rank = Rank::Provider(Scopes::parse(scopes.iter().copied()).unwrap());
        let needs = [Need::Publish, Need::Read, Need::ReadTenants, Need::Manage, Need::ManageTenants, Need::Catalogue];
        needs.map(|need| caller.may(need, Entrance::Tcp).is_ok())
    };
    assert_eq!(may(&["publish"]), [true, false, false, false, false, true]);
    assert_eq!(may(&["read"]), [false, true, true, false, false, false]);
    assert_eq!(may(&["manage"]), [false, true, true, true, true, true]);
    assert_eq!(may(&["publish", "manage"]), [true; 6]);
    let manager = caller(Entrance::Tcp, &[("x-api-key", MANAGER)]).unwrap();
    assert_eq!([Need::Operator, Need::AdminSocket].map(|need| status(manager.may(need, Entrance::Tcp))), [403, 403]);
    let tenant = caller(Entrance::Tcp, &[("x-api-key", ACME)]).unwrap();
    assert_eq!([Need::ReadTenants, Need::ManageTenants].map(|need| status(tenant.may(need, Entrance::Tcp))), [403, 403]);
}

#[test]
fn a_provider_that_manages_names_its_own_tenants_alone() {
    let named = |target| caller(Entrance::Tcp, &[("x-api-key", MANAGER), ("hookwheel-tenant", target)]);
    let tenant = |target| named(target).map(|caller| caller.target).map_err(|problem| problem.status().as_u16());
    assert_eq!(tenant("acme/t1"), Ok(Target::Tenant("t1".into())));
    assert_eq!(tenant("acme/*"), Ok(Target::All));
    assert_eq!([tenant("default/t1"), tenant("gone/t1"), tenant("t1")], [Err(403), Err(403), Err(400)]);
    assert_eq!(named("acme/t1").unwrap().owner(), Owner::Provider(MANAGER.into()));
    let of = |provider: &str, tenant: &str| Endpoint { provider: provider.into(), tenant: tenant.into(), ..endpoint(&["*"]) };
    let sees = |target| [of("acme", "t1"), of("acme", "t2"), of("default", "t1")].map(|one| named(target).unwrap().sees(&one));
    assert_eq!((sees("acme/t1"), sees("acme/*")), ([true, false, false], [true, true, false]));
}

#[test]
fn an_operator_may_everything_but_what_only_the_socket_shows() {
    let by_key = caller(Entrance::Tcp, &[("x-api-key", OPERATOR)]).unwrap();
    let at_socket = caller(Entrance::Admin, &[]).unwrap();
    for need in [Need::Publish, Need::Read, Need::Manage, Need::Operator] {
        assert_eq!(status(by_key.may(need, Entrance::Tcp)), 200);
    }
    assert_eq!(status(by_key.may(Need::AdminSocket, Entrance::Tcp)), 403);
    assert_eq!(status(at_socket.may(Need::AdminSocket, Entrance::Admin)), 200);
}

#[test]
fn an_operator_names_the_target() {
    let target = |value| caller(Entrance::Admin, &[("hookwheel-tenant", value)]);
    assert_eq!(target("acme/t1").unwrap().owned().unwrap(), Owned { provider: "acme".into(), tenant: "t1".into() });
    assert_eq!(status(target("acme/*").unwrap().owned().map(drop)), 422);
    assert_eq!(status(target("nobody/t1").map(drop)), 404);
    for unreadable in ["acme", "acme/", "/t1", "acme/a b", ""] {
        assert_eq!(status(target(unreadable).map(drop)), 400, "{unreadable}");
    }
    let unnamed = caller(Entrance::Admin, &[]).unwrap();
    assert_eq!(unnamed.owned().unwrap(), Owned { provider: "default".into(), tenant: "default".into() });
    assert!(unnamed.anywhere);
}

#[test]
fn a_key_names_no_target_but_its_own() {
    let named = |key, target| status(caller(Entrance::Tcp, &[("x-api-key", key), ("hookwheel-tenant", target)]).map(drop));
    assert_eq!(["acme/t1", "acme/t2", "acme/*", "other/t1", "t1"].map(|target| named(ACME, target)), [200, 403, 403, 403, 400]);
    assert_eq!(["acme/*", "acme/t1", "other/*", "t1"].map(|target| named(PROVIDER, target)), [200, 200, 403, 400]);
}

#[test]
fn dev_is_the_default_tenant() {
    let caller = caller(Entrance::Dev, &[("authorization", "Bearer whatever")]).unwrap();
    assert_eq!(caller.owned().unwrap(), Owned { provider: "default".into(), tenant: "default".into() });
    assert_eq!(caller.owner(), Owner::Operator);
}

#[test]
fn a_providers_key_is_one_party_whatever_tenant_it_names() {
    let manager = |target| caller(Entrance::Tcp, &[("x-api-key", MANAGER), ("hookwheel-tenant", target)]).unwrap();
    for target in ["acme/t1", "acme/nobody", "acme/*"] {
        assert_eq!(manager(target).party(), Some(("acme", None)), "{target}");
    }
    assert_eq!(caller(Entrance::Tcp, &[("x-api-key", ACME)]).unwrap().party(), Some(("acme", Some("t1"))));
    assert_eq!(caller(Entrance::Admin, &[]).unwrap().party(), None);
}
