//! Headers of a webhook: sent with every attempt, shown masked, and never those of HTTP, the relay or the dialect.

use serde_json::{Value, json};

use super::subscribe;
use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn headers_go_out_with_every_attempt_and_are_logged_masked() {
    let (service, receiver) = (Service::start(&Config::retrying(&["50ms"])).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/a", [Reply::status(500), Reply::OK]);
    let headers = json!({ "Authorization": "Bearer of-the-gateway", "X-Route": "blue" });
    let made = subscribe(&acme, &receiver.url("/a"), json!({ "headers": headers })).await;
    assert_eq!(made["headers"], json!({ "Authorization": "Bea…(21)", "X-Route": "…(4)" }));
    let event = acme.publish_new("a").await;
    let delivery = acme.delivery_when(&event, "succeeded").await;
    for received in receiver.wait_for("/a", 2, WITHIN).await {
        assert_eq!((received.header("authorization"), received.header("x-route")), ("Bearer of-the-gateway", "blue"));
        assert_eq!(received.header("content-type"), "application/json");
    }
    assert_eq!(attempts(&delivery).len(), 2);
    for attempt in attempts(&delivery) {
        let logged = &attempt["request"]["headers"];
        let shown = [&logged["Authorization"], &logged["X-Route"], &logged["content-type"]];
        assert_eq!(shown, ["Bea…(21)", "…(4)", "application/json"], "{logged}");
    }

    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    acme.patch(&path, &json!({ "description": "kept" })).await.expect(200);
    acme.publish_new("a").await;
    assert_eq!(receiver.wait_for("/a", 3, WITHIN).await[2].header("x-route"), "blue");
    let without = acme.patch(&path, &json!({ "headers": null })).await.expect(200);
    assert_eq!(without.get("headers"), None);
    acme.publish_new("a").await;
    let last = receiver.wait_for("/a", 4, WITHIN).await.remove(3);
    assert!(!last.headers.iter().any(|(name, _)| name == "x-route" || name == "authorization"), "{:?}", last.headers);
}

#[tokio::test]
async fn reserved_names_and_masked_values_are_refused_by_every_call() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let url = "https://example.com/";
    let made = subscribe(&acme, url, json!({ "headers": { "X-Route": "a-long-secret-route" } })).await;
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    let of = |headers: Value| json!({ "url": url, "events": ["*"], "headers": headers });
    for (headers, words) in [
        (json!({ "Content-Length": "1" }), ["/headers/Content-Length", "belongs to HTTP itself"]),
        (json!({ "user-agent": "me" }), ["/headers/user-agent", "sets itself"]),
        (json!({ "Webhook-Signature": "v1,x" }), ["/headers/Webhook-Signature", "the dialect quick sends itself"]),
        (made["headers"].clone(), ["/headers/X-Route", "is masked"]),
        (json!({ "X-Route": "a\r\nb: c" }), ["/headers/X-Route", "no header carries"]),
        (json!(["a"]), ["/headers", "is not an object"]),
    ] {
        acme.post("/v1/webhooks", &of(headers.clone())).await.problem(422, &words);
        acme.patch(&path, &json!({ "headers": headers })).await.problem(422, &words);
        acme.send(http::Method::PUT, &path, "application/json", of(headers).to_string().into()).await.problem(422, &words);
    }
    assert_eq!(acme.webhook(&text(&made["id"])).await["headers"], json!({ "X-Route": "a-l…(19)" }), "nothing was changed");
    let put = acme.send(http::Method::PUT, &path, "application/json", of(json!({ "X-New": "b" })).to_string().into()).await;
    assert_eq!(put.expect(200)["headers"], json!({ "X-New": "…(1)" }));
}

#[tokio::test]
async fn a_restart_keeps_headers_and_the_file_reads_them_from_files() {
    let receiver = Receiver::start().await;
    let line = "headers = { X-Api-Key = { file = \"keys/receiver\" }, X-Route = \"green\" }";
    let config = Config::quick().webhook("file", &receiver.url("/file"), &["*"]).webhook_line(line);
    let config = config.file("keys/receiver", "a key with spaces in it\n");
    let mut service = Service::start(&config).await;
    subscribe(&service.acme(), &receiver.url("/api"), json!({ "headers": { "X-Api-Key": "by the API" } })).await;
    service.kill9();
    service.start_again().await;
    service.acme().publish_new("a").await;
    assert_eq!(receiver.wait_for("/api", 1, WITHIN).await[0].header("x-api-key"), "by the API");
    let of_file = receiver.wait_for("/file", 1, WITHIN).await.remove(0);
    assert_eq!((of_file.header("x-api-key"), of_file.header("x-route")), ("a key with spaces in it", "green"));
    let shown = service.cli(&["config", "show", "-c", "hookwheel.toml", "--json"]).expect(0);
    assert!(shown.stdout.contains("a k…(23)") && !shown.stdout.contains("with spaces"), "{}", shown.stdout);

    // The new value is masked like the old one, and the reload sees that it is another one.
    config.file("keys/receiver", "a key with blanks in it\n").write(service.folder());
    let reloaded = service.cli(&["reload"]).expect(0);
    assert!(reloaded.stdout.contains("headers") && !reloaded.stdout.contains("with blanks"), "{reloaded:?}");
    service.acme().publish_new("a").await;
    assert_eq!(receiver.wait_for("/file", 2, WITHIN).await[1].header("x-api-key"), "a key with blanks in it");
}

#[tokio::test]
async fn the_command_line_sets_headers() {
    let service = Service::start(&Config::quick()).await;
    let cli = |arguments: &[&str]| service.cli(&[arguments, &["--tenant", "shop/acme"]].concat());
    let add = ["webhooks", "add", "https://example.com/", "--name", "one", "--headers", r#"{"X-Route":"blue"}"#];
    assert_eq!(cli(&[&add[..], &["--json"]].concat()).expect(0).json()["headers"], json!({ "X-Route": "…(4)" }));
    let shown = cli(&["webhooks", "show", "one"]).expect(0);
    assert!(shown.stdout.contains("X-Route") && !shown.stdout.contains("blue"), "{}", shown.stdout);
    let edited = cli(&["webhooks", "edit", "one", "--headers", "null", "--json"]).expect(0).json();
    assert_eq!(edited.get("headers"), None);
    cli(&["webhooks", "edit", "one", "--headers", r#"{"Host":"x"}"#]).expect(1).complains(&["/headers/Host", "HTTP itself"]);
}
