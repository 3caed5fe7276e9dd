//! Statistics by the hour, as the API shows them.

use serde_json::{Value, json};

use crate::harness::api::text;
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn statistics_outlive_a_kill_and_count_no_tests() {
    let receiver = Receiver::start().await;
    receiver.script("/bad", [Reply::status(500)]);
    let config = Config::quick().webhook("good", &receiver.url("/good"), &["good"]);
    let config = config.webhook("bad", &receiver.url("/bad"), &["bad"]).tenant("globex");
    let mut service = Service::start(&config).await;
    let acme = service.acme();
    for _ in 0..3 {
        let id = acme.publish_new("good").await;
        acme.delivery_when(&id, "succeeded").await;
    }
    let id = acme.publish_new("bad").await;
    acme.delivery_when(&id, "failed").await;
    let webhooks = acme.get("/v1/webhooks").await.expect(200);
    let of = |name: &str| {
        let all = webhooks["data"].as_array().expect("a list");
        text(&all.iter().find(|webhook| webhook["name"] == name).expect("it is there")["id"])
    };
    let (good, bad) = (of("good"), of("bad"));
    acme.post(&format!("/v1/webhooks/{good}/test"), &json!({})).await.expect(200);

    let all = json!({ "succeeded": 3, "failed": 1, "attempts": { "2xx": 3, "5xx": 3 } });
    assert_eq!(sum(&acme, "").await, all);
    service.kill9();
    service.start_again().await;
    let acme = service.acme();
    assert_eq!(sum(&acme, "").await, all);
    assert_eq!(sum(&acme, "?by=day&since=1h").await, all);
    assert_eq!(sum(&acme, &format!("?webhook={bad}")).await, json!({ "succeeded": 0, "failed": 1, "attempts": { "5xx": 3 } }));
    let stats = acme.get(&format!("/v1/webhooks/{good}/stats")).await.expect(200);
    assert_eq!((&stats["total"], &stats["successRate"]), (&json!(3), &json!(100)));

    let none = json!({ "succeeded": 0, "failed": 0, "attempts": {} });
    let globex = service.tenant("shop", "globex");
    assert_eq!(sum(&globex, "").await, none);
    globex.get(&format!("/v1/stats?webhook={bad}")).await.problem(404, &["webhook"]);
    for (query, expected) in [("", &all), ("?provider=shop", &all), ("?tenant=shop/acme", &all), ("?tenant=shop/globex", &none)] {
        assert_eq!(sum(&service.admin(), query).await, *expected, "{query}");
    }
    service.admin().get("/v1/stats?provider=nobody").await.problem(404, &["provider"]);
    acme.get("/v1/stats?by=week").await.problem(422, &["?by", "hour"]);
    acme.get("/v1/stats?since=100d").await.problem(422, &["?since", "90 days"]);
    service.stop_and_check().await;
}

/// All rows of an answer added up; that there are empty ones, and times where there are deliveries, is looked at too.
async fn sum(client: &Client, query: &str) -> Value {
    let answer = client.get(&format!("/v1/stats{query}")).await.expect(200);
    let rows = answer["data"].as_array().expect("a list").clone();
    assert!(query.contains("by=day") || rows.len() == 24, "{answer}");
    let (mut succeeded, mut failed, mut attempts) = (0, 0, serde_json::Map::new());
    for row in &rows {
        assert!(text(&row["at"]).ends_with(":00:00Z"), "{row}");
        let ended = row["succeeded"].as_u64().expect("a count") + row["failed"].as_u64().expect("a count");
        assert_eq!(row["p99"].is_number(), ended > 0, "{row}");
        succeeded += row["succeeded"].as_u64().expect("a count");
        failed += row["failed"].as_u64().expect("a count");
        for (class, count) in row["attempts"].as_object().expect("an object") {
            let before = attempts.get(class).and_then(Value::as_u64).unwrap_or(0);
            attempts.insert(class.clone(), json!(before + count.as_u64().expect("a count")));
        }
    }
    json!({ "succeeded": succeeded, "failed": failed, "attempts": attempts })
}
