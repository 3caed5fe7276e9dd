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
//! little-endian, keys as in the tables. The writer and readers look into the same bytes until the tables have them. `hwj1`, of
//! stores before version 4, has neither base nor the checksum before; it is read and not written.

use std::cmp::Ordering::{self, Equal, Less};
use std::ops::{Bound, Range, RangeBounds};

use super::item::{Row, Table, position, read_counted, write_counted};
use crate::store::record::key::MarkBytes;

/// The changes of one batch, or of several in the order of their commits.
pub(in crate::store) struct Changes {
    bytes: Vec<u8>,
    items: [Items; Table::ALL.len()],
    /// As they came: each counts once.
    marks: Vec<MarkBytes>,
    /// Where the record of the counters stands.
    counters: Range<usize>,
}

/// The items of one table.
#[derive(Default)]
struct Items {
    /// How many items at the front of `all` are sorted by prefix and key; of several with one key the newest is last. The items
    /// behind them are newer, in the order of their arrival.
    sorted: usize,
    all: Vec<Item>,
}

/// One row that was put, or taken out.
#[derive(Clone, Copy)]
struct Item {
    /// See [`prefix`]: most comparisons look at no bytes elsewhere.
    prefix: u128,
    /// Where the key begins and ends.
    key: (u32, u32),
    is_put: bool,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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

impl Changes {
    pub(in crate::store) fn with_room(bytes: usize) -> Self {
        let mut room = Vec::with_capacity(bytes.max(HEAD_BYTES));
        room.resize(HEAD_BYTES, 0);
        Self { bytes: room, items: Default::default(), marks: Vec::new(), counters: 0..0 }
    }

    /// Puts a row, or takes it out.
    #[inline]
    pub(in crate::store) fn change(&mut self, table: Table, row: Row<'_>) {
        let (items, item) = (&mut self.items[table as usize], Item::at(self.bytes.len(), table, row));
        table.write(row, &mut self.bytes);
        items.all.push(item);
        if items.all.len() - items.sorted > UNSORTED + items.sorted / UNSORTED_SHARE {
            items.sort(&self.bytes);
        }
    }

    pub(in crate::store) fn put_mark(&mut self, mark: MarkBytes) {
        self.bytes.push(MARK);
        self.bytes.extend_from_slice(&mark);
        self.marks.push(mark);
    }

    /// Completes the bytes, and returns their checksum. Nothing can be added any more.
    pub(in crate::store) fn seal(&mut self, head: Head, counters: &[u8]) -> u32 {
        self.bytes.push(COUNTERS);
        write_counted(counters, &mut self.bytes);
        self.counters = self.bytes.len() - counters.len()..self.bytes.len();
        self.bytes.shrink_to_fit();
        self.sort_all();
        let len = position(self.bytes.len()).to_le_bytes();
        let upon = head.upon.unwrap_or_default();
        self.bytes[..4].copy_from_slice(&len);
        self.bytes[8..12].copy_from_slice(&FORM);
        for (place, number) in self.bytes[12..44].chunks_exact_mut(8).zip([head.store, head.run, head.number, upon.base]) {
            place.copy_from_slice(&number.to_le_bytes());
        }
        self.bytes[44..HEAD_BYTES].copy_from_slice(&upon.before.to_le_bytes());
        let crc = crc32c::crc32c(&self.bytes[8..]);
        self.bytes[4..8].copy_from_slice(&crc.to_le_bytes());
        crc
    }

    /// Reads sealed changes from the start of `bytes`; `None` when these are none, or not whole.
    pub(in crate::store) fn read(bytes: &[u8]) -> Option<(Head, Self)> {
        let len = u32::from_le_bytes(*bytes.first_chunk()?);
        let bytes = bytes.get(..usize::try_from(len).ok()?)?;
        let rest = &mut bytes.get(4..)?;
        let (crc, checked) = (u32::from_le_bytes(array(rest)?), *rest);
        let form = array(rest)?;
        if !(form == FORM || form == FIRST_FORM) || crc32c::crc32c(checked) != crc {
            return None;
        }
        let [store, run, number] = [u64_of(rest)?, u64_of(rest)?, u64_of(rest)?];
        let upon = if form == FORM { Some(Upon { base: u64_of(rest)?, before: u32::from_le_bytes(array(rest)?) }) } else { None };
        let mut changes = Self { bytes: bytes.to_vec(), ..Self::default() };
        while let Some(tag) = rest.first() {
            changes.read_item(*tag, rest)?;
        }
        changes.sort_all();
        Some((Head { store, run, number, upon }, changes))
    }

    /// Notes what `rest`, the last of the bytes, begins with.
    fn read_item(&mut self, tag: u8, rest: &mut &[u8]) -> Option<()> {
        let at = self.bytes.len() - rest.len();
        if let Some(table) = Table::of_tag(tag) {
            let row = table.read(rest)?;
            self.items[table as usize].all.push(Item::at(at, table, row));
            return Some(());
        }
        rest.split_off_first()?;
        match tag {
            MARK => self.marks.push(array(rest)?),
            COUNTERS => {
                let (begin, record) = (at + 1 + size_of::<u32>(), read_counted(rest)?);
                self.counters = begin..begin + record.len();
            }
            _ => return None,
        }
        Some(())
    }

    /// Several as one, oldest first. No journal could hold them.
    pub(in crate::store) fn joined<'a>(all: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let mut joined = Self::with_room(HEAD_BYTES + all.clone().map(|changes| changes.bytes.len()).sum::<usize>());
        for changes in all.filter(|changes| !changes.is_empty()) {
            let before = joined.bytes.len();
            joined.bytes.extend_from_slice(&changes.bytes);
            for (to, items) in joined.items.iter_mut().zip(&changes.items) {
                to.all.extend(items.all.iter().map(|item| item.moved(position(before))));
            }
            joined.marks.extend_from_slice(&changes.marks);
            joined.counters = before + changes.counters.start..before + changes.counters.end;
        }
        joined.sort_all();
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
        self.counters.is_empty()
    }

    pub(in crate::store) fn counters(&self) -> &[u8] {
        &self.bytes[self.counters.clone()]
    }

    pub(in crate::store) fn marks(&self) -> &[MarkBytes] {
        &self.marks
    }

    /// How many rows of a table were put or taken out.
    pub(in crate::store) fn count(&self, table: Table) -> usize {
        self.items[table as usize].all.len()
    }

    /// All changes of a table, those of one row oldest first.
    pub(in crate::store) fn rows(&self, table: Table) -> impl Iterator<Item = Row<'_>> {
        self.items[table as usize].all.iter().map(move |item| item.row(table, &self.bytes))
    }

    /// The newest change of each row of a table from `first` on, in the order of the keys; the items are sorted. Of a row that the
    /// table need not hear of there is none. Nobody reads what comes behind `last`, so it may be left out.
    pub(in crate::store) fn newest<'a>(
        &'a self,
        table: Table,
        first: Bound<&[u8]>,
        last: Bound<&[u8]>,
    ) -> Box<dyn Iterator<Item = Row<'a>> + 'a> {
        let items = &self.items[table as usize];
        if table.form().key_bytes.is_some() {
            return Box::new(self.newest_of(table, &items.all[items.count_before(table, &self.bytes, first)..]));
        }
        let is_wanted = |row: &Row<'_>| RangeBounds::<[u8]>::contains(&(first, last), row.0);
        let mut rows: Vec<_> = self.newest_of(table, &items.all).filter(is_wanted).collect();
        rows.sort_unstable();
        Box::new(rows.into_iter())
    }

    fn newest_of<'a>(&'a self, table: Table, items: &'a [Item]) -> impl Iterator<Item = Row<'a>> {
        let bytes = &*self.bytes;
        let is_one_row = move |a: &Item, b: &Item| a.order(bytes, b.prefix, b.key(bytes)) == Equal;
        items.chunk_by(is_one_row).filter_map(move |changes| {
            let (first, last) = (changes.first()?.row(table, bytes), changes.last()?.row(table, bytes));
            let is_over = table.is_put_once() && first.1.is_some() && last.1.is_none();
            (!is_over).then_some(last)
        })
    }

    /// What was done last with the row of `key`: the value that was put, or `Some(None)` when it was taken out.
    pub(in crate::store) fn find(&self, table: Table, key: &[u8]) -> Option<Option<&[u8]>> {
        let (bytes, items, wanted) = (&*self.bytes, &self.items[table as usize], prefix(table, key));
        let is_its = |item: &&Item| item.order(bytes, wanted, key) == Equal;
        let (sorted, unsorted) = items.all.split_at(items.sorted);
        let newest = unsorted.iter().rev().find(is_its).or_else(|| {
            // Most changes are of a time of their own.
            let may_be = sorted.first()?.prefix <= wanted && wanted <= sorted.last()?.prefix;
            let end = if may_be { items.count_before(table, bytes, Bound::Excluded(key)) } else { 0 };
            sorted[..end].last().filter(is_its)
        });
        Some(newest?.row(table, bytes).1)
    }

    /// Brings the items of a table into the order of their keys.
    pub(in crate::store) fn sort(&mut self, table: Table) {
        self.items[table as usize].sort(&self.bytes);
    }

    fn sort_all(&mut self) {
        Table::ALL.into_iter().for_each(|table| self.sort(table));
    }
}

impl Items {
    fn sort(&mut self, bytes: &[u8]) {
        if self.sorted < self.all.len() {
            self.all.sort_by(|a, b| a.order(bytes, b.prefix, b.key(bytes)));
            self.sorted = self.all.len();
        }
    }

    /// How many of those that are in order stand before the ones from `first` on.
    fn count_before(&self, table: Table, bytes: &[u8], first: Bound<&[u8]>) -> usize {
        let (key, most) = match first {
            Bound::Unbounded => return 0,
            Bound::Included(key) => (key, Less),
            Bound::Excluded(key) => (key, Equal),
        };
        let wanted = prefix(table, key);
        self.all[..self.sorted].partition_point(|item| item.order(bytes, wanted, key) <= most)
    }
}

impl Item {
    #[inline]
    fn at(at: usize, table: Table, (key, value): Row<'_>) -> Self {
        let len_bytes = if table.form().key_bytes.is_none() { size_of::<u32>() } else { 0 };
        let begin = position(at + 1 + len_bytes);
        Self { prefix: prefix(table, key), key: (begin, begin + position(key.len())), is_put: value.is_some() }
    }

    fn moved(self, by: u32) -> Self {
        Self { key: (self.key.0 + by, self.key.1 + by), ..self }
    }

    #[inline]
    fn key(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.key.0 as usize..self.key.1 as usize]
    }

    /// How its key stands to another, which has this prefix.
    #[inline]
    fn order(self, bytes: &[u8], prefix: u128, key: &[u8]) -> Ordering {
        self.prefix.cmp(&prefix).then_with(|| self.key(bytes).cmp(key))
    }

    fn row(self, table: Table, bytes: &[u8]) -> Row<'_> {
        let value = self.is_put.then(|| table.read_value(&mut &bytes[self.key.1 as usize..]));
        (self.key(bytes), value.map(|value| value.expect("an item is noted when it is whole")))
    }
}

/// The first bytes of a key as a number that sorts as they do. For a table whose keys vary in length, a checksum of the key,
/// since such keys mostly begin alike.
#[inline]
fn prefix(table: Table, key: &[u8]) -> u128 {
    if table.form().key_bytes.is_none() {
        return crc32c::crc32c(key).into();
    }
    let mut bytes = [0; 16];
    let len = key.len().min(bytes.len());
    bytes[..len].copy_from_slice(&key[..len]);
    u128::from_be_bytes(bytes)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    rest.split_off(..N)?.first_chunk().copied()
}

fn u64_of(rest: &mut &[u8]) -> Option<u64> {
    array(rest).map(u64::from_le_bytes)
}

const HEAD_BYTES: usize = 48;

/// Items of a table that a look-up goes through one by one at most, but for a share of those that are in order: so each is moved
/// some 17 times, however many come.
const UNSORTED: usize = 32;
const UNSORTED_SHARE: usize = 16;

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
        let free = table.form().key_bytes.map_or_else(|| (0..24_usize).boxed(), |bytes| Just(bytes).boxed());
        (free, 0..3_u8, any::<u8>()).prop_map(|(bytes, first, last)| {
            let mut key = vec![first; bytes];
            key.iter_mut().last().into_iter().for_each(|byte| *byte = last % 4);
            key
        })
    }

    fn changed() -> impl Strategy<Value = Put> {
        select(&Table::ALL[..]).prop_flat_map(|table| {
            let value = if table.form().has_values { bytes(50).boxed() } else { Just(Vec::new()).boxed() };
            (Just(table), key(table), proptest::option::of(value))
        })
    }

    fn sealed(changed: &[Put], head: Head) -> Changes {
        let mut changes = Changes::with_room(0);
        for (table, key, value) in changed {
            changes.change(*table, (key, value.as_deref()));
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
            first in bytes(3),
        ) {
            let upon = Some(Upon { base: ids.0 / 2, before: 7 });
            let head = Head { store: ids.0, run: ids.1, number: ids.2, upon };
            let changes = sealed(&changed, head);
            let (read_head, read) = Changes::read(&[changes.bytes(), &behind].concat()).unwrap();
            prop_assert_eq!(read_head, head);
            prop_assert_eq!(read.bytes(), changes.bytes());
            prop_assert_eq!(read.counters(), b"counters");
            for table in Table::ALL {
                let owned = |(key, value): Row<'_>| (key.to_vec(), value.map(<[u8]>::to_vec));
                let theirs = changed.iter().filter(|(of, _, _)| *of == table).map(|(_, key, value)| (key.clone(), value.clone()));
                let [mut found, mut expected]: [Vec<_>; 2] = [read.rows(table).map(owned).collect(), theirs.collect()];
                [&mut found, &mut expected].into_iter().for_each(|rows| rows.sort_by(|a, b| a.0.cmp(&b.0)));
                prop_assert_eq!(&found, &expected);
                let is_over = |rows: &[(Vec<u8>, Option<Vec<u8>>)]| {
                    table == Table::Due && rows[0].1.is_some() && rows[rows.len() - 1].1.is_none()
                };
                let rows = expected.chunk_by(|a, b| a.0 == b.0).filter(|rows| !is_over(rows) && rows[0].0 >= first);
                let newest: Vec<_> = rows.map(|rows| rows[rows.len() - 1].clone()).collect();
                prop_assert_eq!(read.newest(table, Bound::Included(&first), Bound::Unbounded).map(owned).collect::<Vec<_>>(), newest);
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
