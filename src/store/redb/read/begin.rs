//! Before an attempt: whether the delivery is still due, and its event, from memory or read back into room of its own.

use std::sync::Arc;

use super::Reader;
use super::snapshot::Snapshot;
use crate::budget::Share;
use crate::domain::delivery::{Delivery, State};
use crate::domain::event::Event;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::message::cached::CachedEvent;
use crate::store::message::command::Ready;
use crate::store::{Error, record};

/// A delivery about to be attempted.
pub(crate) struct Begun {
    pub(crate) event: Arc<CachedEvent>,
    pub(crate) delivery: Delivery,
    pub(crate) endpoint: Arc<Endpoint>,
}

impl Begun {
    /// Where it is sent.
    pub(crate) fn url(&self) -> &str {
        self.endpoint.url_of(self.delivery.url.as_deref(), self.delivery.key.event.time())
    }
}

/// What becomes of a delivery that is to be attempted.
pub(crate) enum Begin {
    Now(Begun),
    /// It is not due any more: it ended, or waits elsewhere.
    Over,
    /// Its event is not in memory, and needs room of so many bytes first.
    Waits(usize),
}

impl Reader {
    /// What a ready delivery needs for its attempt. `room` is for its event, when it had to wait for that.
    pub(crate) fn begin(&self, ready: &Ready, room: Option<Share>) -> Result<Begin, Error> {
        let Some(endpoint) = self.shared.webhook_no(ready.key.endpoint) else { return Ok(Begin::Over) };
        if let Some(event) = ready.known.clone() {
            let delivery = Delivery::published(ready.key, ready.position);
            return Ok(Begin::Now(Begun { event, delivery, endpoint }));
        }
        let snapshot = Snapshot::of(self, &[])?;
        let delivery = match snapshot.row(ready.key)? {
            Some((delivery, _)) => delivery,
            None => Delivery::published(ready.key, ready.position),
        };
        if delivery.state != State::Pending(ready.position) || !snapshot.stands(ready.key, ready.position)? {
            return Ok(Begin::Over);
        }
        Ok(match self.event_in_memory(&snapshot, ready, room)? {
            Found::CachedEvent(event) => Begin::Now(Begun { event, delivery, endpoint }),
            Found::Nothing => Begin::Over,
            Found::Waits(bytes) => Begin::Waits(bytes),
        })
    }

    fn event_in_memory(&self, snapshot: &Snapshot<'_>, ready: &Ready, room: Option<Share>) -> Result<Found, Error> {
        let (key, bodies) = (ready.key.event, &self.shared.bodies);
        if let Some(held) = bodies.find(key) {
            return Ok(Found::CachedEvent(held));
        }
        let found = snapshot.event_row(key, |row| {
            let bytes = Event::bytes_of_record(row.len());
            let Some(room) = room.or_else(|| self.shared.budget.try_event(bytes)) else { return Ok(Found::Waits(bytes)) };
            let stored = record::read_event(key, self.shared.node, row)?;
            Ok(Found::CachedEvent(bodies.put(stored.event, room)))
        });
        Ok(found?.unwrap_or(Found::Nothing))
    }
}

enum Found {
    CachedEvent(Arc<CachedEvent>),
    Nothing,
    Waits(usize),
}
