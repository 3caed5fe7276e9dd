//! Dialects: those that are built in, a user's own `[dialect.NAME]` tables, and how one extends another.
//!
//! ```text
//!  NAME.toml ──┐
//!              ├─ table ── put over its base ── read ──▶ Dialect        effective: Dialect ──▶ NAME.toml
//!  [dialect.X] ┘            (extend.rs)      (read.rs)                                 (print.rs)
//! ```

mod extend;
pub(super) mod parts;
mod print;
mod read;
mod retries;
#[cfg(test)]
mod schedules;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::fault::{Fault, Faults, Location, Placed, Remedy};
use super::source::document::{self, Entry, Value};
use crate::domain::dialect::Dialect;
use crate::domain::id::is_name;
use extend::Sources;

pub(crate) use print::effective;
pub(crate) use read::TIMEOUT_MAX;

/// The names and files of the dialects that are compiled in.
pub(crate) fn built_in() -> &'static [(&'static str, &'static str)] {
    BUILT_IN
}

/// Reads every dialect: those that are compiled in, and the user's `[dialect.NAME]` tables.
///
/// A dialect with a fault is noted and left out. The others stay.
pub(crate) fn read_all(own: Vec<Entry>, faults: &mut Faults) -> BTreeMap<String, Arc<Dialect>> {
    let mut sources = Sources::default();
    for (name, text) in BUILT_IN {
        let table = document::parse(Path::new(&format!("{BUILT_IN_PATH}{name}")), text, faults);
        sources.add(name, table.unwrap_or_default());
    }
    for entry in own {
        add_own(entry, &mut sources, faults);
    }
    let names: Vec<String> = sources.names().map(str::to_owned).collect();
    let read = names.into_iter().filter_map(|name| Some((name.clone(), Arc::new(read_one(&name, &sources, faults)?))));
    read.collect()
}

/// Reads one dialect. `None` when it, or a dialect that it extends, has a fault.
fn read_one(name: &str, sources: &Sources, faults: &mut Faults) -> Option<Dialect> {
    let mut found = Faults::default();
    let is_own = !built_in().iter().any(|(known, _)| *known == name);
    if is_own {
        faults.pass_record(&mut found);
    }
    let dialect = sources.resolve(name, &mut found).and_then(|table| read::dialect(name, table, &mut found));
    if is_own {
        found.pass_record(faults);
    }
    let right = found.is_empty();
    found.iter().for_each(|fault| pass_on(fault, sources.place(name), faults));
    dialect.filter(|_| right)
}

/// Passes on a fault in a base at the place where the base was extended, since the user cannot change the base itself.
fn pass_on(fault: &Fault, extending: Location, faults: &mut Faults) {
    let inherited = matches!(&fault.location, Location::File { path, .. } if path.starts_with(BUILT_IN_PATH));
    let (location, message) = match inherited {
        true => (extending, format!("{} ({})", fault.message, fault.location)),
        false => (fault.location.clone(), fault.message.clone()),
    };
    faults.add(&location, message, fault.remedy.clone());
}

fn add_own(entry: Entry, sources: &mut Sources, faults: &mut Faults) {
    let Entry { key, location, value: Placed { value, .. } } = entry;
    if !is_name(&key) {
        faults.add(
            &location,
            format!("`{key}` cannot be a dialect's name"),
            Remedy::advice("it has 1 to 64 letters, digits, `_` and `-`"),
        );
    } else if built_in().iter().any(|(name, _)| *name == key) {
        let remedy = Remedy::advice(format!("give yours another name, and say in it `extends = \"{key}\"`"));
        faults.add(&location, format!("the dialect `{key}` is built in and stays as it is"), remedy);
    } else if let Value::Table(table) = value {
        sources.add(&key, table);
    } else {
        faults.add(&location, format!("`{key}` is {}, not a table", value.kind()), format!("[dialect.{key}]"));
    }
}

/// The beginning of places in built-in dialects. No file's path begins so.
const BUILT_IN_PATH: &str = "built-in dialect ";

const BUILT_IN: &[(&str, &str)] = &[
    ("aioka", include_str!("../../dialects/aioka.toml")),
    ("dcisionai", include_str!("../../dialects/dcisionai.toml")),
    ("decisio", include_str!("../../dialects/decisio.toml")),
    ("deck", include_str!("../../dialects/deck.toml")),
    ("resistant", include_str!("../../dialects/resistant.toml")),
    ("standard", include_str!("../../dialects/standard.toml")),
];
