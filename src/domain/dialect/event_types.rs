//! The catalogue of a dialect: its event types in the order of the file. A type is found by its name without a search.

use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;

use crate::domain::schema::Schema;
use crate::domain::text::nearest::nearest;

/// An entry of the catalogue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct EventType {
    pub(crate) name: Box<str>,
    pub(crate) description: Box<str>,
    /// The JSON of an event's `data`, as it was written.
    pub(crate) example: Box<str>,
    /// Whether the example was made for hookwheel and is not the provider's own.
    pub(crate) ours: bool,
    pub(crate) version: i64,
    /// What the data of an event must be. The provider says whether it is asked.
    pub(crate) schema: Option<Arc<Schema>>,
    /// Whether the type is deprecated: subscribers should stop using it.
    pub(crate) deprecated: bool,
}

impl EventType {
    /// How many bytes of memory the entry's texts take, which a provider may choose.
    pub(crate) fn bytes(&self) -> usize {
        let schema = self.schema.as_ref().map_or(0, |schema| schema.text().len());
        self.name.len() + self.description.len() + self.example.len() + schema
    }
}

/// Event types with different names.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventTypes {
    all: Vec<Arc<EventType>>,
    places: HashMap<Box<str>, usize>,
}

impl EventTypes {
    pub(crate) fn named(&self, name: &str) -> Option<&EventType> {
        self.places.get(name).map(|place| &*self.all[*place])
    }

    /// The type that was probably meant by an unknown name.
    pub(crate) fn nearest(&self, name: &str) -> Option<&str> {
        nearest(name, self.all.iter().map(|known| &*known.name))
    }
}

impl From<Vec<EventType>> for EventTypes {
    fn from(all: Vec<EventType>) -> Self {
        all.into_iter().map(Arc::new).collect::<Vec<_>>().into()
    }
}

impl From<Vec<Arc<EventType>>> for EventTypes {
    fn from(all: Vec<Arc<EventType>>) -> Self {
        let places = all.iter().enumerate().map(|(place, known)| (known.name.clone(), place)).collect();
        Self { all, places }
    }
}

impl Deref for EventTypes {
    type Target = [Arc<EventType>];

    fn deref(&self) -> &[Arc<EventType>] {
        &self.all
    }
}

impl PartialEq for EventTypes {
    fn eq(&self, other: &Self) -> bool {
        self.all == other.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> EventType {
        EventType {
            name: name.into(),
            description: "A text".into(),
            example: "{}".into(),
            ours: false,
            version: 1,
            ..EventType::default()
        }
    }

    #[test]
    fn a_type_is_found_by_its_name_and_listed_in_the_files_order() {
        let types = EventTypes::from(vec![named("b"), named("a"), named("c")]);
        assert_eq!(types.iter().map(|known| &*known.name).collect::<Vec<_>>(), ["b", "a", "c"]);
        assert_eq!(types.named("a").map(|known| &*known.name), Some("a"));
        assert_eq!(types.named("A"), None);
    }

    #[test]
    fn an_unknown_name_is_compared_with_every_type() {
        let types = EventTypes::from(vec![named("invoice.paid"), named("order.placed")]);
        assert_eq!(types.nearest("invoice.piad"), Some("invoice.paid"));
        assert_eq!(types.nearest("unlike.anything"), None);
    }

    #[test]
    fn catalogues_are_equal_when_their_types_and_order_are() {
        let of = |names: &[&str]| EventTypes::from(names.iter().map(|name| named(name)).collect::<Vec<_>>());
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        assert_ne!(of(&["a", "b"]), of(&["b", "a"]));
        assert_ne!(of(&["a"]), EventTypes::from(vec![EventType { version: 2, ..named("a") }]));
    }

    #[test]
    fn the_texts_of_a_type_count_as_memory() {
        assert_eq!(named("a.b").bytes(), "a.b".len() + "A text".len() + "{}".len());
        let schema = Some(Arc::new(Schema::from_stored("true".into())));
        assert_eq!(EventType { schema, ..named("a.b") }.bytes(), named("a.b").bytes() + "true".len());
    }
}
