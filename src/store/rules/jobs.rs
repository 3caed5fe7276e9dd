//! What a job does to the deliveries that wait for a webhook which was disabled, removed, deleted, purged or made ordered.
//!
//! A webhook has one job. A further job that is asked for while it runs is joined to it, and the joined job begins anew.

use crate::domain::delivery::{Delivery, End, QueuePosition};
use crate::domain::id::EventKey;
use crate::store::record::{Job, Task};

/// What a job does to one delivery that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Fate {
    /// The delivery goes to the end of its webhook's backlog.
    Park,
    End(End),
}

impl Job {
    /// What happens to a delivery of this event. `settles` says whether deliveries at its place can be parked.
    pub(in crate::store) fn fate(&self, event: EventKey, settles: bool) -> Option<Fate> {
        match self.task {
            // This holds for events of any time, since a deleted webhook never comes back.
            Task::End => Some(Fate::End(End::WebhookDeleted)),
            _ if event.0 <= self.purged => Some(Fate::End(End::Cancelled)),
            Task::Park if event.0 <= self.until && settles => Some(Fate::Park),
            _ => None,
        }
    }

    /// Whether the job also goes through the webhook's backlog: to end what waits there, or to bring what an ordered webhook has there
    /// into order.
    pub(in crate::store) fn walks_backlog(&self, is_ordered: bool) -> bool {
        let orders = self.task == Task::Park && is_ordered && self.after_number < u64::MAX;
        self.task == Task::End || self.purged > 0 || orders
    }

    /// One job for this one and a later one of the same webhook. It begins anew, but for a backlog that the later one has no business
    /// with.
    pub(in crate::store) fn joined(self, later: Self) -> Self {
        let (task, until) = if later.task == Task::None { (self.task, self.until) } else { (later.task, later.until) };
        let after_number = self.after_number.min(later.after_number);
        Self { task, until, purged: self.purged.max(later.purged), cancelled: self.cancelled, after_number, ..later }
    }
}

/// What is done to a delivery that waits at `position` and for which the job has a fate. `None` leaves it there.
///
/// A test that was called for since the start (`is_asked_test`) is left to its only attempt while it is in its queue. It must not
/// be queued again, since the outcome of the attempt may be on its way, and the test would then be sent twice.
pub(in crate::store) fn settled(delivery: &Delivery, position: QueuePosition, is_asked_test: bool, fate: Fate) -> Option<Fate> {
    let is_queued_test = is_asked_test && matches!(position, QueuePosition::Due(_));
    match fate {
        Fate::End(End::WebhookDeleted) => Some(fate),
        _ if is_queued_test => None,
        _ if delivery.is_test() => Some(Fate::End(End::Cancelled)),
        _ => Some(fate),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{DeliveryKey, EndpointNo};
    use crate::domain::time::Timestamp;

    const PARK: Job = Job { task: Task::Park, until: 10, purged: 0, after: [7; 20], after_number: 9, cancelled: 0 };
    const PURGE: Job = Job { task: Task::None, until: 0, purged: 15, after: [0; 20], after_number: 0, cancelled: 3 };

    #[test]
    fn a_purge_ends_what_it_is_for_and_leaves_the_rest() {
        assert_eq!(PURGE.fate(EventKey(15), false), Some(Fate::End(End::Cancelled)));
        assert_eq!(PURGE.fate(EventKey(16), true), None);
    }

    #[test]
    fn a_purge_while_others_are_parked_does_both() {
        let both = PARK.joined(PURGE);
        assert_eq!(both, Job { task: Task::Park, until: 10, purged: 15, after: [0; 20], after_number: 0, cancelled: 0 });
        let later = PURGE.joined(Job { until: 30, after: [0; 20], after_number: 0, ..PARK });
        assert_eq!(later.cancelled, 3);
        assert_eq!(later.fate(EventKey(15), true), Some(Fate::End(End::Cancelled)));
        assert_eq!((later.fate(EventKey(16), true), later.fate(EventKey(16), false)), (Some(Fate::Park), None));
        assert_eq!(later.fate(EventKey(31), true), None);
    }

    #[test]
    fn a_deletion_ends_all_as_deleted() {
        let deleted = PURGE.joined(Job { task: Task::End, ..PARK });
        assert_eq!(deleted.fate(EventKey(5), false), Some(Fate::End(End::WebhookDeleted)));
        assert_eq!(deleted.fate(EventKey(99), false), Some(Fate::End(End::WebhookDeleted)), "a fan-out may reach it later");
        assert!(deleted.walks_backlog(false) && !PARK.walks_backlog(false));
    }

    #[test]
    fn an_order_goes_through_the_backlog_also_when_its_webhook_is_disabled_meanwhile() {
        let (order, disabled) = (Job { after_number: 0, ..PARK }, Job { after_number: u64::MAX, ..PARK });
        assert!(order.walks_backlog(true) && !order.walks_backlog(false));
        assert!(!disabled.walks_backlog(true), "what an ordered webhook has there is in order");
        let underway = Job { after_number: 7, ..order };
        assert_eq!(underway.joined(disabled).after_number, 7);
        assert_eq!(disabled.joined(order).after_number, 0);
    }

    #[test]
    fn a_test_in_its_queue_is_left_there_until_its_webhook_is_deleted() {
        let key = DeliveryKey { event: EventKey(5), endpoint: EndpointNo(1) };
        let due = QueuePosition::Due(Timestamp::EPOCH);
        let (test, other) = (Delivery::test(key, Timestamp::EPOCH), Delivery::published(key, due));
        let deleted = Fate::End(End::WebhookDeleted);
        let cancelled = Fate::End(End::Cancelled);
        assert_eq!(settled(&test, due, true, Fate::Park), None);
        assert_eq!(settled(&test, due, true, cancelled), None);
        assert_eq!(settled(&test, due, true, deleted), Some(deleted));
        assert_eq!(settled(&test, due, false, Fate::Park), Some(cancelled), "nobody waits for it");
        assert_eq!(settled(&test, QueuePosition::Backlog(1), true, Fate::Park), Some(cancelled), "no queue has it");
        assert_eq!(settled(&other, due, false, Fate::Park), Some(Fate::Park));
    }
}
