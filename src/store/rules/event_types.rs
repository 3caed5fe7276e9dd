//! Event types that a provider adds to its dialect's catalogue.

use std::sync::Arc;

use crate::domain::dialect::EventType;
use crate::store::Denied;

/// Whether an event type may be put into a provider's catalogue, and how many bytes it adds to that. `added` are the bytes that were
/// added to any catalogue and that `known` does not show yet.
pub(in crate::store) fn put(known: &[Arc<EventType>], event_type: &EventType, added: usize) -> Result<usize, Denied> {
    let before = known.iter().find(|other| other.name == event_type.name);
    if before.is_none() && known.len() >= EVENT_TYPES_MAX {
        return Err(Denied::TooManyTypes(EVENT_TYPES_MAX));
    }
    let more = event_type.bytes().saturating_sub(before.map_or(0, |before| before.bytes()));
    let held: usize = known.iter().map(|other| other.bytes()).sum();
    // One that does not grow is taken in any case.
    let has_room = more == 0 || held + added + more <= CATALOGUE_BYTES_MAX;
    if has_room { Ok(more) } else { Err(Denied::CatalogueFull(CATALOGUE_BYTES_MAX >> 20)) }
}

/// Names, descriptions and examples of one provider's event types together: a sum over them is taken at each change, and all of
/// them stay in memory.
pub(crate) const CATALOGUE_BYTES_MAX: usize = 4 << 20;

/// Event types that one provider may add.
pub(crate) const EVENT_TYPES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str, example_bytes: usize) -> Arc<EventType> {
        let example = "x".repeat(example_bytes).into();
        Arc::new(EventType {
            name: name.into(),
            description: "".into(),
            example,
            ours: false,
            version: 1,
            ..EventType::default()
        })
    }

    #[test]
    fn a_provider_adds_so_many_types_and_changes_any() {
        let known: Vec<_> = (0..EVENT_TYPES_MAX).map(|number| named(&number.to_string(), 2)).collect();
        assert_eq!(put(&known, &named("new", 2), 0), Err(Denied::TooManyTypes(EVENT_TYPES_MAX)));
        assert_eq!(put(&known, &named("7", 5), 0), Ok(3));
        assert!(put(&known[1..], &named("new", 2), 0).is_ok());
    }

    #[test]
    fn a_catalogue_has_a_bound_of_bytes() {
        let known = [named("a", CATALOGUE_BYTES_MAX - 10_000)];
        assert!(put(&known, &named("b", 1_000), 0).is_ok());
        assert_eq!(put(&known, &named("b", 20_000), 0), Err(Denied::CatalogueFull(4)));
        assert_eq!(put(&known, &named("b", 1_000), 10_000), Err(Denied::CatalogueFull(4)), "another was added meanwhile");
    }

    #[test]
    fn a_type_that_shrinks_is_taken_also_by_a_full_catalogue() {
        let known = [named("a", CATALOGUE_BYTES_MAX), named("b", 100)];
        assert_eq!(put(&known, &named("b", 99), 0), Ok(0));
        assert_eq!(put(&known, &named("b", 101), 0), Err(Denied::CatalogueFull(4)));
    }
}
