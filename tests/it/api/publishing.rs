//! What publishing promises: ids, idempotency, tenants, and one answer for one event.

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::api::{WITHIN, text};
use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[tokio::test]
async fn the_same_id_published_at_once_is_one_event() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = json!({ "id": "order-1", "type": "order.paid", "data": { "a": 1 } });
    let mut publishers = JoinSet::new();
    for _ in 0..8 {
        let (acme, event) = (acme.clone(), event.clone());
        publishers.spawn(async move { acme.publish(&event).await });
    }
    let answers = publishers.join_all().await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 200, 200, 202]);
    assert!(answers.iter().all(|answer| answer.json() == json!({ "id": "order-1", "deliveries": 1 })), "{answers:?}");
    acme.delivery_when("order-1", "succeeded").await;
    assert_eq!(receiver.received("/a").len(), 1);
}

#[tokio::test]
async fn one_id_names_one_content() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let event = json!({ "id": "order-1", "type": "order.paid", "data": { "a": 1 }, "attributes": { "region": "eu" } });
    acme.publish(&event).await.expect(202);
    for (key, value) in [
        ("type", json!("order.sent")),
        ("data", json!({ "a": 2 })),
        ("attributes", json!({})),
        ("occurred_at", json!("2026-04-20T14:32:00Z")),
    ] {
        let mut other = event.clone();
        other[key] = value;
        acme.publish(&other).await.problem(409, &["order-1"]);
    }
    acme.publish(&event).await.expect(200);
}

#[tokio::test]
async fn the_bytes_of_data_count_not_their_meaning() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let publish = async |data: &str| {
        let body = format!(r#"{{"id":"order-1","type":"order.paid","data":{data}}}"#);
        acme.send(http::Method::POST, "/v1/events", "application/json", body.into()).await.status
    };
    assert_eq!(publish(r#"{"a":1}"#).await, 202);
    assert_eq!(publish(r#"{"a": 1}"#).await, 409);
    assert_eq!(publish(r#"{"a":1}"#).await, 200);
}

#[tokio::test]
async fn an_idempotency_key_does_the_same_without_naming_the_event() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme().with_header("idempotency-key", "attempt 7");
    let event = json!({ "type": "order.paid", "data": { "a": 1 } });
    let first = acme.publish(&event).await.expect(202);
    assert_eq!(acme.publish(&event).await.expect(200), first);
    acme.publish(&json!({ "type": "order.paid", "data": { "a": 2 } })).await.problem(409, &["Idempotency-Key"]);
    assert_ne!(service.acme().publish(&event).await.expect(202)["id"], first["id"]);
    acme.publish_lines(&format!("{event}\n")).await.0.problem(422, &["Idempotency-Key"]);
    for (length, status) in [(0, 422), (1, 202), (255, 202), (256, 422)] {
        let client = service.acme().with_header("idempotency-key", &"k".repeat(length));
        assert_eq!(client.publish(&event).await.status, status, "{length}");
    }
}

#[tokio::test]
async fn both_kinds_of_name_hold_over_a_kill() {
    let mut service = Service::start(&Config::quick()).await;
    let event = json!({ "id": "order-1", "type": "order.paid", "data": { "a": 1 } });
    let first = service.acme().with_header("idempotency-key", "k").publish(&event).await.expect(202);
    service.kill9();
    service.start_again().await;
    assert_eq!(service.acme().publish(&event).await.expect(200), first);
    let unnamed = json!({ "type": "order.paid", "data": { "a": 1 } });
    // The id is no part of the content.
    assert_eq!(service.acme().with_header("idempotency-key", "k").publish(&unnamed).await.expect(200), first);
    let other = json!({ "type": "order.paid", "data": { "a": 2 } });
    service.acme().with_header("idempotency-key", "k").publish(&other).await.problem(409, &["Idempotency-Key"]);
}

#[tokio::test]
async fn an_id_is_short_and_plain() {
    let service = Service::start(&Config::quick()).await;
    for id in ["", "a.b", "a b", "é", &"x".repeat(65), "evt_01K0000000000000000000000A", "dlv_01K0000000000000000000000A"] {
        let answer = service.acme().publish(&json!({ "id": id, "type": "order.paid", "data": {} })).await;
        answer.problem(422, &["/id"]);
    }
    let id = format!("{}_-A9", "x".repeat(60));
    for id in [&*id, "evt_abc123"] {
        assert_eq!(service.acme().publish(&json!({ "id": id, "type": "order.paid", "data": {} })).await.expect(202)["id"], *id);
    }
}

#[tokio::test]
async fn without_an_id_an_event_gets_one_that_sorts_by_time() {
    let service = Service::start(&Config::quick()).await;
    let [first, second] = [service.acme().publish_new("order.paid").await, service.acme().publish_new("order.paid").await];
    for id in [&first, &second] {
        let ulid = id.strip_prefix("evt_").unwrap_or_else(|| panic!("{id}"));
        assert!(ulid.len() == 26 && ulid.chars().all(|c| "0123456789ABCDEFGHJKMNPQRSTVWXYZ".contains(c)), "{id}");
    }
    assert!(first < second, "{first} {second}");
}

#[tokio::test]
async fn an_id_is_unique_for_its_tenant_and_one_for_all_for_its_provider() {
    let service = Service::start(&Config::quick().tenant("bolt").provider("other", "quick").tenant("acme")).await;
    let publish = async |provider: &str, tenant: &str, id: &str| {
        let event = json!({ "id": id, "type": "order.paid", "data": format!("{provider} {tenant}"), "tenant": tenant });
        service.provider(provider).publish(&event).await.status
    };
    assert_eq!([publish("shop", "acme", "x").await, publish("shop", "bolt", "x").await], [202, 202]);
    assert_eq!(publish("other", "acme", "x").await, 202);
    assert_eq!([publish("shop", "*", "x").await, publish("shop", "*", "y").await], [409, 202]);
    assert_eq!([publish("shop", "acme", "y").await, publish("other", "*", "y").await], [409, 202]);
}

#[tokio::test]
async fn the_connection_is_part_of_the_content() {
    let service = Service::start(&Config::bare().provider("deck", "deck").tenant("t")).await;
    let publish = async |connection: &str| {
        let attributes = json!({ "job_guid": "a4e67899", "webhook_code": "Pay" });
        let event = json!({ "id": "x", "type": "Pay", "attributes": attributes, "data": 1, "connection": connection });
        service.tenant("deck", "t").publish(&event).await.status
    };
    assert_eq!([publish("c1").await, publish("c2").await, publish("c1").await], [202, 409, 200]);
}

#[tokio::test]
async fn a_list_shows_the_types_that_its_filter_names() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    for kind in ["order.paid", "order.paid.late", "sale.made"] {
        acme.publish_new(kind).await;
    }
    for (filter, expected) in [("order.*", 2), ("order.paid", 1), ("*", 3), ("vault.*", 0)] {
        let page = acme.get(&format!("/v1/deliveries?type={filter}")).await.expect(200);
        assert_eq!(page["data"].as_array().map(Vec::len), Some(expected), "{filter}: {page}");
    }
    acme.get("/v1/deliveries?type=order*").await.problem(422, &["type"]);
}

#[tokio::test]
async fn an_event_that_nobody_wants_is_kept_and_explained() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let webhook = acme.subscribe("https://example.com/hooks", &["order.paid"]).await;
    let answer = acme.publish(&json!({ "type": "order.sent", "data": { "a": 1 } })).await.expect(202);
    assert_eq!(answer["deliveries"], 0);
    let id = text(&answer["id"]);
    assert_eq!(acme.get(&format!("/v1/events/{id}")).await.expect(200)["id"], *id);
    let explained = acme.get(&format!("/v1/events/{id}/explain")).await.expect(200).to_string();
    assert!(explained.contains(&webhook) && explained.contains("order.paid"), "{explained}");
}

#[tokio::test]
async fn a_bad_line_stops_no_other() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let lines = [
        r#"{"id":"l-1","type":"order.paid","data":{"a":1}}"#,
        r#"{"id":"l-2","type":"order.paid","data":{"a":1}"#,
        r#"{"id":"l-1","type":"order.paid","data":{"a":1}}"#,
        r#"{"id":"l-1","type":"order.paid","data":{"a":2}}"#,
        r#"{"id":"l-5","data":{}}"#,
        r#"{"id":"l-6","type":"order.paid","data":[1,2]}"#,
    ];
    let (answer, results) = acme.publish_lines(&(lines.join("\n") + "\n")).await;
    assert_eq!(answer.status, 202, "{}", answer.text());
    let statuses: Vec<_> = results.iter().map(|result| result["status"].as_u64()).collect();
    assert_eq!(statuses, [202, 422, 200, 409, 422, 202].map(Some), "{}", answer.text());
    assert_eq!((&results[0]["id"], &results[0]["deliveries"]), (&json!("l-1"), &json!(1)));
    let requests = receiver.wait_for("/a", 2, WITHIN).await;
    let mut ids: Vec<_> = requests.iter().map(|request| request.header("webhook-id")).collect();
    ids.sort_unstable();
    assert_eq!(ids, ["l-1", "l-6"]);
}

#[tokio::test]
async fn a_body_above_the_limit_is_refused_with_413() {
    let service = Service::start(&Config::quick()).await;
    let event = json!({ "type": "order.paid", "data": "x".repeat(1024 * 1024) });
    service.acme().publish(&event).await.problem(413, &[]);
    let event = json!({ "type": "order.paid", "data": "x".repeat(1024 * 1024 - 200) });
    service.acme().publish(&event).await.expect(202);
}

#[tokio::test]
async fn what_is_no_event_is_refused_and_changes_nothing() {
    let service = Service::start(&Config::quick()).await;
    let deep = format!(r#"{{"type":"a","data":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let bad = [
        "",
        "[]",
        "{",
        r#"{"data":{}}"#,
        r#"{"type":"a"}"#,
        r#"{"type":1,"data":{}}"#,
        r#"{"type":"a","data":{},"type":"b"}"#,
        "\u{feff}{\"type\":\"a\",\"data\":{}}",
        &deep,
        r#"{"type":"","data":{}}"#,
        r#"{"type":"a","data":{},"occurred_at":"yesterday"}"#,
        r#"{"type":"a","data":{},"occurred_at":"1969-07-20T20:17:40Z"}"#,
        r#"{"type":"a","data":{},"connection":"c"}"#,
    ];
    for body in bad {
        let answer = service.acme().send(http::Method::POST, "/v1/events", "application/json", body.to_owned().into()).await;
        assert!(matches!(answer.status, 400 | 422), "{body}: {} {}", answer.status, answer.text());
        answer.problem(answer.status, &[]);
    }
    let packed = service.acme().with_header("content-encoding", "gzip").publish(&json!({ "type": "a", "data": {} })).await;
    packed.problem(415, &["Content-Encoding"]);
    let invalid = b"{\"type\":\"a\",\"data\":\"\xff\"}".to_vec();
    let answer = service.acme().send(http::Method::POST, "/v1/events", "application/json", invalid.into()).await;
    assert!(matches!(answer.status, 400 | 422), "{}", answer.text());
    assert_eq!(service.acme().get("/v1/events").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn data_passes_byte_for_byte() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let data = r#"{"b" : 1e999, "a":123456789012345678901234567890, "lone":"\ud800", "dup":1,"dup":2, "slash":"\/"}"#;
    let body = format!(r#"{{"type":"order.paid","data":{data}}}"#);
    assert_eq!(acme.send(http::Method::POST, "/v1/events", "application/json", body.into()).await.status, 202);
    let requests = receiver.wait_for("/a", 1, WITHIN).await;
    let sent = String::from_utf8_lossy(&requests[0].body).into_owned();
    assert!(sent.contains(data), "{sent}");
}

#[tokio::test]
async fn a_key_publishes_for_whom_it_may() {
    let config = Config::quick().tenant("bolt").provider("other", "quick").tenant("acme");
    let service = Service::start(&config).await;
    let event = json!({ "type": "order.paid", "data": {} });
    let with = |tenant: &str| json!({ "type": "order.paid", "data": {}, "tenant": tenant });

    service.stranger().publish(&event).await.problem(401, &["hookwheel keys new"]);
    service.stranger().with_key("hwk_0000000000000000000000000000000000000000000").publish(&event).await.problem(401, &[]);
    service.acme().publish(&event).await.expect(202);
    service.acme().publish(&with("acme")).await.expect(202);
    service.acme().publish(&with("bolt")).await.problem(403, &[]);
    service.provider("shop").publish(&event).await.problem(422, &["tenant"]);
    service.provider("shop").publish(&with("acme")).await.expect(202);
    service.provider("shop").publish(&with("*")).await.expect(202);
    // A provider publishes for all its customers, also for those without webhooks.
    service.provider("shop").publish(&with("nobody")).await.problem(404, &["`nobody`"]);
    service.operator().with_header("hookwheel-tenant", "shop/acme").publish(&event).await.expect(202);
    service.operator().with_header("hookwheel-tenant", "shop/*").publish(&event).await.expect(202);
    service.admin().with_header("hookwheel-tenant", "other/acme").publish(&event).await.expect(202);

    let seen = |list: serde_json::Value| list["data"].as_array().expect("a list").len();
    assert_eq!(seen(service.acme().get("/v1/events").await.expect(200)), 6, "its own four and the two for all");
    assert_eq!(seen(service.tenant("shop", "bolt").get("/v1/events").await.expect(200)), 2);
    assert_eq!(seen(service.tenant("other", "acme").get("/v1/events").await.expect(200)), 1);
}

#[tokio::test]
async fn another_tenants_ids_are_not_found() {
    let service = Service::start(&Config::quick().tenant("bolt")).await;
    let (acme, bolt) = (service.acme(), service.tenant("shop", "bolt"));
    let webhook = acme.subscribe("https://example.com/hooks", &["*"]).await;
    acme.do_to_webhook(&webhook, "disable").await;
    let event = acme.publish_new("order.paid").await;
    let delivery = text(&acme.delivery_when(&event, "held").await["id"]);
    for path in [
        format!("/v1/webhooks/{webhook}"),
        format!("/v1/webhooks/{webhook}/deliveries"),
        format!("/v1/events/{event}"),
        format!("/v1/events/{event}/explain"),
        format!("/v1/deliveries/{delivery}"),
    ] {
        bolt.get(&path).await.problem(404, &[]);
        acme.get(&path).await.expect(200);
    }
    bolt.delete(&format!("/v1/webhooks/{webhook}")).await.problem(404, &[]);
    bolt.patch(&format!("/v1/webhooks/{webhook}"), &json!({ "description": "x" })).await.problem(404, &[]);
    for act in ["enable", "disable", "rotate-secret", "test"] {
        bolt.post(&format!("/v1/webhooks/{webhook}/{act}"), &json!({})).await.problem(404, &[]);
    }
    bolt.post(&format!("/v1/deliveries/{delivery}/retry"), &json!({})).await.problem(404, &[]);
    assert_eq!(bolt.get("/v1/deliveries").await.expect(200)["data"], json!([]));
}

#[tokio::test]
async fn an_event_for_all_is_one_event_with_the_same_bytes() {
    let config = Config::quick().tenant("bolt").provider("decide", "decisio").tenant("acme");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    service.acme().subscribe(&receiver.url("/acme"), &["*"]).await;
    service.tenant("shop", "bolt").subscribe(&receiver.url("/bolt"), &["*"]).await;
    let answer =
        service.provider("shop").publish(&json!({ "type": "order.paid", "data": { "a": 1 }, "tenant": "*" })).await.expect(202);
    assert_eq!(answer["deliveries"], 2);
    let one = receiver.wait_for("/acme", 1, WITHIN).await.remove(0);
    let other = receiver.wait_for("/bolt", 1, WITHIN).await.remove(0);
    assert_eq!((&one.body, one.header("webhook-id")), (&other.body, other.header("webhook-id")));

    // A body that names the tenant cannot be one body for all.
    let refused = json!({ "type": "decision.created", "data": {}, "tenant": "*" });
    service.provider("decide").publish(&refused).await.problem(422, &["tenant"]);
}

#[tokio::test]
async fn a_subscriber_can_poll_what_it_would_have_been_sent() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let mut published = Vec::new();
    for _ in 0..5 {
        published.push(acme.publish_new("order.paid").await);
    }
    let mut polled = Vec::new();
    let mut path = "/v1/events?limit=2".to_owned();
    loop {
        let page = acme.get(&path).await.expect(200);
        polled.extend(page["data"].as_array().expect("a list").iter().map(|event| text(&event["id"])));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/events?limit=2&cursor={next}");
    }
    assert_eq!(polled, published, "oldest first");
    acme.get("/v1/events?limit=251").await.problem(422, &["limit"]);
}
