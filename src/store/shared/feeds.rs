//! Wakes those who wait for a tenant's next event, and nobody else.
//!
//! There is a bell for each tenant that somebody waits for. It goes with the last one who waits. A waiter listens to its tenant's
//! bell, to that of the provider's events for all tenants, and, while its tenant has had no event, to the bell for first events.
//! A bell is heard from the moment at which one listens, so a waiter that listens before it looks misses nothing.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;

use tokio::sync::watch;

use super::index_tail::Entry;
use crate::domain::id::TenantNo;

/// The bells, by the tenant whose events they ring for.
#[derive(Default)]
pub(in crate::store) struct Feeds(Mutex<HashMap<Whose, watch::Sender<()>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Whose {
    Tenant(TenantNo),
    /// Any tenant that has its first event.
    New,
}

/// The bells that one waiter listens to.
pub(crate) struct Feed {
    feeds: Arc<Feeds>,
    bells: Vec<(Whose, watch::Receiver<()>)>,
}

impl Feed {
    /// Listens, from this moment on, for the events of all owners that `numbers` tells, and for first events while one of them is
    /// `None`: it has had no event.
    pub(in crate::store) fn of<const OWNERS: usize>(
        feeds: &Arc<Feeds>,
        numbers: impl Fn() -> [Option<TenantNo>; OWNERS],
    ) -> Self {
        loop {
            let seen = numbers();
            let known = seen.iter().flatten().map(|no| Whose::Tenant(*no));
            let bells = feeds.listen(known.chain(seen.contains(&None).then_some(Whose::New)).collect());
            let feed = Self { feeds: feeds.clone(), bells };
            // An owner may have had its first event between the look and the bell.
            if numbers() == seen {
                return feed;
            }
        }
    }

    /// Waits until there may be more to read.
    pub(crate) async fn changed(&mut self) {
        let mut bells: Vec<_> = self.bells.iter_mut().map(|(_, bell)| Box::pin(bell.changed())).collect();
        poll_fn(|cx| {
            let rung = bells.iter_mut().any(|bell| bell.as_mut().poll(cx).is_ready());
            if rung { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        let mut bells = self.feeds.lock();
        for (whose, bell) in self.bells.drain(..) {
            drop(bell);
            if bells.get(&whose).is_some_and(|bell| bell.receiver_count() == 0) {
                bells.remove(&whose);
            }
        }
    }
}

impl Feeds {
    /// Rings for the events among `entries`, after readers can see them. `new` says that a tenant had its first event.
    pub(in crate::store) fn ring(&self, entries: &[Entry], new: bool) {
        let bells = self.lock();
        if bells.is_empty() {
            return;
        }
        let mut last = None;
        for owner in entries.iter().filter(|entry| entry.is_event()).map(|entry| entry.owner) {
            if last.replace(owner) != Some(owner) {
                bells.get(&Whose::Tenant(owner)).into_iter().for_each(ring);
            }
        }
        if new {
            bells.get(&Whose::New).into_iter().for_each(ring);
        }
    }

    fn listen(&self, whose: Vec<Whose>) -> Vec<(Whose, watch::Receiver<()>)> {
        let mut bells = self.lock();
        let listen = |whose| (whose, bells.entry(whose).or_insert_with(|| watch::Sender::new(())).subscribe());
        whose.into_iter().map(listen).collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Whose, watch::Sender<()>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ring(bell: &watch::Sender<()>) {
    bell.send_replace(());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};

    fn rings(bell: &mut (Whose, watch::Receiver<()>)) -> bool {
        let rung = bell.1.has_changed().expect("it stands");
        bell.1.mark_unchanged();
        rung
    }

    #[test]
    fn a_bell_rings_for_its_own_tenant_alone() {
        let (feeds, [one, two]) = (Feeds::default(), [TenantNo(1), TenantNo(2)]);
        let mut bells = feeds.listen(vec![Whose::Tenant(one), Whose::Tenant(two), Whose::New]);
        let mut heard = |entries: &[Entry], new| {
            feeds.ring(entries, new);
            bells.iter_mut().map(rings).collect::<Vec<_>>()
        };
        let event = |owner| Entry::event(EventKey(7), owner);
        assert_eq!(heard(&[event(one)], false), [true, false, false]);
        assert_eq!(heard(&[event(two), event(two), event(TenantNo(9))], false), [false, true, false]);
        assert_eq!(heard(&[event(TenantNo(9))], true), [false, false, true]);
        let delivery = Entry::delivery(DeliveryKey { event: EventKey(7), endpoint: EndpointNo(1) }, one);
        assert_eq!(heard(&[delivery], false), [false, false, false]);
    }
}
