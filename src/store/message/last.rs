//! How a webhook's newest attempt ended, in memory: lists show it of each webhook, without a look at the disk for each row.
//!
//! The writer notes it after each commit. Of an attempt before the start of the process a reader looks it up in the log, once a
//! webhook, and leaves here what it found. The two moments of one value are separate atomics: a reader may see the time of one
//! attempt with the result of the next, which is told a moment later anyway.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::domain::delivery::outcome::Class;
use crate::domain::time::Timestamp;

/// The end of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LastAttempt {
    pub(crate) ended_at: Timestamp,
    /// Of the response; `None`: there was none.
    pub(crate) code: Option<u16>,
    /// Why it was no success; `None`: it was one.
    pub(crate) error: Option<Class>,
}

/// What is known of a webhook's newest attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Known {
    /// Nobody looked since the start.
    Nothing,
    /// The log has no attempt.
    NoAttempt,
    Attempt(LastAttempt),
}

/// The same, shared by the writer and all readers.
#[derive(Debug, Default)]
pub(in crate::store) struct Last {
    ended_at_micros: AtomicU64,
    /// 0: nothing is known; else as [`packed`] makes it.
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

    /// Notes an attempt that was committed. Only the writer calls this; one that ended before the one that is known is passed over.
    pub(in crate::store) fn note(&self, attempt: LastAttempt) {
        let at = attempt.ended_at.as_micros();
        if self.ended_at_micros.fetch_max(at, Relaxed) <= at {
            self.result.store(packed(attempt), Relaxed);
        }
    }

    /// Keeps what a reader found in the log, unless the writer noted an attempt meanwhile.
    pub(in crate::store) fn learn(&self, found: Option<LastAttempt>) {
        let result = found.map_or(NO_ATTEMPT, packed);
        if let (Ok(_), Some(attempt)) = (self.result.compare_exchange(0, result, Relaxed, Relaxed), found) {
            self.ended_at_micros.fetch_max(attempt.ended_at.as_micros(), Relaxed);
        }
    }
}

/// The code in the lower half, then the class as a number from 1, 0 where there is none.
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

/// Set in every known result, so that none is 0.
const KNOWN: u32 = 1 << 31;

/// A known result that no attempt has: a success without a code.
const NO_ATTEMPT: u32 = KNOWN;

/// Behind the 16 bits of the code.
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
    fn what_a_reader_finds_is_kept_until_the_writer_knows_better() {
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
