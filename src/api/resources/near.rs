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
use std::sync::Arc;

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

/// Types of one request that are compared with others: each may take half a millisecond.
const JUDGED_AT_ONCE: usize = 64;
