//! Reads: which of them answer at once, how many rows they read, and lists over many tenants.

use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use std::thread;

use super::*;
use crate::domain::id::DeliveryKey;

/// The answer of a read that waits for nothing. Outside of a runtime a read that wants another thread panics.
fn at_once<T>(read: impl Future<Output = T>) -> T {
    match pin!(read).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("it waits"),
    }
}

/// Each attempt begins with such a read: a change of threads would cost more than the read.
#[test]
fn a_read_of_few_rows_answers_when_it_is_first_polled() {
    let lab = Lab::new();
    let published = lab.publish("order.paid", "{}");
    let ready = lab.ready().remove(0);
    let key = ready.key;
    assert!(matches!(at_once(lab.store.begin(&ready, None)), Ok(Begin::Now(_))), "its event is in memory");
    let from_disk = Ready { known: None, ..ready };
    assert!(matches!(at_once(lab.store.begin(&from_disk, None)), Ok(Begin::Now(_))), "its event is read");
    assert!(at_once(lab.store.event_by_id(&owned(), &published.id)).unwrap().is_some());
    let view = at_once(lab.store.delivery_by_key(key)).unwrap().unwrap();
    let by_id = at_once(lab.store.delivery(&lab.store.node().delivery_id(key))).unwrap().unwrap();
    assert_eq!((view.delivery.key, by_id.delivery.key), (key, key));
    assert!(at_once(lab.store.catch_up()).is_ok() && at_once(lab.store.file_bytes()) > 0);
}

/// On the thread that polls it, it would hold up every connection of that thread.
#[test]
fn a_read_of_many_rows_runs_on_a_thread_of_its_own() {
    let lab = Lab::new();
    let (asking, elsewhere) = (thread::current().id(), Arc::new(AtomicUsize::new(0)));
    let counted = elsewhere.clone();
    let wanted = move |_: &Owned| counted.fetch_add(usize::from(thread::current().id() != asking), Relaxed) < usize::MAX;
    let tenants = lab.runtime.block_on(lab.store.tenants_where(wanted)).unwrap();
    assert_eq!((tenants.len(), elsewhere.load(Relaxed)), (1, 1));
}

#[test]
fn events_are_read_as_far_as_there_is_room() {
    let lab = Lab::new();
    let data = |length: usize| format!("\"{}\"", "x".repeat(length));
    [100, 100, 60_000, 100].into_iter().for_each(|length| drop(lab.publish("order.paid", &data(length))));
    let mut keys = lab.store.reader.event_keys(&owned(), EventKey::MIN, 10).unwrap();
    // No event has it: the key after the first may be that of the second.
    keys.insert(1, EventKey(keys[0].0 - 1));
    let read = |from: usize, room| {
        let found = lab.runtime.block_on(lab.store.events(keys[from..].to_vec(), Space { room, printed: 1 }));
        match found.unwrap() {
            Fit::Fits(found) => Ok(found.iter().map(Option::is_some).collect::<Vec<_>>()),
            Fit::Needs(bytes) => Err(bytes),
        }
    };
    assert_eq!(read(0, 64 << 10), Ok(vec![true, false, true]), "the long event has no room behind the others");
    let needed = read(3, 64 << 10).unwrap_err();
    assert!((120_000..130_000).contains(&needed), "{needed}: once as it is stored and once as it is printed");
    assert_eq!(read(3, needed), Ok(vec![true]));
    assert_eq!((read(3, needed - 1), read(3, 2 * needed)), (Err(needed), Ok(vec![true, true])));
    assert_eq!((read(1, 0), read(5, 0)), (Ok(vec![false]), Ok(vec![])), "an event that is gone needs no room");
}

#[test]
fn attempts_are_read_with_the_newest_as_far_as_there_is_room() {
    let lab = Lab::new();
    lab.publish("order.paid", "{}");
    let mut ready = lab.ready().remove(0);
    let key = ready.key;
    for status in [501, 502] {
        lab.finish(&ready, status);
        lab.told();
        lab.runtime.block_on(lab.store.by_test().retry(key)).unwrap();
        lab.told();
        ready = lab.ready().into_iter().rfind(|one| one.key == key).expect("it runs again");
    }
    lab.finish(&ready, 200);
    lab.told();
    let read = |numbers, room| match lab.runtime.block_on(lab.store.attempts(key, numbers, Space { room, printed: 6 })).unwrap() {
        Fit::Fits(found) => found.into_iter().map(|attempt| attempt.map(|attempt| attempt.end().code.unwrap())).collect(),
        Fit::Needs(bytes) => vec![u16::try_from(bytes).ok()],
    };
    assert_eq!(read(1..=4, 64 << 10), [Some(501), Some(502), Some(200), None]);
    assert_eq!(read(2..=3, 64 << 10), [Some(502), Some(200)]);
    let [Some(needed)] = read(2..=3, 1)[..] else { panic!("there is no room for the first") };
    assert_eq!(read(2..=3, usize::from(needed)), [Some(502)]);
}

#[test]
fn the_deliveries_of_many_tenants_come_newest_first_and_once() {
    let lab = Lab::open(tempfile::tempdir().unwrap()).unwrap();
    let tenants: Vec<Owned> = (0..TENANTS).map(|number| tenant(&format!("t{number}"))).collect();
    for owned in &tenants {
        lab.create_for(owned.clone(), "all", "*");
    }
    for number in 0..3 * TENANTS {
        lab.publish_to(&tenants[number * 7 % TENANTS], "order.paid");
    }
    let newest_first = listed(&lab.store, &tenants);
    assert_eq!(newest_first.len(), 3 * TENANTS);
    assert!(newest_first.is_sorted_by(|a, b| a > b), "each stands once, behind the newer ones");
    let some: Vec<Owned> = tenants[..TENANTS - 1].to_vec();
    assert_eq!(listed(&lab.store, &some).len(), 3 * (TENANTS - 1), "those of others are not among them");
    let folder = lab.stopped().write();
    let (again, _unstarted) = look(&folder).unwrap();
    assert_eq!(listed(&again, &tenants), newest_first);
}

#[test]
fn an_event_is_found_for_the_tenant_that_has_it() {
    let lab = Lab::open(tempfile::tempdir().unwrap()).unwrap();
    let id = lab.publish_to(&tenant("t1"), "order.paid");
    let found = |tenants: &[Owned]| lab.store.reader.event_by_id(tenants, &id).unwrap().is_some();
    assert!(found(&[tenant("t0"), tenant("t1")]) && !found(&[tenant("t0"), tenant("t2")]));
}

#[test]
fn a_tenants_statistics_look_at_no_other_tenants_webhooks() {
    let lab = Lab::new();
    let own = lab.create_for(tenant("t1"), "own", "*");
    let of = |name: &str| Owners::Tenant(tenant(name));
    let looked = |of: Owners| {
        let looked = std::cell::Cell::new(0);
        let found = lab.store.shared.numbers_where(&of, |_| looked.replace(looked.get() + 1) < usize::MAX);
        (found.len(), looked.get())
    };
    assert_eq!(looked(of("t1")), (1, 1));
    assert_eq!(looked(Owners::Provider("shop".into())), (5, 5));
    assert_eq!([Owners::Provider("other".into()), of("t2")].map(looked), [(0, 0); 2]);
    assert_eq!(looked(Owners::All), (5, 5));
    assert!(lab.store.shared.numbers_where(&of("t1"), |_| true).contains(&own));
    assert_eq!([lab.store.tally_cost(1), lab.store.tally_cost(5)], [1, 2], "most of them are read as a whole");
}

/// All of a list, in pages of four.
fn listed(store: &Store, tenants: &[Owned]) -> Vec<DeliveryKey> {
    let (of, mut found, mut before) = (Of::Tenants(tenants.into()), Vec::new(), None);
    loop {
        let page = store.reader.deliveries(&of, &Filter::default(), before, 4).unwrap();
        found.extend(page.views.iter().map(|view| view.delivery.key));
        let Some(next) = page.next else { return found };
        before = Some(next);
    }
}

fn tenant(name: &str) -> Owned {
    Owned { provider: "shop".into(), tenant: name.into() }
}

/// More than are looked for one by one.
const TENANTS: usize = 9;
