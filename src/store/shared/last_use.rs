//! When a key was used last, by the minute. Every request that comes with the key notes it, without a lock and mostly without a write;
//! once a minute what is new is brought to the disk.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use crate::domain::time::Timestamp;

/// The last use of one key.
#[derive(Debug, Default)]
pub(in crate::store) struct LastUse {
    /// The minute since 1970; 0: it was never used.
    minute: AtomicU32,
    /// The same as the disk has it.
    kept: AtomicU32,
}

impl LastUse {
    /// As the disk has it.
    pub(in crate::store) fn kept(at: Option<Timestamp>) -> Self {
        let minute = at.map_or(0, minute);
        Self { minute: minute.into(), kept: minute.into() }
    }

    pub(in crate::store) fn note(&self, now: Timestamp) {
        let minute = minute(now);
        if self.minute.load(Relaxed) != minute {
            self.minute.store(minute, Relaxed);
        }
    }

    /// The beginning of its minute; `None`: the key was never used.
    pub(in crate::store) fn last(&self) -> Option<Timestamp> {
        begin(self.minute.load(Relaxed))
    }

    /// What the disk does not have yet. It counts as kept from then on.
    pub(in crate::store) fn take_new(&self) -> Option<Timestamp> {
        let minute = self.minute.load(Relaxed);
        begin(minute).filter(|_| self.kept.swap(minute, Relaxed) != minute)
    }
}

fn minute(at: Timestamp) -> u32 {
    u32::try_from(at.as_micros() / MINUTE_MICROS).unwrap_or(u32::MAX)
}

fn begin(minute: u32) -> Option<Timestamp> {
    (minute > 0).then(|| Timestamp::from_micros(u64::from(minute) * MINUTE_MICROS))
}

const MINUTE_MICROS: u64 = 60_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_use_is_known_by_the_minute_and_brought_to_disk_once() {
        let used = LastUse::default();
        assert_eq!((used.last(), used.take_new()), (None, None));
        used.note(Timestamp::from_secs(119));
        assert_eq!(used.last(), Some(Timestamp::from_secs(60)));
        assert_eq!((used.take_new(), used.take_new()), (Some(Timestamp::from_secs(60)), None));
        used.note(Timestamp::from_secs(61));
        assert_eq!(used.take_new(), None, "the same minute");
        used.note(Timestamp::from_secs(120));
        assert_eq!(used.take_new(), Some(Timestamp::from_secs(120)));
        let again = LastUse::kept(Some(Timestamp::from_secs(120)));
        assert_eq!((again.last(), again.take_new()), (Some(Timestamp::from_secs(120)), None));
    }
}
