//! Reads the webhooks of an OpenAPI document: which events there are, and what their data looks like.
//!
//! Of version 3.1 the member `webhooks` is read, of 3.0 the extension `x-webhooks` too, which tools of that version use. A schema may
//! refer to others in the document. They come along as its `$defs`, so that it stands alone.

mod reference;
mod standalone;

use serde_json::{Map, Value};

use crate::domain::refusal::Refusal;
use crate::store::EVENT_TYPES_MAX;
use reference::resolved;
use standalone::standing_alone;

/// An OpenAPI document of version 3.0 or 3.1.
pub(super) struct Document {
    value: Value,
    is_3_0: bool,
    /// The name of the member that holds the webhooks.
    member: &'static str,
}

/// A webhook that a document describes.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Described<'a> {
    pub(super) name: &'a str,
    /// Where it stands in the document.
    pub(super) pointer: String,
    pub(super) description: &'a str,
    /// A copy that stands alone, and is about as long as a schema may be at most.
    pub(super) schema: Option<Value>,
    pub(super) example: Option<&'a Value>,
    pub(super) deprecated: bool,
}

impl Document {
    /// Reads a document in JSON or YAML. Fails when it is neither, is no OpenAPI of version 3.0 or 3.1, or has no webhooks or more
    /// than [`EVENT_TYPES_MAX`].
    pub(super) fn read(document: &[u8]) -> Result<Self, Refusal> {
        let value = parse(document)?;
        let version = value.get("openapi").and_then(Value::as_str).unwrap_or_default();
        let is_3_0 = version.starts_with("3.0");
        if !is_3_0 && !version.starts_with("3.1") {
            return Err(Refusal::new("/openapi", "is neither 3.0 nor 3.1; an OpenAPI document of such a version is taken"));
        }
        let found = ["webhooks", "x-webhooks"].into_iter().find_map(|name| Some((name, value.get(name)?.as_object()?)));
        let (member, webhooks) =
            found.ok_or_else(|| Refusal::new("/webhooks", "is missing; an import takes its event types from `webhooks`"))?;
        if webhooks.len() > EVENT_TYPES_MAX {
            let reason = format!("has {} webhooks; at most {EVENT_TYPES_MAX} are taken", webhooks.len());
            return Err(Refusal::new(format!("/{member}"), reason));
        }
        Ok(Self { value, is_3_0, member })
    }

    /// The webhooks of the document. Each is read when it is asked for, since its schema may be a large copy.
    pub(super) fn webhooks(&self) -> impl Iterator<Item = Result<Described<'_>, Refusal>> {
        let all = self.value.get(self.member).and_then(Value::as_object).into_iter().flatten();
        all.map(|(name, item)| {
            let pointer = format!("/{}/{}", self.member, token(name));
            match self.webhook(name, item) {
                Ok(described) => Ok(Described { pointer, ..described }),
                Err(refusal) => Err(Refusal { pointer, ..refusal }),
            }
        })
    }

    /// What is said of a webhook, but for its pointer.
    fn webhook<'a>(&'a self, name: &'a str, item: &'a Value) -> Result<Described<'a>, Refusal> {
        let item = resolved(&self.value, item)?;
        let operation = METHODS.iter().find_map(|method| item.get(*method));
        let operation = operation.ok_or_else(|| Refusal::new("", "has no `post`; an event is sent by POST"))?;
        let media = self.media(operation)?;
        let schema = media.and_then(|media| media.get("schema"));
        let text = |of: &'a Value, name: &str| of.get(name).and_then(Value::as_str);
        let description = ["description", "summary"].iter().find_map(|name| text(operation, name).or_else(|| text(item, name)));
        Ok(Described {
            name,
            pointer: String::new(),
            description: description.unwrap_or_default(),
            schema: schema.map(|schema| standing_alone(&self.value, schema, self.is_3_0)).transpose()?,
            example: media.and_then(|media| self.example(media)),
            deprecated: operation.get("deprecated").and_then(Value::as_bool).unwrap_or_default(),
        })
    }

    /// What is said of a JSON body.
    fn media<'a>(&'a self, operation: &'a Value) -> Result<Option<&'a Value>, Refusal> {
        let Some(body) = operation.get("requestBody") else { return Ok(None) };
        let content = resolved(&self.value, body)?.get("content").and_then(Value::as_object);
        Ok(content.and_then(json_media))
    }

    fn example<'a>(&'a self, media: &'a Value) -> Option<&'a Value> {
        let resolved = |value| resolved(&self.value, value).ok();
        let named = || resolved(media.get("examples")?.as_object()?.values().next()?)?.get("value");
        let of_schema = || {
            let schema = resolved(media.get("schema")?)?;
            schema.get("example").or_else(|| schema.get("examples")?.get(0))
        };
        media.get("example").or_else(named).or_else(of_schema)
    }
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

/// The first content whose media type is one of JSON.
fn json_media(content: &Map<String, Value>) -> Option<&Value> {
    let is_json = |media: &str| {
        let media = media.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        media == "application/json" || media.ends_with("+json") || media == "*/*"
    };
    content.iter().find(|(media, _)| is_json(media)).map(|(_, media)| media)
}

fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The methods under which a webhook may stand.
const METHODS: &[&str] = &["post", "put", "patch"];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The document, or the first thing that is wrong in it.
    fn read(document: &[u8]) -> Result<Document, Refusal> {
        let document = Document::read(document)?;
        document.webhooks().try_for_each(|webhook| webhook.map(drop))?;
        Ok(document)
    }

    fn all(document: &Document) -> Vec<Described<'_>> {
        document.webhooks().collect::<Result<_, _>>().expect("webhooks")
    }

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
        let document = Document::read(YAML.as_bytes()).expect("a document");
        let read = all(&document);
        let [paid] = &read[..] else { panic!("{read:?}") };
        assert_eq!(
            (paid.name, &*paid.pointer, paid.description, paid.deprecated),
            ("order.paid", "/webhooks/order.paid", "An order was paid", true)
        );
        assert_eq!(paid.example, Some(&json!({ "id": "o_1", "lines": [] })));
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
        let documents = [value.to_string().as_bytes(), YAML.as_bytes()].map(|text| Document::read(text).expect("a document"));
        assert_eq!(all(&documents[0]), all(&documents[1]));
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
            Document::read(json!({ "openapi": version, "x-webhooks": webhooks }).to_string().as_bytes()).expect("a document")
        };
        let translated = json!({
            "type": ["string", "null"], "enum": ["a", null],
            "properties": { "n": { "type": "number", "exclusiveMinimum": 1, "maximum": 9 } },
        });
        let old = document("3.0.3");
        let old = all(&old).remove(0);
        assert_eq!(
            (old.schema, old.example, old.description, &*old.pointer),
            (Some(translated), Some(&json!(7)), "A", "/x-webhooks/a")
        );
        assert_eq!(all(&document("3.1.0"))[0].schema, Some(schema), "which is left as it is");
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
            let refusal = read(text.as_bytes()).map(drop).expect_err(text);
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
        assert!(read(text.as_bytes()).map(drop).expect_err("a bomb").reason.contains("not YAML"));
    }
}
