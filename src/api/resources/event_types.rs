//! The catalogue: what a provider's events are called and look like; its dialect's, and what it added.

mod import;
mod openapi;

use std::sync::Arc;

use http::StatusCode;
use serde_json::value::RawValue;

use crate::api::document::event_type as document;
use crate::api::request::context::{self, Context};
use crate::api::request::cursor;
use crate::api::request::params::{Form, Query};
use crate::api::response::page::{Frame, Listed, documents, page};
use crate::api::response::problem::Problem;
use crate::api::response::reply::Reply;
use crate::api::response::wrong::Wrong;
use crate::domain::dialect::EventType;
use crate::domain::json::Kind;
use crate::domain::schema::Schema;
use crate::domain::webhook::pattern::check_type_name;
use crate::store::Denied;

pub(crate) use import::import;

/// `GET /v1/event-types`: the dialect's in the order of its file, then the provider's own by name.
pub(crate) async fn list(context: &Context<'_>) -> Result<Reply, Problem> {
    let mut query = context.query(&["limit", "cursor"]);
    let (limit, start) = (query.limit(), start(&mut query));
    query.finish()?;
    let dialect = context.dialect().clone();
    let numbers = (start..dialect.event_types.len()).take(limit + 1).collect();
    let rows = Listed::new(
        numbers,
        limit,
        |number: &usize| (number + 1).to_string(),
        documents(move |number: &usize| Ok(document(&dialect.event_types[*number]))),
    );
    page(context, Frame::new(context.dialect()), rows).await
}

/// `GET /v1/event-types/{name}`
pub(crate) fn show(context: &Context<'_>) -> Result<Reply, Problem> {
    let known = context.dialect().event_type(context.id).ok_or(Denied::NoEventType)?;
    Ok(context::document(StatusCode::OK, context.dialect(), &document(known)))
}

/// `PUT /v1/event-types/{name}`: adds an event type, or says anew what a known one looks like.
pub(crate) async fn put(context: &Context<'_>) -> Result<Reply, Problem> {
    let event_type = read(context).await?;
    let is_known = context.dialect().event_type(&event_type.name).is_some();
    context.commands().put_event_type(&context.caller.provider.name, event_type.clone()).await?;
    let status = if is_known { StatusCode::OK } else { StatusCode::CREATED };
    Ok(context::document(status, context.dialect(), &document(&event_type)))
}

/// `DELETE /v1/event-types/{name}`: takes away what the provider added. Of a type that its dialect has, the dialect's words stand
/// again; that type itself is the dialect's. Who subscribes to a type that is gone gets it as before, as with other senders: what
/// the catalogue says is for who subscribes next.
pub(crate) async fn delete(context: &Context<'_>) -> Result<Reply, Problem> {
    let (provider, name) = (&context.caller.provider.name, context.id);
    match context.commands().drop_event_type(provider, name).await {
        Err(Denied::NoEventType) if context.dialect().event_type(name).is_some() => Err(Problem::Conflict(format!(
            "the event type `{name}` belongs to the dialect `{}`; what can be deleted is what this provider added",
            context.dialect().name
        ))),
        dropped => Ok(dropped.map(|()| Reply::no_content())?),
    }
}

async fn read(context: &Context<'_>) -> Result<EventType, Problem> {
    let mut form = Form::read(&context.body, &["description", "example", "version", "schema", "deprecated"])?;
    if let Err(reason) = check_type_name(context.id) {
        form.note_at(Wrong::new("", reason));
    }
    let description = form.text("description").unwrap_or_default();
    if description.chars().count() > DESCRIPTION_CHARS_MAX {
        form.note("description", format!("is longer than {DESCRIPTION_CHARS_MAX} characters"));
    }
    let example = form.member("example").map_or(NO_EXAMPLE, |field| field.raw);
    if example.len() > EXAMPLE_BYTES_MAX {
        form.note("example", format!("is {} bytes long; at most {EXAMPLE_BYTES_MAX} are kept", example.len()));
    }
    if let Err(refusal) = context.dialect().body.data(example.as_bytes()) {
        form.note_at(Wrong::new(refusal.inside("example").pointer, "cannot be printed in this dialect"));
    }
    let version = form.member("version").map_or("0", |field| field.raw);
    let version = version.parse().unwrap_or_else(|_| {
        form.note("version", "is not an integer");
        0
    });
    let schema = match form.member("schema").filter(|field| field.kind != Kind::Null).map(|field| field.raw.to_owned()) {
        None => None,
        Some(text) => match context::aside(move || Schema::parse(&text)).await? {
            Ok(schema) => Some(Arc::new(schema)),
            Err(refusal) => {
                form.note_at(Wrong::inside("schema", refusal));
                None
            }
        },
    };
    let deprecated = form.boolean("deprecated").unwrap_or_default();
    form.finish()?;
    let (name, description, example) = (context.id.into(), description.into(), example.into());
    Ok(EventType { name, description, example, ours: false, version, schema, deprecated })
}

/// A place in the list; what is added behind it does not move it.
fn start(query: &mut Query) -> usize {
    cursor::read_from(query, |text| text.parse().ok()).unwrap_or(0)
}

fn document(event_type: &EventType) -> document::EventType {
    // What is kept was checked as JSON when it came in.
    let raw = |text: &str| RawValue::from_string(text.to_owned()).unwrap_or_default();
    document::EventType {
        name: event_type.name.to_string(),
        description: event_type.description.to_string(),
        version: event_type.version,
        example: raw(&event_type.example),
        ours: event_type.ours,
        schema: event_type.schema.as_ref().map(|schema| raw(schema.text())),
        deprecated: event_type.deprecated,
    }
}

const DESCRIPTION_CHARS_MAX: usize = 1_024;

/// Of an example: it shows what an event looks like, and stays in memory.
const EXAMPLE_BYTES_MAX: usize = 16 << 10;

/// Of an event type that nobody gave an example for.
const NO_EXAMPLE: &str = "{}";
