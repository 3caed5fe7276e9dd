//! What one batch changed in the tables of the hot path, in the form in which the journal holds it.
//!
//! | part | bytes |
//! |---|---|
//! | head | length of all of it 4, CRC32C of what follows 4, `hwj2`, store 8, run 8, number 8, base 8, CRC32C of the entry before 4 |
//! | an event | `E`, key 8, length 4, record |
//! | a row of the log | `L`, key 14, length 4, record |
//! | a due entry put, or taken out | `D` or `T`, key 20 |
//! | a backlog entry put | `B`, key 12, length 4, value |
//! | a backlog entry taken out | `b`, key 12 |
//! | a name | `N`, length 4, key, length 4, record |
//! | a name's end | `X`, key 16, length 4, the name's key |
//! | what counts for statistics | `S`, mark 14 |
//! | the counters, last | `C`, length 4, record |
//!
//! Numbers are little-endian, keys as in the tables. Readers look into the same bytes until the tables have them. `hwj1`, of stores
//! before version 4, has neither base nor the checksum before; it is read and not written.

use crate::store::redb::schema::{BacklogKey, DueKey, LogKey, MarkBytes, TimeKey};

/// The changes of one batch.
pub(in crate::store) struct Changes {
    bytes: Vec<u8>,
    /// In order of their keys.
    events: Vec<(u64, Span)>,
    /// As they came; once sealed, in order of their keys, of two with one key the newer last.
    log: Vec<(LogKey, Span)>,
    /// The same.
    due: Vec<(DueKey, Due)>,
    /// The same; of one that was put, its value.
    backlog: Vec<(BacklogKey, Option<Span>)>,
    /// The same, by their keys.
    names: Vec<(Span, Span)>,
    name_ends: Vec<(TimeKey, Span)>,
    /// As they came: each counts once.
    marks: Vec<MarkBytes>,
    counters: Span,
}

/// A record within the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Span {
    begin: usize,
    end: usize,
}

/// What was done with a due entry, or one of a backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Due {
    Put,
    Taken,
}

/// Whose changes these are, and which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Head {
    /// A number that the store drew and nobody else knows: no other store takes them in, and nothing that only looks like them,
    /// which a receiver might have answered.
    pub(in crate::store) store: u64,
    /// Of the run of the service that wrote them, which the tables name: what an earlier one left behind them in the file is not
    /// taken for theirs, nor what was written on a copy of the store.
    pub(in crate::store) run: u64,
    /// One more than that of the commit before, to the journal or to the tables.
    pub(in crate::store) number: u64,
    /// What they were made on; `None` in the form of stores before version 4.
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

/// What they hold are events.
impl std::fmt::Debug for Changes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Changes({} events, {} bytes)", self.events.len(), self.bytes.len())
    }
}

impl Changes {
    pub(in crate::store) fn with_room(bytes: usize) -> Self {
        let mut room = Vec::with_capacity(bytes.max(HEAD_BYTES));
        room.resize(HEAD_BYTES, 0);
        let (events, log, due, backlog, names, name_ends, marks, counters) = Default::default();
        Self { bytes: room, events, log, due, backlog, names, name_ends, marks, counters }
    }

    /// Adds an event that is newer than all others.
    pub(in crate::store) fn put_event(&mut self, key: u64, record: &[u8]) -> Span {
        let span = self.put(EVENT, &key.to_be_bytes(), record);
        self.events.push((key, span));
        span
    }

    pub(in crate::store) fn put_log(&mut self, key: LogKey, record: &[u8]) -> Span {
        let span = self.put(LOG, &key, record);
        self.log.push((key, span));
        span
    }

    pub(in crate::store) fn put_due(&mut self, key: DueKey) {
        self.change_due(DUE_PUT, key, Due::Put);
    }

    pub(in crate::store) fn take_due(&mut self, key: DueKey) {
        self.change_due(DUE_TAKEN, key, Due::Taken);
    }

    pub(in crate::store) fn put_backlog(&mut self, key: BacklogKey, value: &[u8]) {
        let span = self.put(BACKLOG_PUT, &key, value);
        self.backlog.push((key, Some(span)));
    }

    pub(in crate::store) fn take_backlog(&mut self, key: BacklogKey) {
        self.bytes.push(BACKLOG_TAKEN);
        self.bytes.extend_from_slice(&key);
        self.backlog.push((key, None));
    }

    pub(in crate::store) fn put_name(&mut self, name: &[u8], record: &[u8]) {
        let name = self.put(NAME, &[], name);
        let record = self.put_record(record);
        self.names.push((name, record));
    }

    pub(in crate::store) fn put_name_end(&mut self, key: TimeKey, name: &[u8]) {
        let span = self.put(NAME_END, &key, name);
        self.name_ends.push((key, span));
    }

    pub(in crate::store) fn put_mark(&mut self, mark: MarkBytes) {
        self.bytes.push(MARK);
        self.bytes.extend_from_slice(&mark);
        self.marks.push(mark);
    }

    /// Completes the bytes: nothing can be added any more. Gives their checksum.
    pub(in crate::store) fn seal(&mut self, head: Head, counters: &[u8]) -> u32 {
        self.counters = self.put(COUNTERS, &[], counters);
        self.bytes.shrink_to_fit();
        self.sort();
        let len = length(self.bytes.len());
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
        let mut head = Reader(bytes);
        let len = head.u32()?;
        let bytes = bytes.get(..len)?;
        let mut rest = Reader(bytes.get(4..)?);
        let crc = u32::from_le_bytes(rest.array()?);
        let is_first_form = rest.0.starts_with(&FIRST_FORM);
        if !(is_first_form || rest.0.starts_with(&FORM)) || crc32c::crc32c(rest.0) != crc {
            return None;
        }
        rest.array::<4>()?;
        let (store, run, number) = (rest.u64()?, rest.u64()?, rest.u64()?);
        let upon = if is_first_form { None } else { Some(Upon { base: rest.u64()?, before: rest.u32_le()? }) };
        let head = Head { store, run, number, upon };
        let mut changes = Self::default();
        while !rest.0.is_empty() {
            changes.read_one(&mut rest, len)?;
        }
        changes.bytes = bytes.to_vec();
        changes.sort();
        Some((head, changes))
    }

    fn read_one(&mut self, rest: &mut Reader<'_>, len: usize) -> Option<()> {
        let [tag] = rest.array()?;
        match tag {
            EVENT => self.events.push((u64::from_be_bytes(rest.array()?), rest.span(len)?)),
            LOG => self.log.push((rest.array()?, rest.span(len)?)),
            DUE_PUT => self.due.push((rest.array()?, Due::Put)),
            BACKLOG_PUT => self.backlog.push((rest.array()?, Some(rest.span(len)?))),
            BACKLOG_TAKEN => self.backlog.push((rest.array()?, None)),
            NAME => self.names.push((rest.span(len)?, rest.span(len)?)),
            NAME_END => self.name_ends.push((rest.array()?, rest.span(len)?)),
            DUE_TAKEN => self.due.push((rest.array()?, Due::Taken)),
            MARK => self.marks.push(rest.array()?),
            COUNTERS => self.counters = rest.span(len)?,
            _ => return None,
        }
        Some(())
    }

    /// Several sealed ones as one to look into, oldest first. It is none that a journal could hold, and what counts once is not in it.
    pub(in crate::store) fn joined<'a>(all: impl Iterator<Item = &'a Self>) -> Self {
        let mut joined = Self::default();
        for changes in all {
            joined.join(changes);
        }
        joined.sort();
        joined
    }

    fn join(&mut self, later: &Self) {
        let before = self.bytes.len();
        let moved = |span: Span| Span { begin: before + span.begin, end: before + span.end };
        self.bytes.extend_from_slice(&later.bytes);
        self.events.extend(later.events.iter().map(|(key, record)| (*key, moved(*record))));
        self.log.extend(later.log.iter().map(|(key, record)| (*key, moved(*record))));
        self.due.extend_from_slice(&later.due);
        self.backlog.extend(later.backlog.iter().map(|(key, value)| (*key, value.map(moved))));
        self.names.extend(later.names.iter().map(|(name, record)| (moved(*name), moved(*record))));
        self.name_ends.extend(later.name_ends.iter().map(|(key, name)| (*key, moved(*name))));
        self.counters = moved(later.counters);
    }

    pub(in crate::store) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether nothing was put or taken yet.
    pub(in crate::store) fn is_empty(&self) -> bool {
        self.bytes.len() <= HEAD_BYTES
    }

    /// Of sealed changes.
    pub(in crate::store) fn checksum(&self) -> u32 {
        self.bytes.get(4..8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_le_bytes)
    }

    /// Whether they change nothing: what a run writes first, to show that the journal is its own.
    pub(in crate::store) fn are_none(&self) -> bool {
        self.counters.begin == self.counters.end
    }

    pub(in crate::store) fn record(&self, span: Span) -> &[u8] {
        &self.bytes[span.begin..span.end]
    }

    pub(in crate::store) fn counters(&self) -> &[u8] {
        self.record(self.counters)
    }

    pub(in crate::store) fn events(&self) -> &[(u64, Span)] {
        &self.events
    }

    pub(in crate::store) fn log(&self) -> &[(LogKey, Span)] {
        &self.log
    }

    pub(in crate::store) fn due(&self) -> &[(DueKey, Due)] {
        &self.due
    }

    /// Entries with their values, those that were taken out without.
    pub(in crate::store) fn backlog(&self) -> impl Iterator<Item = (BacklogKey, Option<&[u8]>)> {
        self.backlog.iter().map(|(key, value)| (*key, value.map(|span| self.record(span))))
    }

    /// What sealed changes did last with a backlog entry.
    pub(in crate::store) fn backlog_entry(&self, key: &BacklogKey) -> Option<Due> {
        newest(&self.backlog, key).map(|value| if value.is_some() { Due::Put } else { Due::Taken })
    }

    pub(in crate::store) fn names(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.names.iter().map(|(name, record)| (self.record(*name), self.record(*record)))
    }

    pub(in crate::store) fn name_ends(&self) -> impl Iterator<Item = (TimeKey, &[u8])> {
        self.name_ends.iter().map(|(key, name)| (*key, self.record(*name)))
    }

    pub(in crate::store) fn marks(&self) -> &[MarkBytes] {
        &self.marks
    }

    /// Of sealed changes.
    pub(in crate::store) fn named(&self, name: &[u8]) -> Option<&[u8]> {
        let end = self.names.partition_point(|(known, _)| self.record(*known) <= name);
        let (known, record) = self.names[..end].last()?;
        (self.record(*known) == name).then(|| self.record(*record))
    }

    /// Of sealed changes.
    pub(in crate::store) fn event(&self, key: u64) -> Option<&[u8]> {
        newest(&self.events, &key).map(|span| self.record(*span))
    }

    /// Of sealed changes.
    pub(in crate::store) fn log_row(&self, key: &LogKey) -> Option<&[u8]> {
        newest(&self.log, key).map(|span| self.record(*span))
    }

    /// What sealed changes did last with a due entry.
    pub(in crate::store) fn due_entry(&self, key: &DueKey) -> Option<Due> {
        newest(&self.due, key).copied()
    }

    fn put(&mut self, tag: u8, key: &[u8], record: &[u8]) -> Span {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(key);
        self.put_record(record)
    }

    fn put_record(&mut self, record: &[u8]) -> Span {
        self.bytes.extend_from_slice(&length(record.len()));
        let begin = self.bytes.len();
        self.bytes.extend_from_slice(record);
        Span { begin, end: self.bytes.len() }
    }

    fn sort(&mut self) {
        self.log.sort_by_key(|(key, _)| *key);
        self.due.sort_by_key(|(key, _)| *key);
        self.backlog.sort_by_key(|(key, _)| *key);
        let (bytes, key) = (&self.bytes, |span: &Span| span.begin..span.end);
        self.names.sort_by(|(a, _), (b, _)| bytes[key(a)].cmp(&bytes[key(b)]));
    }

    fn change_due(&mut self, tag: u8, key: DueKey, due: Due) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&key);
        self.due.push((key, due));
    }
}

/// Of what is in order of its keys, the last with this one.
fn newest<'a, K: Ord, V>(rows: &'a [(K, V)], key: &K) -> Option<&'a V> {
    let end = rows.partition_point(|(row, _)| row <= key);
    rows[..end].last().filter(|(row, _)| row == key).map(|(_, value)| value)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*first)
    }

    fn u32(&mut self) -> Option<usize> {
        usize::try_from(self.u32_le()?).ok()
    }

    fn u32_le(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A record behind its length, in bytes of which so many are there with what was read before.
    fn span(&mut self, len: usize) -> Option<Span> {
        let size = self.u32()?;
        let begin = len - self.0.len();
        self.0 = self.0.get(size..)?;
        Some(Span { begin, end: begin + size })
    }
}

/// A length on disk. No batch comes near its bound: the inbox gives out few at a time.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).expect("a batch is shorter than 4 GiB").to_le_bytes()
}

const HEAD_BYTES: usize = 48;

/// What the bytes are, and in which version.
const FORM: [u8; 4] = *b"hwj2";

/// The version before.
const FIRST_FORM: [u8; 4] = *b"hwj1";

const EVENT: u8 = b'E';
const LOG: u8 = b'L';
const DUE_PUT: u8 = b'D';
const DUE_TAKEN: u8 = b'T';
const BACKLOG_PUT: u8 = b'B';
const BACKLOG_TAKEN: u8 = b'b';
const NAME: u8 = b'N';
const NAME_END: u8 = b'X';
const MARK: u8 = b'S';
const COUNTERS: u8 = b'C';

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    type Row<K> = (K, Vec<u8>);

    fn record() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..50)
    }

    fn sealed(events: &[Row<u64>], log: &[Row<LogKey>], due: &[(DueKey, bool)], head: Head) -> Changes {
        let mut changes = Changes::with_room(0);
        for (key, record) in events {
            changes.put_event(*key, record);
        }
        for (key, record) in log {
            changes.put_log(*key, record);
        }
        for (key, put) in due {
            if *put { changes.put_due(*key) } else { changes.take_due(*key) }
        }
        changes.seal(head, b"counters");
        changes
    }

    /// A crash may leave a journal that a later build is to read: the form of one stays, or gets a name of its own.
    #[test]
    fn the_form_is_the_one_that_journals_have() {
        let mut changes = Changes::with_room(0);
        changes.put_event(0x0102, b"event");
        changes.put_log([1; 14], b"log");
        changes.put_due([2; 20]);
        changes.take_due([3; 20]);
        changes.put_backlog([4; 12], b"parked");
        changes.take_backlog([5; 12]);
        changes.put_name(b"name", b"answer");
        changes.put_name_end([6; 16], b"name");
        changes.seal(Head { store: 7, run: 8, number: 9, upon: Some(Upon { base: 5, before: 6 }) }, b"counters");
        let mut journals = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/journal.txt")).lines();
        let first = hex::decode(journals.next().unwrap()).unwrap();
        assert_eq!(hex::encode(changes.bytes()), journals.next().unwrap());
        let (head, read) = Changes::read(&first).unwrap();
        assert_eq!(
            (head, &read.bytes()[36..]),
            (Head { store: 7, run: 8, number: 9, upon: None }, &changes.bytes()[HEAD_BYTES..])
        );
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
            events in proptest::collection::vec((any::<u64>(), record()), 0..5),
            log in proptest::collection::vec((any::<LogKey>(), record()), 0..5),
            due in proptest::collection::vec((any::<DueKey>(), any::<bool>()), 0..5),
            ids: (u64, u64, u64),
            behind in record(),
        ) {
            let upon = Some(Upon { base: ids.0 / 2, before: 7 });
            let head = Head { store: ids.0, run: ids.1, number: ids.2, upon };
            let changes = sealed(&events, &log, &due, head);
            let (read_head, read) = Changes::read(&[changes.bytes(), &behind].concat()).unwrap();
            prop_assert_eq!(read_head, head);
            prop_assert_eq!(read.bytes(), changes.bytes());
            let found: Vec<Row<u64>> = read.events().iter().map(|(key, span)| (*key, read.record(*span).to_vec())).collect();
            prop_assert_eq!(found, events);
            let sorted = |mut rows: Vec<_>| { rows.sort_by_key(|(key, _)| *key); rows };
            let (log, due) = (sorted(log), { let mut due = due; due.sort_by_key(|(key, _)| *key); due });
            let found: Vec<Row<LogKey>> = read.log().iter().map(|(key, span)| (*key, read.record(*span).to_vec())).collect();
            prop_assert_eq!(found, log);
            let found: Vec<(DueKey, bool)> = read.due().iter().map(|(key, due)| (*key, *due == Due::Put)).collect();
            prop_assert_eq!(found, due);
            prop_assert_eq!(read.counters(), b"counters");
        }

        #[test]
        fn damaged_or_short_changes_are_none(at: prop::sample::Index, bit in 0..8_u8, cut: prop::sample::Index, junk in record()) {
            let head = Head { store: 1, run: 2, number: 3, upon: None };
            let whole = sealed(&[(5, b"one".to_vec())], &[([7; 14], b"two".to_vec())], &[([9; 20], true)], head).bytes().to_vec();
            prop_assert!(Changes::read(&whole[..cut.index(whole.len())]).is_none());
            let mut flipped = whole.clone();
            flipped[at.index(whole.len())] ^= 1 << bit;
            prop_assert!(Changes::read(&flipped).is_none());
            prop_assert!(Changes::read(&junk).is_none());
        }
    }
}
