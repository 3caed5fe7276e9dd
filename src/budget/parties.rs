//! A pool of bytes shared by parties. Each party gets at most a part of it, so none can take the whole pool from the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::timeout;

use super::pool::{Pool, Share};

/// A pool, and for each party that has some of it a second pool which bounds that party's part.
#[derive(Debug)]
pub(crate) struct Parties {
    pool: Arc<Pool>,
    /// The least size in bytes of a party's own pool, where a quarter of the whole is less.
    least: usize,
    /// Each party's own pool. It exists as long as somebody has a share of it or waits for one.
    own: Mutex<HashMap<u64, Weak<Pool>>>,
}

/// Bytes taken by a party, counted both in its own pool and in the pool of all. Dropping it gives them back.
#[derive(Debug)]
pub(crate) struct PartyShare {
    own: Share,
    all: Share,
}

impl Parties {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self { pool, least: 0, own: Mutex::default() }
    }

    /// Gives each party a part of at least `bytes`, or the whole pool where that is smaller.
    pub(super) fn each_at_least(self, bytes: usize) -> Self {
        Self { least: bytes, ..self }
    }

    pub(super) fn resize(&self, bytes: usize) {
        self.pool.resize(bytes);
    }

    /// Waits at most `patience` for `bytes`. More than a party's part counts as the whole part. `None` when the time is over.
    pub(crate) async fn take_within(&self, party: u64, bytes: usize, patience: Duration) -> Option<PartyShare> {
        match self.try_take(party, bytes) {
            None => timeout(patience, self.take(party, bytes)).await.ok().flatten(),
            share => share,
        }
    }

    pub(crate) fn try_take(&self, party: u64, bytes: usize) -> Option<PartyShare> {
        let own = self.own(party).try_take(bytes)?;
        let all = self.pool.try_take(own.bytes())?;
        Some(PartyShare { own, all })
    }

    /// Waits for the party's own pool first, so that who waits for it holds nothing that another party waits for.
    pub(super) async fn take(&self, party: u64, bytes: usize) -> Option<PartyShare> {
        let own = self.own(party).take(bytes).await?;
        let all = self.pool.take(own.bytes()).await?;
        Some(PartyShare { own, all })
    }

    fn own(&self, party: u64) -> Arc<Pool> {
        let mut own = self.own.lock().unwrap_or_else(PoisonError::into_inner);
        if own.len() >= PARTIES_KEPT {
            own.retain(|_, pool| pool.strong_count() > 0);
        }
        let place = own.entry(party).or_default();
        place.upgrade().unwrap_or_else(|| {
            let all = self.pool.bytes();
            let bytes = (all / PARTY_PART).max(self.least.min(all));
            let pool = Arc::new(Pool::new(bytes, bytes));
            *place = Arc::downgrade(&pool);
            pool
        })
    }

    #[cfg(test)]
    pub(super) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }
}

impl PartyShare {
    pub(crate) fn bytes(&self) -> usize {
        self.all.bytes()
    }

    /// Grows the share to `bytes` if the difference is free; else leaves it unchanged and returns false.
    pub(crate) fn try_grow(&mut self, bytes: usize) -> bool {
        let (own, all) = (self.own.bytes(), self.all.bytes());
        let grown = self.own.try_grow(bytes) && self.all.try_grow(self.own.bytes());
        if !grown {
            self.own.shrink(own);
            self.all.shrink(all);
        }
        grown
    }

    /// Gives back what the share has beyond `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.own.shrink(bytes);
        self.all.shrink(bytes);
    }
}

/// A party's part is the pool's size divided by this.
const PARTY_PART: usize = 4;

/// From this many entries on, entries of parties that hold nothing are removed when another party comes.
const PARTIES_KEPT: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn parties() -> Parties {
        Parties::new(Arc::new(Pool::new(16 * KIB, 16 * KIB)))
    }

    fn all(parties: &Parties, party: u64) -> Vec<PartyShare> {
        std::iter::from_fn(|| parties.try_take(party, KIB)).collect()
    }

    #[tokio::test]
    async fn a_party_that_holds_its_part_waits_for_itself_alone() {
        let parties = parties();
        let first = all(&parties, 1);
        assert_eq!(first.len(), 4);
        assert!(parties.take_within(1, KIB, Duration::from_millis(5)).await.is_none());
        assert!(parties.try_take(2, 4 * KIB).is_some(), "another has all of its own");
        drop(first);
        assert!(parties.try_take(1, 4 * KIB).is_some());
    }

    #[test]
    fn a_take_beyond_the_part_takes_the_whole_part() {
        let parties = parties();
        let mut whole = parties.try_take(1, 100 * KIB).expect("it is alone");
        assert_eq!((whole.bytes(), all(&parties, 1).len()), (4 * KIB, 0));
        whole.shrink(KIB);
        assert_eq!(all(&parties, 1).len(), 3);
    }

    #[test]
    fn a_share_grows_by_what_is_free_or_not_at_all() {
        let parties = parties();
        let mut share = parties.try_take(1, KIB).expect("there is room");
        assert!(share.try_grow(3 * KIB) && share.bytes() == 3 * KIB);
        let other = parties.try_take(1, KIB).expect("there is room");
        assert!(!share.try_grow(4 * KIB) && share.bytes() == 3 * KIB);
        drop(other);
        assert!(share.try_grow(100 * KIB), "what is more than a part takes all of it");
        assert_eq!((share.bytes(), share.try_grow(100 * KIB)), (4 * KIB, true));
        drop(share);
        assert_eq!(parties.pool.free_bytes(), 16 * KIB);
    }

    #[test]
    fn a_party_may_get_more_than_its_part() {
        let parties = Parties::new(Arc::new(Pool::new(16 * KIB, 16 * KIB))).each_at_least(6 * KIB);
        assert_eq!(all(&parties, 1).len(), 6);
        let few = Parties::new(Arc::new(Pool::new(4 * KIB, 4 * KIB))).each_at_least(6 * KIB);
        assert_eq!(all(&few, 1).len(), 4, "not more than there is");
    }

    #[test]
    fn parties_that_hold_nothing_are_forgotten() {
        let parties = parties();
        let _held = parties.try_take(7, KIB);
        (100..100 + 3 * PARTIES_KEPT as u64).for_each(|party| drop(parties.try_take(party, KIB)));
        let own = parties.own.lock().expect("no panic in between");
        assert!(own.len() <= PARTIES_KEPT && own.contains_key(&7), "{}", own.len());
    }
}
