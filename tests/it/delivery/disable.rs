//! A webhook that keeps failing is disabled, holds its deliveries, and goes on when it is enabled.

use serde_json::json;

use crate::harness::api::{WITHIN, attempts};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn ten_failures_disable_and_enabling_delivers_what_was_held() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::retrying(&["20ms"]).notify(&receiver.url("/ops"))).await;
    receiver.script("/a", [Reply::status(500)]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    for number in 1..=10 {
        assert_eq!(acme.webhook(&webhook).await["status"], "active", "before the failure {number}");
        let event = acme.publish_new("order.paid").await;
        assert_eq!(attempts(&acme.delivery_when(&event, "failed").await).len(), 2);
    }
    let disabled = acme.webhook(&webhook).await;
    assert_eq!(disabled["status"], "disabled");
    assert!(disabled["disabled_at"].is_string() && disabled["disabled_reason"].is_string(), "{disabled}");

    let eleventh = acme.publish_new("order.paid").await;
    let held = acme.delivery_when(&eleventh, "held").await;
    assert_eq!(attempts(&held).len(), 0);
    assert_eq!(receiver.received("/a").len(), 20, "nothing is sent to a disabled webhook");

    let notices = receiver.wait_for("/ops", 1, WITHIN).await;
    notices[0].is_signed_for_operator();
    let disabled: Vec<_> = notices.iter().filter(|notice| notice.json()["type"] == "webhook.disabled").collect();
    assert!(matches!(disabled[..], [notice] if String::from_utf8_lossy(&notice.body).contains(&webhook)), "{notices:?}");

    receiver.script("/a", [Reply::OK]);
    acme.do_to_webhook(&webhook, "enable").await;
    let delivered = acme.delivery_when(&eleventh, "succeeded").await;
    assert_eq!(delivered["id"], held["id"]);
    assert!(acme.webhook(&webhook).await["disabled_reason"].is_null());
}

#[tokio::test]
async fn a_success_in_between_starts_the_count_anew() {
    let (service, receiver) = (Service::start(&counting_to_two()).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500), Reply::OK, Reply::status(500), Reply::status(500)]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    for (expected, status) in [("failed", "active"), ("succeeded", "active"), ("failed", "active"), ("failed", "disabled")] {
        let event = acme.publish_new("order.paid").await;
        acme.delivery_when(&event, expected).await;
        assert_eq!(acme.webhook(&webhook).await["status"], status);
    }
}

#[tokio::test]
async fn disabling_by_count_holds_what_is_pending() {
    let keys = "extends = \"standard\"\n[dialect.strict.disable]\nconsecutive = 2\ncount = \"attempts\"\n";
    let config = Config::bare().dialect("strict", keys, &["1h"]).provider("shop", "strict").tenant("acme");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500), Reply::status(500), Reply::OK]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let first = acme.publish_new("order.paid").await;
    acme.delivery_that(&first, "one attempt was made", |delivery| attempts(delivery).len() == 1).await;
    let second = acme.publish_new("order.paid").await;
    for event in [&first, &second] {
        assert_eq!(attempts(&acme.delivery_when(event, "held").await).len(), 1);
    }
    assert_eq!(acme.webhook(&webhook).await["disabled_reason"], "2 consecutive failures");
    acme.do_to_webhook(&webhook, "enable").await;
    for event in [&first, &second] {
        assert_eq!(attempts(&acme.delivery_when(event, "succeeded").await).len(), 2);
    }
}

#[tokio::test]
async fn enabling_sets_the_count_to_zero() {
    let (service, receiver) = (Service::start(&counting_to_two()).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500)]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    for _ in 0..2 {
        fail_once(&acme, &webhook, "active").await;
        fail_once(&acme, &webhook, "disabled").await;
        acme.do_to_webhook(&webhook, "enable").await;
    }
}

#[tokio::test]
async fn a_recovered_delivery_that_fails_again_does_not_count() {
    let (service, receiver) = (Service::start(&counting_to_two()).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500)]);
    let acme = service.acme();
    let missed = acme.publish_new("order.paid").await;
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let failed = acme.publish_new("order.paid").await;
    acme.delivery_when(&failed, "failed").await;
    let recover = json!({ "since": "2020-01-01T00:00:00Z" });
    acme.post(&format!("/v1/webhooks/{webhook}/recover"), &recover).await.expect(202);
    for (event, made) in [(&missed, 1), (&failed, 2)] {
        let again = |delivery: &serde_json::Value| delivery["status"] == "failed" && attempts(delivery).len() == made;
        acme.delivery_that(event, "the recovered run has failed", again).await;
    }
    assert_eq!(acme.webhook(&webhook).await["status"], "active");
    fail_once(&acme, &webhook, "disabled").await;
}

#[tokio::test]
async fn manual_runs_and_tests_never_count_as_failures() {
    let (service, receiver) = (Service::start(&counting_to_two()).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500)]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    let failed = acme.delivery_when(&event, "failed").await;
    for number in 2..4 {
        acme.retry(&failed).await.expect(200);
        let again = |delivery: &serde_json::Value| delivery["status"] == "failed" && attempts(delivery).len() == number;
        acme.delivery_that(&event, "the run by hand has failed", again).await;
    }
    acme.do_to_webhook(&webhook, "test").await;
    assert_eq!(acme.webhook(&webhook).await["status"], "active");

    receiver.script("/a", [Reply::OK, Reply::status(500)]);
    acme.do_to_webhook(&webhook, "test").await;
    let event = acme.publish_new("order.paid").await;
    acme.delivery_when(&event, "failed").await;
    assert_eq!(acme.webhook(&webhook).await["status"], "active", "the test's success had set the count to zero");
}

#[tokio::test]
async fn a_test_is_sent_to_a_disabled_webhook_and_answers_with_what_came_back() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(418).body("a teapot")]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.do_to_webhook(&webhook, "disable").await;
    let tested = acme
        .post(&format!("/v1/webhooks/{webhook}/test"), &json!({ "event_type": "order.paid", "data": { "b": 2 } }))
        .await
        .expect(200);
    assert!(tested.to_string().contains("418") && tested.to_string().contains("a teapot"), "{tested}");
    let requests = receiver.received("/a");
    assert_eq!(requests.len(), 1, "a test is one attempt");
    assert_eq!(requests[0].header("hookwheel-test"), "true", "its receiver can tell it from a real event");
    let logged = acme.get("/v1/deliveries?test=true").await.expect(200);
    assert_eq!(logged["data"][0]["test"], true);
}

/// Lets one more delivery fail, and checks the webhook's status after it.
async fn fail_once(acme: &Client, webhook: &str, status: &str) {
    let event = acme.publish_new("order.paid").await;
    acme.delivery_when(&event, "failed").await;
    assert_eq!(acme.webhook(webhook).await["status"], status);
}

/// A config with one attempt for each delivery, where two failures disable.
fn counting_to_two() -> Config {
    let keys = "extends = \"standard\"\n[dialect.once.disable]\nconsecutive = 2\n";
    Config::bare().dialect("once", keys, &[]).provider("shop", "once").tenant("acme")
}
