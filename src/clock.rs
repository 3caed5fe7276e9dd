//! The only file that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

#[cfg(test)]
pub(crate) use hands::Hands;

use jiff::tz::TimeZone;
use rustix::time::{ClockId, clock_gettime};

use crate::domain::time::Timestamp;
use crate::domain::time::timekeeper::Reading;

/// The clocks that a store goes by. In the service they are those of the machine; a simulation gives it hands that it moves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock {
    #[cfg(test)]
    hands: Option<std::sync::Arc<Hands>>,
}

/// The service never asks whose clock it is: there is only the machine's.
#[cfg(not(test))]
impl Clock {
    /// As [`steady`].
    pub(crate) fn steady(&self) -> Instant {
        steady()
    }

    /// As [`boot`].
    pub(crate) fn boot(&self) -> Duration {
        boot()
    }

    /// As [`reading`].
    pub(crate) fn reading(&self) -> Reading {
        reading()
    }

    /// As [`boot_id`].
    pub(crate) fn boot_id(&self) -> u64 {
        boot_id()
    }
}

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

#[cfg(test)]
mod hands {
    //! A clock that stands until it is moved.

    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::sync::{Arc, LazyLock};

    use super::*;

    /// The hands of a clock. Several threads may look at them; one moves them.
    #[derive(Debug)]
    pub(crate) struct Hands {
        /// Microseconds since the first hands of this process were made.
        steady: AtomicU64,
        /// How much of them had passed when the machine booted.
        booted: AtomicU64,
        boot_id: AtomicU64,
        /// The wall clock when the machine booted, as it goes now: a jump moves it.
        wall: AtomicU64,
    }

    impl Hands {
        /// Of a machine that boots at this time.
        pub(crate) fn at(wall: Timestamp) -> Arc<Self> {
            let (steady, booted, boot_id) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(1));
            Arc::new(Self { steady, booted, boot_id, wall: AtomicU64::new(wall.as_micros()) })
        }

        /// Since these hands were made.
        pub(crate) fn elapsed(&self) -> Duration {
            Duration::from_micros(self.steady.load(Relaxed))
        }

        /// Lets time pass.
        pub(crate) fn advance(&self, by: Duration) {
            self.steady.fetch_add(micros(by), Relaxed);
        }

        /// Moves the wall clock alone.
        pub(crate) fn set_wall(&self, wall: Timestamp) {
            self.wall.store(wall.as_micros().saturating_sub(micros(self.boot())), Relaxed);
        }

        /// The machine boots anew after so long, during which its wall clock went on.
        pub(crate) fn reboot(&self, after: Duration) {
            self.advance(after);
            let wall = self.wall();
            self.booted.store(self.steady.load(Relaxed), Relaxed);
            self.boot_id.fetch_add(1, Relaxed);
            self.set_wall(wall);
        }

        /// What the wall clock shows.
        pub(crate) fn wall(&self) -> Timestamp {
            Timestamp::from_micros(self.wall.load(Relaxed)) + self.boot()
        }

        fn boot(&self) -> Duration {
            Duration::from_micros(self.steady.load(Relaxed) - self.booted.load(Relaxed))
        }
    }

    impl Clock {
        pub(crate) fn of(hands: Arc<Hands>) -> Self {
            Self { hands: Some(hands) }
        }

        pub(crate) fn steady(&self) -> Instant {
            self.hands.as_ref().map_or_else(steady, |hands| *FIRST + hands.elapsed())
        }

        pub(crate) fn boot(&self) -> Duration {
            self.hands.as_ref().map_or_else(boot, |hands| hands.boot())
        }

        pub(crate) fn reading(&self) -> Reading {
            self.hands.as_ref().map_or_else(reading, |hands| Reading { wall: hands.wall(), boot: hands.boot() })
        }

        pub(crate) fn boot_id(&self) -> u64 {
            self.hands.as_ref().map_or_else(boot_id, |hands| hands.boot_id.load(Relaxed))
        }
    }

    fn micros(duration: Duration) -> u64 {
        u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
    }

    /// An instant cannot be made of a number, so all hands count from this one.
    static FIRST: LazyLock<Instant> = LazyLock::new(Instant::now);

    #[test]
    fn hands_stand_until_they_are_moved() {
        let hands = Hands::at(Timestamp::from_secs(1_000));
        let clock = Clock::of(hands.clone());
        let (began, minute) = (clock.steady(), Duration::from_secs(60));
        hands.advance(minute);
        assert_eq!((clock.steady() - began, clock.boot()), (minute, minute));
        assert_eq!(clock.reading().wall, Timestamp::from_secs(1_060));
        hands.set_wall(Timestamp::from_secs(500));
        hands.reboot(minute);
        assert_eq!((clock.steady() - began, clock.boot(), clock.boot_id()), (2 * minute, Duration::ZERO, 2));
        assert_eq!(clock.reading().wall, Timestamp::from_secs(560), "the wall clock goes on while the machine is off");
    }
}
