//! Reads the webhooks of an OpenAPI document: which events there are, and what their data looks like.
//!
//! Of version 3.1 the member `webhooks` is read, of 3.0 the extension `x-webhooks` too, which tools of that version use. A schema may
//! refer to others in the document. They come along as its `$defs`, so that it stands alone.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::domain::refusal::Refusal;

/// A webhook that a document describes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Described {
    pub(super) name: String,
    /// Where it stands in the document.
    pub(super) pointer: String,
    pub(super) description: String,
    pub(super) schema: Option<Value>,
    pub(super) example: Option<Value>,
    pub(super) deprecated: bool,
}

/// Reads a document in JSON or YAML. Fails when it is neither, is no OpenAPI of version 3.0 or 3.1, or has no webhooks.
pub(super) fn read(document: &[u8]) -> Result<Vec<Described>, Refusal> {
    let document = parse(document)?;
    let version = document.get("openapi").and_then(Value::as_str).unwrap_or_default();
    let is_3_0 = version.starts_with("3.0");
    if !is_3_0 && !version.starts_with("3.1") {
        return Err(Refusal::new("/openapi", "is neither 3.0 nor 3.1; an OpenAPI document of such a version is taken"));
    }
    let found = ["webhooks", "x-webhooks"].into_iter().find_map(|name| Some((name, document.get(name)?.as_object()?)));
    let (member, webhooks) =
        found.ok_or_else(|| Refusal::new("/webhooks", "is missing; the webhooks of the document are imported"))?;
    let reader = Reader { document: &document, is_3_0 };
    webhooks.iter().map(|(name, item)| reader.webhook(name, format!("/{member}/{}", token(name)), item)).collect()
}

fn parse(document: &[u8]) -> Result<Value, Refusal> {
    let begin = document.trim_ascii_start();
    if begin.is_empty() {
        return Err(Refusal::new("", "the body is empty; an OpenAPI document is expected, in JSON or YAML"));
    }
    if begin.starts_with(b"{") {
        return serde_json::from_slice(document).map_err(|error| Refusal::new("", format!("the document is not JSON: {error}")));
    }
    let first_line = |error: String| error.lines().next().unwrap_or_default().to_owned();
    serde_saphyr::from_slice(document)
        .map_err(|error| Refusal::new("", format!("the document is not YAML: {}", first_line(error.to_string()))))
}

struct Reader<'a> {
    document: &'a Value,
    is_3_0: bool,
}

impl<'a> Reader<'a> {
    fn webhook(&self, name: &str, pointer: String, item: &'a Value) -> Result<Described, Refusal> {
        let within = |pointer: &str, refusal: Refusal| Refusal::new(pointer, refusal.reason);
        let item = self.resolved(item).map_err(|refusal| within(&pointer, refusal))?;
        let operation = METHODS.iter().find_map(|method| item.get(*method));
        let operation = operation.ok_or_else(|| Refusal::new(&*pointer, "has no `post`; an event is sent by POST"))?;
        let media = self.media(operation).map_err(|refusal| within(&pointer, refusal))?;
        let schema = media.and_then(|media| media.get("schema"));
        let text = |of: &Value, name: &str| of.get(name).and_then(Value::as_str).map(ToOwned::to_owned);
        Ok(Described {
            name: name.to_owned(),
            description: ["description", "summary"]
                .iter()
                .find_map(|name| text(operation, name).or_else(|| text(item, name)))
                .unwrap_or_default(),
            schema: schema.map(|schema| self.standing_alone(schema)).transpose().map_err(|refusal| within(&pointer, refusal))?,
            example: media.and_then(|media| self.example(media)),
            deprecated: operation.get("deprecated").and_then(Value::as_bool).unwrap_or_default(),
            pointer,
        })
    }

    /// What is said of a JSON body.
    fn media(&self, operation: &'a Value) -> Result<Option<&'a Value>, Refusal> {
        let Some(body) = operation.get("requestBody") else { return Ok(None) };
        let content = self.resolved(body)?.get("content").and_then(Value::as_object);
        let is_json = |media: &str| {
            let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
            media == "application/json" || media.ends_with("+json") || media == "*/*"
        };
        Ok(content.and_then(|content| content.iter().find(|(media, _)| is_json(media))).map(|(_, media)| media))
    }

    fn example(&self, media: &'a Value) -> Option<Value> {
        let named = || self.resolved(media.get("examples")?.as_object()?.values().next()?).ok()?.get("value");
        let of_schema = || {
            let schema = self.resolved(media.get("schema")?).ok()?;
            schema.get("example").or_else(|| schema.get("examples")?.get(0))
        };
        media.get("example").or_else(named).or_else(of_schema).cloned()
    }

    /// Follows a reference within the document, and no more than [`REFERENCES_MAX`] in a row.
    fn resolved(&self, value: &'a Value) -> Result<&'a Value, Refusal> {
        let mut at = value;
        for _ in 0..REFERENCES_MAX {
            let Some(reference) = at.get("$ref").and_then(Value::as_str) else { return Ok(at) };
            at = self.find(reference)?;
        }
        Err(Refusal::new("", "has references that lead to each other"))
    }

    fn find(&self, reference: &str) -> Result<&'a Value, Refusal> {
        let path = reference.strip_prefix('#').ok_or_else(|| outside(reference))?;
        let found = self.document.pointer(&percent_decode_str(path).decode_utf8_lossy());
        found.ok_or_else(|| Refusal::new("", "has a reference to something that the document does not have"))
    }

    /// Makes a schema that holds all that it refers to, in the words of JSON Schema 2020-12.
    fn standing_alone(&self, schema: &'a Value) -> Result<Value, Refusal> {
        let mut names = BTreeMap::new();
        let mut whole = self.schema(schema, &mut names);
        let mut kept = Map::new();
        // Each round adds what the schemas of the round before refer to.
        while let Some(reference) = names.keys().find(|reference| !kept.contains_key(&names[*reference])).cloned() {
            let found = self.find(&reference)?;
            let schema = self.schema(found, &mut names);
            kept.insert(names[&reference].clone(), schema);
        }
        if let (Value::Object(members), false) = (&mut whole, kept.is_empty()) {
            match members.get_mut("$defs") {
                Some(Value::Object(own)) => own.extend(kept),
                _ => _ = members.insert("$defs".into(), kept.into()),
            }
        }
        Ok(whole)
    }

    /// A copy of a schema whose references lead to its `$defs`. `names` collects their names by the references of the document.
    fn schema(&self, schema: &Value, names: &mut BTreeMap<String, String>) -> Value {
        match schema {
            Value::Object(members) => {
                let copied = members.iter().map(|(name, value)| (name.clone(), self.member(name, value, names)));
                let mut copy: Map<String, Value> = copied.collect();
                if self.is_3_0 {
                    translate(&mut copy);
                }
                copy.into()
            }
            Value::Array(all) => all.iter().map(|value| self.schema(value, names)).collect(),
            other => other.clone(),
        }
    }

    fn member(&self, name: &str, value: &Value, names: &mut BTreeMap<String, String>) -> Value {
        match (name, value) {
            ("$ref", Value::String(reference)) if reference.starts_with("#/") => {
                let next = format!("schema{}", names.len());
                let name = names.entry(reference.clone()).or_insert(next);
                format!("#/$defs/{name}").into()
            }
            // Values, and not schemas.
            ("enum" | "const" | "default" | "example" | "examples", value) => value.clone(),
            _ => self.schema(value, names),
        }
    }
}

fn outside(reference: &str) -> Refusal {
    let shown: String = reference.chars().take(REFERENCE_CHARS_SHOWN).collect();
    Refusal::new("", format!("refers to `{shown}`; a reference within the document begins with #"))
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

fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The methods under which a webhook may stand.
const METHODS: &[&str] = &["post", "put", "patch"];

/// How many references may lead from one to the next.
const REFERENCES_MAX: usize = 32;

/// How much of a reference is shown when it leads out of the document.
const REFERENCE_CHARS_SHOWN: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    const YAML: &str = "
openapi: 3.1.0
info: { title: Shop, version: '1' }
webhooks:
  order.paid:
    post:
      summary: An order was paid
      deprecated: true
      requestBody:
        content:
          application/json; charset=utf-8:
            schema: { $ref: '#/components/schemas/Order' }
            examples: { first: { value: { id: o_1, lines: [] } } }
components:
  schemas:
    Order:
      type: object
      required: [id]
      properties:
        id: { type: string }
        lines: { type: array, items: { $ref: '#/components/schemas/Line' } }
    Line:
      properties: { parent: { $ref: '#/components/schemas/Order' }, count: { type: integer } }
";

    #[test]
    fn a_webhook_comes_with_all_that_its_schema_refers_to() {
        let read = read(YAML.as_bytes()).expect("a document");
        let [paid] = &read[..] else { panic!("{read:?}") };
        assert_eq!(
            (&*paid.name, &*paid.pointer, &*paid.description, paid.deprecated),
            ("order.paid", "/webhooks/order.paid", "An order was paid", true)
        );
        assert_eq!(paid.example, Some(json!({ "id": "o_1", "lines": [] })));
        let order = json!({
            "type": "object",
            "required": ["id"],
            "properties": { "id": { "type": "string" }, "lines": { "type": "array", "items": { "$ref": "#/$defs/schema1" } } },
        });
        let line = json!({ "properties": { "parent": { "$ref": "#/$defs/schema0" }, "count": { "type": "integer" } } });
        assert_eq!(paid.schema, Some(json!({ "$ref": "#/$defs/schema0", "$defs": { "schema0": order, "schema1": line } })));
    }

    #[test]
    fn json_and_yaml_read_the_same() {
        let value: Value = serde_saphyr::from_str(YAML).expect("YAML");
        assert_eq!(read(value.to_string().as_bytes()), read(YAML.as_bytes()));
    }

    #[test]
    fn the_words_of_3_0_become_those_of_json_schema() {
        let schema = json!({
            "type": "string", "nullable": true, "enum": ["a"],
            "properties": { "n": { "type": "number", "minimum": 1, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false } },
        });
        let media = json!({ "application/vnd.shop+json": { "schema": schema, "example": 7 } });
        let document = |version: &str| {
            let webhooks = json!({ "a": { "description": "A", "post": { "requestBody": { "content": media } } } });
            read(json!({ "openapi": version, "x-webhooks": webhooks }).to_string().as_bytes()).expect("a document").remove(0)
        };
        let translated = json!({
            "type": ["string", "null"], "enum": ["a", null],
            "properties": { "n": { "type": "number", "exclusiveMinimum": 1, "maximum": 9 } },
        });
        let old = document("3.0.3");
        assert_eq!(
            (old.schema, old.example, &*old.description, &*old.pointer),
            (Some(translated), Some(json!(7)), "A", "/x-webhooks/a")
        );
        assert_eq!(document("3.1.0").schema, Some(schema), "which is left as it is");
    }

    #[test]
    fn a_document_that_is_none_is_refused() {
        for (text, pointer, says) in [
            ("", "", "empty"),
            ("{", "", "not JSON"),
            ("a: [", "", "not YAML"),
            ("just text", "/openapi", "3.1"),
            ("swagger: '2.0'", "/openapi", "3.1"),
            ("openapi: 3.1.0\npaths: {}", "/webhooks", "missing"),
            ("openapi: 3.1.0\nwebhooks: { a: { get: {} } }", "/webhooks/a", "`post`"),
            ("openapi: 3.1.0\nwebhooks: { a: { $ref: '#/components/pathItems/b' } }", "/webhooks/a", "does not have"),
            ("openapi: 3.1.0\nwebhooks: { a: { $ref: 'other.yaml#/a' } }", "/webhooks/a", "`other.yaml#/a`"),
            ("openapi: 3.1.0\nwebhooks: { a: { $ref: '#/webhooks/a' } }", "/webhooks/a", "lead to each other"),
        ] {
            let refusal = read(text.as_bytes()).expect_err(text);
            assert_eq!(refusal.pointer, pointer, "{text}");
            assert!(refusal.reason.contains(says), "{text}: {refusal:?}");
        }
    }

    #[test]
    fn yaml_whose_aliases_multiply_is_refused() {
        let mut text = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let below = format!("*a{}", level - 1);
            text += &format!("a{level}: &a{level} [{}]\n", vec![below; 10].join(","));
        }
        assert!(read(text.as_bytes()).expect_err("a bomb").reason.contains("not YAML"));
    }
}
