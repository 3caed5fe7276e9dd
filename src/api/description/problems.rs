//! The answers that tell a problem, by status, with every type of problem as an example.

use serde_json::{Map, Value, json};

use super::schemas::Schemas;
use crate::api::document::problem::Problem;
use crate::docs::problem::{Page, ProblemType};

/// One response for each status that some type of problem has.
pub(super) fn responses(schemas: &mut Schemas) -> Map<String, Value> {
    let schema = schemas.answered(schemars::SchemaGenerator::subschema_for::<Problem<'_>>);
    let mut all = Map::new();
    for page in ProblemType::ALL.iter().map(|kind| kind.page()) {
        let response = all.entry(page.status.to_string()).or_insert_with(|| response(page.status, &schema));
        let title = response["description"].as_str().map_or_else(String::new, |known| format!("{known}; "));
        response["description"] = format!("{title}{}", page.title).into();
        response["content"][PROBLEM]["examples"][page.name] = json!({"summary": page.title, "value": example(page)});
    }
    all
}

fn response(status: u16, schema: &Value) -> Value {
    let mut response = json!({"content": {PROBLEM: {"schema": schema, "examples": {}}}});
    let headers = match status {
        401 => json!({"WWW-Authenticate": {"schema": {"type": "string"}}}),
        405 => json!({"Allow": {"description": "The methods that the path takes.", "schema": {"type": "string"}}}),
        429 => json!({
            "Retry-After": {"description": "In seconds.", "schema": {"type": "integer"}},
            "RateLimit": {"description": "What is left.", "schema": {"type": "string"}},
            "RateLimit-Policy": {"description": "What is allowed.", "schema": {"type": "string"}},
        }),
        503 => json!({"Retry-After": {"description": "In seconds.", "schema": {"type": "integer"}}}),
        _ => return response,
    };
    response["headers"] = headers;
    response
}

fn example(page: &Page) -> Value {
    let title = http::StatusCode::from_u16(page.status).ok().and_then(|status| status.canonical_reason());
    json!({"type": page.uri, "title": title, "status": page.status, "detail": page.cause})
}

const PROBLEM: &str = "application/problem+json";
