//! Holds every answer that a test sees against the description of the API, so that a status or member that is not described fails
//! the test that met it.

use std::collections::HashMap;
use std::sync::LazyLock;

use http::Method;
use jsonschema::Validator;
use serde_json::Value;

use super::Answer;

/// Panics when the description does not have the answer to a call. Answers to what is no call are problems.
#[track_caller]
pub(super) fn check(method: &Method, path: &str, answer: &Answer) {
    if *method == Method::HEAD {
        return;
    }
    let path = path.split('?').next().unwrap_or_default();
    let call = format!("{} {path}", method.as_str().to_lowercase());
    let Some(operation) = DESCRIPTION.operation(method, path) else {
        assert!([400, 403, 404, 405, 415].contains(&answer.status), "{call} is not described, and is answered {}", answer.status);
        return DESCRIPTION.check_problem(&call, answer);
    };
    let of_dev = [403, 415].contains(&answer.status) && is_problem(answer);
    if of_dev || answer.status >= 400 && answer.body.is_empty() {
        return;
    }
    let response = operation.responses.get(&answer.status);
    let response =
        response.unwrap_or_else(|| panic!("{call} is answered {}, which is not described: {}", answer.status, answer.text()));
    response.check(&call, answer);
}

static DESCRIPTION: LazyLock<Description> = LazyLock::new(Description::read);

/// The calls by their method and the parts of their path, and the form of problems.
struct Description {
    operations: Vec<(String, Vec<String>, Operation)>,
    problem: Validator,
}

struct Operation {
    responses: HashMap<u16, Response>,
}

/// The forms of an answer by its media type.
struct Response(HashMap<String, Validator>);

impl Description {
    fn read() -> Self {
        let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/openapi.json"));
        let document: Value = serde_json::from_str(text).expect("JSON");
        let components = closed(document["components"].clone());
        let problem = validator(&serde_json::json!({"$ref": "#/components/schemas/Problem"}), &components);
        let mut operations = Vec::new();
        for (path, methods) in document["paths"].as_object().expect("paths") {
            let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
            for (method, operation) in methods.as_object().expect("methods") {
                operations.push((method.to_uppercase(), parts.clone(), Operation::read(operation, &components)));
            }
        }
        // Of two paths that fit, the one with fewer variable parts is meant.
        operations.sort_by_key(|(_, parts, _)| parts.iter().filter(|part| part.starts_with('{')).count());
        Self { operations, problem }
    }

    fn operation(&self, method: &Method, path: &str) -> Option<&Operation> {
        let short = path.strip_prefix("/webhooks").map(|rest| format!("/v1/webhooks{rest}"));
        let given: Vec<&str> = short.as_deref().unwrap_or(path).split('/').collect();
        let fits = |parts: &[String]| {
            parts.len() == given.len()
                && parts.iter().zip(&given).all(|(part, given)| part == given || part.starts_with('{') && !given.is_empty())
        };
        let mut known = self.operations.iter().filter(|(known, parts, _)| known == method.as_str() && fits(parts));
        known.next().map(|(_, _, operation)| operation)
    }

    #[track_caller]
    fn check_problem(&self, call: &str, answer: &Answer) {
        assert!(is_problem(answer), "{call} is answered {} with {:?}", answer.status, answer.headers.get("content-type"));
        valid(&self.problem, call, &answer.json());
    }
}

impl Operation {
    fn read(operation: &Value, components: &Value) -> Self {
        let responses = operation["responses"].as_object().expect("responses").iter();
        let read = |(status, response): (&String, &Value)| {
            let reference = response["$ref"].as_str().and_then(|reference| reference.strip_prefix("#/components"));
            let response = reference.and_then(|pointer| components.pointer(pointer)).unwrap_or(response);
            (status.parse().expect("a status"), Response::read(response, components))
        };
        Self { responses: responses.map(read).collect() }
    }
}

impl Response {
    fn read(response: &Value, components: &Value) -> Self {
        let content = response["content"].as_object().into_iter().flatten();
        Self(content.map(|(media_type, content)| (media_type.clone(), validator(&content["schema"], components))).collect())
    }

    #[track_caller]
    fn check(&self, call: &str, answer: &Answer) {
        if self.0.is_empty() {
            return assert!(answer.body.is_empty(), "{call} is answered {} with a body: {}", answer.status, answer.text());
        }
        let media_type = media_type(answer);
        let form = self.0.get(&media_type);
        let form =
            form.unwrap_or_else(|| panic!("{call} is answered {} with {media_type}, which is not described", answer.status));
        if media_type.ends_with("json") && !media_type.contains("ndjson") {
            // Half a surrogate pair is JSON by its grammar, and no text in Rust.
            let Ok(json) = serde_json::from_slice::<Value>(&answer.body) else { return };
            if !unwrapped(&json).is_some_and(|inner| form.is_valid(inner)) {
                valid(form, call, &json);
            }
        }
    }
}

/// What stands inside of the one member that a dialect wraps an answer in.
fn unwrapped(json: &Value) -> Option<&Value> {
    let members = json.as_object().filter(|members| members.len() == 1)?;
    members.values().next()
}

#[track_caller]
fn valid(form: &Validator, call: &str, json: &Value) {
    let faults: Vec<String> = form.iter_errors(json).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(faults.is_empty(), "{call} is answered otherwise than described: {}\n{json}", faults.join("; "));
}

fn is_problem(answer: &Answer) -> bool {
    media_type(answer) == "application/problem+json"
}

fn media_type(answer: &Answer) -> String {
    let named = answer.headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    named.split(';').next().unwrap_or_default().trim().to_owned()
}

fn validator(schema: &Value, components: &Value) -> Validator {
    let mut root = closed(schema.clone());
    root["components"] = components.clone();
    jsonschema::draft202012::new(&root).expect("a schema")
}

/// The schemas with every object closed that lists its members, so that no member goes without a description.
fn closed(mut schema: Value) -> Value {
    match &mut schema {
        Value::Object(members) => {
            members.values_mut().for_each(|value| *value = closed(value.take()));
            if members.get("properties").is_some_and(Value::is_object) && !members.contains_key("additionalProperties") {
                members.insert("unevaluatedProperties".into(), false.into());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|value| *value = closed(value.take())),
        _ => {}
    }
    schema
}
