//! When the disk is full or nearly so, nothing is lost, calls that make room go on, and everything comes back by itself.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn a_nearly_full_disk_refuses_only_calls_that_take_room() {
    let config = Config::retrying(&["2s"]).provider("deck", "deck").tenant("acme");
    let Some(service) = Service::start_on_disk(&config, MEBIBYTES).await else { return };
    let (receiver, acme, operator) = (Receiver::start().await, service.acme(), service.operator());
    receiver.script("/a", [Reply::status(500), Reply::OK]);
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let other = acme.subscribe(&receiver.url("/b"), &["never"]).await;
    let key = text(&operator.post("/v1/admin/keys", &json!({ "name": "a" })).await.expect(201)["id"]);
    let taken = acme.publish_new("order.paid").await;
    assert!(service.disk().has("hookwheel.redb.ballast"));
    service.disk().fill("filler", 20 << 20);
    let refused = || async { Some(acme.publish(&large()).await).filter(|answer| answer.status != 202) };
    eventually("the disk is found to be nearly full", WITHIN, refused).await.problem(507, &["disk"]);

    let reasons = service.stranger().get("/readyz").await.expect(503)["reasons"].to_string();
    assert!(reasons.contains("the disk is nearly full"), "{reasons}");
    let one = format!("/v1/webhooks/{webhook}");
    let new = json!({ "url": "https://example.com/", "events": ["*"] });
    let since = json!({ "since": "2020-01-01T00:00:00Z" });
    let delivered = acme.delivery_when(&taken, "succeeded").await;
    for (client, path, body) in [
        (&acme, "/v1/webhooks", &new),
        (&acme, &*format!("{one}/test"), &json!({})),
        (&acme, &*format!("{one}/recover"), &since),
        (&acme, &*format!("/v1/deliveries/{}/retry", text(&delivered["id"])), &json!({})),
        (&service.tenant("deck", "acme"), "/v1/connections", &json!({ "id": "c" })),
        (&operator, "/v1/admin/keys", &json!({ "name": "b" })),
    ] {
        client.post(path, body).await.problem(507, &["disk"]);
    }
    acme.patch(&one, &json!({ "name": "c" })).await.problem(507, &["disk"]);
    let put = serde_json::to_vec(&json!({ "description": "d", "example": {} })).expect("JSON");
    service
        .provider("shop")
        .send(Method::PUT, "/v1/event-types/new.type", "application/json", put.into())
        .await
        .problem(507, &["disk"]);
    let lines = format!("{}\n", json!({ "type": "a", "data": {} })).repeat(3);
    assert!(acme.publish_lines(&lines).await.1.iter().all(|line| line["status"] == 507));
    for act in ["disable", "enable", "rotate-secret"] {
        acme.do_to_webhook(&webhook, act).await;
    }
    acme.delete(&format!("/v1/webhooks/{other}")).await.expect(204);
    operator.delete(&format!("/v1/admin/keys/{key}")).await.expect(204);

    service.disk().remove("filler");
    eventually("events are taken again", WITHIN, || taken_again(&acme)).await;
    service.stranger().get("/readyz").await.expect(200);
}

#[tokio::test]
async fn a_full_disk_ends_the_service_which_starts_on_it_and_comes_back() {
    let Some(mut service) = Service::start_on_disk(&Config::retrying(&["2s"]), MEBIBYTES).await else { return };
    let (receiver, acme) = (Receiver::start().await, service.acme());
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let known = acme.publish_new("order.paid").await;
    acme.delivery_when(&known, "succeeded").await;
    // The disk fills faster than the service looks at it. If the service looked in between, the loop tries once more.
    loop {
        service.disk().fill("filler", 0);
        if acme.try_send(Method::POST, "/v1/events", "application/json", large().to_string().into()).await.is_err() {
            break;
        }
        service.disk().remove("filler");
        eventually("events are taken again", WITHIN, || taken_again(&acme)).await;
    }
    let (status, _) = service.ended().await;
    assert_eq!(status.code(), Some(74), "{}", service.stderr());
    assert!(!service.disk().has("hookwheel.redb.ballast"), "{}", service.stderr());

    service.start_again().await;
    let acme = service.acme();
    acme.get(&format!("/v1/events/{known}")).await.expect(200);
    acme.publish(&large()).await.problem(507, &["disk"]);
    service.disk().remove("filler");
    eventually("events are taken again", WITHIN, || taken_again(&acme)).await;
    assert!(service.disk().has("hookwheel.redb.ballast"));
    let again = acme.publish_new("order.paid").await;
    acme.delivery_when(&again, "succeeded").await;
}

#[tokio::test]
async fn a_fast_flood_is_refused_before_the_disk_is_full() {
    let Some(service) = Service::start_on_disk(&Config::retrying(&["2s"]), 110).await else { return };
    let acme = service.acme();
    let holding = acme.subscribe("https://example.com/", &["*"]).await;
    acme.do_to_webhook(&holding, "disable").await;
    let line = format!("{}\n", json!({ "type": "a", "data": "x".repeat(900 * 1024) }));
    let (mut taken, mut refused) = (0, 0);
    for _ in 0..8 {
        let results = acme.publish_lines(&line.repeat(15)).await.1;
        taken += results.iter().filter(|line| line["status"] == 202).count();
        refused += results.iter().filter(|line| line["status"] == 507).count();
    }
    assert!(taken > 3 && refused > 60 && taken + refused == 120, "{taken} taken, {refused} refused");
    assert!(service.disk().has("hookwheel.redb.ballast"), "there was room left: {}", service.stderr());
}

#[tokio::test]
async fn room_that_retention_made_is_used_again() {
    let config = Config::retrying(&["2s"]).storage("retention = \"8s\"");
    let Some(service) = Service::start_on_disk(&config, 110).await else { return };
    let (receiver, acme) = (Receiver::start().await, service.acme());
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    for _ in 0..25 {
        let taken = || async { (acme.publish(&large()).await.status == 202).then_some(()) };
        eventually("there is room for 25 of them", WITHIN, taken).await;
    }
    let operator = service.operator();
    let in_the_file = || async {
        let live_bytes = operator.get("/v1/admin/status").await.expect(200)["live_bytes"].as_u64();
        live_bytes.filter(|live_bytes| *live_bytes > 25 * LARGE as u64)
    };
    eventually("the store's file has taken pages for all of them", WITHIN, in_the_file).await;
    // Other files fill the free space, so only pages of the store's own file are left.
    service.disk().fill("filler", 20 << 20);
    let refused = || async { (acme.publish(&large()).await.status == 507).then_some(()) };
    eventually("the disk is found to be nearly full", WITHIN, refused).await;
    eventually("events are taken again", Duration::from_secs(20), || taken_again(&acme)).await;
    assert!(service.disk().has("filler"));
}

async fn taken_again(acme: &Client) -> Option<()> {
    (acme.publish(&small()).await.status == 202).then_some(())
}

fn small() -> Value {
    json!({ "type": "order.paid", "data": "x" })
}

fn large() -> Value {
    json!({ "type": "order.paid", "data": "x".repeat(LARGE) })
}

/// Bytes of a large event's data.
const LARGE: usize = 900 * 1024;

/// The size of the disk. The service wants 64 of them to stay free.
const MEBIBYTES: u32 = 96;
