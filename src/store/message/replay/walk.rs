//! How far a replay has gone through the deliveries: one walk over all of them, and one for each webhook that fell behind.
//!
//! ```text
//!   all webhooks  ──────────────────────▶ after ─────────────────────────────▶ last
//!   a slow one    ──────▶ behind             │
//!                         └── its own walk ─▶┘ caught up: it goes with all again
//! ```
//!
//! Where a webhook takes no more for now, the walk goes on without it and notes where that webhook was left. From there on the webhook
//! has a walk of its own, over its own deliveries alone, until it has caught up. So each delivery belongs to one walk at each moment,
//! and is looked at once.

use std::collections::BTreeMap;

use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};

/// How far a replay has gone through the deliveries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::store) struct Walk {
    /// Every delivery up to this one was looked at, but for those of webhooks that are behind.
    pub(in crate::store) after: DeliveryKey,
    /// The last event of the window.
    pub(in crate::store) last: EventKey,
    /// Whether nothing of the window comes behind `after`.
    pub(in crate::store) is_through: bool,
    /// The webhooks that fell behind, at most [`BEHIND_MAX`]. Their deliveries up to this event were looked at, and no others.
    pub(in crate::store) behind: BTreeMap<EndpointNo, EventKey>,
}

/// Whose deliveries a piece of a walk is about: those of all webhooks that are not behind, or those of one that is.
pub(in crate::store) type Course = Option<EndpointNo>;

impl Walk {
    /// Whether everything was looked at.
    pub(in crate::store) fn is_over(&self) -> bool {
        self.is_through && self.behind.is_empty()
    }

    pub(in crate::store) fn is_behind(&self, webhook: EndpointNo) -> bool {
        self.behind.contains_key(&webhook)
    }

    /// The walks that have something left to do.
    pub(in crate::store) fn courses(&self) -> impl Iterator<Item = Course> {
        let all = (!self.is_through).then_some(None);
        all.into_iter().chain(self.behind.keys().copied().map(Some))
    }

    /// Where a course begins and ends: behind a delivery, and up to an event.
    pub(in crate::store) fn stretch(&self, course: Course) -> (DeliveryKey, EventKey) {
        match course.and_then(|webhook| Some((webhook, *self.behind.get(&webhook)?))) {
            Some((webhook, event)) => (DeliveryKey { event, endpoint: EndpointNo(u32::MAX) }, self.passed_by(webhook)),
            None => (self.after, self.last),
        }
    }

    /// The last event whose delivery to a webhook the walk of all has passed by.
    fn passed_by(&self, webhook: EndpointNo) -> EventKey {
        let DeliveryKey { event, endpoint } = self.after;
        if self.is_through {
            self.last
        } else if webhook <= endpoint {
            event
        } else {
            EventKey(event.0.saturating_sub(1))
        }
    }

    /// Notes that a delivery was looked at.
    pub(in crate::store) fn pass(&mut self, course: Course, key: DeliveryKey) {
        match course.and_then(|webhook| self.behind.get_mut(&webhook)) {
            Some(behind) => *behind = (*behind).max(key.event),
            None => self.after = self.after.max(key),
        }
    }

    /// Goes on without the webhook of a delivery, which is to be sent later. False: too many are behind already.
    pub(in crate::store) fn leave_behind(&mut self, key: DeliveryKey) -> bool {
        if self.behind.len() >= BEHIND_MAX {
            return false;
        }
        self.behind.insert(key.endpoint, EventKey(key.event.0.saturating_sub(1)));
        self.after = self.after.max(key);
        true
    }

    /// Notes that a piece was looked at up to a delivery, and whether it was the last of its course.
    pub(in crate::store) fn come_to(&mut self, course: Course, up_to: DeliveryKey, is_last: bool) {
        self.pass(course, up_to);
        match course {
            Some(webhook) if is_last => drop(self.behind.remove(&webhook)),
            Some(_) => {}
            None => self.is_through |= is_last,
        }
    }
}

/// The most webhooks that are behind at once. They stand in the row of the replay, with some 14 bytes each. With more the walk of all
/// stays where it is until one has caught up.
pub(in crate::store) const BEHIND_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn key(event: u64, webhook: u32) -> DeliveryKey {
        DeliveryKey { event: EventKey(event), endpoint: EndpointNo(webhook) }
    }

    fn walk() -> Walk {
        Walk { after: key(0, u32::MAX), last: EventKey(EVENTS), is_through: false, behind: BTreeMap::new() }
    }

    /// The deliveries of a piece of a course, and whether they are the last.
    fn piece(walk: &Walk, course: Course, most: usize) -> (Vec<DeliveryKey>, bool) {
        let (after, last) = walk.stretch(course);
        let all = (1..=EVENTS).flat_map(|event| (1..=WEBHOOKS).map(move |webhook| key(event, webhook)));
        let is_its = |key: &DeliveryKey| course.map_or(!walk.is_behind(key.endpoint), |webhook| key.endpoint == webhook);
        let left: Vec<_> = all.filter(|key| *key > after && key.event <= last && is_its(key)).collect();
        let is_last = left.len() <= most;
        (left.into_iter().take(most).collect(), is_last)
    }

    #[test]
    fn a_webhook_that_is_left_behind_has_a_walk_of_its_own_until_it_has_caught_up() {
        let mut walk = walk();
        walk.pass(None, key(1, 1));
        assert!(walk.leave_behind(key(1, 2)) && walk.is_behind(EndpointNo(2)));
        walk.pass(None, key(3, 1));
        assert_eq!(walk.stretch(Some(EndpointNo(2))), (key(0, u32::MAX), EventKey(2)), "its third is before the walk of all");
        assert_eq!(walk.courses().collect::<Vec<_>>(), [None, Some(EndpointNo(2))]);
        walk.come_to(Some(EndpointNo(2)), key(1, 2), false);
        assert_eq!(walk.behind[&EndpointNo(2)], EventKey(1));
        walk.come_to(None, key(3, 2), true);
        assert_eq!((walk.is_over(), walk.stretch(Some(EndpointNo(2))).1), (false, EventKey(EVENTS)));
        walk.come_to(Some(EndpointNo(2)), key(4, 2), true);
        assert!(walk.is_over());
    }

    #[test]
    fn few_webhooks_are_behind_at_once() {
        let mut walk = walk();
        let most = u32::try_from(BEHIND_MAX).unwrap();
        let left = (0..=most).filter(|no| walk.leave_behind(key(1, *no))).count();
        assert_eq!((left, walk.after), (BEHIND_MAX, key(1, most - 1)));
    }

    proptest! {
        /// Whichever webhooks take something when, each delivery is sent once.
        #[test]
        fn each_delivery_is_sent_once(turns in prop::collection::vec((0..9_usize, 1..9_usize, 0..16_u32), 0..400)) {
            let (mut walk, mut sent) = (walk(), BTreeSet::new());
            let rest = (0..9_usize).cycle().take(500).map(|turn| (turn, 9, 0));
            for (turn, most, full) in turns.into_iter().chain(rest) {
                let courses: Vec<_> = walk.courses().collect();
                let Some(course) = courses.get(turn % courses.len().max(1)).copied() else { break };
                let (keys, is_last) = piece(&walk, course, most);
                let up_to = keys.last().copied().unwrap_or(walk.stretch(course).0);
                let mut is_whole = true;
                for key in keys {
                    if course.is_none() && walk.is_behind(key.endpoint) {
                        walk.pass(course, key);
                    } else if full & (1 << key.endpoint.0) == 0 {
                        prop_assert!(sent.insert(key), "{key:?} was sent twice");
                        walk.pass(course, key);
                    } else if course.is_some() || !walk.leave_behind(key) {
                        is_whole = false;
                        break;
                    }
                }
                if is_whole {
                    walk.come_to(course, up_to, is_last);
                }
            }
            prop_assert!(walk.is_over());
            prop_assert_eq!(sent.len() as u64, EVENTS * u64::from(WEBHOOKS));
        }
    }

    const EVENTS: u64 = 12;
    const WEBHOOKS: u32 = 3;
}
