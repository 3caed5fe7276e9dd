//! Deliveries that are ended by hand: one, and all of a webhook.

mod replays;

use std::collections::HashSet;
use std::sync::mpsc::Sender;

use super::*;
use crate::domain::delivery::{End, State};
use crate::domain::id::{DeliveryKey, EndpointNo};

const CANCELLED: Option<End> = Some(End::Cancelled);

impl Lab {
    /// A store whose writer stops behind each commit that drops what waits, until it is let on; gone, it stops no more.
    fn stopping(folder: TempDir) -> (Self, mpsc::Receiver<()>, Sender<()>) {
        Self::stopping_behind(folder, |committed| !committed.dropped.is_empty())
    }

    /// The same behind each commit for which `is_stop` holds.
    pub(super) fn stopping_behind(
        folder: TempDir,
        is_stop: impl Fn(&Committed) -> bool + Send + 'static,
    ) -> (Self, mpsc::Receiver<()>, Sender<()>) {
        let (stopped, stops) = mpsc::channel();
        let (let_on, go_on) = mpsc::channel();
        let watch = move |committed: &Committed| {
            if is_stop(committed) && stopped.send(()).is_ok() {
                // Without anybody who lets it on it goes on.
                go_on.recv().unwrap_or_default();
            }
        };
        (Self::open_watched(folder, watch).unwrap(), stops, let_on)
    }

    pub(super) fn webhook(&self, name: &str) -> EndpointNo {
        self.store.webhooks_named(&owned(), name)[0].no
    }

    /// Has the file hold so many webhooks for events of type `wide`, from `w0` on.
    fn make_wide(&self, count: usize) {
        self.runtime.block_on(self.store.by_test().sync(wide(count))).unwrap();
    }

    pub(super) fn publish_many(&self, kind: &str, count: usize) {
        let results = self.runtime.block_on(self.store.accept((0..count).map(|_| publication(kind)).collect()));
        assert!(results.iter().all(Result::is_ok));
    }

    fn purge(&self, no: EndpointNo, held: bool) -> Result<(), Denied> {
        self.runtime.block_on(self.store.by_test().purge(no, Purge { held, until: None }))
    }

    /// The same where the writer is stopped before it answers.
    fn begin_purge(&self, no: EndpointNo, held: bool) -> tokio::task::JoinHandle<Result<(), Denied>> {
        let (store, purge) = (self.store.clone(), Purge { held, until: None });
        self.runtime.spawn(async move { store.by_test().purge(no, purge).await })
    }

    /// Puts an entry of another webhook so far down the due table that a walk through it has soon passed where retries come.
    fn make_due_later(&self) {
        self.ready();
        self.publish("order.paid", "{}");
        let ready = self.ready_of(self.webhook("all"), 1);
        self.finish_at(&ready[0], 500, clock::now() + Duration::from_secs(50));
        self.told();
    }

    fn test(&self, no: EndpointNo) -> TestRun {
        let publication = Publication { test: true, ..publication("order.paid") };
        self.runtime.block_on(self.store.test(no, publication)).unwrap()
    }

    fn cancel(&self, key: DeliveryKey) -> Result<(), Denied> {
        self.runtime.block_on(self.store.by_test().cancel(key))
    }

    fn view(&self, key: DeliveryKey) -> View {
        self.store.reader.delivery_by_key(key).unwrap().unwrap()
    }

    /// Waits until a webhook's deliveries are so many by status.
    pub(super) fn wait_for(&self, no: EndpointNo, expected: [usize; 4]) {
        let deadline = clock::steady() + Duration::from_secs(20);
        let mut counts = counts(&self.store, no);
        while counts != expected {
            assert!(clock::steady() < deadline, "expected {expected:?}, and there are {counts:?}");
            std::thread::sleep(Duration::from_millis(5));
            counts = cancel::counts(&self.store, no);
        }
    }

    /// How many jobs stand in the tables.
    fn jobs(&self) -> u64 {
        let txn = ::redb::ReadableDatabase::begin_read(&*self.store.reader.database).unwrap();
        ::redb::ReadableTableMetadata::len(&schema::read(&txn, schema::JOB).unwrap()).unwrap()
    }

    /// Waits until so much is asked of the writer, which stands still.
    fn asked(&self, count: usize) {
        let deadline = clock::steady() + Duration::from_secs(20);
        while self.store.health().queue < count {
            assert!(clock::steady() < deadline, "{count} are asked");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// So many of a webhook's deliveries, once they are ready.
    pub(super) fn ready_of(&self, no: EndpointNo, count: usize) -> Vec<Ready> {
        let (mut found, deadline) = (Vec::new(), clock::steady() + Duration::from_secs(20));
        while found.len() < count {
            assert!(clock::steady() < deadline, "{} of {count} are ready", found.len());
            found.extend(self.ready().into_iter().filter(|one| one.key.endpoint == no));
        }
        found
    }

    /// Stops, and checks the store.
    fn must_be_sound(self) {
        let report = check(&path(self.stopped().write().path())).unwrap();
        assert!(report.is_clean(), "{report}");
    }
}

/// A file that holds so many webhooks for events of type `wide`.
fn wide(count: usize) -> DesiredState {
    let webhooks = (0..count).map(|number| from_file((&format!("w{number}"), "wide"))).collect();
    DesiredState {
        dialects: vec![("shop".into(), standard())],
        tenants: vec![owned()],
        keys: HashSet::new(),
        webhooks,
        ..DesiredState::default()
    }
}

fn publication(kind: &str) -> Publication {
    Publication::of_type_and_data("shop".into(), "acme".into(), standard(), kind, "{}".to_owned().into())
}

fn counts(store: &Store, no: EndpointNo) -> [usize; 4] {
    let page = store.reader.deliveries(&Of::Webhook(no), &Filter::default(), None, 10_000).unwrap();
    Status::ALL.map(|status| page.views.iter().filter(|view| view.status == status).count())
}

fn end(view: &View) -> Option<End> {
    if let State::Failed { end, .. } = view.delivery.state { Some(end) } else { None }
}

fn of(ready: &[Ready], no: EndpointNo) -> Vec<&Ready> {
    ready.iter().filter(|one| one.key.endpoint == no).collect()
}

#[test]
fn one_that_waits_ends_and_its_timer_with_it() {
    let lab = Lab::new();
    lab.publish("order.paid", "{}");
    let (ledger, ready) = (lab.webhook("ledger"), lab.ready());
    let one = of(&ready, ledger)[0];
    lab.finish(one, 500);
    lab.told();
    assert_eq!((lab.store.health().armed, lab.view(one.key).status), (1, Status::Pending));
    assert_eq!(lab.cancel(one.key), Ok(()));
    lab.told();
    assert_eq!((lab.store.health().armed, end(&lab.view(one.key))), (0, CANCELLED));
    assert_eq!(lab.cancel(one.key), Err(Denied::Ended));
    assert_eq!(lab.cancel(DeliveryKey { endpoint: EndpointNo(99), ..one.key }), Err(Denied::NoDelivery));
    lab.must_be_sound();
}

#[test]
fn an_attempt_under_way_still_counts_when_it_succeeds() {
    let lab = Lab::new();
    let ledger = lab.webhook("ledger");
    for (status, expected) in [(200, Status::Succeeded), (500, Status::Failed)] {
        lab.publish("order.paid", "{}");
        let ready = lab.ready();
        let one = of(&ready, ledger)[0];
        assert_eq!(lab.cancel(one.key), Ok(()));
        lab.finish(one, status);
        lab.told();
        let view = lab.view(one.key);
        assert_eq!((view.status, view.delivery.attempts, view.delivery.code), (expected, 1, Some(status)));
        assert_eq!(end(&view).is_some(), expected == Status::Failed);
    }
    lab.must_be_sound();
}

#[test]
fn a_cancelled_one_can_be_retried() {
    let lab = Lab::new();
    lab.publish("vault.closed", "{}");
    let vault = lab.webhook("vault");
    let page = lab.store.reader.deliveries(&Of::Webhook(vault), &Filter::default(), None, 10).unwrap();
    let key = page.views[0].delivery.key;
    assert_eq!(lab.cancel(key), Ok(()));
    lab.runtime.block_on(lab.store.by_test().enable_webhook(vault)).unwrap();
    assert!(of(&lab.ready(), vault).is_empty());
    lab.runtime.block_on(lab.store.by_test().retry(key)).unwrap();
    lab.deliver();
    lab.wait_for(vault, [0, 1, 0, 0]);
    lab.must_be_sound();
}

#[test]
fn a_purge_names_what_the_webhook_has() {
    let lab = Lab::new();
    let (ledger, vault) = (lab.webhook("ledger"), lab.webhook("vault"));
    assert_eq!(lab.purge(ledger, true), Err(Denied::NothingHeld));
    assert_eq!(lab.purge(vault, false), Err(Denied::NothingPending));
    assert_eq!(lab.purge(EndpointNo(99), true), Err(Denied::NoWebhook));
}

#[test]
fn what_is_published_after_its_time_is_not_purged() {
    let lab = Lab::new();
    let vault = lab.webhook("vault");
    lab.publish_many("vault.closed", 3);
    std::thread::sleep(Duration::from_millis(5));
    let until = lab.store.now();
    std::thread::sleep(Duration::from_millis(5));
    lab.publish_many("vault.closed", 2);
    lab.runtime.block_on(lab.store.by_test().purge(vault, Purge { held: true, until: Some(until) })).unwrap();
    lab.wait_for(vault, [0, 0, 3, 2]);
    assert_eq!(lab.purge(vault, true), Ok(()));
    lab.publish("vault.closed", "{}");
    lab.wait_for(vault, [0, 0, 5, 1]);
    lab.must_be_sound();
}

/// An operator drops what is held and enables at once: none of it may be sent, however long dropping takes.
#[test]
fn none_of_what_is_purged_starts_when_its_webhook_is_enabled() {
    let (lab, stops, let_on) = Lab::stopping(Lab::new().stopped().write());
    let vault = lab.webhook("vault");
    lab.publish_many("vault.closed", MANY);
    let page = lab.store.reader.deliveries(&Of::Webhook(vault), &Filter::default(), None, 1).unwrap();
    let newest = page.views[0].delivery.key;
    let purged = lab.begin_purge(vault, true);
    stops.recv().unwrap();
    let store = lab.store.clone();
    let enabled = lab.runtime.spawn(async move { store.by_test().enable_webhook(vault).await });
    lab.asked(1);
    let_on.send(()).unwrap();
    // The commit that enables it ends a first slice.
    stops.recv().unwrap();
    lab.store.refill(vault);
    let store = lab.store.clone();
    let retried = lab.runtime.spawn(async move { store.by_test().retry(newest).await });
    lab.asked(2);
    drop((stops, let_on));
    assert_eq!(lab.runtime.block_on(purged).unwrap(), Ok(()));
    assert!(lab.runtime.block_on(enabled).unwrap().is_ok());
    assert_eq!(lab.runtime.block_on(retried).unwrap(), Err(Denied::BeingPurged));
    lab.publish("vault.closed", "{}");
    lab.wait_for(vault, [1, 0, MANY, 0]);
    assert_eq!(lab.ready_of(vault, 1).len(), 1, "the new one alone");
    lab.must_be_sound();
}

#[test]
fn an_attempt_that_fails_while_its_webhook_is_purged_is_the_last() {
    let (lab, stops, let_on) = Lab::stopping(Lab::new().stopped().write());
    let vault = lab.webhook("vault");
    lab.publish_many("vault.closed", MANY);
    lab.make_due_later();
    lab.runtime.block_on(lab.store.by_test().enable_webhook(vault)).unwrap();
    lab.store.refill(vault);
    let ready = lab.ready_of(vault, SLICE + 2);
    let purged = lab.begin_purge(vault, false);
    stops.recv().unwrap();
    let_on.send(()).unwrap();
    // The due table was gone through and a slice of the backlog, but not yet these.
    stops.recv().unwrap();
    let [fails, succeeds] = [&ready[SLICE], &ready[SLICE + 1]];
    lab.finish(fails, 500);
    lab.finish(succeeds, 200);
    drop((stops, let_on));
    assert_eq!(lab.runtime.block_on(purged).unwrap(), Ok(()));
    lab.wait_for(vault, [0, 1, MANY - 1, 0]);
    let failed = lab.view(fails.key);
    assert_eq!((end(&failed), failed.delivery.attempts), (CANCELLED, 1));
    lab.must_be_sound();
}

/// Each commit brings an entry behind those that the purge looks at: one that is due, and one in the backlog.
#[test]
fn a_purge_ends_however_fast_events_are_published() {
    let lab = Lab::new();
    let (vault, all) = (lab.webhook("vault"), lab.webhook("all"));
    lab.publish_many("vault.closed", MANY - 1);
    lab.deliver();
    let is_stop = move |committed: &Committed| of(&committed.ready, all).len() == 1;
    let (lab, stops, let_on) = Lab::stopping_behind(lab.stopped().write(), is_stop);
    let mut published = vec![lab.store.accept(vec![publication("vault.closed")])];
    stops.recv().unwrap();
    let purged = lab.begin_purge(vault, true);
    lab.asked(1);
    let mut later = 0;
    // What is due, a full slice of the backlog, and the rest of it; between the slices others are served.
    while lab.jobs() > 0 || later == 0 {
        later += 1;
        assert!(later < 5_000, "it does not end");
        let waiting = lab.store.health().queue;
        published.push(lab.store.accept(vec![publication("vault.closed")]));
        lab.asked(waiting + 1);
        let_on.send(()).unwrap();
        stops.recv().unwrap();
    }
    assert_eq!(counts(&lab.store, vault), [0, 0, MANY, later]);
    published.push(lab.store.accept(vec![publication("vault.closed")]));
    lab.asked(1);
    let_on.send(()).unwrap();
    stops.recv().unwrap();
    assert!(!lab.store.reader.views.unflushed().is_empty(), "what comes then is committed to the journal");
    drop((stops, let_on));
    assert_eq!(lab.runtime.block_on(purged).unwrap(), Ok(()));
    lab.must_be_sound();
}

#[test]
fn a_purge_goes_on_after_a_crash_in_its_middle() {
    let (lab, stops, let_on) = Lab::stopping(Lab::new().stopped().write());
    let vault = lab.webhook("vault");
    lab.publish_many("vault.closed", MANY);
    lab.settle();
    lab.begin_purge(vault, true);
    // At first it looks at what is due, of which nothing is the webhook's.
    stops.recv().unwrap();
    let_on.send(()).unwrap();
    stops.recv().unwrap();
    let image = lab.killed();
    drop((stops, let_on));
    let (store, _unstarted) = look(&image.write()).unwrap();
    assert_eq!(counts(&store, vault), [0, 0, SLICE, MANY - SLICE]);
    drop(store);
    let lab = Lab::open(image.write()).unwrap();
    lab.publish("vault.closed", "{}");
    lab.wait_for(vault, [0, 0, MANY, 1]);
    lab.must_be_sound();
}

/// The event was published before the purge, and reaches the webhook after it.
#[test]
fn a_purge_waits_for_a_fanout_that_began_before_it() {
    let (lab, stops, let_on) = Lab::stopping(Lab::new().stopped().write());
    lab.make_wide(2_100);
    let (vault, last) = (lab.webhook("vault"), lab.webhook("w2099"));
    lab.publish("vault.closed", "{}");
    lab.make_due_later();
    // Any purge stops the writer, so that what is asked meanwhile comes in one commit.
    lab.begin_purge(vault, true);
    stops.recv().unwrap();
    let published = lab.store.accept(vec![publication("wide")]);
    let purged = lab.begin_purge(last, false);
    lab.asked(2);
    drop((stops, let_on));
    assert!(lab.runtime.block_on(published)[0].is_ok());
    assert_eq!(lab.runtime.block_on(purged).unwrap(), Ok(()));
    lab.wait_for(last, [0, 0, 1, 0]);
    assert_eq!(counts(&lab.store, lab.webhook("w2098")), [1, 0, 0, 0]);
    assert!(of(&lab.ready(), last).is_empty(), "none of it starts");
    lab.must_be_sound();
}

/// A deletion and a wide event in one commit: nothing of the event may wait for that webhook for ever.
#[test]
fn a_fanout_makes_nothing_for_a_webhook_that_is_deleted_in_its_commit() {
    let (lab, stops, let_on) = Lab::stopping(Lab::new().stopped().write());
    let gone = lab.create("gone", "wide");
    lab.make_wide(1_200);
    let vault = lab.webhook("vault");
    lab.publish("vault.closed", "{}");
    lab.begin_purge(vault, true);
    stops.recv().unwrap();
    let store = lab.store.clone();
    let deleted = lab.runtime.spawn(async move { store.by_test().delete_webhook(gone).await });
    lab.asked(1);
    let published = lab.store.accept(vec![publication("wide")]);
    lab.asked(2);
    drop((stops, let_on));
    assert_eq!(lab.runtime.block_on(published)[0].as_ref().unwrap().deliveries, 1_201, "with the one for all");
    assert_eq!(lab.runtime.block_on(deleted).unwrap(), Ok(()));
    lab.wait_for(lab.webhook("w1199"), [1, 0, 0, 0]);
    assert_eq!(counts(&lab.store, gone), [0; 4]);
    lab.must_be_sound();
}

#[test]
fn deleting_while_a_purge_runs_ends_the_rest() {
    let (lab, stops, let_on) = Lab::stopping(Lab::new().stopped().write());
    let vault = lab.webhook("vault");
    lab.publish_many("vault.closed", MANY);
    lab.begin_purge(vault, true);
    stops.recv().unwrap();
    let store = lab.store.clone();
    let deleted = lab.runtime.spawn(async move { store.by_test().delete_webhook(vault).await });
    lab.asked(1);
    drop((stops, let_on));
    assert_eq!(lab.runtime.block_on(deleted).unwrap(), Ok(()));
    lab.wait_for(vault, [0, 0, MANY, 0]);
    lab.must_be_sound();
}

/// It is in its queue, which keeps it, or under way with an outcome that is not on disk yet: queued again it would be sent twice.
#[test]
fn a_test_outlives_a_purge_and_is_queued_once() {
    let lab = Lab::new();
    let ledger = lab.webhook("ledger");
    let test = lab.test(ledger);
    lab.publish("order.paid", "{}");
    let ready = lab.ready_of(ledger, 2);
    assert_eq!((ready[0].key, ready[0].lane, ready[0].is_test, ready[1].is_test), (test.key, Lane::Manual, true, false));
    assert_eq!(lab.purge(ledger, false), Ok(()));
    lab.wait_for(ledger, [1, 0, 1, 0]);
    lab.told();
    assert!(of(&lab.ready(), ledger).is_empty());
    lab.finish(&ready[0], 200);
    lab.runtime.block_on(test.done).unwrap();
    lab.wait_for(ledger, [0, 1, 1, 0]);
    lab.must_be_sound();
}

#[test]
fn a_test_that_is_asked_for_again_outlives_disabling_its_webhook() {
    let lab = Lab::new();
    let books = lab.create("books", "order.*");
    let test = lab.test(books);
    lab.finish(&lab.ready_of(books, 1)[0], 500);
    lab.runtime.block_on(test.done).unwrap();
    lab.runtime.block_on(lab.store.by_test().retry(test.key)).unwrap();
    let again = lab.ready_of(books, 1);
    lab.publish("order.paid", "{}");
    lab.runtime.block_on(lab.store.by_test().disable_webhook(books)).unwrap();
    lab.wait_for(books, [1, 0, 0, 1]);
    lab.told();
    assert_eq!((again[0].is_test, of(&lab.ready(), books).iter().filter(|one| one.is_test).count()), (true, 0));
    lab.finish(&again[0], 200);
    lab.wait_for(books, [0, 1, 0, 1]);
    lab.must_be_sound();
}

/// Nothing is sent to a removed webhook, and whoever asked for the test is not left waiting.
#[test]
fn a_test_ends_when_its_webhook_is_taken_out_of_the_file() {
    let lab = Lab::new();
    let ledger = lab.webhook("ledger");
    let test = lab.test(ledger);
    lab.make_wide(0);
    assert_eq!(end(&lab.view(test.key)), CANCELLED);
    lab.runtime.block_on(test.done).unwrap();
    lab.must_be_sound();
}

/// Its deliveries wait until it stands in the file again, or somebody ends them.
#[test]
fn what_is_held_for_a_removed_webhook_can_be_purged() {
    let lab = Lab::new();
    let ledger = lab.webhook("ledger");
    lab.publish_many("order.paid", 3);
    let file = DesiredState {
        dialects: vec![("shop".into(), standard())],
        tenants: vec![owned()],
        keys: HashSet::new(),
        webhooks: Vec::new(),
        ..DesiredState::default()
    };
    lab.runtime.block_on(lab.store.by_test().sync(file)).unwrap();
    lab.wait_for(ledger, [0, 0, 0, 3]);
    let page = lab.store.reader.deliveries(&Of::Webhook(ledger), &Filter::default(), None, 1).unwrap();
    assert_eq!(lab.cancel(page.views[0].delivery.key), Ok(()));
    assert_eq!((lab.purge(ledger, false), lab.purge(ledger, true)), (Err(Denied::NothingPending), Ok(())));
    lab.wait_for(ledger, [0, 0, 3, 0]);
    lab.must_be_sound();
}

#[test]
fn an_event_whose_last_delivery_was_cancelled_makes_room_and_one_that_is_held_stays() {
    let lab = Lab::new();
    let vault = lab.webhook("vault");
    let [dropped, kept] = [(); 2].map(|()| lab.publish("vault.closed", "{}"));
    lab.deliver();
    let node = lab.store.node();
    let event = node.event_key(&dropped.id).unwrap();
    assert_eq!(lab.cancel(DeliveryKey { event, endpoint: vault }), Ok(()));
    lab.store.set_limits(Limits { max_bytes: 1, ..options(&path(lab.folder.path())).limits });
    let deadline = clock::steady() + Duration::from_secs(20);
    while events(&lab.store) != [kept.clone()] {
        assert!(clock::steady() < deadline, "{:?}", events(&lab.store));
        std::thread::sleep(Duration::from_millis(5));
    }
    lab.must_be_sound();
}

/// More than one slice of a job.
const MANY: usize = 1_200;

/// What a job ends in one commit.
const SLICE: usize = 1_000;

#[test]
fn while_a_job_runs_publishers_are_answered_by_the_journal() {
    let lab = Lab::new();
    let vault = lab.webhook("vault");
    lab.publish_many("vault.closed", 6_000);
    lab.ready();
    lab.purge(vault, true).unwrap();
    let (mut by_journal, mut all) = (0, 0);
    while lab.jobs() > 0 {
        lab.publish("order.paid", "{}");
        all += 1;
        by_journal += usize::from(!lab.store.reader.views.unflushed().is_empty());
        assert!(all < 100_000, "the job comes to its end under load");
    }
    assert!(by_journal * 2 > all, "{by_journal} of {all}: a slice in each batch takes all of them into the tables");
    lab.wait_for(vault, [0, 0, 6_000, 0]);
}
