//! What happens to deliveries when their webhook is disabled, enabled or deleted, and what a retry by hand does in each state.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn disabling_holds_what_is_pending_and_enabling_goes_on_at_the_next_number() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h"])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500), Reply::OK]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    acme.delivery_that(&event, "one attempt was made", |delivery| attempts(delivery).len() == 1).await;
    acme.do_to_webhook(&webhook, "disable").await;
    assert!(acme.delivery_when(&event, "held").await["next_attempt_at"].is_null());
    acme.do_to_webhook(&webhook, "enable").await;
    let delivery = acme.delivery_when(&event, "succeeded").await;
    let numbers: Vec<_> = attempts(&delivery).iter().map(|attempt| attempt["number"].as_u64()).collect();
    assert_eq!(numbers, [Some(1), Some(2)]);
}

#[tokio::test]
async fn an_attempt_under_way_ends_and_counts_when_its_webhook_is_disabled() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h"])).await, Receiver::start().await);
    receiver.script("/a", [Reply::OK.after(SLOW), Reply::status(500).after(SLOW), Reply::OK]);
    let acme = service.acme();
    for (arrived, expected) in [(1, "succeeded"), (2, "held")] {
        let webhook = acme.subscribe(&receiver.url("/a"), &[expected]).await;
        let event = acme.publish_new(expected).await;
        receiver.wait_for("/a", arrived, WITHIN).await;
        acme.do_to_webhook(&webhook, "disable").await;
        let ended = |delivery: &Value| delivery["status"] == expected && attempts(delivery).len() == 1;
        acme.delivery_that(&event, &format!("the attempt in flight ends and leaves it {expected}"), ended).await;
    }
}

#[tokio::test]
async fn deleting_ends_what_waits_and_keeps_the_log() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h"])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500), Reply::status(500).after(SLOW)]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let waiting = acme.publish_new("order.paid").await;
    acme.delivery_that(&waiting, "one attempt was made", |delivery| attempts(delivery).len() == 1).await;
    let in_flight = acme.publish_new("order.paid").await;
    receiver.wait_for("/a", 2, WITHIN).await;

    acme.delete(&format!("/v1/webhooks/{webhook}")).await.expect(204);
    acme.get(&format!("/v1/webhooks/{webhook}")).await.problem(404, &[]);
    for event in [&waiting, &in_flight] {
        let delivery = acme.delivery_when(event, "failed").await;
        assert!(delivery.to_string().contains("webhook_deleted"), "{delivery}");
    }
    let ended = |delivery: &Value| attempts(delivery).len() == 1;
    let delivery = acme.delivery_that(&in_flight, "the attempt in flight ends", ended).await;
    assert!(delivery["status"] == "failed" && delivery["reason"] == "webhook_deleted", "{delivery}");
    tokio::time::sleep(SLOW).await;
    assert_eq!(receiver.received("/a").len(), 2, "nothing is sent after the delete");
}

#[tokio::test]
async fn an_attempt_under_way_may_succeed_after_its_webhook_is_deleted() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    receiver.script("/a", [Reply::OK.after(SLOW)]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    receiver.wait_for("/a", 1, WITHIN).await;
    acme.delete(&format!("/v1/webhooks/{webhook}")).await.expect(204);
    acme.delivery_when(&event, "succeeded").await;
}

#[tokio::test]
async fn a_held_delivery_ends_when_its_webhook_is_deleted() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let webhook = acme.subscribe("https://example.com/hooks", &["*"]).await;
    acme.do_to_webhook(&webhook, "disable").await;
    let event = acme.publish_new("order.paid").await;
    acme.delivery_when(&event, "held").await;
    acme.delete(&format!("/v1/webhooks/{webhook}")).await.expect(204);
    assert!(acme.delivery_when(&event, "failed").await.to_string().contains("webhook_deleted"));
}

#[tokio::test]
async fn a_410_ends_its_delivery_and_disables_while_others_are_in_flight() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h"])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500), Reply::OK.after(SLOW), Reply::status(410), Reply::OK]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let mut events = Vec::new();
    for arrived in 1..=3 {
        events.push(acme.publish_new("order.paid").await);
        receiver.wait_for("/a", arrived, WITHIN).await;
    }
    let gone = acme.delivery_when(&events[2], "failed").await;
    assert_eq!(attempts(&gone).len(), 1, "a 410 is not tried again: {gone}");
    let disabled = acme.webhook(&webhook).await;
    assert_eq!(disabled["status"], "disabled");
    assert!(text(&disabled["disabled_reason"]).contains("410"), "{disabled}");
    acme.delivery_when(&events[0], "held").await;
    acme.delivery_when(&events[1], "succeeded").await;
    let later = acme.publish_new("order.paid").await;
    acme.delivery_when(&later, "held").await;
}

#[tokio::test]
async fn a_failed_delivery_retried_by_hand_starts_its_schedule_anew() {
    let (service, receiver) = (Service::start(&Config::retrying(&["50ms"])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500), Reply::status(500), Reply::status(500), Reply::OK]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    let failed = acme.delivery_when(&event, "failed").await;
    acme.retry(&failed).await.expect(200);
    let delivery = acme.delivery_when(&event, "succeeded").await;
    let made: Vec<_> = attempts(&delivery).iter().map(|attempt| (attempt["number"].clone(), text(&attempt["trigger"]))).collect();
    let expected = [(1, "schedule"), (2, "schedule"), (3, "manual"), (4, "schedule")]
        .map(|(number, trigger)| (json!(number), trigger.to_owned()));
    assert_eq!(made, expected);
    let requests = receiver.received("/a");
    assert!(requests.iter().all(|request| request.header("webhook-id") == event && request.body == requests[0].body));
}

#[tokio::test]
async fn a_succeeded_delivery_retried_by_hand_keeps_its_success() {
    let (service, receiver) = (Service::start(&Config::retrying(&[])).await, Receiver::start().await);
    receiver.script("/a", [Reply::OK, Reply::status(500)]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    let succeeded = acme.delivery_when(&event, "succeeded").await;
    assert!(succeeded["succeeded_at"].is_string(), "{succeeded}");
    acme.retry(&succeeded).await.expect(200);
    let failed = acme.delivery_when(&event, "failed").await;
    assert_eq!(failed["succeeded_at"], succeeded["succeeded_at"]);
    assert_eq!(attempts(&failed).len(), 2);
}

#[tokio::test]
async fn a_pending_delivery_retried_by_hand_fires_now_and_keeps_its_schedule() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h", "100ms"])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500)]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    let pending = acme.delivery_that(&event, "one attempt was made", |delivery| attempts(delivery).len() == 1).await;
    acme.retry(&pending).await.expect(200);
    // The attempt an hour later was left out, and the one after it in the schedule came next.
    let failed = acme.delivery_when(&event, "failed").await;
    let made: Vec<_> = attempts(&failed).iter().map(|attempt| text(&attempt["trigger"])).collect();
    assert_eq!(made, ["schedule", "manual", "schedule"]);
}

#[tokio::test]
async fn nothing_is_retried_by_hand_on_a_disabled_webhook() {
    let (service, receiver) = (Service::start(&Config::retrying(&[])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500), Reply::OK]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    let failed = acme.delivery_when(&event, "failed").await;
    acme.do_to_webhook(&webhook, "disable").await;
    acme.retry(&failed).await.problem(409, &["enable"]);
    let held = acme.publish_new("order.paid").await;
    let held = acme.delivery_when(&held, "held").await;
    acme.retry(&held).await.problem(409, &["enable"]);
    let recover = json!({ "since": "2020-01-01T00:00:00Z" });
    acme.post(&format!("/v1/webhooks/{webhook}/recover"), &recover).await.problem(409, &["enable"]);
}

/// Two people change one webhook at once. Neither change may undo the other.
#[tokio::test]
async fn two_changes_at_once_are_both_kept() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let path = format!("/v1/webhooks/{}", acme.subscribe("https://example.com/", &["*"]).await);
    for round in 0..20 {
        let (url, description) = (format!("https://example.com/{round}"), format!("round {round}"));
        let (one, other) = (json!({ "url": url }), json!({ "description": description }));
        let (one, other) = tokio::join!(acme.patch(&path, &one), acme.patch(&path, &other));
        one.expect(200);
        other.expect(200);
        let kept = acme.get(&path).await.expect(200);
        assert_eq!((&kept["url"], &kept["description"]), (&json!(url), &json!(description)));
    }
}

#[tokio::test]
async fn recover_brings_back_what_failed_and_what_was_missed() {
    let (service, receiver) = (Service::start(&Config::retrying(&[])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500), Reply::OK]);
    let acme = service.acme();
    let missed = acme.publish_new("order.paid").await;
    let webhook = acme.subscribe(&receiver.url("/a"), &["order.*"]).await;
    let other = acme.publish_new("invoice.sent").await;
    let failing = acme.publish_new("order.paid").await;
    let failed = acme.delivery_when(&failing, "failed").await;
    let recover = json!({ "since": "2020-01-01T00:00:00Z" });
    let answer = acme.post(&format!("/v1/webhooks/{webhook}/recover"), &recover).await.expect(202);
    assert!(answer.as_object().is_some_and(|fields| fields.values().any(|value| *value == 2)), "a count of 2: {answer}");
    assert_eq!(acme.delivery_when(&failing, "succeeded").await["id"], failed["id"]);
    acme.delivery_when(&missed, "succeeded").await;
    assert_eq!(acme.deliveries_of(&other).await, Vec::<Value>::new());
}

#[tokio::test]
async fn recover_takes_deliveries_of_its_window_alone() {
    let (service, receiver) = (Service::start(&Config::retrying(&[])).await, Receiver::start().await);
    receiver.script("/a", [Reply::OK, Reply::status(500), Reply::OK]);
    let acme = service.acme();
    let missed = acme.publish_new("order.paid").await;
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let delivered = acme.publish_new("order.paid").await;
    acme.delivery_when(&delivered, "succeeded").await;
    let failing = acme.publish_new("order.paid").await;
    acme.delivery_when(&failing, "failed").await;
    let recover =
        async |body: Value| acme.post(&format!("/v1/webhooks/{webhook}/recover"), &body).await.expect(202)["count"].as_u64();
    assert_eq!(recover(json!({ "since": "2100-01-01T00:00:00Z", "until": "2101-01-01T00:00:00Z" })).await, Some(0));
    assert_eq!(recover(json!({ "since": LONG_AGO, "until": "2021-01-01T00:00:00Z" })).await, Some(0));
    assert_eq!(recover(json!({ "since": LONG_AGO, "status": "failed" })).await, Some(1));
    acme.delivery_when(&failing, "succeeded").await;
    assert_eq!(acme.deliveries_of(&missed).await, Vec::<Value>::new());
    assert_eq!(recover(json!({ "since": LONG_AGO, "status": "missed" })).await, Some(1));
    acme.delivery_when(&missed, "succeeded").await;
    assert_eq!(recover(json!({ "since": LONG_AGO })).await, Some(0), "nothing is left");
    assert_eq!(attempts(&acme.delivery_when(&delivered, "succeeded").await).len(), 1);
}

/// A time before every event here.
const LONG_AGO: &str = "2020-01-01T00:00:00Z";

/// Long enough to act while an attempt is under way.
const SLOW: Duration = Duration::from_millis(600);
