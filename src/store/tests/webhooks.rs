//! Webhooks as lists show them: which of them fail, how their newest attempts ended, and how a list goes on.

mod filters;
mod uids;

use super::*;
use crate::domain::delivery::outcome::Class;
use crate::domain::id::EndpointNo;
use crate::store::Recover;

/// The names of those that a filter leaves, read in pages of two.
fn names(store: &Store, filter: WebhookFilter) -> Vec<String> {
    let (mut found, mut after) = (Vec::new(), EndpointNo(0));
    loop {
        let page = store.reader.webhooks_where(&filter, after, 2).unwrap();
        assert!(page.views.len() <= 2);
        found.extend(page.views.iter().map(|view| view.endpoint.definition.name.to_string()));
        let Some(next) = page.next else { return found };
        assert!(next > after, "each page goes on");
        after = next;
    }
}

fn all() -> WebhookFilter {
    WebhookFilter { of: Owners::All, name: None, uid: None, failing: None, metadata: Vec::new() }
}

fn failing(store: &Store) -> Vec<String> {
    names(store, WebhookFilter { failing: Some(true), ..all() })
}

/// How the newest attempt of a webhook of this name ended.
fn last(store: &Store, name: &str) -> Option<(Option<u16>, Option<Class>)> {
    let page = store.reader.webhooks_where(&WebhookFilter { name: Some(name.into()), ..all() }, EndpointNo(0), 1).unwrap();
    page.views[0].last.map(|last| (last.code, last.error))
}

impl Lab {
    /// Publishes an order, and ends what is ready of it.
    fn attempt(&self, status: u16) {
        self.publish("order.paid", "{}");
        self.ready().iter().for_each(|one| self.finish(one, status));
        self.told();
    }
}

#[test]
fn a_webhook_fails_from_a_failed_attempt_to_the_next_success() {
    let lab = Lab::new();
    assert_eq!((failing(&lab.store), last(&lab.store, "ledger")), (vec![], None));
    lab.attempt(500);
    assert_eq!(failing(&lab.store), ["ledger", "all"]);
    assert_eq!(last(&lab.store, "ledger"), Some((Some(500), Some(Class::Status))));
    let others = names(&lab.store, WebhookFilter { failing: Some(false), ..all() });
    assert_eq!(others, ["till", "vault"]);
    lab.attempt(200);
    assert_eq!((failing(&lab.store), last(&lab.store, "ledger")), (vec![], Some((Some(200), None))));
}

#[test]
fn a_restarted_store_still_knows_which_webhooks_fail() {
    let lab = Lab::new();
    lab.attempt(503);
    let (store, _unstarted) = look(&lab.stopped().write()).unwrap();
    for _ in 0..2 {
        assert_eq!(failing(&store), ["ledger", "all"], "the second time from memory");
    }
    assert_eq!((last(&store, "ledger"), last(&store, "till")), (Some((Some(503), Some(Class::Status))), None));
}

#[test]
fn a_webhook_that_its_endpoint_disabled_fails() {
    let lab = Lab::new();
    lab.attempt(410);
    assert_eq!(failing(&lab.store), ["ledger", "all"]);
    let found = lab.store.reader.webhooks_where(&all(), EndpointNo(0), 10).unwrap();
    assert!(found.views[0].endpoint.was_disabled_by_failures());
}

#[test]
fn a_list_of_webhooks_goes_on_over_all_tenants_in_order() {
    let lab = Lab::new();
    let mut some = tokio::task::JoinSet::new();
    for number in 0..300 {
        let owned = Owned { provider: "shop".into(), tenant: format!("t{}", number % 7).into() };
        let (store, new) = (lab.store.clone(), lab.new_webhook(owned, &format!("w{number}"), "*"));
        some.spawn_on(async move { store.by_test().create_webhook(new).await.unwrap() }, lab.runtime.handle());
    }
    lab.runtime.block_on(some.join_all());
    assert_eq!(names(&lab.store, all()).len(), 304);
    assert_eq!(names(&lab.store, WebhookFilter { of: Owners::Provider("shop".into()), ..all() }).len(), 304);
    let of_one = WebhookFilter { of: Owners::Tenant(Owned { provider: "shop".into(), tenant: "t3".into() }), ..all() };
    assert_eq!(names(&lab.store, of_one).len(), 43);
    assert_eq!(names(&lab.store, WebhookFilter { name: Some("w299".into()), ..all() }), ["w299"], "behind many of other names");
    assert_eq!(names(&lab.store, WebhookFilter { of: Owners::Provider("none".into()), ..all() }), [""; 0]);
}

#[test]
fn recover_leaves_what_was_cancelled() {
    let lab = Lab::new();
    let ledger = lab.store.webhooks_named(&owned(), "ledger")[0].no;
    lab.publish("order.paid", "{}");
    let cancelled = lab.ready().into_iter().find(|one| one.key.endpoint == ledger).unwrap().key;
    lab.runtime.block_on(lab.store.by_test().cancel(cancelled)).unwrap();
    lab.publish("order.paid", "{}");
    let gone = lab.ready().into_iter().find(|one| one.key.endpoint == ledger).unwrap();
    lab.finish(&gone, 410);
    lab.told();
    lab.runtime.block_on(lab.store.by_test().enable_webhook(ledger)).unwrap();
    let both = Recover { failed: true, missed: true };
    let brought = lab.store.by_test().recover(ledger, Timestamp::EPOCH, clock::now(), both);
    assert_eq!(lab.runtime.block_on(brought), Ok(1), "the one that its endpoint refused");
    let status = lab.store.reader.delivery_by_key(cancelled).unwrap().unwrap().status;
    assert_eq!(status, Status::Failed);
}
