//! Credentials of a webhook: a password, a token, or a token that an authorization server gives for each attempt.

use std::time::Duration;

use serde_json::{Value, json};

use super::subscribe;
use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::{Receiver, Reply, refusing_url};
use crate::harness::service::Service;

#[tokio::test]
async fn a_password_and_a_token_go_out_and_are_shown_masked() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    let password = json!({ "type": "basic", "username": "Aladdin", "password": "open sesame" });
    let made = subscribe(&acme, &receiver.url("/basic"), json!({ "auth": password })).await;
    assert_eq!(made["auth"], json!({ "type": "basic", "username": "Aladdin", "password": "…(11)" }));
    let token = json!({ "type": "bearer", "token": "a-token-of-22-letters." });
    let made = subscribe(&acme, &receiver.url("/bearer"), json!({ "auth": token })).await;
    assert_eq!(made["auth"], json!({ "type": "bearer", "token": "a-t…(22)" }));
    acme.publish_new("a").await;
    let sent = receiver.wait_for("/basic", 1, WITHIN).await;
    assert_eq!(sent[0].header("authorization"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_eq!(receiver.wait_for("/bearer", 1, WITHIN).await[0].header("authorization"), "Bearer a-token-of-22-letters.");
    let path = format!("/v1/webhooks/{}", text(&made["id"]));
    let tested = acme.post(&format!("{path}/test"), &json!({})).await.expect(200);
    assert_eq!(attempts(&tested)[0]["request"]["headers"]["authorization"], "Bea…(29)", "{tested}");

    for (auth, words) in [
        (made["auth"].clone(), ["/auth/token", "is masked"]),
        (json!({ "type": "bearer" }), ["/auth/token", "is missing"]),
        (json!({ "type": "digest" }), ["/auth/type", "none of `basic`, `bearer` and `oauth2`"]),
        (json!("Bearer x"), ["/auth", "is not an object"]),
    ] {
        acme.patch(&path, &json!({ "auth": auth })).await.problem(422, &words);
    }
    let both = json!({ "auth": { "type": "bearer", "token": "x" }, "headers": { "Authorization": "y" } });
    acme.patch(&path, &both).await.problem(422, &["/headers/Authorization", "give one of the two"]);
    assert_eq!(acme.patch(&path, &json!({ "auth": null })).await.expect(200).get("auth"), None);
}

#[tokio::test]
async fn a_token_is_asked_for_once_and_serves_many_attempts() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/token", [granted("t-1", 3600).after(Duration::from_millis(150))]);
    let auth = json!({ "scope": "a b", "audience": "https://api.test/" });
    let made = subscribe(&acme, &receiver.url("/a"), json!({ "auth": oauth2(&receiver, auth) })).await;
    assert_eq!((&made["auth"]["client_id"], &made["auth"]["client_secret"]), (&json!("i:d"), &json!("…(4)")));
    for _ in 0..6 {
        acme.publish_new("a").await;
    }
    let sent = receiver.wait_for("/a", 6, WITHIN).await;
    assert!(sent.iter().all(|one| one.header("authorization") == "Bearer t-1"));
    let asked = receiver.received("/token");
    assert_eq!(asked.len(), 1, "the others waited for it");
    // base64 of `i%3Ad:s%2B+c`, as RFC 6749 section 2.3.1 has it.
    assert_eq!(asked[0].header("authorization"), "Basic aSUzQWQ6cyUyQitj");
    assert_eq!(asked[0].header("content-type"), "application/x-www-form-urlencoded");
    let form = "grant_type=client_credentials&scope=a+b&audience=https%3A%2F%2Fapi.test%2F";
    assert_eq!(String::from_utf8_lossy(&asked[0].body), form);

    let form = oauth2(&receiver, json!({ "style": "form" }));
    acme.patch(&format!("/v1/webhooks/{}", text(&made["id"])), &json!({ "auth": form })).await.expect(200);
    let event = acme.publish_new("a").await;
    let delivery = acme.delivery_when(&event, "succeeded").await;
    assert_eq!(attempts(&delivery)[0]["request"]["headers"]["authorization"], "…(10)", "{delivery}");
    let asked = receiver.wait_for("/token", 2, WITHIN).await.remove(1);
    assert!(!asked.headers.iter().any(|(name, _)| name == "authorization"), "{:?}", asked.headers);
    let form = "grant_type=client_credentials&client_id=i%3Ad&client_secret=s%2B+c";
    assert_eq!(String::from_utf8_lossy(&asked.body), form);
}

#[tokio::test]
async fn a_token_that_soon_ends_is_asked_for_again() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/token", [granted("t-1", 30), granted("t-2", 3600)]);
    subscribe(&acme, &receiver.url("/a"), json!({ "auth": oauth2(&receiver, json!({})) })).await;
    for count in 1..=3 {
        acme.publish_new("a").await;
        receiver.wait_for("/a", count, WITHIN).await;
    }
    let used: Vec<_> = receiver.received("/a").iter().map(|one| one.header("authorization").to_owned()).collect();
    assert_eq!(used, ["Bearer t-1", "Bearer t-2", "Bearer t-2"]);
}

#[tokio::test]
async fn after_a_401_the_token_is_had_anew_and_the_attempt_goes_on() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/token", [granted("revoked", 3600), granted("good", 3600), granted("other", 3600)]);
    receiver.script("/a", [Reply::status(401), Reply::OK]);
    subscribe(&acme, &receiver.url("/a"), json!({ "auth": oauth2(&receiver, json!({})) })).await;
    let event = acme.publish_new("a").await;
    let delivery = acme.delivery_when(&event, "succeeded").await;
    assert_eq!(attempts(&delivery).len(), 1, "within the same attempt: {delivery}");
    let used: Vec<_> = receiver.received("/a").iter().map(|one| one.header("authorization").to_owned()).collect();
    assert_eq!(used, ["Bearer revoked", "Bearer good"]);

    // An endpoint that refuses every token is asked twice in an attempt, and the attempt has its 401.
    receiver.script("/a", [Reply::status(401)]);
    receiver.script("/token", [granted("t-3", 3600), granted("t-4", 3600)]);
    let event = acme.publish_new("a").await;
    let delivery = acme.delivery_that(&event, "one attempt is over", |delivery| !attempts(delivery).is_empty()).await;
    let first = &attempts(&delivery)[0];
    assert_eq!((&first["error"], &first["response"]["status"]), (&json!("status"), &json!(401)), "{first}");
    assert_eq!(receiver.received("/a").iter().skip(2).take(2).count(), 2);
}

#[tokio::test]
async fn a_dialect_that_comes_later_keeps_its_own_authorization() {
    let receiver = Receiver::start().await;
    let signed = "extends = \"standard\"\n[dialect.signed.signature]\nheader = \"Authorization\"\n";
    let of_dialect = |name: &str| {
        let config = Config::bare().dialect("quick", "extends = \"standard\"\n", &["1h"]).dialect("signed", signed, &["1h"]);
        config.provider("shop", name).tenant("acme")
    };
    let service = Service::start(&of_dialect("quick")).await;
    let acme = service.acme();
    receiver.script("/token", [granted("t-1", 3600)]);
    subscribe(&acme, &receiver.url("/basic"), json!({ "auth": { "type": "bearer", "token": "of-the-webhook" } })).await;
    subscribe(&acme, &receiver.url("/oauth2"), json!({ "auth": oauth2(&receiver, json!({})) })).await;
    of_dialect("signed").write(service.folder());
    service.cli(&["reload"]).expect(0);
    acme.publish_new("a").await;
    for path in ["/basic", "/oauth2"] {
        let sent = receiver.wait_for(path, 1, WITHIN).await.remove(0);
        let shown: Vec<_> = sent.headers.iter().filter(|(name, _)| name == "authorization").map(|(_, value)| value).collect();
        assert!(matches!(&shown[..], [signature] if signature.starts_with("v1,")), "{path}: {shown:?}");
    }
    assert_eq!(receiver.received("/token").len(), 0, "a token would be asked for in vain");
}

#[tokio::test]
async fn attempts_that_waited_for_a_token_keep_the_rate_limit() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/token", [granted("t-1", 3600).after(Duration::from_secs(2))]);
    let more = json!({ "auth": oauth2(&receiver, json!({})), "rate_limit": "5/s", "concurrency": 16 });
    subscribe(&acme, &receiver.url("/a"), more).await;
    let lines: String = (0..14).map(|number| json!({ "type": "a", "data": number }).to_string() + "\n").collect();
    acme.publish_lines(&lines).await;
    let sent = receiver.wait_for("/a", 14, WITHIN).await;
    let spread = sent[13].at - sent[0].at;
    assert!(spread >= Duration::from_millis(1_700), "5 at once, and 9 behind them: {spread:?}");
    let ended = eventually("the last outcome is on disk", WITHIN, async || {
        let listed = acme.get("/v1/deliveries?status=succeeded").await.expect(200);
        let listed = listed["data"].as_array().expect("a list").clone();
        (listed.len() == 14).then_some(listed)
    });
    for delivery in ended.await {
        assert_eq!(delivery["attempts"], 1, "waiting costs no attempt: {delivery}");
    }
}

#[tokio::test]
async fn a_request_with_a_new_token_counts_for_the_rate_limit() {
    let (service, receiver) = (Service::start(&Config::retrying(&[])).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/token", [granted("t", 3600)]);
    receiver.script("/a", [Reply::status(401)]);
    let more = json!({ "auth": oauth2(&receiver, json!({})), "rate_limit": "4/s" });
    subscribe(&acme, &receiver.url("/a"), more).await;
    for _ in 0..4 {
        acme.publish_new("a").await;
    }
    let sent = receiver.wait_for("/a", 8, WITHIN).await;
    let spread = sent[7].at - sent[0].at;
    assert!(spread >= Duration::from_millis(900), "4 at once, and 4 behind them: {spread:?}");
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_a_failed_attempt_of_its_own_class() {
    let (service, receiver) = (Service::start(&Config::retrying(&[])).await, Receiver::start().await);
    let acme = service.acme();
    let long = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(17 << 10));
    receiver.script("/401", [Reply::status(401).body(r#"{"error":"invalid_client","error_description":"sesame"}"#)]);
    receiver.script("/html", [Reply::OK.body("<html>sesame</html>")]);
    receiver.script("/long", [Reply::OK.body(&long)]);
    receiver.script("/drop", [Reply::Drop]);
    receiver.script("/hang", [Reply::Hang]);
    receiver.script("/moved", [Reply::status(302).header("location", "/token")]);
    let url = |path: &str| receiver.url(path);
    for (token_url, why) in [
        (url("/401"), "it answered 401 (invalid_client)"),
        (url("/html"), "its answer is not JSON with an access_token"),
        (url("/long"), "its answer is longer than 16 KiB"),
        (url("/drop"), "closed the connection"),
        (url("/moved"), "it answered 302"),
        (refusing_url().await, "refused the connection"),
        (url("/hang"), "within 1s"),
    ] {
        let auth = json!({ "type": "oauth2", "token_url": token_url, "client_id": "i", "client_secret": "s" });
        let made = subscribe(&acme, &url("/a"), json!({ "auth": auth, "timeout": "1s" })).await;
        let event = acme.publish_new("a").await;
        let attempt = attempts(&acme.delivery_when(&event, "failed").await)[0].clone();
        let told = text(&attempt["detail"]);
        assert_eq!(attempt["error"], "auth", "{token_url}: {attempt}");
        assert!(told.contains(why) && !told.contains("sesame"), "{token_url}: {told}");
        assert!(attempt["duration_ms"].as_f64().expect("a number") < 3_000.0, "{attempt}");
        acme.delete(&format!("/v1/webhooks/{}", text(&made["id"]))).await;
    }
    assert_eq!(receiver.received("/a").len(), 0, "nothing was sent to the endpoint");
    let metrics = service.operator().get("/metrics").await.text();
    assert!(metrics.contains(r#"hookwheel_attempts_total{class="auth",provider="shop"} 7"#), "{metrics}");
}

#[tokio::test]
async fn a_token_is_asked_for_at_allowed_addresses_alone() {
    let service = Service::start(&Config::quick().allow_private(&["127.0.0.1/32"])).await;
    let acme = service.acme();
    let asking = |token_url: &str| {
        let auth = json!({ "type": "oauth2", "token_url": token_url, "client_id": "i", "client_secret": "s" });
        json!({ "url": "https://example.com/", "events": ["*"], "auth": auth })
    };
    for (url, word) in [
        ("http://169.254.169.254/token", "not allowed"),
        ("ftp://example.com/", "must begin with"),
        ("https://u:p@example.com/", "user name"),
    ] {
        let refused = acme.post("/v1/webhooks", &asking(url)).await;
        refused.problem(422, &["/auth/token_url"]);
        assert!(word == "not allowed" || refused.text().contains(word), "{}", refused.text());
    }
}

#[tokio::test]
async fn the_file_and_the_command_line_set_credentials() {
    let receiver = Receiver::start().await;
    receiver.script("/token", [granted("of-the-file", 3600)]);
    let token_url = receiver.url("/token");
    let line = format!(
        "auth = {{ type = \"oauth2\", token_url = {token_url:?}, client_id = \"i\", client_secret = {{ file = \"keys/client\" }} }}"
    );
    let config = Config::quick().webhook("file", &receiver.url("/file"), &["*"]).webhook_line(&line);
    let service = Service::start(&config.file("keys/client", "s+ c\n")).await;
    service.acme().publish_new("a").await;
    assert_eq!(receiver.wait_for("/file", 1, WITHIN).await[0].header("authorization"), "Bearer of-the-file");
    // base64 of `i:s%2B+c`.
    assert_eq!(receiver.received("/token")[0].header("authorization"), "Basic aTpzJTJCK2M=");

    let cli = |arguments: &[&str]| service.cli(&[arguments, &["--tenant", "shop/acme", "--json"]].concat());
    let auth = r#"{"type":"bearer","token":"short"}"#;
    let made = cli(&["webhooks", "add", "https://example.com/", "--name", "one", "--auth", auth]).expect(0).json();
    assert_eq!(made["auth"], json!({ "type": "bearer", "token": "…(5)" }));
    assert_eq!(cli(&["webhooks", "edit", "one", "--auth", "null"]).expect(0).json().get("auth"), None);
    cli(&["webhooks", "edit", "one", "--auth", "{}"]).expect(1).complains(&["/auth/type", "is missing"]);
}

fn oauth2(receiver: &Receiver, more: Value) -> Value {
    let mut auth = json!({
        "type": "oauth2",
        "token_url": receiver.url("/token"),
        "client_id": "i:d",
        "client_secret": "s+ c",
    });
    auth.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    auth
}

fn granted(token: &str, seconds: u32) -> Reply {
    Reply::OK.body(&json!({ "access_token": token, "token_type": "Bearer", "expires_in": seconds }).to_string())
}
