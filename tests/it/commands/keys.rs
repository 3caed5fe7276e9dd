//! Keys with an end and a rate, made on the command line and used over the network.

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::service::Service;

/// A client with a new key of tenant `shop/acme`.
fn with_key(service: &Service, options: &[&str]) -> Client {
    let made = service.cli(&[&["keys", "new", "k", "--tenant", "shop/acme"], options].concat()).expect(0);
    service.stranger().with_key(made.stdout.trim_end())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_key_opens_nothing_after_its_end() {
    let mut service = Service::start(&Config::quick()).await;
    let long = with_key(&service, &["--expires", "30d", "--description", "For the build"]);
    let short = with_key(&service, &["--expires", "1s"]);
    eventually("the key to end", WITHIN, || async { (short.get("/v1/webhooks").await.status == 401).then_some(()) }).await;
    short.get("/v1/webhooks").await.problem(401, &["has expired"]);
    long.get("/v1/webhooks").await.expect(200);
    let used = |key: &Value| key["description"] == "For the build" && text(&key["last_used_at"]).ends_with(":00Z");
    let listed = service.cli(&["keys", "list", "--json"]).expect(0).json();
    assert!(listed["data"].as_array().is_some_and(|keys| keys.iter().any(used)), "{listed}");
    service.kill9();
    service.start_again().await;
    let listed = service.cli(&["keys", "list", "--json"]).expect(0).json();
    let made = listed["data"].as_array().expect("a list").iter().find(|key| key["description"] == "For the build").expect("kept");
    assert!(text(&made["expires_at"]) > text(&made["created_at"]), "{made}");
    service.cli(&["keys", "new", "k", "--expires", "0s"]).expect(1).complains(&["/expires_at", "not in the future"]);
    service.cli(&["keys", "new", "k", "--rate-limit", "fast"]).expect(2).complains(&["1000/s"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_key_is_used_no_more_often_than_its_rate() {
    let config = Config::quick().tenant("slow").tenant_line("rate_limit = \"1/h\"");
    let service = Service::start(&config).await;
    let limited = with_key(&service, &["--rate-limit", "4/h"]);
    limited.get("/v1/webhooks").await.expect(200);
    limited.publish(&json!({ "type": "a", "data": 1 })).await.expect(202);
    let lines = json!({ "type": "a", "data": 2 }).to_string() + "\n";
    let (_, results) = limited.publish_lines(&lines.repeat(3)).await;
    let statuses: Vec<&Value> = results.iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, [202, 202, 429], "each line counts, and the call does not");
    let refused = limited.get("/v1/webhooks").await;
    refused.problem(429, &["this key has a rate limit of 4/h"]);
    assert_eq!(refused.headers["ratelimit-policy"], "\"key\";q=4;w=3600");
    service.acme().get("/v1/webhooks").await.expect(200);

    let slow = service.tenant("shop", "slow");
    slow.publish(&json!({ "type": "a", "data": 1 })).await.expect(202);
    slow.publish(&json!({ "type": "a", "data": 1 })).await.problem(429, &["this tenant has a rate limit of 1/h"]);
    let shown = service.cli(&["tenants", "show", "shop/slow", "--json"]).expect(0).json();
    assert_eq!((&shown["rate_limit"], &shown["owner"]), (&json!("1/h"), &json!("file")));
}
