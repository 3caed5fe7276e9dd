//! What the operator is told at `notify_url`, and how often, and that notices cause no further notices.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::{Received, Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn the_operator_hears_when_a_webhook_is_disabled_and_enabled_by_hand() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick().notify(&receiver.url("/ops"))).await;
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.do_to_webhook(&webhook, "disable").await;
    acme.do_to_webhook(&webhook, "enable").await;
    acme.do_to_webhook(&webhook, "enable").await;
    service.cli(&["webhooks", "disable", &webhook, "--tenant", "shop/acme"]).expect(0);
    service.cli(&["webhooks", "enable", &webhook, "--tenant", "shop/acme"]).expect(0);
    receiver.wait_for("/ops", 4, WITHIN).await;
    let told = notices(&receiver);
    for kind in ["webhook.disabled", "webhook.enabled"] {
        let such: Vec<_> = told.iter().filter(|notice| notice["type"] == kind).collect();
        assert_eq!(such.len(), 2, "twice, since enabling an active webhook changes nothing: {told:?}");
        assert!(such.iter().all(|notice| notice["data"]["webhook_id"] == *webhook), "{told:?}");
        assert!(such.iter().all(|notice| notice["data"]["tenant"] == "acme"), "{told:?}");
    }
}

#[tokio::test]
async fn the_operator_hears_when_a_webhook_leaves_the_file_and_comes_back() {
    let receiver = Receiver::start().await;
    let without = || Config::quick().notify(&receiver.url("/ops"));
    let with = without().webhook("billing", &receiver.url("/a"), &["*"]);
    let service = Service::start(&with).await;
    for (config, kind) in [(without(), "webhook.disabled"), (with, "webhook.enabled")] {
        config.write(service.folder());
        service.cli(&["reload"]).expect(0);
        let told = || async { notices(&receiver).into_iter().find(|notice| notice["type"] == kind) };
        let notice = eventually(kind, WITHIN, told).await;
        assert_eq!(notice["data"]["url"], receiver.url("/a"));
    }
}

/// This test waits for a real minute, since that is what is promised.
#[tokio::test]
async fn failed_deliveries_are_told_at_once_and_then_once_a_minute() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::retrying(&[]).notify(&receiver.url("/ops"))).await;
    receiver.script("/a", [Reply::status(500)]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.do_to_webhook(&webhook, "test").await;
    let fail = async || {
        let event = acme.publish_new("order.paid").await;
        acme.delivery_when(&event, "failed").await;
    };
    fail().await;
    let first = receiver.wait_for("/ops", 1, WITHIN).await.remove(0);
    for _ in 0..4 {
        fail().await;
    }
    let both = receiver.wait_for("/ops", 2, Duration::from_secs(75)).await;
    assert!(both[1].at - first.at > Duration::from_secs(59), "{:?}", both[1].at - first.at);
    let told = notices(&receiver);
    assert!(
        told.iter().all(|notice| notice["type"] == "delivery.failed" && notice["data"]["webhook_id"] == *webhook),
        "{told:?}"
    );
    let counts: Vec<_> = told.iter().map(|notice| notice["data"]["count"].clone()).collect();
    assert_eq!(counts, [1, 4], "the test is not among them");
    assert_eq!(told[0]["data"]["reason"], "exhausted");
}

#[tokio::test]
async fn deliveries_that_a_deletion_ends_are_told_as_one_count() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick().notify(&receiver.url("/ops"))).await;
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.do_to_webhook(&webhook, "disable").await;
    for _ in 0..5 {
        acme.publish_new("order.paid").await;
    }
    acme.delete(&format!("/v1/webhooks/{webhook}")).await.expect(204);
    receiver.wait_for("/ops", 2, WITHIN).await;
    let told = notices(&receiver);
    let failed = told.iter().find(|notice| notice["type"] == "delivery.failed").expect("told");
    assert_eq!((&failed["data"]["count"], &failed["data"]["reason"]), (&json!(5), &json!("webhook_deleted")), "{told:?}");
}

#[tokio::test]
async fn a_store_that_is_full_is_told_once() {
    let receiver = Receiver::start().await;
    let config = Config::quick().storage("max_bytes = \"16MiB\"").notify(&receiver.url("/ops"));
    let service = Service::start(&config).await;
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.do_to_webhook(&webhook, "disable").await;
    let large = json!({ "type": "order.paid", "data": "x".repeat(64 * 1024) });
    let full = || async { (acme.publish(&large).await.status == 507).then_some(()) };
    eventually("the store is full", WITHIN, full).await;
    let low = || notices(&receiver).into_iter().filter(|notice| notice["type"] == "storage.low").collect::<Vec<_>>();
    let first = eventually("the operator is told", WITHIN, || async { low().pop() }).await;
    assert_eq!(first["data"]["reason"], "max_bytes");
    // Each finished delivery makes room for a moment, and that of the notice is the first.
    let until = Instant::now() + Duration::from_secs(4);
    while Instant::now() < until {
        acme.publish(&large).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    eventually("the store is full again", WITHIN, full).await;
    assert_eq!(low().len(), 1);
}

#[tokio::test]
async fn the_failure_of_a_notice_causes_no_notice() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick().notify(&receiver.url("/ops"))).await;
    receiver.script("/ops", [Reply::status(410)]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.do_to_webhook(&webhook, "disable").await;
    let listed = service.admin().get("/v1/admin/webhooks").await.expect(200);
    let own = listed["data"].as_array().and_then(|all| all.iter().find(|webhook| webhook["url"] == receiver.url("/ops")));
    let path = format!("/v1/webhooks/{}", text(&own.expect("listed")["id"]));
    let disabled = || async { (service.admin().get(&path).await.expect(200)["status"] == "disabled").then_some(()) };
    eventually("the operator's own webhook is disabled", WITHIN, disabled).await;
    let told = service.admin().get(&format!("{path}/deliveries")).await.expect(200);
    let kinds: Vec<_> = told["data"].as_array().expect("a list").iter().map(|delivery| &delivery["event_type"]).collect();
    assert_eq!(kinds, ["webhook.disabled"], "of acme's webhook, and nothing of the operator's");
}

/// The notices that the operator got. Each must be signed with the operator's secret.
fn notices(receiver: &Receiver) -> Vec<Value> {
    let received = receiver.received("/ops");
    received.iter().for_each(Received::is_signed_for_operator);
    received.iter().map(Received::json).collect()
}
