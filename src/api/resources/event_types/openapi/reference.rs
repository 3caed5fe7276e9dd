//! References from one place of a document to another.

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::domain::refusal::Refusal;

/// Follows references within the document, and no more than [`REFERENCES_MAX`] in a row.
pub(super) fn resolved<'a>(document: &'a Value, value: &'a Value) -> Result<&'a Value, Refusal> {
    let mut at = value;
    for _ in 0..REFERENCES_MAX {
        let Some(reference) = at.get("$ref").and_then(Value::as_str) else { return Ok(at) };
        at = find(document, reference)?;
    }
    Err(Refusal::new("", "has references that lead to each other"))
}

/// The place that a reference names. Fails when the reference leads out of the document or nowhere, and when it is longer than
/// [`REFERENCE_BYTES_MAX`].
pub(super) fn find<'a>(document: &'a Value, reference: &str) -> Result<&'a Value, Refusal> {
    let path = reference.strip_prefix('#').ok_or_else(|| outside(reference))?;
    if path.len() > REFERENCE_BYTES_MAX {
        return Err(Refusal::new("", format!("has a reference that is longer than {REFERENCE_BYTES_MAX} bytes")));
    }
    let found = document.pointer(&percent_decode_str(path).decode_utf8_lossy());
    found.ok_or_else(|| Refusal::new("", "has a reference to something that the document does not have"))
}

fn outside(reference: &str) -> Refusal {
    let shown: String = reference.chars().take(REFERENCE_CHARS_SHOWN).collect();
    Refusal::new("", format!("refers to `{shown}`; a reference within the document begins with #"))
}

/// How many references may lead from one to the next.
const REFERENCES_MAX: usize = 32;

/// The longest reference in bytes. Each webhook may follow the same references again.
const REFERENCE_BYTES_MAX: usize = 4 << 10;

/// How many characters of a reference are shown when it leads out of the document.
const REFERENCE_CHARS_SHOWN: usize = 100;
