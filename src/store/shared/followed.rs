//! Hands the changes of deliveries to the one who follows them, as each commit made them.
//!
//! While nobody follows, the writer looks at one flag in each batch and notes nothing. Else each change goes into a queue after its
//! commit, in the order of commits. The queue is bounded by [`ROWS_MAX`]. When it is full, the oldest changes give way, and their rows
//! are counted for each tenant, so that whoever shows the changes can tell how many are missing.
//!
//! A batch notes either all of its changes or none: whether somebody follows is decided at its begin. A follower begins with an
//! operation to the writer, behind which every batch notes its changes. What was committed up to that operation is in the log, and
//! what is committed behind it comes out of the queue.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::id::TenantNo;
use crate::store::message::change::{Change, Missed};

/// The queue between the writer and its follower.
#[derive(Default)]
pub(in crate::store) struct Followed {
    is_followed: AtomicBool,
    queue: Mutex<Queue>,
    bell: Notify,
}

#[derive(Default)]
struct Queue {
    changes: VecDeque<Change>,
    rows: u64,
    missed: HashMap<TenantNo, Missed>,
}

/// What was queued since the last call, in order.
pub(in crate::store) struct Queued {
    pub(in crate::store) changes: Vec<Change>,
    /// The rows that gave way before the first of these changes, by tenant.
    pub(in crate::store) missed: Vec<Missed>,
}

impl Followed {
    /// Whether anybody follows. It costs one load.
    pub(in crate::store) fn is_followed(&self) -> bool {
        self.is_followed.load(Relaxed)
    }

    /// Has the next batch note its changes.
    pub(in crate::store) fn begin(&self) {
        self.is_followed.store(true, Relaxed);
    }

    /// Forgets everything that is queued: the follower finds it in the log.
    pub(in crate::store) fn clear(&self) {
        *self.lock() = Queue::default();
    }

    /// Has no further batch note anything.
    pub(in crate::store) fn end(&self) {
        self.is_followed.store(false, Relaxed);
        self.clear();
    }

    /// Queues the changes of one commit, which is on disk.
    pub(in crate::store) fn publish(&self, changes: Vec<Change>) {
        if changes.is_empty() {
            return;
        }
        self.lock().add(changes);
        self.bell.notify_one();
    }

    /// Waits until there is a change. It takes none, so that nothing is lost when whoever waits turns to something else.
    pub(in crate::store) async fn wait(&self) {
        while self.lock().changes.is_empty() {
            self.bell.notified().await;
        }
    }

    /// Takes at most `most` changes.
    pub(in crate::store) fn take(&self, most: usize) -> Queued {
        self.lock().take(most)
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn add(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.rows += change.rows();
            self.changes.push_back(change);
        }
        while self.rows > ROWS_MAX
            && let Some(oldest) = self.changes.pop_front()
        {
            self.rows -= oldest.rows();
            self.miss(&oldest);
        }
    }

    fn miss(&mut self, change: &Change) {
        let none = || Missed { endpoint: Arc::clone(&change.endpoint), rows: 0 };
        self.missed.entry(change.endpoint.tenant_no).or_insert_with(none).rows += change.rows();
    }

    fn take(&mut self, most: usize) -> Queued {
        let changes: Vec<Change> = self.changes.drain(..most.min(self.changes.len())).collect();
        self.rows -= changes.iter().map(Change::rows).sum::<u64>();
        Queued { changes, missed: self.missed.drain().map(|(_, missed)| missed).collect() }
    }
}

/// The most rows that wait for the follower, of some 250 bytes each.
const ROWS_MAX: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::{Delivery, QueuePosition};
    use crate::domain::id::{AttemptKey, DeliveryKey, EndpointNo, EventKey};
    use crate::domain::time::Timestamp;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::store::message::change::Reached;

    /// The change with this number, of this tenant; of an attempt too where it says so.
    fn change(number: u64, tenant: u32, with_attempt: bool) -> Change {
        let key = DeliveryKey { event: EventKey(number), endpoint: EndpointNo(1) };
        let attempt = AttemptKey { started_at: Timestamp::EPOCH, delivery: key, number: 1 };
        let mut endpoint = endpoint(&["*"]);
        endpoint.tenant_no = TenantNo(tenant);
        Change {
            delivery: Delivery::published(key, QueuePosition::Backlog(number)),
            error: None,
            endpoint: Arc::new(endpoint),
            attempt: with_attempt.then_some(attempt),
            reached: Reached::default(),
        }
    }

    fn numbers(taken: &Queued) -> Vec<u64> {
        taken.changes.iter().map(|change| change.delivery.key.event.0).collect()
    }

    #[test]
    fn changes_come_in_the_order_of_commits() {
        let followed = Followed::default();
        followed.publish(vec![change(1, 1, false), change(2, 1, true)]);
        followed.publish(vec![change(3, 1, false)]);
        let (first, second) = (followed.take(2), followed.take(2));
        assert_eq!((numbers(&first), numbers(&second)), (vec![1, 2], vec![3]));
        assert!(followed.take(2).changes.is_empty() && followed.lock().rows == 0);
    }

    #[test]
    fn what_gives_way_is_counted_for_its_tenant() {
        let followed = Followed::default();
        followed.publish((0..ROWS_MAX).map(|number| change(number, 1 + u32::from(number % 2 == 1), false)).collect());
        followed.publish(vec![change(ROWS_MAX, 1, true), change(ROWS_MAX + 1, 1, false)]);
        let taken = followed.take(usize::MAX);
        assert_eq!(numbers(&taken)[0], 3, "three rows came beyond the bound");
        let mut missed: Vec<_> = taken.missed.iter().map(|missed| (missed.endpoint.tenant_no.0, missed.rows)).collect();
        missed.sort_unstable();
        assert_eq!(missed, [(1, 2), (2, 1)]);
        followed.publish(vec![change(9, 1, false)]);
        assert!(followed.take(1).missed.is_empty(), "each is told once");
    }
}
