//! Types of published events that were probably misspelt: the events are taken, and the answer warns.
//!
//! ```text
//!  publish ─▶ in the catalogue? ─ yes ─▶ nothing to say
//!                   │ no: near to one of it? judged once for each type, and kept
//!                   ▼
//!               accepted ─▶ nobody gets it? ─▶ near to what a webhook subscribes to?
//! ```

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use super::settings::Provider;
use crate::store::{Accepted, Store, Unwanted};

/// Which type was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Near {
    /// One of the catalogue.
    Known(Arc<str>),
    /// One that a webhook subscribes to, where nobody gets the event.
    Wanted(Box<str>),
}

impl Near {
    /// What can be said before the event is on disk. Costs a look-up; more for a type that comes for the first time.
    pub(crate) fn known(provider: &Provider, kind: &str) -> Option<Self> {
        let known = &provider.dialect.event_types;
        if known.is_empty() || known.named(kind).is_some() {
            return None;
        }
        provider.judged.find(kind, || known.nearest(kind).map(Into::into)).map(Self::Known)
    }
}

/// What can be said once events are on disk: of those alone that nobody gets. Lives as long as one request.
pub(crate) struct Wanted<'a> {
    provider: &'a Provider,
    store: &'a Store,
    seen: HashMap<Unwanted, Option<Box<str>>>,
}

impl<'a> Wanted<'a> {
    pub(crate) fn new(provider: &'a Provider, store: &'a Store) -> Self {
        Self { provider, store, seen: HashMap::new() }
    }

    /// `near`, or what webhooks want instead of an event of a type that nobody knows.
    pub(crate) fn or_near(&mut self, near: Option<Near>, accepted: &mut Accepted) -> Option<Near> {
        let unwanted = accepted.unwanted.take().filter(|_| near.is_none());
        match unwanted.filter(|unwanted| self.provider.dialect.event_type(&unwanted.kind).is_none()) {
            None => near,
            Some(unwanted) => self.nearest(unwanted).map(Near::Wanted),
        }
    }

    fn nearest(&mut self, unwanted: Unwanted) -> Option<Box<str>> {
        if let Some(found) = self.seen.get(&unwanted) {
            return found.clone();
        }
        let found = self.store.nearest_wanted(&self.provider.name, &unwanted);
        self.seen.insert(unwanted, found.clone());
        found
    }
}

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(name) => write!(f, "the catalogue has no event type of this name; did you mean `{name}`?"),
            Self::Wanted(name) => {
                write!(f, "no webhook gets this event; did you mean the type `{name}`, which one subscribes to?")
            }
        }
    }
}

/// What was found out about types that a catalogue does not have. Lives as long as the catalogue stays the same.
#[derive(Debug, Default)]
pub(crate) struct Judged(RwLock<HashMap<Box<str>, Option<Arc<str>>>>);

impl Judged {
    /// What was found for a type, or is found now. When [`JUDGED_MAX`] are kept, all of them are forgotten.
    fn find(&self, kind: &str, judge: impl FnOnce() -> Option<Arc<str>>) -> Option<Arc<str>> {
        if let Some(found) = self.0.read().unwrap_or_else(PoisonError::into_inner).get(kind) {
            return found.clone();
        }
        let found = judge();
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= JUDGED_MAX {
            kept.clear();
        }
        kept.insert(kind.into(), found.clone());
        found
    }
}

/// More types than any provider has; at 128 bytes each a fraction of a megabyte.
const JUDGED_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::settings::fixture::{dialect, provider};
    use crate::domain::dialect::EventType;
    use crate::domain::template::Numbers;

    #[test]
    fn a_type_near_one_of_the_catalogue_is_told() {
        let event_type =
            EventType { name: "order.paid".into(), description: "".into(), example: "{}".into(), ours: false, version: 0 };
        let mut speaks = dialect("$data", Numbers::AsPublished);
        let near = |provider: &Provider, kind: &str| Near::known(provider, kind).map(|near| near.to_string());
        assert_eq!(near(&provider("p", speaks.clone()), "order.piad"), None, "nothing is known");
        speaks.event_types = vec![event_type].into();
        let provider = provider("p", speaks);
        for _ in 0..2 {
            assert!(near(&provider, "order.piad").is_some_and(|text| text.contains("`order.paid`")));
            assert_eq!((near(&provider, "order.paid"), near(&provider, "something.else")), (None, None));
        }
    }

    #[test]
    fn a_type_is_judged_once_and_few_are_kept() {
        let judged = Judged::default();
        let mut count = 0;
        for kind in ["a", "b", "a", "b"] {
            judged.find(kind, || {
                count += 1;
                None
            });
        }
        assert_eq!(count, 2);
        (0..3 * JUDGED_MAX).for_each(|number| drop(judged.find(&number.to_string(), || None)));
        assert!(judged.0.read().unwrap().len() <= JUDGED_MAX);
    }
}
