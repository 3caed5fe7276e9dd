//! No credential of a webhook is seen anywhere but on its way to where it belongs.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::subscribe;
use crate::harness::api::{WITHIN, text};
use crate::harness::config::{self, Config};
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

/// What no output and no file may hold. Each is a part of a credential below.
const CANARY: &str = "canary";

#[tokio::test]
async fn no_credential_is_seen_in_any_answer_log_metric_or_file() {
    let receiver = Receiver::start().await;
    receiver.script("/a", [Reply::status(500), Reply::OK]);
    let config = Config::retrying(&["50ms"]).server("log_level = \"trace\"");
    let config = config.delivery("proxy = \"http://u:canary-of-a-proxy@127.0.0.1:9\"");
    let config =
        config.webhook("file", &receiver.url("/file"), &["*"]).webhook_line(FILE).file("keys/header", "canary-of-a-file");
    let mut service = Service::start(&config).await;
    let acme = service.acme();
    receiver.script("/token", [Reply::OK.body(r#"{"access_token":"canary-of-a-server"}"#)]);
    receiver.script("/broken", [Reply::status(400).body(r#"{"error":"canary","error_description":"canary"}"#)]);
    let made = subscribe(&acme, &receiver.url("/a"), settings()).await;
    subscribe(&acme, &receiver.url("/b"), json!({ "auth": oauth2(&receiver.url("/token")), "proxy": "none" })).await;
    subscribe(&acme, &receiver.url("/c"), json!({ "auth": oauth2(&receiver.url("/broken")), "proxy": "none" })).await;
    let through = "http://u:canary-of-its-own@127.0.0.1:9";
    subscribe(&acme, &receiver.url("/d"), json!({ "proxy": through })).await;
    let event = acme.publish_new("a").await;
    receiver.wait_for("/a", 2, WITHIN).await;
    receiver.wait_for("/b", 1, WITHIN).await;
    receiver.wait_for("/broken", 2, WITHIN).await;
    receiver.wait_for("/file", 1, WITHIN).await;
    assert!(receiver.received("/a")[0].header("x-api-key").contains(CANARY), "it is sent");

    let mut said = made.to_string();
    said += &answers(&service, &text(&made["id"]), &event).await;
    said += &refusals(&service, &text(&made["id"])).await;
    for command in [
        &["webhooks", "list", "--all", "--json"][..],
        &["webhooks", "list", "--all"],
        &["webhooks", "show", "file", "--tenant", "shop/acme"],
        &["config", "show", "-c", config::FILE],
        &["config", "show", "-c", config::FILE, "--json"],
        &["deliveries", "list", "--all", "--json"],
        &["status", "--json"],
        &["check", "-c", config::FILE],
    ] {
        let ran = service.cli(command);
        said += &(ran.stdout + &ran.stderr);
    }
    assert!(said.contains("can…("), "nothing was shown at all: {said}");
    service.signal("USR1");
    service.cli(&["reload"]).expect(0);
    service.terminate().await;
    said += &service.stderr();
    let doctor = service.cli(&["doctor", "-c", config::FILE]);
    said += &(doctor.stdout + &doctor.stderr);
    assert!(!said.contains(CANARY), "{}", around(&said));
    assert!(!said.contains("dTpjYW5hcnkt"), "base64 of `u:canary-`, which is as good as the password");
    files_hold_none(service.folder());
}

/// A credential in each setting that has some.
fn settings() -> Value {
    let password = json!({ "type": "basic", "username": "u", "password": "canary-of-a-password" });
    json!({ "headers": { "X-Api-Key": "canary-of-a-header" }, "auth": password, "proxy": "none" })
}

fn oauth2(token_url: &str) -> Value {
    json!({ "type": "oauth2", "token_url": token_url, "client_id": "i", "client_secret": "canary-of-a-client", "style": "form" })
}

/// The same settings in the config file.
const FILE: &str = "headers = { X-Api-Key = { file = \"keys/header\" } }\nproxy = \"none\"";

/// What the API says about the webhook, its deliveries and the service.
async fn answers(service: &Service, id: &str, event: &str) -> String {
    let (acme, operator) = (service.acme(), service.operator());
    let mut said = String::new();
    for path in [
        "/v1/webhooks?expand=settings",
        &format!("/v1/webhooks/{id}?expand=settings"),
        &format!("/v1/webhooks/{id}/deliveries"),
        &format!("/v1/webhooks/{id}/stats"),
        &format!("/v1/events/{event}"),
        &format!("/v1/events/{event}/explain"),
        "/v1/deliveries",
    ] {
        said += &acme.get(path).await.text();
    }
    for delivery in acme.deliveries_of(event).await {
        said += &acme.delivery(&text(&delivery["id"])).await.to_string();
    }
    for path in ["/v1/admin/webhooks", "/v1/admin/status", "/v1/admin/audit", "/metrics"] {
        said += &operator.get(path).await.text();
    }
    said + &acme.post(&format!("/v1/webhooks/{id}/test"), &json!({})).await.text()
}

/// What the API says to credentials that it refuses.
async fn refusals(service: &Service, id: &str) -> String {
    let (acme, path) = (service.acme(), format!("/v1/webhooks/{id}"));
    let mut said = String::new();
    for wrong in [
        json!({ "headers": { "X-Api-Key": "canary\n" } }),
        json!({ "headers": { "X-Api-Key": ["canary"] } }),
        json!({ "headers": "canary" }),
        json!({ "auth": { "type": "bearer", "token": "canary of two words" } }),
        json!({ "auth": { "type": "basic", "username": "u", "password": "canary\n" } }),
        json!({ "auth": { "type": "oauth2", "client_secret": "canary" } }),
        json!({ "auth": { "type": "canary" } }),
        json!({ "tls": { "client_key": "canary" } }),
        json!({ "proxy": "http://u:canary@host:port" }),
        json!({ "proxy": "https://u:canary@proxy.test:1" }),
        json!({ "tls": { "client_cert": "canary", "client_key": "-----BEGIN PRIVATE KEY-----\ncanary" } }),
    ] {
        let answer = acme.patch(&path, &wrong).await;
        answer.problem(422, &[]);
        said += &answer.text();
    }
    said
}

/// Checks every file of the service but those that a person wrote.
fn files_hold_none(folder: &Path) {
    let mut seen = 0;
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() || path.ends_with(config::FILE) {
            continue;
        }
        let bytes = fs::read(&path).expect("a file");
        seen += 1;
        assert!(!bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes()), "{} holds one", path.display());
    }
    assert!(seen >= 2, "the store and its journal are among the files");
}

/// The text around the first credential that is seen.
fn around(said: &str) -> String {
    let at = said.find(CANARY).unwrap_or_default();
    let (from, to) = (said.floor_char_boundary(at.saturating_sub(300)), said.floor_char_boundary(at + 200));
    said[from..to].to_owned()
}
