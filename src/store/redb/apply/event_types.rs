//! Event types that a provider adds to its dialect's catalogue, and takes away again, inside the writer.

use crate::domain::dialect::EventType;
use crate::store::Denied;
use crate::store::error::Error;
use crate::store::record;
use crate::store::redb::batch::Batch;
use crate::store::rules::event_types;

impl Batch<'_, '_> {
    /// Sets one event type of a provider.
    pub(in crate::store) fn put_event_type(
        &mut self,
        provider: &str,
        event_type: EventType,
    ) -> Result<Result<(), Denied>, Error> {
        let known = self.shared.registry().catalogue(provider);
        match event_types::put(&known, &event_type, self.after.catalogued) {
            Ok(more) => self.after.catalogued += more,
            Err(denied) => return Ok(Err(denied)),
        }
        let name = row_of(provider, &event_type.name);
        let mut bytes = Vec::new();
        record::write_event_type(&name, &event_type, &mut bytes);
        self.tables.event_type()?.insert(&*name, &*bytes)?;
        let (shared, provider) = (self.shared.clone(), Box::from(provider));
        self.answer(move || shared.registry_mut().put_event_type(provider, event_type));
        Ok(Ok(()))
    }

    /// Takes one event type of a provider away. Webhooks that subscribe to it go on as they are.
    pub(in crate::store) fn drop_event_type(&mut self, provider: &str, name: &str) -> Result<Result<(), Denied>, Error> {
        if self.tables.event_type()?.remove(&*row_of(provider, name))?.is_none() {
            return Ok(Err(Denied::NoEventType));
        }
        let (shared, provider, name) = (self.shared.clone(), Box::<str>::from(provider), Box::<str>::from(name));
        self.answer(move || shared.registry_mut().drop_event_type(&provider, &name));
        Ok(Ok(()))
    }
}

fn row_of(provider: &str, name: &str) -> Vec<u8> {
    [provider.as_bytes(), &[0], name.as_bytes()].concat()
}
