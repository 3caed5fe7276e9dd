//! The writer's view of what is committed and not in the tables yet: the changes of its batch, and those of earlier batches that
//! stand in the journal. A checkpoint brings all of it into the tables, in the order of the keys.
//!
//! ```text
//!   this batch ──▶ journaled ──▶ frozen, while a checkpoint brings it into the tables
//! ```

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::Bound;
use std::sync::{Arc, mpsc};

use super::entry::{Changes, Span};
use super::item::{EachTable, Family, Journaled, each_journaled};
use crate::store::error::Error;
use crate::store::record::key::MarkBytes;
use crate::store::redb::merge::Merge;
use crate::store::shared::index_tail::{Flush, IndexRow};

/// Rows that were put or taken out since the last checkpoint began, and those of a checkpoint under way.
#[derive(Default)]
pub(in crate::store) struct Memtable {
    /// The changes of this batch.
    pub(in crate::store) current: Changes,
    journaled: Layer,
    frozen: Option<Frozen>,
    /// The bytes of all rows after the checkpoint that ended last, until somebody asks.
    brought: Option<u64>,
    /// Rows of the index that are on their way into it; a checkpoint has them while it is under way.
    flush: Option<Box<Flush>>,
    /// Whether somebody waits for the end of the flush.
    hurries: bool,
}

/// Changes in the journal, and the newest of each row.
#[derive(Clone, Default)]
struct Layer {
    /// Oldest first.
    changes: Vec<Arc<Changes>>,
    rows: EachTable<AllNewest>,
}

/// The newest change of each changed row of one table.
pub(in crate::store) type Newest<T> = BTreeMap<<T as Journaled>::OwnedKey, Row>;

struct AllNewest;

impl Family for AllNewest {
    type Of<T: Journaled> = Arc<Newest<T>>;
}

/// The newest change of one row.
#[derive(Clone, Copy)]
pub(in crate::store) struct Row {
    /// `None`: the row was taken out.
    pub(in crate::store) value: Option<RecordRef>,
    /// Whether an older row may stand under the same key, in a checkpoint under way or in the table.
    hides: bool,
}

/// Where a record stands: the number of the changes that hold it, in the order of their commits, and its place in them.
#[derive(Clone, Copy)]
pub(in crate::store) struct RecordRef(u32, Span);

/// A checkpoint under way.
struct Frozen {
    layer: Layer,
    is_flushing: bool,
    done: mpsc::Receiver<Done>,
}

/// A row of a table as it is read: its key, and its value; `None`: it was taken out.
pub(in crate::store) type Found<'a, T> = (<T as Journaled>::OwnedKey, Option<Cow<'a, [u8]>>);

/// Journaled changes on their way into the tables.
pub(in crate::store) struct Job {
    pub(in crate::store) memtable: Memtable,
    /// The number of the last commit among them.
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

impl Layer {
    fn add(&mut self, changes: Changes) -> Arc<Changes> {
        let changes = Arc::new(changes);
        self.changes.push(changes.clone());
        changes
    }

    /// The number of the changes that are added next.
    fn next(&self) -> u32 {
        u32::try_from(self.changes.len()).expect("a checkpoint comes long before")
    }

    fn note<T: Journaled>(&mut self, key: T::OwnedKey, value: Option<RecordRef>) {
        match Arc::make_mut(T::of_mut(&mut self.rows)).entry(key) {
            Entry::Vacant(place) => drop(place.insert(Row { value, hides: value.is_none() || !T::IS_PUT_ONCE })),
            Entry::Occupied(put) if value.is_none() && !put.get().hides => drop(put.remove()),
            Entry::Occupied(mut row) => row.get_mut().value = value,
        }
    }

    /// Notes the rows of one table in changes that were read from a journal and are added next.
    fn note_all<T: Journaled>(&mut self, changes: &Changes) {
        let number = self.next();
        for (key, value) in changes.items(T::TABLE) {
            let key = T::OwnedKey::try_from(key).ok().expect("a key was read by its table's length");
            self.note::<T>(key, value.map(|span| RecordRef(number, span)));
        }
    }
}

impl Memtable {
    /// What a journal held, for the tables to take in.
    pub(in crate::store) fn of(found: Vec<Changes>) -> Self {
        let mut memtable = Self::default();
        for changes in found {
            macro_rules! note {
                ($table:ty) => {
                    memtable.journaled.note_all::<$table>(&changes);
                };
            }
            each_journaled!(note);
            memtable.journaled.add(changes);
        }
        memtable
    }

    /// Puts a row.
    pub(in crate::store) fn put<T: Journaled>(&mut self, key: &T::Key, value: &[u8]) {
        let span = self.current.put(T::TABLE, key.as_ref(), value);
        let record = RecordRef(self.journaled.next(), span);
        self.journaled.note::<T>(key.to_owned(), Some(record));
    }

    /// Takes a row out; false when there is none. `stands` says whether the table has it, and is asked only where nothing here tells.
    pub(in crate::store) fn take<T: Journaled>(
        &mut self,
        key: &T::Key,
        stands: impl FnOnce() -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let there = self.find::<T>(key).map_or_else(stands, |value| Ok(value.is_some()))?;
        if there {
            self.current.take(T::TABLE, key.as_ref());
            self.journaled.note::<T>(key.to_owned(), None);
        }
        Ok(there)
    }

    /// A row that the table may not have yet: its value, or `Some(None)` when it was taken out. `None`: what the table says holds.
    pub(in crate::store) fn find<T: Journaled>(&self, key: &T::Key) -> Option<Option<&[u8]>> {
        let (layer, row) = self.layers().find_map(|layer| Some((layer, T::of(&layer.rows).get(key)?)))?;
        Some(row.value.map(|value| self.record(layer, value)))
    }

    /// The rows of a table in `piece`, in order, as they are with what was put and taken out since.
    pub(in crate::store) fn over<'a, T: Journaled>(
        &'a self,
        piece: (Bound<T::OwnedKey>, Bound<T::OwnedKey>),
        table: impl Iterator<Item = Result<Found<'a, T>, Error>> + 'a,
    ) -> impl Iterator<Item = Result<(T::OwnedKey, Cow<'a, [u8]>), Error>> {
        let frozen = self.frozen.iter().flat_map({
            let piece = piece.clone();
            move |frozen| self.range::<T>(&frozen.layer, piece.clone())
        });
        let rows = Merge::of(self.range::<T>(&self.journaled, piece), Merge::of(frozen, table));
        rows.filter_map(|row| row.map(|(key, value)| value.map(|value| (key, value))).transpose())
    }

    /// Takes all changes of a table, to be written there now.
    pub(in crate::store) fn take_newest<T: Journaled>(&mut self) -> Arc<Newest<T>> {
        std::mem::take(T::of_mut(&mut self.journaled.rows))
    }

    /// A record that [`Self::take_newest`] has given a place of.
    pub(in crate::store) fn journaled_record(&self, record: RecordRef) -> &[u8] {
        self.record(&self.journaled, record)
    }

    /// All that counts for statistics: what is journaled, then this batch's.
    pub(in crate::store) fn marks(&self) -> impl Iterator<Item = &MarkBytes> {
        self.journaled.changes.iter().map(|changes| &**changes).chain([&self.current]).flat_map(Changes::marks)
    }

    /// This batch's changes are in the journal: readers find them in what is returned, until the tables have them.
    pub(in crate::store) fn journaled(&mut self, changes: Changes) -> Arc<Changes> {
        self.journaled.add(changes)
    }

    /// The tables have all of it.
    pub(in crate::store) fn written(&mut self) {
        debug_assert!(self.frozen.is_none(), "a transaction begins after the checkpoint");
        let (flush, hurries) = (self.flush.take(), self.hurries);
        *self = Self { current: Changes::with_room(ROOM_BYTES), brought: self.brought, flush, hurries, ..Self::default() };
    }

    /// Hands what is journaled to a checkpoint, and the flush under way with it; `number` is that of its last commit. A checkpoint
    /// before must have ended.
    pub(in crate::store) fn freeze(&mut self, number: u64, index_rows: usize) -> Job {
        debug_assert!(self.frozen.is_none(), "there is one checkpoint at a time");
        let (current, brought) = (self.take_current(), self.brought);
        let (done, ended) = mpsc::channel();
        // A flush that is written whole stays, for the next batch to see.
        let flushed = self.flush.take_if(|flush| flush.is_over());
        let frozen = Frozen { layer: self.journaled.clone(), is_flushing: self.flush.is_some(), done: ended };
        let kept = Self { current, brought, flush: flushed, hurries: self.hurries, frozen: Some(frozen), ..Self::default() };
        Job { memtable: std::mem::replace(self, kept), number, index_rows, done }
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
        #[cfg(test)]
        super::checkpoint::by_hand::make_kept();
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
        !self.journaled.changes.is_empty()
    }

    /// The counters after the last journaled changes.
    pub(in crate::store) fn counters(&self) -> Option<&[u8]> {
        self.journaled.changes.last().map(|changes| changes.counters())
    }

    /// The bytes of all rows after a checkpoint that has ended since it was last asked.
    pub(in crate::store) fn take_brought(&mut self) -> Option<u64> {
        self.brought.take()
    }

    fn range<'a, T: Journaled>(
        &'a self,
        layer: &'a Layer,
        piece: (Bound<T::OwnedKey>, Bound<T::OwnedKey>),
    ) -> impl Iterator<Item = Found<'a, T>> {
        let value = |row: &Row| row.value.map(|value| Cow::Borrowed(self.record(layer, value)));
        T::of(&layer.rows).range::<T::OwnedKey, _>(piece).map(move |(key, row)| (key.clone(), value(row)))
    }

    /// Newest first.
    fn layers(&self) -> impl Iterator<Item = &Layer> {
        [&self.journaled].into_iter().chain(self.frozen.as_ref().map(|frozen| &frozen.layer))
    }

    fn record<'a>(&'a self, layer: &'a Layer, RecordRef(number, span): RecordRef) -> &'a [u8] {
        layer.changes.get(number as usize).map_or(&self.current, |changes| changes).record(span)
    }
}

/// Bytes that a batch's changes have room for at first.
const ROOM_BYTES: usize = 64 << 10;

/// Bytes of changes that the journal holds before they are brought into the tables: the more, the fewer pages each event costs
/// there; a start after a crash reads them, and readers look through them.
pub(in crate::store) const CHECKPOINT_BYTES: u64 = 2 << 20;
