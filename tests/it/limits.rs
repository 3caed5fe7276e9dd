//! What happens when the store is full, and when things grow old.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn finished_deliveries_make_room_before_their_age() {
    let (service, receiver) = (Service::start(&small()).await, Receiver::start().await);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let mut first = None;
    // Three times what the store may hold, each round delivered before the next.
    for round in 1..=24 {
        for _ in 0..ROUND {
            let id = text(&acme.publish(&large()).await.expect(202)["id"]);
            first.get_or_insert(id);
        }
        receiver.wait_for("/a", round * ROUND, WITHIN).await;
    }
    let first = first.expect("published");
    eventually("the oldest went", MINUTE, || async {
        (acme.get(&format!("/v1/events/{first}")).await.status == 404).then_some(())
    })
    .await;
    assert_eq!(acme.deliveries_of(&first).await, Vec::<Value>::new());
    let last = acme.publish_new("order.paid").await;
    acme.delivery_when(&last, "succeeded").await;
}

#[tokio::test]
async fn what_is_unfinished_fills_the_store_and_is_never_dropped_for_new_events() {
    let mut service = Service::start(&small()).await;
    let receiver = Receiver::start().await;
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.do_to_webhook(&webhook, "disable").await;
    let first = acme.publish_new("order.paid").await;
    let held = fill(&acme).await;
    acme.publish(&large()).await.problem(507, &["max_bytes"]);

    // Reading and administration go on, and so does a restart.
    acme.delivery_when(&first, "held").await;
    service.kill9();
    service.start_again().await;
    let acme = service.acme();
    acme.do_to_webhook(&webhook, "enable").await;
    receiver.wait_for("/a", held + 1, Duration::from_secs(30)).await;
    let taken = || async { (acme.publish(&large()).await.status == 202).then_some(()) };
    eventually("delivered ones made room", MINUTE, taken).await;
    service.stop_and_check().await;
}

#[tokio::test]
async fn age_counts_from_a_deliverys_end() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::retrying(&["1h"]).storage("retention = \"2s\"")).await;
    receiver.script("/pending", [Reply::status(500)]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/done"), &["done"]).await;
    acme.subscribe(&receiver.url("/pending"), &["pending"]).await;
    let holding = acme.subscribe(&receiver.url("/held"), &["held"]).await;
    acme.do_to_webhook(&holding, "disable").await;
    let (done, pending, held) =
        (acme.publish_new("done").await, acme.publish_new("pending").await, acme.publish_new("held").await);
    let nobodys = acme.publish_new("nobodys").await;
    let held = text(&acme.delivery_when(&held, "held").await["id"]);

    for event in [done, nobodys] {
        let gone = || async { (acme.get(&format!("/v1/events/{event}")).await.status == 404).then_some(()) };
        eventually("what has ended goes after its age", MINUTE, gone).await;
    }
    // It ends as failed, and goes as every failed one does.
    let expired = || async {
        let answer = acme.get(&format!("/v1/deliveries/{held}")).await;
        (answer.status == 404 || answer.text().contains("expired")).then_some(())
    };
    eventually("a held one ends by age", MINUTE, expired).await;
    acme.delivery_when(&pending, "pending").await;
}

/// Publishes until the store says that it is full; gives how many it took.
async fn fill(acme: &Client) -> usize {
    for taken in 0..2_000 {
        let answer = acme.publish(&large()).await;
        if answer.status == 507 {
            return taken;
        }
        answer.expect(202);
    }
    panic!("2,000 events of 64 KiB went into 16 MiB");
}

fn small() -> Config {
    Config::quick().storage("max_bytes = \"16MiB\"")
}

fn large() -> Value {
    json!({ "type": "order.paid", "data": "x".repeat(64 * 1024) })
}

/// Events in a round of the store that may hold 256 of them.
const ROUND: usize = 32;

/// The sweep comes once a minute; twice that for a busy machine.
const MINUTE: Duration = Duration::from_secs(120);
