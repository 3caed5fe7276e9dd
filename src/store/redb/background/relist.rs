//! A log whose attempts no index holds: of a store of a release that had no such index, or of one whose counters were damaged.
//!
//! Each slice lists the attempts of the next deliveries, while new attempts come into the index by its tail. Until the last slice is
//! done, lists lack attempts of deliveries that no slice has come to. A slice that is done twice changes nothing.
//!
//! The index takes room that events may need more, so there is no slice while the store is full, or the disk nearly is.

use std::ops::Bound;

use crate::domain::id::{AttemptKey, DeliveryKey, EndpointNo, TenantNo};
use crate::store::Shared;
use crate::store::error::{Error, intact};
use crate::store::message::publication::Pressure;
use crate::store::record::key::{AttemptIndexKey, DELIVERY_ROW, LogKey, log_key, read_log_key};
use crate::store::record::{self, Unlisted};
use crate::store::redb::batch::Batch;
use crate::store::redb::journaled_table::Log;
use crate::store::redb::state::Memory;
use crate::store::redb::tables::index::put_rows;
use crate::store::shared::index_tail::{EndedAttempt, Indexed};

/// The attempts of some deliveries, in the order of the log.
struct Slice {
    attempts: Vec<AttemptKey>,
    /// The last delivery of which all attempts are among them. `None`: the log has none behind the slice before.
    last: Option<DeliveryKey>,
    /// Whether the log goes on.
    more: bool,
}

impl Batch<'_, '_> {
    /// One slice, while there is a part of the log that is not listed; while others wait for this commit, not in every one.
    pub(in crate::store) fn relist(&mut self, is_awaited: bool) -> Result<(), Error> {
        let Some(unlisted) = self.memory.counters.unlisted else { return Ok(()) };
        if !has_room(self.memory, self.shared, self.allocated()) || !self.memory.relist_pace.begin(self.steady, is_awaited) {
            return Ok(());
        }
        let slice = self.unlisted_slice(unlisted)?;
        self.list_old_attempts(&slice.attempts)?;
        let after = slice.last.unwrap_or(unlisted.after);
        self.memory.counters.unlisted = slice.more.then_some(Unlisted { after, ..unlisted });
        self.after.dirty = true;
        Ok(())
    }

    fn unlisted_slice(&mut self, unlisted: Unlisted) -> Result<Slice, Error> {
        let first = log_key(unlisted.after, u16::MAX);
        let last = log_key(DeliveryKey { event: unlisted.until, endpoint: EndpointNo(u32::MAX) }, u16::MAX);
        let mut slice = Slice { attempts: Vec::new(), last: None, more: false };
        let (mut rows, mut bytes) = (0, 0);
        self.tables.each::<Log>((Bound::Excluded(&first), Bound::Included(&last)), |key, row| {
            let (delivery, _) = read_log_key(key);
            // A delivery is never cut in two.
            if (rows >= ROWS || bytes >= BYTES) && slice.last != Some(delivery) {
                slice.more = true;
                return Ok(false);
            }
            (rows, bytes, slice.last) = (rows + 1, bytes + row.len(), Some(delivery));
            slice.attempts.extend(attempt_in(key, row)?);
            Ok(true)
        })?;
        Ok(slice)
    }

    fn list_old_attempts(&mut self, attempts: &[AttemptKey]) -> Result<(), Error> {
        let mut rows: Vec<(AttemptIndexKey, ())> = Vec::new();
        for key in attempts {
            let owner = self.owner(key.delivery.endpoint)?;
            rows.extend(EndedAttempt { key: *key, owner }.rows().map(|row| (row, ())));
        }
        rows.sort_unstable();
        put_rows(self.tables.attempt_index()?, &rows)
    }

    /// The tenant of a webhook, also of a deleted one; 0 when nothing is left that tells.
    pub(in crate::store) fn owner(&mut self, no: EndpointNo) -> Result<TenantNo, Error> {
        Ok(self.entry_or_tombstone(no)?.map_or(TenantNo(0), |entry| entry.endpoint.tenant_no))
    }
}

/// Whether the part of the log that is not listed may be listed, in a store that takes so many bytes of the disk.
pub(in crate::store) fn has_room(memory: &Memory, shared: &Shared, allocated: u64) -> bool {
    shared.pressure() == Pressure::None && allocated <= memory.limits.max_bytes
}

/// The attempt that a row of the log holds. `None`: the row is that of a delivery without an attempt, or is damaged.
pub(in crate::store) fn attempt_in(key: &LogKey, row: &[u8]) -> Result<Option<AttemptKey>, Error> {
    match read_log_key(key) {
        (delivery, DELIVERY_ROW) => {
            let (_, newest) = intact(Some(record::read_delivery(delivery, row)))?.unzip();
            Ok(newest.flatten().map(|newest| newest.key(delivery)))
        }
        (delivery, number) => {
            let started_at = intact(Some(record::read_attempt_start(key, row)))?;
            Ok(started_at.map(|started_at| AttemptKey { started_at, delivery, number }))
        }
    }
}

/// Rows of the log in one slice, but for the last delivery's.
const ROWS: usize = 2_000;

/// The bytes of such rows.
const BYTES: usize = 4 << 20;
