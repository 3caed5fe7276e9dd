//! How many patterns a schema has. Each pattern keeps a compiled program and, on each thread that matches it, a cache.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::domain::refusal::Refusal;

/// Fails with the pointer of the first pattern past [`PATTERNS_MAX`] different ones. Equal patterns are compiled once. A text in an
/// `enum` or another value that looks like a pattern counts too.
pub(super) fn check(schema: &Value) -> Result<(), Refusal> {
    note(schema, &mut HashSet::new())
}

fn note<'a>(value: &'a Value, known: &mut HashSet<&'a str>) -> Result<(), Refusal> {
    match value {
        Value::Object(members) => {
            own(members, known)?;
            members.iter().try_for_each(|(name, member)| note(member, known).map_err(|refusal| refusal.inside(name)))
        }
        Value::Array(all) => all
            .iter()
            .enumerate()
            .try_for_each(|(index, element)| note(element, known).map_err(|refusal| refusal.inside(&index.to_string()))),
        _ => Ok(()),
    }
}

/// Notes the patterns that stand in an object itself.
fn own<'a>(members: &'a Map<String, Value>, known: &mut HashSet<&'a str>) -> Result<(), Refusal> {
    if let Some(Value::String(pattern)) = members.get("pattern") {
        add(pattern, known).map_err(|refusal| refusal.inside("pattern"))?;
    }
    if let Some(Value::Object(patterns)) = members.get("patternProperties") {
        for pattern in patterns.keys() {
            add(pattern, known).map_err(|refusal| refusal.inside(pattern).inside("patternProperties"))?;
        }
    }
    Ok(())
}

fn add<'a>(pattern: &'a str, known: &mut HashSet<&'a str>) -> Result<(), Refusal> {
    known.insert(pattern);
    if known.len() > PATTERNS_MAX {
        return Err(Refusal::new("", format!("is one pattern too many; a schema has at most {PATTERNS_MAX} different ones")));
    }
    Ok(())
}

/// The most different patterns of a schema. With the largest compiled size of a pattern they bound the memory that a schema takes.
const PATTERNS_MAX: usize = 64;
