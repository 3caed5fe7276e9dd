//! Lists of attempts: in the order of their starts, wherever the attempts stand, and whatever takes some of them away.

mod followed;

use std::collections::BTreeSet;

use ::redb::ReadableDatabase;

use super::*;
use crate::domain::id::{AttemptKey, DeliveryKey, EndpointNo};
use crate::store::redb::counted::recount;
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::medium::Medium;
use crate::store::redb::read::Reader;
use crate::store::redb::schema::{ATTEMPT_INDEX, COUNTERS, ENDED, STATE};
use crate::store::redb::site;
use crate::store::stepped::Stepped;
use crate::store::{AttemptClass, AttemptFilter, record};

const ALL: AttemptFilter = AttemptFilter { succeeded: None, code: None, class: None, since: None, until: None, event: None };

/// Fills a store with deliveries of up to three attempts, the starts of which follow no order. Gives the deliveries.
fn filled(lab: &Lab, events: usize) -> Vec<DeliveryKey> {
    lab.publish_each(events);
    let ready: Vec<Ready> = lab.ready();
    let began = clock::now();
    for (number, one) in ready.iter().enumerate() {
        let at = began - Duration::from_millis(number as u64 * 7_919 % 5_000);
        lab.finish_at(one, [200, 500, 404][number % 3], at);
    }
    lab.told();
    let failed = ready.iter().enumerate().filter(|(number, _)| number % 3 > 0).map(|(_, one)| one.key);
    for key in failed {
        lab.runtime.block_on(lab.store.by_test().retry(key)).unwrap();
    }
    for (number, one) in lab.ready().iter().enumerate() {
        lab.finish_at(one, [500, 204][number % 2], began);
    }
    lab.told();
    ready.iter().map(|one| one.key).collect()
}

/// The attempts that the log holds of these deliveries.
fn logged(reader: &Reader, deliveries: &[DeliveryKey]) -> BTreeSet<AttemptKey> {
    let mut found = BTreeSet::new();
    for key in deliveries {
        let Some(view) = reader.delivery_by_key(*key).unwrap() else { continue };
        let space = Space { room: usize::MAX, printed: 0 };
        let Fit::Fits(attempts) = reader.attempts(*key, 1..=view.delivery.attempts, space).unwrap() else {
            panic!("there is room")
        };
        found.extend(attempts.into_iter().flatten().map(|attempt| attempt.key(*key)));
    }
    found
}

/// All pages of a list.
fn listed(reader: &Reader, of: &Of, filter: &AttemptFilter, limit: usize) -> Vec<AttemptKey> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let page = reader.attempt_keys(of, filter, before, limit).unwrap();
        assert!(page.keys.len() <= limit);
        all.extend(page.keys);
        before = page.next;
        if before.is_none() {
            return all;
        }
    }
}

/// Holds every list against what the log says.
fn compare(reader: &Reader, deliveries: &[DeliveryKey]) -> usize {
    let logged: Vec<AttemptKey> = logged(reader, deliveries).into_iter().rev().collect();
    let shown = |wanted: &dyn Fn(&AttemptKey) -> bool| logged.iter().copied().filter(wanted).collect::<Vec<_>>();
    let tenants = Of::Tenants([owned(), Owned { provider: "shop".into(), tenant: "nobody".into() }].into());
    for of in [Of::Tenant(owned()), tenants] {
        for limit in [1_000, 1, 7] {
            assert_eq!(listed(reader, &of, &ALL, limit), logged);
        }
        let middle = logged[logged.len() / 2].started_at;
        let since = AttemptFilter { since: Some(middle), ..ALL };
        let until = AttemptFilter { until: Some(middle), ..ALL };
        assert_eq!(listed(reader, &of, &since, 5), shown(&|key| key.started_at >= middle));
        assert_eq!(listed(reader, &of, &until, 5), shown(&|key| key.started_at < middle));
        let event = deliveries[deliveries.len() / 2].event;
        let of_event = AttemptFilter { event: Some(event), ..ALL };
        assert_eq!(listed(reader, &of, &of_event, 1), shown(&|key| key.delivery.event == event));
        let both = AttemptFilter { event: Some(event), since: Some(middle), ..ALL };
        assert_eq!(listed(reader, &of, &both, 1), shown(&|key| key.delivery.event == event && key.started_at >= middle));
    }
    let endpoints: BTreeSet<EndpointNo> = logged.iter().map(|key| key.delivery.endpoint).collect();
    for no in endpoints {
        assert_eq!(listed(reader, &Of::Webhook(no), &ALL, 3), shown(&|key| key.delivery.endpoint == no));
    }
    let of_result = |filter: AttemptFilter, wanted: &dyn Fn(u16) -> bool| {
        let of = |key: &AttemptKey| reader.whole_attempt(*key).unwrap().unwrap().outcome.result.unwrap().status;
        assert_eq!(listed(reader, &Of::Tenant(owned()), &filter, 4), shown(&|key| wanted(of(key))), "{filter:?}");
    };
    of_result(AttemptFilter { succeeded: Some(true), ..ALL }, &|status| status < 300);
    of_result(AttemptFilter { succeeded: Some(false), ..ALL }, &|status| status >= 300);
    of_result(AttemptFilter { code: Some(404), ..ALL }, &|status| status == 404);
    of_result(AttemptFilter { class: AttemptClass::parse("2xx"), ..ALL }, &|status| status < 300);
    of_result(AttemptFilter { class: AttemptClass::parse("status"), ..ALL }, &|status| status >= 300);
    of_result(AttemptFilter { class: AttemptClass::parse("timeout"), ..ALL }, &|_| false);
    for key in &logged {
        assert_eq!(reader.attempt_key(&reader.shared.node.attempt_id(*key)).unwrap(), Some(*key));
    }
    logged.len()
}

#[test]
fn attempts_are_listed_by_their_starts_wherever_they_stand() {
    let lab = Lab::new();
    let deliveries = filled(&lab, 12);
    let count = compare(&lab.store.reader, &deliveries);
    assert!(count > deliveries.len(), "{count} of {}", deliveries.len());
    let killed = lab.killed().write();
    let (again, _unstarted) = look(&killed).unwrap();
    assert_eq!(compare(&again.reader, &deliveries), count, "a kill takes none");
    lab.settle();
    assert_eq!(compare(&lab.store.reader, &deliveries), count);
    let folder = lab.stopped().write();
    assert!(check(&path(folder.path())).unwrap().is_clean());
    assert_eq!(compare(&look(&folder).unwrap().0.reader, &deliveries), count);
}

#[test]
fn what_goes_for_want_of_room_goes_from_the_lists_of_attempts() {
    let lab = Lab::new();
    let deliveries = filled(&lab, 12);
    let count = compare(&lab.store.reader, &deliveries);
    let limits = Limits { max_bytes: 1, ..options(lab.folder.path()).limits };
    lab.store.set_limits(limits);
    let deadline = clock::steady() + Duration::from_secs(10);
    let left = |reader: &Reader| logged(reader, &deliveries).len();
    while !lab.store.shared.tail_mut().attempts.is_empty() || left(&lab.store.reader) == count {
        assert!(clock::steady() < deadline, "what has ended goes");
        std::thread::sleep(Duration::from_millis(5));
    }
    lab.settle();
    let folder = lab.stopped().write();
    let report = check(&path(folder.path())).unwrap();
    assert!(report.is_clean(), "{report}");
    let (again, _unstarted) = look(&folder).unwrap();
    let kept = compare(&again.reader, &deliveries);
    assert!((1..count).contains(&kept), "{kept} of {count}");
}

/// As the first start of a store does whose release knew no index of attempts.
#[test]
fn the_attempts_of_an_older_store_are_listed_after_a_while() {
    let lab = Lab::new();
    let deliveries = filled(&lab, 12);
    let count = compare(&lab.store.reader, &deliveries);
    let folder = lab.stopped().write();
    without_index(folder.path());
    assert!(check(&path(folder.path())).unwrap().is_clean(), "it may lack them");
    assert_eq!(listed(&look(&folder).unwrap().0.reader, &Of::Tenant(owned()), &ALL, 100), []);
    let lab = Lab::open(folder).unwrap();
    let deadline = clock::steady() + Duration::from_secs(10);
    while listed(&lab.store.reader, &Of::Tenant(owned()), &ALL, 100).len() < count {
        assert!(clock::steady() < deadline, "they come in the background");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(compare(&lab.store.reader, &deliveries), count);
    let folder = lab.stopped().write();
    assert!(check(&path(folder.path())).unwrap().is_clean());
    assert_eq!(kept_counters(folder.path()).unlisted, None);
}

#[test]
fn the_attempts_of_an_older_store_wait_until_it_has_room() {
    let lab = Lab::new();
    filled(&lab, 12);
    let folder = lab.stopped().write();
    without_index(folder.path());
    let usual = options(&path(folder.path()));
    let full = Options { limits: Limits { max_bytes: 1, ..usual.limits }, ..options(&path(folder.path())) };
    let mut stepped = Stepped::open(&full, 7).unwrap();
    let mut turns = 0;
    while turns < 8 || stepped.wake_at() <= clock::steady() {
        stepped.turn().unwrap();
        turns += 1;
        assert!(turns < 1_000, "the writer has nothing to do");
    }
    let copy = Image::of(folder.path()).write();
    assert!(kept_counters(copy.path()).unlisted.is_some(), "the index takes no room");
    stepped.close().unwrap();
    let mut stepped = Stepped::open(&usual, 7).unwrap();
    (0..20).for_each(|_| drop(stepped.turn().unwrap()));
    stepped.close().unwrap();
    assert!(check(&path(folder.path())).unwrap().is_clean());
    assert_eq!(kept_counters(folder.path()).unlisted, None, "it goes on once there is room");
}

#[test]
fn a_check_finds_an_attempt_that_no_list_shows() {
    let lab = Lab::new();
    filled(&lab, 2);
    let folder = lab.stopped().write();
    let path = path(folder.path());
    let database = site::open_known(&path, &Medium::default()).unwrap();
    let txn = Txn::of(&database);
    let gone = txn.get().unwrap().open_table(ENDED).unwrap().pop_first().unwrap().is_some();
    assert!(gone);
    txn.commit().unwrap();
    drop(database);
    let report = check(&path).unwrap().to_string();
    assert!(report.contains("is in no list"), "{report}");
}

/// Takes away all that a release before did not have.
fn without_index(folder: &Path) {
    let path = path(folder);
    let counters = kept_counters(folder);
    let database = site::open_known(&path, &Medium::default()).unwrap();
    let txn = Txn::of(&database);
    txn.get().unwrap().delete_table(ATTEMPT_INDEX).unwrap();
    txn.get().unwrap().delete_table(ENDED).unwrap();
    let mut bytes = Vec::new();
    let start = DeliveryKey { event: EventKey::MIN, endpoint: EndpointNo(0) };
    let unlisted = Some(record::Unlisted { after: start, until: EventKey(counters.last_key) });
    let older = record::Counters { attempts: 0, attempts_indexed: 0, unlisted, ..counters };
    record::write_counters(&[COUNTERS], &older, &mut bytes);
    txn.get().unwrap().open_table(STATE).unwrap().insert(COUNTERS, &*bytes).unwrap();
    txn.commit().unwrap();
    recount(&database).unwrap();
}

fn kept_counters(folder: &Path) -> record::Counters {
    let database = site::open_known(&path(folder), &Medium::default()).unwrap();
    let txn = database.begin_read().unwrap();
    let row = schema::read(&txn, STATE).unwrap().get(COUNTERS).unwrap().unwrap();
    record::read_counters(&[COUNTERS], row.value()).unwrap()
}
