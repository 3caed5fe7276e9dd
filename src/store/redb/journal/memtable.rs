//! What was added to the tables of the hot path and is not in them yet: the changes of this batch, and those of earlier batches
//! that stand in the journal. All of it goes in together, in the order of the keys.
//!
//! ```text
//!   this batch ──▶ journaled ──▶ frozen, while a checkpoint brings it into the tables
//! ```

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, mpsc};

use super::entry::{Changes, Due, Span};
use crate::store::error::Error;
use crate::store::redb::merge::Overlaid;
use crate::store::redb::schema::{BacklogKey, DueKey, LogKey, MarkBytes, TimeKey};
use crate::store::shared::index_tail::{Flush, IndexRow};

/// New events, rows of the log, due entries and entries of backlogs put and taken out, and names.
#[derive(Default)]
pub(in crate::store) struct Appended {
    /// In the journal, oldest first.
    journaled: Vec<Arc<Changes>>,
    /// Of this batch.
    pub(in crate::store) current: Changes,
    /// In order.
    pub(in crate::store) events: Vec<(u64, Place)>,
    /// As they came.
    pub(in crate::store) log: Vec<(LogKey, Place)>,
    /// The newest under each key: there are a thousand batches to look through.
    newest: Arc<Rows>,
    pub(in crate::store) due: Arc<BTreeMap<DueKey, Due>>,
    pub(in crate::store) backlog: Arc<Backlog>,
    pub(in crate::store) names: Arc<Names>,
    pub(in crate::store) name_ends: Vec<(TimeKey, Box<[u8]>)>,
    /// What a checkpoint under way brings into the tables.
    frozen: Option<Frozen>,
    /// The bytes of all rows after the checkpoint that ended last, until somebody asks.
    brought: Option<u64>,
    /// Rows of the index that are on their way into it; a checkpoint has them while it is under way.
    flush: Option<Box<Flush>>,
    /// Whether somebody waits for the end of the flush.
    hurries: bool,
}

/// Where the rows of the log stand.
type Rows = HashMap<LogKey, Place>;

/// Records of what was answered for an id or an idempotency key.
pub(in crate::store) type Names = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// Values of entries that were put into backlogs; `None`: the entry was taken out.
pub(in crate::store) type Backlog = BTreeMap<BacklogKey, Option<Box<[u8]>>>;

/// One of them.
pub(in crate::store) type Parked = (BacklogKey, Option<Box<[u8]>>);

/// Journaled changes on their way into the tables.
pub(in crate::store) struct Job {
    pub(in crate::store) appended: Appended,
    /// Of the last of them.
    pub(in crate::store) number: u64,
    /// How many rows of the index it brings in besides, if a flush is under way.
    pub(in crate::store) index_rows: usize,
    pub(in crate::store) done: mpsc::Sender<Done>,
}

/// What a checkpoint came to.
pub(in crate::store) type Done = Result<Brought, Error>;

/// After a checkpoint.
pub(in crate::store) struct Brought {
    /// The bytes of all rows; `None`: there was nothing to bring in.
    pub(in crate::store) live_bytes: Option<u64>,
    /// What is left of the flush.
    pub(in crate::store) flush: Option<Box<Flush>>,
}

/// A checkpoint under way.
struct Frozen {
    changes: Vec<Arc<Changes>>,
    /// The oldest of its events: most that are looked for are older.
    first_event: Option<u64>,
    newest: Arc<Rows>,
    due: Arc<BTreeMap<DueKey, Due>>,
    backlog: Arc<Backlog>,
    names: Arc<Names>,
    is_flushing: bool,
    done: mpsc::Receiver<Done>,
}

/// Where a record stands: in which changes, this batch's behind the journaled ones, and where in them.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Place(usize, Span);

impl Appended {
    /// What a journal held, for the tables to take in.
    pub(in crate::store) fn of(found: Vec<Changes>) -> Self {
        let mut appended = Self::default();
        found.into_iter().for_each(|changes| appended.add(changes));
        appended
    }

    pub(in crate::store) fn put_event(&mut self, key: u64, record: &[u8]) {
        let span = self.current.put_event(key, record);
        self.events.push((key, Place(self.journaled.len(), span)));
    }

    pub(in crate::store) fn put_log(&mut self, key: LogKey, record: &[u8]) {
        let place = Place(self.journaled.len(), self.current.put_log(key, record));
        self.note_log(key, place);
    }

    pub(in crate::store) fn put_due(&mut self, key: DueKey) {
        self.current.put_due(key);
        self.note_put(key);
    }

    /// Takes a due entry out; `stands` says whether the table has it, and is asked only where nothing here tells.
    pub(in crate::store) fn take_due<E>(&mut self, key: DueKey, stands: impl FnOnce() -> Result<bool, E>) -> Result<bool, E> {
        let frozen = || self.frozen.as_ref().and_then(|frozen| frozen.due.get(&key));
        let there = match self.due.get(&key).or_else(frozen) {
            Some(due) => *due == Due::Put,
            None => stands()?,
        };
        if there {
            self.current.take_due(key);
            self.note_taken(key);
        }
        Ok(there)
    }

    pub(in crate::store) fn put_backlog(&mut self, key: BacklogKey, value: &[u8]) {
        self.current.put_backlog(key, value);
        Arc::make_mut(&mut self.backlog).insert(key, Some(value.into()));
    }

    /// Takes an entry out of a backlog; `stands` as for due entries.
    pub(in crate::store) fn take_backlog<E>(
        &mut self,
        key: BacklogKey,
        stands: impl FnOnce() -> Result<bool, E>,
    ) -> Result<bool, E> {
        let frozen = || self.frozen.as_ref().and_then(|frozen| frozen.backlog.get(&key));
        let there = match self.backlog.get(&key).or_else(frozen) {
            Some(parked) => parked.is_some(),
            None => stands()?,
        };
        if there {
            self.current.take_backlog(key);
            Arc::make_mut(&mut self.backlog).insert(key, None);
        }
        Ok(there)
    }

    /// Entries of a table in `piece`, in order, as they are with what was put and taken out since.
    pub(in crate::store) fn over_backlog<'a>(
        &'a self,
        piece: (Bound<BacklogKey>, Bound<BacklogKey>),
        table: impl Iterator<Item = Result<Parked, Error>> + 'a,
    ) -> impl Iterator<Item = Result<(BacklogKey, Box<[u8]>), Error>> {
        let cloned = |(key, value): (&BacklogKey, &Option<Box<[u8]>>)| (*key, value.clone());
        let frozen = self.frozen.iter().flat_map(move |frozen| frozen.backlog.range(piece)).map(cloned);
        let rows = Overlaid::of(self.backlog.range(piece).map(cloned), Overlaid::of(frozen, table));
        rows.filter_map(|row| row.map(|(key, value)| value.map(|value| (key, value))).transpose())
    }

    /// An event that the table may not have yet.
    pub(in crate::store) fn event(&self, key: u64) -> Option<&[u8]> {
        if let Ok(found) = self.events.binary_search_by_key(&key, |(key, _)| *key) {
            return Some(self.record(self.events[found].1));
        }
        let frozen = self.frozen.as_ref().filter(|frozen| frozen.first_event.is_some_and(|first| first <= key))?;
        frozen.changes.iter().find_map(|changes| changes.event(key))
    }

    /// A row of the log that the table may not have yet, unless any was put there directly.
    pub(in crate::store) fn log_row(&self, key: &LogKey) -> Option<&[u8]> {
        let frozen = || self.frozen.as_ref().and_then(|frozen| frozen.log_row(key));
        self.newest.get(key).map(|place| self.record(*place)).or_else(frozen)
    }

    pub(in crate::store) fn put_name(&mut self, name: &[u8], record: &[u8]) {
        self.current.put_name(name, record);
        Arc::make_mut(&mut self.names).insert(name.into(), record.into());
    }

    pub(in crate::store) fn put_name_end(&mut self, key: TimeKey, name: &[u8]) {
        self.current.put_name_end(key, name);
        self.name_ends.push((key, name.into()));
    }

    /// The record of a name that the tables may not have yet.
    pub(in crate::store) fn named(&self, name: &[u8]) -> Option<&[u8]> {
        let frozen = || self.frozen.as_ref().and_then(|frozen| frozen.names.get(name));
        self.names.get(name).or_else(frozen).map(|record| &**record)
    }

    pub(in crate::store) fn record(&self, Place(changes, span): Place) -> &[u8] {
        self.journaled.get(changes).map_or(&self.current, |changes| &**changes).record(span)
    }

    /// The log's rows in order, of two with one key the newer.
    pub(in crate::store) fn log_rows(&mut self) -> Vec<(LogKey, &[u8])> {
        let mut log = std::mem::take(&mut self.log);
        log.sort_by_key(|(key, _)| *key);
        let newest = log.chunk_by(|a, b| a.0 == b.0).filter_map(<[_]>::last);
        newest.map(|(key, place)| (*key, self.record(*place))).collect()
    }

    /// All that counts for statistics: what is journaled, then this batch's.
    pub(in crate::store) fn marks(&self) -> impl Iterator<Item = &MarkBytes> {
        self.journaled.iter().map(|changes| &**changes).chain([&self.current]).flat_map(Changes::marks)
    }

    /// This batch's changes are in the journal: readers find them in what is returned, until the tables have them.
    pub(in crate::store) fn journaled(&mut self, changes: Changes) -> Arc<Changes> {
        let changes = Arc::new(changes);
        self.journaled.push(changes.clone());
        changes
    }

    /// All of it is in the tables.
    pub(in crate::store) fn written(&mut self) {
        debug_assert!(self.frozen.is_none(), "a transaction begins after the checkpoint");
        let (flush, hurries) = (self.flush.take(), self.hurries);
        *self = Self { current: Changes::with_room(ROOM_BYTES), brought: self.brought, flush, hurries, ..Self::default() };
    }

    /// Hands what is journaled to a checkpoint, and the flush under way with it; `number` is that of the last of it. One that is
    /// under way must have ended.
    pub(in crate::store) fn freeze(&mut self, number: u64, index_rows: usize) -> Job {
        debug_assert!(self.frozen.is_none(), "there is one checkpoint at a time");
        let (current, brought) = (self.take_current(), self.brought);
        let (done, ended) = mpsc::channel();
        let (due, backlog, names) = (self.due.clone(), self.backlog.clone(), self.names.clone());
        let first_event = self.events.first().map(|(key, _)| *key);
        let (changes, newest) = (self.journaled.clone(), self.newest.clone());
        // One that is written whole stays, for the next batch to see.
        let flushed = self.flush.take_if(|flush| flush.is_over());
        let is_flushing = self.flush.is_some();
        let frozen = Frozen { changes, first_event, newest, due, backlog, names, is_flushing, done: ended };
        let kept = Self { current, brought, flush: flushed, hurries: self.hurries, frozen: Some(frozen), ..Self::default() };
        let appended = std::mem::replace(self, kept);
        Job { appended, number, index_rows, done }
    }

    /// Begins to write rows of the index; no other flush is under way.
    pub(in crate::store) fn start_flush(&mut self, flush: Flush) {
        debug_assert!(!self.is_flushing(), "there is one flush at a time");
        self.flush = Some(Box::new(flush));
    }

    /// The flush under way is waited for.
    pub(in crate::store) fn hurry_flush(&mut self) {
        self.hurries = self.is_flushing();
    }

    /// Whether a flush is under way.
    pub(in crate::store) fn is_flushing(&self) -> bool {
        self.flush.is_some() || self.frozen.as_ref().is_some_and(|frozen| frozen.is_flushing)
    }

    /// Whether a flush is under way that somebody waits for.
    pub(in crate::store) fn is_hurrying(&self) -> bool {
        self.hurries && self.is_flushing()
    }

    /// The next rows of the flush, none while a checkpoint has it.
    pub(in crate::store) fn next_of_flush(&mut self, most: usize) -> Vec<IndexRow> {
        self.flush.as_mut().map_or_else(Vec::new, |flush| flush.take(most))
    }

    /// The flush under way, once all of it is written; it is forgotten here.
    pub(in crate::store) fn take_flushed(&mut self) -> Option<Box<Flush>> {
        let flushed = self.flush.take_if(|flush| flush.is_over())?;
        self.hurries = false;
        Some(flushed)
    }

    /// What a checkpoint leaves of the flush that it was handed.
    pub(in crate::store) fn into_flush(self) -> Option<Box<Flush>> {
        self.flush
    }

    /// Whether a checkpoint is under way.
    pub(in crate::store) fn is_frozen(&mut self) -> Result<bool, Error> {
        let Some(frozen) = &self.frozen else { return Ok(false) };
        match frozen.done.try_recv() {
            Err(mpsc::TryRecvError::Empty) => Ok(true),
            Ok(done) => self.thawed(done).map(|()| false),
            Err(mpsc::TryRecvError::Disconnected) => unreachable!("the thread ends with the process"),
        }
    }

    /// Whether a checkpoint was under way when that was last looked after.
    pub(in crate::store) fn awaits_checkpoint(&self) -> bool {
        self.frozen.is_some()
    }

    /// Waits for the checkpoint under way.
    pub(in crate::store) fn thaw(&mut self) -> Result<(), Error> {
        let Some(frozen) = &self.frozen else { return Ok(()) };
        let done = frozen.done.recv().expect("the thread ends with the process");
        self.thawed(done)
    }

    fn thawed(&mut self, done: Done) -> Result<(), Error> {
        let Brought { live_bytes, flush } = done?;
        self.brought = live_bytes.or(self.brought);
        self.flush = flush.or(self.flush.take());
        self.frozen = None;
        Ok(())
    }

    /// Whether this batch's changes are more than the journal takes at once: they go into the tables instead.
    pub(in crate::store) fn is_too_long(&self) -> bool {
        self.current.bytes().len() as u64 > CHECKPOINT_BYTES
    }

    /// Takes this batch's changes, to be sealed.
    pub(in crate::store) fn take_current(&mut self) -> Changes {
        std::mem::replace(&mut self.current, Changes::with_room(ROOM_BYTES))
    }

    /// Whether the journal holds anything that waits for a checkpoint.
    pub(in crate::store) fn has_journaled(&self) -> bool {
        !self.journaled.is_empty()
    }

    /// The counters after the last journaled changes.
    pub(in crate::store) fn counters(&self) -> Option<&[u8]> {
        self.journaled.last().map(|changes| changes.counters())
    }

    /// The bytes of all rows after a checkpoint that has ended since it was last asked.
    pub(in crate::store) fn take_brought(&mut self) -> Option<u64> {
        self.brought.take()
    }

    fn add(&mut self, changes: Changes) {
        let number = self.journaled.len();
        self.events.extend(changes.events().iter().map(|(key, span)| (*key, Place(number, *span))));
        changes.log().iter().for_each(|(key, span)| self.note_log(*key, Place(number, *span)));
        for (key, due) in changes.due() {
            match due {
                Due::Put => self.note_put(*key),
                Due::Taken => self.note_taken(*key),
            }
        }
        let backlog = changes.backlog().map(|(key, value)| (key, value.map(Into::into)));
        Arc::make_mut(&mut self.backlog).extend(backlog);
        let names = changes.names().map(|(name, record)| (name.into(), record.into()));
        Arc::make_mut(&mut self.names).extend(names);
        self.name_ends.extend(changes.name_ends().map(|(key, name)| (key, name.into())));
        self.journaled(changes);
    }

    fn note_log(&mut self, key: LogKey, place: Place) {
        self.log.push((key, place));
        Arc::make_mut(&mut self.newest).insert(key, place);
    }

    /// One that was taken out of the table stays there.
    fn note_put(&mut self, key: DueKey) {
        match Arc::make_mut(&mut self.due).entry(key) {
            Entry::Occupied(taken) if *taken.get() == Due::Taken => drop(taken.remove()),
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => drop(place.insert(Due::Put)),
        }
    }

    /// One that was only put here never comes into the table.
    fn note_taken(&mut self, key: DueKey) {
        match Arc::make_mut(&mut self.due).entry(key) {
            Entry::Occupied(put) if *put.get() == Due::Put => drop(put.remove()),
            Entry::Occupied(_) => {}
            Entry::Vacant(place) => drop(place.insert(Due::Taken)),
        }
    }
}

impl Frozen {
    fn log_row(&self, key: &LogKey) -> Option<&[u8]> {
        self.newest.get(key).map(|Place(changes, span)| self.changes[*changes].record(*span))
    }
}

/// Room that a batch's changes begin with.
const ROOM_BYTES: usize = 64 << 10;

/// Bytes of changes that the journal holds before they are brought into the tables: the more, the fewer pages each event costs
/// there; a start after a crash reads them, and readers look through them.
pub(in crate::store) const CHECKPOINT_BYTES: u64 = 2 << 20;
