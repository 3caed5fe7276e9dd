//! How a webhook's newest attempt ended, kept in memory: lists show it for each webhook without reading the disk for each row.
//!
//! The writer notes it after each commit. For an attempt before the start of the process, a reader looks it up in the log once a
//! webhook and keeps here what it found. The time and the result are separate atomics, so a reader may see the time of one
//! attempt with the result of the next, which it would see a moment later anyway.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::domain::delivery::outcome::Class;
use crate::domain::time::Timestamp;

/// The end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastAttempt {
    pub(crate) ended_at: Timestamp,
    /// The status of the response. `None` when there was none.
    pub(crate) code: Option<u16>,
    /// Why the attempt was no success. `None` when it was one.
    pub(crate) error: Option<Class>,
}

/// What memory knows of a webhook's newest attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Known {
    /// Nobody has looked since the start.
    Nothing,
    /// The log holds no attempt.
    NoAttempt,
    Attempt(LastAttempt),
}

/// The newest attempt's end, shared by the writer and all readers.
#[derive(Debug, Default)]
pub(in crate::store) struct Last {
    ended_at_micros: AtomicU64,
    /// 0 when nothing is known, else the value of [`packed`].
    result: AtomicU32,
}

impl Last {
    pub(in crate::store) fn known(&self) -> Known {
        match self.result.load(Relaxed) {
            0 => Known::Nothing,
            NO_ATTEMPT => Known::NoAttempt,
            result => Known::Attempt(unpacked(result, Timestamp::from_micros(self.ended_at_micros.load(Relaxed)))),
        }
    }

    /// Takes note of an attempt that was committed. Only the writer calls this. An attempt that ended earlier than the known one
    /// is ignored.
    pub(in crate::store) fn note(&self, attempt: LastAttempt) {
        let at = attempt.ended_at.as_micros();
        if self.ended_at_micros.fetch_max(at, Relaxed) <= at {
            self.result.store(packed(attempt), Relaxed);
        }
    }

    /// Keeps what a reader found in the log, unless the writer has noted an attempt meanwhile.
    pub(in crate::store) fn learn(&self, found: Option<LastAttempt>) {
        let result = found.map_or(NO_ATTEMPT, packed);
        if let (Ok(_), Some(attempt)) = (self.result.compare_exchange(0, result, Relaxed, Relaxed), found) {
            self.ended_at_micros.fetch_max(attempt.ended_at.as_micros(), Relaxed);
        }
    }
}

/// Packs a result: the code in the lower half, and above it the class as a number from 1, or 0 without a class.
fn packed(attempt: LastAttempt) -> u32 {
    let class = attempt.error.and_then(|error| Class::ALL.iter().position(|class| *class == error));
    let class = class.and_then(|position| u32::try_from(position + 1).ok()).unwrap_or_default();
    KNOWN | class << CLASS_AT | u32::from(attempt.code.unwrap_or_default())
}

fn unpacked(result: u32, ended_at: Timestamp) -> LastAttempt {
    let [.., high, low] = result.to_be_bytes();
    let code = Some(u16::from_be_bytes([high, low])).filter(|code| *code > 0);
    let class = usize::try_from((result & !KNOWN) >> CLASS_AT).ok().and_then(|number| number.checked_sub(1));
    LastAttempt { ended_at, code, error: class.and_then(|position| Class::ALL.get(position)).copied() }
}

/// A bit that every known result has, so that none is 0.
const KNOWN: u32 = 1 << 31;

/// The value for a log without attempts. No attempt has it: it would be a success without a code.
const NO_ATTEMPT: u32 = KNOWN;

/// The position of the class, above the 16 bits of the code.
const CLASS_AT: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(at: u64, code: Option<u16>, error: Option<Class>) -> LastAttempt {
        LastAttempt { ended_at: Timestamp::from_micros(at), code, error }
    }

    #[test]
    fn each_code_and_each_class_comes_back() {
        for (code, error) in Class::ALL.into_iter().map(|class| (None, Some(class))).chain([
            (Some(200), None),
            (Some(599), Some(Class::Status)),
            (Some(503), Some(Class::Response)),
        ]) {
            let last = Last::default();
            last.note(attempt(5, code, error));
            assert_eq!(last.known(), Known::Attempt(attempt(5, code, error)));
        }
    }

    #[test]
    fn an_attempt_that_ended_earlier_changes_nothing() {
        let last = Last::default();
        last.note(attempt(7, Some(500), Some(Class::Status)));
        last.note(attempt(6, Some(200), None));
        assert_eq!(last.known(), Known::Attempt(attempt(7, Some(500), Some(Class::Status))));
        last.note(attempt(8, Some(200), None));
        assert_eq!(last.known(), Known::Attempt(attempt(8, Some(200), None)));
    }

    #[test]
    fn a_readers_find_is_kept_until_the_writer_notes_an_attempt() {
        let last = Last::default();
        assert_eq!(last.known(), Known::Nothing);
        last.learn(None);
        assert_eq!(last.known(), Known::NoAttempt);
        last.note(attempt(3, Some(204), None));
        last.learn(Some(attempt(9, Some(500), Some(Class::Status))));
        assert_eq!(last.known(), Known::Attempt(attempt(3, Some(204), None)));
        let other = Last::default();
        other.learn(Some(attempt(9, None, Some(Class::Dns))));
        assert_eq!(other.known(), Known::Attempt(attempt(9, None, Some(Class::Dns))));
    }
}
