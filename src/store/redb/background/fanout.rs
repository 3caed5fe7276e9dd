//! One event for very many webhooks: committed with a cursor. Its deliveries are added by slices, one in each batch.

use std::sync::Arc;

use crate::domain::event::Event;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::error::{Error, intact};
use crate::store::message::cached::CachedEvent;
use crate::store::message::session::Connection;
use crate::store::record::{self, Fanout, StoredEvent};
use crate::store::redb::batch::Batch;
use crate::store::redb::journal::item;
use crate::store::redb::state::RunningFanout;
use crate::store::rules::publish;
use crate::store::shared::registry::Audience;

impl Batch<'_, '_> {
    /// Commits the cursor; the first slice follows in the same batch's background work.
    pub(in crate::store) fn start_fanout(
        &mut self,
        event: EventKey,
        known: Option<Arc<CachedEvent>>,
        matching: &[EndpointNo],
    ) -> Result<(), Error> {
        let until = matching.last().map_or(0, |last| last.0);
        let running = RunningFanout { event, cursor: Fanout { after: 0, until, made: 0 }, known };
        self.put_fanout(&running)?;
        self.memory.fanouts.push_back(running);
        Ok(())
    }

    /// A slice of the oldest fan-outs; one that is not done goes behind the others.
    pub(in crate::store) fn fan(&mut self) -> Result<(), Error> {
        let placed = self.after.index.len();
        while !self.memory.fanouts.is_empty() && self.after.index.len() < placed + SLICE {
            self.fan_one()?;
        }
        Ok(())
    }

    /// Whether an event is still being fanned out.
    pub(in crate::store) fn is_fanning(&self, event: EventKey) -> bool {
        self.memory.fanouts.iter().any(|running| running.event == event)
    }

    fn fan_one(&mut self) -> Result<(), Error> {
        let Some(mut running) = self.memory.fanouts.pop_front() else { return Ok(()) };
        let Some(stored) = self.event(running.event)? else { return self.drop_fanout(running.event) };
        let slice = self.next_slice(&stored.event, &running.cursor);
        let connection = self.connection_of_slice(&stored.event)?;
        for endpoint in &slice {
            let key = DeliveryKey { event: running.event, endpoint: *endpoint };
            self.place_new_in(key, connection.as_ref(), running.known.as_ref())?;
        }
        running.cursor.made += u32::try_from(slice.len()).unwrap_or(u32::MAX);
        match slice.last() {
            Some(last) if slice.len() == SLICE => {
                running.cursor.after = last.0;
                self.put_fanout(&running)?;
                self.memory.fanouts.push_back(running);
                Ok(())
            }
            _ => self.end_fanout(running, stored),
        }
    }

    /// The event's connection while it is open: a delivery takes its URL when it is made.
    fn connection_of_slice(&mut self, event: &Event) -> Result<Option<Connection>, Error> {
        let Some(id) = &event.connection else { return Ok(None) };
        self.open_connection_of(&crate::store::Owned::from_event(event), id)
    }

    fn next_slice(&self, event: &Event, cursor: &Fanout) -> Vec<EndpointNo> {
        let mut found = self.matching_slice(event, cursor);
        let link = self.dialect(&event.provider).link(&event.attributes);
        // The registry has a webhook as it was until this batch is committed.
        if link.is_some() || !self.after.changed.is_empty() {
            let goes_to = |endpoint: &Endpoint| publish::goes_to(endpoint, link.as_deref());
            found.retain(|no| self.entry(*no).is_some_and(|entry| goes_to(&entry.endpoint)));
        }
        found.truncate(SLICE);
        found
    }

    fn matching_slice(&self, event: &Event, cursor: &Fanout) -> Vec<EndpointNo> {
        let registry = self.shared.registry();
        let audience = match &event.tenant {
            None => Audience::Provider(&event.provider),
            Some(tenant) => Audience::Tenant(registry.tenant(&event.provider, tenant).unwrap_or_default()),
        };
        let mut found = registry.matching(audience, &event.kind, EndpointNo(cursor.after));
        found.retain(|no| no.0 <= cursor.until);
        found
    }

    /// A webhook that was deleted meanwhile got no delivery, so the event is told how many there are.
    fn end_fanout(&mut self, running: RunningFanout, mut stored: StoredEvent) -> Result<(), Error> {
        if stored.deliveries != running.cursor.made {
            stored.deliveries = running.cursor.made;
            self.put_event(&stored)?;
        }
        self.drop_fanout(running.event)
    }

    fn drop_fanout(&mut self, event: EventKey) -> Result<(), Error> {
        self.tables.fanout()?.remove(event.0)?;
        Ok(())
    }

    fn put_fanout(&mut self, running: &RunningFanout) -> Result<(), Error> {
        let mut bytes = Vec::new();
        record::write_fanout(&running.event.0.to_be_bytes(), &running.cursor, &mut bytes);
        self.tables.fanout()?.insert(running.event.0, &*bytes)?;
        Ok(())
    }

    /// An event's row, unless it is damaged.
    pub(in crate::store) fn event(&mut self, key: EventKey) -> Result<Option<StoredEvent>, Error> {
        let node = self.shared.node;
        let found =
            self.tables.row::<item::Event, _>(&key.0.to_be_bytes(), |record| Ok(record::read_event(key, node, record)))?;
        intact(found)
    }
}

/// Deliveries added in one commit.
const SLICE: usize = 1_000;
