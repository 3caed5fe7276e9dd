//! The only file that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::domain::time::Timestamp;

/// The wall clock: for what is written down, signed or shown. It may jump.
pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}

/// The steady clock: for how long a thing takes and when the next is due. It never jumps.
pub(crate) fn steady() -> Instant {
    Instant::now()
}
