//! A reload applies a whole config or nothing of it, whoever asks for it.

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::config::{self, Config};
use crate::harness::eventually;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn a_signal_the_cli_and_the_api_reload_and_report_changes() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let with = |names: &[&str]| {
        names.iter().fold(Config::quick(), |config, name| config.webhook(name, &receiver.url(&format!("/{name}")), &["*"]))
    };

    with(&["one"]).write(service.folder());
    service.signal("HUP");
    let said = || async { service.stderr().contains("+1 webhook (shop/acme/one)").then_some(()) };
    eventually("the log says what changed", WITHIN, said).await;

    with(&["one", "two"]).write(service.folder());
    let changed = service.operator().post("/v1/admin/reload", &json!({})).await.expect(200);
    assert!(changed.to_string().contains("reload: +1 webhook (shop/acme/two), ~0, -0"), "{changed}");

    with(&["one", "three"]).write(service.folder());
    let changed = service.cli(&["reload", "--json"]).expect(0).json();
    let expected = "reload: +1 webhook (shop/acme/three), ~0, -1 webhook (shop/acme/two)";
    assert!(changed.to_string().contains(expected), "{changed}");
    let nothing = service.cli(&["reload", "--json"]).expect(0);
    assert!(!nothing.stdout.contains("webhook"), "{nothing:?}");

    service.acme().publish_new("order.paid").await;
    receiver.wait_for("/one", 1, WITHIN).await;
    receiver.wait_for("/three", 1, WITHIN).await;
    assert_eq!(receiver.received("/two").len(), 0);
}

#[tokio::test]
async fn the_cli_prints_what_a_reload_changed() {
    let service = Service::start(&Config::quick()).await;
    Config::quick().webhook("new", "https://example.com/", &["*"]).write(service.folder());
    let ran = service.cli(&["reload"]).expect(0);
    assert!(ran.stdout.contains("+1 webhook (shop/acme/new)"), "{ran:?}");
    let ran = service.cli(&["reload"]).expect(0);
    assert!(ran.stdout.contains("nothing changed") || ran.stdout.contains("+0, ~0, -0"), "{ran:?}");
}

#[tokio::test]
async fn a_file_of_conf_d_comes_and_goes_with_a_reload() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let file = service.folder().join("conf.d/10-more.toml");
    fs::create_dir(service.folder().join("conf.d")).expect("made");
    fs::write(&file, format!("[[webhook]]\nname = \"more\"\nurl = {:?}\nevents = [\"*\"]\n", receiver.url("/a")))
        .expect("written");
    let changed = service.cli(&["reload", "--json"]).expect(0).json();
    assert!(changed.to_string().contains("+1 webhook (more)"), "{changed}");
    service.cli(&["send", "order.paid"]).expect(0);
    receiver.wait_for("/a", 1, WITHIN).await;
    fs::remove_file(&file).expect("removed");
    let changed = service.cli(&["reload", "--json"]).expect(0).json();
    assert!(changed.to_string().contains("-1 webhook (more)"), "{changed}");
}

#[tokio::test]
async fn a_bad_config_changes_nothing_and_says_why() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick().notify(&receiver.url("/ops"))).await;
    Config::quick().notify(&receiver.url("/ops")).webhook("new", &receiver.url("/new"), &["*"]).write(service.folder());
    append(&service, "[deliveri]\n");
    let words = ["unknown key `deliveri`", "hookwheel.toml:", "delivery"];

    service.operator().post("/v1/admin/reload", &json!({})).await.problem(422, &words);
    service.cli(&["reload"]).expect(78).complains(&words);
    service.signal("HUP");
    let said = || async { (service.stderr().matches("the old one stays in force").count() == 3).then_some(()) };
    eventually("the log says that nothing changed", WITHIN, said).await;
    assert!(words.iter().all(|word| service.stderr().contains(word)), "{}", service.stderr());

    assert_eq!(service.acme().get("/v1/webhooks").await.expect(200)["data"], json!([]));
    let told = receiver.wait_for("/ops", 1, WITHIN).await;
    assert_eq!(told[0].json()["type"], "config.rejected");
    assert!(told[0].json().to_string().contains("deliveri"), "{told:?}");
}

#[tokio::test]
async fn a_change_that_needs_a_restart_is_refused_by_name() {
    let service = Service::start(&Config::quick()).await;
    let now = fs::read_to_string(service.folder().join(config::FILE)).expect("read");
    for (key, old, new) in [
        ("server.listen", "127.0.0.1:0", "127.0.0.1:1"),
        ("server.admin_socket", config::SOCKET, "other.sock"),
        ("storage.path", config::STORE, "other.redb"),
    ] {
        Config::quick().webhook("new", "https://example.com/", &["*"]).write(service.folder());
        let text = fs::read_to_string(service.folder().join(config::FILE)).expect("read");
        fs::write(service.folder().join(config::FILE), text.replacen(old, new, 1)).expect("written");
        let refused = service.cli(&["reload"]).expect(78);
        refused.complains(&[&format!("`{key}`"), old, new, "restart", "nothing was changed"]);
        assert_eq!(service.acme().get("/v1/webhooks").await.expect(200)["data"], json!([]), "{key}");
        assert!(!service.folder().join(new).exists());
    }
    fs::write(service.folder().join(config::FILE), now).expect("written");
    service.cli(&["reload"]).expect(0);
}

#[tokio::test]
async fn a_link_of_the_file_takes_no_name_that_the_api_gave() {
    let deck =
        || Config::bare().dialect("quick-deck", "extends = \"deck\"\n", &["1s"]).provider("deck", "quick-deck").tenant("t");
    let service = Service::start(&deck()).await;
    let links = service.tenant("deck", "t");
    let hook = json!({ "name": "checkout", "url": "https://example.com/", "events": ["*"] });
    let made = text(&links.post("/v1/webhooks", &hook).await.expect(201)["id"]);
    let both = |name| deck().webhook("new", "https://example.com/", &["*"]).webhook(name, "https://example.com/", &["*"]);

    both("checkout").write(service.folder());
    service.cli(&["reload"]).expect(78).complains(&["deck/t/checkout", "API", "otherwise"]);
    let listed = async || links.get("/v1/webhooks").await.expect(200)["data"].as_array().expect("a list").len();
    assert_eq!(listed().await, 1);
    both("other").write(service.folder());
    service.cli(&["reload"]).expect(0);
    assert_eq!(listed().await, 3);
    links.delete(&format!("/v1/webhooks/{made}")).await.expect(204);
    both("checkout").write(service.folder());
    service.cli(&["reload"]).expect(0);
}

#[tokio::test]
async fn keys_come_and_go_at_once() {
    let config = Config::quick().tenant("bolt").provider("other", "quick").tenant("core");
    let service = Service::start(&config).await;
    let clients = [service.tenant("shop", "bolt"), service.provider("other"), service.tenant("other", "core")];
    for client in &clients {
        assert_ne!(client.get("/v1/events").await.status, 401);
    }
    Config::quick().write(service.folder());
    service.cli(&["reload"]).expect(0);
    for client in &clients {
        client.get("/v1/events").await.problem(401, &[]);
    }
    service.acme().get("/v1/events").await.expect(200);

    fs::write(service.folder().join("keys/shop-acme"), "another-key-of-24-characters").expect("written");
    service.acme().get("/v1/events").await.expect(200);
    service.cli(&["reload"]).expect(0);
    service.acme().get("/v1/events").await.problem(401, &[]);
    service.stranger().with_key("another-key-of-24-characters").get("/v1/events").await.expect(200);
}

#[tokio::test]
async fn an_old_connection_must_show_its_key_again() {
    let service = Service::start(&Config::quick().tenant("bolt")).await;
    let mut connection = service.tenant("shop", "bolt").connect().await.expect("connected");
    let event = json!({ "type": "order.paid", "data": {} });
    assert_eq!(connection.publish(&event).await.expect("answered").status, 202);
    Config::quick().write(service.folder());
    service.cli(&["reload"]).expect(0);
    assert_eq!(connection.publish(&event).await.expect("answered").status, 401);
}

#[tokio::test]
async fn waiting_events_keep_their_bytes_and_get_new_headers() {
    let (service, receiver) = (Service::start(&dialect(BEFORE)).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500), Reply::OK]);
    let acme = service.acme();
    let made = acme.post("/v1/webhooks", &json!({ "url": receiver.url("/a"), "events": ["*"] })).await.expect(201);
    let event = acme.publish_new("order.paid").await;
    let waiting = acme.delivery_that(&event, "one attempt was made", |delivery| attempts(delivery).len() == 1).await;

    dialect(AFTER).write(service.folder());
    assert!(service.cli(&["reload", "--json"]).expect(0).stdout.contains("~1 dialect (mine)"));
    acme.retry(&waiting).await.expect(200);
    acme.delivery_when(&event, "succeeded").await;
    let later = acme.publish_new("order.paid").await;
    let requests = receiver.wait_for("/a", 3, WITHIN).await;
    let [first, second, third] = &requests[..] else { panic!("{requests:?}") };

    assert_eq!((first.header("x-shape"), first.json()), ("before", json!({ "before": event, "data": { "a": 1 } })));
    assert_eq!(second.body, first.body);
    assert_eq!(second.header("x-shape"), "after");
    assert_eq!(third.json(), json!({ "after": later, "data": { "a": 1 } }));
    for request in &requests[1..] {
        assert!(!request.headers.iter().any(|(name, _)| name == "x-old-signature"), "{request:?}");
        assert_eq!(request.header("x-new-signature"), hmac(&text(&made["secret"]), &request.body));
    }
}

#[tokio::test]
async fn a_changed_schedule_is_for_the_next_attempts() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h"])).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500)]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.publish_new("order.paid").await;
    receiver.wait_for("/a", 1, WITHIN).await;
    Config::retrying(&["50ms", "50ms"]).write(service.folder());
    service.cli(&["reload"]).expect(0);
    let event = acme.publish_new("order.paid").await;
    assert_eq!(attempts(&acme.delivery_when(&event, "failed").await).len(), 3);
}

#[tokio::test]
async fn reachable_addresses_change_with_a_reload() {
    let receiver = Receiver::start().await;
    let closed = Config::retrying(&[]).allow_private(&[]);
    let service = Service::start(&Config::retrying(&[])).await;
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    closed.write(service.folder());
    service.cli(&["reload"]).expect(0);
    let refused = json!({ "url": receiver.url("/b"), "events": ["*"] });
    acme.post("/v1/webhooks", &refused).await.problem(422, &["/url"]);
    let event = acme.publish_new("order.paid").await;
    let failed = acme.delivery_when(&event, "failed").await;
    assert_eq!(attempts(&failed)[0]["error"], "policy", "{failed}");
    assert_eq!(receiver.connections(), 0);
    Config::retrying(&[]).write(service.folder());
    service.cli(&["reload"]).expect(0);
    acme.retry(&failed).await.expect(200);
    acme.delivery_when(&event, "succeeded").await;
}

#[tokio::test]
async fn the_environment_overrides_the_file_after_a_reload() {
    let receiver = Receiver::start().await;
    let variable = [("HOOKWHEEL_DELIVERY_RESPONSE_CAPTURE", "16B")];
    let service = Service::start_with(&Config::retrying(&[]).delivery("response_capture = \"1KiB\""), &variable).await;
    receiver.script("/a", [Reply::OK.body("twenty characters ..")]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    for _ in 0..2 {
        let event = acme.publish_new("order.paid").await;
        let delivery = acme.delivery_when(&event, "succeeded").await;
        let response = &attempts(&delivery)[0]["response"];
        assert_eq!((&response["body"], &response["truncated"]), (&json!("twenty character"), &Value::Bool(true)));
        Config::retrying(&[]).delivery("response_capture = \"2KiB\"").write(service.folder());
        service.cli(&["reload"]).expect(0);
    }
}

/// A config with tenant `acme` and a dialect that waits an hour before the second attempt.
fn dialect(keys: &str) -> Config {
    Config::bare().dialect("mine", keys, &["1h"]).provider("shop", "mine").tenant("acme")
}

fn append(service: &Service, lines: &str) {
    let mut file = OpenOptions::new().append(true).open(service.folder().join(config::FILE)).expect("opened");
    file.write_all(lines.as_bytes()).expect("written");
}

fn hmac(secret: &str, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length");
    mac.update(body);
    hex::encode(mac.finalize().into_bytes())
}

const BEFORE: &str = r#"extends = "decisio"
body = { template = '{"before":$event.id,"data":$data}' }
headers = { "X-Shape" = "before" }
signature = { header = "X-Old-Signature", value = "{hex}", signed = "{body}" }
event_type = []
"#;

const AFTER: &str = r#"extends = "decisio"
body = { template = '{"after":$event.id,"data":$data}' }
headers = { "X-Shape" = "after" }
signature = { header = "X-New-Signature", value = "{hex}", signed = "{body}" }
event_type = []
"#;
