//! One pool of bytes. Who waits for some of it is served in the order of arrival.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// A pool of bytes, counted in KiB.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Arc<Semaphore>,
    kib: Mutex<usize>,
    /// KiB by which the pool was made smaller while they were taken. Shares that are given back pay them first.
    owed: AtomicUsize,
    /// The most KiB of one share, however many bytes are asked for.
    most: u32,
}

impl Pool {
    /// A pool of `bytes`, of which one share takes at most `most`. `most` must fit into the pool at every size it will get, or
    /// its takers wait for ever.
    pub(super) fn new(bytes: usize, most: usize) -> Self {
        let kib = bytes / KIB;
        Self { free: Arc::new(Semaphore::new(kib)), kib: Mutex::new(kib), owed: AtomicUsize::new(0), most: kib_of(most) }
    }

    /// Takes `bytes`, if they are free and nobody waits for the pool.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let permit = self.free.clone().try_acquire_many_owned(self.share_of(bytes)).ok()?;
        Some(Share { permit: Some(permit), pool: self.clone() })
    }

    /// Waits for `bytes`. `None` when the pool is closed.
    pub(crate) async fn take(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let permit = self.free.clone().acquire_many_owned(self.share_of(bytes)).await.ok()?;
        Some(Share { permit: Some(permit), pool: self.clone() })
    }

    pub(super) fn resize(&self, bytes: usize) {
        let mut kib = self.kib.lock().unwrap_or_else(PoisonError::into_inner);
        let (old, new) = (std::mem::replace(&mut *kib, bytes / KIB), bytes / KIB);
        if new < old {
            let taken = self.free.forget_permits(old - new);
            self.owed.fetch_add(old - new - taken, Relaxed);
        } else {
            let paid = self.cancel(new - old);
            self.free.add_permits(new - old - paid);
        }
    }

    /// The pool's size in bytes, taken or not.
    pub(super) fn bytes(&self) -> usize {
        *self.kib.lock().unwrap_or_else(PoisonError::into_inner) * KIB
    }

    pub(super) fn close(&self) {
        self.free.close();
    }

    #[cfg(test)]
    pub(super) fn free_bytes(&self) -> usize {
        self.free.available_permits() * KIB
    }

    fn share_of(&self, bytes: usize) -> u32 {
        kib_of(bytes).min(self.most)
    }

    /// Pays at most `most` KiB of what is owed, and returns how many were paid.
    fn cancel(&self, most: usize) -> usize {
        let owed = self.owed.fetch_update(Relaxed, Relaxed, |owed| Some(owed.saturating_sub(most)));
        owed.unwrap_or_else(|owed| owed).min(most)
    }
}

/// Bytes taken from a pool. Dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Share {
    permit: Option<OwnedSemaphorePermit>,
    pool: Arc<Pool>,
}

impl Share {
    pub(crate) fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * KIB
    }

    /// Grows the share to `bytes` if the difference is free and nobody waits for the pool; else leaves it unchanged and returns
    /// false.
    pub(super) fn try_grow(&mut self, bytes: usize) -> bool {
        let Some(permit) = &mut self.permit else { return false };
        let held = u32::try_from(permit.num_permits()).unwrap_or(u32::MAX);
        let missing = self.pool.share_of(bytes).saturating_sub(held);
        let more = self.pool.free.clone().try_acquire_many_owned(missing);
        more.map(|more| permit.merge(more)).is_ok()
    }

    /// Gives back what the share has beyond `bytes`, rounded up to a KiB.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let Some(permit) = &mut self.permit else { return };
        let beyond = permit.num_permits().saturating_sub(kib_of(bytes) as usize);
        let beyond = permit.split(beyond);
        drop(beyond.map(|permit| Self { permit: Some(permit), pool: self.pool.clone() }));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let Some(permit) = self.permit.as_mut().filter(|_| self.pool.owed.load(Relaxed) > 0) else { return };
        let paid = self.pool.cancel(permit.num_permits());
        if let Some(paid) = permit.split(paid) {
            paid.forget();
        }
    }
}

/// Bytes in KiB, rounded up, at least 1: even an empty body takes a permit.
fn kib_of(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX).max(1)
}

const KIB: usize = 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn pool(kib: usize) -> Arc<Pool> {
        Arc::new(Pool::new(kib * KIB, 4 * KIB))
    }

    #[test]
    fn a_share_comes_back_when_it_is_dropped() {
        let pool = pool(10);
        let mut first = pool.try_take(3 * KIB + 1).expect("there is room");
        assert_eq!((first.bytes(), pool.free_bytes()), (4 * KIB, 6 * KIB));
        first.shrink(1);
        assert_eq!((first.bytes(), pool.free_bytes()), (KIB, 9 * KIB));
        first.shrink(9 * KIB);
        assert_eq!(first.bytes(), KIB);
        drop(first);
        assert_eq!(pool.free_bytes(), 10 * KIB);
    }

    #[tokio::test]
    async fn who_comes_first_is_served_first() {
        let pool = pool(5);
        let held = pool.try_take(4 * KIB).expect("there is room");
        let large = tokio::spawn({
            let pool = pool.clone();
            async move { pool.take(4 * KIB).await }
        });
        tokio::task::yield_now().await;
        assert!(pool.try_take(1).is_none(), "what is left is for the one that waits");
        drop(held);
        assert!(large.await.expect("no panic").is_some());
    }

    #[test]
    fn a_share_grows_while_there_is_room() {
        let pool = pool(6);
        let mut share = pool.try_take(KIB).expect("there is room");
        let other = pool.try_take(3 * KIB).expect("there is room");
        assert!(share.try_grow(2 * KIB) && !share.try_grow(4 * KIB));
        assert_eq!((share.bytes(), pool.free_bytes()), (2 * KIB, KIB));
        drop(other);
        assert!(share.try_grow(9 * KIB) && share.bytes() == 4 * KIB, "one has at most as much");
    }

    #[test]
    fn a_pool_made_smaller_keeps_what_comes_back() {
        let pool = pool(10);
        let held = [pool.try_take(4 * KIB), pool.try_take(4 * KIB)];
        pool.resize(5 * KIB);
        assert!(pool.try_take(1).is_none());
        let [first, second] = held;
        drop(first);
        assert_eq!(pool.free_bytes(), KIB);
        pool.resize(8 * KIB);
        assert_eq!(pool.free_bytes(), 4 * KIB);
        drop(second);
        assert_eq!(pool.free_bytes(), 8 * KIB);
    }

    #[test]
    fn growing_pays_what_is_owed_first() {
        let pool = pool(8);
        let held = [pool.try_take(4 * KIB), pool.try_take(4 * KIB)];
        pool.resize(4 * KIB);
        pool.resize(6 * KIB);
        drop(held);
        assert_eq!(pool.free_bytes(), 6 * KIB);
    }
}
