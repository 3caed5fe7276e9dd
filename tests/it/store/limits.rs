//! What happens when the store is full, and when its rows grow old.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::{Received, Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn finished_deliveries_make_room_before_their_age() {
    let (service, receiver) = (Service::start(&small()).await, Receiver::start().await);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let mut first = None;
    // In all this is three times what the store may hold. Each round is delivered before the next.
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
async fn unfinished_deliveries_are_never_dropped_for_new_events() {
    let mut service = Service::start(&small()).await;
    let receiver = Receiver::start().await;
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.do_to_webhook(&webhook, "disable").await;
    let first = acme.publish_new("order.paid").await;
    let held = fill(&acme).await;
    acme.publish(&large()).await.problem(507, &["max_bytes"]);
    assert_eq!(service.stderr().matches("events were refused (507)").count(), 1, "{}", service.stderr());
    let commits = || async { service.operator().get("/v1/admin/status").await.expect(200)["commits"].as_u64().expect("a count") };
    let before = commits().await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let more = commits().await - before;
    assert!(more < 20, "{more} commits in vain: nothing of a full store can go");

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

/// Rows of every table count towards `max_bytes`, also those that are neither events nor their log. A connection pins the URLs of
/// its tenant's webhooks.
#[tokio::test]
async fn rows_other_than_events_fill_the_store_too() {
    let config = Config::bare().dialect("pinning", "extends = \"deck\"\n", &["1s"]).storage("max_bytes = \"16MiB\"");
    let mut service = Service::start(&config.provider("shop", "pinning").tenant("acme")).await;
    let acme = service.acme();
    for number in 0..50 {
        let url = format!("https://example.com/{number}/{}", "x".repeat(2_000));
        let hook = json!({ "name": format!("w{number}"), "url": url, "events": ["none"] });
        acme.post("/v1/webhooks", &hook).await.expect(201);
    }
    let mut opened = 0;
    loop {
        let answer = acme.post("/v1/connections", &json!({ "id": format!("c{opened}") })).await;
        if answer.status == 507 {
            break;
        }
        answer.expect(201);
        opened += 1;
        assert!(opened < 400, "16 MiB took {opened} times 100 KiB");
    }
    let attributes = json!({ "job_guid": "a4e67899", "webhook_code": "MakePayment" });
    let event = json!({ "type": "MakePayment", "attributes": attributes, "data": { "success": true } });
    acme.publish(&event).await.problem(507, &["max_bytes"]);
    let reasons = service.stranger().get("/readyz").await.expect(503)["reasons"].to_string();
    assert!(reasons.contains("fills the store"), "{reasons}");
    service.stop_and_check().await;
}

#[tokio::test]
async fn expired_deliveries_are_told_once_a_webhook_and_day() {
    let receiver = Receiver::start().await;
    let mut service = Service::start(&Config::quick().storage("retention = \"2s\"").notify(&receiver.url("/ops"))).await;
    let mut webhooks = Vec::new();
    // More deliveries end than one commit ends, so the rest of them ends a commit later.
    for (kind, count) in [("many", 1_100), ("one", 1)] {
        let webhook = service.acme().subscribe("https://example.com/", &[kind]).await;
        service.acme().do_to_webhook(&webhook, "disable").await;
        let lines = format!("{}\n", json!({ "type": kind, "data": {} })).repeat(count);
        assert!(service.acme().publish_lines(&lines).await.1.iter().all(|line| line["status"] == 202));
        webhooks.push(webhook);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    // A start looks for what is too old at once, a running service once a minute.
    service.kill9();
    service.start_again().await;
    let acme = service.acme();
    for webhook in &webhooks {
        let held = format!("/v1/webhooks/{webhook}/deliveries?status=held");
        let none = || async { (acme.get(&held).await.expect(200)["data"] == json!([])).then_some(()) };
        eventually("all have expired", WITHIN, none).await;
    }
    let told = |received: &[Received], webhook: &String| {
        let notices = received.iter().filter(|one| one.path == "/ops").map(Received::json);
        notices.filter(|one| one["type"] == "delivery.failed" && one["data"]["webhook_id"] == **webhook).collect::<Vec<_>>()
    };
    assert!(receiver.wait_until(WITHIN, |received| webhooks.iter().all(|one| !told(received, one).is_empty())).await);
    // A second notice would follow at once.
    tokio::time::sleep(Duration::from_secs(1)).await;
    for (webhook, least) in webhooks.iter().zip([2, 1]) {
        let notices = receiver.look(|received| told(received, webhook));
        assert_eq!(notices.len(), 1, "{notices:?}");
        let data = &notices[0]["data"];
        assert!(data["reason"] == "expired" && data["count"].as_u64() >= Some(least), "{data}");
    }
}

#[tokio::test]
async fn age_counts_from_a_deliverys_end() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::retrying(&["1h"]).storage("retention = \"2s\"")).await;
    receiver.script("/pending", [Reply::status(500)]);
    let acme = service.acme();
    for (path, kind) in [("/done", "done"), ("/pending", "pending"), ("/also", "pending")] {
        acme.subscribe(&receiver.url(path), &[kind]).await;
    }
    let holding = acme.subscribe(&receiver.url("/held"), &["held"]).await;
    acme.do_to_webhook(&holding, "disable").await;
    let named = |data: u64| json!({ "id": "named", "type": "done", "data": data });
    acme.publish(&named(1)).await.expect(202);
    let (pending, held) = (acme.publish_new("pending").await, acme.publish_new("held").await);
    let nobodys = acme.publish_new("nobodys").await;
    receiver.wait_for("/also", 1, WITHIN).await;
    assert_eq!(acme.deliveries_of(&pending).await.len(), 2);
    let held = text(&acme.delivery_when(&held, "held").await["id"]);

    for event in ["named", &nobodys] {
        let gone = || async { (acme.get(&format!("/v1/events/{event}")).await.status == 404).then_some(()) };
        eventually("what has ended goes after its age", MINUTE, gone).await;
    }
    acme.publish(&named(2)).await.expect(202);
    // The delivery ends as failed, and is then kept for as long again.
    let ended = || async { Some(acme.delivery(&held).await).filter(|delivery| delivery["status"] != "held") };
    let ended = eventually("a held one ends by age", MINUTE, ended).await;
    assert_eq!((&ended["status"], &ended["reason"]), (&json!("failed"), &json!("expired")));
    // The event is kept only for the delivery that is pending.
    acme.delivery_when(&pending, "pending").await;
    assert_eq!(acme.get(&format!("/v1/events/{pending}")).await.expect(200)["data"], json!({ "a": 1 }));
}

/// Publishes until the store is full. Returns how many events it took.
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

/// The events in a round. The store may hold 256 of them.
const ROUND: usize = 32;

/// How long to wait for the sweep, which comes once a minute: twice that, for a busy machine.
const MINUTE: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_key_makes_sixty_webhooks_a_minute() {
    let service = Service::start(&Config::quick()).await;
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let acme = service.acme();
        calls.spawn(async move { acme.post("/v1/webhooks", &json!({ "url": "https://example.com/", "events": ["*"] })).await });
    }
    let (made, refused): (Vec<_>, Vec<_>) = calls.join_all().await.into_iter().partition(|answer| answer.status == 201);
    // The service may make one more for each second that the test took.
    assert!((60..90).contains(&made.len()), "{} were made", made.len());
    for answer in refused {
        answer.problem(429, &["60 webhooks a minute", "try again in 1 s"]);
        assert_eq!(answer.headers["retry-after"], "1");
    }
    service.admin().subscribe("https://example.com/", &["*"]).await;
}
