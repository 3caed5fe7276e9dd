//! What a relay holds, exported, and imported into another one.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::ran;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

const TENANT: &str = "shop/beta";

/// A relay with a tenant, a key, an event type, and two webhooks that were made over the API; one event was delivered, one failed, and
/// one is held.
async fn lived(receiver: &Receiver) -> (Service, Vec<String>) {
    let service = Service::start(&Config::quick()).await;
    service.cli(&["tenants", "put", TENANT, "--name", "Beta", "--metadata", "plan=gold"]).expect(0);
    service.cli(&["keys", "new", "ci", "--tenant", TENANT]).expect(0);
    service.cli(&["event-types", "put", "a.b", "--description", "ab", "--tenant", TENANT]).expect(0);
    let headers = json!({ "X-Canary": CANARY }).to_string();
    let (good, bad) = (receiver.url("/good"), receiver.url("/bad"));
    let add = ["webhooks", "add", &good, "--name", "good", "--events", "a.*", "--headers", &headers, "--tenant", TENANT];
    service.cli(&add).expect(0);
    service.cli(&["webhooks", "add", &bad, "--name", "bad", "--events", "x.y", "--tenant", TENANT]).expect(0);
    receiver.script("/bad", [Reply::status(500)]);
    let beta = service.admin().with_header("hookwheel-tenant", TENANT);
    let delivered =
        text(&beta.publish(&json!({ "type": "a.b", "data": "ü", "id": "own-1", "uid": "order.1" })).await.expect(202)["id"]);
    let failed = beta.publish_new("x.y").await;
    beta.delivery_when(&delivered, "succeeded").await;
    beta.delivery_when(&failed, "failed").await;
    service.cli(&["webhooks", "disable", "good", "--tenant", TENANT]).expect(0);
    let held = beta.publish_new("a.c").await;
    beta.delivery_when(&held, "held").await;
    (service, vec![delivered, failed, held])
}

fn export(service: &Service, name: &str) -> PathBuf {
    service.cli(&["export", name]).expect(0);
    service.folder().join(name)
}

fn sealed(service: &Service, name: &str, passphrase: &str) -> PathBuf {
    fs::write(service.folder().join("passphrase"), passphrase).expect("written");
    let told = service.cli(&["export", name, "--with-secrets", "--passphrase-file", "passphrase", "--json"]).expect(0).json();
    assert_eq!((&told["sealed"], &told["records"]["webhook"]), (&json!(true), &json!(2)));
    service.folder().join(name)
}

fn import(service: &Service, file: &Path, more: &[&str]) -> ran::Ran {
    let file = file.display().to_string();
    service.cli(&[&["import", &file, "--json"], more].concat())
}

/// The lines of an export as another store would write them: deliveries and attempts have the ids of their store.
fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).expect("an export");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    for line in &mut lines {
        let members = line.as_object_mut().expect("an object");
        match members["kind"].as_str() {
            Some("header") => _ = members.remove("made_at"),
            Some("delivery") => _ = members.remove("id"),
            _ => {}
        }
    }
    lines
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_sealed_export_makes_the_same_relay_elsewhere_and_sends_nothing() {
    let receiver = Receiver::start().await;
    let (service, events) = lived(&receiver).await;
    let (plain, file) = (export(&service, "relay.ndjson"), sealed(&service, "relay.age", "correct horse"));
    let secret = |service: &Service| service.cli(&["webhooks", "secret", "good", "--tenant", TENANT]).expect(0).stdout;
    let before = (secret(&service), receiver.look(<[_]>::len));

    let other = Service::start(&Config::quick()).await;
    fs::write(other.folder().join("p"), "correct horse\n").expect("written");
    let told = import(&other, &file, &["--passphrase-file", "p"]).expect(0).json();
    // A tenant, a key, an event type, two webhooks, three events, three deliveries.
    assert_eq!([&told["added"], &told["refused"]], [&json!(11), &json!(0)], "{told}");
    let again = import(&other, &file, &["--passphrase-file", "p"]).expect(0).json();
    assert_eq!([&again["added"], &again["changed"], &again["left"]], [&json!(0), &json!(0), &json!(11)], "{again}");

    let mut expected = lines(&plain);
    for line in &mut expected {
        if line["kind"] == "delivery" && line["state"] == "pending" {
            line["state"] = json!({ "failed": { "reason": "imported" } });
        }
    }
    let mut found = lines(&export(&other, "again.ndjson"));
    for line in &mut found {
        if line["state"]["failed"]["reason"] == "imported" {
            line["state"]["failed"].as_object_mut().expect("an object").remove("at");
        }
    }
    assert_eq!(found, expected);

    let beta = other.admin().with_header("hookwheel-tenant", TENANT);
    let held = beta.delivery_when(&events[2], "failed").await;
    assert_eq!((&held["reason"], &held["attempts"]), (&json!("imported"), &json!([])));
    assert_eq!(beta.delivery_when(&events[1], "failed").await["attempts"].as_array().map(Vec::len), Some(3));
    let repeated = beta.publish(&json!({ "type": "a.b", "data": "ü", "id": "own-1", "uid": "order.1" })).await.expect(200);
    assert_eq!(repeated["deliveries"], 1, "the first answer once more");
    assert_eq!((secret(&other), receiver.look(<[_]>::len)), before, "the same secret, and nothing was sent");

    other.cli(&["webhooks", "enable", "good", "--tenant", TENANT]).expect(0);
    beta.retry(&held).await.expect(200);
    beta.delivery_when(&events[2], "succeeded").await;
    let sent = receiver.wait_for("/good", 2, WITHIN).await;
    assert_eq!(sent[1].header("x-canary"), CANARY, "its headers came along");
    let history = other.cli(&["audit", "--object", "history", "--json"]).expect(0).stdout;
    assert!(history.contains("POST /v1/admin/import") && history.contains(r#""events":3"#), "{history}");
    other.cli(&["export", "relay.ndjson", "--json"]).expect(0);
    other.cli(&["export", "relay.ndjson"]).expect(2).complains(&["is there already", "--force"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn no_secret_is_seen_in_a_file_that_is_not_to_hold_any_nor_in_a_log() {
    let receiver = Receiver::start().await;
    let (service, _) = lived(&receiver).await;
    let secret = service.cli(&["webhooks", "secret", "good", "--tenant", TENANT]).expect(0).stdout;
    let words = [CANARY, secret.trim(), "correct horse"];
    let (plain, file) = (export(&service, "relay.ndjson"), sealed(&service, "relay.age", "correct horse"));
    let other = Service::start(&Config::quick()).await;
    let told = import(&other, &plain, &[]).expect(0);
    assert!(told.stdout.contains("headers") && told.stdout.contains("webhooks secret"), "{told:?}");
    let webhook = other.cli(&["webhooks", "show", "good", "--tenant", TENANT, "--json"]).expect(0).json();
    assert_eq!((&webhook["status"], &webhook["headers"]), (&json!("disabled"), &Value::Null));
    fs::write(other.folder().join("p"), "correct horse\n").expect("written");
    let told = import(&other, &file, &["--passphrase-file", "p"]).expect(0).json();
    assert_eq!((&told["changed"], &told["added"]), (&json!(0), &json!(1)), "the key alone is new: {told}");
    assert!(told.to_string().contains("never changes its secrets, headers"), "it says what stays: {told}");
    for path in [&plain, &file] {
        let mode = fs::metadata(path).expect("there").permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{}", path.display());
        let bytes = fs::read(path).expect("read");
        let text = String::from_utf8_lossy(&bytes);
        words.iter().for_each(|word| assert!(!text.contains(word), "{} shows a secret", path.display()));
    }
    for log in [service.stderr(), other.stderr(), format!("{told}")] {
        words.iter().for_each(|word| assert!(!log.contains(word), "a log shows a secret"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_import_over_what_stands_changes_what_is_told_and_brings_nothing_back() {
    let receiver = Receiver::start().await;
    let (service, _) = lived(&receiver).await;
    let (beta, admin) = (service.admin().with_header("hookwheel-tenant", TENANT), service.admin());
    let good = service.cli(&["webhooks", "show", "good", "--tenant", TENANT, "--json"]).expect(0).json();
    let path = format!("/v1/webhooks/{}", text(&good["id"]));
    let good = beta.patch(&path, &json!({ "description": "first" })).await.expect(200);
    let (plain, file) = (export(&service, "relay.ndjson"), sealed(&service, "relay.age", "correct horse"));
    beta.patch(&path, &json!({ "description": "later", "status": "active" })).await.expect(200);
    service.cli(&["webhooks", "rotate-secret", "good", "--tenant", TENANT]).expect(0);
    service.cli(&["webhooks", "delete", "bad", "--tenant", TENANT]).expect(0);
    service.cli(&["keys", "revoke", "ci"]).expect(0);
    let secret = || service.cli(&["webhooks", "secret", "good", "--tenant", TENANT]).expect(0).stdout;
    let before = secret();
    for (file, more) in [(&plain, &[][..]), (&file, &["--passphrase-file", "passphrase"][..])] {
        let told = import(&service, file, more).expect(1);
        let told = told.json();
        assert!(told["notes"].to_string().contains("was deleted here"), "{told}");
        assert!(told["faults"].as_array().is_some_and(|faults| faults.iter().all(|fault| fault["kind"] == "delivery")), "{told}");
        let now = service.cli(&["webhooks", "show", "good", "--tenant", TENANT, "--json"]).expect(0).json();
        assert_eq!((&now["status"], &now["description"]), (&json!("active"), &good["description"]), "{now}");
        assert_eq!(secret(), before);
        let keys = admin.get("/v1/admin/keys").await.expect(200).to_string();
        assert!(!keys.contains("\"ci\""), "the revoked key is there: {keys}");
        beta.patch(&path, &json!({ "description": "later" })).await.expect(200);
    }
    beta.publish_new("a.z").await;
    let sent = receiver.wait_for("/good", 3, WITHIN).await;
    assert_eq!(sent[2].header("x-canary"), CANARY, "its headers stay");
}

/// A file with so many events of the default tenant.
fn many(folder: &Path, events: u64) -> PathBuf {
    let mut text = format!("{}\n", header(1));
    for number in 0..events {
        text.push_str(&event(number).to_string());
        text.push('\n');
    }
    text.push_str(&format!("{}\n", json!({ "kind": "end", "records": events })));
    let path = folder.join("many.ndjson");
    fs::write(&path, text).expect("written");
    path
}

fn header(version: u32) -> Value {
    json!({
        "kind": "header", "format": "hookwheel-export", "version": version, "hookwheel": "9.9.9",
        "made_at": "2026-01-01T00:00:00Z", "secrets": false,
    })
}

fn event(number: u64) -> Value {
    let at = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis() as u64;
    json!({
        "kind": "event", "id": format!("e-{number}"), "provider": "shop", "tenant": "acme", "type": "a.b",
        "published": { "ms": at - 60_000, "number": number % 60_000 }, "time": "2026-01-01T00:00:00Z", "occurred_at": null,
        "content_sha256": null, "deliveries": 0, "content": { "text": "{\"n\":1}" }, "body_end": 7, "data": [5, 6],
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_import_that_a_kill_broke_off_is_made_again_whole() {
    let mut service = Service::start(&Config::quick()).await;
    let file = many(service.folder(), 6_000);
    let mut command = ran::command();
    command.args(["import", &file.display().to_string(), "--socket", "admin.sock"]).current_dir(service.folder());
    let mut importing = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("started");
    let events =
        || async { service.admin().get("/v1/admin/status").await.expect(200)["events"].as_u64().filter(|count| *count > 0) };
    let before = eventually("some of it is in", WITHIN, events).await;
    service.kill9();
    assert!(!importing.wait().expect("ended").success(), "it was killed before {before} were all");
    service.start_again().await;
    let kept = service.admin().get("/v1/admin/status").await.expect(200)["events"].as_u64().expect("a count");
    assert!((before..6_000).contains(&kept), "{kept} are kept of at least {before}");
    let told = import(&service, &file, &[]).expect(0).json();
    assert_eq!([&told["added"], &told["left"]], [&json!(6_000 - kept), &json!(kept)], "{told}");
    let status = service.admin().get("/v1/admin/status").await.expect(200);
    assert_eq!(status["events"], 6_000);
    service.stop_and_check().await;
}

#[tokio::test]
async fn what_is_wrong_with_a_file_is_told_with_its_place_and_what_to_do() {
    let service = Service::start(&Config::quick()).await;
    let path = service.folder().join("bad");
    let refused = |content: &[u8], code: i32, words: &[&str]| {
        fs::write(&path, content).expect("written");
        service.cli(&["import", "bad"]).expect(code).complains(words);
    };
    let (head, end) = (format!("{}\n", header(1)), |records: u64| format!("{}\n", json!({ "kind": "end", "records": records })));
    refused(b"", 1, &["empty"]);
    refused(b"{\"applications\":[]}\n", 1, &["bad:1", "hookwheel-export", "--from"]);
    refused(format!("{}\n", header(2)).as_bytes(), 1, &["bad:1", "version 2", "hookwheel 9.9.9", "up to version 1"]);
    refused(format!("{head}{}\n", event(1)).as_bytes(), 1, &["cut off behind line 2", "what stands before was taken"]);
    refused(format!("{head}{}\n{}", event(1), end(2)).as_bytes(), 1, &["bad:3", "counts 2 lines", "there are 1"]);
    let wrong = format!("{head}{{\"kind\":\"event\",\"id\":\"sesame\"}}\nnonsense\n{{\"kind\":\"soup\"}}\n{}", end(3));
    refused(
        wrong.as_bytes(),
        1,
        &["line 2: event refused", "missing field", "line 3: no record refused", "line 4: soup refused"],
    );
    refused(&[head.as_bytes(), b"\xff\xfe\n"].concat(), 1, &["bad:2", "UTF-8"]);
    let mut long = head.clone().into_bytes();
    long.resize(long.len() + (17 << 20), b'x');
    refused(&long, 1, &["bad:2", "longer than 16 MiB"]);
    refused(b"age-encryption.org/v1\n-> X25519 AAAA\n", 2, &["is sealed", "--passphrase-file"]);
    fs::write(service.folder().join("p"), "other\n").expect("written");
    let vector = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/sealed.age");
    let sealed = |name: &str| service.cli(&["import", name, "--passphrase-file", "p"]);
    sealed(vector).expect(1).complains(&["passphrase is not the one"]);
    service.cli(&["import", "nothing"]).expect(2).complains(&["does not exist"]);
    let changed = event(1).to_string().replace("{\\\"n\\\":1}", "{\\\"n\\\":2}");
    refused(format!("{head}{changed}\n{}", end(1)).as_bytes(), 1, &["line 2: event refused", "with other content"]);
}

#[tokio::test]
async fn a_webhook_of_the_config_file_is_found_by_its_name() {
    let receiver = Receiver::start().await;
    let config = Config::quick().webhook("billing", &receiver.url("/b"), &["*"]);
    let (service, other) = (Service::start(&config).await, Service::start(&config).await);
    let event = service.acme().publish_new("a.b").await;
    service.acme().delivery_when(&event, "succeeded").await;
    let file = export(&service, "relay.ndjson");
    let told = import(&other, &file, &[]).expect(0).json();
    assert_eq!([&told["added"], &told["left"]], [&json!(2), &json!(1)], "{told}");
    assert_eq!(other.acme().delivery_when(&event, "succeeded").await["attempts"].as_array().map(Vec::len), Some(1));
    let without = Service::start(&Config::quick()).await;
    import(&without, &file, &[]).expect(1).stdout.contains("add it to").then_some(()).expect("it says what to do");
}

#[tokio::test]
async fn applications_of_svix_become_tenants_with_webhooks() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let file = json!({
        "eventTypes": [{ "name": "a.b", "description": "d", "schemas": { "1": { "type": "object" } } }],
        "applications": [{ "id": "app_1", "uid": "gamma", "name": "Gamma", "endpoints": [
            { "id": "ep_1", "uid": "eu.billing", "url": receiver.url("/s"), "filterTypes": ["a.b"], "secret": { "key": secret },
              "headers": { "headers": { "X-A": "b" }, "sensitive": [] }, "createdAt": "2024-01-01T00:00:00Z", "version": 1 },
            { "id": "ep_2", "url": "ftp://x/" },
        ] }],
        "settings": {}, "version": 1,
    });
    let path = service.folder().join("svix.json");
    fs::write(&path, file.to_string()).expect("written");
    let told = import(&service, &path, &["--from", "svix", "--provider", "shop"]).expect(1).json();
    assert_eq!([&told["added"], &told["refused"]], [&json!(3), &json!(1)], "{told}");
    assert_eq!(told["faults"][0]["place"], "/applications/0/endpoints/1");
    let gamma = service.admin().with_header("hookwheel-tenant", "shop/gamma");
    gamma.publish_new("a.b").await;
    assert_eq!(receiver.wait_for("/s", 1, WITHIN).await[0].header("x-a"), "b");
    assert_eq!(service.cli(&["webhooks", "secret", "eu.billing", "--tenant", "shop/gamma"]).expect(0).stdout.trim(), secret);
    let again = import(&service, &path, &["--from", "svix", "--provider", "shop"]).expect(1).json();
    assert_eq!([&again["left"], &again["changed"]], [&json!(3), &json!(0)], "{again}");
    import(&service, &path, &["--from", "svix", "--provider", "shup"]).expect(1);
    fs::write(&path, "[]").expect("written");
    service.cli(&["import", "svix.json", "--from", "svix"]).expect(1).complains(&["no file of Svix", "docs move"]);
}

const CANARY: &str = "hush-hush-4711";
