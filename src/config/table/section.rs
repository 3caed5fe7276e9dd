//! Reads a table of single values. Each value is checked or replaced by its default, and its origin is noted.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::checked::Setting;
use crate::config::dialect::parts::{word, word_of};
use crate::config::fault::{Faults, Location, Placed};
use crate::config::source::document::Table;
use crate::domain::units::{Size, duration_text};

/// A table while it is read, with the notes about its values.
pub(crate) struct Section<'a> {
    pub(crate) name: &'static str,
    pub(crate) table: Table,
    pub(crate) faults: &'a mut Faults,
    pub(crate) settings: &'a mut Vec<Setting>,
}

impl Section<'_> {
    /// Returns the value that was taken, or the default, and notes it as TOML prints it.
    pub(crate) fn note<T>(&mut self, key: &str, taken: Option<Placed<T>>, default: T, print: impl Fn(&T) -> String) -> Placed<T> {
        let value = taken.unwrap_or(Placed::new(default, Location::Default));
        let (name, location) = (format!("{}.{key}", self.name), value.location.clone());
        self.settings.push(Setting { name, value: print(&value.value), location });
        value
    }

    pub(crate) fn duration(&mut self, key: &str, default: Duration, range: RangeInclusive<Duration>) -> Duration {
        let taken = self.table.duration(key, range, self.faults);
        self.note(key, taken, default, |value| quoted(duration_text(*value))).value
    }

    pub(crate) fn size(&mut self, key: &str, default: Size, range: RangeInclusive<Size>) -> Size {
        let taken = self.table.size(key, range, self.faults);
        self.note(key, taken, default, |size| quoted(size)).value
    }

    pub(crate) fn count(&mut self, key: &str, default: u64, range: RangeInclusive<u64>) -> Placed<u64> {
        let taken = self.table.integer(key, range, self.faults);
        self.note(key, taken, default, u64::to_string)
    }

    pub(crate) fn boolean(&mut self, key: &str, default: bool) -> bool {
        let taken = self.table.boolean(key, self.faults);
        self.note(key, taken, default, bool::to_string).value
    }

    pub(crate) fn path(&mut self, key: &str, default: &str) -> Placed<PathBuf> {
        let taken = self.table.path(key, self.faults);
        self.note(key, taken, PathBuf::from(default), |path| quoted(path.display()))
    }

    pub(crate) fn optional_path(&mut self, key: &str) -> Option<Placed<PathBuf>> {
        let taken = self.table.path(key, self.faults).map(|path| path.map(Some));
        let noted = self.note(key, taken, None, |path| path.as_ref().map_or_else(String::new, |path| quoted(path.display())));
        noted.value.map(|path| Placed::new(path, noted.location))
    }

    /// Takes one of a few words; the default is that of the type.
    pub(crate) fn choice<T: Copy + Default + PartialEq>(&mut self, key: &str, words: &[(&'static str, T)]) -> T {
        let taken = word(&mut self.table, key, words, self.faults);
        self.note(key, taken, T::default(), |value| quoted(word_of(*value, words))).value
    }

    /// Notes a fault for every key that nobody took.
    pub(crate) fn finish(self) {
        self.table.finish(self.faults);
    }
}

/// A string without control characters as TOML writes it.
pub(crate) fn quoted(text: impl Display) -> String {
    format!("{:?}", text.to_string())
}

/// A list of such strings as TOML writes it.
pub(crate) fn quoted_list<T: Display>(items: &[T]) -> String {
    format!("[{}]", items.iter().map(quoted).collect::<Vec<_>>().join(", "))
}
