//! The service's time as every thread reads it, and what people are told of a wall clock that is not trusted.
//!
//! Only the writer looks at the wall clock. All others go on from its last look by the boot clock, which never jumps.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::time::Timestamp;
use crate::domain::time::timekeeper::{Doubt, News, TimeKeeper, Why};
use crate::domain::units::duration_text;

/// How far the service's time and the signing time are ahead of the boot clock, in microseconds.
pub(in crate::store) struct Dial {
    now: AtomicI64,
    signed: AtomicI64,
    doubt: Mutex<Option<Doubt>>,
    clock: Clock,
}

impl Dial {
    pub(in crate::store) fn new(time: &TimeKeeper, clock: Clock) -> Self {
        let dial = Self { now: AtomicI64::new(0), signed: AtomicI64::new(0), doubt: Mutex::default(), clock };
        dial.set(time);
        dial
    }

    /// Takes over the times after a look at the clocks. Only the writer calls it.
    pub(in crate::store) fn set(&self, time: &TimeKeeper) {
        let boot = micros(time.looked_at());
        let ahead = |at: Timestamp| i64::try_from(at.as_micros()).unwrap_or(i64::MAX).saturating_sub(boot);
        self.now.store(ahead(time.now()), Relaxed);
        self.signed.store(ahead(time.signed()), Relaxed);
        *self.doubt.lock().unwrap_or_else(PoisonError::into_inner) = time.doubt();
    }

    pub(in crate::store) fn now(&self) -> Timestamp {
        self.read(&self.now)
    }

    pub(in crate::store) fn signed(&self) -> Timestamp {
        self.read(&self.signed)
    }

    pub(in crate::store) fn doubt(&self) -> Option<Doubt> {
        *self.doubt.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, ahead: &AtomicI64) -> Timestamp {
        let micros = micros(self.clock.boot()).saturating_add(ahead.load(Relaxed));
        Timestamp::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}

/// Logs what a look at the clocks found.
pub(in crate::store) fn tell(news: News) {
    match news {
        News::Doubted(doubt) => tell_of(doubt),
        News::Right => tracing::info!("the wall clock is right again"),
        News::Believed(doubt) => tracing::warn!("{} for a day, so that it is held to be right", described(doubt)),
    }
}

/// Logs why the wall clock is not trusted.
pub(in crate::store) fn tell_of(doubt: Doubt) {
    let left = duration_text(whole_seconds(doubt.left()));
    tracing::warn!("{}: {} for {left}; `hookwheel clock accept` says that it is right", described(doubt), consequence(doubt.why));
}

/// Says what is wrong with the wall clock.
pub(crate) fn described(doubt: Doubt) -> String {
    let off = duration_text(whole_seconds(doubt.off));
    match doubt.why {
        Why::Ahead => format!("the wall clock jumped ahead by {off}"),
        Why::Behind => format!("the wall clock jumped back by {off}"),
        Why::Early => format!("the wall clock is {off} behind the newest time in the store"),
        Why::Away => format!("the wall clock is {off} ahead of the newest time in the store"),
    }
}

/// Says what the service does while it does not trust the wall clock.
pub(crate) fn consequence(why: Why) -> &'static str {
    match why {
        Why::Ahead => "what waits goes on waiting as long as it should, and nothing is deleted for its age",
        Why::Behind | Why::Early => "the service's own time goes on and is what is signed, and nothing is deleted for its age",
        Why::Away => "nothing is deleted for its age",
    }
}

/// The duration, rounded to whole seconds.
fn whole_seconds(duration: Duration) -> Duration {
    Duration::from_secs((duration + Duration::from_millis(500)).as_secs())
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::timekeeper::Reading;

    #[test]
    fn all_threads_go_on_from_the_writers_last_look() {
        let clock = Clock::default();
        let boot = clock.boot();
        let mut time = TimeKeeper::trusting(Reading { wall: Timestamp::from_secs(5_000), boot });
        let dial = Dial::new(&time, clock);
        time.look(Reading { wall: Timestamp::from_secs(9_000), boot });
        dial.set(&time);
        let near =
            |read: Timestamp, secs| (Duration::ZERO..Duration::from_secs(60)).contains(&read.since(Timestamp::from_secs(secs)));
        assert!(near(dial.now(), 5_000) && near(dial.signed(), 9_000), "{} {}", dial.now(), dial.signed());
        assert_eq!(dial.doubt().map(|doubt| doubt.why), Some(Why::Ahead));
    }

    #[test]
    fn a_doubt_is_described_by_what_is_wrong() {
        let doubt = Doubt { why: Why::Early, off: Duration::from_millis(3_599_990), held: Duration::ZERO };
        assert_eq!(described(doubt), "the wall clock is 1h behind the newest time in the store");
    }
}
