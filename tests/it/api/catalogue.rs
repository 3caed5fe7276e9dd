//! The catalogue of event types: the dialect's, and what a provider adds to it.

mod schemas;

use http::Method;
use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::client::{Answer, Client};
use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[tokio::test]
async fn a_catalogue_shows_the_dialects_types_and_what_the_provider_added() {
    let mut service = Service::start(&Config::bare().provider("a", "aioka").tenant("t").provider("b", "aioka").tenant("t")).await;
    let names = |list: &Value| list["data"].as_array().expect("a list").iter().map(|one| text(&one["name"])).collect::<Vec<_>>();
    let built_in = ["verdict.new", "council.new", "regime.change", "ghost.signal", "macro.alert"];
    let listed = service.tenant("a", "t").get("/v1/event-types").await.expect(200);
    assert_eq!(names(&listed), built_in);
    assert_eq!((&listed["data"][0]["ours"], &listed["data"][3]["ours"]), (&json!(false), &json!(true)));
    assert_eq!(listed["data"][0]["example"]["ruling"], "STRONG_BUY");

    let added = json!({ "description": "A new kind", "example": { "n": 1 } });
    put(&service.provider("a"), "oracle.spoke", &added).await.expect(201);
    put(&service.provider("a"), "oracle.spoke", &added).await.expect(200);
    put(&service.operator().with_header("hookwheel-tenant", "a/*"), "macro.alert", &added).await.expect(200);
    service.kill9();
    service.start_again().await;
    let listed = service.provider("a").get("/v1/event-types").await.expect(200);
    assert_eq!(names(&listed)[..5], built_in);
    assert_eq!(names(&listed)[5..], ["oracle.spoke"]);
    assert_eq!((&listed["data"][4]["description"], &listed["data"][4]["ours"]), (&json!("A new kind"), &json!(false)));
    assert_eq!(names(&service.tenant("b", "t").get("/v1/event-types").await.expect(200)), built_in, "another provider's");
    let page = service.provider("a").get("/v1/event-types?limit=4").await.expect(200);
    let rest = format!("/v1/event-types?limit=4&cursor={}", text(&page["next"]));
    assert_eq!(names(&service.provider("a").get(&rest).await.expect(200)), ["macro.alert", "oracle.spoke"]);
}

#[tokio::test]
async fn webhooks_may_subscribe_to_what_the_provider_added_and_are_tested_with_its_example() {
    let (service, receiver) = (Service::start(&Config::bare().provider("a", "aioka").tenant("t")).await, Receiver::start().await);
    let tenant = service.tenant("a", "t");
    let hook = json!({ "url": receiver.url("/a"), "events": ["oracle.spoke"] });
    tenant.post("/v1/webhooks", &hook).await.problem(422, &["/events/0", "oracle.spoke"]);
    put(&service.provider("a"), "oracle.spoke", &json!({ "example": { "said": "yes" } })).await.expect(201);
    let id = text(&tenant.post("/v1/webhooks", &hook).await.expect(201)["id"]);
    let test = tenant.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await.expect(200);
    assert!(text(&test["request"]["body"]).contains(r#""data":{"said":"yes"}"#), "{test}");
    tenant
        .post("/v1/webhooks", &json!({ "url": receiver.url("/a"), "events": ["oracle.spike"] }))
        .await
        .problem(422, &["did you mean `oracle.spoke`"]);
}

/// One type put into the catalogue made all the others unknown.
#[tokio::test]
async fn a_type_that_is_added_shuts_no_other_out() {
    let config = Config::bare().provider("s", "standard").tenant("t").provider("d", "deck").tenant("t");
    let service = Service::start(&config).await;
    for provider in ["s", "d"] {
        put(&service.provider(provider), "x", &json!({})).await.expect(201);
        let hook = json!({ "url": "https://example.com/", "events": ["in.use", "FetchStatements"], "name": "n" });
        service.tenant(provider, "t").post("/v1/webhooks", &hook).await.expect(201);
    }
}

#[tokio::test]
async fn a_provider_says_what_becomes_of_unknown_types() {
    let strict = Config::bare().provider("s", "standard").provider_line("unknown_types = \"refuse\"").tenant("t");
    let config = strict.provider("a", "aioka").provider_line("unknown_types = \"allow\"").tenant("t");
    let service = Service::start(&config.webhook("own", "https://example.com/", &["not.listed"])).await;
    let hook = |kind: &str| json!({ "url": "https://example.com/", "events": [kind] });
    put(&service.provider("s"), "order.paid", &json!({})).await.expect(201);
    let (strict, open) = (service.tenant("s", "t"), service.tenant("a", "t"));
    strict.post("/v1/webhooks", &hook("order.piad")).await.problem(422, &["/events/0", "did you mean `order.paid`"]);
    strict.publish(&json!({ "type": "order.piad", "data": 1 })).await.problem(422, &["/type", "did you mean `order.paid`"]);
    strict.post("/v1/webhooks", &hook("order.paid")).await.expect(201);
    strict.publish(&json!({ "type": "order.paid", "data": 1 })).await.expect(202);
    open.post("/v1/webhooks", &hook("verdict.old")).await.expect(201);
    open.publish(&json!({ "type": "verdict.old", "data": 1 })).await.expect(202);
}

#[tokio::test]
async fn what_a_provider_added_can_be_deleted_and_who_subscribes_keeps_it() {
    let (mut service, receiver) =
        (Service::start(&Config::bare().provider("a", "aioka").tenant("t")).await, Receiver::start().await);
    let (provider, tenant) = (service.provider("a"), service.tenant("a", "t"));
    for (name, path) in [("oracle.spoke", "oracle.spoke"), ("wo/rt", "wo%2Frt"), ("macro.alert", "macro.alert")] {
        let answer = put(&provider, path, &json!({ "description": "ours" })).await;
        assert_eq!((&answer.json()["name"], answer.status < 300), (&json!(name), true));
    }
    let id = tenant.subscribe(&receiver.url("/a"), &["oracle.spoke", "wo/rt"]).await;
    tenant.delete("/v1/event-types/oracle.spoke").await.problem(403, &["provider"]);
    service.cli(&["event-types", "delete", "wo/rt", "--tenant", "a/*"]).expect(0);
    for name in ["oracle.spoke", "macro.alert"] {
        provider.delete(&format!("/v1/event-types/{name}")).await.expect(204);
    }
    provider.delete("/v1/event-types/oracle.spoke").await.problem(404, &["no such event type"]);
    provider.delete("/v1/event-types/macro.alert").await.problem(409, &["`macro.alert`", "dialect `aioka`"]);
    service.kill9();
    service.start_again().await;
    let (provider, tenant) = (service.provider("a"), service.tenant("a", "t"));
    let listed = provider.get("/v1/event-types").await.expect(200);
    let descriptions: Vec<_> = listed["data"].as_array().expect("a list").iter().map(|one| text(&one["description"])).collect();
    assert!(descriptions.len() == 5 && !descriptions.contains(&"ours".to_owned()), "the dialect's words stand again: {listed}");

    tenant.publish(&json!({ "type": "oracle.spoke", "data": 1 })).await.expect(202);
    receiver.wait_for("/a", 1, WITHIN).await;
    let again = json!({ "url": receiver.url("/b"), "events": ["oracle.spoke"] });
    tenant.patch(&format!("/v1/webhooks/{id}"), &again).await.expect(200);
    tenant.post("/v1/webhooks", &again).await.problem(422, &["oracle.spoke"]);
}

#[tokio::test]
async fn the_command_line_keeps_the_catalogue() {
    let service = Service::start(&Config::quick()).await;
    let run = |arguments: &[&str]| service.cli(&[&["event-types"], arguments, &["--tenant", "shop/*"]].concat());
    assert!(
        run(&["put", "order.paid", "--description", "It was paid", "--example", "{\"n\":1}"]).expect(0).stdout.contains("added")
    );
    assert!(run(&["put", "order.paid", "--type-version", "2"]).expect(0).stdout.contains("changed"));
    let shown = run(&["list"]).expect(0).stdout;
    assert!(shown.contains("order.paid  2"), "{shown}");
    assert!(run(&["delete", "order.paid"]).expect(0).stdout.contains("deleted"));
    run(&["delete", "order.paid"]).expect(1).complains(&["no such event type", "event-types list", "shop/*"]);
}

#[tokio::test]
async fn the_catalogue_is_the_providers_to_change() {
    let service = Service::start(&Config::bare().provider("d", "dcisionai").tenant("t")).await;
    let any = json!({ "example": {} });
    put(&service.tenant("d", "t"), "a.b", &any).await.problem(403, &["provider"]);
    service.stranger().get("/v1/event-types").await.problem(401, &[]);
    let provider = service.provider("d");
    put(&provider, "a*", &any).await.problem(422, &["`*`"]);
    put(&provider, "a.b", &json!({ "example": 12345678901234567890_u64 })).await.problem(422, &["/example"]);
    put(&provider, "a.b", &json!({ "example": "x".repeat(20_000) })).await.problem(422, &["/example", "16384"]);
    put(&provider, "a.b", &json!({ "exmaple": {}, "version": "x" })).await.problem(422, &["/exmaple", "/version"]);
    let shown = put(&provider, "a.b", &json!({ "example": {}, "version": 3 })).await.expect(201);
    assert_eq!(shown["data"], json!({ "name": "a.b", "description": "", "version": 3, "example": {}, "ours": false }));
    let listed = provider.get("/v1/event-types").await.expect(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(17));
    assert!(listed.get("next").is_none(), "this dialect's lists have no `next` on their last page");
}

#[tokio::test]
async fn no_built_in_catalogue_refuses_a_payload() {
    let dialects = ["standard", "resistant", "decisio", "aioka", "dcisionai", "deck"];
    let config = dialects.iter().fold(Config::bare(), |config, dialect| config.provider(dialect, dialect).tenant("t"));
    let service = Service::start(&config).await;
    for dialect in dialects {
        let tenant = service.tenant(dialect, "t");
        let types = tenant.get("/v1/event-types?limit=250").await.expect(200);
        let wrapped = types.as_object().expect("an object").values().find_map(Value::as_array).expect("a list").clone();
        for kind in wrapped.iter().map(|one| text(&one["name"])) {
            let attributes = json!({ "job_guid": "a4e67899", "webhook_code": kind });
            for data in [json!({}), json!(null), json!({ "unheard": [{ "of": true }] })] {
                let event = json!({ "type": kind, "attributes": attributes, "data": data });
                assert_eq!(tenant.publish(&event).await.expect(202)["deliveries"], 0, "{dialect} {event}");
            }
        }
    }
}

async fn put(client: &Client, name: &str, body: &Value) -> Answer {
    client.send(Method::PUT, &format!("/v1/event-types/{name}"), "application/json", body.to_string().into()).await
}
