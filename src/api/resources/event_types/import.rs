//! `POST /v1/event-types/import`: puts the webhooks of an OpenAPI document into a provider's catalogue.

use std::borrow::Cow;
use std::sync::Arc;

use http::StatusCode;
use serde_json::Value;

use super::openapi::{Described, Document};
use super::{DESCRIPTION_CHARS_MAX, EXAMPLE_BYTES_MAX, NO_EXAMPLE};
use crate::api::document::event_type::Imported;
use crate::api::request::context::{self, Context};
use crate::api::request::params::WRONG_MAX;
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::response::wrong::Wrong;
use crate::domain::dialect::{Dialect, EventType};
use crate::domain::refusal::Refusal;
use crate::domain::schema::Schema;
use crate::domain::webhook::pattern::check_type_name;
use crate::store::CATALOGUE_BYTES_MAX;

/// Adds and changes event types as the document says, and leaves all others. When anything in the document cannot be taken, nothing
/// is changed. When the catalogue becomes full on the way, what was put before stays. One import is at work at a time, since each
/// needs several times the memory of its document; others wait.
pub(crate) async fn import(context: &Context<'_>) -> Result<Reply, Problem> {
    let (body, dialect) = (context.body.clone(), context.dialect().clone());
    let turn = context.api.importing.clone().lock_owned().await;
    // The work goes on when the client leaves. So it holds the turn itself.
    let (read, _turn) = context::aside(move || (read(&body, &dialect), turn)).await?;
    let types = read.map_err(|refusals| Problem::Fields(refusals.into_iter().map(told).collect()))?;
    let mut imported = Imported::default();
    for event_type in types {
        let name = event_type.name.to_string();
        match context.dialect().event_type(&name) {
            Some(known) if is_same(known, &event_type) => imported.left.push(name),
            known => {
                let list = if known.is_some() { &mut imported.changed } else { &mut imported.added };
                context.commands().put_event_type(&context.caller.provider.name, event_type).await?;
                list.push(name);
            }
        }
    }
    Ok(context::document(StatusCode::OK, context.dialect(), &imported))
}

fn told(refusal: Refusal) -> Wrong {
    Wrong::new(refusal.pointer, refusal.reason)
}

/// Whether an import would change nothing. A type of the dialect counts as the same although its example may be ours.
fn is_same(known: &EventType, read: &EventType) -> bool {
    *known == EventType { ours: known.ours, ..read.clone() }
}

/// Reads the event types of a document. Fails with everything that is wrong, and as soon as the event types are together longer than
/// [`CATALOGUE_BYTES_MAX`]: all webhooks may refer to one large schema, and each gets its own copy.
fn read(document: &[u8], dialect: &Dialect) -> Result<Vec<EventType>, Vec<Refusal>> {
    let document = Document::read(document).map_err(|refusal| vec![refusal])?;
    let (mut types, mut refusals, mut bytes) = (Vec::new(), Vec::new(), 0);
    for webhook in document.webhooks() {
        match webhook.and_then(|webhook| event_type(&webhook, dialect, &mut bytes)) {
            Ok(event_type) => types.push(event_type),
            Err(refusal) => refusals.push(refusal),
        }
        if refusals.len() == WRONG_MAX || bytes > CATALOGUE_BYTES_MAX {
            break;
        }
    }
    if refusals.is_empty() { Ok(types) } else { Err(refusals) }
}

/// Makes an event type of a webhook, and adds its length to `bytes`. Fails when that exceeds [`CATALOGUE_BYTES_MAX`].
fn event_type(webhook: &Described<'_>, dialect: &Dialect, bytes: &mut usize) -> Result<EventType, Refusal> {
    let event_type = described(webhook, dialect).map_err(|reason| Refusal::new(&*webhook.pointer, reason))?;
    *bytes += event_type.bytes();
    if *bytes > CATALOGUE_BYTES_MAX {
        let most = CATALOGUE_BYTES_MAX >> 20;
        let reason = format!("with it, the event types of the document are longer than the {most} MiB that a catalogue may have");
        return Err(Refusal::new(&*webhook.pointer, reason));
    }
    Ok(event_type)
}

/// The event type that a webhook describes. Its version stays as it is, since a document has none.
fn described(webhook: &Described<'_>, dialect: &Dialect) -> Result<EventType, Cow<'static, str>> {
    check_type_name(webhook.name)?;
    let schema = webhook.schema.as_ref().map(schema).transpose()?;
    let example = webhook.example.map_or_else(|| Ok(NO_EXAMPLE.into()), example)?;
    if let Err(refusal) = dialect.body.data(example.as_bytes()) {
        return Err(format!("its example cannot be printed in this dialect, at `{}`", refusal.pointer).into());
    }
    Ok(EventType {
        description: webhook.description.chars().take(DESCRIPTION_CHARS_MAX).collect::<String>().into(),
        example: example.into(),
        ours: false,
        version: dialect.event_type(webhook.name).map_or(0, |known| known.version),
        schema,
        deprecated: webhook.deprecated,
        name: webhook.name.into(),
    })
}

/// Keeps the text of a schema that can be compiled, and not what it compiles to: that is far larger, and an import has many.
fn schema(schema: &Value) -> Result<Arc<Schema>, String> {
    let text = schema.to_string();
    match Schema::parse(&text) {
        Ok(_) => Ok(Arc::new(Schema::from_stored(text.into()))),
        Err(refusal) => Err(format!("its schema, at `{}`: {}", refusal.pointer, refusal.reason)),
    }
}

/// The text of an example. No more of it is written than is kept.
fn example(example: &Value) -> Result<String, String> {
    let mut text = vec![0; EXAMPLE_BYTES_MAX];
    let mut left = &mut text[..];
    let written = serde_json::to_writer(&mut left, example);
    let length = EXAMPLE_BYTES_MAX - left.len();
    text.truncate(length);
    let text = written.ok().and_then(|()| String::from_utf8(text).ok());
    text.ok_or_else(|| format!("its example is longer than the {EXAMPLE_BYTES_MAX} bytes that are kept"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::request::settings::fixture;
    use crate::domain::template::Numbers;

    fn read_all(webhooks: &Value) -> Result<Vec<EventType>, Vec<Refusal>> {
        let known = EventType { name: "a.b".into(), version: 7, ..EventType::default() };
        let plain = Dialect { event_types: vec![known].into(), ..fixture::dialect("$data", Numbers::Ecmascript) };
        read(json!({ "openapi": "3.1.0", "webhooks": webhooks }).to_string().as_bytes(), &plain)
    }

    fn webhook(media: &Value) -> Value {
        json!({ "post": { "requestBody": { "content": { "application/json": media } } } })
    }

    #[test]
    fn a_known_type_keeps_its_version_and_a_new_one_has_0() {
        let read = read_all(&json!({ "a.b": webhook(&json!({})), "c": webhook(&json!({})) })).expect("a document");
        assert_eq!(
            read.iter().map(|read| (&*read.name, read.version, &*read.example)).collect::<Vec<_>>(),
            [("a.b", 7, "{}"), ("c", 0, "{}")]
        );
    }

    #[test]
    fn everything_that_cannot_be_taken_is_told() {
        let refusals = read_all(&json!({
            "a*": webhook(&json!({})),
            "b": webhook(&json!({ "schema": { "type": "nil" } })),
            "c": webhook(&json!({ "example": "x".repeat(EXAMPLE_BYTES_MAX) })),
            "d": webhook(&json!({ "example": { "n": 12_345_678_901_234_567_890_u64 } })),
            "e/f": webhook(&json!({ "schema": { "$ref": "https://example.com/" } })),
        }));
        let refusals = refusals.expect_err("nothing is right");
        let pointers: Vec<_> = refusals.iter().map(|refusal| refusal.pointer.as_str()).collect();
        assert_eq!(pointers, ["/webhooks/a*", "/webhooks/b", "/webhooks/c", "/webhooks/d", "/webhooks/e~1f"]);
        assert!(refusals[1].reason.contains("`/type`") && refusals[4].reason.contains("begins with #"), "{refusals:?}");
    }

    #[test]
    fn what_would_not_change_is_the_same() {
        let read = read_all(&json!({ "c": webhook(&json!({ "schema": { "type": "object" }, "example": { "a": 1 } })) }))
            .expect("a document");
        assert!(is_same(&EventType { ours: true, ..read[0].clone() }, &read[0]));
        assert!(!is_same(&EventType { deprecated: true, ..read[0].clone() }, &read[0]));
        assert!(!is_same(&EventType { schema: None, ..read[0].clone() }, &read[0]));
    }

    /// An import of webhooks that all have the schema at `references`, which is `bytes` long.
    fn read_sharing(webhooks: usize, references: &[String], bytes: usize) -> Result<Vec<EventType>, Vec<Refusal>> {
        let parts: Vec<_> = references.iter().map(|reference| json!({ "$ref": reference })).collect();
        let item = webhook(&json!({ "schema": { "prefixItems": parts } }));
        let all: serde_json::Map<_, _> = (0..webhooks).map(|at| (format!("w{at:05}"), item.clone())).collect();
        let shared = json!({ "description": "x".repeat(bytes) });
        let document = json!({ "openapi": "3.1.0", "webhooks": all, "components": { "aaaaaaaa": shared } });
        read(document.to_string().as_bytes(), &fixture::dialect("$data", Numbers::Ecmascript))
    }

    /// A schema of 200 KiB would be copied 300 times, which is 60 MB made of a document of 250 KB.
    #[test]
    fn copies_of_one_schema_end_at_the_catalogue_bound() {
        let bytes = 200 << 10;
        let refusals =
            read_sharing(300, &["#/components/aaaaaaaa".to_owned()], bytes).map(|read| read.len()).expect_err("too much");
        let [refusal] = &refusals[..] else { panic!("{refusals:?}") };
        let copies = (4 << 20) / bytes;
        assert_eq!(refusal.pointer, format!("/webhooks/w{copies:05}"), "{refusal:?}");
        assert!(refusal.reason.contains("4 MiB"), "{refusal:?}");
    }

    #[test]
    fn all_spellings_of_one_reference_share_a_copy() {
        let spelled = |bits: usize| (0..8).map(|bit| if bits >> bit & 1 == 0 { "a" } else { "%61" }).collect::<String>();
        let references: Vec<_> = (0..256).map(|bits| format!("#/components/{}", spelled(bits))).collect();
        let read = read_sharing(1, &references, 10 << 10).expect("one copy is short enough");
        let text = read[0].schema.as_ref().expect("a schema").text();
        assert_eq!(text.matches("\"description\"").count(), 1);
        assert_eq!(text.matches("#/$defs/schema0\"").count(), 256);
    }

    #[test]
    fn a_document_with_more_webhooks_than_a_catalogue_is_refused() {
        let all = |count: usize| (0..count).map(|at| (format!("w{at}"), webhook(&json!({})))).collect::<serde_json::Map<_, _>>();
        assert_eq!(read_all(&all(4_096).into()).map(|read| read.len()), Ok(4_096));
        let refusals = read_all(&all(4_097).into()).map(|read| read.len()).expect_err("too many");
        assert_eq!(refusals.len(), 1);
        assert!(refusals[0].pointer == "/webhooks" && refusals[0].reason.contains("4096"), "{refusals:?}");
    }
}
