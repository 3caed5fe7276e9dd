//! The room of request bodies: shared by party, and a part of it for small ones alone.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::parties::{Parties, PartyShare};
use super::pool::Pool;

/// For bodies on their way in, until they are answered.
#[derive(Debug)]
pub(crate) struct Requests {
    common: Parties,
    /// For bodies up to [`SMALL_BYTES`] that find no room in `common`.
    small: Parties,
}

impl Requests {
    pub(super) fn new(bytes: usize) -> Self {
        let (common, small) = parts(bytes);
        Self {
            common: Parties::of(Arc::new(Pool::new(common, COMMON_BYTES_MOST))).each_at_least(PARTY_BYTES_LEAST),
            small: Parties::of(Arc::new(Pool::new(small, SMALL_BYTES))),
        }
    }

    pub(super) fn resize(&self, bytes: usize) {
        let (common, small) = parts(bytes);
        self.common.resize(common);
        self.small.resize(small);
    }

    /// Takes so many bytes for a party, if they are free. What is more than it gets takes all that it gets.
    pub(crate) fn try_take(&self, party: u64, bytes: usize) -> Option<PartyShare> {
        let small = || (bytes <= SMALL_BYTES).then(|| self.small.try_take(party, bytes)).flatten();
        self.common.try_take(party, bytes).or_else(small)
    }

    /// Waits for them, at most so long.
    pub(crate) async fn take_within(&self, party: u64, bytes: usize, patience: Duration) -> Option<PartyShare> {
        match self.try_take(party, bytes) {
            None => timeout(patience, self.take(party, bytes)).await.ok().flatten(),
            share => share,
        }
    }

    async fn take(&self, party: u64, bytes: usize) -> Option<PartyShare> {
        tokio::select! {
            biased;
            share = self.common.take(party, bytes) => share,
            share = self.small.take(party, bytes), if bytes <= SMALL_BYTES => share,
        }
    }

    #[cfg(test)]
    pub(super) fn pools(&self) -> [&Arc<Pool>; 2] {
        [self.common.pool(), self.small.pool()]
    }
}

/// What is common, and what is for small ones alone.
fn parts(bytes: usize) -> (usize, usize) {
    let small = bytes / SMALL_PART;
    (bytes - small, small)
}

/// Of all the room, what small bodies have for themselves.
const SMALL_PART: usize = 16;

/// Most single events are smaller.
const SMALL_BYTES: usize = 64 << 10;

/// The largest request, which a party may send although that is more than its part of a small budget.
const PARTY_BYTES_LEAST: usize = 16 << 20;

/// The most that one takes, all that is common in the smallest budget: a MiB less than the largest request holds.
const COMMON_BYTES_MOST: usize = (super::BYTES_LEAST / 4) as usize / SMALL_PART * (SMALL_PART - 1);

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;

    /// As with the budget that nobody names.
    fn requests() -> Requests {
        Requests::new(64 * MIB)
    }

    fn all(requests: &Requests, party: u64, bytes: usize) -> Vec<PartyShare> {
        std::iter::from_fn(|| requests.try_take(party, bytes)).collect()
    }

    #[test]
    fn one_party_fills_its_part_and_no_other() {
        let requests = requests();
        let held = all(&requests, 1, MIB);
        assert_eq!(held.len(), 16);
        assert!(requests.try_take(2, 15 * MIB).is_some());
        assert!(requests.try_take(1, 20 * KIB).is_some(), "its own small ones have room besides");
    }

    #[test]
    fn what_is_large_leaves_room_for_what_is_small() {
        let requests = requests();
        let _large: Vec<_> = (1..=4).flat_map(|party| all(&requests, party, MIB)).collect();
        assert!(requests.try_take(5, MIB).is_none());
        assert!(requests.try_take(5, SMALL_BYTES).is_some());
        assert_eq!(all(&requests, 1, 20 * KIB).len(), MIB / (20 * KIB), "a quarter of it is a party's");
    }

    #[test]
    fn the_largest_request_fits_into_the_smallest_budget() {
        let requests = Requests::new(16 * MIB);
        let largest = requests.try_take(1, 16 * MIB).expect("it is taken alone");
        assert!(requests.try_take(1, MIB).is_none() && requests.try_take(2, 20 * KIB).is_some());
        drop(largest);
        assert!(requests.try_take(2, 16 * MIB).is_some());
    }

    #[tokio::test]
    async fn who_waits_gets_what_comes_back() {
        let requests = requests();
        let held = all(&requests, 1, MIB);
        assert!(requests.take_within(1, MIB, Duration::from_millis(5)).await.is_none());
        let (taken, ()) = tokio::join!(requests.take_within(1, 2 * MIB, Duration::from_secs(9)), async { drop(held) });
        assert!(taken.is_some());
    }
}
