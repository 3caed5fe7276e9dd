//! Notes a name that is used twice, with both places.

use std::collections::HashMap;
use std::hash::Hash;

use crate::config::fault::{Faults, Location, Remedy};

/// The names of one kind within one owner, or whatever else must not stand twice, each with its first place.
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
    /// With names that were judged before.
    pub(crate) fn with(judged: impl IntoIterator<Item = (T, Location)>) -> Self {
        Self { first: judged.into_iter().collect() }
    }

    /// Notes `what` when the name was there before; `advice` is what to do about it.
    pub(crate) fn once(&mut self, name: T, location: &Location, what: &str, advice: &str, faults: &mut Faults) {
        match self.first.get(&name) {
            Some(first) => faults.add(location, format!("{what} stands here and in {first}"), Remedy::advice(advice)),
            None => {
                self.first.insert(name, location.clone());
            }
        }
    }
}
