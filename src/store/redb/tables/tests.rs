//! Batches over the journaled tables against plain maps: journaled, brought in beside, written at once, read by others meanwhile,
//! and found again after a crash.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use redb::backends::InMemoryBackend;
use redb::{Database, ReadTransaction, ReadableDatabase};

use super::index::Rows;
use super::*;
use crate::domain::delivery::tally::{Brought, Hour, Mark, Tally};
use crate::domain::id::{AttemptKey, DeliveryKey, EndpointNo, TenantNo};
use crate::domain::time::Timestamp;
use crate::store::record::key::{AttemptIndexKey, HourKey, IndexKey, hour_key};
use crate::store::redb::counted::stored_bytes;
use crate::store::redb::journal::checkpoint::bring_in;
use crate::store::redb::journal::entry::{Changes, Head};
use crate::store::redb::journal::item;
use crate::store::redb::journal::job::Job;
use crate::store::redb::journal::unflushed::{Unflushed, journaled};
use crate::store::redb::journaled_table::{Backlog, Due, Ended, Log, Name, NameEnd, Replay};
use crate::store::redb::schema::{ATTEMPT_INDEX, HOUR, INDEX};
use crate::store::shared::index_tail::{EndedAttempt, Entry, Flush, Indexed};

/// What a batch may do.
#[derive(Clone, Debug)]
enum Do {
    Put(item::Table, u8, Vec<u8>),
    Take(item::Table, u8),
    Find(item::Table, u8),
    /// The rows between two keys are read, at most so many. The keys themselves are among them, or are not.
    Range(item::Table, [(u8, bool); 2], usize),
    /// A row is removed, for which the batch goes into the tables.
    Remove(item::Table, u8),
    /// Some events are read in this order.
    ReadEvents(Vec<u8>),
    Mark(u8, u32),
}

/// What the tables hold.
#[derive(Clone, Debug, Default, PartialEq)]
struct Model {
    /// The rows of each journaled table.
    rows: [BTreeMap<Vec<u8>, Vec<u8>>; item::Table::ALL.len()],
    tallies: BTreeMap<HourKey, Tally>,
}

impl Model {
    fn of(&mut self, table: item::Table) -> &mut BTreeMap<Vec<u8>, Vec<u8>> {
        &mut self.rows[table as usize]
    }
}

fn change() -> impl Strategy<Value = Do> {
    let table = || select(&item::Table::ALL[..]);
    let value = || proptest::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        20 => (table(), 0..12_u8, value()).prop_map(|(table, key, value)| Do::Put(table, key, value)),
        12 => (table(), 0..12_u8).prop_map(|(table, key)| Do::Take(table, key)),
        12 => (table(), 0..12_u8).prop_map(|(table, key)| Do::Find(table, key)),
        6 => (table(), any::<[bool; 2]>(), 0..12_u8, 0..12_u8, 1..6_usize).prop_map(|(table, with, a, b, most)| {
            Do::Range(table, [(a.min(b), with[0] || a == b), (a.max(b), with[1] || a == b)], most)
        }),
        1 => (table(), 0..12_u8).prop_map(|(table, key)| Do::Remove(table, key)),
        3 => proptest::collection::vec(0..12_u8, 0..12).prop_map(Do::ReadEvents),
        4 => (0..4_u8, any::<u32>()).prop_map(|(place, micros)| Do::Mark(place, micros)),
    ]
}

/// Runs a macro for a table that is known by its name alone.
macro_rules! for_table {
    ($table:expr, $run:ident) => {
        match $table {
            item::Table::Event => $run!(Event),
            item::Table::Log => $run!(Log),
            item::Table::Due => $run!(Due),
            item::Table::Backlog => $run!(Backlog),
            item::Table::Name => $run!(Name),
            item::Table::NameEnd => $run!(NameEnd),
            item::Table::Ended => $run!(Ended),
            item::Table::Replay => $run!(Replay),
        }
    };
}

fn key(table: item::Table, key: u8) -> Vec<u8> {
    match table.form().key_bytes {
        // Some differ behind what most comparisons look at.
        Some(bytes) => [vec![key / 4; bytes - 1], vec![key]].concat(),
        // Some begin with others of them.
        None => vec![b'n'; usize::from(key) * 3],
    }
}

/// A key by its type.
fn key_of<K: ?Sized + FromBytes>(bytes: &[u8]) -> &K {
    K::from_bytes(bytes)
}

trait FromBytes {
    fn from_bytes(bytes: &[u8]) -> &Self;
}

impl FromBytes for [u8] {
    fn from_bytes(bytes: &[u8]) -> &Self {
        bytes
    }
}

impl<const N: usize> FromBytes for [u8; N] {
    fn from_bytes(bytes: &[u8]) -> &Self {
        bytes.try_into().unwrap()
    }
}

/// Does the same to the tables and to the model.
fn apply(change: Do, tables: &mut Tables<'_>, model: &mut Model) {
    match change {
        Do::Put(table, key_no, value) => {
            let (key, value) = (key(table, key_no), if table.form().has_values { value } else { Vec::new() });
            macro_rules! put {
                ($type:ident) => {
                    // A delivery has one entry: the due table is never given one that it has.
                    if !table.is_put_once() || !model.of(table).contains_key(&key) {
                        tables.put::<$type>(key_of(&key), &value);
                        model.of(table).insert(key, value);
                    }
                };
            }
            for_table!(table, put);
        }
        Do::Take(table, key_no) => {
            let key = key(table, key_no);
            macro_rules! take {
                ($type:ident) => {
                    tables.take::<$type>(key_of(&key)).unwrap()
                };
            }
            assert_eq!(for_table!(table, take), model.of(table).remove(&key).is_some());
        }
        Do::Find(table, key_no) => {
            let key = key(table, key_no);
            macro_rules! find {
                ($type:ident) => {
                    tables.row::<$type, _>(key_of(&key), |value| Ok(value.to_vec())).unwrap()
                };
            }
            assert_eq!(for_table!(table, find).as_ref(), model.of(table).get(&key));
        }
        Do::Range(table, [first, last], most) => {
            let [(first, with_first), (last, with_last)] = [first, last].map(|(key_no, with)| (key(table, key_no), with));
            let [first, last] = [(&first, with_first), (&last, with_last)]
                .map(|(key, with)| if with { Bound::Included(&**key) } else { Bound::Excluded(&**key) });
            let mut found = Vec::new();
            macro_rules! read {
                ($type:ident) => {
                    tables.each::<$type>((first.map(key_of), last.map(key_of)), |key, value| {
                        found.push((key_bytes::<$type>(&key), value.to_vec()));
                        Ok(found.len() < most)
                    })
                };
            }
            for_table!(table, read).unwrap();
            let there = model.of(table).range::<[u8], _>((first, last)).take(most);
            assert_eq!(found, there.map(|(key, value)| (key.clone(), value.clone())).collect::<Vec<_>>());
        }
        Do::Remove(table, key_no) => {
            let key = key(table, key_no);
            macro_rules! remove {
                ($type:ident) => {
                    tables.remove::<$type>(key_of(&key)).unwrap()
                };
            }
            for_table!(table, remove);
            model.of(table).remove(&key);
        }
        Do::ReadEvents(keys) => {
            let mut found = Vec::new();
            let keys = || keys.iter().map(|no| key(item::Table::Event, *no));
            let of = keys().map(|key| (EventKey(u64::of(&key)), key));
            let read = |key, record: &[u8]| {
                found.push((key, record.to_vec()));
                Ok(())
            };
            tables.each_event(of, read).unwrap();
            let there = keys().filter_map(|key| Some((key.clone(), model.of(item::Table::Event).get(&key)?.clone())));
            assert_eq!(found, there.collect::<Vec<_>>());
        }
        Do::Mark(place, micros) => {
            let (hour, endpoint) = (Hour(u32::from(place / 2)), EndpointNo(u32::from(place % 2)));
            let attempt = Some(Brought::status(u8::try_from(micros % 6).unwrap()));
            let mark = Mark { hour, endpoint, attempt, ended: (micros % 3 > 0).then_some(micros % 3 > 1), micros };
            tables.memtable.current.put_mark(record::write_mark(&mark));
            model.tallies.entry(hour_key(hour, endpoint)).or_default().count(&mark);
        }
    }
}

/// A key of a table as the journal has it.
fn key_bytes<T: Journaled>(key: &<T::K as Value>::SelfType<'_>) -> Vec<u8> {
    let mut bytes = T::K::as_bytes(key).as_ref().to_vec();
    if T::TABLE.is_appended() || T::TABLE == item::Table::Replay {
        // redb keeps a number little-endian.
        bytes.reverse();
    }
    bytes
}

/// All rows of the tables.
fn rows(database: &Database) -> Model {
    let txn = database.begin_read().unwrap();
    let mut model = Model::default();
    for table in item::Table::ALL {
        macro_rules! read {
            ($type:ident) => {
                all::<$type>(&txn)
            };
        }
        *model.of(table) = for_table!(table, read);
    }
    model.tallies = tallies(&txn);
    model
}

fn tallies(txn: &ReadTransaction) -> BTreeMap<HourKey, Tally> {
    let table = schema::read(txn, HOUR).unwrap();
    let rows = table.iter().unwrap().map(Result::unwrap);
    rows.map(|(key, row)| (*key.value(), record::read_tally(key.value(), row.value()).unwrap())).collect()
}

fn all<T: Journaled>(txn: &ReadTransaction) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let bytes = |(key, value): (AccessGuard<'_, T::K>, AccessGuard<'_, T::V>)| {
        (key_bytes::<T>(&key.value()), T::V::as_bytes(&value.value()).as_ref().to_vec())
    };
    schema::read(txn, T::DEFINITION).unwrap().iter().unwrap().map(|row| bytes(row.unwrap())).collect()
}

/// One look at the store, as readers have it, and what it must show for ever.
struct Look {
    unflushed: Unflushed,
    txn: ReadTransaction,
    shows: Model,
}

impl Look {
    fn now(unflushed: &Unflushed, database: &Database, model: &Model) -> Self {
        let txn = database.begin_read().unwrap();
        let unflushed = unflushed.clone().behind(journaled(&txn).unwrap());
        Self { unflushed, txn, shows: model.clone() }
    }

    fn check(mut self) {
        let mut tallies = tallies(&self.txn);
        for mark in self.unflushed.marks().map(|mark| record::read_mark(mark).unwrap()) {
            tallies.entry(hour_key(mark.hour, mark.endpoint)).or_default().count(&mark);
        }
        assert_eq!(tallies, self.shows.tallies);
        for table in item::Table::ALL {
            macro_rules! read {
                ($type:ident) => {
                    all::<$type>(&self.txn)
                };
            }
            let below = for_table!(table, read);
            for key in (0..12).map(|no| key(table, no)) {
                let seen = self.unflushed.find(table, &key).unwrap_or_else(|| below.get(&key).map(|value| &**value));
                assert_eq!(seen, self.shows.of(table).get(&key).map(|value| &**value), "{table:?} {key:?}");
            }
        }
    }
}

/// Puts all of it into the tables, and gives the bytes of all rows as they were counted.
fn flush(database: &Database, memtable: Memtable, index: &Rows) -> u64 {
    let txn = Txn::of(database);
    let mut tables = Tables::of(&txn, memtable);
    tables.flush().unwrap();
    while index.ended().is_none() {
        index.write(&mut tables, 3).unwrap();
    }
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

/// How all of it ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Stop,
    /// Memory is gone; the journal ends with an entry of which so much was written.
    Crash(Index),
    /// The same, and a checkpoint was under way that changed nothing.
    CrashInCheckpoint(Index),
}

fn end() -> impl Strategy<Value = End> {
    prop_oneof![Just(End::Stop), any::<Index>().prop_map(End::Crash), any::<Index>().prop_map(End::CrashInCheckpoint),]
}

/// Makes a checkpoint as its thread does, some time later.
fn begin(database: &Arc<Database>, job: Job) {
    let database = database.clone();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(2));
        job.done.send(bring_in(&database, job.unflushed, job.index)).unwrap();
    });
}

fn sealed(mut changes: Changes, number: u64) -> Changes {
    let mut counters = Vec::new();
    record::write_counters(&[COUNTERS], &Counters::default(), &mut counters);
    changes.seal(Head { store: 0, run: 0, number, upon: None }, &counters);
    changes
}

/// The changes that a start finds in a journal behind what the tables hold.
fn found(database: &Database, journal: &[Vec<u8>]) -> Vec<Changes> {
    let number = journaled(&database.begin_read().unwrap()).unwrap();
    let whole = journal.iter().filter_map(|bytes| Changes::read(bytes));
    whole.filter(|(head, _)| head.number > number).map(|(_, changes)| changes).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Batches that are journaled one after the other come into the tables at a checkpoint, and after a crash from the journal.
    #[test]
    fn journal_tables_and_readers_hold_what_maps_would(
        batches in proptest::collection::vec((proptest::collection::vec(change(), 0..14), then()), 1..10),
        listed in 0..40_u64,
        index_rows in 0..8_usize,
        end in end(),
    ) {
        let database = Arc::new(Database::builder().create_with_backend(InMemoryBackend::new()).unwrap());
        let txn = Txn::of(&database);
        create_all(&txn).unwrap();
        txn.commit().unwrap();
        let (mut model, mut memtable) = (Model::default(), Memtable::default());
        let (mut journal, mut looks) = (Vec::new(), Vec::new());
        let entries: Vec<Entry> = (0..listed).map(entry).collect();
        let ended: Vec<EndedAttempt> = (0..listed / 2).map(ended).collect();
        let flush_of_all = || Rows::of(Flush::new(entries.clone(), listed), Flush::new(ended.clone(), listed));
        let mut index = flush_of_all();
        for (number, (batch, then)) in (1..).zip(batches) {
            let txn = Txn::of(&database);
            let mut tables = Tables::of(&txn, memtable);
            let before = model.clone();
            for change in batch {
                apply(change, &mut tables, &mut model);
            }
            prop_assert!(tables.are_changed() || model == before, "a change would be left uncommitted");
            let to_tables = then == Then::Tables || tables.are_touched();
            if to_tables {
                tables.flush().unwrap();
                tables.put_counters(&Counters::default(), number).unwrap();
            }
            memtable = std::mem::take(&mut tables.memtable);
            drop(tables);
            if to_tables {
                txn.commit().unwrap();
                prop_assert!(memtable.unflushed.is_empty());
                prop_assert_eq!(&rows(&database), &model);
            } else {
                let changes = sealed(memtable.take_current(), number);
                journal.push(changes.bytes().to_vec());
                memtable.unflushed.push(number, changes);
            }
            looks.push(Look::now(&memtable.unflushed, &database, &model));
            memtable.thaw(false).unwrap();
            if !to_tables && then == Then::Freeze && !memtable.awaits_checkpoint() {
                begin(&database, Job { index: Some((index.clone(), index_rows)), ..memtable.freeze() });
            }
        }
        memtable.thaw(true).unwrap();
        if let End::Crash(cut) | End::CrashInCheckpoint(cut) = end {
            if matches!(end, End::CrashInCheckpoint(_)) {
                drop(memtable.freeze());
            }
            let mut unwritten = Changes::default();
            unwritten.change(item::Table::Log, (&key(item::Table::Log, 1), Some(b"answered to nobody")));
            let torn = sealed(unwritten, u64::MAX);
            journal.push(torn.bytes()[..cut.index(torn.bytes().len())].to_vec());
            let mut unflushed = Unflushed::default();
            (1..).zip(found(&database, &journal)).for_each(|(number, changes)| unflushed.push(number, changes));
            memtable = Memtable::of(unflushed);
            index = flush_of_all();
        }
        let counted = flush(&database, memtable, &index);
        prop_assert_eq!(counted, stored_bytes(&database.begin_read().unwrap()).unwrap());
        prop_assert_eq!(rows(&database), model);
        prop_assert_eq!(self::index(&database), entries.iter().flat_map(Indexed::rows).collect::<BTreeSet<_>>());
        prop_assert_eq!(attempts(&database), ended.iter().flat_map(Indexed::rows).collect::<BTreeSet<_>>());
        looks.into_iter().for_each(Look::check);
    }
}

/// Some of them are events, some deliveries of two webhooks.
fn entry(number: u64) -> Entry {
    match EndpointNo(u32::try_from(number % 3).unwrap()) {
        EndpointNo(0) => Entry::event(EventKey(number), TenantNo(1)),
        endpoint => Entry::delivery(DeliveryKey { event: EventKey(number), endpoint }, TenantNo(1)),
    }
}

/// Attempts of two webhooks.
fn ended(number: u64) -> EndedAttempt {
    let endpoint = EndpointNo(u32::try_from(number % 2).unwrap());
    let delivery = DeliveryKey { event: EventKey(number), endpoint };
    EndedAttempt {
        key: AttemptKey { started_at: Timestamp::from_micros(1_000 - number), delivery, number: 1 },
        owner: TenantNo(1),
    }
}

/// The rows of the index of attempts.
fn attempts(database: &Database) -> BTreeSet<AttemptIndexKey> {
    let txn = database.begin_read().unwrap();
    txn.open_table(ATTEMPT_INDEX).unwrap().iter().unwrap().map(|row| *row.unwrap().0.value()).collect()
}

/// Of the attempts that ended, those that the index holds are forgotten, some at a time.
#[test]
fn attempts_that_the_index_holds_are_forgotten_in_pieces() {
    let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
    let forgotten = |indexed: u64, most: usize| {
        let txn = Txn::of(&database);
        create_all(&txn).unwrap();
        let mut tables = Tables::of(&txn, Memtable::default());
        for number in 1..=40_u64 {
            tables.put::<Ended>(&number.to_be_bytes(), b"x");
        }
        tables.flush().unwrap();
        tables.forget_ended(indexed, most).unwrap();
        drop(tables);
        txn.commit().unwrap();
        all::<Ended>(&database.begin_read().unwrap()).len()
    };
    assert_eq!([forgotten(0, 100), forgotten(25, 10), forgotten(25, 100), forgotten(u64::MAX, 100)], [40, 30, 15, 0]);
}

/// The rows of the index.
fn index(database: &Database) -> BTreeSet<IndexKey> {
    let txn = database.begin_read().unwrap();
    txn.open_table(INDEX).unwrap().iter().unwrap().map(|row| *row.unwrap().0.value()).collect()
}
