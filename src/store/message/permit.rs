//! Bounds how many due deliveries wait in memory, so that a slow endpoint costs the other endpoints nothing.
//!
//! A delivery that gets no permit goes to its endpoint's backlog on disk. It comes back when the endpoint's queue in `deliver` runs
//! low.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicUsize, Ordering::Relaxed};

use super::last::Last;
use crate::domain::rate::Rate;
use crate::domain::webhook::settings::WebhookSettings;

/// The permits over all endpoints.
#[derive(Debug, Default)]
pub(crate) struct QueueBudget {
    waiting: AtomicUsize,
}

/// What memory alone knows about one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Live {
    waiting: AtomicU32,
    pub(in crate::store) last: Last,
    is_listed: AtomicBool,
    /// How many attempts the webhook lets be made at once. 0: it does not say.
    concurrency: AtomicU16,
    /// How often the webhook lets an attempt start, as [`Rate::to_bits`]. 0: it does not say.
    rate_limit: AtomicU32,
}

impl Live {
    /// Notes that a delivery of it stands in the tail of the index, or will with the next commit.
    pub(in crate::store) fn list(&self) {
        if !self.is_listed() {
            self.is_listed.store(true, Relaxed);
        }
    }

    /// Whether the tail of the index may name it: never before its first delivery.
    pub(in crate::store) fn is_listed(&self) -> bool {
        self.is_listed.load(Relaxed)
    }

    /// Notes what the webhook's settings say about its queue.
    pub(crate) fn note(&self, settings: &WebhookSettings) {
        let concurrency = if settings.ordered { Some(1) } else { settings.concurrency };
        self.concurrency.store(concurrency.unwrap_or(0), Relaxed);
        self.rate_limit.store(settings.rate_limit.map_or(0, Rate::to_bits), Relaxed);
    }

    /// How many attempts the webhook lets be made at once. `None`: it does not say.
    pub(crate) fn concurrency(&self) -> Option<usize> {
        Some(self.concurrency.load(Relaxed)).filter(|count| *count > 0).map(usize::from)
    }

    /// How often the webhook lets an attempt start. `None`: it does not say.
    pub(crate) fn rate_limit(&self) -> Option<Rate> {
        Rate::from_bits(self.rate_limit.load(Relaxed))
    }

    pub(in crate::store) fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }
}

/// The right of a delivery to wait in memory, from the commit that made it ready to the start of its attempt. Dropping it
/// releases the right.
#[derive(Debug)]
pub(crate) struct QueuePermit {
    budget: Arc<QueueBudget>,
    live: Arc<Live>,
    is_taken: AtomicBool,
}

impl QueuePermit {
    /// Takes a permit. `None` when the endpoint or the budget has none left.
    pub(in crate::store) fn acquire(budget: &Arc<QueueBudget>, live: &Arc<Live>) -> Option<Self> {
        (Self::available(budget, live) > 0).then(|| Self::acquire_beyond(budget, live))
    }

    /// How many permits the endpoint could get at this moment.
    pub(in crate::store) fn available(budget: &QueueBudget, live: &Live) -> usize {
        let waiting = live.waiting();
        let own = OWN_PERMITS.saturating_sub(waiting) as usize;
        let shared = ENDPOINT_PERMITS.saturating_sub(waiting) as usize;
        own.max(shared.min(PERMITS.saturating_sub(budget.waiting.load(Relaxed))))
    }

    /// How many of those a replay may have: half, since what is published goes first.
    pub(in crate::store) fn for_replays(budget: &QueueBudget, live: &Live) -> usize {
        let waiting = live.waiting();
        let own = (OWN_PERMITS / 2).saturating_sub(waiting) as usize;
        let shared = (ENDPOINT_PERMITS / 2).saturating_sub(waiting) as usize;
        own.max(shared.min(PERMITS.saturating_sub(budget.waiting.load(Relaxed))))
    }

    /// Takes a permit beyond the bound, for a delivery that a person asked for and waits for.
    pub(in crate::store) fn acquire_beyond(budget: &Arc<QueueBudget>, live: &Arc<Live>) -> Self {
        let permit = Self { budget: budget.clone(), live: live.clone(), is_taken: AtomicBool::new(false) };
        permit.reacquire();
        permit
    }

    /// What memory knows about the endpoint.
    pub(crate) fn live(&self) -> &Arc<Live> {
        &self.live
    }

    /// Gives the permit back, since the attempt has started.
    pub(crate) fn release(&self) {
        if self.is_taken.swap(false, Relaxed) {
            self.budget.waiting.fetch_sub(1, Relaxed);
            self.live.waiting.fetch_sub(1, Relaxed);
        }
    }

    /// Takes the permit again, beyond the bound if necessary, since the attempt could not start after all.
    pub(crate) fn reacquire(&self) {
        if !self.is_taken.swap(true, Relaxed) {
            self.budget.waiting.fetch_add(1, Relaxed);
            self.live.waiting.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for QueuePermit {
    fn drop(&mut self) {
        self.release();
    }
}

/// The most deliveries in memory over all endpoints, about 100 bytes each.
const PERMITS: usize = 65_536;

/// The permits that an endpoint gets whatever the others have. However many endpoints are stuck, the quick ones stay in memory.
const OWN_PERMITS: u32 = 32;

/// The most deliveries in memory for one endpoint: enough for a burst.
pub(crate) const ENDPOINT_PERMITS: u32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_its_own_permits_whatever_the_others_do() {
        let (budget, live, other) = (Arc::default(), Arc::default(), Arc::default());
        assert_eq!(QueuePermit::available(&budget, &live), ENDPOINT_PERMITS as usize);
        assert_eq!(QueuePermit::for_replays(&budget, &live), ENDPOINT_PERMITS as usize / 2);
        let _others: Vec<_> = (0..PERMITS - 10).map(|_| QueuePermit::acquire_beyond(&budget, &other)).collect();
        assert_eq!((QueuePermit::available(&budget, &live), QueuePermit::available(&budget, &other)), (OWN_PERMITS as usize, 0));
        let mut own: Vec<_> = std::iter::from_fn(|| QueuePermit::acquire(&budget, &live)).collect();
        assert_eq!((own.len(), QueuePermit::available(&budget, &live)), (OWN_PERMITS as usize, 0));
        assert_eq!(
            QueuePermit::for_replays(&budget, &Live::default()),
            OWN_PERMITS as usize / 2,
            "half of its own are for new events"
        );
        own.truncate(12);
        assert_eq!(QueuePermit::available(&budget, &live), 20);
        let left = |act: fn(&QueuePermit)| {
            act(&own[0]);
            QueuePermit::available(&budget, &live)
        };
        assert_eq!(
            [QueuePermit::release, QueuePermit::release, QueuePermit::reacquire, QueuePermit::reacquire].map(left),
            [21, 21, 20, 20],
            "each counts once"
        );
    }
}
