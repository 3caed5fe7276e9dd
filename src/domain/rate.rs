//! How often something may be done, as people write it: `1000/s`, `600/m`.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// So many times in a second, a minute or an hour; as many at once as in that time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rate {
    /// At most [`COUNT_MAX`].
    pub(crate) count: NonZeroU32,
    pub(crate) per: Per,
}

impl Rate {
    /// The time between two of them when they are spread evenly, rounded up to whole nanoseconds, so that they are never faster.
    pub(crate) fn interval(self) -> Duration {
        let nanos = self.per.duration().as_nanos().div_ceil(u128::from(self.count.get()));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }

    /// How many there are in a second, rounded down, and at least 1.
    pub(crate) fn in_a_second(self) -> u32 {
        let seconds = u32::try_from(self.per.duration().as_secs()).unwrap_or(u32::MAX);
        (self.count.get() / seconds).max(1)
    }

    /// The rate as one number, for a place that is read without a lock. It is never 0.
    pub(crate) fn to_bits(self) -> u32 {
        (self.per as u32) << COUNT_BITS | self.count.get()
    }

    /// The rate of which [`Rate::to_bits`] made this number. `None` for any other number, as 0 is.
    pub(crate) fn from_bits(bits: u32) -> Option<Self> {
        let count = NonZeroU32::new(bits & ((1 << COUNT_BITS) - 1))?;
        let per = Per::ALL.into_iter().find(|per| *per as u32 == bits >> COUNT_BITS)?;
        Some(Self { count, per })
    }

    /// Whether it allows more in the long run than another rate.
    pub(crate) fn is_faster_than(self, other: Self) -> bool {
        let in_the_time_of = |rate: Self, other: Self| u64::from(rate.count.get()) * other.per.duration().as_secs();
        in_the_time_of(self, other) > in_the_time_of(other, self)
    }
}

/// The time in which a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    Second,
    Minute,
    Hour,
}

impl Per {
    const ALL: [Self; 3] = [Self::Second, Self::Minute, Self::Hour];

    pub(crate) const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3_600,
        })
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.per.unit())
    }
}

/// A text is no rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a rate; write it as in 1000/s, 600/m or 50/h, with a count from 1 to {COUNT_MAX}")]
pub(crate) struct NoRate;

impl FromStr for Rate {
    type Err = NoRate;

    fn from_str(text: &str) -> Result<Self, NoRate> {
        let (count, unit) = text.split_once('/').ok_or(NoRate)?;
        let per = Per::ALL.into_iter().find(|per| per.unit() == unit).ok_or(NoRate)?;
        // A sign is read as part of a number otherwise.
        let count = count.bytes().all(|byte| byte.is_ascii_digit()).then(|| count.parse().ok()).flatten();
        let count: NonZeroU32 = count.ok_or(NoRate)?;
        if count.get() > COUNT_MAX { Err(NoRate) } else { Ok(Self { count, per }) }
    }
}

/// The largest count: far more than one service takes in a second.
pub(crate) const COUNT_MAX: u32 = 1_000_000;

/// How many bits a count takes.
const COUNT_BITS: u32 = 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_of_other_times_are_compared() {
        let rate = |text: &str| text.parse::<Rate>().expect("a rate");
        for (fast, slow) in [("2/s", "1/s"), ("1/s", "59/m"), ("61/m", "1/s"), ("2/m", "119/h")] {
            assert!(rate(fast).is_faster_than(rate(slow)) && !rate(slow).is_faster_than(rate(fast)), "{fast} {slow}");
        }
        assert!(!rate("60/m").is_faster_than(rate("1/s")) && !rate("1/s").is_faster_than(rate("60/m")));
    }

    #[test]
    fn a_rate_is_an_interval_and_a_seconds_worth() {
        let of = |text: &str| {
            let rate = text.parse::<Rate>().expect("a rate");
            (rate.interval(), rate.in_a_second())
        };
        assert_eq!([of("10/s"), of("600/m")], [(Duration::from_millis(100), 10); 2]);
        assert_eq!(of("3/s"), (Duration::from_nanos(333_333_334), 3), "never faster");
        assert_eq!([of("59/m").1, of("1/h").1], [1, 1], "at least one");
        assert_eq!(of("1/h").0, Duration::from_secs(3_600));
    }

    #[test]
    fn a_rate_reads_back_from_its_bits() {
        for text in ["1/s", "1000000/s", "600/m", "1000000/h"] {
            let rate = text.parse::<Rate>().expect("a rate");
            assert_eq!(Rate::from_bits(rate.to_bits()), Some(rate));
        }
        assert_eq!([Rate::from_bits(0), Rate::from_bits(u32::MAX)], [None, None]);
    }

    #[test]
    fn a_rate_reads_back_from_its_print() {
        for text in ["1000/s", "600/m", "1/h", "1000000/s"] {
            assert_eq!(text.parse::<Rate>().map(|rate| rate.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "10", "10/", "/s", "0/s", "-1/s", "+1/s", "1.5/s", "10/d", "10 /s", "1000001/s", "99999999999/s"] {
            assert_eq!(bad.parse::<Rate>(), Err(NoRate), "{bad}");
        }
    }
}
