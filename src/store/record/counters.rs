//! The counters of a store, and the time that a start goes on from.

use std::time::Duration;

use bincode::{Decode, Encode};

use super::codec::{VERSION, close_as, coded, decode, intact, unknown, unknown_version};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
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
    /// How many attempts have ended: the number of the newest.
    pub(in crate::store) attempts: u64,
    /// Every attempt up to this number is in the index of attempts.
    pub(in crate::store) attempts_indexed: u64,
    /// The part of the log whose attempts are not in the index. `None`: there is none.
    pub(in crate::store) unlisted: Option<Unlisted>,
}

/// The part of a log whose attempts are not in the index, in a store of a release that had no such index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Unlisted {
    /// The attempts of all deliveries up to this one are in the index.
    pub(in crate::store) after: DeliveryKey,
    /// The last event that was published by the release before.
    pub(in crate::store) until: EventKey,
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

/// Counters of attempts; `unlisted`: an event's key, a webhook's number, and another event's key.
#[derive(Default, Encode, Decode)]
struct AttemptsForm {
    attempts: u64,
    indexed: u64,
    unlisted: Option<(u64, u32, u64)>,
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
    let attempts = AttemptsForm {
        attempts: counters.attempts,
        indexed: counters.attempts_indexed,
        unlisted: counters.unlisted.map(|Unlisted { after, until }| (after.event.0, after.endpoint.0, until.0)),
    };
    close_as(LISTED, key, &(form, counters.time.map(time_form), counters.waiting, attempts), out);
}

pub(in crate::store) fn read_counters(key: &[u8], bytes: &[u8]) -> Result<Counters, Error> {
    let (form, time, waiting, attempts): Forms = match intact("state", key, bytes)? {
        (VERSION, content) => without_attempts((decode("state", content)?, None, None)),
        (SUMMED, content) => without_attempts(decode("state", content)?),
        (LISTED, content) => decode("state", content)?,
        _ => return Err(unknown_version("state")),
    };
    let unlisted = |(event, endpoint, until)| Unlisted {
        after: DeliveryKey { event: EventKey(event), endpoint: EndpointNo(endpoint) },
        until: EventKey(until),
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
        attempts: attempts.attempts,
        attempts_indexed: attempts.indexed,
        unlisted: attempts.unlisted.map(unlisted),
    })
}

/// Of a store whose log is in no index of attempts.
fn without_attempts((form, time, waiting): (CountersForm, Option<TimeForm>, Option<u64>)) -> Forms {
    let attempts = AttemptsForm { unlisted: Some((0, 0, form.last_key)), ..AttemptsForm::default() };
    (form, time, waiting, attempts)
}

type Forms = (CountersForm, Option<TimeForm>, Option<u64>, AttemptsForm);

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

/// The version with what is known of the index of attempts.
const LISTED: u8 = 3;
