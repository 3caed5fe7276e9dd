//! How much of what is due may wait in memory: the bound that keeps a slow endpoint from costing the others anything.
//!
//! A delivery that finds no seat goes to its endpoint's backlog on disk and comes back when the endpoint asks for more.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

use crate::domain::time::Timestamp;

/// Seats over all endpoints.
#[derive(Debug, Default)]
pub(crate) struct Room {
    waiting: AtomicUsize,
}

/// What is known in memory alone about one endpoint.
#[derive(Debug, Default)]
pub(crate) struct Live {
    waiting: AtomicU32,
    last_attempt_micros: AtomicU64,
}

impl Live {
    /// The end of the last attempt since the start of this process.
    pub(crate) fn last_attempt(&self) -> Option<Timestamp> {
        let micros = self.last_attempt_micros.load(Relaxed);
        (micros > 0).then(|| Timestamp::from_micros(micros))
    }

    pub(in crate::store) fn attempted(&self, at: Timestamp) {
        self.last_attempt_micros.fetch_max(at.as_micros(), Relaxed);
    }

    pub(in crate::store) fn waiting(&self) -> u32 {
        self.waiting.load(Relaxed)
    }
}

/// A delivery's place in memory, from the commit that made it ready to the start of its attempt. Dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Seat {
    room: Arc<Room>,
    live: Arc<Live>,
    is_taken: AtomicBool,
}

impl Seat {
    /// `None` when the endpoint or the room is full.
    pub(in crate::store) fn take(room: &Arc<Room>, live: &Arc<Live>) -> Option<Self> {
        (Self::free(room, live) > 0).then(|| Self::squeeze(room, live))
    }

    /// How many seats the endpoint would be given now.
    pub(in crate::store) fn free(room: &Room, live: &Live) -> usize {
        let waiting = live.waiting();
        let own = OWN_SEATS.saturating_sub(waiting) as usize;
        let shared = ENDPOINT_SEATS.saturating_sub(waiting) as usize;
        own.max(shared.min(SEATS.saturating_sub(room.waiting.load(Relaxed))))
    }

    /// A seat beyond the bound, for what a person asked for and waits for.
    pub(in crate::store) fn squeeze(room: &Arc<Room>, live: &Arc<Live>) -> Self {
        let seat = Self { room: room.clone(), live: live.clone(), is_taken: AtomicBool::new(false) };
        seat.retake();
        seat
    }

    /// Frees the place: the attempt has started.
    pub(crate) fn vacate(&self) {
        if self.is_taken.swap(false, Relaxed) {
            self.room.waiting.fetch_sub(1, Relaxed);
            self.live.waiting.fetch_sub(1, Relaxed);
        }
    }

    /// Takes the place again, beyond the bound if need be: the attempt could not start after all.
    pub(crate) fn retake(&self) {
        if !self.is_taken.swap(true, Relaxed) {
            self.room.waiting.fetch_add(1, Relaxed);
            self.live.waiting.fetch_add(1, Relaxed);
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.vacate();
    }
}

/// Deliveries in memory over all endpoints; about 100 bytes each.
const SEATS: usize = 65_536;

/// Seats that an endpoint has whatever the others do: however many are stuck, the quick ones stay in memory.
const OWN_SEATS: u32 = 32;

/// Deliveries in memory for one endpoint: enough for a burst.
pub(crate) const ENDPOINT_SEATS: u32 = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_has_its_own_seats_whatever_the_others_do() {
        let (room, live, other) = (Arc::default(), Arc::default(), Arc::default());
        assert_eq!(Seat::free(&room, &live), ENDPOINT_SEATS as usize);
        let _others: Vec<_> = (0..SEATS - 10).map(|_| Seat::squeeze(&room, &other)).collect();
        assert_eq!((Seat::free(&room, &live), Seat::free(&room, &other)), (OWN_SEATS as usize, 0));
        let mut own: Vec<_> = std::iter::from_fn(|| Seat::take(&room, &live)).collect();
        assert_eq!((own.len(), Seat::free(&room, &live)), (OWN_SEATS as usize, 0));
        own.truncate(12);
        assert_eq!(Seat::free(&room, &live), 20);
        let left = |act: fn(&Seat)| {
            act(&own[0]);
            Seat::free(&room, &live)
        };
        assert_eq!([Seat::vacate, Seat::vacate, Seat::retake, Seat::retake].map(left), [21, 21, 20, 20], "each counts once");
    }
}
