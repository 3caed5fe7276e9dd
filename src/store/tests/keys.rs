//! Keys of the config file: what came with one that left the file is not taken, though it waited already.

use super::*;
use crate::domain::access::KeyHash;
use crate::store::rules::keys::KEYS_MAX;

#[test]
fn what_came_with_a_key_that_left_the_file_is_not_taken() {
    let lab = Lab::new();
    let key = Key {
        id: "key_file_ci".into(),
        name: "ci".into(),
        role: Role::Operator,
        hash: [7; 32],
        created_at: clock::now(),
        maker: Maker::NOT_KEPT,
        terms: Terms::default(),
    };
    let publish = || {
        let publication =
            Publication::of_type_and_data("shop".into(), "acme".into(), standard(), "order.paid", "1".to_owned().into());
        let publication = Publication { by: Some(Arc::new(key.clone())), ..publication };
        lab.runtime.block_on(lab.store.accept_one(publication)).map(drop)
    };
    for (keys, taken) in [(vec![[7; 32], [8; 32]], true), (vec![[8; 32]], false), (vec![[7; 32]], true)] {
        sync(&lab, keys);
        assert_eq!(publish().is_ok(), taken);
    }
    sync(&lab, vec![]);
    assert!(matches!(publish(), Err(Refusal::KeyRevoked)));
}

#[test]
fn a_key_that_left_the_file_makes_no_other() {
    let lab = Lab::new();
    let make = |number, by| lab.add(key_by_provider(number, "acme"), Some(by));
    sync(&lab, vec![[7; 32], [8; 32]]);
    assert_eq!(make(1, [7; 32]), Ok(()));
    sync(&lab, vec![[8; 32]]);
    assert_eq!(make(2, [7; 32]), Err(Denied::KeyRevoked));
    assert_eq!(make(3, [8; 32]), Ok(()));
    lab.runtime.block_on(lab.store.by_test().revoke_key("key_1")).unwrap();
    assert_eq!(make(4, hash(1)), Err(Denied::KeyRevoked), "also one that was made here");
}

#[test]
fn the_keys_of_a_provider_make_so_many_and_an_operator_any_number() {
    let lab = Lab::new();
    let held = |number| Arc::new(key_by_provider(number, "acme"));
    (0..KEYS_MAX).for_each(|number| lab.store.shared.registry_mut().put_key(held(number), None));
    let refused = lab.add(key_by_provider(KEYS_MAX, "acme"), None).unwrap_err();
    assert_eq!(refused, Denied::TooManyKeys(10_000));
    let by_operator = Key { maker: Maker::NOT_KEPT, ..key_by_provider(KEYS_MAX + 1, "acme") };
    assert_eq!(lab.add(by_operator, None), Ok(()));
    lab.runtime.block_on(lab.store.by_test().revoke_key("key_5")).unwrap();
    assert_eq!(lab.add(key_by_provider(KEYS_MAX, "acme"), None), Ok(()), "one was revoked");
    assert!(lab.add(key_by_provider(KEYS_MAX + 2, "acme"), None).is_err());
}

#[test]
fn a_providers_key_does_not_bring_back_a_tenant_that_left_the_file() {
    let lab = Lab::new();
    sync_tenants(&lab, vec![owned(), tenant("gone")]);
    sync_tenants(&lab, vec![owned()]);
    let gone = || Denied::TenantRemoved("gone".into());
    assert_eq!(lab.add(key_by_provider(1, "gone"), None), Err(gone()));
    let webhook = |restores| NewWebhook { restores, ..lab.new_webhook(tenant("gone"), "w", "*") };
    assert_eq!(lab.runtime.block_on(lab.store.by_test().create_webhook(webhook(false))).unwrap_err(), gone());
    assert_eq!(lab.add(Key { maker: Maker::NOT_KEPT, ..key_by_provider(2, "gone") }, None), Ok(()));
    assert_eq!(lab.add(key_by_provider(1, "gone"), None), Ok(()), "the operator brought it back");
    assert!(lab.runtime.block_on(lab.store.by_test().create_webhook(webhook(false))).is_ok());
}

#[test]
fn who_made_a_key_outlives_a_restart() {
    let lab = Lab::new();
    lab.add(key_by_provider(1, "acme"), None).unwrap();
    let folder = lab.stopped().write();
    let (again, _unstarted) = look(&folder).unwrap();
    assert_eq!(again.keys()[0].maker, Maker::Provider("key_app".into()));
    assert_eq!(again.shared.registry().keys_made("shop"), 1);
}

#[test]
fn when_a_key_was_used_outlives_a_restart() {
    let lab = Lab::new();
    let key = key_by_provider(1, "acme");
    lab.add(key.clone(), None).unwrap();
    assert_eq!(lab.store.key_used(&key.hash), None);
    assert!(lab.store.key(&key.hash).is_some());
    let used = lab.store.key_used(&key.hash).expect("just now");
    lab.store.keep_key_uses();
    lab.add(key_by_provider(2, "acme"), None).unwrap();
    let folder = lab.stopped().write();
    let (again, _unstarted) = look(&folder).unwrap();
    assert_eq!(again.key_used(&key.hash), Some(used));
}

#[test]
fn a_key_whose_time_is_over_is_none() {
    let lab = Lab::new();
    let terms = Terms { expires_at: Some(clock::now()), ..Terms::default() };
    let key = Key { terms, ..key_by_provider(1, "acme") };
    lab.add(key.clone(), None).unwrap();
    assert!(lab.store.key(&key.hash).is_none() && lab.store.key_used(&key.hash).is_none());
    assert_eq!(lab.store.keys().len(), 1, "it is listed until it is revoked");
}

impl Lab {
    fn add(&self, key: Key, by: Option<KeyHash>) -> Result<(), Denied> {
        self.runtime.block_on(self.store.by_test().add_key(NewKey { key, by, is_imported: false }))
    }
}

fn key_by_provider(number: usize, tenant: &str) -> Key {
    let scopes = crate::domain::access::Scopes::ALL;
    let role = Role::Tenant { provider: "shop".into(), tenant: tenant.into(), scopes };
    let id = format!("key_{number}").into();
    let maker = Maker::Provider("key_app".into());
    Key { id, name: "".into(), role, hash: hash(number), created_at: clock::now(), maker, terms: Terms::default() }
}

fn hash(number: usize) -> KeyHash {
    let mut hash = [9; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    hash
}

fn tenant(name: &str) -> Owned {
    Owned { provider: "shop".into(), tenant: name.into() }
}

fn sync(lab: &Lab, keys: Vec<KeyHash>) {
    sync_all(lab, keys, vec![owned()]);
}

fn sync_tenants(lab: &Lab, tenants: Vec<Owned>) {
    sync_all(lab, Vec::new(), tenants);
}

fn sync_all(lab: &Lab, keys: Vec<KeyHash>, tenants: Vec<Owned>) {
    let dialects = vec![("shop".into(), standard())];
    let webhooks = [("ledger", "order.*"), ("till", "sale.*")].map(from_file).to_vec();
    let file = DesiredState { dialects, tenants, keys: keys.into_iter().collect(), webhooks, ..DesiredState::default() };
    lab.runtime.block_on(lab.store.by_test().sync(file)).unwrap();
}
