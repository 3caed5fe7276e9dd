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

use crate::api::request::settings::Provider;
use crate::store::{Accepted, Store, Unwanted};

/// Which type was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Near {
    /// One of the catalogue.
    Known(Arc<str>),
    /// One that a webhook subscribes to, where nobody gets the event.
    Wanted(Box<str>),
}

/// Judges the events of one request, and no more than [`JUDGED_AT_ONCE`] types that nobody has judged before.
pub(crate) struct Judge<'a> {
    provider: &'a Provider,
    store: &'a Store,
    seen: HashMap<Unwanted, Option<Box<str>>>,
    left: usize,
}

impl<'a> Judge<'a> {
    pub(crate) fn new(provider: &'a Provider, store: &'a Store) -> Self {
        Self { provider, store, seen: HashMap::new(), left: JUDGED_AT_ONCE }
    }

    /// What can be said before the event is on disk. Costs a look-up; more for a type that comes for the first time.
    pub(crate) fn known(&mut self, kind: &str) -> Option<Near> {
        let (known, judged) = (&self.provider.dialect.event_types, &self.provider.judged);
        if known.is_empty() || known.named(kind).is_some() {
            return None;
        }
        let found = judged.get(kind).or_else(|| {
            self.left = self.left.checked_sub(1)?;
            Some(judged.keep(kind, known.nearest(kind).map(Into::into)))
        });
        found.flatten().map(Near::Known)
    }

    /// What can be said after it: `near`, or what webhooks want instead of an event that nobody gets.
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
        self.left = self.left.checked_sub(1)?;
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
    /// What was found for a type; `None` when nobody has judged it.
    fn get(&self, kind: &str) -> Option<Option<Arc<str>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(kind).cloned()
    }

    /// Keeps what was found. When [`JUDGED_MAX`] are kept, all of them are forgotten.
    fn keep(&self, kind: &str, found: Option<Arc<str>>) -> Option<Arc<str>> {
        let mut kept = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= JUDGED_MAX {
            kept.clear();
        }
        kept.insert(kind.into(), found.clone());
        found
    }
}

/// Types of one request that are compared with others: each may take half a millisecond.
const JUDGED_AT_ONCE: usize = 64;

/// More types than any provider has; at 128 bytes each a fraction of a megabyte.
const JUDGED_MAX: usize = 1_024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_of_few_types_is_kept() {
        let judged = Judged::default();
        assert_eq!(judged.get("a"), None);
        judged.keep("a", Some("b".into()));
        judged.keep("c", None);
        assert_eq!((judged.get("a"), judged.get("c")), (Some(Some("b".into())), Some(None)));
        (0..3 * JUDGED_MAX).for_each(|number| drop(judged.keep(&number.to_string(), None)));
        assert!(judged.0.read().unwrap().len() <= JUDGED_MAX);
    }
}
