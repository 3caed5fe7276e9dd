//! The settings of a webhook about its attempts: how long one may take, when the next is made, when failures disable it, and how many
//! are made at once or in a time.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

async fn subscribe(acme: &Client, url: &str, more: Value) -> Value {
    let mut hook = json!({ "url": url, "events": ["*"] });
    hook.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    acme.post("/v1/webhooks", &hook).await.expect(201)
}

#[tokio::test]
async fn an_attempt_takes_no_longer_than_the_webhook_says() {
    let (service, receiver) = (Service::start(&Config::retrying(&[])).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/slow", [Reply::status(200).after(Duration::from_secs(4))]);
    let made = subscribe(&acme, &receiver.url("/slow"), json!({ "timeout": "1s" })).await;
    assert_eq!((&made["timeout"], &made["effective"]["timeout"]), (&json!("1s"), &json!({ "value": "1s", "origin": "webhook" })));
    let event = acme.publish_new("a").await;
    let failed = acme.delivery_when(&event, "failed").await;
    assert_eq!(attempts(&failed)[0]["error"], "timeout", "{failed}");
    assert!(attempts(&failed)[0]["duration_ms"].as_f64().expect("a number") < 3_000.0, "{failed}");
}

#[tokio::test]
async fn attempts_follow_the_schedule_of_the_webhook() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h"])).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/bad", [Reply::status(500)]);
    let made = subscribe(&acme, &receiver.url("/bad"), json!({ "retry": { "schedule": ["20ms", "20ms"] } })).await;
    assert_eq!(made["effective"]["retry"]["origin"], "webhook");
    let event = acme.publish_new("a").await;
    let failed = acme.delivery_when(&event, "failed").await;
    assert_eq!(attempts(&failed).len(), 3, "{failed}");
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    let back = acme.patch(&path, &json!({ "retry": null })).await.expect(200);
    let dialect = json!({ "value": { "schedule": ["1h"] }, "origin": "dialect" });
    assert_eq!((back.get("retry"), &back["effective"]["retry"]), (None, &dialect));
    let refused = acme.patch(&path, &json!({ "retry": { "schedule": ["0s"] } })).await;
    refused.problem(422, &["/retry/schedule/0"]);
}

#[tokio::test]
async fn a_webhook_is_disabled_after_as_many_failures_as_it_says() {
    let line = "disable = { consecutive = 2, count = \"attempts\" }\nretry = { schedule = [\"20ms\", \"20ms\", \"20ms\"] }\ntimeout = \"5s\"";
    let receiver = Receiver::start().await;
    receiver.script("/bad", [Reply::status(500)]);
    let config = Config::retrying(&["1h"]).webhook("file", &receiver.url("/bad"), &["*"]).webhook_line(line);
    let service = Service::start(&config).await;
    let acme = service.acme();
    acme.publish_new("a").await;
    let shown = eventually("the webhook is disabled", WITHIN, || async {
        let list = acme.get("/v1/webhooks?name=file").await.expect(200);
        Some(list["data"][0].clone()).filter(|webhook| webhook["status"] == "disabled")
    })
    .await;
    assert_eq!(shown["disabled_reason"], "2 consecutive failures");
    assert_eq!((&shown["timeout"], &shown["retry"]["schedule"][0]), (&json!("5s"), &json!("20ms")));
    assert_eq!(receiver.look(<[_]>::len), 2);
}

#[tokio::test]
async fn the_command_line_sets_what_attempts_go_by() {
    let service = Service::start(&Config::quick()).await;
    let cli = |arguments: &[&str]| service.cli(&[arguments, &["--tenant", "shop/acme", "--json"]].concat()).expect(0).json();
    let add =
        ["webhooks", "add", "https://example.com/", "--name", "one", "--timeout", "10s", "--disable", r#"{"consecutive":0}"#];
    let made = cli(&add);
    assert_eq!((&made["timeout"], &made["disable"]), (&json!("10s"), &json!({ "consecutive": 0, "count": "deliveries" })));
    let edited = cli(&["webhooks", "edit", "one", "--timeout", "null", "--retry", r#"{"schedule":["1m"]}"#]);
    assert_eq!((edited.get("timeout"), &edited["retry"]), (None, &json!({ "schedule": ["1m"] })));
    let wrong = ["webhooks", "edit", "one", "--timeout", "2m", "--tenant", "shop/acme"];
    service.cli(&wrong).expect(1).complains(&["/timeout", "outside 1s to 1m"]);
}

#[tokio::test]
async fn no_more_attempts_are_made_at_once_than_the_webhook_says() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/slow", [Reply::status(200).after(Duration::from_millis(100))]);
    let made = subscribe(&acme, &receiver.url("/slow"), json!({ "concurrency": 1 })).await;
    assert_eq!(made["effective"]["concurrency"], json!({ "value": 1, "origin": "webhook" }));
    let started = std::time::Instant::now();
    let mut last = String::new();
    for _ in 0..5 {
        last = acme.publish_new("a").await;
    }
    acme.delivery_when(&last, "succeeded").await;
    assert!(started.elapsed() >= Duration::from_millis(480), "one after the other: {:?}", started.elapsed());
    acme.patch(&format!("/v1/webhooks/{}", text(&made["id"])), &json!({ "concurrency": 1025 }))
        .await
        .problem(422, &["/concurrency", "1 to 1024"]);
}

#[tokio::test]
async fn attempts_start_no_faster_than_the_webhook_says() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    let made = subscribe(&acme, &receiver.url("/a"), json!({ "rate_limit": "5/s" })).await;
    assert_eq!(made["effective"]["rate_limit"], json!({ "value": "5/s", "origin": "webhook" }));
    let lines: String = (0..16).map(|number| json!({ "type": "a", "data": number }).to_string() + "\n").collect();
    let published = acme.publish_lines(&lines).await.1;
    acme.get("/readyz").await.expect(200);
    let requests = receiver.wait_for("/a", 16, WITHIN).await;
    let spread = requests[15].at - requests[0].at;
    assert!((Duration::from_millis(2_150)..Duration::from_secs(4)).contains(&spread), "5 at once, and 11 behind: {spread:?}");
    for first in &requests {
        let within = requests.iter().filter(|request| (first.at..first.at + Duration::from_secs(1)).contains(&request.at));
        assert!(within.count() <= 11, "five, five at once before, and what a slow machine brings late");
    }
    for event in &published {
        let delivery = acme.delivery_when(&text(&event["id"]), "succeeded").await;
        assert_eq!(attempts(&delivery).len(), 1, "waiting costs no attempt: {delivery}");
    }
}

#[tokio::test]
async fn a_rate_limit_is_lifted_by_the_command_line_at_once() {
    let receiver = Receiver::start().await;
    let config = Config::quick().webhook("file", &receiver.url("/file"), &["*"]).webhook_line("rate_limit = \"1/h\"");
    let service = Service::start(&config).await;
    let acme = service.acme();
    let cli = |arguments: &[&str]| service.cli(&[arguments, &["--tenant", "shop/acme", "--json"]].concat()).expect(0).json();
    let add = ["webhooks", "add", &receiver.url("/slow"), "--name", "slow", "--rate-limit", "1/h"];
    assert_eq!(cli(&add)["rate_limit"], "1/h");
    for _ in 0..3 {
        acme.publish_new("a").await;
    }
    receiver.wait_for("/slow", 1, WITHIN).await;
    receiver.wait_for("/file", 1, WITHIN).await;
    assert_eq!(receiver.look(<[_]>::len), 2, "the others wait for an hour");
    assert_eq!(cli(&["webhooks", "edit", "slow", "--rate-limit", "null"]).get("rate_limit"), None);
    receiver.wait_for("/slow", 3, WITHIN).await;
    assert_eq!(receiver.look(<[_]>::len), 4);
    let wrong = ["webhooks", "edit", "slow", "--rate-limit", "fast", "--tenant", "shop/acme"];
    service.cli(&wrong).expect(1).complains(&["/rate_limit", "is not a rate"]);
}
