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

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use redb::ReadableDatabase;

use super::Reader;
use crate::domain::delivery::tally::{HOURS_OF_DAY, Hour, Tally};
use crate::domain::id::EndpointNo;
use crate::store::Error;
use crate::store::error::intact;
use crate::store::record;
use crate::store::record::key::{HourKey, hour_key, read_hour_key};
use crate::store::redb::journal::unflushed::journaled;
use crate::store::redb::schema::{self, HOUR};

impl Reader {
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

    /// What the deliveries of webhooks came to, by the hour. It reads some hundred rows in one look at the store, or one hour of all
    /// webhooks where most are asked for.
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
        let unflushed = self.views.unflushed().clone();
        let txn = self.database.begin_read()?;
        let unflushed = unflushed.behind(journaled(&txn)?);
        let marks = unflushed.marks().filter_map(|mark| record::read_mark(mark).ok());
        for mark in marks.filter(|mark| hours.contains(&mark.hour) && webhooks.contains(&mark.endpoint)) {
            into.entry(mark.hour).or_default().count(&mark);
        }
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

/// Hours of webhooks read in one look at the store.
const SLICE_HOURS: usize = 256;

/// To look a row up costs as much as to read so many that follow each other.
const LOOK_UP_COST: usize = 4;
