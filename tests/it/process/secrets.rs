//! Secrets are shown once, are rotated with the overlap that the dialect allows, and are seen nowhere else.

use serde_json::{Value, json};

use crate::harness::api::text;
use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::sent::{accepted, subscribe_for_all};
use crate::harness::service::Service;

#[tokio::test]
async fn a_dialect_with_one_signature_says_that_there_is_no_overlap() {
    for (dialect, kind, header) in [
        ("decisio", "decision.created", "X-Decisio-Signature"),
        ("dcisionai", "project.created", "X-DcisionAI-Signature"),
        ("aioka", "verdict.new", "X-AIOKA-Signature"),
    ] {
        let (service, receiver) =
            (Service::start(&Config::bare().provider("p", dialect).tenant("t")).await, Receiver::start().await);
        let tenant = service.tenant("p", "t");
        let old = subscribe_for_all(&tenant, &receiver.url("/a"), json!({})).await;
        let id = text(&tenant.get("/v1/webhooks").await.expect(200)["data"][0]["id"]);
        let answer = tenant.post(&format!("/v1/webhooks/{id}/rotate-secret"), &json!({ "overlap": "1h" })).await.expect(200);
        let rotated = answer.get("data").unwrap_or(&answer).clone();
        assert!(text(&rotated["note"]).contains("no overlap"), "{dialect}: {rotated}");
        assert_eq!(rotated["previous_secret_until"], Value::Null);
        assert_ne!(text(&rotated["secret"]), old);
        let sent = accepted(&tenant, json!({ "type": kind, "data": { "a": 1 } })).await;
        assert!(!sent.header(header).contains(' '), "one signature alone: {}", sent.header(header));
    }
}

#[tokio::test]
async fn a_dialect_with_many_signatures_signs_with_both_for_the_overlap() {
    let (service, receiver) =
        (Service::start(&Config::bare().provider("p", "standard").tenant("t")).await, Receiver::start().await);
    let tenant = service.tenant("p", "t");
    subscribe_for_all(&tenant, &receiver.url("/a"), json!({})).await;
    let id = text(&tenant.get("/v1/webhooks").await.expect(200)["data"][0]["id"]);
    let rotate = format!("/v1/webhooks/{id}/rotate-secret");
    let rotated = tenant.post(&rotate, &json!({ "overlap": "1h" })).await.expect(200);
    assert!(rotated["previous_secret_until"].is_string() && rotated.get("note").is_none(), "{rotated}");
    let sent = accepted(&tenant, json!({ "type": "a.b", "data": 1 })).await;
    assert_eq!(sent.header("webhook-signature").split(' ').count(), 2);
    // This is a secret of the customer's own, with an overlap that ends at once.
    let own = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3";
    let rotated = tenant.post(&rotate, &json!({ "secret": own, "overlap": "0s" })).await.expect(200);
    assert_eq!((&rotated["secret"], &rotated["previous_secret_until"]), (&json!(own), &Value::Null));
    let sent = accepted(&tenant, json!({ "type": "a.b", "data": 1 })).await;
    assert_eq!(sent.header("webhook-signature").split(' ').count(), 1);
    for bad in ["short", "whsec_c2hvcnQ=", "whsk_AAAA", "whpk_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="] {
        tenant.post(&rotate, &json!({ "secret": bad })).await.problem(422, &["/secret"]);
    }
}

#[tokio::test]
async fn deck_has_no_secret_to_rotate() {
    let service = Service::start(&Config::bare().provider("p", "deck").tenant("t")).await;
    let tenant = service.tenant("p", "t");
    let hook = json!({ "name": "n", "url": "https://a.example/", "events": ["*"] });
    let made = tenant.post("/v1/webhooks", &hook).await.expect(201);
    assert_eq!(made.get("secret"), None);
    tenant.post(&format!("/v1/webhooks/{}/rotate-secret", text(&made["id"])), &json!({})).await.problem(409, &["signs nothing"]);
}

#[tokio::test]
async fn a_secret_is_shown_only_by_the_answer_that_makes_it() {
    for dialect in ["decisio", "dcisionai", "aioka", "resistant", "standard"] {
        let (service, receiver) =
            (Service::start(&Config::bare().provider("p", dialect).tenant("t")).await, Receiver::start().await);
        let tenant = service.tenant("p", "t");
        let secret = subscribe_for_all(&tenant, &receiver.url("/a"), json!({})).await;
        let id = text(&tenant.get("/v1/webhooks").await.expect(200)["data"][0]["id"]);
        accepted(&tenant, json!({ "type": "a.b", "data": 1 })).await;
        let given = json!({ "secret": secret });
        let mut said = service.stderr();
        for path in ["/v1/webhooks", "/v1/deliveries", "/v1/events", &format!("/v1/webhooks/{id}")] {
            said += &tenant.get(path).await.text();
        }
        said += &tenant.patch(&format!("/v1/webhooks/{id}"), &given).await.text();
        said += &tenant.post("/v1/webhooks", &json!({ "secret": secret, "url": "x" })).await.text();
        said += &tenant.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await.text();
        assert!(!said.contains(secret.trim_start_matches("whsec_")), "{dialect} shows its secret: {said}");
        let store = std::fs::read(service.folder().join("hookwheel.redb")).expect("a file");
        let plain = store.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(!plain, "{dialect}: the store holds the secret in the open");
    }
}
