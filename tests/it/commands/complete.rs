//! Commands with `--json` that no other test asks for it.

use std::fs;

use serde_json::{Value, json};

use crate::harness::config::{self, Config};
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_command_answers_in_json() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let told = |arguments: &[&str]| service.cli(arguments).expect(0).json();
    assert!(told(&["version", "--json"])["version"].is_string());
    assert!(told(&["config", "default", "--json"])["toml"].is_string());
    assert!(told(&["dialects", "show", "standard", "--json"]).is_object());
    assert!(told(&["docs", "publish", "--json"]).is_object());
    assert!(told(&["clock", "accept", "--json"]).is_object());

    let url = receiver.url("/");
    service.cli(&["webhooks", "add", &url, "--name", "w", "--events", "a.*"]).expect(0);
    assert_eq!(told(&["webhooks", "test", "w", "--json"])["status"], "succeeded");
    assert!(told(&["webhooks", "secret", "w", "--json"])["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    is_json(&service.cli(&["send", "a.b", "--wait", "--json"]).expect(0).stdout);
    let list = told(&["deliveries", "list", "--json"]);
    let id = list["data"][0]["id"].as_str().expect("an id");
    assert_eq!(told(&["deliveries", "retry", id, "--json"])["id"], id);
    assert_eq!(told(&["webhooks", "disable", "w", "--json"])["status"], "disabled");
    assert_eq!(told(&["webhooks", "enable", "w", "--json"])["status"], "active");
    let replay = told(&["replay", "start", "--since", "1h", "--rate", "1/h", "--json"]);
    let replay = replay["id"].as_str().expect("an id");
    assert_eq!(told(&["replay", "list", "--json"])["data"][0]["id"], replay);
    // A replay of one delivery may have ended before it can be stopped.
    for ran in [
        service.cli(&["replay", "pause", replay, "--json"]),
        service.cli(&["replay", "resume", replay, "--json"]),
        service.cli(&["replay", "cancel", replay, "--json"]),
    ] {
        is_json(&ran.stdout);
        is_json(&ran.stderr);
    }
    service.cli(&["webhooks", "disable", "w"]).expect(0);
    service.cli(&["send", "a.c"]).expect(0);
    let held = told(&["deliveries", "list", "--status", "held", "--json"]);
    let held = held["data"][0]["id"].as_str().expect("an id");
    is_json(&service.cli(&["deliveries", "cancel", held, "--json"]).expect(0).stdout);
    let again = told(&["deliveries", "list", "--json"])["data"][0]["event_id"].as_str().expect("an id").to_owned();
    assert!(told(&["events", "replay", &again, "--json"])["id"].is_string());
    assert!(told(&["webhooks", "purge", "w", "--status", "held", "--json"]).is_object());
    is_json(&service.cli(&["webhooks", "delete", "w", "--json"]).expect(0).stdout);

    assert_eq!(told(&["event-types", "put", "a.b", "--description", "d", "--json"])["name"], "a.b");
    assert_eq!(told(&["event-types", "show", "a.b", "--json"])["description"], "d");
    is_json(&service.cli(&["event-types", "list", "--json"]).expect(0).stdout);
    let document = json!({ "openapi": "3.1.0", "info": { "title": "t", "version": "1" },
        "webhooks": { "x.y": { "post": { "responses": {} } } } });
    fs::write(service.folder().join("api.json"), document.to_string()).expect("written");
    assert_eq!(told(&["event-types", "import", "api.json", "--json"])["added"], json!(["x.y"]));
    is_json(&service.cli(&["event-types", "delete", "a.b", "--json"]).expect(0).stdout);

    assert_eq!(told(&["tenants", "put", "shop/new", "--name", "New", "--json"])["name"], "New");
    is_json(&service.cli(&["tenants", "list", "--json"]).expect(0).stdout);
    is_json(&service.cli(&["tenants", "delete", "shop/new", "--json"]).expect(0).stdout);
    service.cli(&["keys", "new", "ci"]).expect(0);
    is_json(&service.cli(&["keys", "revoke", "ci", "--json"]).expect(0).stdout);
    assert!(service.folder().join(config::FILE).exists());
}

/// Each line is one JSON value, and there may be none.
#[track_caller]
fn is_json(stdout: &str) {
    for line in stdout.lines() {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}
