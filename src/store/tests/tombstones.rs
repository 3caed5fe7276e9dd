//! What stays of webhooks that were deleted: for their log all that it shows, and nothing else.

mod ages;
mod deletion;

use ::redb::ReadableDatabase as _;

use super::*;
use crate::domain::id::EndpointNo;
use crate::domain::webhook::endpoint::Endpoint;

impl Lab {
    fn delete(&self, no: EndpointNo) {
        self.runtime.block_on(self.store.by_test().delete_webhook(no)).unwrap();
    }

    /// Makes webhooks and deletes each.
    fn come_and_go(&self, count: usize) {
        for first in (0..count).step_by(AT_ONCE) {
            let mut some = tokio::task::JoinSet::new();
            for number in first..first + AT_ONCE {
                some.spawn_on(come_and_go(self.store.clone(), format!("w{number}")), self.runtime.handle());
            }
            self.runtime.block_on(some.join_all());
        }
    }

    /// Waits until the rows of webhooks are so many.
    fn wait_for_rows(&self, count: usize) {
        let deadline = clock::steady() + Duration::from_secs(20);
        while rows(&self.store).len() != count {
            assert!(clock::steady() < deadline, "{} rows, not {count}", rows(&self.store).len());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

async fn come_and_go(store: Store, name: String) {
    let new = NewWebhook {
        owned: owned(),
        definition: definition(&name, "*"),
        owner: Owner::Operator,
        secret: Some(Secret::new("whsec_made")),
        limit: 0,
        file_keys: Vec::new(),
        restores: true,
    };
    let made = store.by_test().create_webhook(new).await.unwrap();
    store.by_test().delete_webhook(made.no).await.unwrap();
}

/// The webhooks that are on disk.
fn rows(store: &Store) -> Vec<Endpoint> {
    let table = schema::read(&store.reader.database.begin_read().unwrap(), schema::ENDPOINT).unwrap();
    let row = |row: Result<_, ::redb::StorageError>| {
        let (no, value): (::redb::AccessGuard<'_, u32>, ::redb::AccessGuard<'_, &[u8]>) = row.unwrap();
        record::read_endpoint(EndpointNo(no.value()), &store.shared.sealer, value.value()).unwrap()
    };
    table.range::<u32>(..).unwrap().map(row).collect()
}

#[test]
fn deleted_webhooks_leave_nothing_in_memory() {
    let lab = Lab::new();
    lab.come_and_go(300);
    lab.wait_for_rows(4);
    assert_eq!(lab.store.shared.registry().entries().count(), 4);
    assert_eq!(lab.store.health().webhooks, 4);
}

#[test]
fn the_log_of_a_deleted_webhook_shows_its_name_and_url() {
    let lab = Lab::new();
    let ledger = lab.create("books", "order.*");
    lab.publish("order.paid", "{}");
    lab.deliver();
    lab.publish("order.paid", "{}");
    let under_way = lab.ready();
    lab.delete(ledger);
    under_way.iter().for_each(|one| lab.finish(one, 200));
    let seen = |store: &Store| {
        let page = store.reader.deliveries(&Of::Tenant(owned()), &Filter::default(), None, 100).unwrap();
        let theirs = page.views.iter().filter(|view| view.delivery.key.endpoint == ledger);
        let shown = |view: &View| {
            let Definition { name, url, .. } = &view.endpoint.definition;
            (name.to_string(), url.to_string(), view.status, view.endpoint.is_deleted())
        };
        theirs.map(shown).collect::<Vec<_>>()
    };
    let one = ("books".to_owned(), "https://example.com/".to_owned(), Status::Succeeded, true);
    let expected = vec![one.clone(), one];
    let deadline = clock::steady() + Duration::from_secs(20);
    while seen(&lab.store) != expected {
        assert!(clock::steady() < deadline, "{:?}", seen(&lab.store));
        std::thread::sleep(Duration::from_millis(5));
    }
    let tombstone = rows(&lab.store).into_iter().find(|webhook| webhook.no == ledger).unwrap();
    assert!(tombstone.secrets.is_empty() && tombstone.definition.events.is_empty());
    let (store, _unstarted) = look(&lab.stopped().write()).unwrap();
    assert_eq!(seen(&store), expected, "after a restart");
    assert!(store.webhook_no(ledger).is_none());
}

#[test]
fn a_tombstone_goes_with_its_log() {
    let lab = Lab::new();
    let books = lab.create("books", "order.*");
    lab.publish("order.paid", "{}");
    lab.deliver();
    lab.delete(books);
    let folder = lab.stopped().write();
    // What has ended has no room.
    let lab = Lab::open(folder).unwrap();
    lab.wait_for_rows(5);
    lab.store.set_limits(Limits { max_bytes: 1, ..options(&path(lab.folder.path())).limits });
    let deadline = clock::steady() + Duration::from_secs(20);
    while !events(&lab.store).is_empty() {
        assert!(clock::steady() < deadline, "{} events", events(&lab.store).len());
        std::thread::sleep(Duration::from_millis(5));
    }
    let image = lab.stopped();
    let report = check(&path(image.write().path())).unwrap();
    assert!(report.is_clean(), "{report}");
    Lab::open(image.write()).unwrap().wait_for_rows(4);
}

#[test]
fn a_webhook_knows_whether_the_tail_may_name_it() {
    let lab = Lab::new();
    let listed = |store: &Store, name: &str| {
        let no = store.webhooks_named(&owned(), name)[0].no;
        store.shared.registry().entry(no).unwrap().live.is_listed()
    };
    assert!(!listed(&lab.store, "ledger"));
    lab.publish("order.paid", "{}");
    assert_eq!(["ledger", "till"].map(|name| listed(&lab.store, name)), [true, false]);
    let lab = Lab::open(lab.killed().write()).unwrap();
    assert_eq!(["ledger", "till"].map(|name| listed(&lab.store, name)), [true, false], "what was read from the disk");
    let all = lab.store.webhooks_named(&owned(), "all")[0].no;
    lab.delete(all);
    lab.wait_for(all, [0, 0, 1, 0]);
    assert!(rows(&lab.store).iter().any(|webhook| webhook.no == all), "the log names it");
}

/// Webhooks that are made and deleted at the same time.
const AT_ONCE: usize = 50;
