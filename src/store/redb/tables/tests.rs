//! Batches over the hot tables against a model: journaled, brought in beside, written at once, and read again after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::prelude::*;
use redb::backends::InMemoryBackend;
use redb::{Database, ReadableDatabase};

use super::*;
use crate::domain::delivery::tally::{Brought, Hour, Mark, Tally};
use crate::domain::id::TenantNo;
use crate::store::redb::counted::stored_bytes;
use crate::store::redb::journal::checkpoint::bring_in;
use crate::store::redb::journal::entry::{Changes, Head};
use crate::store::redb::journal::memtable::Job;
use crate::store::redb::schema::{self, hour_key};
use crate::store::shared::index_tail::{Entry, Flush};

/// What a batch may do.
#[derive(Clone, Debug)]
enum Do {
    Event(Vec<u8>),
    Log(u8, Vec<u8>),
    PutDue(u8),
    TakeDue(u8),
    Park(u8, Option<u64>),
    Unpark(u8),
    Refill(u8),
    Read(u8),
    Rewrite(u8, Vec<u8>),
    Remove(u8),
    LookAt(u8),
    RemoveLog(u8),
    Name(u8, Vec<u8>),
    LookUp(u8),
    Look(u8),
    Mark(u8, u32),
}

/// What the tables of the hot path hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Rows {
    next_event: u64,
    events: BTreeMap<u64, Vec<u8>>,
    log: BTreeMap<LogKey, Vec<u8>>,
    due: BTreeSet<DueKey>,
    backlog: BTreeMap<BacklogKey, Vec<u8>>,
    names: BTreeMap<Vec<u8>, Vec<u8>>,
    name_ends: BTreeMap<TimeKey, Vec<u8>>,
    tallies: BTreeMap<HourKey, Tally>,
}

fn change() -> impl Strategy<Value = Do> {
    let record = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        4 => record().prop_map(Do::Event),
        4 => (0..12_u8, record()).prop_map(|(key, record)| Do::Log(key, record)),
        6 => (0..12_u8).prop_map(Do::PutDue),
        6 => (0..12_u8).prop_map(Do::TakeDue),
        6 => (0..8_u8, any::<Option<u64>>()).prop_map(|(number, event)| Do::Park(number, event)),
        4 => (0..8_u8).prop_map(Do::Unpark),
        3 => (0..8_u8).prop_map(Do::Refill),
        3 => (0..12_u8).prop_map(Do::Read),
        1 => (0..12_u8, record()).prop_map(|(key, record)| Do::Rewrite(key, record)),
        1 => (0..12_u8).prop_map(Do::Remove),
        3 => (0..12_u8).prop_map(Do::LookAt),
        1 => (0..12_u8).prop_map(Do::RemoveLog),
        3 => (0..12_u8, record()).prop_map(|(key, record)| Do::Name(key, record)),
        3 => (0..12_u8).prop_map(Do::LookUp),
        1 => (0..5_u8).prop_map(Do::Look),
        4 => (0..4_u8, any::<u32>()).prop_map(|(place, micros)| Do::Mark(place, micros)),
    ]
}

const SLOW: EndpointNo = EndpointNo(7);

fn parked(number: u8) -> BacklogKey {
    backlog_key(SLOW, number.into())
}

/// Does the same to the tables and to the model.
fn apply(change: Do, tables: &mut Tables<'_>, model: &mut Rows) {
    match change {
        Do::Event(record) => {
            let key = model.next_event;
            model.next_event += 1;
            tables.append_event(EventKey(key), &record);
            model.events.insert(key, record);
        }
        Do::Log(key, record) => {
            tables.put_log([key; 14], &record);
            model.log.insert([key; 14], record);
        }
        Do::PutDue(key) => {
            // A delivery has one entry.
            if model.due.insert([key; 20]) {
                tables.put_due([key; 20]);
            }
        }
        Do::TakeDue(key) => assert_eq!(tables.take_due(&[key; 20]).unwrap(), model.due.remove(&[key; 20])),
        Do::Park(number, event) => {
            let (key, value) = (parked(number), event.map_or_else(Vec::new, |event| event.to_be_bytes().to_vec()));
            tables.put_backlog(key, &value);
            model.backlog.insert(key, value);
        }
        Do::Unpark(number) => {
            let key = parked(number);
            assert_eq!(tables.take_backlog(&key).unwrap(), model.backlog.remove(&key).is_some());
        }
        Do::Refill(after) => {
            let there = model.backlog.range(parked(after + 1)..).map(|(key, value)| {
                let (endpoint, number) = read_backlog_key(key);
                (number, waiting(endpoint, number, value))
            });
            assert_eq!(tables.backlog_past(SLOW, after.into(), 3).unwrap(), there.take(3).collect::<Vec<_>>());
        }
        Do::Rewrite(key, record) => {
            if let Some(old) = model.events.get_mut(&key.into()) {
                tables.event().unwrap().insert(u64::from(key), &*record).unwrap();
                *old = record;
            }
        }
        Do::Remove(key) => {
            tables.event().unwrap().remove(u64::from(key)).unwrap();
            model.events.remove(&key.into());
        }
        Do::LookAt(key) => {
            let found = tables.event_row(EventKey(key.into()), |record| Ok(record.to_vec())).unwrap();
            assert_eq!(found.as_ref(), model.events.get(&key.into()));
            let found = tables.log_row(&[key; 14], |record| Ok(record.to_vec())).unwrap();
            assert_eq!(found.as_ref(), model.log.get(&[key; 14]));
        }
        Do::RemoveLog(key) => {
            tables.log().unwrap().remove(&[key; 14]).unwrap();
            model.log.remove(&[key; 14]);
        }
        Do::Read(first) => {
            let mut found = Vec::new();
            // Two ascending runs, and some that were never there.
            let keys = (u64::from(first)..).step_by(2).take(4).chain(0..3).map(EventKey);
            let read = |key: u64, record: &[u8]| {
                found.push((key, record.to_vec()));
                Ok(())
            };
            tables.each_event(keys.clone().map(|key| (key, key.0)), read).unwrap();
            let there = keys.filter_map(|key| Some((key.0, model.events.get(&key.0)?.clone())));
            assert_eq!(found, there.collect::<Vec<_>>());
        }
        Do::Look(4) => assert_eq!(tables.backlog().unwrap().iter().unwrap().count(), model.backlog.len()),
        Do::Name(key, record) => {
            tables.put_name(&[key; 3], &record);
            tables.put_name_end([key; 16], &[key; 3]);
            model.names.insert(vec![key; 3], record);
            model.name_ends.insert([key; 16], vec![key; 3]);
        }
        Do::LookUp(key) => {
            assert_eq!(tables.named(&[key; 3], |record| Ok(record.to_vec())).unwrap(), model.names.get(&vec![key; 3]).cloned());
        }
        Do::Mark(place, micros) => {
            let (hour, endpoint) = (Hour(u32::from(place / 2)), EndpointNo(u32::from(place % 2)));
            let attempt = Some(Brought::status(u8::try_from(micros % 6).unwrap()));
            let mark = Mark { hour, endpoint, attempt, ended: (micros % 3 > 0).then_some(micros % 3 > 1), micros };
            tables.appended.current.put_mark(record::write_mark(&mark));
            model.tallies.entry(hour_key(hour, endpoint)).or_default().count(&mark);
        }
        Do::Look(3) => assert_eq!(tables.name().unwrap().iter().unwrap().count(), model.names.len()),
        Do::Look(0) => assert_eq!(tables.event().unwrap().iter().unwrap().count(), model.events.len()),
        Do::Look(1) => assert_eq!(tables.due().unwrap().iter().unwrap().count(), model.due.len()),
        Do::Look(_) => assert_eq!(tables.log().unwrap().iter().unwrap().count(), model.log.len()),
    }
}

fn rows(database: &Database, next_event: u64) -> Rows {
    let txn = database.begin_read().unwrap();
    let event = schema::read(&txn, EVENT).unwrap();
    let log = schema::read(&txn, LOG).unwrap();
    let due = schema::read(&txn, DUE).unwrap();
    let backlog = schema::read(&txn, BACKLOG).unwrap();
    let names = schema::read(&txn, NAME).unwrap();
    let name_ends = schema::read(&txn, NAME_END).unwrap();
    let tallies = schema::read(&txn, HOUR).unwrap();
    Rows {
        next_event,
        backlog: backlog.iter().unwrap().map(Result::unwrap).map(|(key, row)| (*key.value(), row.value().to_vec())).collect(),
        names: names
            .iter()
            .unwrap()
            .map(Result::unwrap)
            .map(|(name, row)| (name.value().to_vec(), row.value().to_vec()))
            .collect(),
        name_ends: name_ends.iter().unwrap().map(Result::unwrap).map(|(key, row)| (*key.value(), row.value().to_vec())).collect(),
        tallies: tallies
            .iter()
            .unwrap()
            .map(Result::unwrap)
            .map(|(key, row)| (*key.value(), record::read_tally(key.value(), row.value()).unwrap()))
            .collect(),
        events: event.iter().unwrap().map(Result::unwrap).map(|(key, row)| (key.value(), row.value().to_vec())).collect(),
        log: log.iter().unwrap().map(Result::unwrap).map(|(key, row)| (*key.value(), row.value().to_vec())).collect(),
        due: due.iter().unwrap().map(|row| *row.unwrap().0.value()).collect(),
    }
}

/// Puts all of it into the tables, and gives the bytes of all rows as they were counted.
fn settle(database: &Database, appended: Appended) -> u64 {
    let txn = Txn::of(database);
    let mut tables = Tables::of(&txn, appended);
    tables.settle().unwrap();
    while tables.flush(3).unwrap() {}
    let counted = tables.put_counters(&Counters::default(), 0).unwrap();
    drop(tables);
    txn.commit().unwrap();
    counted
}

/// What follows a batch that the journal may hold.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Then {
    Journal,
    /// A checkpoint of its own begins, when none is under way.
    Freeze,
    Tables,
}

fn then() -> impl Strategy<Value = Then> {
    prop_oneof![3 => Just(Then::Journal), 2 => Just(Then::Freeze), 1 => Just(Then::Tables)]
}

/// Makes a checkpoint as its thread does, some time later.
fn begin(database: &Arc<Database>, job: Job) {
    let database = database.clone();
    std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_millis(2));
        job.done.send(bring_in(&database, job.appended, job.number, job.index_rows)).unwrap();
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Batches that are journaled one after the other come into the tables at a checkpoint, and after a crash from the journal.
    #[test]
    fn what_is_journaled_comes_into_the_tables(
        batches in proptest::collection::vec((proptest::collection::vec(change(), 0..12), then()), 1..10),
        listed in 0..40_u64,
        index_rows in 0..8_usize,
        crash: bool,
    ) {
        let database = Arc::new(Database::builder().create_with_backend(InMemoryBackend::new()).unwrap());
        let txn = Txn::of(&database);
        create_all(&txn).unwrap();
        txn.commit().unwrap();
        let mut counters = Vec::new();
        record::write_counters(&[COUNTERS], &Counters::default(), &mut counters);
        let (mut model, mut appended, mut journal) = (Rows::default(), Appended::default(), Vec::new());
        let entries: Vec<Entry> = (0..listed).map(entry).collect();
        appended.start_flush(Flush::of(entries.clone(), listed));
        for (batch, then) in batches {
            let txn = Txn::of(&database);
            let to_tables;
            (appended, to_tables) = {
                let mut tables = Tables::of(&txn, appended);
                let before = model.clone();
                for change in batch {
                    apply(change, &mut tables, &mut model);
                }
                prop_assert!(tables.are_changed() || model == before, "a change would be left uncommitted");
                let to_tables = then == Then::Tables || tables.are_touched();
                if to_tables {
                    tables.settle().unwrap();
                    tables.put_counters(&Counters::default(), 0).unwrap();
                }
                (tables.appended, to_tables)
            };
            if to_tables {
                txn.commit().unwrap();
                appended.written();
                journal.clear();
                prop_assert_eq!(&rows(&database, model.next_event), &model);
                continue;
            }
            let mut changes = appended.take_current();
            changes.seal(Head { store: 0, run: 0, number: 0, upon: None }, &counters);
            journal.push(changes.bytes().to_vec());
            appended.journaled(changes);
            if then == Then::Freeze && !appended.is_frozen().unwrap() {
                begin(&database, appended.freeze(0, index_rows));
                // What is behind a checkpoint is all that a crash after it would find.
                journal.clear();
            }
        }
        appended.thaw().unwrap();
        if crash {
            appended = Appended::of(journal.iter().map(|bytes| Changes::read(bytes).unwrap().1).collect());
            appended.start_flush(Flush::of(entries.clone(), listed));
        }
        let counted = settle(&database, appended);
        prop_assert_eq!(counted, stored_bytes(&database.begin_read().unwrap()).unwrap());
        prop_assert_eq!(rows(&database, model.next_event), model);
        let listed: BTreeSet<IndexKey> = entries.iter().flat_map(Entry::rows).collect();
        prop_assert_eq!(index(&database), listed);
    }
}

/// Some of them are events, some deliveries of two webhooks.
fn entry(number: u64) -> Entry {
    match EndpointNo(u32::try_from(number % 3).unwrap()) {
        EndpointNo(0) => Entry::event(EventKey(number), TenantNo(1)),
        endpoint => Entry::delivery(DeliveryKey { event: EventKey(number), endpoint }, TenantNo(1)),
    }
}

/// The rows of the index.
fn index(database: &Database) -> BTreeSet<IndexKey> {
    let txn = database.begin_read().unwrap();
    txn.open_table(INDEX).unwrap().iter().unwrap().map(|row| *row.unwrap().0.value()).collect()
}
