//! How many deliveries of a replay wait for their first attempt, and how many more may: a part of the room that is still free.
//!
//! A webhook may have no more deliveries waiting than places are still free. So the replay of one webhook fills half of the places, and
//! however many webhooks stand still, each further one finds room: of `n` that stand still each has one part in `n + 1`, and one part
//! is free.

use std::collections::BTreeMap;

use crate::domain::id::EndpointNo;

/// How many deliveries of each webhook wait for their first attempt. Each webhook in it has one at least, so it is as small as
/// [`WAITING_MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::store) struct Waiting {
    of: BTreeMap<EndpointNo, u32>,
    total: u32,
}

impl Waiting {
    #[cfg(test)]
    pub(in crate::store) fn total(&self) -> u32 {
        self.total
    }

    pub(in crate::store) fn of(&self, webhook: EndpointNo) -> u32 {
        self.of.get(&webhook).copied().unwrap_or_default()
    }

    pub(in crate::store) fn iter(&self) -> impl Iterator<Item = (EndpointNo, u32)> {
        self.of.iter().map(|(webhook, count)| (*webhook, *count))
    }

    /// How many more of a webhook's deliveries may wait.
    pub(in crate::store) fn room_of(&self, webhook: EndpointNo) -> u32 {
        WAITING_MAX.saturating_sub(self.total + self.of(webhook)).div_ceil(2)
    }

    /// How many more deliveries may wait, whatever their webhooks.
    pub(in crate::store) fn room(&self) -> u32 {
        WAITING_MAX.saturating_sub(self.total)
    }

    pub(in crate::store) fn add(&mut self, webhook: EndpointNo) {
        *self.of.entry(webhook).or_default() += 1;
        self.total += 1;
    }

    /// Notes that one of a webhook's deliveries waits no more. One that was forgotten meanwhile changes nothing.
    pub(in crate::store) fn take(&mut self, webhook: EndpointNo) {
        let Some(count) = self.of.get_mut(&webhook) else { return };
        (*count, self.total) = (*count - 1, self.total - 1);
        if *count == 0 {
            self.of.remove(&webhook);
        }
    }

    /// Counts nothing of a webhook any more; whether anything was counted.
    pub(in crate::store) fn forget(&mut self, webhook: EndpointNo) -> bool {
        let count = self.of.remove(&webhook);
        self.total -= count.unwrap_or_default();
        count.is_some()
    }
}

impl FromIterator<(EndpointNo, u32)> for Waiting {
    fn from_iter<I: IntoIterator<Item = (EndpointNo, u32)>>(counts: I) -> Self {
        let of: BTreeMap<_, _> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        let total = of.values().sum();
        Self { of, total }
    }
}

/// The most deliveries of one replay that wait for their first attempt: enough to keep quick endpoints busy between two commits, and
/// few enough to be soon over when the replay is paused.
pub(in crate::store) const WAITING_MAX: u32 = 512;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lets webhooks that stand still have all that they may.
    fn standing_still(count: u32) -> Waiting {
        let mut waiting = Waiting::default();
        while (0..count).any(|no| waiting.room_of(EndpointNo(no)) > 0) {
            (0..count).filter(|no| waiting.room_of(EndpointNo(*no)) > 0).collect::<Vec<_>>().into_iter().for_each(|no| {
                if waiting.room_of(EndpointNo(no)) > 0 {
                    waiting.add(EndpointNo(no));
                }
            });
        }
        waiting
    }

    #[test]
    fn however_many_webhooks_stand_still_another_finds_room() {
        assert_eq!(standing_still(1).total(), WAITING_MAX / 2);
        for count in [1, 2, 10, 100, 300, WAITING_MAX - 1] {
            let waiting = standing_still(count);
            assert!(waiting.room_of(EndpointNo(WAITING_MAX)) > 0, "{count} stand still: {} wait", waiting.total());
        }
    }

    proptest! {
        /// Whatever is added, taken and forgotten, the total is that of the webhooks, and the room is kept.
        #[test]
        fn the_total_is_that_of_the_webhooks(steps in prop::collection::vec((0..4_u8, 0..6_u32), 0..2_000)) {
            let mut waiting = Waiting::default();
            for (what, no) in steps {
                let no = EndpointNo(no);
                match what {
                    0 | 1 if waiting.room_of(no) > 0 => waiting.add(no),
                    2 => waiting.take(no),
                    3 if no.0 == 5 => drop(waiting.forget(no)),
                    _ => {}
                }
                prop_assert_eq!(waiting.total(), waiting.iter().map(|(_, count)| count).sum::<u32>());
                prop_assert!(waiting.total() <= WAITING_MAX && waiting.iter().all(|(_, count)| count > 0));
                prop_assert_eq!(&waiting.iter().collect::<Waiting>(), &waiting);
            }
        }
    }
}
