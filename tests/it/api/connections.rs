//! Connections of the deck dialect: a span of time in which deliveries keep the URL that a webhook had at its beginning.

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn an_open_connection_keeps_its_url_and_the_next_one_takes_the_new() {
    let (mut service, receiver) = (Service::start(&deck(&["1s"])).await, Receiver::start().await);
    let id = link(&deck_key(&service), "checkout", &receiver.url("/old")).await;
    open(&deck_key(&service), json!({ "id": "c1" })).await;
    move_to(&deck_key(&service), &id, &receiver.url("/new")).await;

    publish(&deck_key(&service), "c1", json!({})).await;
    receiver.wait_for("/old", 1, WITHIN).await;
    publish(&deck_key(&service), "c2", json!({})).await;
    receiver.wait_for("/new", 1, WITHIN).await;
    publish(&deck_key(&service), "", json!({})).await;
    receiver.wait_for("/new", 2, WITHIN).await;

    service.kill9();
    service.start_again().await;
    publish(&deck_key(&service), "c1", json!({})).await;
    receiver.wait_for("/old", 2, WITHIN).await;
    publish(&deck_key(&service), "c2", json!({})).await;
    receiver.wait_for("/new", 3, WITHIN).await;

    // An id that is used after its close opens anew.
    let deck = deck_key(&service);
    deck.delete("/v1/connections/c1").await.expect(204);
    deck.delete("/v1/connections/c1").await.problem(404, &["connection"]);
    publish(&deck, "c1", json!({})).await;
    receiver.wait_for("/new", 4, WITHIN).await;
    assert_eq!(receiver.received("/old").len(), 2);
    service.stop_and_check().await;
}

#[tokio::test]
async fn an_event_that_names_an_unknown_connection_opens_it() {
    let (service, receiver) = (Service::start(&deck(&["1s"])).await, Receiver::start().await);
    let deck = deck_key(&service);
    let id = link(&deck, "checkout", &receiver.url("/old")).await;
    publish(&deck, "c1", json!({})).await;
    receiver.wait_for("/old", 1, WITHIN).await;
    move_to(&deck, &id, &receiver.url("/new")).await;
    publish(&deck, "c1", json!({})).await;
    receiver.wait_for("/old", 2, WITHIN).await;
    // A webhook made later is not pinned.
    let later = link(&deck, "later", &receiver.url("/first")).await;
    move_to(&deck, &later, &receiver.url("/second")).await;
    publish(&deck, "c1", json!({ "link": "later" })).await;
    receiver.wait_for("/second", 1, WITHIN).await;
    assert!(receiver.received("/first").is_empty() && receiver.received("/new").is_empty());
}

#[tokio::test]
async fn a_delivery_keeps_its_url_for_its_retries_and_not_when_retried_by_hand() {
    let (mut service, receiver) = (Service::start(&deck(&["1s", "2s"])).await, Receiver::start().await);
    receiver.script("/old", [Reply::status(500)]);
    let id = link(&deck_key(&service), "checkout", &receiver.url("/old")).await;
    let event = publish(&deck_key(&service), "c1", json!({})).await;
    receiver.wait_for("/old", 1, WITHIN).await;
    move_to(&deck_key(&service), &id, &receiver.url("/new")).await;
    deck_key(&service).delete("/v1/connections/c1").await.expect(204);
    service.kill9();
    service.start_again().await;
    receiver.wait_for("/old", 3, WITHIN).await;
    let deck = deck_key(&service);
    let failed = deck.delivery_when(&event, "failed").await;
    assert_eq!(failed["url"], receiver.url("/old"));
    assert!(receiver.received("/new").is_empty(), "the retries went elsewhere");

    deck.retry(&failed).await.expect(200);
    receiver.wait_for("/new", 1, WITHIN).await;
    assert_eq!(deck.delivery_when(&event, "succeeded").await["url"], receiver.url("/new"));
}

#[tokio::test]
async fn recover_takes_the_url_of_now() {
    let (service, receiver) = (Service::start(&deck(&[])).await, Receiver::start().await);
    let deck = deck_key(&service);
    receiver.script("/old", [Reply::status(500)]);
    let id = link(&deck, "checkout", &receiver.url("/old")).await;
    let event = publish(&deck, "c1", json!({})).await;
    deck.delivery_when(&event, "failed").await;
    move_to(&deck, &id, &receiver.url("/new")).await;
    let since = json!({ "since": "2020-01-01T00:00:00Z", "status": "failed" });
    deck.post(&format!("/v1/webhooks/{id}/recover"), &since).await.expect(202);
    receiver.wait_for("/new", 1, WITHIN).await;
}

#[tokio::test]
async fn a_link_routes_to_one_webhook_whose_name_is_its_own() {
    let (service, receiver) = (Service::start(&deck(&["1s"])).await, Receiver::start().await);
    let deck = deck_key(&service);
    link(&deck, "a", &receiver.url("/a")).await;
    link(&deck, "b", &receiver.url("/b")).await;
    publish(&deck, "", json!({ "link": "b" })).await;
    receiver.wait_for("/b", 1, WITHIN).await;
    publish(&deck, "", json!({})).await;
    receiver.wait_for("/a", 1, WITHIN).await;
    receiver.wait_for("/b", 2, WITHIN).await;
    assert_eq!(receiver.received("/a").len(), 1);

    let same = json!({ "name": "a", "url": receiver.url("/c"), "events": ["*"] });
    deck.post("/v1/webhooks", &same).await.problem(409, &["`a`"]);
    deck.post("/v1/webhooks", &json!({ "url": receiver.url("/c"), "events": ["*"] })).await.problem(422, &["/name"]);

    // A connection of one link pins that one alone.
    let opened = open(&deck, json!({ "id": "c", "link": "a" })).await;
    assert_eq!(opened["webhooks"].as_array().map(Vec::len), Some(1), "{opened}");
    assert_eq!((&opened["link"], &opened["webhooks"][0]["url"]), (&json!("a"), &json!(receiver.url("/a"))));
    deck.post("/v1/connections", &json!({ "id": "c", "link": "a" })).await.expect(200);
    deck.post("/v1/connections", &json!({ "id": "c" })).await.problem(409, &["`c`"]);
    deck.post("/v1/connections", &json!({ "id": "d", "link": "none" })).await.problem(422, &["/link"]);
    for id in ["a.b", ""] {
        deck.post("/v1/connections", &json!({ "id": id })).await.problem(422, &["/id: is not 1 to 64"]);
    }
}

#[tokio::test]
async fn connections_belong_to_their_tenant_and_to_dialects_that_pin() {
    let config = deck(&["1s"]).tenant("other").provider("shop", "standard").tenant("acme");
    let service = Service::start(&config).await;
    let (deck, other, provider) = (deck_key(&service), service.tenant("deck", "other"), service.provider("deck"));
    open(&deck, json!({ "id": "c1" })).await;
    other.delete("/v1/connections/c1").await.problem(404, &["connection"]);
    provider.post("/v1/connections", &json!({ "id": "c2" })).await.problem(422, &["/tenant: is missing"]);
    provider.delete("/v1/connections/c2?tenant=a.b").await.problem(422, &["?tenant: is not 1 to 64"]);
    provider.post("/v1/connections", &json!({ "id": "c2", "tenant": "t" })).await.expect(201);
    deck.delete("/v1/connections/c2").await.expect(204);
    service.acme().post("/v1/connections", &json!({ "id": "c1" })).await.problem(422, &["standard"]);
    let named = json!({ "type": "a", "data": 1, "connection": "c1" });
    service.acme().publish(&named).await.problem(422, &["/connection"]);
}

#[tokio::test]
async fn a_connection_that_no_event_names_closes_after_its_idle_time() {
    let service = Service::start(&deck(&["1s"]).delivery("connection_idle = \"1s\"")).await;
    let receiver = Receiver::start().await;
    let deck = deck_key(&service);
    let id = link(&deck, "checkout", &receiver.url("/old")).await;
    open(&deck, json!({ "id": "c1" })).await;
    move_to(&deck, &id, &receiver.url("/new")).await;
    // The idle time is real time of another process.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    publish(&deck, "c1", json!({})).await;
    receiver.wait_for("/new", 1, WITHIN).await;
    assert!(receiver.received("/old").is_empty());
}

#[tokio::test]
async fn the_environment_is_the_tenants() {
    let config = Config::bare().provider("deck", "deck").tenant("t").environment("Sandbox");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    let deck = deck_key(&service);
    link(&deck, "checkout", &receiver.url("/a")).await;
    publish(&deck, "", json!({})).await;
    assert_eq!(receiver.wait_for("/a", 1, WITHIN).await[0].json()["environment"], "Sandbox");
}

/// Provider `deck` with tenant `t`, in the dialect deck with a schedule of one's own.
fn deck(schedule: &[&str]) -> Config {
    Config::bare().dialect("quick-deck", "extends = \"deck\"\n", schedule).provider("deck", "quick-deck").tenant("t")
}

fn deck_key(service: &Service) -> Client {
    service.tenant("deck", "t")
}

/// Makes a link, which is a webhook; gives its id.
async fn link(deck: &Client, name: &str, url: &str) -> String {
    let hook = json!({ "name": name, "url": url, "events": ["*"] });
    text(&deck.post("/v1/webhooks", &hook).await.expect(201)["id"])
}

async fn move_to(deck: &Client, id: &str, url: &str) {
    deck.patch(&format!("/v1/webhooks/{id}"), &json!({ "url": url })).await.expect(200);
}

async fn open(deck: &Client, connection: Value) -> Value {
    deck.post("/v1/connections", &connection).await.expect(201)
}

/// Publishes a Job's result, in a connection unless its id is empty; gives the event's id.
async fn publish(deck: &Client, connection: &str, more: Value) -> String {
    let mut attributes = json!({ "job_guid": "a4e67899", "webhook_code": "MakePayment" });
    attributes.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let mut event = json!({ "type": "MakePayment", "attributes": attributes, "data": { "success": true } });
    if !connection.is_empty() {
        event["connection"] = json!(connection);
    }
    text(&deck.publish(&event).await.expect(202)["id"])
}
