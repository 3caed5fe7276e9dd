//! Second names: wherever an id is taken, a uid is taken too.

use http::Method;
use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::config::Config;
use crate::harness::receiver::{Received, Receiver};
use crate::harness::service::Service;

fn hook(url: &str, uid: &str) -> Value {
    json!({ "url": url, "events": ["*"], "uid": uid })
}

#[tokio::test]
async fn every_path_and_filter_takes_a_webhooks_uid() {
    let (mut service, receiver) = (Service::start(&Config::quick().tenant("other")).await, Receiver::start().await);
    let acme = service.acme();
    let made = acme.post("/v1/webhooks", &hook(&receiver.url("/a"), "main.eu")).await.expect(201);
    let id = text(&made["id"]);
    assert_eq!(made["uid"], "main.eu");
    acme.post("/v1/webhooks", &hook(&receiver.url("/b"), "main.eu")).await.problem(409, &["`main.eu`", &id]);
    acme.post("/v1/webhooks", &hook(&receiver.url("/b"), &id)).await.problem(422, &["/uid", "hookwheel makes"]);
    acme.publish(&json!({ "type": "order.paid", "data": 1 })).await.expect(202);
    receiver.wait_for("/a", 1, WITHIN).await;
    for path in ["/v1/webhooks/main.eu", "/v1/webhooks/main.eu/stats"] {
        acme.get(path).await.expect(200);
    }
    assert_eq!(acme.patch("/v1/webhooks/main.eu", &json!({ "name": "n" })).await.expect(200)["id"], json!(id));
    acme.post("/v1/webhooks/main.eu/disable", &json!({})).await.expect(200);
    acme.post("/v1/webhooks/main.eu/enable", &json!({})).await.expect(200);
    for list in ["/v1/webhooks/main.eu/deliveries", "/v1/attempts?webhook=main.eu", "/v1/webhooks?uid=main.eu"] {
        let found = acme.get(list).await.expect(200);
        assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{list}: {found}");
    }
    acme.get("/v1/attempts?webhook=main.us").await.problem(404, &[]);
    let of_all = |path: &str| format!("/v1/admin/{path}tenant=shop/acme");
    for list in [of_all("deliveries?webhook=main.eu&"), of_all("attempts?webhook=main.eu&"), of_all("webhooks?uid=main.eu&")] {
        let found = service.operator().get(&list).await.expect(200);
        assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{list}: {found}");
    }

    let other = service.tenant("shop", "other");
    other.get("/v1/webhooks/main.eu").await.problem(404, &[]);
    other.post("/v1/webhooks", &hook(&receiver.url("/c"), "main.eu")).await.expect(201);
    service.operator().get("/v1/webhooks/main.eu").await.problem(422, &["several tenants", "Hookwheel-Tenant"]);
    let shown = service.cli(&["webhooks", "show", "main.eu", "--tenant", "shop/acme", "--json"]).expect(0).json();
    assert_eq!(shown["id"], json!(id));

    service.kill9();
    service.start_again().await;
    let acme = service.acme();
    acme.patch("/v1/webhooks/main.eu", &json!({ "uid": null })).await.expect(200);
    acme.get("/v1/webhooks/main.eu").await.problem(404, &[]);
    acme.post("/v1/webhooks", &hook(&receiver.url("/b"), "main.eu")).await.expect(201);
    acme.delete("/v1/webhooks/main.eu").await.expect(204);
    let edited = ["webhooks", "edit", &id, "--uid", "main.eu", "--tenant", "shop/acme", "--json"];
    assert_eq!(service.cli(&edited).expect(0).json()["uid"], "main.eu", "it was free again");
}

#[tokio::test]
async fn every_path_and_filter_takes_an_events_uid_and_no_request_has_it() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = json!({ "type": "order.paid", "data": { "n": 1 }, "uid": "order.4711" });
    let first = acme.publish(&event).await.expect(202);
    let again = acme.publish(&event).await.expect(200);
    assert_eq!(again["id"], first["id"]);
    let id = text(&first["id"]);
    let other = json!({ "type": "order.paid", "data": { "n": 2 }, "uid": "order.4711" });
    acme.publish(&other).await.problem(409, &["`order.4711`", &id]);
    acme.publish(&json!({ "type": "a", "data": 1, "uid": "a/b" })).await.problem(422, &["/uid"]);
    let lines = format!("{event}\n{other}\n{}\n", json!({ "type": "a", "data": 1, "uid": "order.4712" }));
    let (_, lines) = acme.publish_lines(&lines).await;
    assert_eq!(lines.iter().map(|line| line["status"].clone()).collect::<Vec<_>>(), [json!(200), json!(409), json!(202)]);

    let shown = acme.get("/v1/events/order.4711").await.expect(200);
    assert_eq!((&shown["id"], &shown["uid"]), (&first["id"], &json!("order.4711")));
    assert!(acme.get(&format!("/v1/events/{}", text(&lines[2]["id"]))).await.expect(200)["uid"] == "order.4712");
    acme.get("/v1/events/order.4711/explain").await.expect(200);
    let sent = receiver.wait_for("/a", 2, WITHIN).await;
    let shows = |one: &Received| format!("{:?} {}", one.headers, String::from_utf8_lossy(&one.body)).contains("order.47");
    assert!(!sent.iter().any(shows), "{sent:?}");
    for list in ["/v1/deliveries?event=order.4711", "/v1/attempts?event=order.4711"] {
        let found = acme.get(list).await.expect(200);
        assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{list}: {found}");
    }
    let sent = ["send", "order.sent", "--uid", "cli.1", "--tenant", "shop/acme", "--json"];
    service.cli(&sent).expect(0);
    let found = service.cli(&["deliveries", "list", "--event", "cli.1", "--tenant", "shop/acme", "--json"]).expect(0).json();
    assert_eq!(found["data"].as_array().map(Vec::len), Some(1), "{found}");
}

#[tokio::test]
async fn a_face_that_a_document_fixes_shows_a_uid_only_when_asked() {
    let service = Service::start(&Config::bare().provider("d", "deck").tenant("t")).await;
    let tenant = service.tenant("d", "t");
    let hook = json!({ "url": "https://example.com/", "events": ["a"], "name": "n", "uid": "deck.1" });
    let put = async |path: &str| tenant.send(Method::POST, path, "application/json", hook.to_string().into()).await.expect(201);
    let inner = |answer: &Value| answer.get("webhook").unwrap_or(answer).clone();
    let made = inner(&put("/v1/webhooks").await);
    assert!(made.get("uid").is_none(), "{made}");
    let plain = inner(&tenant.get("/v1/webhooks/deck.1").await.expect(200));
    let asked = inner(&tenant.get("/v1/webhooks/deck.1?expand=settings").await.expect(200));
    assert_eq!((plain.get("uid"), &asked["uid"]), (None, &json!("deck.1")));
    // A PUT by the same face leaves what it does not show; one that shows settings sets all of them.
    let plain = json!({ "url": "https://example.com/new", "events": ["a"], "name": "n" }).to_string();
    let put = async |path: &str| tenant.send(Method::PUT, path, "application/json", plain.clone().into()).await.expect(200);
    put("/v1/webhooks/deck.1").await;
    let kept = inner(&tenant.get("/v1/webhooks/deck.1?expand=settings").await.expect(200));
    assert_eq!((&kept["uid"], &kept["url"]), (&json!("deck.1"), &json!("https://example.com/new")));
    put("/v1/webhooks/deck.1?expand=settings").await;
    tenant.get("/v1/webhooks/deck.1").await.problem(404, &[]);
}
