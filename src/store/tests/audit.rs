//! The audit log: a row in the commit of each change, the chain of rows, what is removed, and that no secret is in it.

use super::*;
use crate::domain::access::Scopes;
use crate::domain::id::AuditKey;
use crate::domain::webhook::settings::Setting;
use crate::store::message::audit::Row;
use crate::store::message::command::Purge;
use crate::store::redb::medium::{Medium, Power, Surge};
use crate::store::rules::retention::audit_bytes_max;
use crate::store::stepped::Stepped;

fn rows(store: &Store) -> Vec<Row> {
    store.reader.audit(&AuditFilter::default(), None, 10_000).unwrap().rows
}

/// What was changed by which kind of object and with what, oldest first.
fn told(store: &Store) -> Vec<String> {
    let mut rows = rows(store);
    rows.reverse();
    let text = |text: Option<Box<str>>| text.map_or_else(|| "-".into(), String::from);
    let line = |row: Row| format!("{} {} {} {}", row.object.kind.name(), row.object.name, text(row.before), text(row.after));
    rows.into_iter().map(line).collect()
}

fn faults(folder: &TempDir) -> Vec<String> {
    check(&path(folder.path())).unwrap().faults
}

#[test]
fn every_change_that_somebody_asked_for_has_its_row() {
    let lab = Lab::new();
    lab.add_more();
    let by = || lab.store.by_test();
    let run = &lab.runtime;
    let no = lab.create("w", "w.*");
    run.block_on(by().update_webhook(no, |was| Definition { url: "https://b.example/".into(), ..was.clone() })).unwrap();
    run.block_on(by().rotate_secret(no, Secret::new("whsec_next"), Duration::from_secs(60))).unwrap();
    run.block_on(by().disable_webhook(no)).unwrap();
    run.block_on(by().disable_webhook(no)).unwrap();
    run.block_on(by().purge(no, Purge { held: true, until: None })).unwrap();
    run.block_on(by().delete_webhook(no)).unwrap();
    run.block_on(by().drop_event_type("shop", "order.paid")).unwrap();
    run.block_on(by().revoke_key("key_1")).unwrap();
    let whole = r#"{"name":"w","description":"","url":"https://example.com/","events":["w.*"],"status":"active"}"#;
    let last: Vec<String> = told(&lab.store).into_iter().skip_while(|line| !line.starts_with("webhook w ")).collect();
    assert_eq!(last[0], format!("webhook w - {whole}"));
    assert_eq!(last[1], r#"webhook w {"url":"https://example.com/"} {"url":"https://b.example/"}"#);
    assert!(last[2].starts_with(r#"webhook w {"secret":"***"} {"secret":"*** (replaced)","previous_secret_until":"2"#));
    assert_eq!(last[3], r#"webhook w {"status":"active"} {"status":"disabled","disabled_reason":"disabled by hand"}"#);
    assert_eq!(last[4], r#"webhook w - {"purge":"held"}"#, "and nothing for what was disabled already");
    assert!(last[5].starts_with(r#"webhook w {"name":"w","#) && last[5].ends_with(" -"));
    assert!(last[6].starts_with("event_type order.paid {") && last[6].ends_with(" -"));
    assert_eq!(last[7], r#"key k {"name":"k","of":"operator","description":""} -"#);
    assert_eq!(last.len(), 8);
}

#[test]
fn what_nobody_asked_for_has_no_row() {
    let lab = Lab::new();
    let before = rows(&lab.store).len();
    lab.publish_each(3);
    lab.deliver();
    lab.told();
    assert_eq!(rows(&lab.store).len(), before, "publishing and outcomes");
    for _ in 0..10 {
        lab.publish("order.paid", "1");
    }
    lab.ready().iter().for_each(|one| lab.finish(one, 410));
    lab.told();
    assert_eq!(rows(&lab.store).len(), before, "nor disabling by failures");
}

#[test]
fn a_config_file_that_changes_something_leaves_one_row() {
    let lab = Lab::new();
    let sync = |webhooks: Vec<FileWebhook>, changes: Option<FileChanges>| {
        let dialects = vec![("shop".into(), standard())];
        let file = DesiredState {
            dialects,
            tenants: vec![owned()],
            webhooks,
            file: "h.toml".into(),
            changes,
            ..DesiredState::default()
        };
        lab.runtime.block_on(lab.store.by_test().sync(file)).unwrap();
        told(&lab.store).into_iter().filter(|line| line.starts_with("config")).collect::<Vec<_>>()
    };
    let both = || [("ledger", "order.*"), ("till", "sale.*")].map(from_file).to_vec();
    let first = r#"config  - {"added":["tenant shop/acme","webhook shop/acme/ledger","webhook shop/acme/till"],"changed":[],"removed":[]}"#;
    assert_eq!(sync(both(), None), [first], "of the first start, and none where all is so already");
    let changed = sync([("ledger", "order.a")].map(from_file).to_vec(), None).pop();
    let wanted = r#"config  - {"added":[],"changed":["webhook shop/acme/ledger"],"removed":["webhook shop/acme/till"]}"#;
    assert_eq!(changed.as_deref(), Some(wanted));
    let reload = FileChanges { changed: vec!["setting delivery.in_flight".into()], ..FileChanges::default() };
    let told = sync([("ledger", "order.a")].map(from_file).to_vec(), Some(reload)).pop();
    assert_eq!(told.as_deref(), Some(r#"config  - {"added":[],"changed":["setting delivery.in_flight"],"removed":[]}"#));
}

#[test]
fn what_goes_or_comes_back_with_its_tenant_has_its_own_rows() {
    let lab = Lab::new();
    let left = || Owned { tenant: "left".into(), ..owned() };
    let sync = |tenants: Vec<Owned>, changes: Option<FileChanges>| {
        let dialects = vec![("shop".into(), standard())];
        let file = DesiredState { dialects, tenants, file: "h.toml".into(), changes, ..DesiredState::default() };
        lab.runtime.block_on(lab.store.by_test().sync(file)).unwrap();
    };
    sync(vec![owned(), left()], None);
    let role = Role::Tenant { provider: "shop".into(), tenant: "left".into(), scopes: Scopes::ALL };
    let key = Key { role, ..key("key_left") };
    lab.runtime.block_on(lab.store.by_test().add_key(NewKey { key, by: None, is_imported: false })).unwrap();
    lab.create_for(left(), "w", "*");
    let since = |count: usize| told(&lab.store).split_off(count);
    let count = told(&lab.store).len();
    let reload = FileChanges { removed: vec!["tenant shop/left".into()], ..FileChanges::default() };
    sync(vec![owned()], Some(reload));
    let gone = since(count);
    let summary = r#"config  - {"added":[],"changed":[],"removed":["tenant shop/left","key key_left"]}"#;
    assert_eq!((gone.len(), &*gone[0]), (3, summary));
    assert!(gone[1].starts_with(r#"key k {"name":"k","of":"shop/left""#) && gone[1].ends_with(" -"), "{gone:?}");
    assert!(gone[2].starts_with(r#"webhook w {"status":"active"} {"status":"removed""#), "{gone:?}");
    let count = told(&lab.store).len();
    let described = NewTenant { owned: left(), profile: Default::default(), restores: true };
    lab.runtime.block_on(lab.store.by_test().describe_tenant(described)).unwrap();
    let back = since(count);
    assert_eq!((back.len(), &*back[0]), (2, r#"tenant  {"status":"removed"} {"status":"active"}"#));
    assert!(back[1].starts_with(r#"webhook w {"status":"removed""#) && back[1].ends_with(r#" {"status":"active"}"#), "{back:?}");
    let count = told(&lab.store).len();
    lab.runtime.block_on(lab.store.by_test().delete_tenant(left())).unwrap();
    let deleted = since(count);
    assert_eq!((deleted.len(), &*deleted[0]), (2, r#"tenant  {"name":"","metadata":{},"webhooks":1,"keys":0} -"#));
    assert!(deleted[1].starts_with(r#"webhook w {"name":"w""#) && deleted[1].ends_with(" -"), "{deleted:?}");
}

#[test]
fn no_secret_reaches_the_audit_log_or_its_bytes() {
    let lab = Lab::new();
    let canary = |number: u8| format!("whsec_canary_{number}_canary");
    let headers = Setting::read("headers", r#"{"Authorization":"Bearer canary-of-a-header"}"#).unwrap();
    let settings = WebhookSettings::none().with(&[headers]);
    let definition = Definition { settings, ..definition("w", "*") };
    let new = NewWebhook { definition, secret: Some(Secret::new(canary(1))), ..lab.new_webhook(owned(), "w", "*") };
    let no = lab.runtime.block_on(lab.store.by_test().create_webhook(new)).unwrap().no;
    lab.runtime.block_on(lab.store.by_test().rotate_secret(no, Secret::new(canary(2)), Duration::from_secs(60))).unwrap();
    let hash = *b"canary-canary-canary-canary-hash";
    let key = Key { hash, ..key("key_9") };
    lab.runtime.block_on(lab.store.by_test().add_key(NewKey { key, by: None, is_imported: false })).unwrap();
    lab.runtime.block_on(lab.store.by_test().revoke_key("key_9")).unwrap();
    let file = FileWebhook { secret: Some(Secret::new(canary(3))), ..from_file(("signed", "*")) };
    let dialects = vec![("shop".into(), standard())];
    let file = DesiredState { dialects, tenants: vec![owned()], webhooks: vec![file], ..DesiredState::default() };
    lab.runtime.block_on(lab.store.by_test().sync(file)).unwrap();
    let mut bytes = Vec::new();
    for row in rows(&lab.store) {
        record::write_audit(&row, &mut bytes);
        let text = String::from_utf8_lossy(&bytes);
        assert!(!text.contains("canary"), "{text}");
        assert!(!text.contains(&hex::encode(hash)[..16]), "{text}");
    }
    for (name, bytes) in &lab.stopped().0 {
        let is_in = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
        assert!(!is_in(b"whsec_canary") && !is_in(b"canary-of-a-header"), "{name}");
    }
}

fn key(id: &str) -> Key {
    Key {
        id: id.into(),
        name: "k".into(),
        role: Role::Operator,
        hash: [5; 32],
        created_at: clock::now(),
        maker: Maker::NOT_KEPT,
        terms: Terms::default(),
    }
}

#[test]
fn a_check_names_the_first_row_that_was_tampered_with() {
    let lab = Lab::new();
    for number in 0..5 {
        lab.create(&format!("w{number}"), "*");
    }
    let (keys, node): (Vec<AuditKey>, _) = (rows(&lab.store).iter().map(|row| row.key).collect(), lab.store.node());
    let image = lab.stopped();
    assert_eq!(faults(&image.write()), [""; 0], "as it was written");
    let tampered = |change: &dyn Fn(&mut redb_table::Rows<'_>)| {
        let folder = image.write();
        redb_table::change(&path(folder.path()), change);
        faults(&folder).into_iter().filter(|fault| fault.contains("audit")).collect::<Vec<_>>()
    };
    let third = node.audit_id(keys[2]);
    let out = tampered(&|rows| rows.remove(keys[3]));
    assert_eq!(out.len(), 1);
    assert!(out[0].contains(&format!("broken at {third}")), "a row before it was taken out: {out:?}");
    let put = tampered(&|rows| rows.put(AuditKey(keys[3].0 + 1), |row| Row { at: Timestamp::EPOCH, ..row }));
    assert!(put[0].contains(&format!("broken at {}", node.audit_id(AuditKey(keys[3].0 + 1)))), "one was put in: {put:?}");
    let changed = tampered(&|rows| rows.rewrite(keys[3], |row| Row { before: Some("{}".into()), ..row }));
    assert!(changed[0].contains(&format!("broken at {third}")), "a row was changed, whose checksum fits: {changed:?}");
    let newest = tampered(&|rows| rows.remove(keys[0]));
    assert!(newest[0].contains("ends too early"), "{newest:?}");
    let all = tampered(&|rows| keys.iter().for_each(|key| rows.remove(*key)));
    assert!(all[0].contains("is empty, and should not be"), "{all:?}");
    let folder = image.write();
    redb_table::drop_rows(&path(folder.path()));
    let table = faults(&folder);
    assert!(table.iter().any(|fault| fault.contains("is empty, and should not be")), "its table is gone: {table:?}");
}

#[test]
fn rows_go_when_they_are_too_old_and_the_chain_goes_on() {
    let lab = Lab::new();
    for number in 0..3 {
        lab.create(&format!("w{number}"), "*");
    }
    let limits = options(&path(lab.folder.path())).limits;
    assert!(rows(&lab.store).len() > 3);
    let lab = limited(&lab.stopped(), |limits| Limits { audit_retention: Duration::from_millis(1), ..limits });
    wait_until("all rows are removed", || rows(&lab.store).is_empty());
    lab.store.set_limits(limits);
    lab.create("next", "*");
    assert_eq!(rows(&lab.store).len(), 1);
    assert_ne!(rows(&lab.store)[0].previous, [0; 32], "it follows from the last that was removed");
    assert_eq!(faults(&lab.stopped().write()), [""; 0]);
}

#[test]
fn a_flood_of_changes_takes_no_more_than_its_share_of_the_store() {
    let lab = Lab::new();
    let no = lab.create("w", "*");
    let limits = options(&path(lab.folder.path())).limits;
    let change = |number: usize| {
        let url = format!("https://example.com/{}{number}", "x".repeat(1_000));
        lab.runtime
            .block_on(lab.store.by_test().update_webhook(no, move |was| Definition { url: (&*url).into(), ..was.clone() }))
            .unwrap();
    };
    (0..40).for_each(change);
    let most = 16 * 20_000;
    let lab = limited(&lab.stopped(), |limits| Limits { max_bytes: most, ..limits });
    let bytes = || {
        let size = |row: &Row| {
            let mut bytes = Vec::new();
            record::write_audit(row, &mut bytes);
            bytes.len() as u64 + 8
        };
        rows(&lab.store).iter().map(size).sum::<u64>()
    };
    wait_until("the oldest rows are removed", || bytes() <= audit_bytes_max(most));
    assert!(bytes() > audit_bytes_max(most) / 2, "and not the newest");
    lab.store.set_limits(limits);
    lab.told();
    assert_eq!(faults(&lab.stopped().write()), [""; 0]);
}

#[test]
fn a_store_without_an_audit_log_gets_one() {
    let folder = Lab::new().stopped().write();
    redb_table::drop_all(&path(folder.path()));
    assert_eq!(faults(&folder), [""; 0], "of a release before");
    let lab = Lab::open(folder).unwrap();
    lab.create("w", "*");
    assert_eq!((rows(&lab.store).len(), rows(&lab.store)[0].previous), (1, [0; 32]));
    assert_eq!(faults(&lab.stopped().write()), [""; 0]);
}

/// Opens a store with other limits.
fn limited(image: &Image, change: impl Fn(Limits) -> Limits) -> Lab {
    let folder = image.write();
    let usual = options(&path(folder.path()));
    let options = Options { limits: change(usual.limits), ..usual };
    Lab::open_as(folder, &options, |_| {}).unwrap()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = clock::steady() + Duration::from_secs(20);
    while !is_so() {
        assert!(clock::steady() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Makes a webhook in a store whose power fails after so many writes and syncs. Whether that was answered before.
fn made(folder: &TempDir, steps: u64, surge: Surge) -> bool {
    let power = Arc::new(Power::default());
    let machine = Machine { medium: Medium::powered_by(power.clone()), ..Machine::default() };
    let options = Options { machine, ..options(&path(folder.path())) };
    let was_made = {
        let mut stepped = Stepped::open(&options, 7).unwrap();
        let runtime = Runtime::new().unwrap();
        let store = stepped.store.clone();
        let new = NewWebhook {
            owned: owned(),
            definition: definition("cut", "*"),
            owner: Owner::Operator,
            secret: None,
            limit: 0,
            file_keys: Vec::new(),
            restores: true,
        };
        let asked = runtime.spawn(async move { store.by_test().create_webhook(new).await.is_ok() });
        wait_until("it waits for the writer", || stepped.is_asked());
        power.fail_after(steps);
        stepped.turn().is_ok() && runtime.block_on(asked).unwrap()
    };
    let mut draws = 0;
    power
        .restore(surge, |below| {
            draws += 1;
            draws % below
        })
        .unwrap();
    was_made
}

#[test]
fn a_power_cut_leaves_both_a_change_and_its_row_or_neither() {
    let image = Lab::new().stopped();
    for surge in [Surge::Keeps, Surge::Loses, Surge::Tears] {
        let (mut steps, mut were_there) = (0, 0);
        loop {
            let folder = image.write();
            let was_answered = made(&folder, steps, surge);
            let (store, unstarted) = look(&folder).unwrap();
            let is_there = store.webhooks_named(&owned(), "cut").len() == 1;
            let has_row = rows(&store).iter().any(|row| &*row.object.name == "cut");
            assert_eq!(is_there, has_row, "{surge:?} after {steps} steps");
            assert!(is_there || !was_answered, "{surge:?} after {steps} steps");
            were_there += usize::from(is_there);
            drop((store, unstarted));
            assert_eq!(faults(&folder), [""; 0], "{surge:?} after {steps} steps");
            if was_answered {
                break;
            }
            steps += 1;
        }
        assert!(steps > 3 && were_there > 0, "{steps} steps");
    }
}

/// The rows of the audit log, as somebody with another program changes them.
mod redb_table {
    use ::redb::{Database, ReadableTable, Table};

    use super::*;
    use crate::store::redb::counted::recount;
    use crate::store::redb::schema::{AUDIT, AUDITED, SECOND, STATE};

    pub(super) struct Rows<'a>(Table<'a, u64, &'static [u8]>);

    pub(super) fn change(path: &Path, change: &dyn Fn(&mut Rows<'_>)) {
        let database = Database::open(path).unwrap();
        let txn = database.begin_write().unwrap();
        change(&mut Rows(txn.open_table(AUDIT).unwrap()));
        txn.commit().unwrap();
    }

    /// Takes the table away, and leaves what is said of its rows.
    pub(super) fn drop_rows(path: &Path) {
        let database = Database::open(path).unwrap();
        let txn = database.begin_write().unwrap();
        txn.delete_table(AUDIT).unwrap();
        txn.commit().unwrap();
        recount(&database).unwrap();
    }

    /// Makes a store of a release that had no audit log.
    pub(super) fn drop_all(path: &Path) {
        let database = Database::open(path).unwrap();
        let txn = database.begin_write().unwrap();
        txn.delete_table(AUDIT).unwrap();
        {
            let mut state = txn.open_table(STATE).unwrap();
            for row in [AUDITED, AUDITED + SECOND] {
                assert!(state.remove(row).unwrap().is_some());
            }
        }
        txn.commit().unwrap();
        recount(&database).unwrap();
    }

    impl Rows<'_> {
        pub(super) fn remove(&mut self, key: AuditKey) {
            assert!(self.0.remove(key.0).unwrap().is_some());
        }

        pub(super) fn rewrite(&mut self, key: AuditKey, change: impl Fn(Row) -> Row) {
            let row = record::read_audit(key, self.0.get(key.0).unwrap().unwrap().value()).unwrap();
            self.write(&Row { key, ..change(row) });
        }

        /// Puts a row under a new key, made of the row before it.
        pub(super) fn put(&mut self, key: AuditKey, change: impl Fn(Row) -> Row) {
            let (before, row) = {
                let mut rows = self.0.range(..key.0).unwrap();
                let (before, row) = rows.next_back().unwrap().unwrap();
                (AuditKey(before.value()), row.value().to_vec())
            };
            let row = record::read_audit(before, &row).unwrap();
            self.write(&Row { key, ..change(row) });
        }

        fn write(&mut self, row: &Row) {
            let mut bytes = Vec::new();
            record::write_audit(row, &mut bytes);
            self.0.insert(row.key.0, &*bytes).unwrap();
        }
    }
}
