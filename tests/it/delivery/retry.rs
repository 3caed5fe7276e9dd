//! An endpoint that fails at first gets its attempts at the scheduled times, and the log has all of them.

use std::time::Duration;

use serde_json::json;

use crate::harness::api::{WITHIN, attempts};
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn attempts_come_at_the_scheduled_times_and_stand_in_the_log() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500).body("not yet"), Reply::status(500), Reply::OK.body("thanks")]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["order.paid"]).await;
    let event = acme.publish_new("order.paid").await;

    let requests = receiver.wait_for("/a", 3, WITHIN).await;
    assert_between(requests[1].at - requests[0].at, 200, 600);
    assert_between(requests[2].at - requests[1].at, 400, 800);
    assert!(
        requests
            .iter()
            .all(|request| request.method == "POST" && request.body == requests[0].body && request.header("webhook-id") == event)
    );

    let delivery = acme.delivery_when(&event, "succeeded").await;
    let logged = attempts(&delivery);
    assert_eq!(logged.len(), 3);
    for (number, (attempt, status)) in logged.iter().zip([500, 500, 200]).enumerate() {
        assert_eq!(attempt["number"], number + 1);
        assert_eq!(attempt["trigger"], "schedule");
        assert_eq!(attempt["response"]["status"], status);
        assert!(attempt["duration_ms"].is_number(), "{attempt}");
        let sent = String::from_utf8(requests[number].body.clone()).expect("JSON");
        assert_eq!(delivery["request"]["body"], json!(sent));
        assert!(attempt["request"]["body"].is_null(), "the body is shown once: {attempt}");
        assert!(attempt["request"]["headers"].to_string().contains(&event), "{attempt}");
    }
    assert_eq!(logged[0]["response"]["body"], "not yet");
    assert_eq!((&logged[0]["error"], &logged[2]["error"]), (&json!("status"), &json!(null)));
    assert_eq!(logged[2]["response"]["body"], "thanks");
}

#[tokio::test]
async fn the_log_tells_failures_below_http_apart() {
    let config = Config::bare().dialect("once", "extends = \"standard\"\n[dialect.once.delivery]\ntimeout = \"500ms\"\n", &[]);
    let service = Service::start(&config.provider("shop", "once").tenant("acme")).await;
    let (receiver, acme) = (Receiver::start().await, service.acme());
    receiver.script("/drop", [Reply::Drop]);
    receiver.script("/reset", [Reply::Reset]);
    receiver.script("/hang", [Reply::Hang]);
    receiver.script("/garbage", [Reply::Raw(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec())]);
    receiver.script("/short", [Reply::Raw(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n".to_vec())]);
    for (path, class) in
        [("/drop", "reset"), ("/reset", "reset"), ("/hang", "timeout"), ("/garbage", "response"), ("/short", "reset")]
    {
        acme.subscribe(&receiver.url(path), &[&path[1..]]).await;
        let event = acme.publish_new(&path[1..]).await;
        let delivery = acme.delivery_when(&event, "failed").await;
        assert_eq!(attempts(&delivery).len(), 1, "{delivery}");
        assert_eq!(attempts(&delivery)[0]["error"], class, "{path}: {delivery}");
    }
    acme.subscribe(&crate::harness::receiver::refusing_url().await, &["refused"]).await;
    let event = acme.publish_new("refused").await;
    assert_eq!(attempts(&acme.delivery_when(&event, "failed").await)[0]["error"], "connect");
}

#[tokio::test]
async fn retry_after_delays_the_next_attempt_and_never_hastens_it() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    receiver
        .script("/a", [Reply::status(429).header("Retry-After", "1"), Reply::status(503).header("Retry-After", "0"), Reply::OK]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.publish_new("order.paid").await;
    let requests = receiver.wait_for("/a", 3, WITHIN).await;
    assert_between(requests[1].at - requests[0].at, 1_000, 1_400);
    assert_between(requests[2].at - requests[1].at, 1_000, 1_400);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_is_not_followed() {
    let (service, receiver) = (Service::start(&Config::retrying(&[])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(307).header("Location", &receiver.url("/b"))]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    assert_eq!(attempts(&acme.delivery_when(&event, "failed").await)[0]["response"]["status"], 307);
    assert_eq!(receiver.received("/b").len(), 0);
}

#[tokio::test]
async fn a_kept_connection_that_the_endpoint_closed_costs_no_attempt() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    // The second request comes on the connection of the first, and finds it closed.
    receiver.script("/a", [Reply::OK, Reply::Drop, Reply::OK]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let first = acme.publish_new("order.paid").await;
    acme.delivery_when(&first, "succeeded").await;
    let second = acme.publish_new("order.paid").await;
    let delivery = acme.delivery_when(&second, "succeeded").await;
    assert_eq!(attempts(&delivery).len(), 1, "{delivery}");
    let requests = receiver.wait_for("/a", 3, WITHIN).await;
    assert_eq!([requests[0].connection, requests[1].connection, requests[2].connection], [1, 1, 2]);
}

#[track_caller]
fn assert_between(took: Duration, from_ms: u64, to_ms: u64) {
    assert!(
        (Duration::from_millis(from_ms)..Duration::from_millis(to_ms)).contains(&took),
        "{took:?} is not in {from_ms}..{to_ms} ms"
    );
}
