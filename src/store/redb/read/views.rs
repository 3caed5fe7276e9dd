//! What readers look into beside a snapshot of the tables: what is committed and not in the tables yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::delivery::tally::{Hour, Tally};
use crate::domain::id::EndpointNo;
use crate::store::record;
use crate::store::redb::journal::entry::Changes;
use crate::store::redb::journal::reader_view::Unflushed;

/// Both views of what the journal holds. Readers take a copy of one before their snapshot of the tables, which says by then what of
/// it the tables have.
#[derive(Default)]
pub(in crate::store) struct Views {
    unflushed: Mutex<Unflushed>,
    marks: Mutex<UnflushedMarks>,
}

impl Views {
    /// Shows the changes of the commit with `number`, which is in the journal now.
    pub(in crate::store) fn push(&self, number: u64, changes: Arc<Changes>) {
        self.marks().push(number, &changes);
        self.unflushed().push(number, changes);
    }

    /// Readers find in the tables what the journal held up to here.
    pub(in crate::store) fn in_tables(&self, number: u64) {
        self.unflushed().drop_through(number);
        self.marks().drop_through(number);
    }

    pub(in crate::store) fn unflushed(&self) -> MutexGuard<'_, Unflushed> {
        self.unflushed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::store) fn marks(&self) -> MutexGuard<'_, UnflushedMarks> {
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
    pub(in crate::store) fn of(&self, webhooks: &BTreeSet<EndpointNo>, hours: &RangeInclusive<Hour>) -> BTreeMap<Hour, Tally> {
        let marks = self.0.iter().flat_map(|(_, changes)| changes.marks()).filter_map(|mark| record::read_mark(mark).ok());
        let mut found = BTreeMap::<Hour, Tally>::new();
        for mark in marks.filter(|mark| hours.contains(&mark.hour) && webhooks.contains(&mark.endpoint)) {
            found.entry(mark.hour).or_default().count(&mark);
        }
        found
    }
}
