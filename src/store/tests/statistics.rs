//! What is counted of deliveries, wherever the counts stand: in the journal, in the tables, after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use super::*;
use crate::domain::delivery::tally::{Brought, Hour, Mark, Tally};
use crate::domain::id::EndpointNo;
use crate::store::record::key::hour_key;
use crate::store::redb::counted::recount;
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::medium::Medium;
use crate::store::redb::schema::HOUR;
use crate::store::redb::site;

#[test]
fn an_outcome_counts_once_whatever_becomes_of_the_service() {
    let lab = Lab::new();
    lab.publish_each(5);
    lab.delivers(25);
    let of = |succeeded| Tally { succeeded, attempts: BTreeMap::from([(Brought::Status(2), succeeded)]), ..Tally::default() };
    assert_eq!([lab.counted("all"), lab.counted("till"), lab.counted("vault")], [of(15), of(5), of(0).emptied()]);
    lab.settle();
    assert_eq!([lab.counted("all"), lab.counted("till")], [of(15), of(5)]);

    lab.publish_each(1);
    lab.delivers(30);
    let killed = Lab::open(lab.killed().write()).unwrap();
    assert_eq!([killed.counted("all"), killed.counted("till")], [of(18), of(6)]);
    let folder = lab.stopped().write();
    assert!(check(&path(folder.path())).unwrap().is_clean());
    assert_eq!(Lab::open(folder).unwrap().counted("all"), of(18));
}

#[test]
fn many_webhooks_are_counted_as_each_of_them() {
    let lab = Lab::new();
    lab.publish_each(3);
    lab.delivers(15);
    let two = ["all", "till"].map(|name| lab.number_of(name));
    // As many as make looking their rows up cheaper than reading all.
    for number in 0..20 {
        lab.create(&format!("idle-{number}"), "idle");
    }
    let sum = |webhooks: BTreeSet<EndpointNo>| {
        let by_hour = lab.store.reader.tallies(&webhooks, lately()).unwrap();
        by_hour.values().map(|tally| tally.succeeded).sum::<u64>()
    };
    let many = || two.into_iter().chain((1_000..1_100).map(EndpointNo)).collect();
    assert_eq!([sum(two.into()), sum(many())], [12, 12]);
    lab.settle();
    assert_eq!([sum(two.into()), sum(many())], [12, 12]);
}

#[test]
fn a_delivery_that_ends_without_an_attempt_counts_as_failed() {
    let lab = Lab::new();
    lab.publish_each(2);
    let all = lab.number_of("all");
    lab.runtime.block_on(lab.store.by_test().delete_webhook(all)).unwrap();
    until(|| lab.counted_of(all).failed == 6);
    assert_eq!(lab.counted_of(all), Tally { failed: 6, ..Tally::default() });
}

#[test]
fn a_store_without_the_table_gets_it() {
    let lab = Lab::new();
    let folder = lab.stopped().write();
    let database = site::open_known(&path(folder.path()), &Medium::default()).unwrap();
    let txn = Txn::of(&database);
    txn.get().unwrap().delete_table(HOUR).unwrap();
    txn.commit().unwrap();
    drop(database);
    assert!(check(&path(folder.path())).unwrap().is_clean());
    let lab = Lab::open(folder).unwrap();
    lab.publish_each(1);
    lab.delivers(5);
    lab.settle();
    assert_eq!(lab.counted("all").succeeded, 3);
}

#[test]
fn hours_are_forgotten_after_ninety_days() {
    let lab = Lab::new();
    let (all, now) = (lab.number_of("all"), Hour::from_time(clock::now()));
    let folder = lab.stopped().write();
    let database = site::open_known(&path(folder.path()), &Medium::default()).unwrap();
    let old = |days: u32| Hour(now.0 - days * 24);
    let hours = (1..3_000).map(|hours| Hour(old(100).0 - hours)).chain([old(91), old(89), now]);
    put(&database, all, hours);
    recount(&database).unwrap();
    drop(database);
    let lab = Lab::open(folder).unwrap();
    let left = || lab.store.reader.tallies(&[all].into(), Hour(old(300).0)..=now).unwrap().into_keys().collect::<Vec<_>>();
    until(|| left().len() == 2);
    assert_eq!(left(), [old(89), now]);
    assert!(check(&path(lab.stopped().write().path())).unwrap().is_clean());
}

impl Lab {
    fn number_of(&self, name: &str) -> EndpointNo {
        self.store.webhooks_named(&owned(), name)[0].no
    }

    /// Ends deliveries as delivered until so many are.
    fn delivers(&self, count: usize) {
        until(|| {
            self.deliver();
            deliveries(&self.store)[1] == count
        });
    }

    /// Of a webhook, without the times.
    fn counted(&self, name: &str) -> Tally {
        self.counted_of(self.number_of(name))
    }

    fn counted_of(&self, no: EndpointNo) -> Tally {
        let sum = self.store.reader.tally(&[no].into(), Hour(lately().start().0 - 99)..=*lately().end()).unwrap();
        Tally { times: Default::default(), ..sum }
    }
}

impl Tally {
    /// Of a webhook to which nothing was sent.
    fn emptied(self) -> Self {
        Self { attempts: BTreeMap::new(), ..self }
    }
}

/// The hour may change while a test runs.
fn lately() -> RangeInclusive<Hour> {
    let now = Hour::from_time(clock::now());
    Hour(now.0 - 1)..=Hour(now.0 + 1)
}

fn put(database: &::redb::Database, no: EndpointNo, hours: impl Iterator<Item = Hour>) {
    let txn = Txn::of(database);
    {
        let mut table = txn.get().unwrap().open_table(HOUR).unwrap();
        let mut bytes = Vec::new();
        for hour in hours {
            let mut tally = Tally::default();
            tally.count(&Mark { hour, endpoint: no, attempt: None, ended: Some(true), micros: 0 });
            let key = hour_key(hour, no);
            record::write_tally(&key, &tally, &mut bytes);
            table.insert(&key, &*bytes).unwrap();
        }
    }
    txn.commit().unwrap();
}

fn until(is_so: impl Fn() -> bool) {
    let deadline = clock::steady() + Duration::from_secs(10);
    while !is_so() {
        assert!(clock::steady() < deadline, "it never came");
        std::thread::sleep(Duration::from_millis(2));
    }
}
