//! The counters of a store, and the time that a start goes on from.

use std::time::Duration;

use bincode::{Decode, Encode};

use super::codec::{VERSION, close_as, coded, decode, intact, unknown, unknown_version};
use crate::domain::time::Timestamp;
use crate::domain::time::timekeeper::{Doubt, Kept, Reading, Why};
use crate::store::error::Error;

/// Counters that every commit may change.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in crate::store) struct Counters {
    /// The newest event key or backlog number that was given.
    pub(in crate::store) last_key: u64,
    pub(in crate::store) last_endpoint: u32,
    pub(in crate::store) last_tenant: u32,
    /// The bytes of keys and values in all tables, without what is in the journal only. Stores before version 4 counted some
    /// tables only.
    pub(in crate::store) live_bytes: u64,
    /// The number of events that are kept.
    pub(in crate::store) events: u64,
    /// The number of deliveries that are not finished.
    pub(in crate::store) pending: u64,
    /// Retention has looked at every event up to this key.
    pub(in crate::store) swept: u64,
    /// Every event up to this key is in the index table.
    pub(in crate::store) indexed: u64,
    /// The time to go on from. `None` in a store of a release that kept none.
    pub(in crate::store) time: Option<Kept>,
    /// The sum over all entries of the due table and the backlogs (see `entry_sum`). `None` in a store of a release that kept none.
    pub(in crate::store) waiting: Option<u64>,
}

#[derive(Encode, Decode)]
struct CountersForm {
    last_key: u64,
    last_endpoint: u32,
    last_tenant: u32,
    live_bytes: u64,
    events: u64,
    pending: u64,
    swept: u64,
    indexed: u64,
}

/// Times and durations are in microseconds.
#[derive(Encode, Decode)]
struct TimeForm {
    boot_id: u64,
    boot: u64,
    wall: u64,
    now: u64,
    lead: u64,
    doubt: Option<(u8, u64, u64)>,
}

pub(in crate::store) fn write_counters(key: &[u8], counters: &Counters, out: &mut Vec<u8>) {
    let form = CountersForm {
        last_key: counters.last_key,
        last_endpoint: counters.last_endpoint,
        last_tenant: counters.last_tenant,
        live_bytes: counters.live_bytes,
        events: counters.events,
        pending: counters.pending,
        swept: counters.swept,
        indexed: counters.indexed,
    };
    close_as(SUMMED, key, &(form, counters.time.map(time_form), counters.waiting), out);
}

pub(in crate::store) fn read_counters(key: &[u8], bytes: &[u8]) -> Result<Counters, Error> {
    let (form, time, waiting): (CountersForm, Option<TimeForm>, Option<u64>) = match intact("state", key, bytes)? {
        (VERSION, content) => (decode("state", content)?, None, None),
        (SUMMED, content) => decode("state", content)?,
        _ => return Err(unknown_version("state")),
    };
    Ok(Counters {
        last_key: form.last_key,
        last_endpoint: form.last_endpoint,
        last_tenant: form.last_tenant,
        live_bytes: form.live_bytes,
        events: form.events,
        pending: form.pending,
        swept: form.swept,
        indexed: form.indexed,
        time: time.map(kept).transpose()?,
        waiting,
    })
}

impl Counters {
    /// Adds an entry to the sum over all entries that wait.
    pub(in crate::store) fn note_put(&mut self, entry: u64) {
        self.waiting = self.waiting.map(|sum| sum.wrapping_add(entry));
    }

    /// Takes an entry out of the sum over all entries that wait.
    pub(in crate::store) fn note_taken(&mut self, entry: u64) {
        self.waiting = self.waiting.map(|sum| sum.wrapping_sub(entry));
    }
}

fn time_form(kept: Kept) -> TimeForm {
    TimeForm {
        boot_id: kept.boot_id,
        boot: micros(kept.last.boot),
        wall: kept.last.wall.as_micros(),
        now: kept.now.as_micros(),
        lead: micros(kept.lead),
        doubt: kept.doubt.map(|doubt| (why_code(doubt.why), micros(doubt.off), micros(doubt.held))),
    }
}

fn kept(form: TimeForm) -> Result<Kept, Error> {
    let doubt = |(code, off, held)| {
        Ok::<_, Error>(Doubt { why: why(code)?, off: Duration::from_micros(off), held: Duration::from_micros(held) })
    };
    Ok(Kept {
        boot_id: form.boot_id,
        last: Reading { wall: Timestamp::from_micros(form.wall), boot: Duration::from_micros(form.boot) },
        now: Timestamp::from_micros(form.now),
        lead: Duration::from_micros(form.lead),
        doubt: form.doubt.map(doubt).transpose()?,
    })
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

coded!(why_code, why: Why in "state" { 0 = Ahead, 1 = Behind, 2 = Early, 3 = Away });

/// The version with a time and a sum. The version before ends with the counters.
const SUMMED: u8 = 2;
