//! The description of the API and the API know the same: parameters, members of bodies, and problems. What answers look like,
//! every test checks that asks the service (`tests/it/harness/client/described.rs`).

mod calls;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[tokio::test]
async fn the_service_shows_the_committed_description() {
    let service = Service::start(&Config::quick()).await;
    let shown = service.stranger().get("/openapi.json").await;
    assert_eq!(shown.headers["content-type"], "application/json");
    assert_eq!(shown.expect(200), description());
}

#[test]
fn the_description_is_valid_openapi() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(root.join("target/venv/bin/openapi-spec-validator"));
    let output = command.arg(root.join("packaging/openapi.json")).output().expect("tests/install brings it");
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && said.contains(": OK"), "{said}");
}

/// A call says in a 422 which parameters or members it knows, so it can be asked.
#[tokio::test]
async fn calls_take_the_parameters_and_members_that_are_described() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick().provider("deck", "deck").tenant("one")).await;
    let webhook = service.acme().subscribe(&receiver.url("/"), &["*"]).await;
    let event = service.acme().publish_new("a.b").await;
    let delivery = service.acme().deliveries_of(&event).await[0]["id"].as_str().expect("an id").to_owned();
    let of = |target| service.admin().with_header("hookwheel-tenant", target);
    // Only some dialects have connections.
    let (shop, deck) = (of("shop/acme"), of("deck/one"));
    let mut differing = Vec::new();
    for (path, method, operation) in operations(&description()) {
        let (taken, members) = (parameters(&operation), members(&operation));
        let at = path.replace("{provider}", "shop");
        let at = match path.as_str() {
            path if path.starts_with("/v1/admin/providers/") => at.replace("{id}", "shop"),
            path if path.starts_with("/v1/admin/tenants/") => at.replace("{id}", "acme"),
            path if path.starts_with("/v1/webhooks/") => at.replace("{id}", &webhook),
            path if path.starts_with("/v1/events/") => at.replace("{id}", &event),
            path if path.starts_with("/v1/deliveries/") => at.replace("{id}", &delivery),
            _ => at.replace("{id}", "a.b"),
        };
        let body = if members.is_some() { json!({ ODD: 1 }).to_string() } else { String::new() };
        let query = if taken.is_empty() { String::new() } else { format!("?{ODD}=1") };
        let method = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
        let admin = if path.starts_with("/v1/connections") { &deck } else { &shop };
        if !taken.is_empty() {
            let answer = admin.send(method.clone(), &format!("{at}{query}"), JSON, Bytes::from(body.clone())).await;
            let knows = known(&answer.json(), &format!("?{ODD}"));
            if knows != Some(taken.clone()) {
                differing.push(format!("{method} {path} takes {knows:?} and is described with {taken:?}"));
            }
        }
        if let Some(members) = members {
            let answer = admin.send(method.clone(), &at, JSON, body.into()).await;
            let knows = known(&answer.json(), &format!("/{ODD}"));
            if knows != Some(members.clone()) {
                differing.push(format!("{method} {path} takes {knows:?} and is described with {members:?}: {}", answer.text()));
            }
        }
    }
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

/// The names that a problem says are known at a pointer.
fn known(problem: &Value, pointer: &str) -> Option<BTreeSet<String>> {
    let errors = problem["errors"].as_array()?;
    let detail = errors.iter().find(|error| error["pointer"] == pointer)?["detail"].as_str()?;
    if detail.contains("nothing is taken") {
        return Some(BTreeSet::new());
    }
    let names = detail.split_once("there are ")?.1;
    Some(names.split(", ").map(|name| name.trim_end_matches(".*").to_owned()).collect())
}

fn parameters(operation: &Value) -> BTreeSet<String> {
    let all = operation["parameters"].as_array().into_iter().flatten();
    let of_query = all.filter(|parameter| parameter["in"] == "query");
    of_query.map(|parameter| parameter["name"].as_str().expect("a name").to_owned()).collect()
}

/// The members of the body, if the call takes an object of known members.
fn members(operation: &Value) -> Option<BTreeSet<String>> {
    let schema = &operation["requestBody"]["content"][JSON]["schema"];
    let name = schema["$ref"].as_str()?.rsplit('/').next()?;
    let schema = &description()["components"]["schemas"][name];
    if schema.get("properties").is_none() && schema["additionalProperties"] != false {
        return None;
    }
    Some(schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect())
}

fn operations(description: &Value) -> Vec<(String, String, Value)> {
    let paths = description["paths"].as_object().expect("paths").iter();
    let all = paths.flat_map(|(path, methods)| {
        let methods = methods.as_object().expect("methods").iter();
        methods.map(move |(method, operation)| (path.clone(), method.clone(), operation.clone()))
    });
    all.collect()
}

fn description() -> Value {
    let text = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/packaging/openapi.json"));
    serde_json::from_str(text).expect("JSON")
}

/// Far from every known name, so that no near one is guessed.
const ODD: &str = "qqqqqqqqqqqqqqqq";
const JSON: &str = "application/json";
