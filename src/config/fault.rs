//! Where a thing was said, and what is wrong with it.
//!
//! Reading goes on after a fault, so that all of them are shown at once:
//!
//! ```text
//! error: unknown key `retenton`   conf.d/store.toml:3:1
//!   try: retention = "7d"
//! ```

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where a value comes from; the later ones win over the earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Location {
    /// Nobody said anything.
    #[default]
    Default,
    /// In a file; lines and columns (in characters) count from 1, and line 0 is the file as a whole.
    File { path: Arc<str>, line: usize, column: usize },
    /// The environment variable of this name.
    Environment(Arc<str>),
    /// The flag of this name, dashes included.
    Flag(Arc<str>),
}

impl Location {
    /// The file as a whole: it cannot be read, or lacks something.
    pub(crate) fn file(path: &Path) -> Self {
        Self::File { path: path.to_string_lossy().into(), line: 0, column: 0 }
    }

    /// A path as said here: relative to the file's folder, or, said elsewhere, to the working directory.
    pub(crate) fn resolve(&self, path: &str) -> PathBuf {
        let folder = match self {
            Self::File { path, .. } => Path::new(&**path).parent(),
            _ => None,
        };
        folder.unwrap_or(Path::new("")).join(path)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { path, line: 0, .. } => f.write_str(path),
            Self::File { path, line, column } => write!(f, "{path}:{line}:{column}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Flag(name) => write!(f, "flag {name}"),
        }
    }
}

/// A value and where it was given.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Placed<T> {
    pub(crate) value: T,
    pub(crate) location: Location,
}

impl<T> Placed<T> {
    pub(crate) fn new(value: T, location: Location) -> Self {
        Self { value, location }
    }

    pub(crate) fn map<U>(self, read: impl FnOnce(T) -> U) -> Placed<U> {
        Placed { value: read(self.value), location: self.location }
    }
}

/// One thing that is wrong: what, where, and what to try.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    pub(crate) location: Location,
    pub(crate) message: String,
    pub(crate) remedy: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "error: {}   {}", self.message, self.location)?;
        write!(f, "  try: {}", self.remedy)
    }
}

/// Everything that is wrong, in the order of the places.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faults(Vec<Fault>);

impl Faults {
    /// Notes one more; the same one said twice is kept once.
    pub(crate) fn add(&mut self, location: &Location, message: impl Into<String>, remedy: impl Into<String>) {
        let fault = Fault { location: location.clone(), message: message.into(), remedy: remedy.into() };
        if let Err(at) = self.0.binary_search(&fault) {
            self.0.insert(at, fault);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.0.iter()
    }

    /// `value` when nothing is wrong, else everything that is.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.0.iter().enumerate() {
            if at > 0 {
                writeln!(f)?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(line: usize) -> Location {
        Location::File { path: "conf.d/billing.toml".into(), line, column: 1 }
    }

    #[test]
    fn a_fault_names_the_place_and_the_remedy() {
        let mut faults = Faults::default();
        faults.add(&place(5), "unknown key `timout`", "timeout = \"10s\"");
        let printed = "error: unknown key `timout`   conf.d/billing.toml:5:1\n  try: timeout = \"10s\"";
        assert_eq!(faults.to_string(), printed);
    }

    #[test]
    fn faults_stand_in_the_order_of_their_places() {
        let mut faults = Faults::default();
        faults.add(&place(10), "c", "-");
        faults.add(&place(9), "b", "-");
        faults.add(&Location::Environment("HOOKWHEEL_X".into()), "d", "-");
        faults.add(&Location::file(Path::new("a.toml")), "a", "-");
        let messages: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
        assert_eq!(messages, ["a", "b", "c", "d"]);
    }

    #[test]
    fn a_path_is_relative_to_the_folder_of_its_file() {
        assert_eq!(place(1).resolve("keys/a"), Path::new("conf.d/keys/a"));
        assert_eq!(place(1).resolve("/keys/a"), Path::new("/keys/a"));
        assert_eq!(Location::Flag("--x".into()).resolve("keys/a"), Path::new("keys/a"));
    }

    #[test]
    fn a_fault_is_shown_once() {
        let mut faults = Faults::default();
        faults.add(&place(1), "a", "b");
        faults.add(&place(1), "a", "b");
        assert_eq!(faults.len(), 1);
        assert!(faults.or(()).is_err());
    }
}
