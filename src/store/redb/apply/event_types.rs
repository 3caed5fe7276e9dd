//! Event types that a provider adds to its dialect's catalogue, and takes away again, inside the writer.

use crate::domain::dialect::EventType;
use crate::store::Denied;
use crate::store::error::Error;
use crate::store::record;
use crate::store::redb::batch::Batch;
use crate::store::shared::catalogue::Catalogue;

impl Batch<'_, '_> {
    /// Sets one event type of a provider.
    pub(in crate::store) fn put_event_type(
        &mut self,
        provider: &str,
        event_type: EventType,
    ) -> Result<Result<(), Denied>, Error> {
        let known = self.shared.registry().catalogue(provider);
        let is_new = !known.iter().any(|other| other.name == event_type.name);
        if is_new && known.len() >= EVENT_TYPES_MAX {
            return Ok(Err(Denied::TooManyTypes(EVENT_TYPES_MAX)));
        }
        if !self.has_room(&known, &event_type) {
            return Ok(Err(Denied::CatalogueFull(CATALOGUE_BYTES_MAX >> 20)));
        }
        let name = row_of(provider, &event_type.name);
        let mut bytes = Vec::new();
        record::write_event_type(&name, &event_type, &mut bytes);
        self.tables.event_type()?.insert(&*name, &*bytes)?;
        let (shared, provider) = (self.shared.clone(), Box::from(provider));
        self.answer(move || shared.registry_mut().put_event_type(provider, event_type));
        Ok(Ok(()))
    }

    /// Whether a catalogue with the event type stays within its bytes, or the type at least shrinks. What this batch has added to
    /// any catalogue counts too, since memory learns of it after the commit.
    fn has_room(&mut self, known: &Catalogue, event_type: &EventType) -> bool {
        let before = known.iter().find(|other| other.name == event_type.name).map_or(0, |other| other.bytes());
        let more = event_type.bytes().saturating_sub(before);
        let held: usize = known.iter().map(|other| other.bytes()).sum();
        let has_room = more == 0 || held + self.after.catalogued + more <= CATALOGUE_BYTES_MAX;
        self.after.catalogued += if has_room { more } else { 0 };
        has_room
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

/// Names, descriptions and examples of one provider's event types together: a sum over them is taken at each change, and all of
/// them stay in memory.
const CATALOGUE_BYTES_MAX: usize = 4 << 20;

/// Event types that one provider may add.
const EVENT_TYPES_MAX: usize = 4_096;
