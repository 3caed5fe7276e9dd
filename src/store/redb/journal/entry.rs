//! What one batch changed in the journaled tables, in the form in which the journal holds it.
//!
//! | part | bytes |
//! |---|---|
//! | head | length of all of it 4, CRC32C of what follows 4, `hwj2`, store 8, run 8, number 8, base 8, CRC32C of the entry before 4 |
//! | an item | tag of its table and of what was done (see `item`), key, value |
//! | what counts for statistics | `S`, mark 14 |
//! | the counters, last | `C`, length 4, record |
//!
//! A key has its table's length; where the table has none, the length stands before it in 4 bytes, as before each value. Numbers are
//! little-endian, keys as in the tables. Readers look into the same bytes until the tables have them. `hwj1`, of stores before
//! version 4, has neither base nor the checksum before; it is read and not written.

use std::num::NonZeroU32;

use super::item::{Change, Table};
use crate::store::record::key::MarkBytes;

/// The changes of one batch.
pub(in crate::store) struct Changes {
    bytes: Vec<u8>,
    /// The items of each table as they came; once sealed, in the order of their keys, and of several with one key the newest last.
    items: [Vec<Item>; Table::ALL.len()],
    /// As they came: each counts once.
    marks: Vec<MarkBytes>,
    counters: Span,
}

/// A record within the bytes. None ends at 0, for the head comes first; so an optional span takes no more room than a span.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Span {
    begin: u32,
    end: NonZeroU32,
}

/// One row that was put, or taken out.
#[derive(Clone, Copy)]
struct Item {
    /// What the key begins with, so that most comparisons look at no bytes elsewhere.
    prefix: u128,
    key: Span,
    /// `None`: the row was taken out.
    value: Option<Span>,
}

/// Whose changes these are, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Head {
    /// A number that the store drew and nobody else knows: no other store takes them in, and nothing that only looks like them,
    /// which a receiver might have answered.
    pub(in crate::store) store: u64,
    /// The run of the service that wrote them, which the tables name: what an earlier run left behind them in the file is not
    /// taken for theirs, nor what was written on a copy of the store.
    pub(in crate::store) run: u64,
    /// One more than that of the commit before, to the journal or to the tables.
    pub(in crate::store) number: u64,
    /// The state that they were made on; `None` in the form of stores before version 4.
    pub(in crate::store) upon: Option<Upon>,
}

/// The state that changes were made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Upon {
    /// The number of the last commit before them that went to the tables: all those between stand in the journal.
    pub(in crate::store) base: u64,
    /// The checksum of the changes that the run wrote to the journal before them; 0 for its first.
    pub(in crate::store) before: u32,
}

impl Default for Changes {
    fn default() -> Self {
        Self::with_room(0)
    }
}

/// Shows no bytes, since they hold events.
impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Changes({} events, {} bytes)", self.count(Table::Event), self.bytes.len())
    }
}

impl Changes {
    pub(in crate::store) fn with_room(bytes: usize) -> Self {
        let mut room = Vec::with_capacity(bytes.max(HEAD_BYTES));
        room.resize(HEAD_BYTES, 0);
        Self { bytes: room, items: Default::default(), marks: Vec::new(), counters: Span::new(HEAD_BYTES, HEAD_BYTES) }
    }

    /// Puts a row, and says where its value stands.
    #[inline]
    pub(in crate::store) fn put(&mut self, table: Table, key: &[u8], value: &[u8]) -> Span {
        let (key, value) = (self.begin_item(table, Change::Put, key), self.write(value, table.has_values()));
        self.items[table as usize].push(Item { value: Some(value), ..key });
        value
    }

    /// Takes a row out.
    #[inline]
    pub(in crate::store) fn take(&mut self, table: Table, key: &[u8]) {
        let item = self.begin_item(table, Change::Taken, key);
        self.items[table as usize].push(item);
    }

    pub(in crate::store) fn put_mark(&mut self, mark: MarkBytes) {
        self.bytes.push(MARK);
        self.bytes.extend_from_slice(&mark);
        self.marks.push(mark);
    }

    /// Completes the bytes, and returns their checksum. Nothing can be added any more.
    pub(in crate::store) fn seal(&mut self, head: Head, counters: &[u8]) -> u32 {
        self.bytes.push(COUNTERS);
        self.counters = self.write(counters, true);
        self.bytes.shrink_to_fit();
        self.sort();
        let len = position(self.bytes.len()).to_le_bytes();
        let upon = head.upon.unwrap_or(Upon { base: 0, before: 0 });
        self.bytes[..4].copy_from_slice(&len);
        self.bytes[8..12].copy_from_slice(&FORM);
        self.bytes[12..20].copy_from_slice(&head.store.to_le_bytes());
        self.bytes[20..28].copy_from_slice(&head.run.to_le_bytes());
        self.bytes[28..36].copy_from_slice(&head.number.to_le_bytes());
        self.bytes[36..44].copy_from_slice(&upon.base.to_le_bytes());
        self.bytes[44..HEAD_BYTES].copy_from_slice(&upon.before.to_le_bytes());
        let crc = crc32c::crc32c(&self.bytes[8..]);
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    /// Reads sealed changes from the start of `bytes`; `None` when these are none, or not whole.
    pub(in crate::store) fn read(bytes: &[u8]) -> Option<(Head, Self)> {
        let len = u32::from_le_bytes(*bytes.first_chunk()?);
        let bytes = bytes.get(..usize::try_from(len).ok()?)?;
        let mut rest = Reader { bytes, at: 4 };
        let crc = u32::from_le_bytes(rest.array()?);
        let checked = &bytes[rest.at..];
        let form = rest.array()?;
        if !(form == FORM || form == FIRST_FORM) || crc32c::crc32c(checked) != crc {
            return None;
        }
        let (store, run, number) = (rest.u64()?, rest.u64()?, rest.u64()?);
        let upon = if form == FORM { Some(Upon { base: rest.u64()?, before: u32::from_le_bytes(rest.array()?) }) } else { None };
        let mut changes = Self::default();
        while rest.at < bytes.len() {
            changes.read_item(&mut rest)?;
        }
        changes.bytes = bytes.to_vec();
        changes.sort();
        Some((Head { store, run, number, upon }, changes))
    }

    fn read_item(&mut self, rest: &mut Reader<'_>) -> Option<()> {
        let [tag] = rest.array()?;
        match tag {
            MARK => self.marks.push(rest.array()?),
            COUNTERS => self.counters = rest.counted()?,
            _ => {
                let (table, change) = Table::of_tag(tag)?;
                let key = if let Some(bytes) = table.key_bytes() { rest.span(bytes)? } else { rest.counted()? };
                let value = match change {
                    Change::Taken => None,
                    Change::Put => Some(if table.has_values() { rest.counted()? } else { rest.span(0)? }),
                };
                self.items[table as usize].push(Item { prefix: prefix(key.of(rest.bytes)), key, value });
            }
        }
        Some(())
    }

    /// Several sealed changes as one to look into, oldest first. No journal could hold them, and their marks are left out.
    pub(in crate::store) fn joined<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let mut joined = Self::default();
        for changes in all {
            let before = joined.bytes.len();
            joined.bytes.extend_from_slice(&changes.bytes);
            for (to, items) in joined.items.iter_mut().zip(&changes.items) {
                to.extend(items.iter().map(|item| item.moved(before)));
            }
        }
        joined.sort();
        joined
    }

    pub(in crate::store) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing was put or taken yet.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.bytes.len() <= HEAD_BYTES
    }

    /// The checksum of sealed changes.
    pub(in crate::store) fn checksum(&self) -> u32 {
        self.bytes.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
    }

    /// Whether they change nothing: a run writes such an entry first, to show that the journal is its own.
    pub(in crate::store) fn are_none(&self) -> bool {
        self.counters().is_empty()
    }

    pub(in crate::store) fn counters(&self) -> &[u8] {
        self.record(self.counters)
    }

    pub(in crate::store) fn marks(&self) -> &[MarkBytes] {
        &self.marks
    }

    pub(in crate::store) fn record(&self, span: Span) -> &[u8] {
        span.of(&self.bytes)
    }

    /// How many rows of a table were put or taken out.
    pub(in crate::store) fn count(&self, table: Table) -> usize {
        self.items[table as usize].len()
    }

    /// The changed rows of a table: each key, and where its value stands; `None`: the row was taken out.
    pub(in crate::store) fn items(&self, table: Table) -> impl Iterator<Item = (&[u8], Option<Span>)> {
        self.items[table as usize].iter().map(|item| (self.record(item.key), item.value))
    }

    /// What sealed changes did last with the row of `key`: the value that was put, or `Some(None)` when it was taken out.
    pub(in crate::store) fn find(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        let items = &self.items[table as usize];
        let prefix = prefix(key);
        let end = items.partition_point(|item| item.prefix < prefix || (item.prefix == prefix && self.record(item.key) <= key));
        let newest = items[..end].last().filter(|item| item.prefix == prefix && self.record(item.key) == key)?;
        Some(newest.value.map(|value| self.record(value)))
    }

    /// Writes the tag and key of an item. The item is one that takes its row out.
    #[inline]
    fn begin_item(&mut self, table: Table, change: Change, key: &[u8]) -> Item {
        self.bytes.push(table.tag(change));
        Item { prefix: prefix(key), key: self.write(key, table.key_bytes().is_none()), value: None }
    }

    /// Writes bytes, with their length before them where that is not known otherwise.
    #[inline]
    fn write(&mut self, bytes: &[u8], is_counted: bool) -> Span {
        if is_counted {
            self.bytes.extend_from_slice(&position(bytes.len()).to_le_bytes());
        }
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        Span::new(begin, self.bytes.len())
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        for items in &mut self.items {
            items.sort_by(|a, b| a.prefix.cmp(&b.prefix).then_with(|| a.key.of(bytes).cmp(b.key.of(bytes))));
        }
    }
}

impl Span {
    #[inline]
    fn new(begin: usize, end: usize) -> Self {
        Self { begin: position(begin), end: NonZeroU32::new(position(end)).expect("the head comes first") }
    }

    #[inline]
    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.begin as usize..self.end.get() as usize]
    }

    fn moved(self, by: usize) -> Self {
        Self::new(self.begin as usize + by, self.end.get() as usize + by)
    }
}

impl Item {
    fn moved(self, by: usize) -> Self {
        Self { key: self.key.moved(by), value: self.value.map(|value| value.moved(by)), ..self }
    }
}

/// The first bytes of a key as a number that sorts as they do.
#[inline]
fn prefix(key: &[u8]) -> u128 {
    if let Some(first) = key.first_chunk() {
        return u128::from_be_bytes(*first);
    }
    let mut bytes = [0; 16];
    bytes[..key.len()].copy_from_slice(key);
    u128::from_be_bytes(bytes)
}

/// Sealed bytes, and how far they were read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let found = *self.bytes.get(self.at..)?.first_chunk()?;
        self.at += N;
        Some(found)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn span(&mut self, bytes: usize) -> Option<Span> {
        let begin = self.at;
        self.at = begin.checked_add(bytes).filter(|end| *end <= self.bytes.len())?;
        Some(Span::new(begin, self.at))
    }

    /// A record behind its length.
    fn counted(&mut self) -> Option<Span> {
        let bytes = usize::try_from(u32::from_le_bytes(self.array()?)).ok()?;
        self.span(bytes)
    }
}

/// A length or position on disk. No batch comes near its bound: the inbox gives out few operations at a time.
fn position(bytes: usize) -> u32 {
    u32::try_from(bytes).expect("a batch is shorter than 4 GiB")
}

const HEAD_BYTES: usize = 48;

/// What the bytes are, and in which version.
const FORM: [u8; 4] = *b"hwj2";

/// The version before.
const FIRST_FORM: [u8; 4] = *b"hwj1";

const MARK: u8 = b'S';
const COUNTERS: u8 = b'C';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};

    use super::*;

    type Put = (Table, Vec<u8>, Option<Vec<u8>>);

    fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..most)
    }

    /// Keys of which some are the same and some begin with others.
    fn key(table: Table) -> impl Strategy<Value = Vec<u8>> {
        let free = table.key_bytes().map_or_else(|| (0..24_usize).boxed(), |bytes| Just(bytes).boxed());
        (free, 0..3_u8, any::<u8>()).prop_map(|(bytes, first, last)| {
            let mut key = vec![first; bytes];
            key.iter_mut().last().into_iter().for_each(|byte| *byte = last % 4);
            key
        })
    }

    fn changed() -> impl Strategy<Value = Put> {
        select(&Table::ALL[..]).prop_flat_map(|table| {
            let value = if table.has_values() { bytes(50).boxed() } else { Just(Vec::new()).boxed() };
            (Just(table), key(table), proptest::option::of(value))
        })
    }

    fn sealed(changed: &[Put], head: Head) -> Changes {
        let mut changes = Changes::with_room(0);
        for (table, key, value) in changed {
            match value {
                Some(value) => drop(changes.put(*table, key, value)),
                None => changes.take(*table, key),
            }
        }
        changes.seal(head, b"counters");
        changes
    }

    /// What was done last with a row.
    fn last<'a>(changed: &'a [Put], table: Table, key: &[u8]) -> Option<Option<&'a [u8]>> {
        let found = changed.iter().rev().find(|(of, known, _)| *of == table && *known == key)?;
        Some(found.2.as_deref())
    }

    /// A crash may leave a journal that a later build is to read: the form of one stays, or gets a name of its own.
    #[test]
    fn the_form_is_the_one_that_journals_have() {
        let put = |table, key: &[u8], value: &[u8]| (table, key.to_vec(), Some(value.to_vec()));
        let changed = [
            put(Table::Event, &0x0102_u64.to_be_bytes(), b"event"),
            put(Table::Log, &[1; 14], b"log"),
            put(Table::Due, &[2; 20], b""),
            (Table::Due, vec![3; 20], None),
            put(Table::Backlog, &[4; 12], b"parked"),
            (Table::Backlog, vec![5; 12], None),
            put(Table::Name, b"name", b"answer"),
            put(Table::NameEnd, &[6; 16], b"name"),
        ];
        let head = Head { store: 7, run: 8, number: 9, upon: Some(Upon { base: 5, before: 6 }) };
        let changes = sealed(&changed, head);
        let mut journals = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/journal.txt")).lines();
        let first = hex::decode(journals.next().unwrap()).unwrap();
        assert_eq!(hex::encode(changes.bytes()), journals.next().unwrap());
        for (bytes, head, rest) in [(&*first, Head { upon: None, ..head }, 36), (changes.bytes(), head, HEAD_BYTES)] {
            let (read_head, read) = Changes::read(bytes).unwrap();
            assert_eq!((read_head, &read.bytes()[rest..]), (head, &changes.bytes()[HEAD_BYTES..]));
            for (table, key, value) in &changed {
                assert_eq!(read.find(*table, key), Some(value.as_deref()), "{table:?}");
            }
        }
    }

    /// The same with what counts for statistics.
    #[test]
    fn the_form_of_a_mark_is_the_one_that_journals_have() {
        let mut changes = Changes::with_room(0);
        changes.put_mark([8; 14]);
        changes.put_mark([8; 14]);
        changes.seal(Head { store: 7, run: 8, number: 9, upon: Some(Upon { base: 5, before: 6 }) }, b"counters");
        let journal = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/journal.txt")).lines().nth(2).unwrap();
        assert_eq!(hex::encode(changes.bytes()), journal);
        let (_, read) = Changes::read(changes.bytes()).unwrap();
        assert_eq!(read.marks(), [[8; 14], [8; 14]]);
    }

    proptest! {
        #[test]
        fn sealed_changes_read_back(
            changed in proptest::collection::vec(changed(), 0..30),
            ids: (u64, u64, u64),
            behind in bytes(50),
        ) {
            let upon = Some(Upon { base: ids.0 / 2, before: 7 });
            let head = Head { store: ids.0, run: ids.1, number: ids.2, upon };
            let changes = sealed(&changed, head);
            let (read_head, read) = Changes::read(&[changes.bytes(), &behind].concat()).unwrap();
            prop_assert_eq!(read_head, head);
            prop_assert_eq!(read.bytes(), changes.bytes());
            prop_assert_eq!(read.counters(), b"counters");
            for table in Table::ALL {
                let row = |(key, value): (&[u8], Option<Span>)| (key.to_vec(), value.map(|span| read.record(span).to_vec()));
                let found: Vec<_> = read.items(table).map(row).collect();
                let theirs = changed.iter().filter(|(of, _, _)| *of == table).map(|(_, key, value)| (key.clone(), value.clone()));
                let mut expected: Vec<_> = theirs.collect();
                expected.sort_by(|a, b| a.0.cmp(&b.0));
                prop_assert_eq!(found, expected);
            }
        }

        #[test]
        fn the_newest_change_of_a_row_is_found_joined_or_not(
            batches in proptest::collection::vec(proptest::collection::vec(changed(), 0..20), 1..4),
            wanted in proptest::collection::vec(changed(), 0..10),
        ) {
            let head = Head { store: 1, run: 2, number: 3, upon: None };
            let apart: Vec<Changes> = batches.iter().map(|batch| sealed(batch, head)).collect();
            let joined = Changes::joined(apart.iter());
            let all = batches.concat();
            for (table, key, _) in all.iter().chain(&wanted) {
                prop_assert_eq!(joined.find(*table, key), last(&all, *table, key));
                prop_assert_eq!(apart[0].find(*table, key), last(&batches[0], *table, key));
            }
        }

        #[test]
        fn damaged_or_short_changes_are_none(at: Index, bit in 0..8_u8, cut: Index, junk in bytes(50)) {
            let changed = [
                (Table::Event, vec![5; 8], Some(b"one".to_vec())),
                (Table::Name, b"two".to_vec(), Some(b"three".to_vec())),
                (Table::Due, vec![9; 20], None),
            ];
            let whole = sealed(&changed, Head { store: 1, run: 2, number: 3, upon: None }).bytes().to_vec();
            prop_assert!(Changes::read(&whole[..cut.index(whole.len())]).is_none());
            let mut flipped = whole.clone();
            flipped[at.index(whole.len())] ^= 1 << bit;
            prop_assert!(Changes::read(&flipped).is_none());
            prop_assert!(Changes::read(&junk).is_none());
        }
    }
}
