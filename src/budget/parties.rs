//! A pool that is shared by who draws on it: none has more than a quarter, so none takes it from the others.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::timeout;

use super::pool::{Pool, Share};

/// The pool and the parties that have any of it.
#[derive(Debug)]
pub(crate) struct Parties {
    pool: Arc<Pool>,
    /// Each has a pool of its own, which is there as long as somebody has a share of it or waits for one.
    own: Mutex<HashMap<u64, Weak<Pool>>>,
}

/// Bytes that are taken, of the party's own and of all.
#[derive(Debug)]
pub(crate) struct PartyShare {
    own: Share,
    all: Share,
}

impl Parties {
    pub(super) fn of(pool: Arc<Pool>) -> Self {
        Self { pool, own: Mutex::default() }
    }

    pub(super) fn resize(&self, bytes: usize) {
        self.pool.resize(bytes);
    }

    /// Waits for so many bytes, at most so long. What is more than a party gets takes all that it gets.
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

    /// First of its own: so those who wait hold nothing that another party waits for.
    async fn take(&self, party: u64, bytes: usize) -> Option<PartyShare> {
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
            let bytes = self.pool.bytes() / PARTY_PART;
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

    /// Gives back what is beyond `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        self.own.shrink(bytes);
        self.all.shrink(bytes);
    }
}

/// What of a pool one party gets.
const PARTY_PART: usize = 4;

/// Parties that are remembered although they have nothing.
const PARTIES_KEPT: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    fn parties() -> Parties {
        Parties::of(Arc::new(Pool::new(16 * KIB, 16 * KIB)))
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
    fn what_is_more_than_a_part_takes_all_of_it() {
        let parties = parties();
        let mut whole = parties.try_take(1, 100 * KIB).expect("it is alone");
        assert_eq!((whole.bytes(), all(&parties, 1).len()), (4 * KIB, 0));
        whole.shrink(KIB);
        assert_eq!(all(&parties, 1).len(), 3);
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
