//! Limits how often the operator is told of the same thing. It is kept in memory only, so a restart begins anew.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::domain::delivery::End;
use crate::domain::id::EndpointNo;
use crate::domain::time::Timestamp;

/// What the operator was told of lately, and what is still to be told.
#[derive(Debug, Default)]
pub(in crate::store) struct Notices {
    pub(in crate::store) failed: Failed,
    pub(in crate::store) expired: Expired,
    pub(in crate::store) storage: Storage,
}

/// Deliveries that failed for good. The first of a webhook is told at once, later ones in one notice a minute. A webhook has one
/// entry, which goes after a minute without a failure.
#[derive(Debug, Default)]
pub(in crate::store) struct Failed {
    counts: HashMap<EndpointNo, Count>,
    /// Whether a webhook's first failure waits to be told.
    news: bool,
    /// No minute ends before this time.
    next_look: Option<Instant>,
}

#[derive(Debug)]
struct Count {
    told: Option<Instant>,
    untold: u32,
    end: End,
}

/// A notice to send: how many deliveries of a webhook failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct Failures {
    pub(in crate::store) endpoint: EndpointNo,
    pub(in crate::store) count: u32,
    /// How the last of them ended.
    pub(in crate::store) end: End,
}

impl Failed {
    pub(in crate::store) fn add(&mut self, endpoint: EndpointNo, end: End) {
        let count = self.counts.entry(endpoint).or_insert(Count { told: None, untold: 0, end });
        count.untold = count.untold.saturating_add(1);
        count.end = end;
        self.news |= count.told.is_none();
    }

    /// Takes the notices that are due, and counts them as told.
    pub(in crate::store) fn due(&mut self, steady: Instant) -> Vec<Failures> {
        let mut due = Vec::new();
        if !self.news && self.next_look.is_none_or(|next| steady < next) {
            return due;
        }
        self.counts.retain(|endpoint, count| {
            if count.told.is_some_and(|told| steady < told + MINUTE) {
                return true;
            }
            if count.untold == 0 {
                return false;
            }
            due.push(Failures { endpoint: *endpoint, count: count.untold, end: count.end });
            *count = Count { told: Some(steady), untold: 0, end: count.end };
            true
        });
        self.news = false;
        self.next_look = (!self.counts.is_empty()).then(|| steady + LOOK);
        due
    }
}

/// Held deliveries that expired: one notice for each webhook and day.
#[derive(Debug, Default)]
pub(in crate::store) struct Expired {
    told: HashMap<EndpointNo, Timestamp>,
}

impl Expired {
    /// Whether to tell now. If so, it counts as told.
    pub(in crate::store) fn is_news(&mut self, endpoint: EndpointNo, now: Timestamp) -> bool {
        self.told.retain(|_, at| now.since(*at) < DAY);
        let news = !self.told.contains_key(&endpoint);
        if news {
            self.told.insert(endpoint, now);
        }
        news
    }
}

/// A store that takes no events. It is told once, and again only if there was room for a minute in between.
#[derive(Debug, Default)]
pub(in crate::store) struct Storage {
    /// When there was room again, as long as it lasts.
    recovered_at: Option<Instant>,
}

impl Storage {
    /// Whether to tell now that there is no room. It is called repeatedly while there is none.
    pub(in crate::store) fn is_news(&mut self, steady: Instant) -> bool {
        let recovered = self.recovered_at.replace(steady + MINUTE);
        recovered.is_none_or(|at| at <= steady)
    }
}

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The time between two looks for minutes that ended, so that many failing webhooks are not gone through at each commit.
const LOOK: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    const A: EndpointNo = EndpointNo(1);
    const B: EndpointNo = EndpointNo(2);
    const SECOND: Duration = Duration::from_secs(1);

    fn told(failed: &mut Failed, at: Instant) -> Vec<(EndpointNo, u32)> {
        let mut due: Vec<_> = failed.due(at).iter().map(|one| (one.endpoint, one.count)).collect();
        due.sort_unstable();
        due
    }

    #[test]
    fn first_failures_are_told_at_once_and_later_ones_as_a_count() {
        let (mut failed, start) = (Failed::default(), Instant::now());
        failed.add(A, End::Exhausted);
        failed.add(A, End::Exhausted);
        assert_eq!(told(&mut failed, start), [(A, 2)]);
        for second in 1..=59 {
            failed.add(A, End::Gone);
            assert_eq!(told(&mut failed, start + second * SECOND), []);
        }
        let due = failed.due(start + MINUTE);
        assert_eq!(due, [Failures { endpoint: A, count: 59, end: End::Gone }]);
    }

    #[test]
    fn a_failure_of_another_webhook_does_not_wait() {
        let (mut failed, start) = (Failed::default(), Instant::now());
        failed.add(A, End::Exhausted);
        assert_eq!(told(&mut failed, start), [(A, 1)]);
        failed.add(A, End::Exhausted);
        failed.add(B, End::Exhausted);
        assert_eq!(told(&mut failed, start + SECOND), [(B, 1)]);
        assert_eq!(told(&mut failed, start + MINUTE), [(A, 1)]);
    }

    #[test]
    fn a_webhook_without_failures_for_a_minute_is_forgotten() {
        let (mut failed, start) = (Failed::default(), Instant::now());
        failed.add(A, End::Exhausted);
        assert_eq!(told(&mut failed, start), [(A, 1)]);
        assert_eq!(told(&mut failed, start + MINUTE), []);
        assert!(failed.counts.is_empty() && failed.next_look.is_none());
        failed.add(A, End::Exhausted);
        assert_eq!(told(&mut failed, start + MINUTE), [(A, 1)]);
    }

    #[test]
    fn expired_deliveries_are_told_once_a_day() {
        let mut expired = Expired::default();
        let news = (0..72).filter(|hour| expired.is_news(A, Timestamp::EPOCH + 3600 * *hour * SECOND));
        assert_eq!(news.collect::<Vec<_>>(), [0, 24, 48]);
    }

    #[test]
    fn a_full_store_is_told_again_only_after_a_minute_with_room() {
        let (mut storage, start) = (Storage::default(), Instant::now());
        let mut told = |second| storage.is_news(start + second * SECOND);
        assert!(told(0));
        assert!((1..=100).all(|second| !told(second)));
        assert!(!told(159));
        assert!(told(219));
    }
}
