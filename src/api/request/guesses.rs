//! How often an address may be wrong about its key: ten times a second, then its wrong keys are answered 429.
//!
//! **Who is judged.** Only who has shown a key that opens nothing. A right key never comes here, whatever else its address
//! sends: a proxy may stand in front of many callers, and one of them must not shut the others out. That a key is wrong is known
//! by its hash alone, so each wrong one costs that hash, less than a microsecond; a key of 256 bits is not found by trying. Who
//! shows no key at all, and whoever may open the admin socket, is not limited.
//!
//! **Who is one.** An address is what [`Group::from_address`] says, so an IPv6 /64 is one. When more have been wrong than the table holds, those
//! that find no place share one [rate](super::rate).

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::rate::{Limit, Rates};
use crate::api::http::slots::Group;

/// The addresses that were wrong lately.
#[derive(Debug)]
pub(crate) struct Guesses(Mutex<Rates<Group>>);

impl Default for Guesses {
    fn default() -> Self {
        Self(Mutex::new(Rates::new(Limit { interval: INTERVAL, burst: BURST, most: ADDRESSES_MAX })))
    }
}

impl Guesses {
    /// Counts a wrong key; false when its address has had its share.
    pub(crate) fn allow(&self, from: Group, now: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take(from, now).is_ok()
    }
}

/// In which one try comes back: ten a second.
const INTERVAL: Duration = Duration::from_millis(100);

/// Tries at once: one second's worth.
const BURST: u32 = 10;

/// Addresses that are remembered, some 40 bytes each.
const ADDRESSES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn allowed(guesses: &Guesses, from: Group, tries: usize, now: Instant) -> usize {
        (0..tries).filter(|_| guesses.allow(from, now)).count()
    }

    #[test]
    fn ten_wrong_keys_a_second_and_no_more() {
        let (guesses, start, one) = (Guesses::default(), clock::steady(), Group::V4(1));
        assert_eq!(allowed(&guesses, one, 872, start), 10);
        assert_eq!(allowed(&guesses, one, 1, start + Duration::from_millis(99)), 0);
        assert_eq!(allowed(&guesses, one, 9, start + Duration::from_millis(100)), 1);
        assert_eq!(allowed(&guesses, one, 99, start + Duration::from_millis(600)), 5);
        assert_eq!(allowed(&guesses, one, 99, start + Duration::from_secs(60)), 10, "what is saved up has a bound");
    }

    #[test]
    fn each_address_has_its_own() {
        let (guesses, now) = (Guesses::default(), clock::steady());
        allowed(&guesses, Group::V4(1), 20, now);
        assert_eq!(allowed(&guesses, Group::V4(2), 20, now), 10);
        let of = |text: &str| Group::from_address(text.parse().expect("an address"));
        assert_eq!(allowed(&guesses, of("2001:db8::1"), 20, now), 10);
        assert_eq!(allowed(&guesses, of("2001:db8::ffff:ffff:ffff:ffff"), 20, now), 0, "the same subscriber");
        assert_eq!(allowed(&guesses, of("2001:db8:0:1::1"), 20, now), 10);
    }

    #[test]
    fn addresses_without_end_share_what_is_beyond_the_table() {
        let (guesses, now) = (Guesses::default(), clock::steady());
        let many = |from: u64, count: u64, now| (from..from + count).filter(|at| guesses.allow(Group::V6(*at), now)).count();
        assert_eq!(many(0, ADDRESSES_MAX as u64, now), ADDRESSES_MAX);
        assert_eq!(many(1 << 32, 50_000, now), 10, "together as one");
        let kept = |guesses: &Guesses| guesses.0.lock().expect("no panic in between").len();
        assert_eq!(kept(&guesses), ADDRESSES_MAX);
        assert_eq!(many(2 << 32, 100, now + INTERVAL), 100, "those of before are forgotten");
        assert_eq!(kept(&guesses), 100);
    }
}
