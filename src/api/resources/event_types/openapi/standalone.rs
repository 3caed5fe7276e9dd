//! Copies a schema out of a document, with all that it refers to.
//!
//! A document may have a large schema to which thousands of others refer, and a schema may refer to one place in thousands of
//! spellings. So each place is copied once, and the copying ends at the length that a schema may have.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::reference::find;
use crate::domain::refusal::Refusal;
use crate::domain::schema::BYTES_MAX;

/// Makes a schema that holds all that it refers to as its `$defs`, in the words of JSON Schema 2020-12. Fails when a reference leads
/// nowhere, and when the schema with all that it refers to is longer than [`BYTES_MAX`]. Then no more than that was copied.
pub(super) fn standing_alone(document: &Value, schema: &Value, is_3_0: bool) -> Result<Value, Refusal> {
    Copier::new(document, is_3_0).whole(schema)
}

struct Copier<'a> {
    document: &'a Value,
    is_3_0: bool,
    /// The places to which the schema refers, in the order in which they were found.
    places: Vec<&'a Value>,
    /// The index of each place in `places`, by its address.
    indexes: HashMap<*const Value, usize>,
    /// How long the JSON of all copies is at least, in bytes.
    bytes: usize,
}

impl<'a> Copier<'a> {
    fn new(document: &'a Value, is_3_0: bool) -> Self {
        Self { document, is_3_0, places: Vec::new(), indexes: HashMap::new(), bytes: 0 }
    }

    fn whole(&mut self, schema: &Value) -> Result<Value, Refusal> {
        let mut whole = self.schema(schema)?;
        let mut kept = Map::new();
        // The copy of a place may add further places at the end.
        while let Some(place) = self.places.get(kept.len()).copied() {
            let copy = self.schema(place)?;
            kept.insert(name(kept.len()), copy);
        }
        if let (Value::Object(members), false) = (&mut whole, kept.is_empty()) {
            match members.get_mut("$defs") {
                Some(Value::Object(own)) => own.extend(kept),
                _ => _ = members.insert("$defs".into(), kept.into()),
            }
        }
        Ok(whole)
    }

    /// A copy of a schema whose references lead to the `$defs` of the whole.
    fn schema(&mut self, schema: &Value) -> Result<Value, Refusal> {
        match schema {
            Value::Object(members) => self.object(members),
            Value::Array(all) => {
                self.count(BRACKETS)?;
                all.iter().map(|value| self.schema(value)).collect()
            }
            plain => self.plain(plain),
        }
    }

    fn object(&mut self, members: &Map<String, Value>) -> Result<Value, Refusal> {
        self.count(BRACKETS)?;
        let mut copy = Map::new();
        for (name, value) in members {
            self.count(name.len() + NAME_MARKS)?;
            copy.insert(name.clone(), self.member(name, value)?);
        }
        if self.is_3_0 {
            translate(&mut copy);
        }
        Ok(copy.into())
    }

    fn member(&mut self, name: &str, value: &Value) -> Result<Value, Refusal> {
        match (name, value) {
            ("$ref", Value::String(reference)) if reference.starts_with("#/") => self.reference(reference),
            // Values, and not schemas.
            ("enum" | "const" | "default" | "example" | "examples", value) => self.plain(value),
            _ => self.schema(value),
        }
    }

    /// The reference to the copy of a place, which has one copy in whatever spelling the references name it.
    fn reference(&mut self, reference: &str) -> Result<Value, Refusal> {
        let place = find(self.document, reference)?;
        let next = self.places.len();
        let index = *self.indexes.entry(std::ptr::from_ref(place)).or_insert(next);
        if index == next {
            self.places.push(place);
        }
        let copied = Value::String(format!("#/$defs/{}", name(index)));
        self.count(length(&copied))?;
        Ok(copied)
    }

    /// A copy of a value in which nothing is a reference.
    fn plain(&mut self, value: &Value) -> Result<Value, Refusal> {
        self.count(length(value))?;
        Ok(value.clone())
    }

    fn count(&mut self, bytes: usize) -> Result<(), Refusal> {
        if self.bytes + bytes > BYTES_MAX {
            return Err(Refusal::new("", format!("its schema, with all that it refers to, is longer than {BYTES_MAX} bytes")));
        }
        self.bytes += bytes;
        Ok(())
    }
}

/// Turns the words of OpenAPI 3.0 that JSON Schema does not have into its own.
fn translate(schema: &mut Map<String, Value>) {
    if schema.remove("nullable") == Some(Value::Bool(true)) {
        if let Some(kind) = schema.get_mut("type").filter(|kind| kind.is_string()) {
            *kind = json!([kind.take(), "null"]);
        }
        if let Some(Value::Array(values)) = schema.get_mut("enum")
            && !values.contains(&Value::Null)
        {
            values.push(Value::Null);
        }
    }
    for (exclusive, bound) in [("exclusiveMinimum", "minimum"), ("exclusiveMaximum", "maximum")] {
        match schema.get(exclusive) {
            Some(Value::Bool(true)) => {
                let moved = schema.remove(bound);
                schema.remove(exclusive);
                moved.into_iter().for_each(|moved| _ = schema.insert(exclusive.into(), moved));
            }
            Some(Value::Bool(false)) => _ = schema.remove(exclusive),
            _ => {}
        }
    }
}

/// The name of a place among the `$defs`.
fn name(index: usize) -> String {
    format!("schema{index}")
}

/// How long the JSON of a value is at least, in bytes.
fn length(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 4,
        Value::Number(_) => 1,
        Value::String(text) => text.len() + BRACKETS,
        Value::Array(all) => BRACKETS + all.iter().map(length).sum::<usize>(),
        Value::Object(all) => BRACKETS + all.iter().map(|(name, value)| name.len() + NAME_MARKS + length(value)).sum::<usize>(),
    }
}

/// The bytes at both ends of a string, an array or an object.
const BRACKETS: usize = 2;

/// The bytes of the quotes and the colon of a member's name.
const NAME_MARKS: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    /// A hundred places of 10 KiB: the schema refers to all of them.
    #[test]
    fn copying_ends_at_the_length_of_a_schema() {
        let places: Map<_, _> = (0..100).map(|at| (format!("p{at}"), json!({ "const": "x".repeat(10 << 10) }))).collect();
        let all: Vec<_> = places.keys().map(|name| json!({ "$ref": format!("#/{name}") })).collect();
        let document = Value::from(places);
        let mut copier = Copier::new(&document, false);
        let refusal = copier.whole(&json!({ "anyOf": all })).expect_err("too long");
        assert!(refusal.reason.contains("longer than 262144 bytes"), "{refusal:?}");
        assert!(copier.bytes <= BYTES_MAX && copier.places.len() == 100, "{} bytes", copier.bytes);
    }

    #[test]
    fn a_length_never_exceeds_that_of_the_text() {
        for value in
            [json!(null), json!(true), json!(0), json!("a"), json!([]), json!([1, 2]), json!({}), json!({ "a": 1, "b": "\n" })]
        {
            assert!(length(&value) <= value.to_string().len(), "{value}");
        }
    }
}
