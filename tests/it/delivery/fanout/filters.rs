//! Payload filters, as who sets them sees them: by the API, the config file and the command line.

use serde_json::{Value, json};

use crate::harness::api::text;
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

/// The number of deliveries of an order of this amount, and the event's id.
async fn order(acme: &Client, amount: u64) -> (u64, String) {
    let answer = acme.publish(&json!({ "type": "order.paid", "data": { "amount": amount } })).await.expect(202);
    (answer["deliveries"].as_u64().expect("a number"), text(&answer["id"]))
}

fn above(amount: u64) -> Value {
    json!({ "data": { "amount": { "$gt": amount } } })
}

#[tokio::test]
async fn a_filter_is_set_changed_and_taken_away_by_the_api() {
    let (mut service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    let hook = json!({ "url": receiver.url("/"), "events": ["order.*"], "filter": above(100) });
    let made = acme.post("/v1/webhooks", &hook).await.expect(201);
    assert_eq!(made["filter"], above(100));
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    let ((few, small), (one, _)) = (order(&acme, 100).await, order(&acme, 101).await);
    assert_eq!((few, one), (0, 1));
    let why = acme.explained(&small, &text(&made["id"])).await;
    assert_eq!((&why["sent"], &why["why"]), (&json!(false), &json!("its filter does not match at `/data/amount/$gt`")));

    service.kill9();
    service.start_again().await;
    let acme = service.acme();
    assert_eq!(order(&acme, 100).await.0, 0, "the filter is on disk");
    assert_eq!(acme.patch(&path, &json!({ "description": "d" })).await.expect(200)["filter"], above(100));
    assert_eq!(acme.patch(&path, &json!({ "filter": above(50) })).await.expect(200)["filter"], above(50));
    assert_eq!(order(&acme, 100).await.0, 1);
    assert!(acme.patch(&path, &json!({ "filter": null })).await.expect(200).get("filter").is_none());
    assert_eq!(order(&acme, 1).await.0, 1);
    let wrong = json!({ "filter": { "data": { "amount": { "$above": 1 } } } });
    let refused = acme.patch(&path, &wrong).await;
    refused.problem(422, &["there is no such operator"]);
    assert_eq!(refused.json()["errors"][0]["pointer"], "/filter/data/amount/$above");
}

#[tokio::test]
async fn a_filter_is_tried_before_it_is_set() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let hook = json!({ "url": "https://example.com/", "events": ["order.*"], "filter": above(100) });
    let path = format!("/v1/webhooks/{}/filter-test", text(&acme.post("/v1/webhooks", &hook).await.expect(201)["id"]));
    let (_, event) = order(&acme, 100).await;
    let tried = async |body: &Value| acme.post(&path, body).await.expect(200);
    assert_eq!(tried(&json!({ "event_id": event })).await, json!({ "matches": false, "why": "/data/amount/$gt" }));
    assert_eq!(tried(&json!({ "event_id": event, "filter": above(99) })).await, json!({ "matches": true, "why": null }));
    let given = json!({ "type": "order.paid", "data": { "amount": 101 }, "attributes": { "region": "eu" } });
    assert_eq!(tried(&json!({ "event": given })).await["matches"], true);
    let other = json!({ "event": given, "filter": { "attributes": { "region": "us" } } });
    assert_eq!(tried(&other).await["why"], "/attributes/region");
    acme.post(&path, &json!({})).await.problem(422, &["/event_id", "is missing"]);
    acme.post(&path, &json!({ "event_id": "nowhere" })).await.problem(404, &["event"]);
    acme.post(&path, &json!({ "event_id": event, "filter": [] })).await.problem(422, &["/filter"]);
}

#[tokio::test]
async fn a_test_is_sent_whatever_the_filter_says() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    let hook = json!({ "url": receiver.url("/"), "events": ["*"], "filter": { "type": "never" } });
    let id = text(&acme.post("/v1/webhooks", &hook).await.expect(201)["id"]);
    let test = acme.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await.expect(200);
    assert_eq!(test["attempts"][0]["response"]["status"], 200, "{test}");
}

#[tokio::test]
async fn a_filter_comes_from_the_file_and_from_the_command_line() {
    let line = r#"filter = { data = { amount = { "$gt" = 100 } } }"#;
    let config = Config::quick().webhook("file", "https://example.com/", &["order.*"]).webhook_line(line);
    let service = Service::start(&config).await;
    let acme = service.acme();
    assert_eq!((order(&acme, 100).await.0, order(&acme, 101).await.0), (0, 1));
    let tenant = ["--tenant", "shop/acme"];
    let filter = above(100).to_string();
    let add = ["webhooks", "add", "https://example.com/", "--name", "cli", "--filter", &filter];
    service.cli(&[&add[..], &tenant].concat()).expect(0);
    assert_eq!((order(&acme, 100).await.0, order(&acme, 101).await.0), (0, 2));
    std::fs::write(service.folder().join("filter.json"), above(99).to_string()).expect("written");
    let edit = ["webhooks", "edit", "cli", "--filter", "@filter.json", "--json"];
    let edited = service.cli(&[&edit[..], &tenant].concat()).expect(0);
    assert_eq!(edited.json()["filter"], above(99));
    assert_eq!(order(&acme, 100).await.0, 1);
    let wrong = ["webhooks", "edit", "cli", "--filter", r#"{"$like":1}"#];
    let wrong = service.cli(&[&wrong[..], &tenant].concat()).expect(1);
    assert!(wrong.stderr.contains("/filter/$like"), "{}", wrong.stderr);
    service.cli(&[&["webhooks", "edit", "cli"][..], &tenant].concat()).expect(2);
}

#[tokio::test]
async fn a_dialect_with_a_fixed_answer_shows_a_filter_when_asked_for() {
    let config = Config::bare().provider("p", "decisio").tenant("t");
    let service = Service::start(&config).await;
    let tenant = service.tenant("p", "t");
    let hook = json!({ "url": "https://example.com/", "events": ["decision.created"], "filter": above(1) });
    let made = tenant.post("/v1/webhooks", &hook).await.expect(201);
    assert!(made.get("filter").is_none(), "{made}");
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    assert!(tenant.get(&path).await.expect(200).get("filter").is_none());
    assert_eq!(tenant.get(&format!("{path}?expand=settings")).await.expect(200)["filter"], above(1));
    let list = tenant.get("/v1/webhooks?expand=settings").await.expect(200);
    assert_eq!(list["data"][0]["filter"], above(1), "{list}");
    tenant.get(&format!("{path}?expand=all")).await.problem(422, &["?expand"]);
}
