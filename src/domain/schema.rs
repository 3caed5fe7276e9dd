//! The JSON Schema of an event type: read once, and held against the data of each event of that type.
//!
//! A schema comes from a provider, and nobody can say what it does from its looks. Three bounds keep a publication from waiting for
//! it: regular expressions are matched in linear time, [`ways`] refuses a schema that looks at one value in very many ways, and
//! [`counted`] ends a look at data that takes too many steps. [`patterns`] bounds how many regular expressions a schema keeps in
//! memory. Nothing outside of the schema is ever fetched.

mod counted;
mod patterns;
mod ways;

use std::fmt;
use std::sync::OnceLock;

use jsonschema::{Draft, PatternOptions, ValidationError, Validator, options_for};
use serde_json::Value;

use super::json;
use super::refusal::Refusal;
use counted::{Counted, Seen, Spent};

/// What becomes of an event whose data does not match the schema of its type.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Validate {
    /// The schema is not asked.
    #[default]
    Off,
    /// The event is taken, and what is wrong is kept with it.
    Warn,
    /// The event is refused.
    Refuse,
}

/// A JSON Schema of draft 7 or 2020-12. It is compiled when it is first needed, and once.
pub(crate) struct Schema {
    text: Box<str>,
    compiled: OnceLock<Option<Compiled>>,
}

struct Compiled {
    validator: Validator<Counted>,
    /// How many steps one look at data may take.
    steps: u64,
}

impl Schema {
    /// Reads and compiles a schema. Fails with what is wrong and pointers into the schema when it is longer than [`BYTES_MAX`], is
    /// no schema, is of another draft, refers to something outside of itself, has too many patterns, or has a pattern or a
    /// combination that could make an event wait.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let schema = Self::from_stored(text.into());
        let compiled = compile(text)?;
        let _ = schema.compiled.set(Some(compiled));
        Ok(schema)
    }

    /// A schema that [`Schema::parse`] accepted before. It is compiled at its first use.
    pub(crate) fn from_stored(text: Box<str>) -> Self {
        Self { text, compiled: OnceLock::new() }
    }

    /// The schema as it was written.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Holds JSON against the schema. Returns at most [`REFUSALS_MAX`] places that do not match, with pointers into the data.
    ///
    /// It may take a tenth of a second, and needs about ten times the memory of the data.
    pub(crate) fn check(&self, data: &[u8]) -> Vec<Refusal> {
        // A later version may refuse what this one accepted. Then nobody can say of any data that it is wrong.
        let Some(compiled) = self.compiled.get_or_init(|| compile(&self.text).ok()) else { return Vec::new() };
        match serde_json::from_slice(data) {
            Ok(data) => compiled.check(&data),
            Err(_) => vec![Refusal::new("", "holds a number or a nesting that no schema can be held against")],
        }
    }
}

impl Compiled {
    fn check(&self, data: &Value) -> Vec<Refusal> {
        match counted::within(self.steps, || self.validator.is_valid(Seen(data))) {
            Ok(true) => Vec::new(),
            Ok(false) => self.faults(data),
            Err(Spent) => vec![Refusal::new("", DATA_TOO_MUCH)],
        }
    }

    /// What is wrong with data that does not match. To find all of it can take far more steps than to find out that it is wrong.
    fn faults(&self, data: &Value) -> Vec<Refusal> {
        let found = counted::within(self.steps.min(FAULT_STEPS), || {
            let faults = self.validator.iter_errors(Seen(data));
            faults.take(REFUSALS_MAX).map(|fault| refusal(&fault, fault.masked_with("it").to_string())).collect::<Vec<_>>()
        });
        match found {
            Ok(found) if !found.is_empty() => found,
            Ok(_) | Err(Spent) => vec![Refusal::new("", "does not match the schema, in more ways than can be told")],
        }
    }
}

fn refusal(fault: &ValidationError<'_>, mut reason: String) -> Refusal {
    reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    Refusal::new(fault.instance_path().to_string(), reason)
}

fn compile(text: &str) -> Result<Compiled, Refusal> {
    if text.len() > BYTES_MAX {
        return Err(Refusal::new("", format!("is {} bytes long; at most {BYTES_MAX} are taken", text.len())));
    }
    json::scan(text.as_bytes()).map_err(|fault| Refusal::new("", fault.to_string()))?;
    let schema: Value =
        serde_json::from_str(text).map_err(|_| Refusal::new("", "holds a number that is too large, or is nested too deeply"))?;
    let draft = draft(&schema)?;
    patterns::check(&schema)?;
    let ways = ways::most(&schema, draft == Draft::Draft7)?;
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_CACHE_BYTES);
    let options = options_for::<Counted>().with_draft(draft).offline().with_pattern_options(patterns);
    let built = counted::within(STEPS, || options.build(&schema));
    let validator =
        built.map_err(|Spent| Refusal::new("", SCHEMA_TOO_MUCH))?.map_err(|fault| refusal(&fault, fault.to_string()))?;
    Ok(Compiled { validator, steps: STEPS / (ways / WAYS_FREE).max(1) })
}

fn draft(schema: &Value) -> Result<Draft, Refusal> {
    let named = schema.get("$schema").map(|named| named.as_str().unwrap_or_default().trim_end_matches('#'));
    match named {
        None | Some("https://json-schema.org/draft/2020-12/schema") => Ok(Draft::Draft202012),
        Some("http://json-schema.org/draft-07/schema" | "https://json-schema.org/draft-07/schema") => Ok(Draft::Draft7),
        Some(_) => Err(Refusal::new("/$schema", "is neither draft 7 nor 2020-12 of JSON Schema")),
    }
}

impl PartialEq for Schema {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Schema {}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Schema({} bytes)", self.text.len())
    }
}

/// Of a schema that is not taken, and of data.
const SCHEMA_TOO_MUCH: &str = "takes more steps than a schema may take";
const DATA_TOO_MUCH: &str = "takes too many steps to check against the schema";

/// The longest schema in bytes.
pub(crate) const BYTES_MAX: usize = 256 << 10;

/// The most places that are told of data that does not match.
pub(crate) const REFUSALS_MAX: usize = 20;

/// The longest reason in bytes. A reason may list the names of a schema's members.
const REASON_BYTES_MAX: usize = 200;

/// How many steps a look at data may take: about a tenth of a second, and several times what an event of 1 MiB needs.
const STEPS: u64 = 2_000_000;

/// How many steps it may take to find what is wrong with data. Each may need memory for what it finds.
const FAULT_STEPS: u64 = 200_000;

/// A schema that looks at a value in more ways gets fewer steps, since some of these looks are not counted.
const WAYS_FREE: u64 = 256;

/// The largest compiled pattern in bytes, and the cache with which it is matched. Together with the length of the text, the size of
/// a pattern bounds the time of a match.
const PATTERN_BYTES_MAX: usize = 64 << 10;
const PATTERN_CACHE_BYTES: usize = 256 << 10;

#[cfg(test)]
mod tests;
