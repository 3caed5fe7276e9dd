//! The only file that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use jiff::tz::TimeZone;
use rustix::time::{ClockId, clock_gettime};

use crate::domain::time::Timestamp;
use crate::domain::time::timekeeper::Reading;

/// The wall clock: for what is shown where no store is open. It may jump; a service has its store's time, which does not.
pub(crate) fn now() -> Timestamp {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_micros(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}

/// The steady clock: for how long a thing takes. It never jumps, and stands still while the machine sleeps.
pub(crate) fn steady() -> Instant {
    Instant::now()
}

/// Since the machine was booted, its sleep included; whole microseconds, as in a [`Timestamp`].
pub(crate) fn boot() -> Duration {
    Duration::from_micros(micros_since_boot(ClockId::Boottime))
}

/// The wall clock and the one that it is judged by.
pub(crate) fn reading() -> Reading {
    Reading { wall: now(), boot: boot() }
}

/// Which boot of the machine [`boot`] counts from (random(4)); 0 where the system does not say.
pub(crate) fn boot_id() -> u64 {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).take(16).collect();
    u64::from_str_radix(&digits, 16).unwrap_or(0)
}

/// The zone in which a person here reads a clock: `TZ`, else /etc/localtime, else UTC.
pub(crate) fn zone() -> TimeZone {
    TimeZone::system()
}

/// Microseconds of `CLOCK_MONOTONIC`, which systemd compares with its own.
pub(crate) fn monotonic_micros() -> u64 {
    micros_since_boot(ClockId::Monotonic)
}

fn micros_since_boot(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    let (secs, nanos) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    secs * 1_000_000 + nanos / 1_000
}
