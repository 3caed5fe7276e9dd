//! The list of attempts, one of them by its id, and that nobody sees those of others.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

/// A service with deliveries to `/good`, and to `/bad`, which fails twice. Gives the events.
async fn busy(receiver: &Receiver) -> (Service, [String; 2], Vec<String>) {
    receiver.script("/bad", [Reply::status(500), Reply::status(404), Reply::status(200)]);
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let good = acme.subscribe(&receiver.url("/good"), &["order.paid"]).await;
    let bad = acme.subscribe(&receiver.url("/bad"), &["order.late"]).await;
    let mut events = Vec::new();
    for kind in ["order.paid", "order.late", "order.paid"] {
        events.push(acme.publish_new(kind).await);
    }
    receiver.wait_for("/bad", 3, WITHIN).await;
    receiver.wait_for("/good", 2, WITHIN).await;
    for event in &events {
        acme.delivery_when(event, "succeeded").await;
    }
    (service, [good, bad], events)
}

async fn ids(client: &Client, path: &str) -> Vec<String> {
    rows(client, path).await.iter().map(|row| text(&row["id"])).collect()
}

/// All pages of a list.
async fn rows(client: &Client, path: &str) -> Vec<Value> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let (mut all, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = client.get(&format!("{path}{separator}cursor={cursor}")).await.expect(200);
        all.extend(page["data"].as_array().expect("a list").clone());
        match page["next"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return all,
        }
    }
}

#[tokio::test]
async fn attempts_are_listed_newest_first_and_found_by_their_ids() {
    let receiver = Receiver::start().await;
    let (mut service, [good, bad], events) = busy(&receiver).await;
    let acme = service.acme();
    let all = rows(&acme, "/v1/attempts").await;
    assert_eq!(all.len(), 5);
    assert!(all.is_sorted_by_key(|row| std::cmp::Reverse(text(&row["started_at"]))), "{all:?}");
    assert!(all.is_sorted_by(|a, b| text(&a["id"])[..14] >= text(&b["id"])[..14]), "an id begins with the time");
    assert_eq!(rows(&acme, "/v1/attempts?limit=1").await, all, "in pages of one");

    let mut in_deliveries = BTreeSet::new();
    for delivery in rows(&acme, "/v1/deliveries").await {
        let whole = acme.delivery(&text(&delivery["id"])).await;
        for attempt in attempts(&whole) {
            let row = all.iter().find(|row| row["id"] == attempt["id"]).expect("it is in the list");
            for member in ["number", "trigger", "started_at", "duration_ms", "error", "detail", "request", "response"] {
                assert_eq!(row[member], attempt[member], "{member}");
            }
            assert_eq!((&row["delivery_id"], &row["event_id"]), (&whole["id"], &whole["event_id"]));
            assert_eq!((&row["event_type"], &row["webhook_id"]), (&whole["event_type"], &whole["webhook_id"]));
            assert_eq!(&acme.get(&format!("/v1/attempts/{}", text(&row["id"]))).await.expect(200), row);
            in_deliveries.insert(text(&row["id"]));
        }
        let created = text(&whole["created_at"]);
        assert_eq!((created.len(), created.as_bytes()[19]), (27, b'.'), "{created} has microseconds");
    }
    assert_eq!(in_deliveries.len(), 5);

    let of =
        |wanted: &dyn Fn(&Value) -> bool| all.iter().filter(|row| wanted(row)).map(|row| text(&row["id"])).collect::<Vec<_>>();
    let middle = text(&all[2]["started_at"]);
    let lists: [(String, Vec<String>); 11] = [
        (format!("webhook={bad}"), of(&|row| row["webhook_id"] == *bad)),
        (format!("webhook={bad}&event={}", events[1]), of(&|row| row["webhook_id"] == *bad && row["event_id"] == *events[1])),
        (format!("webhook={good}&event={}", events[1]), Vec::new()),
        (format!("event={}", events[1]), of(&|row| row["event_id"] == *events[1])),
        ("status=failed".into(), of(&|row| row["error"] == "status")),
        ("status=succeeded".into(), of(&|row| row["error"].is_null())),
        ("code=404".into(), of(&|row| row["response"]["status"] == 404)),
        ("class=5xx".into(), of(&|row| row["response"]["status"] == 500)),
        ("class=timeout".into(), Vec::new()),
        (format!("since={middle}"), of(&|row| text(&row["started_at"]) >= middle)),
        (format!("until={middle}"), of(&|row| text(&row["started_at"]) < middle)),
    ];
    for (query, expected) in lists {
        assert_eq!(ids(&acme, &format!("/v1/attempts?{query}")).await, expected, "{query}");
    }
    assert_eq!(ids(&acme, "/v1/attempts?event=never-published").await, [""; 0]);

    service.kill9();
    service.start_again().await;
    assert_eq!(rows(&service.acme(), "/v1/attempts").await, all, "after a kill");
    service.stop_and_check().await;
}

#[tokio::test]
async fn attempts_of_others_do_not_exist() {
    let receiver = Receiver::start().await;
    let (service, [good, _], _) = busy(&receiver).await;
    let operator = service.operator();
    let all = rows(&operator, "/v1/admin/attempts").await;
    assert!(all.iter().all(|row| row["provider"] == "shop" && row["tenant"] == "acme"), "{all:?}");
    let id = text(&all[0]["id"]);
    let other = operator.clone().with_header("hookwheel-tenant", "shop/globex");
    other.get(&format!("/v1/attempts/{id}")).await.problem(404, &["attempt"]);
    other.get(&format!("/v1/attempts?webhook={good}")).await.problem(404, &["webhook"]);
    assert_eq!(ids(&other, "/v1/attempts").await, [""; 0]);
    for unknown in ["att_01K0000000000000000000000A", "att_1", "dlv_01K0000000000000000000000A"] {
        service.acme().get(&format!("/v1/attempts/{unknown}")).await.problem(404, &["attempt"]);
    }
    for bad in ["status=held", "class=slow", "code=7", "until=x", "webhook=a/b", "type=a"] {
        service.acme().get(&format!("/v1/attempts?{bad}")).await.problem(422, &[bad.split('=').next().unwrap_or(bad)]);
    }
    assert_eq!(ids(&operator, "/v1/admin/attempts?tenant=shop/acme").await.len(), all.len());
    operator.get("/v1/admin/attempts?tenant=shop/nobody").await.problem(404, &["tenant"]);
}
