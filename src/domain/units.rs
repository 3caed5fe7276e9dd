//! Durations and sizes as people write them: numbers with units, such as `30s`, `1h30m`, `16KiB`.
//!
//! A number without a unit is refused, so that nobody has to guess whether 30 is seconds. A printed value reads back as the same
//! value.

use std::fmt;
use std::time::Duration;

/// Reads `30s`, `500ms`, `1h30m`, `7d`, `2w`: whole numbers with units. Each unit may come once, and larger units come first.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, Wrong> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut rest = text;
    let mut millis = 0u64;
    let mut larger = u64::MAX;
    while !rest.is_empty() {
        let (number, unit, behind) = split(rest);
        let each = scale(unit, DURATION_UNITS, number)?;
        if each >= larger {
            return Err(Wrong::Order);
        }
        millis = whole(number)?.checked_mul(each).and_then(|part| millis.checked_add(part)).ok_or(Wrong::TooLarge)?;
        (rest, larger) = (behind, each);
    }
    if text.is_empty() { Err(Wrong::NoNumber) } else { Ok(Duration::from_millis(millis)) }
}

/// Prints a duration in the same units, to the millisecond: `1h30m`, `7d`, `0s`.
pub(crate) fn duration_text(duration: Duration) -> String {
    let mut left = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    // Weeks are read but not printed, and a day is printed as 24h, since people say it so.
    let days = left >= 2 * DAY_MILLIS;
    let units = DURATION_UNITS.iter().filter(|(unit, _)| *unit != "w" && (days || *unit != "d"));
    let mut text = String::new();
    for (unit, each) in units {
        if left >= *each {
            text += &format!("{}{unit}", left / each);
            left %= each;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

/// A number of bytes. It is printed in the largest unit that leaves it whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Size(pub(crate) u64);

impl Size {
    pub(crate) const fn kib(count: u64) -> Self {
        Self(count * KIB)
    }

    pub(crate) const fn mib(count: u64) -> Self {
        Self(count * KIB * KIB)
    }

    pub(crate) const fn gib(count: u64) -> Self {
        Self(count * KIB * KIB * KIB)
    }

    pub(crate) const fn bytes(self) -> u64 {
        self.0
    }

    /// Reads `512B`, `16KiB`, `10GiB`, and the powers of ten `16KB`, `10GB`.
    pub(crate) fn parse(text: &str) -> Result<Self, Wrong> {
        if text == "0" {
            return Ok(Self(0));
        }
        let (number, unit, behind) = split(text);
        if !behind.is_empty() {
            return Err(Wrong::Order);
        }
        let each = scale(unit, SIZE_UNITS, number)?;
        whole(number)?.checked_mul(each).map(Self).ok_or(Wrong::TooLarge)
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, each): &&(&str, u64)| self.0 >= *each && self.0.is_multiple_of(*each);
        let (unit, each) = SIZE_UNITS.iter().find(whole).unwrap_or(&("B", 1));
        write!(f, "{}{unit}", self.0 / each)
    }
}

/// Why a text is no duration or size. The message shows what one looks like.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    #[error("it does not begin with a whole number")]
    NoNumber,
    #[error("it has no unit")]
    NoUnit,
    #[error("`{0}` is not a unit here")]
    UnknownUnit(String),
    #[error("its units do not stand from large to small, each once")]
    Order,
    #[error("it is too large")]
    TooLarge,
}

/// Splits a text into its first number, its unit and the rest: `1h30m` into `1`, `h` and `30m`.
fn split(text: &str) -> (&str, &str, &str) {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at(digits);
    let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
    let (unit, behind) = rest.split_at(letters);
    (number, unit.trim_matches(' '), behind)
}

fn scale(unit: &str, units: &[(&str, u64)], number: &str) -> Result<u64, Wrong> {
    if number.is_empty() {
        return Err(Wrong::NoNumber);
    }
    if unit.is_empty() {
        return Err(Wrong::NoUnit);
    }
    let known = units.iter().find(|(name, _)| *name == unit);
    known.map(|(_, each)| *each).ok_or_else(|| Wrong::UnknownUnit(unit.to_owned()))
}

fn whole(number: &str) -> Result<u64, Wrong> {
    number.parse().map_err(|_| Wrong::TooLarge)
}

/// The milliseconds of each unit, the largest first.
const DURATION_UNITS: &[(&str, u64)] =
    &[("w", 7 * DAY_MILLIS), ("d", DAY_MILLIS), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];

const DAY_MILLIS: u64 = 86_400_000;

/// The bytes of each unit, the largest first. `KiB` is a power of two, `KB` a power of ten (IEC 80000-13).
const SIZE_UNITS: &[(&str, u64)] = &[
    ("TiB", KIB * KIB * KIB * KIB),
    ("TB", 1_000_000_000_000),
    ("GiB", KIB * KIB * KIB),
    ("GB", 1_000_000_000),
    ("MiB", KIB * KIB),
    ("MB", 1_000_000),
    ("KiB", KIB),
    ("KB", 1_000),
    ("B", 1),
];

const KIB: u64 = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_are_read_with_their_units() {
        for (text, secs) in [("30s", 30), ("5m", 300), ("24h", 86_400), ("7d", 604_800), ("1h30m", 5_400), ("2w", 1_209_600)] {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        assert_eq!(parse_duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_duration_says_what_is_wrong_with_it() {
        for (text, wrong) in [
            ("30", Wrong::NoUnit),
            ("", Wrong::NoNumber),
            ("s", Wrong::NoNumber),
            ("-5s", Wrong::NoNumber),
            ("5 sec", Wrong::UnknownUnit("sec".into())),
            ("1.5h", Wrong::UnknownUnit(".".into())),
            ("30m1h", Wrong::Order),
            ("1h1h", Wrong::Order),
            ("99999999999999999999s", Wrong::TooLarge),
            ("9999999999999999w", Wrong::TooLarge),
        ] {
            assert_eq!(parse_duration(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_units() {
        for (text, bytes) in [("16KiB", 16_384), ("10GiB", 10 << 30), ("16KB", 16_000), ("512B", 512), ("1 MiB", 1 << 20)] {
            assert_eq!(Size::parse(text), Ok(Size(bytes)), "{text}");
        }
        assert_eq!(Size::parse("0"), Ok(Size::default()));
        assert_eq!([Size::kib(3), Size::mib(3), Size::gib(3)].map(Size::bytes), [3_072, 3_145_728, 3_221_225_472]);
    }

    #[test]
    fn a_size_says_what_is_wrong_with_it() {
        for (text, wrong) in [
            ("16", Wrong::NoUnit),
            ("16kb", Wrong::UnknownUnit("kb".into())),
            ("", Wrong::NoNumber),
            ("1GiB5MiB", Wrong::Order),
            ("99999999TiB", Wrong::TooLarge),
        ] {
            assert_eq!(Size::parse(text), Err(wrong), "{text}");
        }
    }

    #[test]
    fn values_are_printed_in_plain_units() {
        assert_eq!(duration_text(Duration::from_secs(604_800)), "7d");
        assert_eq!(duration_text(Duration::from_secs(5_400)), "1h30m");
        assert_eq!(duration_text(Duration::from_secs(86_400)), "24h");
        assert_eq!(duration_text(Duration::ZERO), "0s");
        assert_eq!(Size(16_384).to_string(), "16KiB");
        assert_eq!(Size(16_000).to_string(), "16KB");
        assert_eq!(Size(0).to_string(), "0B");
    }

    proptest! {
        #[test]
        fn a_printed_value_reads_back(millis in 0..u64::MAX / 2, bytes: u64) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse_duration(&duration_text(duration)), Ok(duration));
            prop_assert_eq!(Size::parse(&Size(bytes).to_string()), Ok(Size(bytes)));
        }

        #[test]
        fn no_text_breaks_the_readers(text: String) {
            let _ = (parse_duration(&text), Size::parse(&text));
        }
    }
}
