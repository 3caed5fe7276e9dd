//! The live stream of deliveries and attempts: what it shows, to whom, and how it goes on and ends.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::api::text;
use crate::harness::client::stream::Event;
use crate::harness::config::{Config, FILE};
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

/// What an event is about, in short.
fn short(event: &Event) -> String {
    let data = &event.data;
    match event.kind.as_str() {
        "delivery" => format!("delivery {}", text(&data["status"])),
        "attempt" => format!("attempt {} {}", data["number"], data["response"]["status"]),
        other => other.to_owned(),
    }
}

fn is_end(event: &Event) -> bool {
    event.kind == "delivery" && ["succeeded", "failed"].contains(&event.data["status"].as_str().unwrap_or_default())
}

fn ids(events: &[Event], kind: &str) -> Vec<String> {
    events.iter().filter(|event| event.kind == kind).map(|event| text(&event.data["id"])).collect()
}

#[tokio::test]
async fn a_delivery_is_told_from_its_making_to_its_end() {
    let receiver = Receiver::start().await;
    receiver.script("/", [Reply::status(500), Reply::status(204)]);
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    acme.subscribe(&receiver.url("/"), &["*"]).await;
    let mut stream = acme.stream(STREAM).await;
    let event = acme.publish_new("order.paid").await;
    let seen = stream.until(is_end).await;
    let told: Vec<String> = seen.iter().map(short).collect();
    assert_eq!(
        told,
        ["delivery pending", "attempt 1 500", "delivery pending", "attempt 2 204", "delivery succeeded"],
        "in the order of commits"
    );
    assert!(!seen[2].data["next_attempt_at"].is_null(), "{:?}", seen[2].data);
    // Each is what the lists show.
    assert_eq!(vec![seen[4].data.clone()], acme.deliveries_of(&event).await);
    let listed = acme.get("/v1/attempts").await.expect(200);
    assert_eq!([&seen[3].data, &seen[1].data], [&listed["data"][0], &listed["data"][1]]);
    // A second time for the same reader.
    acme.retry(&seen[4].data).await.expect(200);
    let again: Vec<String> = stream.until(is_end).await.iter().map(short).collect();
    assert_eq!(again[0], "delivery pending", "sent again by hand");
}

#[tokio::test]
async fn a_stream_shows_what_its_key_may_see() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick().tenant("bolt").provider("other", "quick").tenant("acme")).await;
    let (acme, bolt, other) = (service.acme(), service.tenant("shop", "bolt"), service.tenant("other", "acme"));
    for tenant in [&acme, &bolt, &other] {
        tenant.subscribe(&receiver.url("/"), &["*"]).await;
    }
    let shop = service.operator().with_header("hookwheel-tenant", "shop/*");
    let named = service.admin().with_header("hookwheel-tenant", "shop/bolt");
    let mut streams = [
        acme.stream(STREAM).await,
        named.stream(STREAM).await,
        shop.stream(STREAM).await,
        service.operator().stream(STREAM).await,
    ];
    for tenant in [&acme, &bolt, &other] {
        let event = tenant.publish_new("a.b").await;
        tenant.delivery_when(&event, "succeeded").await;
    }
    let expected: [&[&str]; 4] = [&[""], &[""], &["shop/acme", "shop/bolt"], &["shop/acme", "shop/bolt", "other/acme"]];
    for (stream, expected) in streams.iter_mut().zip(expected) {
        let seen = stream.within(SOON).await;
        assert_eq!(seen.len(), 3 * expected.len(), "{seen:?}");
        let of = |row: &Value| match (row["provider"].as_str(), row["tenant"].as_str()) {
            (Some(provider), Some(tenant)) => format!("{provider}/{tenant}"),
            _ => String::new(),
        };
        let owners: BTreeSet<String> = seen.iter().map(|event| of(&event.data)).collect();
        assert_eq!(owners, expected.iter().map(|owner| (*owner).to_owned()).collect());
    }
    service.stranger().try_stream(STREAM).await.err().expect("no key").problem(401, &[]);
    service.provider("shop").try_stream(STREAM).await.err().expect("no scope").problem(403, &[]);
    let theirs = other.get("/v1/webhooks").await.expect(200);
    let webhook = format!("{STREAM}?webhook={}", text(&theirs["data"][0]["id"]));
    acme.try_stream(&webhook).await.err().expect("of another").problem(404, &["webhook"]);
}

#[tokio::test]
async fn filters_narrow_a_stream_as_they_narrow_a_list() {
    let receiver = Receiver::start().await;
    receiver.script("/bad", [Reply::status(410)]);
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let good = acme.subscribe(&receiver.url("/"), &["order.*"]).await;
    acme.subscribe(&receiver.url("/bad"), &["sale.*"]).await;
    let first = acme.publish_new("order.first").await;
    acme.delivery_when(&first, "succeeded").await;
    let queries = [
        "type=order.*".to_owned(),
        "status=failed".to_owned(),
        "code=410".to_owned(),
        format!("webhook={good}"),
        "test=true".to_owned(),
        "since=1h".to_owned(),
        "until=1h".to_owned(),
        format!("event={first}"),
    ];
    let mut streams = Vec::new();
    for query in &queries {
        streams.push(acme.stream(&format!("{STREAM}?{query}")).await);
    }
    for kind in ["order.paid", "sale.made"] {
        let event = acme.publish_new(kind).await;
        acme.delivery_that(&event, "ended", |delivery| delivery["status"] != "pending").await;
    }
    acme.post(&format!("/v1/webhooks/{good}/test"), &json!({})).await.expect(200);
    let delivery = acme.deliveries_of(&first).await[0].clone();
    acme.retry(&delivery).await.expect(200);
    let counts = [9, 2, 2, 9, 3, 12, 0, 3];
    for ((stream, query), count) in streams.iter_mut().zip(&queries).zip(counts) {
        let seen = stream.within(SOON).await;
        assert_eq!(seen.len(), count, "{query}: {:?}", seen.iter().map(short).collect::<Vec<_>>());
    }
    for (bad, status) in [("status=ok", 422), ("limit=3", 422), ("event=evt_none", 404), ("webhook=wh_none", 404)] {
        acme.try_stream(&format!("{STREAM}?{bad}")).await.err().expect(bad).problem(status, &[]);
    }
}

#[tokio::test]
async fn what_waits_is_told_when_it_is_held_and_when_it_ends_unsent() {
    let receiver = Receiver::start().await;
    receiver.script("/", vec![Reply::status(500); 9]);
    let service = Service::start(&Config::retrying(&["1h"])).await;
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/"), &["*"]).await;
    let mut stream = acme.stream(STREAM).await;
    for _ in 0..2 {
        let event = acme.publish_new("a.b").await;
        acme.delivery_that(&event, "attempted", |delivery| delivery["attempts"].as_array().is_some_and(|all| !all.is_empty()))
            .await;
    }
    stream.within(SOON).await;
    acme.do_to_webhook(&webhook, "disable").await;
    let held: Vec<Event> = vec![stream.next().await, stream.next().await];
    assert!(held.iter().all(|event| short(event) == "delivery held" && event.data["reason"] == "webhook_disabled"), "{held:?}");
    // Nobody reads meanwhile.
    let place = stream.last_id.clone();
    drop(stream);
    acme.delete(&format!("/v1/deliveries/{}", text(&held[0].data["id"]))).await.expect(204);
    let mut stream = acme.stream_behind(STREAM, &place).await;
    let cancelled = stream.next().await;
    assert_eq!((&cancelled.data["id"], &cancelled.data["reason"]), (&held[0].data["id"], &json!("cancelled")));
    acme.delete(&format!("/v1/webhooks/{webhook}")).await.expect(204);
    let deleted = stream.next().await;
    assert_eq!((&deleted.data["id"], &deleted.data["reason"]), (&held[1].data["id"], &json!("webhook_deleted")));
}

#[tokio::test]
async fn a_reader_that_comes_back_misses_no_attempt_and_no_end_over_a_kill() {
    let receiver = Receiver::start().await;
    let mut service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    acme.subscribe(&receiver.url("/"), &["*"]).await;
    let mut stream = acme.stream(STREAM).await;
    let first = acme.publish_new("a.b").await;
    let seen = stream.until(is_end).await;
    let place = stream.last_id.clone();
    // While another one reads, nothing comes twice.
    let mut other = acme.stream(STREAM).await;
    drop(stream);
    let second = acme.publish_new("a.b").await;
    other.until(is_end).await;
    let mut stream = acme.stream_behind(STREAM, &place).await;
    let told: Vec<String> = stream.until(is_end).await.iter().map(short).collect();
    assert_eq!(told, ["delivery pending", "attempt 1 200", "delivery succeeded"]);
    // Nobody reads meanwhile.
    drop((stream, other));
    let third = acme.publish_new("a.b").await;
    acme.delivery_when(&third, "succeeded").await;
    service.kill9();
    service.start_again().await;
    let acme = service.acme();
    let fourth = acme.publish_new("a.b").await;
    acme.delivery_when(&fourth, "succeeded").await;
    let mut stream = acme.stream_behind(STREAM, &place).await;
    let mut back = stream.within(SOON).await;
    let events = |kind: &str, all: &[Event]| -> Vec<String> {
        all.iter().filter(|event| event.kind == kind).map(|event| text(&event.data["event_id"])).collect()
    };
    assert_eq!(events("attempt", &back), [second.clone(), third.clone(), fourth.clone()], "in the order of commits, each once");
    assert!(back.iter().filter(|event| event.kind == "delivery").all(is_end));
    assert_eq!(events("delivery", &back), [second, third, fourth]);
    assert!(!events("attempt", &seen).is_empty() && !events("attempt", &back).contains(&first));
    // From the end of that it goes on.
    let fifth = acme.publish_new("a.b").await;
    back = stream.until(is_end).await;
    assert_eq!(events("attempt", &back), [fifth]);
    let mut ids = ids(&back, "attempt");
    ids.dedup();
    assert_eq!(ids.len(), 1);
    let odd = acme.clone().with_header("last-event-id", "dlv_1");
    odd.try_stream(STREAM).await.err().expect("no id").problem(422, &["Last-Event-ID"]);
}

#[tokio::test]
async fn a_stream_ends_with_its_key_and_with_its_tenant() {
    let service = Service::start(&Config::quick()).await;
    let admin = service.admin();
    admin.send(http::Method::PUT, "/v1/admin/tenants/shop/gone", "application/json", "{}".into()).await.expect(201);
    let new = |body: Value| {
        let admin = admin.clone();
        async move { admin.post("/v1/admin/keys", &body).await.expect(201) }
    };
    let made = new(json!({"name": "reader", "provider": "shop", "tenant": "acme", "scopes": ["read"]})).await;
    let mut of_key = service.stranger().with_key(&text(&made["key"])).stream(STREAM).await;
    let mut of_tenant = admin.clone().with_header("hookwheel-tenant", "shop/gone").stream(STREAM).await;
    let mut stays = service.acme().stream(STREAM).await;
    admin.delete(&format!("/v1/admin/keys/{}", text(&made["id"]))).await.expect(204);
    assert!(of_key.ended(Duration::from_secs(3)).await, "the key is revoked");
    admin.delete("/v1/admin/tenants/shop/gone").await.expect(202);
    assert!(of_tenant.ended(Duration::from_secs(3)).await, "the tenant is deleted");
    assert!(!stays.ended(Duration::from_millis(100)).await);
}

#[tokio::test]
async fn a_stream_ends_when_its_key_loses_the_right_to_it() {
    let service = Service::start(&Config::quick().tenant("bolt")).await;
    let mut loses = service.acme().stream(STREAM).await;
    let mut stays = service.tenant("shop", "bolt").stream(STREAM).await;
    let file = service.folder().join(FILE);
    let text = std::fs::read_to_string(&file).expect("the config");
    let (key, less) = ("secret_file = \"keys/shop-acme\"", "secret_file = \"keys/shop-acme\", scopes = [\"publish\"]");
    assert!(text.contains(key), "{text}");
    std::fs::write(&file, text.replace(key, less)).expect("written");
    service.cli(&["reload"]).expect(0);
    assert!(loses.ended(Duration::from_secs(3)).await, "a new request is refused as well");
    service.acme().try_stream(STREAM).await.err().expect("no scope").problem(403, &["read"]);
    assert!(!stays.ended(Duration::from_millis(600)).await);
}

#[tokio::test]
async fn a_tenant_has_a_share_of_the_streams() {
    let service = Service::start(&Config::quick()).await;
    let (acme, mut streams) = (service.acme(), Vec::new());
    for _ in 0..250 {
        streams.push(acme.stream(STREAM).await);
    }
    acme.try_stream(STREAM).await.err().expect("it has its share").problem(503, &["250", "share"]);
    service.operator().stream(STREAM).await;
    streams.pop();
    let began = Instant::now();
    while acme.try_stream(STREAM).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(3), "a place comes back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn the_operators_own_webhook_is_in_no_tenants_stream() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick().notify(&receiver.url("/"))).await;
    let webhooks = service.operator().get("/v1/admin/webhooks").await.expect(200);
    let own = webhooks["data"].as_array().expect("a list").iter().find(|webhook| webhook["tenant"] != "acme").cloned();
    let path = format!("{STREAM}?webhook={}", text(&own.expect("that of the operator")["id"]));
    service.operator().stream(&path).await;
    let named = service.operator().with_header("hookwheel-tenant", "shop/acme");
    named.try_stream(&path).await.err().expect("of another").problem(404, &["webhook"]);
}

#[tokio::test]
async fn a_stop_ends_streams_at_once() {
    let receiver = Receiver::start().await;
    receiver.script("/", [Reply::status(200).after(Duration::from_secs(3))]);
    let mut service = Service::start(&Config::quick()).await;
    service.acme().subscribe(&receiver.url("/"), &["*"]).await;
    let mut streams = vec![service.acme().stream(STREAM).await, service.admin().stream(STREAM).await];
    // The attempt under way gets time to end; streams do not.
    service.acme().publish_new("a.b").await;
    receiver.wait_for("/", 1, Duration::from_secs(10)).await;
    let began = Instant::now();
    service.signal("TERM");
    for stream in &mut streams {
        assert!(stream.ended(Duration::from_secs(5)).await);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    let (status, took) = service.ended().await;
    assert!(status.success() && took < Duration::from_secs(6), "{status} after {took:?}");
}

const STREAM: &str = "/v1/deliveries/stream";

/// Longer than a stream takes to show what is on disk.
const SOON: Duration = Duration::from_millis(700);
