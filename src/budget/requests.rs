//! The room of request bodies: shared by party, with a part that only small bodies may use.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::parties::{Parties, PartyShare};
use super::pool::Pool;

/// The bytes of request bodies, from their arrival until they are answered.
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
            common: Parties::new(Arc::new(Pool::new(common, COMMON_BYTES_MOST))).each_at_least(PARTY_BYTES_LEAST),
            small: Parties::new(Arc::new(Pool::new(small, SMALL_BYTES))),
        }
    }

    pub(super) fn resize(&self, bytes: usize) {
        let (common, small) = parts(bytes);
        self.common.resize(common);
        self.small.resize(small);
    }

    /// Takes `bytes` for a party, if they are free. More than the party's part counts as the whole part.
    pub(crate) fn try_take(&self, party: u64, bytes: usize) -> Option<PartyShare> {
        let small = || (bytes <= SMALL_BYTES).then(|| self.small.try_take(party, bytes)).flatten();
        self.common.try_take(party, bytes).or_else(small)
    }

    /// Waits at most `patience` for `bytes`. `None` when the time is over.
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

/// Divides `bytes` into the common part and the part for small bodies alone.
fn parts(bytes: usize) -> (usize, usize) {
    let small = bytes / SMALL_PART;
    (bytes - small, small)
}

/// The part for small bodies is the whole room divided by this.
const SMALL_PART: usize = 16;

/// The largest body that may use the part for small bodies. Most single events are smaller.
const SMALL_BYTES: usize = 64 << 10;

/// The least part of a party: the largest request, so that a party may send it even where a quarter of the room is less.
const PARTY_BYTES_LEAST: usize = 16 << 20;

/// The most bytes that one request takes: all of the common part in the smallest budget, which is 1 MiB less than the largest
/// request.
const COMMON_BYTES_MOST: usize = (super::BYTES_LEAST / 4) as usize / SMALL_PART * (SMALL_PART - 1);

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;

    /// The room of requests in a budget of the default size.
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
    fn large_bodies_leave_room_for_small_bodies() {
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
    async fn a_waiting_request_gets_the_bytes_that_come_back() {
        let requests = requests();
        let held = all(&requests, 1, MIB);
        assert!(requests.take_within(1, MIB, Duration::from_millis(5)).await.is_none());
        let (taken, ()) = tokio::join!(requests.take_within(1, 2 * MIB, Duration::from_secs(9)), async { drop(held) });
        assert!(taken.is_some());
    }
}
