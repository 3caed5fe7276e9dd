//! Statistics: what deliveries came to, by the hour and webhook.
//!
//! ```text
//!  an outcome ──▶ a mark, 15 bytes in the same commit ──▶ journal ──▶ checkpoint: one row a webhook and hour
//!                                                             │                        │
//!                                                             └──── added when read ───┘
//! ```
//!
//! **What is counted.** An attempt in the hour of its end, by what it brought; a delivery in the hour of its end, and again when it
//! ends again after a retry by hand. Tests never are. A mark is part of the commit that its outcome is in, so it is lost or kept
//! with it, and it is added to its row once, by the commit that brings it into the tables.
//!
//! **How much is kept.** Hours of [`KEPT`], and no more rows than take a sixteenth of `max_bytes`: beyond that the oldest hours go
//! first. An hour of a webhook takes some hundred bytes.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use redb::{ReadableDatabase, ReadableTable, ReadableTableMetadata};

use crate::domain::delivery::outcome::Outcome;
use crate::domain::delivery::tally::{Brought, HOURS_OF_DAY, Hour, Mark, Tally};
use crate::domain::delivery::{Delivery, State};
use crate::domain::id::EndpointNo;
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::error::intact;
use crate::store::handle::Store;
use crate::store::record;
use crate::store::redb::batch::Batch;
use crate::store::redb::bulk::put_sorted;
use crate::store::redb::journal::entry::Changes;
use crate::store::redb::journal::reader_view::journaled;
use crate::store::redb::schema::{self, HOUR, HourKey, hour_key, read_hour_key};
use crate::store::redb::tables::Tables;

/// Marks that the journal holds and the tables do not have yet.
#[derive(Clone, Default)]
pub(in crate::store) struct UnflushedMarks(VecDeque<(u64, Arc<Changes>)>);

impl UnflushedMarks {
    pub(in crate::store) fn push(&mut self, number: u64, changes: &Arc<Changes>) {
        if !changes.marks().is_empty() {
            self.0.push_back((number, changes.clone()));
        }
    }

    /// The tables have everything up to `number`.
    pub(in crate::store) fn drop_through(&mut self, number: u64) {
        while self.0.pop_front_if(|(of, _)| *of <= number).is_some() {}
    }

    /// What counts for webhooks in some hours.
    fn of(&self, webhooks: &BTreeSet<EndpointNo>, hours: &RangeInclusive<Hour>) -> BTreeMap<Hour, Tally> {
        let marks = self.0.iter().flat_map(|(_, changes)| changes.marks()).filter_map(|mark| record::read_mark(mark).ok());
        let mut found = BTreeMap::<Hour, Tally>::new();
        for mark in marks.filter(|mark| hours.contains(&mark.hour) && webhooks.contains(&mark.endpoint)) {
            found.entry(mark.hour).or_default().count(&mark);
        }
        found
    }
}

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
    pub(in crate::store) fn flush_marks(&mut self) -> Result<(), Error> {
        let mut sums = BTreeMap::<HourKey, Tally>::new();
        for mark in self.memtable.marks() {
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

impl Store {
    /// What the deliveries of webhooks came to, all hours added up; a day of them is in memory at once.
    pub(crate) fn tally(&self, webhooks: &BTreeSet<EndpointNo>, hours: RangeInclusive<Hour>) -> Result<Tally, Error> {
        let (Hour(first), Hour(last)) = hours.into_inner();
        let mut sum = Tally::default();
        for begin in (first..=last).step_by(HOURS_OF_DAY as usize) {
            let end = last.min(begin.saturating_add(HOURS_OF_DAY - 1));
            self.tallies(webhooks, Hour(begin)..=Hour(end))?.values().for_each(|tally| sum.add(tally));
        }
        Ok(sum)
    }

    /// The same by the hour; an hour without any is not there, the others take some kilobyte of memory each.
    ///
    /// Reads some hundred rows in one look at the store, or one hour of all webhooks where most are asked for; so it belongs on a
    /// thread that may block.
    pub(crate) fn tallies(
        &self,
        webhooks: &BTreeSet<EndpointNo>,
        hours: RangeInclusive<Hour>,
    ) -> Result<BTreeMap<Hour, Tally>, Error> {
        let at_once = u32::try_from(SLICE_HOURS / webhooks.len().max(1)).unwrap_or(1).max(1);
        let (Hour(first), Hour(last)) = hours.into_inner();
        let asked = Asked { webhooks, are_most: self.are_most(webhooks.len()) };
        let mut found = BTreeMap::new();
        for begin in (first..=last).step_by(at_once as usize) {
            let end = last.min(begin.saturating_add(at_once - 1));
            self.add_tallies(&asked, Hour(begin)..=Hour(end), &mut found)?;
        }
        Ok(found)
    }

    /// What one hour of so many webhooks costs to read, in look-ups.
    pub(crate) fn tally_cost(&self, webhooks: usize) -> usize {
        if self.are_most(webhooks) { self.shared.registry().count().div_ceil(LOOK_UP_COST) } else { webhooks }
    }

    /// Whether reading all rows of an hour is cheaper than looking so many up.
    fn are_most(&self, webhooks: usize) -> bool {
        webhooks * LOOK_UP_COST > self.shared.registry().count()
    }

    fn add_tallies(
        &self,
        Asked { webhooks, are_most }: &Asked<'_>,
        hours: RangeInclusive<Hour>,
        into: &mut BTreeMap<Hour, Tally>,
    ) -> Result<(), Error> {
        // Taken before the snapshot, which says what of it the tables have by now.
        let mut unflushed = self.shared.unflushed_marks().clone();
        let txn = self.database.begin_read()?;
        unflushed.drop_through(journaled(&txn)?);
        into.extend(unflushed.of(webhooks, &hours));
        let mut add = |key: HourKey, row: &[u8]| -> Result<(), Error> {
            if let Some(kept) = intact(Some(record::read_tally(&key, row)))? {
                into.entry(read_hour_key(&key).0).or_default().add(&kept);
            }
            Ok(())
        };
        let table = schema::read(&txn, HOUR)?;
        if *are_most {
            let (first, last) = (hour_key(*hours.start(), EndpointNo(0)), hour_key(*hours.end(), EndpointNo(u32::MAX)));
            for row in table.range::<&HourKey>(&first..=&last)? {
                let (key, row) = row?;
                if webhooks.contains(&read_hour_key(key.value()).1) {
                    add(*key.value(), row.value())?;
                }
            }
            return Ok(());
        }
        for hour in hours.start().0..=hours.end().0 {
            for key in webhooks.iter().map(|no| hour_key(Hour(hour), *no)) {
                if let Some(row) = table.get(&key)? {
                    add(key, row.value())?;
                }
            }
        }
        Ok(())
    }
}

/// Whose statistics are read.
struct Asked<'a> {
    webhooks: &'a BTreeSet<EndpointNo>,
    /// Whether all rows of an hour are read, since most are theirs.
    are_most: bool,
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

/// Hours of webhooks read in one look at the store.
const SLICE_HOURS: usize = 256;

/// To look a row up costs as much as to read so many that follow each other.
const LOOK_UP_COST: usize = 4;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_a_sixteenth_of_the_store() {
        assert_eq!([0, 8_192, 8_193, 10_000].map(|rows| surplus(rows, 16 << 20)), [0, 0, 1, 1_808]);
    }
}
