//! An operator's day, by the command line alone: a customer is set up, its endpoint fails, is found, mended and gets what it missed;
//! then all of it is looked up, backed up, and restored on another machine.

use std::fs;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::config::{self, Config};
use crate::harness::eventually;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

const TENANT: &str = "shop/omega";

/// The data of a command that ended well.
#[track_caller]
fn asked(service: &Service, arguments: &[&str]) -> Value {
    service.cli(&[arguments, &["--json"]].concat()).expect(0).json()
}

/// The rows of a list.
#[track_caller]
fn listed(service: &Service, arguments: &[&str]) -> Vec<Value> {
    let found = asked(service, arguments);
    found["data"].as_array().unwrap_or_else(|| panic!("no list: {found}")).clone()
}

async fn until(service: &Service, what: &str, arguments: &[&str], wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let look = || async {
        let found = listed(service, arguments);
        wanted(&found).then_some(found)
    };
    eventually(what, WITHIN, look).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_operator_sees_a_day_through_by_the_command_line() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick()).await;
    receiver.script("/omega", [Reply::status(503)]);

    // In the morning a customer comes.
    asked(&service, &["tenants", "put", TENANT, "--name", "Omega", "--metadata", "plan=gold"]);
    let key = asked(&service, &["keys", "new", "omega", "--tenant", TENANT, "--scopes", "publish,read"]);
    let url = receiver.url("/omega");
    let webhook = asked(&service, &["webhooks", "add", &url, "--name", "orders", "--events", "order.*", "--tenant", TENANT]);
    let webhook = text(&webhook["id"]);

    // Its endpoint is down.
    for number in 0..3 {
        let data = json!({ "n": number }).to_string();
        service.cli(&["send", "order.paid", "-d", &data, "--tenant", TENANT]).expect(0);
    }
    let failing = ["webhooks", "list", "--all", "--failing"];
    let seen = until(&service, "it is seen as failing", &failing, |rows| !rows.is_empty()).await;
    assert_eq!((&seen[0]["id"], seen.len()), (&json!(webhook), 1), "{seen:?}");
    let failed = ["deliveries", "list", "--status", "failed", "--tenant", TENANT];
    let rows = until(&service, "all three have failed", &failed, |rows| rows.len() == 3).await;
    assert!(rows.iter().all(|row| row["last_code"] == 503 && row["attempts"] == 3), "{rows:?}");
    // What Prometheus asks for, at the admin socket.
    let metrics = service.admin().get("/metrics").await.text();
    let counted = "hookwheel_deliveries_total{provider=\"shop\",result=\"failed\"} 3";
    assert!(metrics.contains(counted), "no {counted} in {metrics}");

    // It is mended, and gets what it missed.
    receiver.script("/omega", [Reply::OK]);
    let tried = service.cli(&["webhooks", "test", "orders", "--tenant", TENANT]).expect(0);
    assert!(tried.stdout.contains("200"), "{tried:?}");
    let replay = ["replay", "start", "--webhook", "orders", "--status", "failed", "--since", "1h", "--wait", "--tenant", TENANT];
    let replayed = asked(&service, &replay);
    assert_eq!(
        [&replayed["state"], &replayed["matched"], &replayed["failed"]],
        [&json!("done"), &json!(3), &json!(0)],
        "{replayed}"
    );
    let sent = receiver.received("/omega").into_iter().filter(|one| one.header("webhook-id").starts_with("evt_"));
    let mended: Vec<Value> =
        listed(&service, &["deliveries", "list", "--status", "succeeded", "--test=false", "--tenant", TENANT]);
    assert_eq!((mended.len(), listed(&service, &failed).len()), (3, 0), "{mended:?}");
    assert!(sent.count() >= 12, "three attempts of each, and one more");
    assert_eq!(listed(&service, &failing), Vec::<Value>::new(), "it is well again");

    // The auditor asks who did what.
    let audit = listed(&service, &["audit", "--since", "1h"]);
    for (object, name) in [("tenant", TENANT), ("key", key["id"].as_str().unwrap_or_default()), ("webhook", &webhook)] {
        let found = audit.iter().find(|row| row["object"]["kind"] == object && row["object"]["id"] == name);
        let found = found.unwrap_or_else(|| panic!("no {object} {name} in {audit:?}"));
        assert_eq!((&found["actor"]["kind"], &found["before"]), (&json!("socket"), &Value::Null));
    }
    assert!(audit.iter().any(|row| row["call"] == "POST /v1/replays"), "{audit:?}");

    // In the evening it is backed up, and restored elsewhere with the key that was kept apart.
    let made = asked(&service, &["backup", "evening.redb"]);
    let mut other = Service::start(&Config::quick()).await;
    other.kill9();
    for name in ["evening.redb", "evening.redb.json", "hookwheel.redb.key"] {
        fs::copy(service.folder().join(name), other.folder().join(name)).expect("copied");
    }
    let restored = other.cli(&["restore", "evening.redb", "-c", config::FILE, "--force", "--json"]).expect(0).json();
    assert_eq!(restored["events"], made["backup"]["events"]);
    other.start_again().await;
    let there = listed(&other, &["deliveries", "list", "--status", "succeeded", "--test=false", "--tenant", TENANT]);
    assert_eq!(there, mended, "the other machine has the same log, under the same ids");
    let secret = |service: &Service| asked(service, &["webhooks", "secret", "orders", "--tenant", TENANT]);
    assert_eq!(secret(&other), secret(&service));

    // A third machine takes what the second exports.
    asked(&other, &["export", "evening.ndjson"]);
    let third = Service::start(&Config::quick()).await;
    fs::copy(other.folder().join("evening.ndjson"), third.folder().join("evening.ndjson")).expect("copied");
    let imported = asked(&third, &["import", "evening.ndjson"]);
    assert_eq!(imported["refused"], 0, "{imported}");
    let there = listed(&third, &["deliveries", "list", "--status", "succeeded", "--test=false", "--tenant", TENANT]);
    assert_eq!(there.len(), 3);
}
