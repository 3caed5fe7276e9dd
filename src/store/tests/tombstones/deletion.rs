//! Deletions of tenants: what goes at once, what goes afterwards, and that nothing of anybody else goes.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use ::redb::{ReadableDatabase, ReadableTable, TableHandle};

use crate::domain::access::Scopes;
use crate::store::redb::schema::{TENANT, every_table};
use crate::store::stepped::Stepped;
use crate::store::tests::*;

fn gone() -> Owned {
    Owned { provider: "shop".into(), tenant: "gone".into() }
}

fn key(id: &str, byte: u8) -> NewKey {
    let role = Role::Tenant { provider: "shop".into(), tenant: "gone".into(), scopes: Scopes::ALL };
    let (maker, terms) = (Maker::NOT_KEPT, Terms::default());
    let key = Key { id: id.into(), name: "k".into(), role, hash: [byte; 32], created_at: clock::now(), maker, terms };
    NewKey { key, by: None, is_imported: false }
}

/// A store in which `gone` has webhooks, a key, a connection, events of its own and of all tenants, some delivered, some failed, some
/// that wait, and some that are held.
fn filled() -> Lab {
    let lab = Lab::new();
    let run = &lab.runtime;
    lab.create_for(gone(), "a", "order.*");
    let held = lab.create_for(gone(), "held", "*");
    run.block_on(lab.store.by_test().disable_webhook(held)).unwrap();
    run.block_on(lab.store.by_test().add_key(key("key_gone", 9))).unwrap();
    run.block_on(lab.store.open_connection(NewConnection { owned: gone(), id: "c1".into(), link: None })).unwrap();
    for number in 0..20 {
        let publication = publication(Some("gone"), "order.paid");
        let id = Some(format!("gone-{number}").into());
        let publication = Publication { id, idempotency_key: Some(format!("k{number}").into()), ..publication };
        run.block_on(lab.store.accept_one(publication)).unwrap();
    }
    lab.publish_each(3);
    run.block_on(lab.store.accept_one(publication(None, "order.all"))).unwrap();
    for (count, one) in lab.ready().iter().enumerate() {
        if count % 3 < 2 {
            lab.finish(one, if count % 3 == 0 { 200 } else { 500 });
        }
    }
    lab.told();
    lab
}

fn publication(tenant: Option<&str>, kind: &str) -> Publication {
    let publication = Publication::of_type_and_data("shop".into(), "gone".into(), standard(), kind, "1".to_owned().into());
    Publication { tenant: tenant.map(Into::into), ..publication }
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = clock::steady() + Duration::from_secs(20);
    while !is_so() {
        assert!(clock::steady() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn is_there(store: &Store) -> bool {
    store.reader.tenant(&gone()).unwrap().is_some()
}

/// Whether any tenant is being deleted, as the table has it.
fn is_deleting(store: &Store) -> bool {
    let txn = store.reader.database.begin_read().unwrap();
    let table = schema::read(&txn, TENANT).unwrap();
    let read = |(no, row): (::redb::AccessGuard<'_, u32>, ::redb::AccessGuard<'_, &[u8]>)| {
        record::read_tenant(crate::domain::id::TenantNo(no.value()), row.value()).unwrap()
    };
    table.iter().unwrap().any(|row| read(row.unwrap()).deletion.is_some())
}

/// In which tables the text stands.
fn tables_with(folder: &TempDir, text: &str) -> Vec<&'static str> {
    let database = ::redb::Database::open(path(folder.path())).unwrap();
    let txn = database.begin_read().unwrap();
    let mut found = Vec::new();
    macro_rules! look {
        ($definition:expr) => {
            for row in txn.open_table($definition).unwrap().iter().unwrap() {
                let (key, value) = row.unwrap();
                let printed = format!("{:?} {:?}", key.value(), value.value());
                // Bytes are printed as numbers.
                let bytes: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
                if printed.contains(&bytes.join(", ")) {
                    found.push($definition.name());
                }
            }
        };
    }
    every_table!(look);
    found.dedup();
    found
}

#[test]
fn a_deleted_tenant_leaves_nothing_and_takes_nothing_of_others() {
    let lab = filled();
    let others = (events(&lab.store), deliveries(&lab.store));
    let deleted = lab.runtime.block_on(lab.store.by_test().delete_tenant(gone())).unwrap();
    assert!(deleted.deletion.is_some());
    assert!(lab.store.webhooks(&gone(), Default::default(), 10).is_empty() && lab.store.key(&[9; 32]).is_none(), "at once");
    wait_until("the tenant is gone", || !is_there(&lab.store) && !lab.store.has_tenant("shop", "gone"));
    lab.told();
    assert_eq!((events(&lab.store), deliveries(&lab.store)), others);
    let folder = lab.stopped().write();
    let report = check(&path(folder.path())).unwrap();
    assert!(report.is_clean(), "{report}");
    assert_eq!(tables_with(&folder, "gone"), ["audit"], "what was done stays on record");
}

#[test]
fn nothing_is_taken_for_a_tenant_while_it_is_being_deleted() {
    // The writer stands still after the commit that deletes the tenant.
    let (stands, stood) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let folder = filled().stopped().write();
    let (wait, seen) = (stands.clone(), stood.clone());
    let lab = Lab::open_watched(folder, move |_| {
        while wait.load(Relaxed) {
            seen.store(true, Relaxed);
            std::thread::sleep(Duration::from_millis(1));
        }
    })
    .unwrap();
    stands.store(true, Relaxed);
    let (store, new) = (lab.store.clone(), lab.new_webhook(gone(), "new", "*"));
    let deleting = lab.runtime.spawn(async move { store.by_test().delete_tenant(gone()).await });
    wait_until("the deletion is on disk", || stood.load(Relaxed));
    // All of these wait for the batch behind it.
    let store = lab.store.clone();
    let all = lab.runtime.spawn(async move {
        let described = NewTenant { owned: gone(), profile: Default::default(), restores: true };
        let publication = |id: &str| Publication { id: Some(id.into()), ..publication(Some("gone"), "a") };
        let strict = Publication { makes_tenant: false, ..publication("x") };
        tokio::join!(
            store.accept_one(publication("y")),
            store.accept_one(strict),
            async { store.by_test().create_webhook(new).await.map(drop) },
            async { store.by_test().add_key(key("key_new", 8)).await },
            async { store.by_test().describe_tenant(described).await.map(drop) },
            async { store.by_test().delete_tenant(gone()).await.map(|tenant| tenant.deletion.is_some()) },
        )
    });
    std::thread::sleep(Duration::from_millis(20));
    stands.store(false, Relaxed);
    let (made, strict, webhook, key, described, again) = lab.runtime.block_on(all).unwrap();
    let denied = || Err(Denied::TenantDeleting("gone".into()));
    assert_eq!([made, strict].map(|taken| taken.map(drop)), [(); 2].map(|()| Err(Refusal::NoTenant("gone".into()))));
    assert_eq!((webhook, key, described), (denied(), denied(), denied()));
    assert_eq!(again, Ok(true), "to delete it again says how far that is");
    assert!(lab.runtime.block_on(deleting).unwrap().is_ok());
    wait_until("the tenant is gone", || !lab.store.has_tenant("shop", "gone"));
    lab.create_for(gone(), "again", "*");
    assert_eq!(
        lab.runtime.block_on(lab.store.by_test().delete_tenant(Owned { tenant: "nobody".into(), ..gone() })),
        Err(Denied::NoTenant)
    );
    assert_eq!(lab.runtime.block_on(lab.store.by_test().delete_tenant(owned())), Err(Denied::TenantInFile));
}

#[test]
fn a_deletion_goes_on_after_a_crash_at_any_commit() {
    let image = filled().stopped();
    let mut crashes = 0;
    loop {
        let folder = image.write();
        let copies = Arc::new(Mutex::new(None));
        {
            let mut stepped = Stepped::open(&options(&path(folder.path())), 3).unwrap();
            let runtime = Runtime::new().unwrap();
            let store = stepped.store.clone();
            drop(runtime.spawn(async move { store.by_test().delete_tenant(gone()).await }));
            wait_until("it waits for the writer", || stepped.is_asked());
            for _ in 0..=crashes {
                stepped.turn().unwrap();
            }
            let is_done = !stepped.store.has_tenant("shop", "gone");
            *copies.lock().unwrap() = Some((Image::of(folder.path()), is_done));
        }
        let (killed, is_done) = copies.lock().unwrap().take().unwrap();
        let lab = Lab::open(killed.write()).unwrap();
        assert!(lab.store.webhooks(&gone(), Default::default(), 10).is_empty(), "after {crashes} commits");
        wait_until("the tenant is gone", || !lab.store.has_tenant("shop", "gone"));
        let folder = lab.stopped().write();
        let report = check(&path(folder.path())).unwrap();
        assert!(report.is_clean(), "after {crashes} commits: {report}");
        assert_eq!(tables_with(&folder, "gone"), ["audit"], "after {crashes} commits");
        if is_done {
            break;
        }
        crashes += 1;
    }
    assert!(crashes > 4, "a deletion has more commits than {crashes}");
}

#[test]
fn the_config_file_may_list_a_tenant_that_is_being_deleted() {
    let lab = filled();
    let folder = {
        lab.runtime.block_on(lab.store.by_test().delete_tenant(gone())).unwrap();
        lab.killed().write()
    };
    drop(lab);
    let lab = Lab::open(folder).unwrap();
    let webhooks = vec![FileWebhook { owned: gone(), ..from_file(("new", "*")) }];
    let dialects = vec![("shop".into(), standard())];
    let file = DesiredState { dialects, tenants: vec![owned(), gone()], webhooks, ..DesiredState::default() };
    lab.runtime.block_on(lab.store.by_test().sync(file)).unwrap();
    lab.publish_to(&gone(), "order.new");
    wait_until("the old one is gone", || !is_deleting(&lab.store));
    let keys = lab.store.reader.event_keys(&gone(), EventKey::MIN, usize::MAX).unwrap();
    assert_eq!(keys.len(), 2, "its own, and the one for all tenants");
    assert_eq!(lab.store.webhooks(&gone(), Default::default(), 10).len(), 1);
    let report = check(&path(lab.stopped().write().path())).unwrap();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn a_tenant_that_is_listed_again_gets_no_answer_of_the_erased() {
    let folder = filled().stopped().write();
    let again = || {
        let publication = publication(Some("gone"), "order.paid");
        Publication { id: Some("gone-3".into()), idempotency_key: Some("k3".into()), ..publication }
    };
    let by_key = || Publication { idempotency_key: Some("k4".into()), ..publication(Some("gone"), "order.paid") };
    let (taken, killed) = {
        let mut stepped = Stepped::open(&options(&path(folder.path())), 3).unwrap();
        let runtime = Runtime::new().unwrap();
        let store = stepped.store.clone();
        drop(runtime.spawn(async move { store.by_test().delete_tenant(gone()).await }));
        wait_until("the deletion waits for the writer", || stepped.is_asked());
        stepped.turn().unwrap();
        let store = stepped.store.clone();
        let webhooks = vec![FileWebhook { owned: gone(), ..from_file(("new", "*")) }];
        let dialects = vec![("shop".into(), standard())];
        let file = DesiredState { dialects, tenants: vec![owned(), gone()], webhooks, ..DesiredState::default() };
        drop(runtime.spawn(async move { store.by_test().sync(file).await.map(drop) }));
        wait_until("the file waits for the writer", || stepped.is_asked());
        stepped.turn().unwrap();
        let store = stepped.store.clone();
        let taken = runtime.spawn(async move {
            let by_id = store.accept_one(again()).await.unwrap();
            (by_id, store.accept_one(by_key()).await.unwrap())
        });
        while !taken.is_finished() {
            if stepped.is_asked() {
                stepped.turn().unwrap();
            }
        }
        (runtime.block_on(taken).unwrap(), Image::of(folder.path()))
    };
    assert!(!taken.0.repeated && !taken.1.repeated, "they are new: {taken:?}");
    assert_eq!((taken.0.deliveries, taken.1.deliveries), (1, 1), "and are delivered");
    let lab = Lab::open(killed.write()).unwrap();
    wait_until("the old tenant is erased", || !is_deleting(&lab.store));
    for (publication, first) in [(again(), &taken.0), (by_key(), &taken.1)] {
        let repeated = lab.runtime.block_on(lab.store.accept_one(publication)).unwrap();
        assert_eq!((repeated.repeated, &repeated.id, repeated.deliveries), (true, &first.id, 1));
    }
    let old = Publication { idempotency_key: Some("k5".into()), ..publication(Some("gone"), "order.paid") };
    assert!(!lab.runtime.block_on(lab.store.accept_one(old)).unwrap().repeated, "the old keys are erased");
    let report = check(&path(lab.stopped().write().path())).unwrap();
    assert!(report.is_clean(), "{report}");
}

#[test]
fn what_waits_for_a_deleted_tenant_ends_without_jobs() {
    let folder = filled().stopped().write();
    let killed = {
        let mut stepped = Stepped::open(&options(&path(folder.path())), 3).unwrap();
        while stepped.is_at_work() {
            stepped.turn().unwrap();
        }
        let runtime = Runtime::new().unwrap();
        let store = stepped.store.clone();
        drop(runtime.spawn(async move { store.by_test().delete_tenant(gone()).await }));
        wait_until("it waits for the writer", || stepped.is_asked());
        stepped.turn().unwrap();
        assert!(!stepped.is_at_work(), "no job walks all that is due");
        Image::of(folder.path())
    };
    let folder = killed.write();
    let mut stepped = Stepped::open(&options(&path(folder.path())), 3).unwrap();
    assert!(!stepped.is_at_work(), "nor after a start");
    while stepped.store.has_tenant("shop", "gone") {
        stepped.turn().unwrap();
    }
    stepped.close().unwrap();
    let report = check(&path(folder.path())).unwrap();
    assert!(report.is_clean(), "{report}");
}
