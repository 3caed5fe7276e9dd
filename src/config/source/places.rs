//! Where each key of the files stands, for whoever asks later where a value comes from.

use std::collections::BTreeMap;

use super::document::{Table, Value};
use crate::config::fault::Location;

/// The places of all keys of a document by their paths, in which a table of a list stands under its name: `provider`, `shop`, `tenant`,
/// `acme`, `environment`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Places(BTreeMap<Vec<String>, Location>);

impl Places {
    pub(crate) fn new(root: &Table) -> Self {
        let mut places = Self::default();
        places.note(root, &[]);
        places
    }

    /// Where a key stands. A key that no file sets has its default.
    pub(crate) fn of_key(&self, path: &[&str]) -> Location {
        let path: Vec<String> = path.iter().map(|part| (*part).to_owned()).collect();
        self.0.get(&path).cloned().unwrap_or_default()
    }

    fn note(&mut self, table: &Table, path: &[String]) {
        for entry in &table.entries {
            let path = [path, std::slice::from_ref(&entry.key)].concat();
            match &entry.value.value {
                Value::Table(inner) => self.note(inner, &path),
                Value::Array(items) => {
                    let tables =
                        items.iter().filter_map(|item| if let Value::Table(table) = &item.value { Some(table) } else { None });
                    tables.for_each(|table| self.note_named(table, &path));
                }
                _ => {}
            }
            self.0.insert(path, entry.value.location.clone());
        }
    }

    /// Notes a table of a list. One without a name is not found by one.
    fn note_named(&mut self, table: &Table, path: &[String]) {
        let name = ["name", "id"].into_iter().find_map(|key| match &table.entry(key)?.value.value {
            Value::String(name) => Some(name.clone()),
            _ => None,
        });
        if let Some(name) = name {
            self.note(table, &[path, &[name]].concat());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::fault::Faults;
    use crate::config::source::document;

    #[test]
    fn a_key_is_found_by_the_names_of_its_tables() {
        let text = "[operator]\nnotify_url = \"x\"\n[[provider]]\nname = \"shop\"\nkeys = [{ name = \"k\", secret_file = \"f\" }]\n\
                    [[provider.tenant]]\nid = \"acme\"\n[[provider.tenant.webhook]]\nname = \"w\"\nurl = \"u\"\n";
        let root = document::parse(Path::new("a.toml"), text, &mut Faults::default()).expect("TOML");
        let places = Places::new(&root);
        let place = |path: &[&str]| places.of_key(path).to_string();
        assert_eq!(place(&["operator", "notify_url"]), "a.toml:2:14");
        assert_eq!(place(&["provider", "shop", "keys", "k", "secret_file"]), "a.toml:5:37");
        assert_eq!(place(&["provider", "shop", "tenant", "acme", "webhook", "w", "url"]), "a.toml:10:7");
        assert_eq!([place(&["provider", "shop", "dialect"]), place(&["provider", "other", "name"])], ["default"; 2]);
    }
}
