//! `POST /v1/event-types/import`: puts the webhooks of an OpenAPI document into a provider's catalogue.

use std::sync::Arc;

use http::StatusCode;

use super::openapi::{self, Described};
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

/// Adds and changes event types as the document says, and leaves all others. When anything in the document cannot be taken, nothing
/// is changed. When the catalogue becomes full on the way, what was put before stays.
pub(crate) async fn import(context: &Context<'_>) -> Result<Reply, Problem> {
    let (body, dialect) = (context.body.clone(), context.dialect().clone());
    let read = context::aside(move || read(&body, &dialect)).await?;
    let types = read.map_err(|refusals| Problem::Fields(refusals.into_iter().map(told).collect()))?;
    let mut imported = Imported::default();
    for event_type in types {
        let name = event_type.name.to_string();
        match context.dialect().event_type(&name) {
            Some(known) if is_same(known, &event_type) => imported.left.push(name),
            known => {
                let list = if known.is_some() { &mut imported.changed } else { &mut imported.added };
                context.api.store.put_event_type(&context.caller.provider.name, event_type).await?;
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

/// Reads the event types of a document. Fails with everything that is wrong.
fn read(document: &[u8], dialect: &Dialect) -> Result<Vec<EventType>, Vec<Refusal>> {
    let described = openapi::read(document).map_err(|refusal| vec![refusal])?;
    let (mut types, mut refusals) = (Vec::new(), Vec::new());
    for webhook in described {
        match event_type(webhook, dialect) {
            Ok(event_type) => types.push(event_type),
            Err(refusal) => refusals.push(refusal),
        }
        if refusals.len() == WRONG_MAX {
            break;
        }
    }
    if refusals.is_empty() { Ok(types) } else { Err(refusals) }
}

/// Makes an event type of a webhook. Its version stays as it is, since a document has none.
fn event_type(webhook: Described, dialect: &Dialect) -> Result<EventType, Refusal> {
    let at = |inner: &str| format!("{}{inner}", webhook.pointer);
    check_type_name(&webhook.name).map_err(|reason| Refusal::new(at(""), reason))?;
    let schema = match &webhook.schema {
        None => None,
        Some(schema) => {
            let schema = Schema::parse(&schema.to_string());
            let schema = schema
                .map_err(|refusal| Refusal::new(at(""), format!("its schema, at `{}`: {}", refusal.pointer, refusal.reason)))?;
            Some(Arc::new(schema))
        }
    };
    let example = webhook.example.as_ref().map_or_else(|| NO_EXAMPLE.into(), ToString::to_string);
    if example.len() > EXAMPLE_BYTES_MAX {
        return Err(Refusal::new(
            at(""),
            format!("its example is {} bytes long; at most {EXAMPLE_BYTES_MAX} are kept", example.len()),
        ));
    }
    if let Err(refusal) = dialect.body.data(example.as_bytes()) {
        return Err(Refusal::new(at(""), format!("its example cannot be printed in this dialect, at `{}`", refusal.pointer)));
    }
    Ok(EventType {
        description: webhook.description.chars().take(DESCRIPTION_CHARS_MAX).collect::<String>().into(),
        example: example.into(),
        ours: false,
        version: dialect.event_type(&webhook.name).map_or(0, |known| known.version),
        schema,
        deprecated: webhook.deprecated,
        name: webhook.name.into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

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
}
