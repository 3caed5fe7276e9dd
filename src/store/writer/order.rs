//! Whose turn it is among the deliveries of webhooks that are `ordered`.
//!
//! ```text
//!   published, brought back ──▶ backlog, by the key of the event ── first, when no other is released ──▶ released
//!                                   ▲                                                                    │
//!                                   └──────────── its webhook was stopped ───────────────────────────────┤
//!                                                                       attempts until it has ended ◀────┘
//! ```
//!
//! Of an ordered webhook one delivery at a time is released: it is attempted, and waits for its retries, until it has ended. All
//! others wait in the webhook's backlog, where the number of each is the key of its event, so the backlog is in the order of
//! publication. The next one is released by the batch that ends the one before it, so it starts when that end is on disk.
//!
//! This knows which delivery is released, and which webhooks a batch has to look at. What stands in the backlog it does not know.

use std::collections::{BTreeSet, HashSet};

use crate::domain::id::{ByEndpoint, DeliveryKey, EndpointNo, EventKey};

/// The ordered webhooks, and how far each has come.
#[derive(Debug, Default)]
pub(in crate::store) struct Order {
    lanes: ByEndpoint<Lane>,
    /// The webhooks of which a delivery may have to be released.
    open: BTreeSet<EndpointNo>,
    /// The webhooks whose next delivery waits until an event that was published before it has been fanned out.
    behind_fanout: HashSet<EndpointNo>,
}

/// How far one webhook has come.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    released: Option<EventKey>,
    /// The backlog holds nothing up to this number.
    after: u64,
}

impl Order {
    pub(in crate::store) fn is_ordered(&self, no: EndpointNo) -> bool {
        !self.lanes.is_empty() && self.lanes.contains_key(&no)
    }

    /// Whether a delivery may be attempted and wait for its retries: it is released, or its webhook is not ordered.
    pub(in crate::store) fn has_turn(&self, key: DeliveryKey) -> bool {
        self.lanes.is_empty() || self.lanes.get(&key.endpoint).is_none_or(|lane| lane.released == Some(key.event))
    }

    /// Begins to hold a webhook's deliveries in order. None of them is released.
    pub(in crate::store) fn add(&mut self, no: EndpointNo) {
        self.lanes.insert(no, Lane::default());
    }

    pub(in crate::store) fn remove(&mut self, no: EndpointNo) {
        self.lanes.remove(&no);
        self.open.remove(&no);
        self.behind_fanout.remove(&no);
    }

    /// Has the next batch, or this one at its end, look whether a delivery of the webhook is to be released.
    pub(in crate::store) fn open(&mut self, no: EndpointNo) {
        if self.is_ordered(no) {
            self.open.insert(no);
        }
    }

    /// Whether webhooks are left to look at.
    pub(in crate::store) fn has_open(&self) -> bool {
        !self.open.is_empty()
    }

    /// Takes the next webhook to look at.
    pub(in crate::store) fn take_open(&mut self) -> Option<EndpointNo> {
        self.open.pop_first()
    }

    /// The number behind which the next delivery of a webhook stands in its backlog. `None` when one is released, or the webhook is
    /// not ordered.
    pub(in crate::store) fn next_after(&self, no: EndpointNo) -> Option<u64> {
        self.lanes.get(&no).filter(|lane| lane.released.is_none()).map(|lane| lane.after)
    }

    /// Notes that a delivery, the first in its webhook's backlog, is released.
    pub(in crate::store) fn release(&mut self, key: DeliveryKey) {
        if let Some(lane) = self.lanes.get_mut(&key.endpoint) {
            *lane = Lane { released: Some(key.event), after: key.event.0.saturating_sub(1) };
        }
    }

    /// Notes which delivery was released before the service was started. Others may stand before it in the backlog.
    pub(in crate::store) fn resume(&mut self, key: DeliveryKey) {
        self.lanes.insert(key.endpoint, Lane { released: Some(key.event), after: 0 });
    }

    /// Notes that a delivery stands in its webhook's backlog under a number, and so is not released.
    pub(in crate::store) fn parked(&mut self, key: DeliveryKey, number: u64) {
        if let Some(lane) = self.lanes.get_mut(&key.endpoint) {
            lane.after = lane.after.min(number.saturating_sub(1));
            lane.released = lane.released.filter(|released| *released != key.event);
            self.open.insert(key.endpoint);
        }
    }

    /// Notes that a delivery has ended.
    pub(in crate::store) fn ended(&mut self, key: DeliveryKey) {
        if let Some(lane) = self.lanes.get_mut(&key.endpoint)
            && lane.released == Some(key.event)
        {
            lane.released = None;
            self.open.insert(key.endpoint);
        }
    }

    /// Notes that a webhook was stopped: what was released waits for its next turn.
    pub(in crate::store) fn stop(&mut self, no: EndpointNo) {
        if let Some(lane) = self.lanes.get_mut(&no) {
            *lane = Lane::default();
        }
    }

    /// Has the webhook looked at again after the next slice of a fan-out.
    pub(in crate::store) fn await_fanout(&mut self, no: EndpointNo) {
        self.behind_fanout.insert(no);
    }

    /// Notes that fan-outs have come further.
    pub(in crate::store) fn fanned(&mut self) {
        self.open.extend(self.behind_fanout.drain());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NO: EndpointNo = EndpointNo(1);

    fn key(event: u64) -> DeliveryKey {
        DeliveryKey { event: EventKey(event), endpoint: NO }
    }

    fn order() -> Order {
        let mut order = Order::default();
        order.add(NO);
        order
    }

    #[test]
    fn one_delivery_has_its_turn_until_it_has_ended() {
        let mut order = order();
        assert!(!order.has_turn(key(5)));
        assert_eq!(order.next_after(NO), Some(0));
        order.release(key(5));
        assert!(order.has_turn(key(5)) && !order.has_turn(key(6)));
        assert_eq!(order.next_after(NO), None, "it has not ended");
        order.ended(key(6));
        assert!(!order.has_open(), "another's end frees nobody");
        order.ended(key(5));
        assert_eq!((order.take_open(), order.next_after(NO)), (Some(NO), Some(4)));
    }

    #[test]
    fn what_is_parked_is_not_released_and_is_looked_for_where_it_stands() {
        let mut order = order();
        order.release(key(9));
        order.parked(key(3), 3);
        assert!(order.has_turn(key(9)), "an older one that came back waits");
        order.parked(key(9), 9);
        assert_eq!((order.has_turn(key(9)), order.next_after(NO)), (false, Some(2)));
        assert_eq!(order.take_open(), Some(NO));
    }

    #[test]
    fn a_webhook_that_is_not_ordered_has_no_turns() {
        let mut order = Order::default();
        assert!(order.has_turn(key(1)) && !order.is_ordered(NO));
        order.open(NO);
        order.parked(key(1), 1);
        assert!(!order.has_open());
        order.add(NO);
        order.open(NO);
        order.await_fanout(NO);
        order.remove(NO);
        order.fanned();
        assert!(!order.has_open() && order.has_turn(key(1)));
    }

    #[test]
    fn a_stop_gives_every_turn_back() {
        let mut order = order();
        order.release(key(9));
        order.stop(NO);
        assert_eq!(order.next_after(NO), Some(0));
    }

    #[test]
    fn who_waits_for_a_fan_out_is_looked_at_after_its_next_slice() {
        let mut order = order();
        order.await_fanout(NO);
        assert!(!order.has_open());
        order.fanned();
        assert_eq!((order.take_open(), order.take_open()), (Some(NO), None));
    }
}
