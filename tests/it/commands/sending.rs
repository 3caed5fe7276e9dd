//! `send`: what it publishes, and how it waits for the end.

use std::fs::{self, File};

use serde_json::{Value, json};

use crate::harness::api::WITHIN;
use crate::harness::config::{self, Config};
use crate::harness::pretended::Pretended;
use crate::harness::ran::{self, Ran};
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn send_waits_for_the_end_and_says_how_it_was() {
    let (service, receiver) = (Service::start(&Config::retrying(&["50ms"])).await, Receiver::start().await);
    let send = |more: &[&str]| acme(&service, &[&["send", "order.paid", "-d", r#"{"a":1}"#], more].concat());
    let nobody = send(&["--wait"]).expect(0);
    assert!(nobody.stdout.starts_with("evt_") && nobody.stdout.contains("queued -> 0 endpoints"), "{nobody:?}");
    nobody.complains(&[
        "no webhook of shop/acme wants order.paid",
        "webhooks add https://example.com/hooks --events order.paid",
        "--tenant shop/acme",
    ]);

    receiver.script("/a", [Reply::status(500), Reply::OK, Reply::status(500)]);
    service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    let sent = send(&["--wait", "--timeout", "10s"]).expect(0);
    let lines: Vec<_> = sent.stdout.lines().collect();
    assert!(lines[0].starts_with("evt_") && lines[0].ends_with("  order.paid  queued -> 1 endpoint"), "{sent:?}");
    assert!(lines[1].starts_with("dlv_") && lines[1].contains("  succeeded  2 attempts  "), "{sent:?}");
    assert_eq!((lines.len(), sent.stderr.as_str()), (2, ""));

    let failed = send(&["--wait", "--json"]).expect(1);
    let said: Vec<Value> = failed.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON lines")).collect();
    assert_eq!((&said[0]["type"], &said[0]["deliveries"]), (&json!("published"), &json!(1)));
    assert_eq!((&said[1]["type"], &said[1]["delivery"]["status"]), (&json!("delivery"), &json!("failed")));

    receiver.script("/a", [Reply::Hang]);
    send(&["--wait", "--timeout", "300ms"]).expect(4).complains(&[
        "is published; 0 of 1 deliveries ended within 300 ms",
        "deliveries list --status pending --event evt_",
        "--tenant shop/acme",
    ]);
}

#[tokio::test]
async fn send_takes_its_data_as_it_is_from_a_file_and_from_stdin() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    let data = r#"{"n": 1e999, "s": "\ud800"}"#;
    fs::write(service.folder().join("body.json"), data).expect("written");
    acme(&service, &["send", "order.paid", "-d", "@body.json", "--id", "first"]).expect(0);
    let mut command = ran::command();
    command.args(["send", "order.paid", "-d", "-", "--tenant", "shop/acme", "--socket", config::SOCKET]);
    command.current_dir(service.folder()).stdin(File::open(service.folder().join("body.json")).expect("opened"));
    ran::finish(&mut command).expect(0);
    for request in receiver.wait_for("/a", 2, WITHIN).await {
        let sent = String::from_utf8(request.body).expect("text");
        assert!(sent.contains(data), "{sent}");
    }
    let again = acme(&service, &["send", "order.paid", "-d", "@body.json", "--id", "first"]).expect(0);
    assert!(again.stdout.contains("published before"), "{again:?}");
    acme(&service, &["send", "order.paid", "-d", "{}", "--id", "first"]).expect(1).complains(&["(409)", "first"]);
    acme(&service, &["send", "order.paid", "-d", "{id:1}"]).expect(2).complains(&["is not JSON", "-d @body.json"]);
    acme(&service, &["send", "order.paid", "-d", "@none.json"]).expect(2).complains(&["none.json", "try: "]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn send_to_all_tenants_waits_for_the_deliveries_of_all() {
    let config = Config::retrying(&["50ms"]).tenant("other").tenant("idle");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    let send = |more: &[&str]| {
        let all = ["send", "order.paid", "--tenant", "shop/*", "--wait"];
        service.cli(&[&all[..], more].concat())
    };
    send(&[]).expect(0).complains(&["no webhook of shop/* wants order.paid", "webhooks list", "'shop/*'"]);

    for (tenant, path) in [("acme", "/a"), ("other", "/b")] {
        service.tenant("shop", tenant).subscribe(&receiver.url(path), &["*"]).await;
    }
    receiver.script("/b", [Reply::status(500), Reply::OK, Reply::status(500), Reply::status(500)]);
    let sent = send(&["--id", "once"]).expect(0);
    let mut lines: Vec<_> = sent.stdout.lines().skip(1).map(|line| line.split("  ").skip(1).collect::<Vec<_>>()).collect();
    lines.sort_unstable();
    let url = |path: &str| receiver.url(path);
    let expected = [["succeeded", "1 attempt", "shop/acme", &url("/a")], ["succeeded", "2 attempts", "shop/other", &url("/b")]];
    assert_eq!(lines, expected, "{sent:?}");

    let failed = send(&[]).expect(1);
    assert!(failed.stdout.contains("  failed  2 attempts  shop/other  "), "{failed:?}");
    let published = service.acme().get("/v1/events").await.expect(200);
    assert_eq!(published["data"].as_array().map(Vec::len), Some(3), "each was published once: {published}");

    receiver.script("/b", [Reply::Hang]);
    let late = send(&["--timeout", "300ms"]).expect(4);
    late.complains(&["is published; 1 of 2 deliveries ended within 300 ms", "deliveries list --status pending --event evt_"]);
}

#[test]
fn nothing_is_published_whose_end_could_not_be_seen() {
    let service = Pretended::start(|_| (503, r#"{"detail":"the service stops"}"#));
    service.cli(&["send", "order.paid", "--wait"]).expect(1).complains(&["the service stops", "try: "]);
    assert_eq!(service.heard(), ["GET /v1/admin/deliveries?tenant=default%2Fdefault&limit=1"]);
}

/// A script that saw a failure would publish again.
#[test]
fn trouble_behind_the_publication_is_no_failure_of_it() {
    for (status, words) in [(503, "the service stops (503)"), (403, "the service stops (403)")] {
        let service = Pretended::start(move |line| match line {
            "POST /v1/events" => (202, r#"{"id":"evt_1","deliveries":1}"#),
            line if line.contains("limit=1") && !line.contains("event=") => (200, r#"{"data":[],"next":null}"#),
            _ => (status, r#"{"detail":"the service stops"}"#),
        });
        let ran = service.cli(&["send", "order.paid", "--wait", "--timeout", "200ms", "--json"]).expect(4);
        let said: Value = serde_json::from_str(&ran.stderr).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
        assert_eq!(said["error"]["code"], "timeout", "{ran:?}");
        ran.complains(&["evt_1 is published, but its deliveries could not be watched", words]);
    }
}

/// A command for tenant `acme` of provider `shop`.
fn acme(service: &Service, arguments: &[&str]) -> Ran {
    service.cli(&[arguments, &["--tenant", "shop/acme"]].concat())
}
