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

/// Microseconds of `CLOCK_MONOTONIC`, which systemd compares with its own.
pub(crate) fn monotonic_micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let (secs, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    secs * 1_000_000 + nanos / 1_000
}
