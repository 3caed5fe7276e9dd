//! Connections, inside the writer: spans of time in which deliveries go to the URLs that webhooks had when it opened.
//!
//! One row a connection, written when it opens and each time an event names it. Its end by idleness is judged when it is read; a
//! sweep once a minute only frees the rows. A webhook made later is not in the row, so it is not pinned.

use std::ops::Bound;
use std::sync::Arc;

use redb::ReadableTable;

use crate::domain::delivery::{Delivery, QueuePosition};
use crate::domain::id::DeliveryKey;
use crate::store::error::{Error, intact};
use crate::store::message::cached::CachedEvent;
use crate::store::message::session::{Connection, NewConnection, Opened};
use crate::store::record;
use crate::store::redb::batch::Batch;
use crate::store::rules::sessions;
use crate::store::{Denied, Owned};

impl Batch<'_, '_> {
    /// Opens a connection. One that is open with the same link stays as it is.
    pub(in crate::store) fn open_connection(&mut self, new: &NewConnection) -> Result<Result<Opened, Denied>, Error> {
        let name = name(&new.owned, &new.id);
        if let Some(open) = self.connection(&name)? {
            return Ok(sessions::reopened(open, new).map(|open| (open, true)));
        }
        let mine = self.webhooks_of(&new.owned);
        let opened = match sessions::open(new, mine.iter().map(|endpoint| &**endpoint), self.now) {
            Ok(opened) => opened,
            Err(denied) => return Ok(Err(denied)),
        };
        self.put_connection(&name, &opened)?;
        Ok(Ok((opened, false)))
    }

    pub(in crate::store) fn close_connection(&mut self, owned: &Owned, id: &str) -> Result<Result<(), Denied>, Error> {
        let name = name(owned, id);
        let was_open = self.connection(&name)?.is_some();
        self.tables.connection()?.remove(&*name)?;
        Ok(if was_open { Ok(()) } else { Err(Denied::NoConnection) })
    }

    /// The connection that an event names, opened if it is not: then it pins all that the tenant has.
    pub(in crate::store) fn connection_of_event(&mut self, owned: &Owned, id: &str) -> Result<Connection, Error> {
        let name = name(owned, id);
        let open = self.connection(&name)?;
        let used = match open {
            Some(open) => sessions::used(open, self.now),
            None => {
                let mine = self.webhooks_of(owned);
                sessions::opened(mine.iter().map(|endpoint| &**endpoint), None, self.now)
            }
        };
        self.put_connection(&name, &used)?;
        Ok(used)
    }

    /// The connection with this id, if it is open: for deliveries that are made some commits after their event.
    pub(in crate::store) fn open_connection_of(&mut self, owned: &Owned, id: &str) -> Result<Option<Connection>, Error> {
        self.connection(&name(owned, id))
    }

    /// A new delivery; one that keeps the URL of a connection has a row from the start, which each attempt reads.
    pub(in crate::store) fn place_new_in(
        &mut self,
        key: DeliveryKey,
        connection: Option<&Connection>,
        known: Option<&Arc<CachedEvent>>,
    ) -> Result<(), Error> {
        let pin =
            |connection| sessions::pin(connection, key.endpoint, self.entry(key.endpoint).as_ref().map(|entry| &*entry.endpoint));
        match connection.and_then(pin) {
            Some(url) => self.place_pinned(key, url),
            None => self.place_new(key, known),
        }
    }

    fn place_pinned(&mut self, key: DeliveryKey, url: &str) -> Result<(), Error> {
        let Some(entry) = self.entry(key.endpoint) else { return Ok(()) };
        self.memory.counters.pending += 1;
        self.list(key, &entry);
        let delivery = Delivery { url: Some(url.into()), ..Delivery::published(key, QueuePosition::Due(key.event.time())) };
        match self.permit_of_new(key, &entry) {
            Some(permit) => {
                self.write_row(&delivery, None)?;
                self.ready_new(key, None, permit);
                self.changed(&delivery, None, None)
            }
            None => {
                let parked = self.park(delivery)?;
                self.write_row(&parked, None)?;
                self.changed(&parked, None, None)
            }
        }
    }

    /// Connections that nobody named for their idle time; a slice each minute.
    pub(in crate::store) fn close_idle_connections(&mut self) -> Result<(), Error> {
        let (idle, now) = (self.memory.limits.connection_idle, self.now);
        let after = std::mem::take(&mut self.memory.connections_swept);
        let mut gone = Vec::new();
        let mut last = Vec::new();
        let table = self.tables.connection()?;
        for (count, row) in table.range::<&[u8]>((Bound::Excluded(&*after), Bound::Unbounded))?.take(SLICE).enumerate() {
            let (name, value) = row?;
            let kept = intact(Some(record::read_connection(name.value(), value.value())))?;
            if !kept.is_some_and(|connection| connection.is_open(idle, now)) {
                gone.push(name.value().to_vec());
            }
            if count + 1 == SLICE {
                last = name.value().to_vec();
            }
        }
        for name in &gone {
            table.remove(&**name)?;
        }
        self.memory.connections_swept = last;
        Ok(())
    }

    fn connection(&mut self, name: &[u8]) -> Result<Option<Connection>, Error> {
        let (idle, now) = (self.memory.limits.connection_idle, self.now);
        let row = self.tables.connection()?.get(name)?;
        let kept = intact(row.map(|row| record::read_connection(name, row.value())))?;
        Ok(kept.filter(|connection| connection.is_open(idle, now)))
    }

    fn put_connection(&mut self, name: &[u8], connection: &Connection) -> Result<(), Error> {
        let mut bytes = Vec::new();
        record::write_connection(name, connection, &mut bytes);
        self.tables.connection()?.insert(name, &*bytes)?;
        Ok(())
    }
}

/// The row of a connection: no provider, tenant or id holds the byte between them.
fn name(owned: &Owned, id: &str) -> Vec<u8> {
    [owned.provider.as_bytes(), &[0], owned.tenant.as_bytes(), &[0], id.as_bytes()].concat()
}

/// Connections looked at in one minute.
const SLICE: usize = 10_000;
