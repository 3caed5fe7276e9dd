//! How often an address may be wrong about its key: ten times a second, then its wrong keys are answered 429.
//!
//! **Who is judged.** Only who has shown a key that opens nothing. A right key never comes here, whatever else its address
//! sends: a proxy may stand in front of many callers, and one of them must not shut the others out. That a key is wrong is known
//! by its hash alone, so each wrong one costs that hash, less than a microsecond; a key of 256 bits is not found by trying. Who
//! shows no key at all, and whoever may open the admin socket, is not limited.
//!
//! **How it is counted.** By the generic cell rate algorithm (ITU-T I.371, annex A): of each address one moment is kept, up to
//! which its tries are used up. An address is what [`Group::of`] says, so an IPv6 /64 is one.
//!
//! **When it is full.** The table holds [`ADDRESSES_MAX`]. Those whose tries are all theirs again are forgotten then; when none
//! is, who comes next shares one rate with all others that found no place.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::slots::Group;

/// The addresses that were wrong lately.
#[derive(Debug, Default)]
pub(crate) struct Guesses(Mutex<Table>);

#[derive(Debug, Default)]
struct Table {
    used_until: HashMap<Group, Instant>,
    /// Of all who found no place.
    others: Option<Instant>,
    swept: Option<Instant>,
}

impl Guesses {
    /// Counts a wrong key; false when its address has had its share.
    pub(crate) fn allow(&self, from: Group, now: Instant) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).allow(from, now)
    }
}

impl Table {
    fn allow(&mut self, from: Group, now: Instant) -> bool {
        if let Some(used_until) = self.used_until.get_mut(&from) {
            return counted(Some(*used_until), now).map(|next| *used_until = next).is_some();
        }
        self.make_room(now);
        if self.used_until.len() < ADDRESSES_MAX {
            self.used_until.insert(from, now + INTERVAL);
            return true;
        }
        counted(self.others, now).map(|next| self.others = Some(next)).is_some()
    }

    /// Walks over a full table, at most once in the time that one try takes to come back.
    fn make_room(&mut self, now: Instant) {
        let is_swept = self.swept.is_some_and(|swept| now.saturating_duration_since(swept) < INTERVAL);
        if self.used_until.len() >= ADDRESSES_MAX && !is_swept {
            self.used_until.retain(|_, used_until| *used_until > now);
            self.swept = Some(now);
        }
    }
}

/// Up to when the tries are used up after one more; `None`: there is none left.
fn counted(used_until: Option<Instant>, now: Instant) -> Option<Instant> {
    let used_until = used_until.map_or(now, |until| until.max(now));
    (used_until.saturating_duration_since(now) <= INTERVAL * (BURST - 1)).then(|| used_until + INTERVAL)
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
        let of = |text: &str| Group::of(text.parse().expect("an address"));
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
        let kept = |guesses: &Guesses| guesses.0.lock().expect("no panic in between").used_until.len();
        assert_eq!(kept(&guesses), ADDRESSES_MAX);
        assert_eq!(many(2 << 32, 100, now + INTERVAL), 100, "those of before are forgotten");
        assert_eq!(kept(&guesses), 100);
    }
}
