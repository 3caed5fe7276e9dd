//! `extends`: a dialect's table put over the one it extends, before anyone reads what it says.

use std::collections::BTreeMap;

use super::super::fault::{Faults, Location, Remedy};
use crate::config::source::document::{Entry, Table, Value};
use crate::domain::text::nearest::nearest;

/// Every dialect's table as it was written.
#[derive(Default)]
pub(super) struct Sources(BTreeMap<String, Table>);

impl Sources {
    pub(super) fn add(&mut self, name: &str, table: Table) {
        self.0.insert(name.to_owned(), table);
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Where a dialect's table begins.
    pub(super) fn place(&self, name: &str) -> Location {
        self.0.get(name).map(|table| table.location.clone()).unwrap_or_default()
    }

    /// The table of that name over all that it extends, without `name` and `extends`; `None` with a fault noted when a base is
    /// unknown or extends what extends it.
    pub(super) fn resolve(&self, name: &str, faults: &mut Faults) -> Option<Table> {
        self.over_its_base(name, &mut Vec::new(), faults)
    }

    /// `chain` holds the names on the way here.
    fn over_its_base(&self, name: &str, chain: &mut Vec<String>, faults: &mut Faults) -> Option<Table> {
        let mut table = self.0.get(name)?.clone();
        check_name(&mut table, name, faults);
        let Some(base) = table.string("extends", faults) else { return Some(table) };
        chain.push(name.to_owned());
        if !self.0.contains_key(&base.value) {
            self.unknown(&base.value, &base.location, faults);
            return None;
        }
        if chain.contains(&base.value) {
            circle(&base.value, &base.location, chain, faults);
            return None;
        }
        let base = self.over_its_base(&base.value, chain, faults)?;
        Some(over(base, table, WHOLE))
    }

    fn unknown(&self, base: &str, location: &Location, faults: &mut Faults) {
        let all = || Remedy::advice(format!("there are {}", self.names().collect::<Vec<_>>().join(", ")));
        let remedy = nearest(base, self.names()).map_or_else(all, |near| format!("extends = \"{near}\"").into());
        faults.add(location, format!("there is no dialect `{base}` to extend"), remedy);
    }
}

/// The name stands in the table's header; where it is repeated, as in the files that are compiled in, it must be that.
fn check_name(table: &mut Table, name: &str, faults: &mut Faults) {
    if let Some(given) = table.string("name", faults)
        && given.value != name
    {
        faults.add(&given.location, format!("this dialect's name is `{name}`"), format!("name = \"{name}\""));
    }
}

fn circle(base: &str, location: &Location, chain: &[String], faults: &mut Faults) {
    let from = chain.iter().position(|name| name == base).unwrap_or_default();
    let circle: Vec<_> = chain[from..].iter().map(String::as_str).chain([base]).collect();
    faults.add(location, format!("`extends` goes in a circle: {}", circle.join(" → ")), "extends = \"standard\"");
}

/// `given` over `base`: a given key replaces, tables go key by key, but those named in `whole`.
fn over(base: Table, given: Table, whole: &[&str]) -> Table {
    let mut entries: Vec<Entry> = base.entries;
    for new in given.entries {
        match entries.iter_mut().find(|entry| entry.key == new.key) {
            Some(old) => replace(old, new, whole),
            None => entries.push(new),
        }
    }
    Table { entries, known: given.known, ..Table::new(given.location, given.path) }
}

fn replace(old: &mut Entry, new: Entry, whole: &[&str]) {
    let key_by_key = !whole.contains(&new.key.as_str());
    let location = new.value.location.clone();
    match (&mut old.value.value, new.value.value) {
        (Value::Table(base), Value::Table(given)) if key_by_key => {
            let merged = over(std::mem::take(base), given, &[]);
            old.value.value = Value::Table(merged);
        }
        (kept, value) => *kept = value,
    }
    old.value.location = location;
    old.location = new.location;
}

/// Tables and lists that a given one replaces whole.
const WHOLE: &[&str] = &["headers", "retry", "event_type"];
