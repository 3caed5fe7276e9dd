//! Which event types a provider's publishers probably misspelt, as it was judged before.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// What was found out about types that a catalogue does not have. Lives as long as the catalogue stays the same.
#[derive(Debug, Default)]
pub(crate) struct Judged(RwLock<HashMap<Box<str>, Option<Arc<str>>>>);

impl Judged {
    /// What was found for a type; `None` when nobody has judged it.
    pub(crate) fn get(&self, kind: &str) -> Option<Option<Arc<str>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(kind).cloned()
    }

    /// Keeps what was found. When [`JUDGED_MAX`] are kept, all of them are forgotten.
    pub(crate) fn keep(&self, kind: &str, found: Option<Arc<str>>) -> Option<Arc<str>> {
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
