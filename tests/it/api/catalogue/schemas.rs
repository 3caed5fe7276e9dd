//! Schemas of event types: what they refuse, what they warn of, how they come in, and that a hostile one holds up nobody.

use std::time::{Duration, Instant};

use http::Method;
use serde_json::{Value, json};

use crate::harness::api::text;
use crate::harness::client::{Answer, Client};
use crate::harness::config::Config;
use crate::harness::service::Service;

fn config(validate: &str) -> Config {
    Config::bare().provider("s", "standard").provider_line(&format!("validate = {validate:?}")).tenant("t")
}

fn order() -> Value {
    json!({ "type": "object", "required": ["id"], "properties": { "id": { "type": "string" }, "n": { "minimum": 1 } } })
}

async fn put(client: &Client, name: &str, body: &Value) -> Answer {
    client.send(Method::PUT, &format!("/v1/event-types/{name}"), "application/json", body.to_string().into()).await
}

async fn import(client: &Client, document: &str) -> Answer {
    client.send(Method::POST, "/v1/event-types/import", "application/yaml", document.to_owned().into()).await
}

#[tokio::test]
async fn data_that_does_not_match_is_refused_with_its_pointers() {
    let mut service = Service::start(&config("refuse")).await;
    let shown = put(&service.provider("s"), "order.paid", &json!({ "schema": order(), "deprecated": true })).await.expect(201);
    assert_eq!((&shown["schema"], &shown["deprecated"]), (&order(), &json!(true)));
    for start in 0..2 {
        let tenant = service.tenant("s", "t");
        tenant.publish(&json!({ "type": "order.paid", "data": { "id": "o_1", "n": 1 } })).await.expect(202);
        let wrong = json!({ "type": "order.paid", "data": { "id": 7, "n": 0 } });
        tenant.publish(&wrong).await.problem(422, &["/data/id", "/data/n", "it is not of type"]);
        tenant.publish(&json!({ "type": "order.paid", "data": {} })).await.problem(422, &["/data", "required"]);
        tenant.publish(&json!({ "type": "other", "data": {} })).await.expect(202);
        let known = tenant.get("/v1/event-types/order.paid").await.expect(200);
        assert_eq!((&known["schema"], &known["name"]), (&order(), &json!("order.paid")), "at start {start}");
        if start == 0 {
            service.kill9();
            service.start_again().await;
        }
    }
    let all = json!((0..100).map(|_| json!(0)).collect::<Vec<_>>());
    put(&service.provider("s"), "many", &json!({ "schema": { "items": { "type": "null" } } })).await.expect(201);
    let refused = service.tenant("s", "t").publish(&json!({ "type": "many", "data": all })).await;
    assert_eq!((refused.status, refused.json()["errors"].as_array().map(Vec::len)), (422, Some(20)));
    put(&service.provider("s"), "order.paid", &json!({ "description": "No schema" })).await.expect(200);
    service.tenant("s", "t").publish(&json!({ "type": "order.paid", "data": 7 })).await.expect(202);
}

#[tokio::test]
async fn an_event_that_was_accepted_is_answered_again_whatever_a_newer_schema_says() {
    let service = Service::start(&config("refuse")).await;
    let tenant = service.tenant("s", "t");
    let event = |name: &str, value: &str| json!({ "type": "order.paid", "data": { "id": 7 }, name: value });
    let first = tenant.publish(&event("id", "o-1")).await.expect(202);
    tenant.publish(&event("uid", "u.1")).await.expect(202);
    put(&service.provider("s"), "order.paid", &json!({ "schema": order() })).await.expect(201);
    assert_eq!(tenant.publish(&event("id", "o-1")).await.expect(200), first);
    tenant.publish(&event("uid", "u.1")).await.expect(200);
    tenant.publish(&event("id", "o-2")).await.problem(422, &["/data/id", "it is not of type"]);
    let lines = format!("{}\n{}\n", event("id", "o-1"), event("id", "o-2"));
    let (_, results) = tenant.publish_lines(&lines).await;
    assert_eq!(results.iter().map(|one| &one["status"]).collect::<Vec<_>>(), [200, 422]);
    assert_eq!(results[1]["errors"][0]["pointer"], "/data/id");
}

#[tokio::test]
async fn a_line_that_does_not_match_stops_no_other() {
    let service = Service::start(&config("refuse")).await;
    put(&service.provider("s"), "order.paid", &json!({ "schema": order() })).await.expect(201);
    let lines = [r#"{"type":"order.paid","data":{"id":"a"}}"#, r#"{"type":"order.paid","data":[]}"#, r#"{"type":"b","data":[]}"#];
    let answer = service.tenant("s", "t").send(Method::POST, "/v1/events", "application/x-ndjson", lines.join("\n").into()).await;
    let results: Vec<Value> = answer.text().lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(results.iter().map(|one| &one["status"]).collect::<Vec<_>>(), [202, 422, 202]);
    assert_eq!(results[1]["errors"][0]["pointer"], "/data");
}

#[tokio::test]
async fn a_warning_is_kept_with_the_event_and_shown() {
    let mut service = Service::start(&config("warn")).await;
    put(&service.provider("s"), "order.paid", &json!({ "schema": order() })).await.expect(201);
    let tenant = service.tenant("s", "t");
    tenant.subscribe("https://example.com/", &["other"]).await;
    let told = json!([{ "pointer": "/data/id", "detail": "it is not of type \"string\"" }]);
    let published = tenant.publish(&json!({ "type": "order.paid", "data": { "id": "sesame".len() } })).await.expect(202);
    assert_eq!(published["schema_errors"], told);
    let sent = service.cli(&["send", "order.paid", "-d", "{}", "--tenant", "s/t"]).expect(0);
    assert!(sent.stderr.contains("warning: by the schema of its type, /data: \"id\" is a required property"), "{}", sent.stderr);
    let good = tenant.publish(&json!({ "type": "order.paid", "data": { "id": "o_1" } })).await.expect(202);
    service.kill9();
    service.start_again().await;
    let tenant = service.tenant("s", "t");
    let (wrong, good) = (text(&published["id"]), text(&good["id"]));
    for path in [format!("/v1/events/{wrong}"), format!("/v1/events/{wrong}/explain")] {
        assert_eq!(tenant.get(&path).await.expect(200)["schema_errors"], told, "{path}");
    }
    for path in [format!("/v1/events/{good}"), format!("/v1/events/{good}/explain")] {
        assert!(tenant.get(&path).await.expect(200).get("schema_errors").is_none(), "{path}");
    }
    assert_eq!(tenant.get("/v1/events").await.expect(200)["data"][0]["schema_errors"], told);
}

#[tokio::test]
async fn no_schema_is_asked_unless_the_provider_says_so() {
    let service = Service::start(&config("off").provider("plain", "standard").tenant("t")).await;
    for provider in ["s", "plain"] {
        put(&service.provider(provider), "order.paid", &json!({ "schema": order() })).await.expect(201);
        let published = service.tenant(provider, "t").publish(&json!({ "type": "order.paid", "data": 7 })).await.expect(202);
        assert!(published.get("schema_errors").is_none(), "{provider}");
    }
}

#[tokio::test]
async fn a_schema_that_cannot_be_taken_is_refused_with_its_place() {
    let service = Service::start(&config("refuse")).await;
    let provider = service.provider("s");
    let long = "x".repeat(256 << 10);
    for (schema, says) in [
        (json!({ "type": "nil" }), ["/schema/type", "nil"]),
        (json!({ "$ref": "https://example.com/" }), ["/schema/$ref", "begins with #"]),
        (json!({ "$schema": "http://json-schema.org/draft-04/schema#" }), ["/schema/$schema", "2020-12"]),
        (json!({ "pattern": "(a)\\1" }), ["/schema/pattern", "regex"]),
        (json!({ "$comment": long }), ["/schema", "262144"]),
        (json!({ "not": { "$ref": "#" } }), ["/schema/not", "leads back"]),
        (json!([]), ["/schema", "boolean"]),
    ] {
        put(&provider, "a", &json!({ "schema": schema })).await.problem(422, &says);
    }
    put(&provider, "a", &json!({ "schema": null, "deprecated": "yes" })).await.problem(422, &["/deprecated"]);
    put(&provider, "a", &json!({ "schema": { "$comment": "x".repeat(250 << 10) } })).await.expect(201);
    service.tenant("s", "t").get("/v1/event-types/none").await.problem(404, &["no such event type"]);
    put(&service.tenant("s", "t"), "a", &json!({ "schema": {} })).await.problem(403, &["provider"]);
}

/// Each look below would take hours without its bound.
#[tokio::test]
async fn no_schema_holds_up_an_event() {
    let service = Service::start(&config("refuse").provider("other", "standard").tenant("t")).await;
    let provider = service.provider("s");
    let branch = |name: &str| json!({ "properties": { "a": { "$ref": "#" } }, "required": [name] });
    put(&provider, "deep", &json!({ "schema": { "anyOf": [branch("x"), branch("y")] } })).await.expect(201);
    put(&provider, "regex", &json!({ "schema": { "pattern": "^(a|a)*$" } })).await.expect(201);
    let patterns: serde_json::Map<_, _> = (0..64).map(|at| (format!("^{at}x"), json!(false))).collect();
    put(&provider, "wide", &json!({ "schema": { "patternProperties": patterns } })).await.expect(201);
    let deep = (0..100).fold(json!({}), |inner, _| json!({ "a": inner }));
    let wide: serde_json::Map<_, _> = (0..60_000).map(|at| (format!("n{at}"), json!(0))).collect();
    let began = Instant::now();
    for (kind, data) in [("deep", deep), ("regex", json!(format!("{}!", "a".repeat(100_000)))), ("wide", json!(wide))] {
        service.tenant("s", "t").publish(&json!({ "type": kind, "data": data })).await.problem(422, &["/data"]);
    }
    service.tenant("other", "t").publish(&json!({ "type": "a", "data": 1 })).await.expect(202);
    assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
}

const OPENAPI: &str = "
openapi: 3.1.0
info: { title: Shop, version: '1' }
webhooks:
  order.paid:
    post:
      description: An order was paid
      requestBody:
        content:
          application/json:
            schema: { $ref: '#/components/schemas/Order' }
            example: { id: o_1 }
  order.gone: { post: { deprecated: true } }
components:
  schemas:
    Order: { type: object, required: [id], properties: { id: { type: string } } }
";

#[tokio::test]
async fn an_openapi_document_fills_the_catalogue() {
    let service = Service::start(&config("refuse")).await;
    let provider = service.provider("s");
    put(&provider, "order.gone", &json!({ "version": 3 })).await.expect(201);
    put(&provider, "mine", &json!({})).await.expect(201);
    let imported = import(&provider, OPENAPI).await.expect(200);
    assert_eq!(imported, json!({ "added": ["order.paid"], "changed": ["order.gone"], "left": [] }));
    let imported = import(&provider, OPENAPI).await.expect(200);
    assert_eq!(imported, json!({ "added": [], "changed": [], "left": ["order.gone", "order.paid"] }));
    let paid = provider.get("/v1/event-types/order.paid").await.expect(200);
    assert_eq!((&paid["description"], &paid["example"]), (&json!("An order was paid"), &json!({ "id": "o_1" })));
    let gone = provider.get("/v1/event-types/order.gone").await.expect(200);
    assert_eq!((&gone["version"], &gone["deprecated"]), (&json!(3), &json!(true)));
    let tenant = service.tenant("s", "t");
    tenant.publish(&json!({ "type": "order.paid", "data": { "id": 1 } })).await.problem(422, &["/data/id"]);
    tenant.publish(&json!({ "type": "order.paid", "data": { "id": "o_1" } })).await.expect(202);
    assert_eq!(provider.get("/v1/event-types").await.expect(200)["data"].as_array().map(Vec::len), Some(3));

    import(&provider, "").await.problem(422, &["empty"]);
    import(&provider, "openapi: 2.0.0").await.problem(422, &["/openapi", "3.1"]);
    import(&provider, "a: [").await.problem(422, &["not YAML"]);
    let bad = OPENAPI.replace("type: string", "type: nil").replace("order.gone", "order*");
    import(&provider, &bad).await.problem(422, &["/webhooks/order*", "/webhooks/order.paid", "nil"]);
    import(&service.tenant("s", "t"), OPENAPI).await.problem(403, &["provider"]);
}

#[tokio::test]
async fn the_command_line_puts_shows_and_imports_event_types() {
    let service = Service::start(&config("refuse")).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("openapi.yaml");
    std::fs::write(&file, OPENAPI).expect("a file");
    let file = file.to_str().expect("UTF-8");
    let run = |arguments: &[&str]| service.cli(&[&["event-types"], arguments, &["--tenant", "s/*"]].concat());
    let schema = "{\"required\": [\"id\"]}";
    assert!(run(&["put", "mine", "--schema", schema, "--deprecated"]).expect(0).stdout.contains("added"));
    let shown = run(&["show", "mine"]).expect(0).stdout;
    assert!(shown.contains(&format!("schema       {schema}")) && shown.contains("deprecated   yes"), "{shown}");
    assert_eq!(run(&["show", "mine", "--json"]).expect(0).json()["deprecated"], true);
    assert_eq!(run(&["import", file]).expect(0).stdout, "order.gone  added\norder.paid  added\n");
    assert!(run(&["import", file]).expect(0).stdout.contains("order.paid  unchanged"));
    run(&["put", "mine", "--schema", "{"]).expect(2).complains(&["JSON"]);
    run(&["put", "mine", "--schema", "{\"type\": 1}"]).expect(1).complains(&["/schema/type"]);
    run(&["show", "none"]).expect(1).complains(&["no such event type", "event-types list"]);
    run(&["import", "/nowhere/openapi.yaml"]).expect(2).complains(&["/nowhere/openapi.yaml", "does not exist"]);
}
