//! Holds the committed document to what is made, and to what it should be.

use std::fs;

use serde::Serialize as _;
use serde_json::ser::{PrettyFormatter, Serializer};

use super::*;
use crate::domain::webhook::settings::NAMES;

#[test]
fn the_committed_document_is_what_is_made() {
    let made = printed(&document());
    if std::env::var_os("HOOKWHEEL_WRITE_OPENAPI").is_some() {
        fs::write(PATH, &made).expect("the file can be written");
    }
    let committed = fs::read_to_string(PATH).unwrap_or_default();
    let differing = made.lines().zip(committed.lines()).find(|(made, committed)| made != committed);
    let how = "write it anew: HOOKWHEEL_WRITE_OPENAPI=1 cargo test --lib description";
    assert!(made == committed, "packaging/openapi.json is not what the types and routes say, first at {differing:?}; {how}");
}

#[test]
fn every_call_is_described() {
    for route in ROUTES {
        let call = format!("{} {}", route.verb.name(), route.path);
        let operation = described(route.call);
        let operation =
            operation.unwrap_or_else(|| panic!("{call} is not described: give it an arm in src/api/description/calls.rs"));
        assert!(!operation.answers.is_empty(), "{call} has no answer in src/api/description/calls.rs");
        let example = example(operation.id);
        let shown = |what: &str| example.get(what).is_some();
        let add = format!("add `{}` to src/api/description/examples.json", operation.id);
        assert!(shown("request") || operation.body.is_none(), "{call} has no example of its body: {add} with a `request`");
        let is_json = operation.answers[0].content.iter().any(|(_, content)| matches!(content, Content::Form(_)));
        assert!(shown("answer") || !is_json, "{call} has no example of its answer: {add} with an `answer`");
    }
}

#[test]
fn every_example_belongs_to_a_call() {
    let ids: Vec<&str> = ROUTES.iter().filter_map(|route| Some(described(route.call)?.id)).collect();
    for (at, id) in ids.iter().enumerate() {
        assert!(!ids[..at].contains(id), "two calls have the id {id}");
    }
    for id in examples().keys() {
        assert!(ids.contains(&id.as_str()), "no call has the id {id}, which is in examples.json");
    }
}

#[test]
fn every_example_is_as_its_schema_says() {
    let document = document();
    for (path, method, operation) in operations(&document) {
        let body = &operation["requestBody"]["content"];
        let answers = operation["responses"].as_object().into_iter().flatten().map(|(_, response)| &response["content"]);
        for content in std::iter::once(body).chain(answers) {
            let json = &content["application/json"];
            let Some(example) = json.get("example") else { continue };
            let faults = faults(&document, &json["schema"], example);
            assert!(faults.is_empty(), "the example of {method} {path} in examples.json: {faults:?}");
        }
    }
}

#[test]
fn every_setting_of_a_webhook_is_described() {
    let document = document();
    for schema in ["NewWebhook", "WebhookChanges", "Webhook", "WebhookOfTenant"] {
        let members = &document["components"]["schemas"][schema]["properties"];
        for name in NAMES {
            assert!(
                members.get(*name).is_some(),
                "{schema} lacks `{name}`: add it to `Settings` in src/api/description/bodies.rs"
            );
        }
    }
}

/// The document as it is committed: with each member on a line of its own, so that a change is seen, and no more white space.
fn printed(document: &Value) -> String {
    let mut text = Vec::new();
    let mut printer = Serializer::with_formatter(&mut text, PrettyFormatter::with_indent(b" "));
    document.serialize(&mut printer).expect("JSON can be printed");
    text.push(b'\n');
    String::from_utf8(text).expect("JSON is UTF-8")
}

/// What of a value is not as a schema says, which may not have members that the schema does not name.
fn faults(document: &Value, schema: &Value, value: &Value) -> Vec<String> {
    let mut root = schema.clone();
    root["components"] = closed(document["components"].clone());
    let validator = jsonschema::draft202012::new(&root).expect("a schema");
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The schemas with every object closed that lists its members.
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

fn operations(document: &Value) -> impl Iterator<Item = (&str, &str, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    })
}

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/openapi.json");
