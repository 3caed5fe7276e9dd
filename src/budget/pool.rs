//! One pool of bytes: first come, first served.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Bytes that many draw on, counted in KiB.
#[derive(Debug)]
pub(crate) struct Pool {
    free: Arc<Semaphore>,
    kib: Mutex<usize>,
    /// KiB that are taken away and not given back yet.
    owed: AtomicUsize,
    /// The most KiB that one takes, however much it needs.
    most: u32,
}

impl Pool {
    /// Of so many bytes, of which one takes at most `most`, which is never more than the pool will have.
    pub(super) fn new(bytes: usize, most: usize) -> Self {
        let kib = bytes / KIB;
        Self { free: Arc::new(Semaphore::new(kib)), kib: Mutex::new(kib), owed: AtomicUsize::new(0), most: kib_of(most) }
    }

    /// Takes so many bytes, if they are free and nobody waits for them.
    pub(crate) fn try_take(self: &Arc<Self>, bytes: usize) -> Option<Share> {
        let permit = self.free.clone().try_acquire_many_owned(self.share_of(bytes)).ok()?;
        Some(Share { permit: Some(permit), pool: self.clone() })
    }

    /// Waits for them; `None`: the pool is closed.
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

    /// Its size.
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

    /// Owes so much less, or nothing any more; how much less it is.
    fn cancel(&self, most: usize) -> usize {
        let owed = self.owed.fetch_update(Relaxed, Relaxed, |owed| Some(owed.saturating_sub(most)));
        owed.unwrap_or_else(|owed| owed).min(most)
    }
}

/// Bytes that are taken. Dropping it gives them back.
#[derive(Debug)]
pub(crate) struct Share {
    permit: Option<OwnedSemaphorePermit>,
    pool: Arc<Pool>,
}

impl Share {
    pub(crate) fn bytes(&self) -> usize {
        self.permit.as_ref().map_or(0, OwnedSemaphorePermit::num_permits) * KIB
    }

    /// Takes as much more as makes it `bytes`, if that is free and nobody waits for it; nothing otherwise.
    pub(super) fn try_grow(&mut self, bytes: usize) -> bool {
        let Some(permit) = &mut self.permit else { return false };
        let held = u32::try_from(permit.num_permits()).unwrap_or(u32::MAX);
        let missing = self.pool.share_of(bytes).saturating_sub(held);
        let more = self.pool.free.clone().try_acquire_many_owned(missing);
        more.map(|more| permit.merge(more)).is_ok()
    }

    /// Gives back what is beyond `bytes`.
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

/// At least one: nothing is free of a permit.
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
    fn what_is_taken_comes_back() {
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
    fn a_smaller_pool_takes_in_what_comes_back() {
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
