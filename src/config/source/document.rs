//! The raw document: the keys and values of a TOML file with their places, before their meaning is known.
//!
//! Typed values are taken out of a [`Table`] by name (`table::take`). A key that nobody took is left over and is a fault.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::config::fault::{Faults, Location, Placed, Remedy};

/// Reads TOML text. `None`: its syntax is wrong, and each fault of it is noted.
pub(crate) fn parse(path: &Path, text: &str, faults: &mut Faults) -> Option<Table> {
    let source = Source::new(path, text);
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        source.syntax_fault(error, faults);
    }
    let table = source.table(root.into_inner(), Location::file(path), "");
    errors.is_empty().then_some(table)
}

/// A value as it was written.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    String(String),
    /// Digits with an optional sign, in base 10.
    Integer(i128),
    Float(f64),
    Boolean(bool),
    /// A TOML date or time, which no setting takes.
    Datetime(String),
    Array(Vec<Placed<Value>>),
    Table(Table),
    /// Text from the environment or a flag, which is read as the type that its setting has.
    Text(String),
}

impl Value {
    /// The name of the type, for an error.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::String(_) | Self::Text(_) => "a string",
            Self::Integer(_) => "an integer",
            Self::Float(_) => "a fraction",
            Self::Boolean(_) => "true or false",
            Self::Datetime(_) => "a date",
            Self::Array(_) => "a list",
            Self::Table(_) => "a table",
        }
    }

    /// The value as TOML, when it is short enough to repeat in an error.
    pub(crate) fn shown(&self) -> Option<String> {
        let text = match self {
            Self::String(text) | Self::Text(text) => format!("{text:?}"),
            Self::Integer(number) => number.to_string(),
            Self::Float(number) => number.to_string(),
            Self::Boolean(is) => is.to_string(),
            Self::Datetime(text) => text.clone(),
            Self::Array(items) if items.is_empty() => "[]".to_owned(),
            Self::Array(_) | Self::Table(_) => return None,
        };
        (text.len() <= SHOWN_BYTES_MAX).then_some(text)
    }
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// The place of the key; the value has its own.
    pub(crate) location: Location,
    pub(crate) value: Placed<Value>,
}

/// A table, in the order of its file.
///
/// One key may stand several times when layers were put over each other (a file, the environment, a flag): the last one counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Table {
    /// The place of the table's header, or of its key where it stands inline.
    pub(crate) location: Location,
    /// The table's name as in its header, `dialect.acme.retry`; empty for a whole file.
    pub(in crate::config) path: String,
    pub(crate) entries: Vec<Entry>,
    /// Every key that was asked for. The fault of an unknown key names the nearest of them.
    pub(in crate::config) known: Vec<String>,
}

/// Two tables are equal when their entries are, wherever the tables stand and whatever was asked of them.
impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl Table {
    /// An empty table with this path.
    pub(crate) fn new(location: Location, path: impl Into<String>) -> Self {
        Self { location, path: path.into(), ..Self::default() }
    }

    /// The path of a table or a list within this one.
    pub(in crate::config) fn path_of(&self, key: &str) -> String {
        within(&self.path, key)
    }

    /// The entry of that name; of several entries the last, which counts.
    pub(crate) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().rfind(|entry| entry.key == key)
    }

    /// Sets a key to a value that wins over the values that it has so far.
    pub(crate) fn put(&mut self, key: &str, value: Value, location: Location) {
        self.entries.push(Entry { key: key.to_owned(), location: location.clone(), value: Placed::new(value, location) });
    }
}

/// A file's text, which knows the line and column of each byte.
pub(in crate::config) struct Source<'a> {
    path: Arc<str>,
    text: &'a str,
    /// The byte at which each line begins.
    lines: Vec<usize>,
}

impl<'a> Source<'a> {
    pub(in crate::config) fn new(path: &Path, text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0).chain(ends.map(|(at, _)| at + 1)).collect();
        Self { path: path.to_string_lossy().into(), text, lines }
    }

    pub(in crate::config) fn location_at(&self, byte: usize) -> Location {
        let line = self.lines.partition_point(|start| *start <= byte);
        let start = self.lines[line - 1];
        let column = 1 + self.text.get(start..byte).map_or(0, |before| before.chars().count());
        Location::File { path: Arc::clone(&self.path), line, column }
    }

    fn syntax_fault(&self, error: &toml::de::Error, faults: &mut Faults) {
        let span = error.span().unwrap_or(0..0);
        let location = self.location_at(span.start);
        let (message, remedy) = match (error.message(), self.text.get(span)) {
            ("duplicate key", Some(key)) => (format!("the key `{key}` is given twice"), "keep one of the two"),
            (message, _) => (format!("this is not TOML: {message}"), SYNTAX_ADVICE),
        };
        faults.add(&location, message, Remedy::advice(remedy));
    }

    fn table(&self, table: DeTable<'_>, location: Location, path: &str) -> Table {
        let entries = table.into_iter().map(|(key, value)| self.entry(&key, value, path)).collect();
        Table { entries, ..Table::new(location, path) }
    }

    fn entry(&self, key: &Spanned<std::borrow::Cow<'_, str>>, value: Spanned<DeValue<'_>>, path: &str) -> Entry {
        let key_location = self.location_at(key.span().start);
        let value = self.placed(value, &within(path, key.get_ref()));
        Entry { key: key.get_ref().to_string(), location: key_location, value }
    }

    /// Converts a value. `path` is the name that the value has if it is a table or a list of tables.
    fn placed(&self, value: Spanned<DeValue<'_>>, path: &str) -> Placed<Value> {
        let location = self.location_at(value.span().start);
        let value = match value.into_inner() {
            DeValue::String(text) => Value::String(text.into_owned()),
            DeValue::Integer(number) => integer(&number),
            DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(is) => Value::Boolean(is),
            DeValue::Datetime(time) => Value::Datetime(time.to_string()),
            DeValue::Array(items) => Value::Array(items.into_iter().map(|item| self.placed(item, path)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table, location.clone(), path)),
        };
        Placed::new(value, location)
    }
}

/// The path of a key below another.
pub(in crate::config) fn within(path: &str, key: &str) -> String {
    let is_bare = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    let key = if is_bare { key.to_owned() } else { format!("{key:?}") };
    if path.is_empty() { key } else { format!("{path}.{key}") }
}

/// An integer. A number that does not fit 128 bits becomes the largest that does, which no setting allows.
fn integer(number: &toml::de::DeInteger<'_>) -> Value {
    Value::Integer(i128::from_str_radix(number.as_str(), number.radix()).unwrap_or(i128::MAX))
}

/// The longest value that an error repeats, in bytes: it fits beside a key on one line.
const SHOWN_BYTES_MAX: usize = 60;

const SYNTAX_ADVICE: &str = "check quotes, brackets and line ends here";

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table, Faults> {
        let mut faults = Faults::default();
        parse(Path::new("a.toml"), text, &mut faults).ok_or(faults)
    }

    #[test]
    fn keys_and_values_have_their_places() {
        let mut table = read("# note\n[server]\n  listen = \"é\"\n").expect("valid");
        assert_eq!(table.entry("server").expect("there").location.to_string(), "a.toml:2:2");
        let server = table.table("server", &mut Faults::default()).expect("a table");
        let listen = server.entry("listen").expect("there");
        assert_eq!(listen.location.to_string(), "a.toml:3:3");
        assert_eq!(listen.value.location.to_string(), "a.toml:3:12");
    }

    #[test]
    fn columns_count_characters() {
        let mut table = read("a = [\"éé\", \"5\"]").expect("valid");
        let items = table.strings("a", &mut Faults::default()).expect("a list");
        assert_eq!(items.value[1].location.to_string(), "a.toml:1:12");
    }

    #[test]
    fn tables_keep_the_order_of_the_file() {
        let table = read("[z]\n[a]\n[m]\n").expect("valid");
        let keys: Vec<_> = table.entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["z", "a", "m"]);
    }

    #[test]
    fn every_fault_of_syntax_is_noted_with_its_place() {
        let faults = read("a = \nb = 1\nb = 2\nc = \"x\n").expect_err("bad");
        let places: Vec<_> = faults.iter().map(|fault| fault.location.to_string()).collect();
        assert!(places.iter().any(|location| location.starts_with("a.toml:1:")), "{faults}");
        assert!(places.contains(&"a.toml:3:1".to_owned()), "{faults}");
        assert!(faults.to_string().contains("the key `b` is given twice"), "{faults}");
        assert!(places.iter().any(|location| location.starts_with("a.toml:4:")), "{faults}");
    }

    #[test]
    fn the_last_of_several_layers_counts() {
        let mut table = read("a = 1").expect("valid");
        table.put("a", Value::Text("2".into()), Location::Environment("HOOKWHEEL_A".into()));
        assert_eq!(table.entry("a").expect("there").value.value, Value::Text("2".into()));
    }

    #[test]
    fn integers_are_read_in_any_base() {
        for (text, number) in [("0x10", 16), ("1_000", 1_000), ("-5", -5), ("99999999999999999999", 99_999_999_999_999_999_999)] {
            let table = read(&format!("a = {text}")).expect("valid");
            assert_eq!(table.entries[0].value.value, Value::Integer(number), "{text}");
        }
    }
}
