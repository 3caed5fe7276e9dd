//! In how many ways a schema looks at one value.
//!
//! `allOf`, `$ref` and their like hold other schemas against the same value. When each of thirty schemas refers to the next one
//! twice, the last one is held against the value 2^30 times, although the schema is short. Such a schema is refused, and so are
//! references that lead in a circle without going into the value.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::domain::refusal::Refusal;

/// Returns the largest number of ways in which any part of the schema looks at one value. Fails when it exceeds [`WAYS_MAX`], and
/// on a reference that leads out of the schema, nowhere, or in a circle.
pub(super) fn most(schema: &Value, is_draft_7: bool) -> Result<u64, Refusal> {
    let mut walk = Walk { root: schema, is_draft_7, anchors: HashMap::new(), ways: HashMap::new(), left: Vec::new() };
    walk.collect_anchors(schema);
    walk.left.push((String::new(), schema));
    let mut most = 1;
    while let Some((pointer, schema)) = walk.left.pop() {
        most = most.max(walk.ways(&pointer, schema, 0)?);
    }
    Ok(most)
}

struct Walk<'a> {
    root: &'a Value,
    is_draft_7: bool,
    anchors: HashMap<&'a str, &'a Value>,
    /// The ways of each schema that was looked at, by its address. `None` while it is being looked at.
    ways: HashMap<*const Value, Option<u64>>,
    /// Schemas that are held against parts of the value, with their pointers.
    left: Vec<(String, &'a Value)>,
}

impl<'a> Walk<'a> {
    fn collect_anchors(&mut self, value: &'a Value) {
        match value {
            Value::Object(members) => {
                let named = members.get("$anchor").or_else(|| members.get("$dynamicAnchor")).and_then(Value::as_str);
                let id = members.get("$id").and_then(Value::as_str).and_then(|id| id.strip_prefix('#'));
                named.or(id).into_iter().for_each(|name| _ = self.anchors.insert(name, value));
                members.values().for_each(|member| self.collect_anchors(member));
            }
            Value::Array(all) => all.iter().for_each(|element| self.collect_anchors(element)),
            _ => {}
        }
    }

    /// The ways in which `schema` looks at one value: itself, and all that it holds against the same value.
    fn ways(&mut self, pointer: &str, schema: &'a Value, depth: usize) -> Result<u64, Refusal> {
        let Value::Object(keywords) = schema else { return Ok(1) };
        let address = std::ptr::from_ref(schema);
        match self.ways.get(&address) {
            Some(Some(ways)) => return Ok(*ways),
            Some(None) => return Err(Refusal::new(pointer, "leads back to itself without going into the value")),
            None if depth > DEPTH_MAX => {
                let reason =
                    format!("is nested too deeply: schemas may lead to each other at most {DEPTH_MAX} times for one value");
                return Err(Refusal::new(pointer, reason));
            }
            None => {}
        }
        self.ways.insert(address, None);
        let mut ways = 1;
        for (inner, schema) in self.same_value(pointer, keywords)? {
            ways += self.ways(&inner, schema, depth + 1)?;
            if ways > WAYS_MAX {
                return Err(Refusal::new(pointer, format!("looks at one value in more than {WAYS_MAX} ways")));
            }
        }
        self.ways.insert(address, Some(ways));
        self.parts(pointer, keywords);
        Ok(ways)
    }

    /// The schemas that are held against the same value.
    fn same_value(&self, pointer: &str, keywords: &'a Map<String, Value>) -> Result<Vec<(String, &'a Value)>, Refusal> {
        let at = |keyword: &str| format!("{pointer}/{keyword}");
        if let Some(keyword) = ["$dynamicRef", "$recursiveRef"].into_iter().find(|keyword| keywords.contains_key(*keyword)) {
            return Err(Refusal::new(at(keyword), "is not followed; use `$ref`"));
        }
        let id = keywords.get("$id").and_then(Value::as_str);
        if !pointer.is_empty() && id.is_some_and(|id| !id.starts_with('#')) {
            return Err(Refusal::new(at("$id"), "would change what references mean; only the whole schema may have an `$id`"));
        }
        let mut found = Vec::new();
        if let Some(reference) = keywords.get("$ref") {
            found.push((at("$ref"), self.resolve(&at("$ref"), reference)?));
            if self.is_draft_7 {
                // In draft 7 a reference hides everything beside it.
                return Ok(found);
            }
        }
        inner(pointer, keywords, SAME_VALUE, &mut found);
        Ok(found)
    }

    /// Notes the schemas that are held against parts of the value, and those that are only there to be referred to.
    fn parts(&mut self, pointer: &str, keywords: &'a Map<String, Value>) {
        inner(pointer, keywords, PARTS, &mut self.left);
    }

    fn resolve(&self, pointer: &str, reference: &Value) -> Result<&'a Value, Refusal> {
        let fragment = reference.as_str().and_then(|text| text.strip_prefix('#'));
        let fragment =
            fragment.ok_or_else(|| Refusal::new(pointer, "is no reference into this schema; such a reference begins with #"))?;
        let path = percent_decode_str(fragment).decode_utf8_lossy();
        let found =
            if path.is_empty() || path.starts_with('/') { self.root.pointer(&path) } else { self.anchors.get(&*path).copied() };
        found.ok_or_else(|| Refusal::new(pointer, "refers to nothing in this schema"))
    }
}

/// Collects the schemas under `names`: a schema, a list of schemas, or an object whose members are schemas.
fn inner<'a>(pointer: &str, keywords: &'a Map<String, Value>, names: &[(&str, Holds)], into: &mut Vec<(String, &'a Value)>) {
    for (name, holds) in names {
        match (keywords.get(*name), holds) {
            (Some(Value::Array(all)), _) => {
                into.extend(all.iter().enumerate().map(|(index, schema)| (format!("{pointer}/{name}/{index}"), schema)));
            }
            (Some(Value::Object(all)), Holds::Named) => {
                let token = |name: &str| name.replace('~', "~0").replace('/', "~1");
                into.extend(all.iter().map(|(key, schema)| (format!("{pointer}/{name}/{}", token(key)), schema)));
            }
            (Some(schema), Holds::Schemas) => into.push((format!("{pointer}/{name}"), schema)),
            (Some(_) | None, _) => {}
        }
    }
}

/// What a keyword holds.
#[derive(Clone, Copy)]
enum Holds {
    /// A schema, or a list of schemas.
    Schemas,
    /// Schemas by name.
    Named,
}

/// Keywords with schemas for the same value.
const SAME_VALUE: &[(&str, Holds)] = &[
    ("allOf", Holds::Schemas),
    ("anyOf", Holds::Schemas),
    ("oneOf", Holds::Schemas),
    ("not", Holds::Schemas),
    ("if", Holds::Schemas),
    ("then", Holds::Schemas),
    ("else", Holds::Schemas),
    ("dependentSchemas", Holds::Named),
    ("dependencies", Holds::Named),
];

/// Keywords with schemas for parts of the value, and those that only keep schemas.
const PARTS: &[(&str, Holds)] = &[
    ("items", Holds::Schemas),
    ("prefixItems", Holds::Schemas),
    ("additionalItems", Holds::Schemas),
    ("unevaluatedItems", Holds::Schemas),
    ("contains", Holds::Schemas),
    ("additionalProperties", Holds::Schemas),
    ("unevaluatedProperties", Holds::Schemas),
    ("propertyNames", Holds::Schemas),
    ("contentSchema", Holds::Schemas),
    ("properties", Holds::Named),
    ("patternProperties", Holds::Named),
    ("$defs", Holds::Named),
    ("definitions", Holds::Named),
];

/// The most ways in which a schema may look at one value. A choice between several hundred kinds of object stays far below.
const WAYS_MAX: u64 = 4_096;

/// The most schemas that may lead to each other in a row for the same value. Each takes some of the stack.
const DEPTH_MAX: usize = 64;
