//! What a batch adds to the tables of the hot path: kept back until somebody reads there or the batch ends, then written in the
//! order of the keys, most of it in one piece.

use std::ops::Bound;

use super::bulk::put_sorted;
use super::error::Error;
use super::tables::{DueKey, LOG_KEY_BYTES, LogKey, Tables};
use crate::domain::id::EventKey;

/// New events, the due entries of their deliveries, and rows of the log.
#[derive(Default)]
pub(super) struct Appended {
    /// In order; beside each key stands where its record ends.
    events: Vec<(u64, usize)>,
    /// In order.
    due: Vec<(DueKey, ())>,
    /// As they came; beside each key stands where its record begins and ends.
    log: Vec<(LogKey, (usize, usize))>,
    event_records: Vec<u8>,
    log_records: Vec<u8>,
    /// Bytes of keys and values in the log that were written over.
    freed: u64,
}

impl Appended {
    /// For the next batch: without the room that a large one needed.
    pub(super) fn emptied(mut self) -> Self {
        self.event_records.shrink_to(KEPT_BYTES);
        self.log_records.shrink_to(KEPT_BYTES);
        self
    }

    /// What was written over since it was last asked.
    pub(super) fn take_freed(&mut self) -> u64 {
        std::mem::take(&mut self.freed)
    }

    /// The log's rows in order, of two with one key the newer.
    fn log_rows(&mut self) -> Vec<(LogKey, &[u8])> {
        self.log.sort_by_key(|(key, _)| *key);
        let newest = self.log.chunk_by(|a, b| a.0 == b.0).filter_map(<[_]>::last);
        newest.map(|(key, (begin, end))| (*key, &self.log_records[*begin..*end])).collect()
    }
}

impl Tables<'_> {
    /// Adds an event that is newer than all others.
    pub(super) fn append_event(&mut self, key: EventKey, record: &[u8]) {
        self.appended.event_records.extend_from_slice(record);
        self.appended.events.push((key.0, self.appended.event_records.len()));
    }

    /// Adds a due entry that is mostly the last of those that are due by now.
    pub(super) fn append_due(&mut self, key: DueKey) -> Result<(), Error> {
        if self.appended.due.last().is_some_and(|(last, ())| *last >= key) {
            self.settle_due()?;
        }
        self.appended.due.push((key, ()));
        Ok(())
    }

    /// Takes a due entry out; false when it is not there.
    pub(super) fn remove_due(&mut self, key: &DueKey) -> Result<bool, Error> {
        let appended = self.appended.due.first().is_some_and(|(first, ())| first <= key);
        let table = if appended { self.due()? } else { &mut self.due };
        Ok(table.remove(key)?.is_some())
    }

    /// Puts a row into the log, in place of the one that has its key.
    pub(super) fn put_log(&mut self, key: LogKey, record: &[u8]) {
        let begin = self.appended.log_records.len();
        self.appended.log_records.extend_from_slice(record);
        self.appended.log.push((key, (begin, self.appended.log_records.len())));
    }

    /// Writes what was kept back.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        self.settle_events()?;
        self.settle_due()?;
        self.settle_log()
    }

    pub(super) fn settle_events(&mut self) -> Result<(), Error> {
        let Some(&(first, _)) = self.appended.events.first() else { return Ok(()) };
        let mut cursor = self.event.lower_bound_mut(Bound::Included(first))?;
        let mut begin = 0;
        for &(key, end) in &self.appended.events {
            cursor.insert_before(key, &self.appended.event_records[begin..end])?;
            begin = end;
        }
        cursor.close()?;
        self.appended.events.clear();
        self.appended.event_records.clear();
        Ok(())
    }

    pub(super) fn settle_due(&mut self) -> Result<(), Error> {
        if !self.appended.due.is_empty() {
            put_sorted(&mut self.due, &self.appended.due)?;
            self.appended.due.clear();
        }
        Ok(())
    }

    pub(super) fn settle_log(&mut self) -> Result<(), Error> {
        if self.appended.log.is_empty() {
            return Ok(());
        }
        let (put, put_bytes) = (self.appended.log.len(), self.appended.log_records.len());
        let rows = self.appended.log_rows();
        let bytes: usize = rows.iter().map(|(_, record)| record.len()).sum();
        let replaced = put_sorted(&mut self.log, &rows)?;
        let (gone, gone_bytes) = (replaced.rows + put - rows.len(), replaced.bytes + put_bytes - bytes);
        self.appended.freed += (gone_bytes + gone * LOG_KEY_BYTES) as u64;
        self.appended.log.clear();
        self.appended.log_records.clear();
        Ok(())
    }
}

/// Room for records that stays between batches.
const KEPT_BYTES: usize = 1 << 20;
