//! Statistics of an hour: how many deliveries ended in which way, what their attempts brought, and how long the last attempts
//! took.
//!
//! A tally holds sums only, so that tallies can be added. A time is exact to an eighth of itself.

use std::collections::BTreeMap;
use std::time::Duration;

use super::outcome::{Class, Outcome};
use crate::domain::id::EndpointNo;
use crate::domain::time::Timestamp;

/// An hour of UTC, counted from 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Hour(pub(crate) u32);

impl Hour {
    pub(crate) fn from_time(time: Timestamp) -> Self {
        Self(u32::try_from(time.as_secs() / HOUR_SECS).unwrap_or(u32::MAX))
    }

    pub(crate) fn begin(self) -> Timestamp {
        Timestamp::from_millis(u64::from(self.0) * HOUR_SECS * 1_000)
    }

    /// The first hour of this hour's day.
    pub(crate) fn of_day(self) -> Self {
        Self(self.0 - self.0 % HOURS_OF_DAY)
    }
}

/// What an attempt brought, as the statistics tell it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Brought {
    /// A response, by the first digit of its status: 2 to 5, or 0 for any other.
    Status(u8),
    Failure(Class),
}

impl Brought {
    pub(crate) fn from_outcome(outcome: &Outcome) -> Self {
        match &outcome.result {
            Ok(response) => Self::status(u8::try_from(response.status / 100).unwrap_or(0)),
            Err(failure) => Self::Failure(failure.class),
        }
    }

    /// A response whose status begins with this digit.
    pub(crate) fn status(hundreds: u8) -> Self {
        Self::Status(if (2..=5).contains(&hundreds) { hundreds } else { 0 })
    }

    /// The name that the API prints.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Status(2) => "2xx",
            Self::Status(3) => "3xx",
            Self::Status(4) => "4xx",
            Self::Status(5) => "5xx",
            Self::Status(_) => "other",
            Self::Failure(class) => class.name(),
        }
    }
}

/// One thing to count: an attempt, the end of a delivery, or both when the delivery ended with the attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) hour: Hour,
    pub(crate) endpoint: EndpointNo,
    /// What the attempt brought. `None` when no attempt was made.
    pub(crate) attempt: Option<Brought>,
    /// Whether the delivery succeeded, if it ended.
    pub(crate) ended: Option<bool>,
    /// How long the attempt took, in microseconds.
    pub(crate) micros: u32,
}

/// The sums of marks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// How many deliveries succeeded. `failed` counts those that failed.
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) attempts: BTreeMap<Brought, u64>,
    /// The times of the attempts with which deliveries ended.
    pub(crate) times: Times,
}

impl Tally {
    pub(crate) fn count(&mut self, mark: &Mark) {
        if let Some(brought) = mark.attempt {
            *self.attempts.entry(brought).or_default() += 1;
        }
        match mark.ended {
            Some(true) => self.succeeded += 1,
            Some(false) => self.failed += 1,
            None => {}
        }
        if mark.attempt.is_some() && mark.ended.is_some() {
            self.times.add(mark.micros);
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.succeeded += other.succeeded;
        self.failed += other.failed;
        other.attempts.iter().for_each(|(brought, count)| *self.attempts.entry(*brought).or_default() += count);
        self.times.merge(&other.times);
    }

    /// How many deliveries ended.
    pub(crate) fn total(&self) -> u64 {
        self.succeeded + self.failed
    }
}

/// How long attempts took, as the number of attempts in each of some two hundred spans. Each span is about an eighth longer than
/// the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) sum_micros: u64,
    pub(crate) max_micros: u32,
    pub(crate) spans: BTreeMap<u8, u64>,
}

impl Times {
    fn add(&mut self, micros: u32) {
        self.sum_micros += u64::from(micros);
        self.max_micros = self.max_micros.max(micros);
        *self.spans.entry(span(micros)).or_default() += 1;
    }

    fn merge(&mut self, other: &Self) {
        self.sum_micros += other.sum_micros;
        self.max_micros = self.max_micros.max(other.max_micros);
        other.spans.iter().for_each(|(span, count)| *self.spans.entry(*span).or_default() += count);
    }

    fn count(&self) -> u64 {
        self.spans.values().sum()
    }

    pub(crate) fn average(&self) -> Option<Duration> {
        self.sum_micros.saturating_mul(1_000).checked_div(self.count()).map(Duration::from_nanos)
    }

    /// The time that `percent` percent of the attempts do not exceed, by the nearest rank. It is at most an eighth too long, and
    /// never longer than the longest attempt.
    pub(crate) fn quantile(&self, percent: u64) -> Option<Duration> {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let reached = self.spans.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        reached.map(|(span, _)| Duration::from_micros(longest(*span).min(self.max_micros).into()))
    }
}

/// The span of a time. Times up to 15 µs have a span each; above that a power of two has eight spans.
fn span(micros: u32) -> u8 {
    let shift = (micros | EIGHT).ilog2() - EIGHT.ilog2();
    u8::try_from(shift * EIGHT + (micros >> shift)).unwrap_or(u8::MAX)
}

/// The longest time of a span.
fn longest(span: u8) -> u32 {
    let span = u64::from(span);
    let eight = u64::from(EIGHT);
    let shift = (span / eight).saturating_sub(1);
    let next = (span - shift * eight + 1) << shift;
    u32::try_from(next - 1).unwrap_or(u32::MAX)
}

/// The number of spans in a power of two.
const EIGHT: u32 = 8;

const HOUR_SECS: u64 = 3600;

pub(crate) const HOURS_OF_DAY: u32 = 24;

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::delivery::outcome::{Failure, Response};
    use crate::domain::headers::Headers;

    fn mark(attempt: Option<Brought>, ended: Option<bool>, micros: u32) -> Mark {
        Mark { hour: Hour(5), endpoint: EndpointNo(1), attempt, ended, micros }
    }

    fn times(micros: &[u32]) -> Times {
        let mut times = Times::default();
        micros.iter().for_each(|micros| times.add(*micros));
        times
    }

    proptest! {
        #[test]
        fn a_time_falls_into_the_span_that_holds_it(micros: u32) {
            let (at, below) = (span(micros), span(micros).checked_sub(1));
            prop_assert!(micros <= longest(at) && below.is_none_or(|below| longest(below) < micros));
            prop_assert!(u64::from(longest(at)) <= u64::from(micros) + u64::from(micros) / 8 + 1);
        }

        #[test]
        fn tallies_add_up_in_any_order(all in proptest::collection::vec((any::<bool>(), any::<u32>()), 0..40), cut: prop::sample::Index) {
            let marks: Vec<Mark> = all.iter().map(|(good, micros)| mark(Some(Brought::Status(2)), Some(*good), *micros)).collect();
            let of = |marks: &[Mark]| marks.iter().fold(Tally::default(), |mut tally, mark| { tally.count(mark); tally });
            let (first, second) = marks.split_at(cut.index(marks.len() + 1));
            let (mut one, mut other) = (of(first), of(second));
            other.add(&of(first));
            one.add(&of(second));
            prop_assert_eq!(&one, &of(&marks));
            prop_assert_eq!(one, other);
        }
    }

    #[test]
    fn an_attempt_counts_by_what_it_brought_and_a_delivery_when_it_ends() {
        let mut tally = Tally::default();
        tally.count(&mark(Some(Brought::Status(5)), None, 9_000));
        tally.count(&mark(Some(Brought::Failure(Class::Timeout)), Some(false), 20_000));
        tally.count(&mark(None, Some(false), 0));
        tally.count(&mark(Some(Brought::Status(2)), Some(true), 10_000));
        assert_eq!((tally.succeeded, tally.failed, tally.total()), (1, 2, 3));
        let named: Vec<_> = tally.attempts.iter().map(|(brought, count)| (brought.name(), *count)).collect();
        assert_eq!(named, [("2xx", 1), ("5xx", 1), ("timeout", 1)]);
        assert_eq!(tally.times.average(), Some(Duration::from_millis(15)), "of the attempts with which deliveries ended");
    }

    #[test]
    fn quantiles_are_nearest_ranks_to_an_eighth() {
        let all: Vec<u32> = (1..=200).map(|millis| millis * 1_000).collect();
        let of = |percent| times(&all).quantile(percent).unwrap().as_secs_f64();
        assert!((0.100..=0.1125).contains(&of(50)) && (0.198..=0.200).contains(&of(99)), "{} {}", of(50), of(99));
        assert_eq!(times(&[7_000]).quantile(50), Some(Duration::from_millis(7)), "one is exact");
        assert_eq!((times(&[]).quantile(50), times(&[]).average()), (None, None));
    }

    #[test]
    fn an_hour_begins_with_its_first_microsecond() {
        let hour = |micros| Hour::from_time(Timestamp::from_micros(micros)).0;
        assert_eq!([hour(0), hour(3_599_999_999), hour(3_600_000_000)], [0, 0, 1]);
        assert_eq!(Hour(25).begin(), Timestamp::from_secs(90_000));
        assert_eq!([Hour(23), Hour(24), Hour(47)].map(Hour::of_day), [Hour(0), Hour(24), Hour(24)]);
    }

    #[test]
    fn a_response_counts_by_the_first_digit_of_its_status() {
        let brought = |status| {
            let (headers, body) = (Headers::default(), Bytes::new());
            let response = Response { status, headers, body, truncated: false, body_error: None };
            Brought::from_outcome(&Outcome { result: Ok(response), duration: Duration::ZERO })
        };
        let names = [200, 299, 302, 404, 599].map(|status| brought(status).name());
        assert_eq!(names, ["2xx", "2xx", "3xx", "4xx", "5xx"]);
        for odd in [0, 199, 600, u16::MAX] {
            assert_eq!((brought(odd), brought(odd).name()), (Brought::Status(0), "other"), "{odd}");
        }
        let failed = Outcome { result: Err(Failure::new(Class::Tls, "")), duration: Duration::ZERO };
        assert_eq!(Brought::from_outcome(&failed).name(), "tls");
    }
}
