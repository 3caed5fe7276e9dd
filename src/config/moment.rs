//! Moments as people name them: by a time, or by how long ago they were.

use std::fmt;

use crate::domain::time::{NoTime, Timestamp};
use crate::domain::units::{self, parse_duration};

/// Reads `2026-04-20T14:32:00Z`, or `10m` for ten minutes before `now`.
pub(crate) fn parse_moment(text: &str, now: Timestamp) -> Result<Timestamp, NoMoment> {
    match Timestamp::parse_rfc3339(text) {
        Err(NoTime::Unreadable) => parse_duration(text).map(|ago| now - ago).map_err(|wrong| NoMoment::of(text, wrong)),
        read => read.map_err(NoMoment::Time),
    }
}

/// Why a text names no moment. The message shows what a moment looks like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NoMoment {
    /// The text is meant as a time, and something in it is wrong.
    Time(NoTime),
    /// The text is meant as a duration, and something in it is wrong.
    Ago(units::Wrong),
    /// The text is neither a time nor a duration.
    Neither,
}

impl NoMoment {
    /// Finds out what a text was meant as: one that begins with a digit and has none of the signs of a time is a duration.
    fn of(text: &str, wrong: units::Wrong) -> Self {
        let is_duration = text.starts_with(|first: char| first.is_ascii_digit()) && !text.contains(['-', ':']);
        if is_duration { Self::Ago(wrong) } else { Self::Neither }
    }
}

impl fmt::Display for NoMoment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(wrong) => write!(f, "{wrong}"),
            Self::Ago(wrong) => write!(f, "{NEITHER}: {wrong}"),
            Self::Neither => f.write_str(NEITHER),
        }
    }
}

const NEITHER: &str = "is neither a time like 2026-04-20T14:32:00Z nor how long ago, like 10m or 2h";

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_776_695_520);

    fn read(text: &str) -> Result<String, String> {
        parse_moment(text, NOW).map(Timestamp::rfc3339_secs).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn a_moment_is_a_time_or_how_long_ago() {
        assert_eq!(read("10m").as_deref(), Ok("2026-04-20T14:22:00Z"));
        assert_eq!(read("0").as_deref(), Ok("2026-04-20T14:32:00Z"));
        assert_eq!(read("2026-04-20T16:32:00+02:00").as_deref(), Ok("2026-04-20T14:32:00Z"));
        assert_eq!(read("9999w").as_deref(), Ok("1970-01-01T00:00:00Z"), "before every event");
    }

    #[test]
    fn what_is_wrong_with_it_is_said() {
        let expected = [
            ("yesterday", "is neither a time like 2026-04-20T14:32:00Z nor how long ago, like 10m or 2h"),
            ("", "is neither a time like 2026-04-20T14:32:00Z nor how long ago, like 10m or 2h"),
            ("30", "is neither a time like 2026-04-20T14:32:00Z nor how long ago, like 10m or 2h: it has no unit"),
            ("3y", "is neither a time like 2026-04-20T14:32:00Z nor how long ago, like 10m or 2h: `y` is not a unit here"),
            ("1969-12-31T23:59:59Z", "is outside the range of times, 1970-01-01T00:00:00Z to 9999-12-30T22:00:00Z"),
            ("2026-04-20", "has no time of day; write it as in 2026-04-20T14:32:00Z"),
            ("2026-04-20T14:32:00", "has no offset from UTC; write it as in 2026-04-20T14:32:00Z or 2026-04-20T16:32:00+02:00"),
        ];
        for (text, wrong) in expected {
            assert_eq!(read(text), Err(wrong.to_owned()), "{text}");
        }
    }
}
