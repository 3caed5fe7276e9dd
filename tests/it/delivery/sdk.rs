//! Receivers from the providers' documents, each in its own language, and the packages of Standard Webhooks and Svix. Each
//! accepts what the relay delivers. Each refuses a changed byte, another secret and, if it looks at the time, an old timestamp.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::api::text;
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::sdk::Sdk;
use crate::harness::sent::{Sent, accepted, accepted_bytes, subscribe_for_all};
use crate::harness::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn decisios_python_accepts_deliveries_and_refuses_forgeries() {
    let service = Service::start(&Config::bare().provider("p", "decisio").tenant("tenant_xyz")).await;
    let mut sdk = Sdk::python("receive.py");
    let tenant = service.tenant("p", "tenant_xyz");
    let secret = subscribe_for_all(&tenant, &sdk.url("/decisio"), json!({})).await;
    sdk.knows("decisio", &secret);
    let sent = accepted(&tenant, json!({ "type": "decision.created", "data": { "id": "dec_456", "note": "Gerät" } })).await;
    refuses_forgeries(&mut sdk, "/decisio", "decisio", &secret, &sent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn aiokas_python_accepts_deliveries_and_refuses_forgeries() {
    let service = Service::start(&Config::bare().provider("p", "aioka").tenant("t")).await;
    let mut sdk = Sdk::python("receive.py");
    let tenant = service.tenant("p", "t");
    let secret = subscribe_for_all(&tenant, &sdk.url("/aioka"), json!({})).await;
    sdk.knows("aioka", &secret);
    let sent = accepted(&tenant, json!({ "type": "verdict.new", "data": { "ruling": "STRONG_BUY" } })).await;
    refuses_forgeries(&mut sdk, "/aioka", "aioka", &secret, &sent).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dcisionais_express_and_flask_accept_the_same_deliveries() {
    let service = Service::start(&Config::bare().provider("p", "dcisionai").tenant("t")).await;
    let tenant = service.tenant("p", "t");
    for mut sdk in [Sdk::node("receive.js"), Sdk::python("flask_receiver.py")] {
        let secret = "webhook_secret_1234567890";
        subscribe_for_all(&tenant, &sdk.url(DCISIONAI), json!({ "secret": secret })).await;
        sdk.knows("dcisionai", secret);
        for data in dcisionais_data() {
            accepted_bytes(&tenant, &format!(r#"{{"type":"project.created","data":{data}}}"#)).await;
        }
        let sent = accepted(&tenant, json!({ "type": "model.trained", "data": { "id": "model_1234567890" } })).await;
        refuses_forgeries(&mut sdk, DCISIONAI, "dcisionai", secret, &sent).await;
        let sign = |at: &str| hex::encode(hmac(secret.as_bytes(), &format!("{at}.{}", sent.body)));
        refuses_what_is_old(&sdk, DCISIONAI, &sent, ["X-DcisionAI-Timestamp", "X-DcisionAI-Signature"], sign).await;
        unsubscribe_all(&tenant).await;
    }
}

/// Data that JavaScript prints in another way than it was published, and data that is likely to be published.
fn dcisionais_data() -> Vec<String> {
    let vectors: Value = serde_json::from_str(include_str!("../../vectors/ecmascript-json.json")).expect("JSON");
    vectors["exact"].as_array().expect("a list").iter().map(|pair| text(&pair["input"])).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn published_packages_accept_standard_and_resistant_deliveries() {
    let config = Config::bare().provider("r", "resistant").tenant("t").provider("s", "standard").tenant("t");
    let service = Service::start(&config).await;
    for mut sdk in [Sdk::python("receive.py"), Sdk::node("receive.js")] {
        for (package, provider, kind) in [
            ("svix", "r", "documents.adaptive_decision.finished"),
            ("standardwebhooks", "r", "documents.adaptive_decision.finished"),
            ("svix", "s", "invoice.paid"),
            ("standardwebhooks", "s", "invoice.paid"),
        ] {
            let (tenant, path) = (service.tenant(provider, "t"), format!("/{package}"));
            let secret = subscribe_for_all(&tenant, &sdk.url(&path), json!({})).await;
            sdk.knows(package, &secret);
            let sent = accepted(&tenant, json!({ "type": kind, "data": { "id": "submission_id", "s": "ß" } })).await;
            refuses_forgeries(&mut sdk, &path, package, &secret, &sent).await;
            let sign = |at: &str| standard_signature(&secret, sent.header("webhook-id"), at, &sent.body);
            refuses_what_is_old(&sdk, &path, &sent, ["webhook-timestamp", "webhook-signature"], sign).await;
            the_crates_agree(&secret, &sent);
            unsubscribe_all(&tenant).await;
        }
    }
}

/// The crates are called here. They too accept the delivery and refuse its forgeries.
fn the_crates_agree(secret: &str, sent: &Sent) {
    let verified = |secret: &str, sent: &Sent| {
        let mut headers = http::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, sent.header(name).parse().expect("a header"));
        }
        let svix = svix::webhooks::Webhook::new(secret).expect("a secret").verify(sent.body.as_bytes(), &headers);
        let standard = standardwebhooks::Webhook::new(secret).expect("a secret").verify(sent.body.as_bytes(), &headers);
        [svix.is_ok(), standard.is_ok()]
    };
    assert_eq!(verified(secret, sent), [true, true]);
    assert_eq!(verified(OTHER_SECRET, sent), [false, false]);
    let changed = Sent { body: changed(&sent.body), ..sent.clone() };
    assert_eq!(verified(secret, &changed), [false, false]);
    for age in [-301, 301] {
        let at = (now() + age).to_string();
        let signature = standard_signature(secret, sent.header("webhook-id"), &at, &sent.body);
        let old = sent.with("webhook-timestamp", &at).with("webhook-signature", &signature);
        assert_eq!(verified(secret, &old), [false, false], "{age}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openssl_verifies_ed25519_and_packages_the_secret_beside_it() {
    let service = Service::start(&Config::bare().provider("s", "standard").tenant("t")).await;
    let (tenant, folder) = (service.tenant("s", "t"), service.folder());
    let mut sdk = Sdk::python("receive.py");
    let symmetric = subscribe_for_all(&tenant, &sdk.url("/standardwebhooks"), json!({})).await;
    sdk.knows("standardwebhooks", &symmetric);
    let id = text(&tenant.get("/v1/webhooks").await.expect(200)["data"][0]["id"]);
    let rotate = format!("/v1/webhooks/{id}/rotate-secret");
    let rotated = tenant.post(&rotate, &json!({ "secret": ed25519(folder) })).await.expect(200);
    assert!(rotated["previous_secret_until"].is_string(), "{rotated}");

    let sent = accepted(&tenant, json!({ "type": "invoice.paid", "data": { "a": 1 } })).await;
    let signatures: Vec<&str> = sent.header("webhook-signature").split(' ').collect();
    assert!(matches!(signatures[..], [new, old] if new.starts_with("v1a,") && old.starts_with("v1,")), "{signatures:?}");
    let message = format!("{}.{}.{}", sent.header("webhook-id"), sent.header("webhook-timestamp"), sent.body);
    let signature = signatures[0].trim_start_matches("v1a,");
    assert!(openssl_verifies(folder, &message, signature));
    assert!(!openssl_verifies(folder, &changed(&message), signature));
}

/// A new ed25519 key as `whsk_`. Its public half is left in `public.pem`.
fn ed25519(folder: &Path) -> String {
    openssl(folder, &["genpkey", "-algorithm", "ed25519", "-outform", "DER", "-out", "private.der"]);
    openssl(folder, &["pkey", "-inform", "DER", "-in", "private.der", "-pubout", "-out", "public.pem"]);
    // The seed is the end of the key's PKCS #8 form (RFC 8410).
    let der = fs::read(folder.join("private.der")).expect("written");
    format!("whsk_{}", BASE64_STANDARD.encode(&der[der.len() - 32..]))
}

fn openssl_verifies(folder: &Path, message: &str, signature: &str) -> bool {
    fs::write(folder.join("message"), message).expect("written");
    fs::write(folder.join("signature"), BASE64_STANDARD.decode(signature).expect("base64")).expect("written");
    let arguments = ["pkeyutl", "-verify", "-pubin", "-inkey", "public.pem", "-rawin", "-in", "message", "-sigfile", "signature"];
    Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl is installed").status.success()
}

fn openssl(folder: &Path, arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).current_dir(folder).output().expect("openssl is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

async fn unsubscribe_all(tenant: &Client) {
    for webhook in tenant.get("/v1/webhooks").await.expect(200)["data"].as_array().expect("a list") {
        tenant.delete(&format!("/v1/webhooks/{}", text(&webhook["id"]))).await.expect(204);
    }
}

/// The request passes as it is, but not with a changed byte, and not with another secret.
async fn refuses_forgeries(sdk: &mut Sdk, path: &str, judge: &str, secret: &str, sent: &Sent) {
    assert_eq!(sdk.status(path, &sent.headers, &sent.body).await, 200);
    assert_eq!(sdk.status(path, &sent.headers, &changed(&sent.body)).await, 401, "{path}: a changed byte");
    sdk.knows(judge, OTHER_SECRET);
    assert_eq!(sdk.status(path, &sent.headers, &sent.body).await, 401, "{path}: another secret");
    sdk.knows(judge, secret);
}

/// The request passes when it is signed for this moment, but not when it is rightly signed for a time too far away.
async fn refuses_what_is_old(sdk: &Sdk, path: &str, sent: &Sent, [time, signature]: [&str; 2], sign: impl Fn(&str) -> String) {
    for (age, status) in [(0, 200), (-310, 401), (310, 401)] {
        let at = (now() + age).to_string();
        let again = sent.with(time, &at).with(signature, &sign(&at));
        assert_eq!(sdk.status(path, &again.headers, &again.body).await, status, "{path}: {age} s");
    }
}

/// The body with one letter of a string changed, so that it is still JSON.
fn changed(body: &str) -> String {
    let at = body.rfind(|c: char| c.is_ascii_lowercase()).expect("a letter");
    let other = if body.as_bytes()[at] == b'z' { "y" } else { "z" };
    [&body[..at], other, &body[at + 1..]].concat()
}

fn standard_signature(secret: &str, id: &str, at: &str, body: &str) -> String {
    let key = BASE64_STANDARD.decode(secret.trim_start_matches("whsec_")).expect("base64");
    format!("v1,{}", BASE64_STANDARD.encode(hmac(&key, &format!("{id}.{at}.{body}"))))
}

fn hmac(key: &[u8], message: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("any length");
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs() as i64
}

const DCISIONAI: &str = "/webhooks/dcisionai";

/// 32 bytes in base64, which every judge can read.
const OTHER_SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
