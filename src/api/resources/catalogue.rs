//! A provider with what the API added to it: its own event types beside those of its dialect, and what is said of its tenants. Put
//! together once and kept.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::api::request::settings::Provider;
use crate::domain::dialect::{Dialect, EventType};
use crate::store::{Added, Store};

/// What was put together, by provider. Holds at most one entry for each provider to which the API added anything.
#[derive(Default)]
pub(crate) struct Catalogues(Mutex<HashMap<Arc<str>, Merged>>);

/// What an entry was made of tells whether it is still right.
struct Merged {
    from: Arc<Provider>,
    added: Added,
    provider: Arc<Provider>,
}

impl Catalogues {
    /// The provider as it is when nothing was added to it, else with its own event types in its dialect's catalogue, and with what is
    /// said of its tenants.
    pub(crate) fn provider(&self, provider: Arc<Provider>, store: &Store) -> Arc<Provider> {
        let added = store.added(&provider.name);
        if added.is_empty() { provider } else { self.merged(provider, added) }
    }

    fn merged(&self, from: Arc<Provider>, added: Added) -> Arc<Provider> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(merged) = known.get(&from.name)
            && Arc::ptr_eq(&merged.from, &from)
            && merged.added.is_same(&added)
        {
            return merged.provider.clone();
        }
        let speaking = if added.catalogue.is_empty() { Provider::clone(&from) } else { speaking(&from, &added.catalogue) };
        let provider = Arc::new(speaking.with_settings(&added.settings).with_tenants(added.tenants.clone()));
        known.insert(from.name.clone(), Merged { from, added, provider: provider.clone() });
        provider
    }
}

fn speaking(from: &Provider, own: &[Arc<EventType>]) -> Provider {
    let event_types = merge(&from.dialect.event_types, own).into();
    from.speaking(Arc::new(Dialect { event_types, ..Dialect::clone(&from.dialect) }))
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
        Arc::new(EventType {
            name: name.into(),
            description: "".into(),
            example: "{}".into(),
            ours: false,
            version,
            ..EventType::default()
        })
    }

    #[test]
    fn a_providers_event_types_replace_and_follow_the_dialects() {
        let merged = merge(&[named("b", 1), named("a", 1)], &[named("a", 2), named("c", 2)]);
        assert_eq!(merged, [named("b", 1), named("a", 2), named("c", 2)]);
    }

    #[test]
    fn a_provider_is_put_together_once_until_something_changes() {
        let (catalogues, from) = (Catalogues::default(), provider("acme", dialect("$data", Numbers::AsPublished)));
        let added = |name: &str| Added { catalogue: Arc::new([named(name, 1)]), ..Added::default() };
        let own = added("a");
        let first = catalogues.merged(from.clone(), own.clone());
        assert!(Arc::ptr_eq(&first, &catalogues.merged(from.clone(), own)));
        let second = catalogues.merged(from, added("b"));
        assert!(second.dialect.event_type("b").is_some() && second.dialect.event_type("a").is_none());
    }
}
