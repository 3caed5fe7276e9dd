//! The events in memory, each once: events that were just published, and events that were read back for an attempt.
//!
//! A published event is counted as *fresh* and shared by its deliveries from the commit on. Before an event is read back it is
//! looked for here, so that all attempts of an event share one copy, however many there are and whenever each began.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::budget::{Budget, Share};
use crate::domain::event::Event;
use crate::domain::id::EventKey;

/// The events in memory, found by their keys as long as somebody holds them.
#[derive(Debug)]
pub(in crate::store) struct Bodies {
    budget: Arc<Budget>,
    held: Mutex<HashMap<EventKey, Weak<CachedEvent>>>,
}

/// An event in memory. Dropping its last holder gives its room back.
#[derive(Debug)]
pub(crate) struct CachedEvent {
    event: Event,
    room: Room,
    bodies: Arc<Bodies>,
}

/// The part of the budget that an event's bytes are counted in.
#[derive(Debug)]
enum Room {
    Fresh(usize),
    Read { _share: Share },
}

impl CachedEvent {
    pub(crate) fn event(&self) -> &Event {
        &self.event
    }

    fn is_fresh(&self) -> bool {
        matches!(self.room, Room::Fresh(_))
    }

    /// Whether other deliveries can find the event. A small fresh event cannot be found: to read it again costs less than an
    /// entry in the map.
    fn is_listed(&self) -> bool {
        match self.room {
            Room::Fresh(bytes) => bytes >= LISTED_BYTES,
            Room::Read { .. } => true,
        }
    }
}

impl Bodies {
    pub(in crate::store) fn new(budget: Arc<Budget>) -> Arc<Self> {
        Arc::new(Self { budget, held: Mutex::default() })
    }

    /// Keeps an event that was just published or will soon be attempted, so that its attempts need not read it back. `None` when
    /// the room of fresh events is full; then each attempt waits for room of its own.
    ///
    /// The event returned never uses the room of attempts. Deliveries that wait may hold it for long, and attempts that wait for
    /// room would then wait for deliveries behind them.
    pub(in crate::store) fn keep(self: &Arc<Self>, event: Event) -> Option<Arc<CachedEvent>> {
        let bytes = event.bytes();
        if !self.budget.fresh().take(bytes) {
            return None;
        }
        let held = Arc::new(CachedEvent { event, room: Room::Fresh(bytes), bodies: self.clone() });
        if held.is_listed() {
            return Some(Some(self.list(&held)).filter(|listed| listed.is_fresh()).unwrap_or(held));
        }
        Some(held)
    }

    /// Whether there is room for an event whose record has `record` bytes.
    pub(in crate::store) fn fits(&self, record: usize) -> bool {
        self.budget.fresh().fits(record)
    }

    pub(in crate::store) fn find(&self, key: EventKey) -> Option<Arc<CachedEvent>> {
        self.held().get(&key).and_then(Weak::upgrade)
    }

    /// Finds an event for a delivery that has to wait. Such a delivery must not hold the room of attempts: see [`Self::keep`].
    pub(in crate::store) fn find_fresh(&self, key: EventKey) -> Option<Arc<CachedEvent>> {
        self.find(key).filter(|held| held.is_fresh())
    }

    /// Keeps an event that was read back into `share`. When two attempts read it at once, both get the one that came first.
    pub(in crate::store) fn put(self: &Arc<Self>, event: Event, mut share: Share) -> Arc<CachedEvent> {
        share.shrink(event.bytes());
        let held = Arc::new(CachedEvent { event, room: Room::Read { _share: share }, bodies: self.clone() });
        self.list(&held)
    }

    /// The event that is found under the key from this moment on: `held`, or one that stood there already.
    fn list(&self, held: &Arc<CachedEvent>) -> Arc<CachedEvent> {
        let mut listed = self.held();
        let place = listed.entry(held.event.key).or_default();
        place.upgrade().unwrap_or_else(|| {
            *place = Arc::downgrade(held);
            held.clone()
        })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<EventKey, Weak<CachedEvent>>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for CachedEvent {
    fn drop(&mut self) {
        if self.is_listed() {
            let mut held = self.bodies.held();
            // Another copy of the event may stand there already.
            if held.get(&self.event.key).is_some_and(|held| held.strong_count() == 0) {
                held.remove(&self.event.key);
            }
        }
        if let Room::Fresh(bytes) = self.room {
            self.bodies.budget.fresh().give_back(bytes);
        }
    }
}

/// The least size of a fresh event that is shared with deliveries which come to it later, from the backlog or for a retry.
const LISTED_BYTES: usize = 4 << 10;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::BYTES_LEAST;
    use crate::domain::event::fixture::event;

    fn bodies() -> Arc<Bodies> {
        Bodies::new(Arc::new(Budget::new(BYTES_LEAST)))
    }

    fn read(bodies: &Arc<Bodies>, key: u64, bytes: usize) -> Arc<CachedEvent> {
        let share = bodies.budget.try_event(bytes).expect("there is room");
        bodies.put(event(key, bytes), share)
    }

    #[test]
    fn an_event_is_in_memory_once_however_many_hold_it() {
        let bodies = bodies();
        let first = read(&bodies, 1, 1 << 20);
        let free = || std::iter::from_fn(|| bodies.budget.try_event(1 << 20)).collect::<Vec<_>>().len();
        let left = free();
        let others: Vec<_> = (0..100).map(|_| bodies.find(EventKey(1)).expect("held")).collect();
        assert_eq!(free(), left);
        assert!(Arc::ptr_eq(&read(&bodies, 1, 1 << 20), &first), "who reads it at the same time gets the first");
        assert_eq!(free(), left);
        drop((first, others));
        assert!(bodies.find(EventKey(1)).is_none() && bodies.held().is_empty());
        assert_eq!(free(), left + 1);
    }

    #[test]
    fn a_fresh_event_is_shared_with_those_who_read_it_later() {
        let bodies = bodies();
        let (large, small) = (bodies.keep(event(1, LISTED_BYTES)), bodies.keep(event(2, 10)));
        assert!(large.is_some() && small.is_some());
        assert!(bodies.find(EventKey(1)).is_some() && bodies.find(EventKey(2)).is_none());
        drop(large);
        assert!(bodies.held().is_empty());
    }

    #[test]
    fn a_waiting_delivery_holds_none_of_the_room_of_attempts() {
        let bodies = bodies();
        let under_way = read(&bodies, 1, 1 << 20);
        assert!(bodies.find(EventKey(1)).is_some() && bodies.find_fresh(EventKey(1)).is_none());
        let waits = bodies.keep(event(1, 1 << 20)).expect("there is room");
        assert!(waits.is_fresh() && !Arc::ptr_eq(&waits, &under_way));
        let found = bodies.keep(event(2, 1 << 20)).and(bodies.keep(event(2, 1 << 20)));
        assert!(found.is_some_and(|found| found.is_fresh()));
    }

    #[test]
    fn fresh_events_past_their_part_are_not_kept() {
        let bodies = bodies();
        let kept: Vec<_> = (0..).map_while(|key| bodies.keep(event(key, 1 << 20))).collect();
        assert_eq!(kept.len(), 3, "of a sixteenth of 64 MiB, each with its own few bytes");
        assert!(!bodies.fits(1 << 20));
        drop(kept);
        assert!(bodies.fits(4 << 20));
    }

    #[test]
    fn attributes_count() {
        let bodies = bodies();
        let mut large = event(1, 10);
        large.attributes.insert("a".into(), "\"x\"".repeat(2 << 20).into());
        assert!(bodies.keep(large).is_none());
    }

    #[test]
    fn an_event_held_anew_stays_when_the_old_copy_goes() {
        let bodies = bodies();
        let old = Arc::new(CachedEvent { event: event(1, 10), room: Room::Fresh(LISTED_BYTES), bodies: bodies.clone() });
        bodies.budget.fresh().take(LISTED_BYTES);
        let new = read(&bodies, 1, 10);
        drop(old);
        assert!(Arc::ptr_eq(&bodies.find(EventKey(1)).expect("held"), &new));
    }
}
