//! What goes and when: what has ended by its age, or before that when the store is over its bound; what is held, as expired.

use std::time::Duration;

use crate::domain::delivery::Delivery;
use crate::domain::id::{DeliveryKey, EventKey};
use crate::domain::time::Timestamp;

/// Which finished deliveries may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Removal {
    /// Those as old as the retention.
    Aged,
    /// All of them.
    Now,
}

/// An event's deliveries by number, as its row counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Kept {
    /// Those that it was published with.
    pub(in crate::store) deliveries: u32,
    /// Of those, how many were removed.
    pub(in crate::store) removed: u32,
}

/// What becomes of an event that was looked at.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct Looked {
    /// Deliveries that are removed.
    pub(in crate::store) go: Vec<Delivery>,
    /// How many of the event's own deliveries are removed by then.
    pub(in crate::store) removed: u32,
    pub(in crate::store) then: Then,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Then {
    /// The event goes with its last delivery.
    Forget,
    /// It is to be looked at again at this time, which is later than now.
    LookAgain(Timestamp),
}

/// How long an event is kept, and each of its deliveries from its end: those of an event for all tenants are kept as each tenant says.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Ages<F> {
    pub(in crate::store) event: Duration,
    pub(in crate::store) of: F,
}

/// What of an event may go. `rows` are those of its deliveries that have a row; `stays` says which of them stay whatever their age.
pub(in crate::store) fn look(
    event: EventKey,
    kept: Kept,
    rows: Vec<Delivery>,
    stays: impl Fn(DeliveryKey) -> bool,
    removal: Removal,
    ages: &Ages<impl Fn(DeliveryKey) -> Duration>,
    now: Timestamp,
) -> Looked {
    let may_go = |since: Timestamp, age: Duration| removal == Removal::Now || since + age <= now;
    let own_rows = count(&rows);
    let goes = |delivery: &Delivery| {
        let is_old = |ended| may_go(ended, (ages.of)(delivery.key));
        delivery.ended_at().is_some_and(is_old) && !stays(delivery.key)
    };
    let (go, stay): (Vec<_>, Vec<_>) = rows.into_iter().partition(goes);
    let own_left = own_rows.saturating_sub(count(&go));
    let removed = kept.removed.saturating_add(count(&go));
    // Such a delivery is as published: nothing of it has ended.
    let without_row = kept.deliveries.saturating_sub(removed).saturating_sub(own_left);
    // An event without deliveries counts from its publication.
    let then = if stay.is_empty() && without_row == 0 && may_go(event.time(), ages.event) {
        Then::Forget
    } else {
        Then::LookAgain(next_look(event, &stay, without_row > 0, ages, now))
    };
    Looked { go, removed, then }
}

/// When an event is to be looked at for the sake of a delivery that ended after the pass over events had come by; `None`: the pass
/// is still to come. `swept` is the newest event that the pass has looked at.
pub(in crate::store) fn revisit(delivery: &Delivery, swept: EventKey, retention: Duration) -> Option<Timestamp> {
    delivery.ended_at().filter(|_| delivery.key.event <= swept).map(|ended| ended + retention)
}

/// The newest key that an event can have which is as old as the retention.
pub(in crate::store) fn oldest_kept(retention: Duration, now: Timestamp) -> EventKey {
    EventKey::at(now - retention)
}

/// The most bytes that rows of the audit log may take, so that changes in great number never fill the store.
pub(in crate::store) fn audit_bytes_max(max_bytes: u64) -> u64 {
    max_bytes / AUDIT_SHARE
}

/// The bytes that the store takes of the disk: the pages of its live rows, and the journal, which is written over and over. A
/// journal that is large from an earlier run alone must not fill a small store.
pub(in crate::store) fn allocated(live_bytes: u64, journal_bytes: u64, max_bytes: u64) -> u64 {
    pages(live_bytes) + journal_bytes.min(max_bytes / JOURNAL_SHARE)
}

/// What the pages of so many live bytes take: leaves are not full, and each commit's old pages live until the next.
pub(in crate::store) fn pages(live_bytes: u64) -> u64 {
    live_bytes + live_bytes / 2 + FIXED_BYTES
}

/// Whether what comes in is faster than the look for what may go.
pub(in crate::store) fn is_far_over(allocated: u64, max_bytes: u64) -> bool {
    allocated > max_bytes + (max_bytes / 16).max(FAR_BYTES)
}

fn next_look(
    event: EventKey,
    stay: &[Delivery],
    has_unfinished: bool,
    ages: &Ages<impl Fn(DeliveryKey) -> Duration>,
    now: Timestamp,
) -> Timestamp {
    let unfinished = now + UNFINISHED_AGAIN;
    let next = |delivery: &Delivery| delivery.ended_at().map_or(unfinished, |ended| ended + (ages.of)(delivery.key));
    let ends = stay.iter().map(next);
    let earliest = ends.chain(has_unfinished.then_some(unfinished)).min();
    earliest.unwrap_or(event.time() + ages.event).max(now + Duration::from_millis(1))
}

/// How many of these the event counts: one that was recovered is none of its own.
fn count(deliveries: &[Delivery]) -> u32 {
    u32::try_from(deliveries.iter().filter(|delivery| !delivery.recovered).count()).unwrap_or(u32::MAX)
}

/// Of `max_bytes`, the most that the journal counts for.
const JOURNAL_SHARE: u64 = 4;

/// Pages that two checkpoints bring at once, before there was a look for what may go.
const FAR_BYTES: u64 = 6 << 20;

/// Pages of an empty store.
const FIXED_BYTES: u64 = 1 << 20;

/// When an event with unfinished deliveries is looked at again.
const UNFINISHED_AGAIN: Duration = Duration::from_secs(3600);

/// Of `max_bytes`, one part in so many is for the audit log.
const AUDIT_SHARE: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::{End, QueuePosition};
    use crate::domain::id::EndpointNo;

    const DAY: Duration = Duration::from_secs(86_400);
    const PUBLISHED: Timestamp = Timestamp::from_secs(1_000);
    const TWO: Kept = Kept { deliveries: 2, removed: 0 };

    fn event() -> EventKey {
        EventKey::at(PUBLISHED)
    }

    fn pending(endpoint: u32) -> Delivery {
        let key = DeliveryKey { event: event(), endpoint: EndpointNo(endpoint) };
        Delivery::published(key, QueuePosition::Due(PUBLISHED))
    }

    fn ended(endpoint: u32, at: Timestamp) -> Delivery {
        pending(endpoint).ended(End::Exhausted, at)
    }

    fn ages() -> Ages<impl Fn(DeliveryKey) -> Duration> {
        Ages { event: DAY, of: |_| DAY }
    }

    fn looked(kept: Kept, rows: Vec<Delivery>, removal: Removal, now: Timestamp) -> (usize, u32, Then) {
        let Looked { go, removed, then } = look(event(), kept, rows, |_| false, removal, &ages(), now);
        (go.len(), removed, then)
    }

    #[test]
    fn an_event_goes_with_the_last_of_its_deliveries() {
        let rows = vec![ended(1, PUBLISHED), ended(2, PUBLISHED)];
        assert_eq!(looked(TWO, rows, Removal::Aged, PUBLISHED + DAY), (2, 2, Then::Forget));
    }

    #[test]
    fn a_delivery_that_ended_late_keeps_its_event() {
        let late = PUBLISHED + Duration::from_secs(60);
        let rows = vec![ended(1, PUBLISHED), ended(2, late)];
        assert_eq!(looked(TWO, rows, Removal::Aged, PUBLISHED + DAY), (1, 1, Then::LookAgain(late + DAY)));
        let left = Kept { removed: 1, ..TWO };
        assert_eq!(looked(left, vec![ended(2, late)], Removal::Aged, late + DAY), (1, 2, Then::Forget));
    }

    #[test]
    fn what_is_pending_never_goes() {
        let now = PUBLISHED + DAY * 400;
        let again = Then::LookAgain(now + UNFINISHED_AGAIN);
        for removal in [Removal::Aged, Removal::Now] {
            assert_eq!(looked(TWO, vec![ended(1, PUBLISHED), pending(2)], removal, now), (1, 1, again));
            assert_eq!(looked(TWO, vec![ended(1, PUBLISHED)], removal, now), (1, 1, again), "one has no row");
        }
    }

    #[test]
    fn before_its_age_what_has_ended_goes_only_for_want_of_room() {
        let rows = || vec![ended(1, PUBLISHED), ended(2, PUBLISHED)];
        assert_eq!(looked(TWO, rows(), Removal::Aged, PUBLISHED), (0, 0, Then::LookAgain(PUBLISHED + DAY)));
        assert_eq!(looked(TWO, rows(), Removal::Now, PUBLISHED), (2, 2, Then::Forget));
    }

    #[test]
    fn each_delivery_of_an_event_for_all_tenants_has_its_own_age() {
        let now = PUBLISHED + DAY / 2;
        let ages = Ages { event: DAY, of: |key: DeliveryKey| if key.endpoint == EndpointNo(1) { DAY / 2 } else { DAY * 2 } };
        let rows = vec![ended(1, PUBLISHED), ended(2, PUBLISHED)];
        let Looked { go, removed, then } = look(event(), TWO, rows, |_| false, Removal::Aged, &ages, now);
        assert_eq!((go[0].key.endpoint, go.len(), removed), (EndpointNo(1), 1, 1));
        assert_eq!(then, Then::LookAgain(PUBLISHED + DAY * 2));
    }

    #[test]
    fn a_delivery_that_is_to_stay_keeps_its_event() {
        let now = PUBLISHED + DAY;
        let rows = vec![ended(1, PUBLISHED), ended(2, PUBLISHED)];
        let stays = |key: DeliveryKey| key.endpoint == EndpointNo(2);
        let Looked { go, removed, then } = look(event(), TWO, rows, stays, Removal::Now, &ages(), now);
        assert_eq!((go.len(), removed, then), (1, 1, Then::LookAgain(now + Duration::from_millis(1))));
    }

    #[test]
    fn an_event_for_nobody_counts_from_its_publication() {
        let none = Kept { deliveries: 0, removed: 0 };
        let before = PUBLISHED + Duration::from_secs(1);
        assert_eq!(looked(none, vec![], Removal::Aged, before), (0, 0, Then::LookAgain(PUBLISHED + DAY)));
        assert_eq!(looked(none, vec![], Removal::Aged, PUBLISHED + DAY), (0, 0, Then::Forget));
    }

    #[test]
    fn a_recovered_delivery_is_none_of_the_events_own() {
        let recovered = Delivery { recovered: true, ..ended(3, PUBLISHED) };
        let own = Kept { deliveries: 1, removed: 0 };
        let now = PUBLISHED + DAY;
        assert_eq!(looked(own, vec![recovered.clone()], Removal::Aged, now), (1, 0, Then::LookAgain(now + UNFINISHED_AGAIN)));
        assert_eq!(looked(own, vec![recovered, ended(1, PUBLISHED)], Removal::Aged, now), (2, 1, Then::Forget));
    }

    #[test]
    fn a_delivery_that_ends_behind_the_pass_is_visited_again() {
        let delivery = ended(1, PUBLISHED);
        assert_eq!(revisit(&delivery, event(), DAY), Some(PUBLISHED + DAY));
        assert_eq!(revisit(&delivery, EventKey(event().0 - 1), DAY), None, "the pass comes by");
        assert_eq!(revisit(&pending(1), event(), DAY), None);
        assert_eq!(oldest_kept(DAY, PUBLISHED + DAY), event());
    }

    #[test]
    fn an_old_journal_does_not_fill_a_small_store() {
        let max = 8 << 20;
        assert_eq!(allocated(2 << 20, 100 << 20, max), pages(2 << 20) + max / 4);
        assert_eq!(allocated(2 << 20, 1 << 20, max), (3 << 20) + FIXED_BYTES + (1 << 20));
        assert!(!is_far_over(max + FAR_BYTES, max) && is_far_over(max + FAR_BYTES + 1, max));
        assert!(!is_far_over((320 << 20) + (20 << 20), 320 << 20), "a sixteenth of a large store");
    }

    #[test]
    fn the_audit_log_has_a_share_of_the_store() {
        assert_eq!(audit_bytes_max(64 << 20), (64 << 20) / AUDIT_SHARE);
        assert!(audit_bytes_max(u64::MAX) < u64::MAX / 2, "events have most of it");
    }
}
