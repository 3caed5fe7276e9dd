//! A new secret for a webhook: how long the old one still signs, and where it cannot.

use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::json;
use sha2::Sha256;

use crate::harness::api::{WITHIN, text};
use crate::harness::config::Config;
use crate::harness::receiver::{Received, Receiver};
use crate::harness::service::Service;

#[tokio::test]
async fn both_secrets_sign_for_the_overlap_and_then_the_new_one_alone() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    let made = acme.post("/v1/webhooks", &json!({ "url": receiver.url("/a"), "events": ["*"] })).await.expect(201);
    let (id, old) = (text(&made["id"]), text(&made["secret"]));
    let rotated = acme.post(&format!("/v1/webhooks/{id}/rotate-secret"), &json!({ "overlap": "2s" })).await.expect(200);
    let new = text(&rotated["secret"]);
    assert_ne!(new, old);
    assert!(rotated["previous_secret_until"].is_string(), "{rotated}");
    acme.publish_new("order.paid").await;
    let both = receiver.wait_for("/a", 1, WITHIN).await.remove(0);
    assert_eq!(signatures(&both), 2);
    assert!(holds(&both, &old) && holds(&both, &new));

    // What is tested is the passing of time.
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    acme.publish_new("order.paid").await;
    let one = receiver.wait_for("/a", 2, WITHIN).await.remove(1);
    assert_eq!(signatures(&one), 1);
    assert!(holds(&one, &new) && !holds(&one, &old));
}

#[tokio::test]
async fn a_secret_of_ones_own_takes_over_without_overlap_when_asked_to_and_survives_a_restart() {
    let (mut service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let id = service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    let body = json!({ "secret": OWN, "overlap": "0s" });
    let rotated = service.acme().post(&format!("/v1/webhooks/{id}/rotate-secret"), &body).await.expect(200);
    assert_eq!(rotated["secret"], OWN);
    assert!(rotated.get("previous_secret_until").is_none_or(serde_json::Value::is_null), "{rotated}");
    service.kill9();
    service.start_again().await;
    service.acme().publish_new("order.paid").await;
    let request = receiver.wait_for("/a", 1, WITHIN).await.remove(0);
    assert_eq!((signatures(&request), holds(&request, OWN)), (1, true));
}

#[tokio::test]
async fn a_secret_that_makes_no_sense_changes_nothing() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let made = acme.post("/v1/webhooks", &json!({ "url": "https://example.com/", "events": ["*"] })).await.expect(201);
    let path = format!("/v1/webhooks/{}/rotate-secret", text(&made["id"]));
    for (body, pointer) in [
        (json!({ "secret": "whsec_c2hvcnQ=" }), "/secret"),
        (json!({ "overlap": "31d" }), "/overlap"),
        (json!({ "overlap": 5 }), "/overlap"),
    ] {
        let refused = acme.post(&path, &body).await;
        refused.problem(422, &[pointer]);
        assert!(!refused.text().contains("c2hvcnQ"), "a secret is not repeated: {}", refused.text());
    }
    let kept = service.cli(&["webhooks", "secret", &text(&made["id"]), "--tenant", "shop/acme"]).expect(0);
    assert_eq!(kept.stdout.trim_end(), made["secret"]);
    for change in [json!({ "secret": OWN }), json!({ "url": "https://example.org/", "secret": OWN })] {
        acme.patch(&format!("/v1/webhooks/{}", text(&made["id"])), &change).await.problem(422, &["rotate-secret"]);
    }
}

#[tokio::test]
async fn where_one_signature_is_sent_the_new_secret_signs_at_once_and_the_answer_says_so() {
    let config = Config::bare().provider("decide", "decisio").tenant("acme");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    let acme = service.tenant("decide", "acme");
    let id = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let rotated = acme.post(&format!("/v1/webhooks/{id}/rotate-secret"), &json!({ "overlap": "1h" })).await.expect(200);
    assert!(rotated.to_string().contains("no overlap"), "{rotated}");
    acme.publish_new("decision.created").await;
    let request = receiver.wait_for("/a", 1, WITHIN).await.remove(0);
    let mut mac = Hmac::<Sha256>::new_from_slice(text(&rotated["secret"]).as_bytes()).expect("any length");
    mac.update(&request.body);
    assert_eq!(request.header("x-decisio-signature"), format!("sha256={}", hex::encode(mac.finalize().into_bytes())));
}

fn signatures(request: &Received) -> usize {
    request.header("webhook-signature").split(' ').count()
}

/// Judged by the `standardwebhooks` crate, which is not ours.
fn holds(request: &Received, secret: &str) -> bool {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, request.header(name).parse().expect("a header"));
    }
    standardwebhooks::Webhook::new(secret).expect("a valid secret").verify(&request.body, &headers).is_ok()
}

const OWN: &str = "whsec_b25lcy1vd24tMzItYnl0ZXMtb2Ytc2VjcmV0LTAwMDE=";
