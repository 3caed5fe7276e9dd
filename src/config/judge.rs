//! What the domain says of the values in a webhook's table: its dialect, its URL, its event types, its secret.

use url::Url;

use super::document::Value;
use super::fault::{Faults, Placed};
use super::nearest::nearest;
use super::secret_file::SecretText;
use super::take::Wrong;

/// The dialects that there are, and what follows from each.
#[derive(Debug)]
pub(crate) struct Judge {
    /// Built in, and from the files.
    pub(crate) dialects: Vec<DialectFacts>,
    /// Whether every file could be read: only then is an unknown dialect surely one that nobody defines.
    pub(crate) complete: bool,
    pub(crate) danger_allow_http: bool,
}

/// What a webhook's table must know of its dialect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DialectFacts {
    pub(crate) name: String,
    pub(crate) https_only: bool,
    /// The catalogue; empty when the dialect has none.
    pub(crate) event_types: Vec<String>,
}

impl Judge {
    /// Notes a dialect that is neither built in nor defined.
    pub(crate) fn check_name(&self, name: &Placed<String>, faults: &mut Faults) {
        if self.complete && self.dialect(&name.value).is_none() {
            faults.add(&name.place, format!("unknown dialect `{}`", name.value), self.name_remedy(&name.value));
        }
    }

    fn name_remedy(&self, name: &str) -> String {
        let names: Vec<&str> = self.dialects.iter().map(|dialect| dialect.name.as_str()).collect();
        match nearest(name, names.iter().copied()) {
            Some(near) => format!("dialect = \"{near}\""),
            None => format!("one of {}, or a [dialect.NAME] of your own", names.join(", ")),
        }
    }

    /// Reads an endpoint's URL.
    pub(crate) fn url(&self, value: Value, dialect: &str) -> Result<String, Wrong> {
        let (Value::String(text) | Value::Text(text)) = value else {
            return Err(Wrong::new(format!("is {}, not a URL", value.kind()), "url = \"https://hooks.example.com/path\""));
        };
        let https_only = self.dialect(dialect).is_some_and(|dialect| dialect.https_only) && !self.danger_allow_http;
        let schemes: &[&str] = if https_only { &["https"] } else { &["https", "http"] };
        match Url::parse(&text) {
            Ok(url) if schemes.contains(&url.scheme()) && url.has_host() => Ok(url.into()),
            Ok(url) if url.scheme() == "http" => {
                Err(Wrong::new(format!("is http, and the dialect `{dialect}` sends to https only"), HTTPS))
            }
            Ok(_) => Err(Wrong::new("is neither https nor http", HTTPS)),
            Err(error) => Err(Wrong::new(format!("cannot be read as a URL: {error}"), HTTPS)),
        }
    }

    /// Reads an entry of `events`: a name, `prefix.*` or `*`.
    pub(crate) fn pattern(&self, value: Value, dialect: &str) -> Result<String, Wrong> {
        let (Value::String(text) | Value::Text(text)) = value else {
            return Err(Wrong::new(format!("holds {}, not an event type", value.kind()), PATTERNS));
        };
        let prefix = text.strip_suffix(".*").unwrap_or(&text);
        let named = !prefix.is_empty() && !prefix.contains(|c: char| c == '*' || c.is_whitespace() || c.is_control());
        if text != "*" && !named {
            return Err(Wrong::new(format!("holds {text:?}, which is no event type"), PATTERNS));
        }
        self.check_catalogue(&text, dialect)?;
        Ok(text)
    }

    fn check_catalogue(&self, text: &str, dialect: &str) -> Result<(), Wrong> {
        let catalogue = self.dialect(dialect).map_or(&[][..], |dialect| &dialect.event_types);
        if catalogue.is_empty() || text.ends_with('*') || catalogue.iter().any(|known| known == text) {
            return Ok(());
        }
        let near = nearest(text, catalogue.iter().map(String::as_str));
        let remedy = near.map_or_else(|| format!("one of {}", catalogue.join(", ")), |near| format!("\"{near}\""));
        Err(Wrong::new(format!("holds `{text}`, which the dialect `{dialect}` does not have"), remedy))
    }

    /// Notes a secret that the dialect cannot sign with.
    pub(crate) fn check_secret(&self, _: &Placed<SecretText>, _: &str, _: &mut Faults) {}

    fn dialect(&self, name: &str) -> Option<&DialectFacts> {
        self.dialects.iter().find(|dialect| dialect.name == name)
    }
}

const HTTPS: &str = "url = \"https://hooks.example.com/path\"";

const PATTERNS: &str = "a name (`invoice.paid`), everything below a prefix (`invoice.*`), or everything (`*`)";
