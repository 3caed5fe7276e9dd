//! What the reader of a config asks for: the keys of each table, and what each may hold.
//!
//! It is recorded while a config is read, so that whoever describes the config says what the reader takes, and nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::domain::units::Size;

/// What a key may hold.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::config) enum Shape {
    /// The reader has rules of its own.
    Any,
    Text,
    /// Text that is not empty.
    Path,
    /// 1 to 64 characters.
    Label,
    /// 1 to 64 of `A-Z a-z 0-9 _ -`.
    Id,
    Words(Vec<&'static str>),
    Boolean,
    Integer(RangeInclusive<i128>),
    Number(RangeInclusive<f64>),
    Duration(RangeInclusive<Duration>),
    Size(RangeInclusive<Size>),
    List(Box<Shape>),
    /// A table that has a record of its own.
    Table,
    /// A list of such tables.
    Tables,
    /// Tables of one kind under names of the user's own.
    NamedTables,
    /// Text under names of the user's own.
    NamedTexts,
    /// Text, or the file that holds it, under names of the user's own.
    NamedCredentials,
}

impl Shape {
    pub(in crate::config) fn integer(range: &RangeInclusive<u64>) -> Self {
        Self::Integer(i128::from(*range.start())..=i128::from(*range.end()))
    }

    pub(in crate::config) fn words<T>(words: &[(&'static str, T)]) -> Self {
        Self::Words(words.iter().map(|(word, _)| *word).collect())
    }

    pub(in crate::config) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }
}

/// What was asked for, table by table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::config) struct Asked {
    tables: BTreeMap<String, BTreeMap<String, Shape>>,
    /// Keys that must be there, with the path of their table.
    required: BTreeSet<(String, String)>,
}

impl Asked {
    /// Notes what a key of the table at `path` may hold. What was noted first counts, since it is the more exact.
    pub(in crate::config) fn note(&mut self, path: &str, key: &str, shape: Shape) {
        self.tables.entry(path.to_owned()).or_default().entry(key.to_owned()).or_insert(shape);
    }

    pub(in crate::config) fn require(&mut self, path: &str, key: &str) {
        self.required.insert((path.to_owned(), key.to_owned()));
    }

    /// The keys of the table at `path`; `None`: nobody read it.
    pub(in crate::config) fn keys(&self, path: &str) -> Option<&BTreeMap<String, Shape>> {
        self.tables.get(path)
    }

    pub(in crate::config) fn is_required(&self, path: &str, key: &str) -> bool {
        self.required.contains(&(path.to_owned(), key.to_owned()))
    }
}
