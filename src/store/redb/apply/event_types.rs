//! Event types that a provider adds to its dialect's catalogue, and takes away again, inside the writer.

use redb::ReadableTable;

use crate::domain::dialect::EventType;
use crate::store::Denied;
use crate::store::error::{Error, intact};
use crate::store::message::audit::{Origin, shown};
use crate::store::record;
use crate::store::redb::batch::Batch;
use crate::store::rules::event_types;

impl Batch<'_, '_> {
    /// Sets one event type of a provider.
    pub(in crate::store) fn put_event_type(
        &mut self,
        provider: &str,
        event_type: EventType,
        by: &Origin,
    ) -> Result<Result<(), Denied>, Error> {
        let known = self.shared.registry().catalogue(provider);
        match event_types::put(&known, &event_type, self.after.catalogued) {
            Ok(more) => self.after.catalogued += more,
            Err(denied) => return Ok(Err(denied)),
        }
        let name = row_of(provider, &event_type.name);
        let mut bytes = Vec::new();
        record::write_event_type(&name, &event_type, &mut bytes);
        let before = self.kept_event_type(&name)?;
        self.tables.event_type()?.insert(&*name, &*bytes)?;
        self.audit(by, shown::event_type(provider, before.as_ref(), Some(&event_type)))?;
        let (shared, provider) = (self.shared.clone(), Box::from(provider));
        self.answer(move || shared.registry_mut().put_event_type(provider, event_type));
        Ok(Ok(()))
    }

    /// Takes one event type of a provider away. Webhooks that subscribe to it go on as they are.
    pub(in crate::store) fn drop_event_type(
        &mut self,
        provider: &str,
        name: &str,
        by: &Origin,
    ) -> Result<Result<(), Denied>, Error> {
        let row = row_of(provider, name);
        let before = self.kept_event_type(&row)?;
        if self.tables.event_type()?.remove(&*row)?.is_none() {
            return Ok(Err(Denied::NoEventType));
        }
        self.audit(by, shown::event_type(provider, before.as_ref(), None))?;
        let (shared, provider, name) = (self.shared.clone(), Box::<str>::from(provider), Box::<str>::from(name));
        self.answer(move || shared.registry_mut().drop_event_type(&provider, &name));
        Ok(Ok(()))
    }
}

impl Batch<'_, '_> {
    /// An event type as its row has it, which may be of this batch. A damaged row says nothing of it.
    fn kept_event_type(&mut self, row: &[u8]) -> Result<Option<EventType>, Error> {
        let kept = self.tables.event_type()?.get(row)?.map(|value| record::read_event_type(row, value.value()));
        intact(kept)
    }
}

fn row_of(provider: &str, name: &str) -> Vec<u8> {
    [provider.as_bytes(), &[0], name.as_bytes()].concat()
}
