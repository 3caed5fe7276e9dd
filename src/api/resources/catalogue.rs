//! A provider with the event types that it added: its dialect's catalogue and the store's, put together once and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::request::settings::Provider;
use crate::domain::dialect::{Dialect, EventType};
use crate::store::{Catalogue, Store};

/// What was put together, by provider. Holds at most one entry for each provider that added event types.
#[derive(Default)]
pub(crate) struct Catalogues(Mutex<HashMap<Arc<str>, Merged>>);

/// What an entry was made of tells whether it is still right.
struct Merged {
    from: Arc<Provider>,
    own: Catalogue,
    provider: Arc<Provider>,
}

impl Catalogues {
    /// The provider as it is when it added nothing, else with its own event types in its dialect's catalogue.
    pub(crate) fn provider(&self, provider: Arc<Provider>, store: &Store) -> Arc<Provider> {
        let own = store.catalogue(&provider.name);
        if own.is_empty() { provider } else { self.merged(provider, own) }
    }

    fn merged(&self, from: Arc<Provider>, own: Catalogue) -> Arc<Provider> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(merged) = known.get(&from.name)
            && Arc::ptr_eq(&merged.from, &from)
            && Arc::ptr_eq(&merged.own, &own)
        {
            return merged.provider.clone();
        }
        let dialect =
            Arc::new(Dialect { event_types: merge(&from.dialect.event_types, &own).into(), ..Dialect::clone(&from.dialect) });
        let provider = Arc::new(from.speaking(dialect));
        known.insert(from.name.clone(), Merged { from, own, provider: provider.clone() });
        provider
    }
}

/// The dialect's in their order, each in the provider's words where it has its own, then what the provider added.
fn merge(dialects: &[Arc<EventType>], own: &[Arc<EventType>]) -> Vec<Arc<EventType>> {
    let named = |all: &[Arc<EventType>], name: &str| all.iter().find(|known| *known.name == *name).cloned();
    let changed = dialects.iter().map(|known| named(own, &known.name).unwrap_or_else(|| known.clone()));
    let added = own.iter().filter(|known| named(dialects, &known.name).is_none()).cloned();
    changed.chain(added).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::request::settings::fixture::{dialect, provider};
    use crate::domain::template::Numbers;

    fn named(name: &str, version: i64) -> Arc<EventType> {
        Arc::new(EventType { name: name.into(), description: "".into(), example: "{}".into(), ours: false, version })
    }

    #[test]
    fn a_providers_event_types_replace_and_follow_the_dialects() {
        let merged = merge(&[named("b", 1), named("a", 1)], &[named("a", 2), named("c", 2)]);
        assert_eq!(merged, [named("b", 1), named("a", 2), named("c", 2)]);
    }

    #[test]
    fn a_provider_is_put_together_once_until_something_changes() {
        let (catalogues, from) = (Catalogues::default(), provider("acme", dialect("$data", Numbers::AsPublished)));
        let own: Catalogue = Arc::new([named("a", 1)]);
        let first = catalogues.merged(from.clone(), own.clone());
        assert!(Arc::ptr_eq(&first, &catalogues.merged(from.clone(), own)));
        let second = catalogues.merged(from, Arc::new([named("b", 1)]));
        assert!(second.dialect.event_type("b").is_some() && second.dialect.event_type("a").is_none());
    }
}
