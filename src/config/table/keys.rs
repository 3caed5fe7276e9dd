//! Reads the API keys of the files, as in `{ name = "backend", secret_file = "keys/aioka", scopes = ["publish"] }`.

use std::path::PathBuf;

use crate::domain::access::{KeyHash, Scopes};
use crate::domain::text::nearest::nearest;

use super::names::Names;
use super::take::Wrong;
use crate::config::checked::Key;
use crate::config::fault::{Faults, Placed, Remedy};
use crate::config::source::document::{Table, Value};
use crate::config::source::secret_file;
use crate::config::source::shape::Shape;

/// Reads keys, and notes a fault when two owners have the same key.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    hashes: Names<KeyHash>,
}

/// The kind of owner whose keys are read. An operator's keys have no scopes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum OwnerKind {
    Operator,
    Provider,
    Tenant,
}

impl OwnerKind {
    /// The scopes of a key that names none.
    fn scopes(self) -> Scopes {
        match self {
            Self::Operator | Self::Tenant => Scopes::ALL,
            Self::Provider => Scopes::PUBLISH,
        }
    }
}

impl Keys {
    /// Takes `keys` of an owner's table.
    pub(crate) fn take(&mut self, owner: &mut Table, kind: OwnerKind, faults: &mut Faults) -> Vec<Key> {
        let mut names = Names::default();
        let tables = owner.tables("keys", faults);
        tables.into_iter().filter_map(|table| self.key(table, kind, &mut names, faults)).collect()
    }

    fn key(&mut self, mut table: Table, kind: OwnerKind, names: &mut Names<String>, faults: &mut Faults) -> Option<Key> {
        let name = table.label("name", "\"backend\"", faults);
        let file = secret_path(&mut table, faults);
        let scopes = scopes(&mut table, kind, faults);
        let rate_limit = table.rate("rate_limit", faults).map(|rate| rate.value);
        table.finish(faults);
        let (name, file) = (name?, file?);
        names.once(
            name.value.clone(),
            &name.location,
            &format!("the key `{}`", name.value),
            "give each key a name of its own",
            faults,
        );
        let hash = secret_file::key(&file, faults)?;
        self.hashes.once(
            hash,
            &file.location,
            "the same key",
            "give each owner a key of its own, as `openssl rand -hex 32` makes them",
            faults,
        );
        Some(Key { name: name.value, hash, scopes: scopes?, rate_limit })
    }
}

fn secret_path(table: &mut Table, faults: &mut Faults) -> Option<Placed<PathBuf>> {
    if !table.has("secret_file") {
        table.missing("secret_file", "\"keys/backend\"", faults);
    }
    table.path("secret_file", faults)
}

/// The scopes of a key: the default of its owner where `scopes` is absent. `None`: the value is wrong.
fn scopes(table: &mut Table, kind: OwnerKind, faults: &mut Faults) -> Option<Scopes> {
    if !table.has("scopes") {
        return Some(kind.scopes());
    }
    faults.record(&table.path, "scopes", || Shape::list(Shape::Words(Scopes::NAMES.to_vec())));
    let names = table.list("scopes", faults, SCOPES_EXAMPLE, scope)?;
    if kind == OwnerKind::Operator {
        faults.add(
            &names.location,
            "an operator's key has no `scopes`",
            Remedy::advice("leave it out, since this key may do everything"),
        );
        return None;
    }
    let scopes = Scopes::parse(names.value.iter().map(|name| name.value));
    if scopes.is_none() {
        faults.add(
            &names.location,
            format!("`scopes` names none; left out, the key has {}", kind.scopes().names().join(", ")),
            format!("scopes = {SCOPES_EXAMPLE}"),
        );
    }
    scopes
}

fn scope(value: Value) -> Result<&'static str, Wrong> {
    let remedy = || Remedy::Advice(format!("there are {}", Scopes::NAMES.join(", ")));
    let Value::String(text) = value else {
        return Err(Wrong::new(format!("holds {}, not a scope's name", value.kind()), remedy()));
    };
    let known = Scopes::NAMES.into_iter().find(|name| *name == text);
    let near = || nearest(&text, Scopes::NAMES).map_or_else(remedy, |near| format!("\"{near}\"").into());
    known.ok_or_else(|| Wrong::new(format!("holds the unknown scope `{text}`"), near()))
}

const SCOPES_EXAMPLE: &str = "[\"publish\", \"read\"]";
