//! The OpenAPI 3.1 description of the API, made of the table of routes and of the types of what the API takes and answers.
//!
//! It is made in tests alone. The text is committed as `packaging/openapi.json`, the binary holds that text, and a test here holds it
//! equal to what is made. `HOOKWHEEL_WRITE_OPENAPI=1 cargo test --lib description` writes it anew.
//!
//! `calls.rs` says what each call takes and answers, `bodies.rs` and `answers.rs` have the types that `document` does not have, and
//! `examples.json` shows each once.

mod answers;
pub(in crate::api) mod bodies;
mod calls;
mod operation;
mod problems;
mod schemas;

use serde_json::{Map, Value, json};

use self::calls::described;
use self::operation::{Answer, Content, Operation, Parameter, Tag};
use self::schemas::Schemas;
use crate::api::request::route::{Need, ROUTES, Route, Verb};

/// The whole document.
fn document() -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for route in ROUTES {
        let Some(operation) = described(route.call) else { continue };
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.verb.name().to_lowercase()] = of_route(route, &operation, &mut schemas);
    }
    let responses = problems::responses(&mut schemas);
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "hookwheel",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": env!("CARGO_PKG_DESCRIPTION"),
            "description": ABOUT,
            "license": {"name": env!("CARGO_PKG_LICENSE")},
        },
        "servers": [{"url": "/"}],
        "security": [{"bearer": []}, {"apiKey": []}],
        "tags": Tag::ALL.map(|tag| json!({"name": tag.name(), "description": tag.about()})),
        "paths": paths,
        "components": {
            "schemas": schemas.finish(),
            "responses": responses,
            "parameters": {"Target": target()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "`Authorization: Bearer KEY`"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
            },
        },
    })
}

fn of_route(route: &Route, operation: &Operation, schemas: &mut Schemas) -> Value {
    let example = example(operation.id);
    let mut shown = json!({
        "operationId": operation.id,
        "tags": [operation.tag.name()],
        "summary": operation.summary,
        "description": about(route, operation),
        "parameters": parameters(route, operation),
        "responses": responses(route, operation, &example, schemas),
    });
    if route.need == Need::Open {
        shown["security"] = json!([]);
    }
    if let Some(body) = &operation.body {
        let mut content = Map::from_iter([(operation::JSON.to_owned(), json!({"schema": schemas.taken(body.form)}))]);
        content.extend(body.also.iter().map(|(media_type, schema)| ((*media_type).to_owned(), json!({"schema": schema}))));
        if let Some(request) = example.get("request") {
            content[operation::JSON]["example"] = request.clone();
        }
        shown["requestBody"] = json!({"required": body.required, "content": content});
    }
    shown
}

/// What is said of the call, and what it needs.
fn about(route: &Route, operation: &Operation) -> String {
    let parts = [operation.more, need(route.need)];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

fn parameters(route: &Route, operation: &Operation) -> Vec<Value> {
    let of_path = path_parameters(route.path).map(|name| {
        let about = about_path(name, operation.tag);
        json!({"name": name, "in": "path", "required": true, "description": about, "schema": {"type": "string", "minLength": 1}})
    });
    let others = operation.parameters.iter().map(
        |Parameter { place, name, about, schema }| json!({"name": name, "in": place, "description": about, "schema": schema}),
    );
    let target = names_a_target(route.need).then(|| json!({"$ref": "#/components/parameters/Target"}));
    of_path.chain(others).chain(target).collect()
}

fn path_parameters(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
}

fn about_path(name: &str, tag: Tag) -> &'static str {
    match (name, tag) {
        ("provider", _) => "The provider's name.",
        (_, Tag::EventTypes) => "The event type's name.",
        (_, Tag::Connections) => "The connection's id, which its publisher chose.",
        (_, Tag::Admin) => "The id, or for a key also its name.",
        _ => "The id.",
    }
}

fn responses(route: &Route, operation: &Operation, example: &Value, schemas: &mut Schemas) -> Value {
    let mut all = Map::new();
    for status in statuses_of_problems(route, operation) {
        all.insert(status.to_string(), json!({"$ref": format!("#/components/responses/{status}")}));
    }
    for (at, answer) in operation.answers.iter().enumerate() {
        let mut shown = json!({"description": answer.about});
        if !answer.content.is_empty() {
            shown["content"] = content(answer, example.get("answer").filter(|_| at == 0), schemas);
        }
        all.insert(answer.status.to_string(), shown);
    }
    Value::Object(all)
}

fn content(answer: &Answer, example: Option<&Value>, schemas: &mut Schemas) -> Value {
    let mut all = Map::new();
    for (media_type, content) in &answer.content {
        let schema = match content {
            Content::Form(form) => schemas.answered(*form),
            Content::Text => json!({"type": "string"}),
        };
        let known = all.remove(*media_type).map(|mut known: Value| known["schema"].take());
        let schema = known.map_or(schema.clone(), |known| json!({"anyOf": [known, schema]}));
        let mut shown = json!({"schema": schema});
        if let (Some(example), Content::Form(_)) = (example, content) {
            shown["example"] = example.clone();
        }
        all.insert((*media_type).to_owned(), shown);
    }
    Value::Object(all)
}

/// The problems that the call may be answered with.
fn statuses_of_problems(route: &Route, operation: &Operation) -> Vec<u16> {
    let of_all: &[u16] = if route.need == Need::Open { &[] } else { &[400, 401, 403, 404, 429, 500, 503] };
    let of_method: &[u16] = match route.verb {
        Verb::Get => &[],
        Verb::Delete => &[408, 413],
        Verb::Post | Verb::Put | Verb::Patch => &[408, 413, 415],
    };
    let of_body: &[u16] = if operation.body.is_some() { &[422] } else { &[] };
    let of_query: &[u16] = if operation.parameters.is_empty() { &[] } else { &[422] };
    [of_all, of_method, of_body, of_query, &operation.refusals].concat()
}

/// What the caller must be, in words.
fn need(need: Need) -> &'static str {
    match need {
        Need::Open => "",
        Need::Publish => "Needs a key with the scope `publish`.",
        Need::Read => "Needs a key with the scope `read` or `manage`.",
        Need::Manage => "Needs a key with the scope `manage`.",
        Need::ReadCatalogue => "Needs a provider's key, or a tenant's key with the scope `read` or `manage`.",
        Need::Catalogue => "Needs a provider's or an operator's key.",
        Need::ReadTenants => "Needs an operator's key, or a provider's key with the scope `read` or `manage`.",
        Need::ManageTenants => "Needs an operator's key, or a provider's key with the scope `manage`.",
        Need::Operator => "Needs an operator's key, or the admin socket.",
        Need::Metrics => "Needs an operator's key, the admin socket, or an address in `[server] metrics_allow`.",
        Need::AdminSocket => "Only at the admin socket.",
    }
}

fn names_a_target(need: Need) -> bool {
    !matches!(need, Need::Open | Need::Metrics)
}

fn target() -> Value {
    json!({
        "name": "Hookwheel-Tenant",
        "in": "header",
        "description": "Whom the call is about, as `PROVIDER/TENANT`, or `PROVIDER/*` for all of a provider. Operators name a tenant so, and \
                        providers one of theirs; a tenant's key needs none.",
        "schema": {"type": "string", "pattern": TARGET_PATTERN},
    })
}

/// The example of a call: its `request` and its `answer`, where it has them.
fn example(id: &str) -> Value {
    examples().get(id).cloned().unwrap_or_default()
}

fn examples() -> Map<String, Value> {
    serde_json::from_str(include_str!("examples.json")).expect("examples.json is a JSON object")
}

const TARGET_PATTERN: &str = r"^[A-Za-z0-9_-]{1,64}/([A-Za-z0-9_.-]{1,256}|\*)$";

const ABOUT: &str = "\
A webhook relay: applications publish events, and hookwheel keeps each on disk, signs it and POSTs it to every webhook that subscribes, \
until that has answered or the schedule is spent.

Every call over the network has a key, but for health and documentation. Errors are `application/problem+json` (RFC 9457), whose `type` is \
the address of a page with cause and remedy. Lists take `limit` and `cursor` and answer `data` and `next`. Times are RFC 3339 in UTC.

A provider's dialect says how its webhooks look in answers: which members they show, and whether an answer stands inside of a further \
member (`wrap`). Members that are not described here may be added at any time; a reader passes over what it does not know.";

#[cfg(test)]
mod tests;
