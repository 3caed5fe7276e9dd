//! The feed that a subscriber polls instead of receiving, and its long poll.

mod live;

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::api::{WITHIN, text};
use crate::harness::config::Config;
use crate::harness::service::Service;

#[tokio::test]
async fn a_long_poll_answers_as_soon_as_an_event_comes() {
    let service = Service::start(&Config::quick().tenant("bolt")).await;
    let acme = service.acme();
    let old = acme.publish_new("order.paid").await;
    let page = acme.get("/v1/events?wait=30s").await.expect(200);
    assert_eq!(page["data"][0]["id"], *old, "there is one already");

    let next = format!("/v1/events?wait=30s&cursor={}", text(&page["cursor"]));
    let poll = tokio::spawn({
        let acme = acme.clone();
        async move { acme.get(&next).await }
    });
    // Another tenant's event is none of its business.
    service.tenant("shop", "bolt").publish_new("order.paid").await;
    tokio::time::sleep(SOON).await;
    assert!(!poll.is_finished(), "nothing has come for this tenant");
    let since = Instant::now();
    let new = acme.publish_new("order.paid").await;
    let page = poll.await.expect("no panic").expect(200);
    assert!(since.elapsed() < WITHIN, "{:?}", since.elapsed());
    assert_eq!((page["data"].as_array().map(Vec::len), &page["data"][0]["id"]), (Some(1), &json!(new)));
}

#[tokio::test]
async fn a_long_poll_ends_empty_after_its_wait_and_the_next_one_goes_on_from_there() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    acme.publish_new("order.paid").await;
    let page = acme.get("/v1/events").await.expect(200);
    let since = Instant::now();
    let empty = acme.get(&format!("/v1/events?wait=2s&cursor={}", text(&page["cursor"]))).await.expect(200);
    assert!((Duration::from_secs(2)..WITHIN).contains(&since.elapsed()), "{:?}", since.elapsed());
    assert_eq!((&empty["data"], &empty["next"], &empty["cursor"]), (&json!([]), &json!(null), &page["cursor"]));
    let new = acme.publish_new("order.paid").await;
    let page = acme.get(&format!("/v1/events?wait=30s&cursor={}", text(&empty["cursor"]))).await.expect(200);
    assert_eq!(page["data"][0]["id"], *new);
    for wait in ["61s", "30", "soon"] {
        acme.get(&format!("/v1/events?wait={wait}")).await.problem(422, &["wait"]);
    }
}

#[tokio::test]
async fn a_long_poll_does_not_hold_up_a_stop() {
    let mut service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let poll = tokio::spawn(async move { acme.get("/v1/events?wait=30s").await });
    tokio::time::sleep(SOON).await;
    let (status, took) = service.terminate().await;
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
    assert_eq!(poll.await.expect("no panic").expect(200)["data"], json!([]));
}

/// Enough for a request to be on its way.
const SOON: Duration = Duration::from_millis(500);
