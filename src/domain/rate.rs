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
    fn a_rate_reads_back_from_its_print() {
        for text in ["1000/s", "600/m", "1/h", "1000000/s"] {
            assert_eq!(text.parse::<Rate>().map(|rate| rate.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "10", "10/", "/s", "0/s", "-1/s", "+1/s", "1.5/s", "10/d", "10 /s", "1000001/s", "99999999999/s"] {
            assert_eq!(bad.parse::<Rate>(), Err(NoRate), "{bad}");
        }
    }
}
