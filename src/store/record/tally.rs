//! The records of statistics: the row of one webhook and hour, and the marks that its counts are made of.

use bincode::{Decode, Encode};

use super::codec::{close, open, unknown};
use super::log::{class, class_code};
use crate::domain::delivery::tally::{Brought, Hour, Mark, Tally, Times};
use crate::domain::id::EndpointNo;
use crate::store::error::Error;
use crate::store::record::key::{HourKey, MarkBytes, hour_key, read_hour_key};

#[derive(Encode, Decode)]
struct TallyForm {
    succeeded: u64,
    failed: u64,
    /// What attempts brought, as codes, with their numbers.
    attempts: Vec<(u8, u64)>,
    sum_micros: u64,
    max_micros: u32,
    spans: Vec<(u8, u64)>,
}

pub(in crate::store) fn write_tally(key: &HourKey, tally: &Tally, out: &mut Vec<u8>) {
    let Times { sum_micros, max_micros, spans } = &tally.times;
    let form = TallyForm {
        succeeded: tally.succeeded,
        failed: tally.failed,
        attempts: tally.attempts.iter().map(|(brought, count)| (brought_code(*brought), *count)).collect(),
        sum_micros: *sum_micros,
        max_micros: *max_micros,
        spans: spans.iter().map(|(span, count)| (*span, *count)).collect(),
    };
    close(key, &form, out);
}

pub(in crate::store) fn read_tally(key: &HourKey, bytes: &[u8]) -> Result<Tally, Error> {
    let form: TallyForm = open("hour", key, bytes)?;
    let attempts = form.attempts.into_iter().map(|(code, count)| Ok((brought(code)?, count)));
    Ok(Tally {
        succeeded: form.succeeded,
        failed: form.failed,
        attempts: attempts.collect::<Result<_, Error>>()?,
        times: Times { sum_micros: form.sum_micros, max_micros: form.max_micros, spans: form.spans.into_iter().collect() },
    })
}

/// Writes a mark: the key of its row in 8 bytes, what the attempt brought in 1, how the delivery ended in 1, and the microseconds
/// in 4, little-endian.
pub(in crate::store) fn write_mark(mark: &Mark) -> MarkBytes {
    let mut bytes = [0; 14];
    bytes[..8].copy_from_slice(&hour_key(mark.hour, mark.endpoint));
    bytes[8] = mark.attempt.map_or(NOTHING, brought_code);
    bytes[9] = mark.ended.map_or(NOTHING, |succeeded| if succeeded { SUCCEEDED } else { FAILED });
    bytes[10..].copy_from_slice(&mark.micros.to_le_bytes());
    bytes
}

pub(in crate::store) fn read_mark(bytes: &MarkBytes) -> Result<Mark, Error> {
    let [k0, k1, k2, k3, k4, k5, k6, k7, code, end, micros @ ..] = *bytes;
    let (hour, endpoint): (Hour, EndpointNo) = read_hour_key(&[k0, k1, k2, k3, k4, k5, k6, k7]);
    let ended = match end {
        NOTHING => None,
        SUCCEEDED => Some(true),
        FAILED => Some(false),
        _ => return Err(unknown("hour")),
    };
    let attempt = (code != NOTHING).then(|| brought(code)).transpose()?;
    Ok(Mark { hour, endpoint, attempt, ended, micros: u32::from_le_bytes(micros) })
}

pub(super) fn brought_code(brought: Brought) -> u8 {
    match brought {
        Brought::Status(hundreds) => hundreds,
        Brought::Failure(class) => FAILURES + class_code(class),
    }
}

pub(super) fn brought(code: u8) -> Result<Brought, Error> {
    match code.checked_sub(FAILURES) {
        Some(failure) => class(failure).map(Brought::Failure),
        None => Ok(Brought::status(code)),
    }
}

/// Codes below this are the first digit of a status.
const FAILURES: u8 = 16;

/// The code for no attempt, and for a delivery that did not end.
const NOTHING: u8 = 255;
const FAILED: u8 = 0;
const SUCCEEDED: u8 = 1;
