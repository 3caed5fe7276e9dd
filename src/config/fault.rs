//! Where a value of the config comes from, and what is wrong with it.
//!
//! Reading goes on after a fault, so that all of them are shown at once:
//!
//! ```text
//! error: unknown key `retenton`   conf.d/store.toml:3:1
//!   try: retention = "7d"
//! ```
//!
//! The line behind `try:` can be pasted: TOML into the config, a command into a shell. Advice that is neither follows the message in
//! words.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::source::shape::{Asked, Shape};

/// Where a value comes from; the later ones win over the earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Location {
    /// Nobody set the value, so it is the default.
    #[default]
    Default,
    /// A place in a file. Lines and columns (in characters) count from 1, and line 0 is the file as a whole.
    File { path: Arc<str>, line: usize, column: usize },
    /// The environment variable of this name.
    Environment(Arc<str>),
    /// The flag of this name, dashes included.
    Flag(Arc<str>),
}

impl Location {
    /// The file as a whole, when it cannot be read or lacks something.
    pub(crate) fn file(path: &Path) -> Self {
        Self::File { path: path.to_string_lossy().into(), line: 0, column: 0 }
    }

    /// Resolves a path that was given here: in a file it is relative to the file's folder, else to the working directory.
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

/// A value and the place where it was given.
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

/// One fault of the config: what is wrong, where, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fault {
    pub(crate) location: Location,
    pub(crate) message: String,
    pub(crate) remedy: Remedy,
}

/// What to do about a fault.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Remedy {
    /// TOML for the config: a line, the header of a table, or a value in the place of the wrong one.
    Write(String),
    /// A command of a shell.
    Run(String),
    /// One of our own commands between other words of a shell's line; `words` stand behind the program's name.
    Ours { before: String, words: String, after: String },
    /// Advice in words, which follows the message.
    Advice(String),
    /// No advice beyond the message.
    None,
}

impl Remedy {
    pub(crate) fn run(command: impl Into<String>) -> Self {
        Self::Run(command.into())
    }

    pub(crate) fn ours(words: impl Into<String>) -> Self {
        Self::Ours { before: String::new(), words: words.into(), after: String::new() }
    }

    pub(crate) fn advice(words: impl Into<String>) -> Self {
        Self::Advice(words.into())
    }

    /// The line that can be pasted, for somebody who calls the program by its usual name.
    pub(crate) fn line(&self) -> Option<String> {
        match self {
            Self::Write(text) | Self::Run(text) => Some(text.clone()),
            Self::Ours { before, words, after } => Some(format!("{before}hookwheel {words}{after}")),
            Self::Advice(_) | Self::None => None,
        }
    }
}

/// TOML for the config.
impl From<String> for Remedy {
    fn from(toml: String) -> Self {
        Self::Write(toml)
    }
}

impl From<&str> for Remedy {
    fn from(toml: &str) -> Self {
        Self::Write(toml.to_owned())
    }
}

impl Fault {
    /// A fault of the config as a whole. The message says all there is to say.
    pub(crate) fn of_all(message: impl Into<String>) -> Self {
        Self { location: Location::Default, message: message.into(), remedy: Remedy::None }
    }

    /// The message, with the advice behind it where that is in words.
    pub(crate) fn told(&self) -> String {
        match &self.remedy {
            Remedy::Advice(words) => format!("{}; {words}", self.message),
            _ => self.message.clone(),
        }
    }

    /// The place of the fault; `None`: it is about a value that nobody set.
    pub(crate) fn place(&self) -> Option<String> {
        (self.location != Location::Default).then(|| self.location.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.told())?;
        self.place().map_or(Ok(()), |place| write!(f, "   {place}"))?;
        self.remedy.line().map_or(Ok(()), |line| write!(f, "\n  try: {line}"))
    }
}

/// Everything that is wrong, in the order of the places.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Faults {
    all: Vec<Fault>,
    /// What the reader asked for, where that is recorded.
    asked: Option<Box<Asked>>,
}

impl Faults {
    /// Adds a fault, unless the same one is there already.
    pub(crate) fn add(&mut self, location: &Location, message: impl Into<String>, remedy: impl Into<Remedy>) {
        let fault = Fault { location: location.clone(), message: message.into(), remedy: remedy.into() };
        if let Err(at) = self.all.binary_search(&fault) {
            self.all.insert(at, fault);
        }
    }

    /// These faults alone.
    pub(crate) fn of(faults: impl IntoIterator<Item = Fault>) -> Self {
        Self { all: faults.into_iter().collect(), asked: None }
    }

    /// None yet, and from now on it is recorded what the reader asks for.
    pub(in crate::config) fn recording() -> Self {
        Self { all: Vec::new(), asked: Some(Box::default()) }
    }

    /// Records what a key may hold, where that is recorded.
    pub(in crate::config) fn record(&mut self, path: &str, key: &str, shape: impl FnOnce() -> Shape) {
        if let Some(asked) = &mut self.asked {
            asked.note(path, key, shape());
        }
    }

    /// Records that a key must be there.
    pub(in crate::config) fn record_required(&mut self, path: &str, key: &str) {
        self.asked.iter_mut().for_each(|asked| asked.require(path, key));
    }

    /// Lets other faults record in place of these, or takes the record back.
    pub(in crate::config) fn pass_record(&mut self, to: &mut Self) {
        std::mem::swap(&mut self.asked, &mut to.asked);
    }

    /// What was recorded.
    pub(in crate::config) fn asked(self) -> Asked {
        self.asked.map(|asked| *asked).unwrap_or_default()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.all.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.all.iter()
    }

    /// `value` when there are no faults, else the faults.
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, fault) in self.all.iter().enumerate() {
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
