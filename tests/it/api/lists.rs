//! What lists take: where a page begins, a window of time, and filters that can match something.

mod attempts;

use serde_json::{Value, json};

use crate::harness::api::text;
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::service::Service;

#[tokio::test]
async fn an_empty_cursor_is_the_first_page_of_every_list() {
    let service = Service::start(&Config::quick()).await;
    let (acme, operator) = (service.acme(), service.operator());
    let webhook = acme.subscribe("https://example.com/", &["never"]).await;
    let event = acme.publish_new("order.paid").await;
    let webhooks_log = format!("/v1/webhooks/{webhook}/deliveries");
    let explained = format!("/v1/events/{event}/explain");
    for path in ["/v1/events", "/v1/webhooks", "/v1/deliveries", "/v1/attempts", "/v1/event-types", &webhooks_log, &explained] {
        is_first_page(&acme, path).await;
    }
    for path in ["/v1/admin/keys", "/v1/admin/webhooks", "/v1/admin/deliveries", "/v1/admin/attempts"] {
        is_first_page(&operator, path).await;
    }
}

async fn is_first_page(client: &Client, path: &str) {
    let (first, same) = (client.get(path).await.expect(200), client.get(&format!("{path}?cursor=")).await.expect(200));
    assert_eq!(first["data"], same["data"], "{path}");
    client.get(&format!("{path}?cursor=x")).await.problem(422, &["?cursor: is not a cursor of this list"]);
}

#[tokio::test]
async fn a_window_may_be_told_by_how_long_ago_it_was() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let webhook = acme.subscribe("https://example.com/", &["*"]).await;
    acme.do_to_webhook(&webhook, "disable").await;
    acme.publish_new("order.paid").await;
    let listed = |page: Value| page["data"].as_array().expect("a list").len();
    for path in ["/v1/deliveries".to_owned(), format!("/v1/webhooks/{webhook}/deliveries"), "/v1/admin/deliveries".to_owned()] {
        let client = if path.contains("admin") { service.operator() } else { acme.clone() };
        assert_eq!(listed(client.get(&format!("{path}?since=10m")).await.expect(200)), 1, "{path}");
        assert_eq!(listed(client.get(&format!("{path}?until=10m")).await.expect(200)), 0, "{path}");
        assert_eq!(listed(client.get(&format!("{path}?since=2h&until=0")).await.expect(200)), 1, "{path}");
        for (query, wrong) in [
            ("since=10m&until=1h", "?until: is before `since`"),
            ("since=2026-03-01T00:00:00Z&until=2026-02-01T00:00:00Z", "?until: is before `since`"),
            ("since=30", "?since: is neither a time like"),
            ("since=2026-03-01", "has no time of day"),
            ("since=1969-01-01T00:00:00Z", "is outside the range of times"),
            ("event=a/b", "?event: is neither an id nor a uid"),
            ("type=b*", "?type"),
        ] {
            client.get(&format!("{path}?{query}")).await.problem(422, &[wrong]);
        }
    }
    service.operator().get("/v1/admin/deliveries?webhook=a/b").await.problem(422, &["?webhook: is neither an id nor a uid"]);
    let long = format!("/v1/webhooks?name={}", "n".repeat(129));
    acme.get(&long).await.problem(422, &["?name: is longer than 128 characters"]);

    let listed = service.cli(&["deliveries", "list", "--tenant", "shop/acme", "--since", "10m", "--json"]).expect(0).json();
    assert_eq!(text(&listed["data"][0]["webhook_id"]), webhook);
    let order = ["deliveries", "list", "--since", "10m", "--until", "1h"];
    service.cli(&order).expect(1).complains(&["?until: is before `since`"]);
    service.cli(&["deliveries", "list", "--since", "1969-01-01T00:00:00Z"]).expect(2).complains(&["1970-01-01T00:00:00Z to"]);
    service.cli(&["send", "a", "--occurred-at", "9999-12-31T23:59:59Z"]).expect(2).complains(&["9999-12-30T22:00:00Z"]);
}

#[tokio::test]
async fn a_recovery_takes_how_long_ago_and_refuses_a_window_that_holds_nothing() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let webhook = acme.subscribe("https://example.com/", &["never"]).await;
    let recover = format!("/v1/webhooks/{webhook}/recover");
    assert_eq!(acme.post(&recover, &json!({ "since": "10m" })).await.expect(202)["count"], 0);
    acme.post(&recover, &json!({ "since": "10m", "until": "1h" })).await.problem(422, &["/until: is before `since`"]);
    acme.post(&recover, &json!({ "since": "2199-01-01T00:00:00Z" })).await.problem(422, &["/since: is in the future"]);
    acme.post(&recover, &json!({ "since": "soon" })).await.problem(422, &["/since: is neither a time like"]);
}
