//! A moment on the wall clock, and how it is printed and read.
//!
//! Only `crate::clock` reads the clock. Everything else gets the time as an argument.

pub(crate) mod minute;
pub(crate) mod timekeeper;

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use jiff::fmt::temporal::DateTimePrinter;
use jiff::tz::TimeZone;

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Timestamp(u64);

impl Timestamp {
    /// The earliest time, before every event. "Never" sorts as this.
    pub(crate) const EPOCH: Self = Self(0);

    pub(crate) const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    pub(crate) const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(MICROS_PER_MILLI))
    }

    #[cfg(test)]
    pub(crate) const fn from_secs(secs: u64) -> Self {
        Self(secs * MICROS_PER_SEC)
    }

    pub(crate) const fn as_micros(self) -> u64 {
        self.0
    }

    pub(crate) const fn as_millis(self) -> u64 {
        self.0 / MICROS_PER_MILLI
    }

    /// The first whole millisecond that is not earlier, so that nothing is due too soon.
    pub(crate) const fn up_to_millis(self) -> Self {
        Self(self.0.div_ceil(MICROS_PER_MILLI).saturating_mul(MICROS_PER_MILLI))
    }

    /// Unix seconds, rounded down, as the dialects' time headers carry them.
    pub(crate) const fn as_secs(self) -> u64 {
        self.0 / MICROS_PER_SEC
    }

    /// The time from `earlier` to this moment; zero when the clock went back.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }

    /// This time, or 1 µs after `last` where that is later. So times in a row are unique, wherever the clock goes.
    pub(crate) fn unique_after(self, last: Option<Self>) -> Self {
        last.map_or(self, |last| self.max(Self(last.0.saturating_add(1))))
    }

    /// Prints `2026-04-20T14:32:00Z`, with seconds rounded down, as the API prints times.
    pub(crate) fn rfc3339_secs(self) -> String {
        SECONDS.timestamp_to_string(&self.moment())
    }

    /// Prints `2026-04-20T14:32:00.000001Z`, always with six digits.
    pub(crate) fn rfc3339_micros(self) -> String {
        MICROS.timestamp_to_string(&self.moment())
    }

    /// Prints `20 Apr 2026, 14:32:00 UTC`, for people who read a page.
    pub(crate) fn utc_words(self) -> String {
        TimeZone::UTC.to_datetime(self.moment()).strftime("%-d %b %Y, %H:%M:%S UTC").to_string()
    }

    /// Prints `14:32:00` as a clock in `zone` shows it, for lines on a terminal.
    pub(crate) fn clock_face(self, zone: &TimeZone) -> String {
        zone.to_datetime(self.moment()).strftime("%H:%M:%S").to_string()
    }

    /// Prints how far clocks in `zone` are from UTC at this moment: `UTC`, `UTC+02:00`.
    pub(crate) fn offset(self, zone: &TimeZone) -> String {
        let offset = zone.to_offset(self.moment());
        let minutes = offset.seconds().unsigned_abs() / 60;
        match offset.seconds() {
            0 => "UTC".to_owned(),
            seconds => format!("UTC{}{:02}:{:02}", if seconds < 0 { '-' } else { '+' }, minutes / 60, minutes % 60),
        }
    }

    /// Reads RFC 3339 with any offset (RFC 3339 section 5.6).
    pub(crate) fn parse_rfc3339(text: &str) -> Result<Self, NoTime> {
        let read = text.parse::<jiff::Timestamp>().ok();
        let micros = read.and_then(|read| u64::try_from(read.as_microsecond()).ok());
        micros.map(Self).ok_or_else(|| NoTime::explain(text))
    }

    fn moment(self) -> jiff::Timestamp {
        let micros = i64::try_from(self.0).unwrap_or(i64::MAX);
        jiff::Timestamp::from_microsecond(micros).unwrap_or(jiff::Timestamp::MAX)
    }
}

/// Why a text is no time that can be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoTime {
    /// The text is no time.
    Unreadable,
    /// The text is a date without a time of day.
    DateAlone,
    /// The text has no offset from UTC, so each time zone has it at another moment.
    NoOffset,
    /// The time is before 1970, or so late that some time zones cannot name it.
    OutOfRange,
}

impl NoTime {
    fn explain(text: &str) -> Self {
        let Ok(pieces) = jiff::fmt::temporal::Pieces::parse(text) else { return Self::Unreadable };
        match (pieces.time(), pieces.to_numeric_offset()) {
            (None, _) => Self::DateAlone,
            (Some(_), None) => Self::NoOffset,
            (Some(_), Some(_)) => Self::OutOfRange,
        }
    }
}

impl fmt::Display for NoTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreadable => "is not an RFC 3339 time like 2026-04-20T14:32:00Z",
            Self::DateAlone => "has no time of day; write it as in 2026-04-20T14:32:00Z",
            Self::NoOffset => "has no offset from UTC; write it as in 2026-04-20T14:32:00Z or 2026-04-20T16:32:00+02:00",
            Self::OutOfRange => "is outside the range of times, 1970-01-01T00:00:00Z to 9999-12-30T22:00:00Z",
        })
    }
}

/// Printers of seconds with no digits or six digits behind the point. Further digits are cut, not rounded.
const SECONDS: DateTimePrinter = DateTimePrinter::new().precision(Some(0));
const MICROS: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339_secs())
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, by: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, by: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(by.as_micros()).unwrap_or(u64::MAX)))
    }
}

const MICROS_PER_MILLI: u64 = 1_000;
const MICROS_PER_SEC: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_time_prints_as_it_reads() {
        let read = Timestamp::parse_rfc3339("2026-04-20T16:32:00.5+02:00").expect("a valid time");
        assert_eq!(read.rfc3339_secs(), "2026-04-20T14:32:00Z");
        assert_eq!(read.rfc3339_micros(), "2026-04-20T14:32:00.500000Z");
    }

    #[test]
    fn digits_not_printed_are_cut_and_not_rounded() {
        let last = Timestamp::from_micros(1_776_695_520_000_000 - 1);
        assert_eq!(last.rfc3339_secs(), "2026-04-20T14:31:59Z");
        assert_eq!(last.rfc3339_micros(), "2026-04-20T14:31:59.999999Z");
        assert_eq!(Timestamp::EPOCH.rfc3339_micros(), "1970-01-01T00:00:00.000000Z");
    }

    #[test]
    fn a_clock_face_is_that_of_its_zone_and_says_which() {
        let (moment, hours) = (Timestamp::from_micros(1_776_695_520_000_000), jiff::tz::offset);
        let face = |zone: TimeZone| (moment.clock_face(&zone), moment.offset(&zone));
        assert_eq!(face(TimeZone::UTC), ("14:32:00".into(), "UTC".into()));
        assert_eq!(face(TimeZone::fixed(hours(2))), ("16:32:00".into(), "UTC+02:00".into()));
        assert_eq!(face(TimeZone::fixed(hours(-8))), ("06:32:00".into(), "UTC-08:00".into()));
    }

    #[test]
    fn text_that_is_no_moment_is_refused() {
        for text in ["", "14:32:00Z", "10000-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "now"] {
            assert_eq!(Timestamp::parse_rfc3339(text), Err(NoTime::Unreadable), "{text}");
        }
        assert_eq!(Timestamp::parse_rfc3339("2026-04-20"), Err(NoTime::DateAlone));
        assert_eq!(Timestamp::parse_rfc3339("2026-04-20T14:32:00"), Err(NoTime::NoOffset));
    }

    #[test]
    fn a_moment_before_1970_or_at_the_end_of_9999_is_out_of_range() {
        for text in ["1969-12-31T23:59:59Z", "1969-07-20T20:17:40+00:00", "9999-12-31T23:59:59Z"] {
            assert_eq!(Timestamp::parse_rfc3339(text), Err(NoTime::OutOfRange), "{text}");
        }
        for text in ["1970-01-01T00:00:00Z", "9999-12-30T22:00:00Z"] {
            assert!(Timestamp::parse_rfc3339(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_text_that_is_no_time_is_answered_with_how_to_write_it() {
        for (text, says) in [
            ("now", "is not an RFC 3339 time like 2026-04-20T14:32:00Z"),
            ("2026-04-20", "has no time of day; write it as in 2026-04-20T14:32:00Z"),
            ("2026-04-20T14:32:00", "has no offset from UTC; write it as in 2026-04-20T14:32:00Z or 2026-04-20T16:32:00+02:00"),
            ("1969-12-31T23:59:59Z", "is outside the range of times, 1970-01-01T00:00:00Z to 9999-12-30T22:00:00Z"),
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text).expect_err(text).to_string(), says);
        }
        assert_eq!(Timestamp::from_secs(1_776_695_520).to_string(), "2026-04-20T14:32:00Z");
    }

    proptest! {
        #[test]
        fn unique_times_rise_wherever_the_clock_goes(clock in prop::collection::vec(0..1_u64 << 50, 1..50)) {
            let mut last = None;
            for now in clock.into_iter().map(Timestamp::from_micros) {
                let unique = now.unique_after(last);
                prop_assert!(unique >= now && last.is_none_or(|last| unique > last));
                prop_assert!(unique == now || last.is_some_and(|last| unique.as_micros() == last.as_micros() + 1));
                last = Some(unique);
            }
        }
    }

    /// A damaged row may hold any number.
    #[test]
    fn the_largest_number_is_a_time_too() {
        let last = Timestamp::from_millis(u64::MAX);
        assert_eq!((last.as_micros(), last.up_to_millis(), last.unique_after(Some(last))), (u64::MAX, last, last));
        assert_eq!((last + Duration::MAX, Timestamp::from_micros(u64::MAX)), (last, last));
    }

    #[test]
    fn a_clock_that_went_back_gives_no_negative_age() {
        assert_eq!(Timestamp::from_secs(1).since(Timestamp::from_secs(2)), Duration::ZERO);
    }
}
