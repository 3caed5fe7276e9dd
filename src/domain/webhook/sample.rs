//! A webhook's `sample`: the share of its events that it gets.
//!
//! The id of an event decides, and nothing else. So the answer is the same in every batch, after a restart and for whoever asks later,
//! all webhooks with one sample get the same events, and a larger sample gets all that a smaller one does.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// A share above 0 and up to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Sample(f64);

impl Sample {
    /// `None` when the number is no such share.
    pub(crate) fn new(share: f64) -> Option<Self> {
        (share > 0.0 && share <= 1.0).then_some(Self(share))
    }

    /// Whether an event of this place is among the share.
    pub(crate) fn takes(self, place: Place) -> bool {
        place.0 < self.0
    }
}

/// As JSON prints a number.
impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where an event stands in [0, 1): the first 53 bits of the SHA-256 of its id, as a fraction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place(f64);

impl Place {
    pub(crate) fn of(event_id: &str) -> Self {
        let hash = Sha256::digest(event_id.as_bytes());
        let bits = hash.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
        Self((bits >> (u64::BITS - f64::MANTISSA_DIGITS)) as f64 * f64::EPSILON / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(share: f64) -> Sample {
        Sample::new(share).expect("a share")
    }

    #[test]
    fn a_place_follows_from_the_id_alone() {
        // printf evt_1 | sha256sum
        assert_eq!(Place::of("evt_1"), Place(0.4894768276525626));
        assert_ne!(Place::of("evt_1"), Place::of("evt_2"));
    }

    #[test]
    fn a_share_of_many_events_is_taken_and_a_larger_one_has_them_all() {
        let places: Vec<Place> = (0..100_000).map(|number| Place::of(&format!("evt_{number}"))).collect();
        for (share, least, most) in [(0.01, 900, 1_100), (0.25, 24_500, 25_500), (1.0, 100_000, 100_000)] {
            let taken = places.iter().filter(|place| sample(share).takes(**place)).count();
            assert!((least..=most).contains(&taken), "{taken} of {share}");
        }
        assert!(places.iter().all(|place| !sample(0.2).takes(*place) || sample(0.3).takes(*place)));
    }

    #[test]
    fn a_share_is_above_0_and_up_to_1() {
        assert!([0.0, -0.1, 1.01, f64::NAN, f64::INFINITY].iter().all(|share| Sample::new(*share).is_none()));
        assert_eq!([1.0, 0.1, 0.000_1].map(|share| sample(share).to_string()), ["1", "0.1", "0.0001"]);
    }
}
