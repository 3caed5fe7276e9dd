//! Notes a fault for a name that is used twice, with both places.

use std::collections::HashMap;
use std::hash::Hash;

use crate::config::fault::{Faults, Location, Remedy};

/// Names that must not be used twice, each with its first place: those of one kind within one owner, as a rule.
#[derive(Debug)]
pub(crate) struct Names<T> {
    first: HashMap<T, Location>,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self { first: HashMap::new() }
    }
}

impl<T: Eq + Hash> Names<T> {
    /// Starts with these names and their places.
    pub(crate) fn with(judged: impl IntoIterator<Item = (T, Location)>) -> Self {
        Self { first: judged.into_iter().collect() }
    }

    /// Adds a name, or notes the fault `what` with `advice` when it is there already.
    pub(crate) fn once(&mut self, name: T, location: &Location, what: &str, advice: &str, faults: &mut Faults) {
        match self.first.get(&name) {
            Some(first) => faults.add(location, format!("{what} stands here and in {first}"), Remedy::advice(advice)),
            None => {
                self.first.insert(name, location.clone());
            }
        }
    }
}
