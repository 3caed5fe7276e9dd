//! Channels, which narrow who gets an event, and metadata, by which webhooks are found.

use serde_json::{Value, json};

use crate::harness::api::text;
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::service::Service;

async fn subscribe(acme: &Client, more: Value) -> Value {
    let mut hook = json!({ "url": "https://example.com/", "events": ["*"] });
    hook.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    acme.post("/v1/webhooks", &hook).await.expect(201)
}

#[tokio::test]
async fn a_webhook_with_channels_gets_events_that_share_one() {
    let (service, line) = (Service::start(&Config::quick()).await, |channels: Value| json!({ "channels": channels }));
    let acme = service.acme();
    let made = subscribe(&acme, line(json!(["project-2", "project-1"]))).await;
    assert_eq!(made["channels"], json!(["project-1", "project-2"]));
    subscribe(&acme, json!({})).await;
    let publish = async |channels: &[&str]| {
        let event = json!({ "type": "a", "data": 1, "channels": channels });
        let event = if channels.is_empty() { json!({ "type": "a", "data": 1 }) } else { event };
        acme.publish(&event).await.expect(202)
    };
    assert_eq!(publish(&["project-1", "other"]).await["deliveries"], 2);
    assert_eq!(publish(&[]).await["deliveries"], 1);
    let missed = publish(&["other"]).await;
    assert_eq!(missed["deliveries"], 1);
    let event = text(&missed["id"]);
    let why = acme.explained(&event, &text(&made["id"])).await;
    assert_eq!(why["why"], "the event is in none of its channels: project-1, project-2");
    assert_eq!(acme.get(&format!("/v1/events/{event}")).await.expect(200)["channels"], json!(["other"]));
    let many: Vec<String> = (0..6).map(|number| number.to_string()).collect();
    acme.publish(&json!({ "type": "a", "data": 1, "channels": many })).await.problem(422, &["/channels", "1 to 5"]);
    acme.post("/v1/webhooks", &json!({ "url": "https://example.com/", "events": ["*"], "channels": ["a b"] }))
        .await
        .problem(422, &["/channels/0"]);
}

#[tokio::test]
async fn channels_make_another_content() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let event = |channels: &[&str]| json!({ "id": "one", "type": "a", "data": 1, "channels": channels });
    acme.publish(&event(&["a", "b"])).await.expect(202);
    acme.publish(&event(&["b", "a"])).await.expect(200);
    acme.publish(&event(&["a"])).await.problem(409, &["one"]);
}

#[tokio::test]
async fn recover_and_a_restart_know_the_channels_of_an_event() {
    let mut service = Service::start(&Config::quick()).await;
    for channel in ["a", "b"] {
        service.acme().publish(&json!({ "type": "x", "data": 1, "channels": [channel] })).await.expect(202);
    }
    service.kill9();
    service.start_again().await;
    let acme = service.acme();
    let hook = subscribe(&acme, json!({ "channels": ["b"] })).await;
    let recover = format!("/v1/webhooks/{}/recover", text(&hook["id"]));
    let recovered = acme.post(&recover, &json!({ "since": "1h", "status": "missed" })).await.expect(202);
    assert_eq!(recovered["count"], 1);
}

#[tokio::test]
async fn webhooks_are_found_by_their_metadata() {
    let config = Config::quick().webhook("file", "https://example.com/", &["*"]);
    let config = config.webhook_line("channels = [\"a\"]\nmetadata = { plan = \"pro\", region = \"eu\" }");
    let service = Service::start(&config).await;
    let acme = service.acme();
    let other = subscribe(&acme, json!({ "name": "other", "metadata": { "plan": "pro" } })).await;
    assert_eq!(other["metadata"], json!({ "plan": "pro" }));
    subscribe(&acme, json!({ "name": "third" })).await;
    let names = async |query: &str| {
        let list = acme.get(&format!("/v1/webhooks?{query}")).await.expect(200);
        list["data"].as_array().expect("a list").iter().map(|one| text(&one["name"])).collect::<Vec<_>>()
    };
    assert_eq!(names("metadata.plan=pro").await, ["file", "other"]);
    assert_eq!(names("metadata.plan=pro&metadata.region=eu").await, ["file"]);
    assert_eq!(names("metadata.plan=free").await, [""; 0]);
    let all = service.operator().get("/v1/admin/webhooks?metadata.region=eu").await.expect(200);
    assert_eq!((&all["data"][0]["name"], &all["data"][0]["channels"]), (&json!("file"), &json!(["a"])));
    let before = text(&other["updated_at"]);
    assert_eq!(before, text(&other["created_at"]));
    acme.post("/v1/webhooks", &json!({ "url": "https://example.com/", "events": ["*"], "metadata": { "n": 1 } }))
        .await
        .problem(422, &["/metadata/n", "is not a string"]);
}

#[tokio::test]
async fn the_command_line_sets_channels_and_metadata_and_publishes_to_channels() {
    let service = Service::start(&Config::quick()).await;
    let cli = |arguments: &[&str]| service.cli(&[arguments, &["--tenant", "shop/acme", "--json"]].concat()).expect(0).json();
    let add =
        ["webhooks", "add", "https://example.com/", "--name", "one", "--channels", "a,b", "--metadata", r#"{"plan":"pro"}"#];
    let made = cli(&add);
    assert_eq!((&made["channels"], &made["metadata"]["plan"]), (&json!(["a", "b"]), &json!("pro")));
    assert_eq!(cli(&["send", "x", "--channels", "b"])["deliveries"], 1);
    assert_eq!(cli(&["send", "x", "--channels", "c"])["deliveries"], 0);
    assert!(cli(&["webhooks", "edit", "one", "--channels", ""]).get("channels").is_none());
    assert_eq!(cli(&["send", "x"])["deliveries"], 1);
}
