//! The examples of the providers' documents are published and compared with what arrives. Tools of others judge the signatures.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn decisios_example_arrives_as_documented_and_openssl_verifies_it() {
    let example: Value = serde_json::from_str(include_str!("../../vectors/decisio-decision.json")).expect("JSON");
    let service = Service::start(&Config::bare().provider("decide", "decisio").tenant("tenant_xyz")).await;
    let (receiver, tenant) = (Receiver::start().await, service.tenant("decide", "tenant_xyz"));
    let hook = json!({ "url": receiver.url("/decisio"), "events": ["decision.created"], "description": "Production webhook" });
    let made = tenant.post("/v1/webhooks", &hook).await.expect(201);
    let event =
        json!({ "id": "evt_abc123", "type": "decision.created", "data": example["data"], "occurred_at": "2025-01-15T10:30:00Z" });
    tenant.publish(&event).await.expect(202);

    let request = receiver.wait_for("/decisio", 1, WITHIN).await.remove(0);
    assert_eq!(request.json(), example);
    let file = service.folder().join("body");
    std::fs::write(&file, &request.body).expect("written");
    let digest = Command::new("openssl")
        .args(["dgst", "-sha256", "-hmac", &text(&made["secret"])])
        .arg(&file)
        .output()
        .expect("openssl is installed");
    let digest = String::from_utf8(digest.stdout).expect("text");
    let digest = digest.trim().rsplit(' ').next().expect("a digest");
    assert_eq!(request.header("x-decisio-signature"), format!("sha256={digest}"));
    assert_eq!(request.header("x-decisio-event"), "decision.created");
    assert_eq!(request.header("x-decisio-timestamp"), "1736937000");
    let delivery = tenant.delivery_when("evt_abc123", "succeeded").await;
    assert_eq!(request.header("x-decisio-delivery"), text(&delivery["id"]));
}

#[tokio::test]
async fn the_log_shows_every_header_that_was_sent_and_masks_credentials() {
    let headers = "extends = \"standard\"\nheaders = { webhook-id = \"$event.id\", webhook-timestamp = \"$attempt.unix\", \
                   Authorization = \"Bearer 0123456789\", \
                   Accept = \"application/json\", User-Agent = \"acme/2\" }\n";
    let config = Config::bare().dialect("own", headers, &[]).provider("shop", "own").tenant("acme");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    let delivery = acme.delivery_when(&event, "succeeded").await;
    let request = receiver.received("/a").remove(0);
    for (name, value) in [("accept", "application/json"), ("user-agent", "acme/2"), ("content-type", "application/json")] {
        assert_eq!(request.header(name), value);
    }
    assert_eq!(request.header("authorization"), "Bearer 0123456789");
    let sent = request.headers.iter().map(|(name, value)| {
        let value = if name == "authorization" { "Bea…(17)" } else { value };
        (name.clone(), value.to_owned())
    });
    let logged = attempts(&delivery)[0]["request"]["headers"].as_object().expect("headers").iter();
    let logged = logged.map(|(name, value)| (name.to_lowercase(), text(value)));
    assert_eq!(logged.collect::<BTreeMap<_, _>>(), sent.collect::<BTreeMap<_, _>>());
    assert!(request.headers.iter().any(|(name, _)| name == "webhook-signature"));
}

#[tokio::test]
async fn resistants_example_arrives_as_documented() {
    let example: Value = serde_json::from_str(include_str!("../../vectors/resistant-decision.json")).expect("JSON");
    let service = Service::start(&Config::bare().provider("resist", "resistant").tenant("string")).await;
    let (receiver, tenant) = (Receiver::start().await, service.tenant("resist", "string"));
    tenant.subscribe(&receiver.url("/resistant"), &["documents.adaptive_decision.finished"]).await;
    let event = json!({ "type": "documents.adaptive_decision.finished", "data": example["payload"] });
    let id = text(&tenant.publish(&event).await.expect(202)["id"]);

    let request = receiver.wait_for("/resistant", 1, WITHIN).await.remove(0);
    assert_eq!(request.json(), example);
    assert_eq!(request.header("webhook-id"), id);
    tenant.delivery_when(&id, "succeeded").await;
}

#[tokio::test]
async fn aiokas_and_dcisionais_examples_arrive_as_documented() {
    let config = Config::bare().provider("a", "aioka").tenant("t").provider("d", "dcisionai").tenant("t");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    let data = json!({ "ruling": "STRONG_BUY", "composite_score": 0.82, "confidence": 0.79, "regime": "BULL_TRENDING" });
    let aioka = service.tenant("a", "t");
    aioka.subscribe(&receiver.url("/aioka"), &["verdict.new"]).await;
    let event = json!({ "type": "verdict.new", "data": data, "occurred_at": "2026-04-20T14:32:00Z" });
    aioka.publish(&event).await.expect(202);
    let mut request = receiver.wait_for("/aioka", 1, WITHIN).await.remove(0).json();
    // The time is the relay's own, in microseconds, so that no two events share one.
    let time = request["timestamp"].take();
    assert_eq!(time.as_str().map(str::len), Some("2026-04-20T14:32:00.000000Z".len()), "{time}");
    assert_eq!(request, json!({ "event": "verdict.new", "timestamp": null, "data": data }));

    let data = r#"{"id":"pred_1234567890","input":{"feature1":0.5,"feature2":0.7},"output":{"prediction":0.8}}"#;
    let dcisionai = service.tenant("d", "t");
    let hook = json!({ "url": receiver.url("/dcisionai"), "events": ["prediction.completed"] });
    dcisionai.post("/webhooks", &hook).await.expect(201);
    let event = format!(r#"{{"type":"prediction.completed","data":{data}}}"#);
    dcisionai.send(http::Method::POST, "/v1/events", "application/json", event.into()).await.expect(202);
    let request = receiver.wait_for("/dcisionai", 1, WITHIN).await.remove(0);
    assert_eq!(String::from_utf8_lossy(&request.body), format!(r#"{{"event":"prediction.completed","data":{data}}}"#));
}

#[tokio::test]
async fn decks_example_arrives_as_documented_and_204_is_no_success() {
    let config = Config::bare().provider("deck", "deck").tenant("t");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    let tenant = service.tenant("deck", "t");
    let hook = json!({ "name": "checkout", "url": receiver.url("/deck"), "events": ["MakePayment"] });
    tenant.post("/v1/webhooks", &hook).await.expect(201);
    let output = r#"{"success":true,"message":"","service_fee":2.30,"confirmation_id":"767945634509"}"#;
    let job = r#"{"job_guid":"a4e67899-9b8a-481c-h6fe-ee3c6399c0e2","webhook_code":"MakePayment"}"#;
    let publish = |attributes: &str| {
        let event = format!(r#"{{"type":"MakePayment","attributes":{attributes},"data":{output}}}"#);
        let tenant = &tenant;
        async move { tenant.send(http::Method::POST, "/v1/events", "application/json", event.into()).await }
    };
    receiver.script("/deck", [Reply::status(204), Reply::OK]);
    let id = text(&publish(job).await.expect(202)["id"]);
    let request = receiver.wait_for("/deck", 1, WITHIN).await.remove(0);
    let expected = format!(
        r#"{{"job_guid":"a4e67899-9b8a-481c-h6fe-ee3c6399c0e2","output":{output},"webhook_type":"Job","webhook_code":"MakePayment","environment":"Production"}}"#
    );
    assert_eq!(String::from_utf8_lossy(&request.body), expected);
    let delivery = tenant.delivery_that(&id, "its first attempt is logged", |one| one["attempts"] != json!([])).await;
    assert_eq!((&delivery["status"], &delivery["attempts"][0]["error"]), (&json!("pending"), &json!("status")));

    publish(r#"{"webhook_code":"MakePayment"}"#).await.problem(422, &["/attributes/job_guid"]);
    publish(r#"{"job_guid":"x","webhook_code":"Other"}"#).await.problem(422, &["/attributes/webhook_code"]);
}
