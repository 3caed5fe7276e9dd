//! The event types that providers added to their dialects' catalogues, in memory.

use std::sync::Arc;

use crate::domain::dialect::EventType;

/// A provider's own event types, sorted by name. A change copies the list and shares the types.
pub(crate) type Catalogue = Arc<[Arc<EventType>]>;

/// The provider that a row of the table belongs to.
pub(in crate::store) fn provider_of(name: &[u8]) -> Option<&str> {
    std::str::from_utf8(name.split(|byte| *byte == 0).next()?).ok()
}

/// The catalogue with an event type added. It replaces the one with the same name.
pub(in crate::store) fn with(catalogue: &Catalogue, event_type: EventType) -> Catalogue {
    let (mut all, event_type) = (catalogue.to_vec(), Arc::new(event_type));
    match all.binary_search_by(|other| other.name.cmp(&event_type.name)) {
        Ok(place) => all[place] = event_type,
        Err(place) => all.insert(place, event_type),
    }
    all.into()
}

/// The catalogue without the event type of this name.
pub(in crate::store) fn without(catalogue: &Catalogue, name: &str) -> Catalogue {
    catalogue.iter().filter(|known| *known.name != *name).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, version: i64) -> EventType {
        EventType {
            name: name.into(),
            description: "".into(),
            example: "{}".into(),
            ours: false,
            version,
            ..EventType::default()
        }
    }

    #[test]
    fn a_catalogue_stays_sorted_through_changes() {
        let mut catalogue: Catalogue = Arc::new([]);
        for event_type in [named("b", 1), named("a", 1), named("c", 1), named("b", 2)] {
            catalogue = with(&catalogue, event_type);
        }
        let listed: Vec<_> = catalogue.iter().map(|known| (&*known.name, known.version)).collect();
        assert_eq!(listed, [("a", 1), ("b", 2), ("c", 1)]);
        let left: Vec<_> = without(&catalogue, "b").iter().map(|known| known.name.clone()).collect();
        assert_eq!(left, ["a".into(), "c".into()]);
    }

    #[test]
    fn a_row_names_its_provider() {
        assert_eq!(provider_of(b"acme\0order.paid"), Some("acme"));
    }
}
