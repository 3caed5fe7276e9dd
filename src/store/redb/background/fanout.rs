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
use crate::store::redb::journaled_table as journaled;
use crate::store::redb::state::RunningFanout;
use crate::store::rules::publish;
use crate::store::rules::publish::filters::{self, Facts};
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
        let mut looked = 0;
        while looked < SLICE
            && let Some(running) = self.memory.fanouts.pop_front()
        {
            looked += self.fan_one(running)?;
            self.memory.order.fanned();
        }
        Ok(())
    }

    /// Whether an event is still being fanned out.
    pub(in crate::store) fn is_fanning(&self, event: EventKey) -> bool {
        self.memory.fanouts.iter().any(|running| running.event == event)
    }

    /// Makes a fan-out's next deliveries, and returns how many webhooks were looked at for it.
    fn fan_one(&mut self, mut running: RunningFanout) -> Result<usize, Error> {
        let Some(stored) = self.event(running.event)? else { return self.drop_fanout(running.event).map(|()| 0) };
        let Slice { found, looked, last } = self.next_slice(&stored.event, &running.cursor);
        let connection = self.connection_of_slice(&stored.event)?;
        for endpoint in &found {
            let key = DeliveryKey { event: running.event, endpoint: *endpoint };
            self.place_new_in(key, connection.as_ref(), running.known.as_ref())?;
        }
        running.cursor.made += u32::try_from(found.len()).unwrap_or(u32::MAX);
        match last {
            Some(last) => {
                running.cursor.after = last.0;
                self.put_fanout(&running)?;
                self.memory.fanouts.push_back(running);
            }
            None => self.end_fanout(running, stored)?,
        }
        Ok(looked)
    }

    /// The event's connection while it is open: a delivery takes its URL when it is made.
    fn connection_of_slice(&mut self, event: &Event) -> Result<Option<Connection>, Error> {
        let Some(id) = &event.connection else { return Ok(None) };
        self.open_connection_of(&crate::store::Owned::from_event(event), id)
    }

    fn next_slice(&self, event: &Event, cursor: &Fanout) -> Slice {
        let mut slice = self.matching_slice(event, cursor);
        let link = self.dialect(&event.provider).link(&event.attributes);
        // The registry has a webhook as it was until this batch is committed.
        if link.is_some() || !self.after.changed.is_empty() {
            let goes_to = |endpoint: &Endpoint| publish::goes_to(endpoint, link.as_deref());
            slice.found.retain(|no| self.entry(*no).is_some_and(|entry| goes_to(&entry.endpoint)));
        }
        slice
    }

    /// The next webhooks that subscribe to the event, and those of them that get it.
    fn matching_slice(&self, event: &Event, cursor: &Fanout) -> Slice {
        let registry = self.shared.registry();
        let audience = match &event.tenant {
            None => Audience::Provider(&event.provider),
            Some(tenant) => Audience::Tenant(registry.tenant(&event.provider, tenant).unwrap_or_default()),
        };
        let mut found = registry.matching(audience, &event.kind, EndpointNo(cursor.after));
        found.retain(|no| no.0 <= cursor.until);
        found.truncate(SLICE);
        let looked = found.len();
        let last = found.last().copied().filter(|_| looked == SLICE);
        if let Some(narrowing) = registry.narrowing(audience) {
            filters::keep_matching(&mut found, narrowing, Facts::of_event(event, &event.content.data()));
        }
        Slice { found, looked, last }
    }

    /// A webhook that was deleted meanwhile got no delivery, so the event is told how many there are.
    fn end_fanout(&mut self, running: RunningFanout, mut stored: StoredEvent) -> Result<(), Error> {
        if stored.deliveries != running.cursor.made {
            stored.deliveries = running.cursor.made;
            self.put_event(&stored);
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
            self.tables.row::<journaled::Event, _>(&key.0.to_be_bytes(), |record| Ok(record::read_event(key, node, record)))?;
        intact(found)
    }
}

/// A piece of a fan-out.
struct Slice {
    /// The webhooks that get the event.
    found: Vec<EndpointNo>,
    /// The number of webhooks that subscribe to the event, whether or not they get it.
    looked: usize,
    /// The last webhook that was looked at. `None` when there are no more.
    last: Option<EndpointNo>,
}

/// Webhooks looked at, and so the most deliveries added, in one commit.
const SLICE: usize = 1_000;
