//! What a batch adds at the end of a table: kept back until somebody reads there or the batch ends, then written in one piece,
//! which fills whole pages where one row after the other would split them and look its place up each time.

use std::ops::Bound;

use redb::CursorError;

use super::error::Error;
use super::tables::{DueKey, Tables};
use crate::domain::id::EventKey;

/// New events by key, and the due entries of their deliveries; both in order.
#[derive(Default)]
pub(super) struct Appended {
    events: Vec<(u64, usize)>,
    /// The events' records, one after the other; beside each key stands where its record ends.
    records: Vec<u8>,
    due: Vec<DueKey>,
}

impl Appended {
    /// Gives back the room that a large batch needed.
    pub(super) fn emptied(mut self) -> Self {
        self.records.shrink_to(KEPT_BYTES);
        self
    }
}

impl Tables<'_> {
    /// Adds an event that is newer than all others.
    pub(super) fn append_event(&mut self, key: EventKey, record: &[u8]) {
        self.appended.records.extend_from_slice(record);
        self.appended.events.push((key.0, self.appended.records.len()));
    }

    /// Adds a due entry that is mostly the last of those that are due by now.
    pub(super) fn append_due(&mut self, key: DueKey) -> Result<(), Error> {
        if self.appended.due.last().is_some_and(|last| *last >= key) {
            self.settle_due()?;
        }
        self.appended.due.push(key);
        Ok(())
    }

    /// Takes a due entry out; false when it is not there.
    pub(super) fn remove_due(&mut self, key: &DueKey) -> Result<bool, Error> {
        let appended = self.appended.due.first().is_some_and(|first| first <= key);
        let table = if appended { self.due()? } else { &mut self.due };
        Ok(table.remove(key)?.is_some())
    }

    /// Writes what was kept back.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        self.settle_events()?;
        self.settle_due()
    }

    pub(super) fn settle_events(&mut self) -> Result<(), Error> {
        let Some(&(first, _)) = self.appended.events.first() else { return Ok(()) };
        let mut cursor = self.event.lower_bound_mut(Bound::Included(first))?;
        let mut begin = 0;
        for &(key, end) in &self.appended.events {
            cursor.insert_before(key, &self.appended.records[begin..end])?;
            begin = end;
        }
        cursor.close()?;
        self.appended.events.clear();
        self.appended.records.clear();
        Ok(())
    }

    pub(super) fn settle_due(&mut self) -> Result<(), Error> {
        let Some(first) = self.appended.due.first() else { return Ok(()) };
        let mut cursor = self.due.lower_bound_mut(Bound::Included(first))?;
        let mut rest = self.appended.due.iter();
        let mut others = rest.clone();
        while let Some(key) = rest.next() {
            if !fits(cursor.insert_before(key, ()))? {
                break;
            }
            others = rest.clone();
        }
        cursor.close()?;
        // Behind the first that stands elsewhere, each looks its place up.
        for key in others {
            self.due.insert(key, ())?;
        }
        self.appended.due.clear();
        Ok(())
    }
}

/// Room for records that stays between batches.
const KEPT_BYTES: usize = 1 << 20;

/// Whether a row went in; not when another stands in between.
pub(super) fn fits(inserted: Result<(), CursorError>) -> Result<bool, Error> {
    match inserted {
        Ok(()) => Ok(true),
        Err(CursorError::UnorderedKey) => Ok(false),
        Err(broken) => Err(broken.into()),
    }
}
