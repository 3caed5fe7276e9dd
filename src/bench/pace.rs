//! When the requests of an open loop are due: number n at start + n / rate, or, where two relays alternate, after as much time
//! of one's own slices.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::Load;

/// Which slices of time a publisher has to itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Share {
    All,
    /// Every other one, from the first.
    First,
    /// Every other one, from the second.
    Second,
}

/// A rate of requests, and the time it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    requests_per_second: f64,
    share: Share,
}

impl Pace {
    /// `None`: a closed loop.
    pub(super) fn of(load: &Load, share: Share) -> Option<Self> {
        (load.rate > 0.0).then(|| Self { requests_per_second: load.rate / load.batch as f64, share })
    }

    /// From the start until a request is due.
    pub(super) fn due(self, number: u64) -> Duration {
        self.share.stretched(Duration::from_secs_f64(number as f64 / self.requests_per_second))
    }

    /// From the start until so much time was there to publish in.
    pub(super) fn end(self, lasts: Duration) -> Duration {
        self.share.stretched(lasts)
    }
}

impl Share {
    /// With the slices of the other between.
    fn stretched(self, own: Duration) -> Duration {
        let slices = u32::try_from(own.as_micros() / SLICE.as_micros()).unwrap_or(u32::MAX);
        let others = match self {
            Self::All => 0,
            Self::First => slices,
            Self::Second => slices.saturating_add(1),
        };
        own.saturating_add(SLICE.saturating_mul(others))
    }
}

/// The longer, the more often a burst of noise hits one of the two alone; but the store writes its tables a second after its first
/// event, which is to be in its own slice. A first retry after 5 s and a timeout of 15 s are whole rounds of two slices, so what
/// a failing endpoint causes then comes in a slice of its own relay.
pub(crate) const SLICE: Duration = Duration::from_millis(1_250);

#[cfg(test)]
mod tests {
    use super::*;

    fn due_ms(share: Share) -> [u128; 4] {
        let pace = Pace { requests_per_second: 2.0, share };
        [0, 4, 5, 10].map(|number| pace.due(number).as_millis())
    }

    #[test]
    fn two_that_alternate_never_publish_at_once() {
        assert_eq!(due_ms(Share::All), [0, 2_000, 2_500, 5_000]);
        assert_eq!(due_ms(Share::First), [0, 3_250, 5_000, 10_000]);
        assert_eq!(due_ms(Share::Second), [1_250, 4_500, 6_250, 11_250]);
    }

    #[test]
    fn both_end_after_the_same_number_of_requests() {
        for share in [Share::All, Share::First, Share::Second] {
            let (pace, end) = (Pace { requests_per_second: 2.0, share }, Duration::from_secs(10));
            assert_eq!((0..).take_while(|number| pace.due(*number) < pace.end(end)).count(), 20, "{share:?}");
        }
    }
}
