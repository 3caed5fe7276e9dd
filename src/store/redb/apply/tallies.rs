//! What the writer does for statistics: it marks what ended, adds marks up, and forgets old hours. `read::stats` has what is counted.
//!
//! **How much is kept.** Hours of [`KEPT`], and no more rows than take a sixteenth of `max_bytes`: beyond that the oldest hours go
//! first. An hour of a webhook takes some hundred bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use redb::{ReadableTable, ReadableTableMetadata};

use crate::domain::delivery::outcome::Outcome;
use crate::domain::delivery::tally::{Brought, Hour, Mark, Tally};
use crate::domain::delivery::{Delivery, State};
use crate::domain::id::EndpointNo;
use crate::domain::time::Timestamp;
use crate::store::error::{Error, intact};
use crate::store::record;
use crate::store::record::key::{HourKey, hour_key};
use crate::store::redb::batch::Batch;
use crate::store::redb::bulk::put_sorted;
use crate::store::redb::journal::entry::Changes;
use crate::store::redb::tables::Tables;

impl Batch<'_, '_> {
    /// An attempt ended `at`; `ends`: and its delivery with it.
    pub(in crate::store) fn mark_attempt(&mut self, delivery: &Delivery, outcome: &Outcome, ends: bool, at: Timestamp) {
        let succeeded = matches!(delivery.state, State::Succeeded { .. });
        let micros = u32::try_from(outcome.duration.as_micros()).unwrap_or(u32::MAX);
        let attempt = Some(Brought::from_outcome(outcome));
        let ended = ends.then_some(succeeded);
        self.mark(delivery, Mark { hour: Hour::from_time(at), endpoint: delivery.key.endpoint, attempt, ended, micros });
    }

    /// A delivery ended without an attempt.
    pub(in crate::store) fn mark_end(&mut self, delivery: &Delivery) {
        let succeeded = matches!(delivery.state, State::Succeeded { .. });
        let (hour, endpoint) = (Hour::from_time(delivery.ended_at().unwrap_or(self.now)), delivery.key.endpoint);
        self.mark(delivery, Mark { hour, endpoint, attempt: None, ended: Some(succeeded), micros: 0 });
    }

    fn mark(&mut self, delivery: &Delivery, mark: Mark) {
        if !delivery.is_test() {
            self.tables.memtable.current.put_mark(record::write_mark(&mark));
        }
    }

    /// Removes a slice of the oldest hours, those past their time and those that are too many; true when there are more.
    pub(in crate::store) fn forget_hours(&mut self) -> Result<bool, Error> {
        let oldest = hour_key(Hour::from_time(self.now - KEPT), EndpointNo(0));
        let max_bytes = self.memory.limits.max_bytes;
        let table = self.tables.hour()?;
        let surplus = surplus(table.len()?, max_bytes);
        let mut gone: Vec<HourKey> = Vec::new();
        for row in table.range::<&HourKey>(..)?.take(SLICE_ROWS) {
            let key = *row?.0.value();
            if key >= oldest && gone.len() >= surplus {
                break;
            }
            gone.push(key);
        }
        for key in &gone {
            table.remove(key)?;
        }
        Ok(gone.len() == SLICE_ROWS)
    }
}

impl Tables<'_> {
    /// Adds up what was marked, row by row.
    pub(in crate::store) fn flush_marks(&mut self, changes: &Changes) -> Result<(), Error> {
        let mut sums = BTreeMap::<HourKey, Tally>::new();
        for mark in changes.marks() {
            let Some(mark) = intact(Some(record::read_mark(mark)))? else { continue };
            sums.entry(hour_key(mark.hour, mark.endpoint)).or_default().count(&mark);
        }
        if sums.is_empty() {
            return Ok(());
        }
        let table = self.hour()?;
        let mut rows = Vec::with_capacity(sums.len());
        for (key, mut sum) in sums {
            if let Some(kept) = intact(table.get(&key)?.map(|row| record::read_tally(&key, row.value())))? {
                sum.add(&kept);
            }
            let mut bytes = Vec::new();
            record::write_tally(&key, &sum, &mut bytes);
            rows.push((key, bytes));
        }
        let rows: Vec<(&HourKey, &[u8])> = rows.iter().map(|(key, bytes)| (key, &**bytes)).collect();
        put_sorted(table, &rows)
    }
}

/// How many of so many rows are too many.
fn surplus(rows: u64, max_bytes: u64) -> usize {
    usize::try_from(rows.saturating_sub(max_bytes / ROOM_SHARE / ROW_BYTES)).unwrap_or(usize::MAX)
}

/// How long an hour's statistics are kept.
pub(crate) const KEPT: Duration = Duration::from_secs(90 * 24 * 3600);

/// Of `max_bytes`, one part in so many is for statistics.
const ROOM_SHARE: u64 = 16;

/// A row with its key, as an hour of a busy webhook has it.
const ROW_BYTES: u64 = 128;

/// Rows removed in one commit.
const SLICE_ROWS: usize = 1_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_a_sixteenth_of_the_store() {
        assert_eq!([0, 8_192, 8_193, 10_000].map(|rows| surplus(rows, 16 << 20)), [0, 0, 1, 1_808]);
    }
}
