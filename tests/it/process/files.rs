//! Webhooks that the config file owns: what identifies them, what may be changed, and what a reload never does.

use std::fs;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::client::Client;
use crate::harness::config::{self, Config};
use crate::harness::ran::run;
use crate::harness::receiver::{Received, Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn id_secret_and_log_survive_restart_change_removal_and_return() {
    let receiver = Receiver::start().await;
    let with = |path: &str| Config::quick().webhook("billing", &receiver.url(path), &["order.*"]);
    let mut service = Service::start(&with("/a")).await;
    let (id, secret) = (id(&service, "billing").await, secret(&service, "billing"));
    let event = service.acme().publish_new("order.paid").await;
    let delivered = service.acme().delivery_when(&event, "succeeded").await;

    service.terminate().await;
    service.start_again_with(&with("/b")).await;
    is_billing(&service, &id, &secret, "active").await;
    reload(&service, &with("/c"));
    is_billing(&service, &id, &secret, "active").await;
    service.acme().publish_new("order.paid").await;
    receiver.wait_for("/c", 1, WITHIN).await;

    reload(&service, &Config::quick());
    is_billing(&service, &id, &secret, "removed").await;
    assert_eq!(service.acme().delivery(&text(&delivered["id"])).await["status"], "succeeded", "the log is kept");
    let unmatched = service.acme().publish_new("order.paid").await;
    service.terminate().await;
    service.start_again().await;
    is_billing(&service, &id, &secret, "removed").await;

    reload(&service, &with("/a"));
    is_billing(&service, &id, &secret, "active").await;
    assert_eq!(service.acme().deliveries_of(&unmatched).await.len(), 0, "it matched nothing while it was out");
    service.stop_and_check().await;
}

#[tokio::test]
async fn a_rename_is_a_removal_and_an_addition() {
    let with = |name: &str| Config::quick().webhook(name, "https://example.com/", &["*"]);
    let service = Service::start(&with("billing")).await;
    let (old, old_secret) = (id(&service, "billing").await, secret(&service, "billing"));
    reload(&service, &with("invoices"));
    let new = id(&service, "invoices").await;
    assert_ne!(new, old);
    assert_ne!(secret(&service, "invoices"), old_secret);
    assert_eq!(service.acme().webhook(&old).await["status"], "removed");
    assert_eq!(service.acme().webhook(&new).await["status"], "active");
}

/// If it went on collecting events, enabling it would send them all to the URL that was removed.
#[tokio::test]
async fn a_removed_webhook_is_sent_nothing_and_can_be_deleted() {
    let receiver = Receiver::start().await;
    let with = |path: &str| Config::retrying(&["1h"]).webhook("billing", &receiver.url(path), &["order.*"]);
    let mut service = Service::start(&with("/old")).await;
    receiver.script("/old", [Reply::status(500)]);
    let (acme, id) = (service.acme(), id(&service, "billing").await);
    let waiting = acme.publish_new("order.paid").await;
    let waiting_id = acme.delivery_that(&waiting, "one attempt was made", |delivery| attempts(delivery).len() == 1).await;

    reload(&service, &Config::retrying(&["1h"]));
    acme.delivery_when(&waiting, "held").await;
    let unmatched = acme.publish_new("order.paid").await;
    assert_eq!(acme.deliveries_of(&unmatched).await.len(), 0);
    let path = format!("/v1/webhooks/{id}");
    let words = ["`billing`", config::FILE, "hookwheel reload"];
    for call in ["enable", "test", "disable"] {
        acme.post(&format!("{path}/{call}"), &json!({})).await.problem(409, &words);
    }
    acme.post(&format!("{path}/recover"), &json!({ "since": "2020-01-01T00:00:00Z" })).await.problem(409, &words);
    acme.patch(&path, &json!({ "status": "active" })).await.problem(409, &words);
    acme.patch(&path, &json!({ "url": receiver.url("/other") })).await.problem(409, &words);
    acme.retry(&waiting_id).await.problem(409, &words);
    assert_eq!(service.cli(&["status", "--json"]).expect(0).json()["removed"], 1);

    reload(&service, &with("/new"));
    acme.delivery_when(&waiting, "succeeded").await;
    assert_eq!((receiver.received("/old").len(), receiver.received("/new").len()), (1, 1));

    reload(&service, &Config::retrying(&["1h"]));
    let taken = json!({ "name": "billing", "url": receiver.url("/api"), "events": ["*"] });
    acme.post("/v1/webhooks", &taken).await.problem(409, &["`billing`", &id, "delete"]);
    acme.delete(&path).await.expect(204);
    acme.get(&path).await.problem(404, &[]);
    acme.post("/v1/webhooks", &taken).await.expect(201);
    with("/new").write(service.folder());
    service.cli(&["reload"]).expect(78).complains(&["shop/acme/billing", "API"]);
    service.stop_and_check().await;
}

#[tokio::test]
async fn the_file_does_not_take_a_name_that_the_api_gave() {
    let service = Service::start(&Config::quick().webhook("old", "https://example.org/", &["*"])).await;
    let body = json!({ "name": "billing", "url": "https://example.com/", "events": ["*"] });
    let made = text(&service.acme().post("/v1/webhooks", &body).await.expect(201)["id"]);
    Config::quick().webhook("billing", "https://example.org/", &["*"]).write(service.folder());
    service.cli(&["reload"]).expect(78).complains(&["shop/acme/billing", "API", "otherwise"]);
    let kept = service.acme().webhook(&made).await;
    assert_eq!((&kept["status"], &kept["url"]), (&json!("active"), &json!("https://example.com/")));
    assert_eq!(service.acme().webhook(&id(&service, "old").await).await["status"], "active", "nothing of it was applied");
}

#[tokio::test]
async fn a_webhook_of_the_file_is_changed_in_the_file() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::retrying(&[]).webhook("billing", &receiver.url("/a"), &["*"])).await;
    receiver.script("/a", [Reply::status(500), Reply::OK]);
    let (acme, id) = (service.acme(), id(&service, "billing").await);
    let (path, before) = (format!("/v1/webhooks/{id}"), acme.webhook(&id).await);
    for (method, body) in [
        (http::Method::PUT, json!({ "url": "https://example.com/", "events": ["*"] })),
        (http::Method::PATCH, json!({ "description": "x" })),
        (http::Method::PATCH, json!({})),
        (http::Method::PATCH, json!({ "status": "disabled" })),
        (http::Method::DELETE, Value::Null),
    ] {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        acme.send(method, &path, "application/json", body.into()).await.problem(409, &["config file"]);
    }
    acme.post(&format!("{path}/disable"), &json!({})).await.problem(409, &["config file"]);
    assert_eq!(acme.webhook(&id).await, before);

    let event = acme.publish_new("order.paid").await;
    let failed = acme.delivery_when(&event, "failed").await;
    acme.retry(&failed).await.expect(200);
    acme.delivery_when(&event, "succeeded").await;
    assert_eq!(acme.do_to_webhook(&id, "test").await["status"], "succeeded");
    assert_eq!(acme.do_to_webhook(&id, "enable").await["status"], "active");
    let rotated = text(&acme.do_to_webhook(&id, "rotate-secret").await["secret"]);
    assert_eq!(secret(&service, "billing"), rotated);
    reload(
        &service,
        &Config::retrying(&[]).webhook("billing", &receiver.url("/a"), &["*"]).webhook("b", &receiver.url("/b"), &["*"]),
    );
    assert_eq!(secret(&service, "billing"), rotated, "a reload keeps the rotated secret");
}

#[tokio::test]
async fn a_refusal_names_the_file_that_owns_the_webhook() {
    let service = Service::start(&Config::quick().webhook("billing", "https://example.com/", &["*"])).await;
    let id = id(&service, "billing").await;
    service.acme().delete(&format!("/v1/webhooks/{id}")).await.problem(409, &[config::FILE]);
}

#[tokio::test]
async fn a_secret_from_a_file_is_rotated_in_the_file() {
    let receiver = Receiver::start().await;
    let with = |secret: &str| {
        let config =
            Config::quick().webhook("billing", &receiver.url("/a"), &["*"]).webhook_line("secret_file = \"keys/billing\"");
        config.file("keys/billing", secret)
    };
    let service = Service::start(&with(FIRST)).await;
    let (acme, id) = (service.acme(), id(&service, "billing").await);
    assert_eq!(secret(&service, "billing"), FIRST);
    acme.post(&format!("/v1/webhooks/{id}/rotate-secret"), &json!({})).await.problem(409, &["comes from a file"]);
    acme.publish_new("order.paid").await;
    reload(&service, &with(SECOND));
    assert_eq!(secret(&service, "billing"), SECOND);
    acme.publish_new("order.paid").await;
    let requests = receiver.wait_for("/a", 2, WITHIN).await;
    verify(&requests[0], FIRST);
    verify(&requests[1], SECOND);
    verify(&requests[1], FIRST);
    assert_eq!(requests[1].header("webhook-signature").split(' ').count(), 2, "both sign for the overlap");
}

#[tokio::test]
async fn a_reload_never_enables_what_was_disabled_automatically() {
    let receiver = Receiver::start().await;
    let with = |path: &str| counting(1).webhook("billing", &receiver.url(path), &["*"]);
    let mut service = Service::start(&with("/a")).await;
    receiver.script("/a", [Reply::status(500)]);
    let id = id(&service, "billing").await;
    let event = service.acme().publish_new("order.paid").await;
    service.acme().delivery_when(&event, "failed").await;
    let reason = text(&service.acme().webhook(&id).await["disabled_reason"]);

    let still_disabled = async |service: &Service, after: &str| {
        let webhook = service.acme().webhook(&id).await;
        assert_eq!((&webhook["status"], &webhook["disabled_reason"]), (&json!("disabled"), &json!(reason)), "{after}");
    };
    reload(&service, &with("/b"));
    still_disabled(&service, "a change").await;
    service.terminate().await;
    service.start_again().await;
    still_disabled(&service, "a restart").await;
    reload(&service, &counting(1));
    reload(&service, &with("/b"));
    still_disabled(&service, "removal and return").await;
    assert_eq!(service.acme().do_to_webhook(&id, "enable").await["status"], "active");
}

#[tokio::test]
async fn the_count_of_failures_survives_reload_and_restart() {
    let receiver = Receiver::start().await;
    let with = |path: &str| counting(2).webhook("billing", &receiver.url(path), &["*"]);
    let mut service = Service::start(&with("/a")).await;
    fail_once(&service, &receiver, "active").await;
    reload(&service, &with("/b"));
    service.kill9();
    service.start_again().await;
    fail_once(&service, &receiver, "disabled").await;
}

#[tokio::test]
async fn the_count_of_failures_survives_removal_and_return() {
    let receiver = Receiver::start().await;
    let with = counting(2).webhook("billing", &receiver.url("/a"), &["*"]);
    let service = Service::start(&with).await;
    fail_once(&service, &receiver, "active").await;
    reload(&service, &counting(2));
    reload(&service, &with);
    fail_once(&service, &receiver, "disabled").await;
}

#[tokio::test]
async fn webhooks_of_removed_tenants_and_providers_come_back_with_them() {
    let receiver = Receiver::start().await;
    let both = || {
        let config = Config::quick().tenant("bolt").webhook("b", &receiver.url("/b"), &["*"]);
        config.provider("other", "quick").tenant("core").webhook("c", &receiver.url("/c"), &["*"])
    };
    let service = Service::start(&both()).await;
    let of = |provider, tenant| of(&service, provider, tenant);
    let ids = [first(&of("shop", "bolt")).await, first(&of("other", "core")).await];
    reload(&service, &Config::quick());
    let listed = service.admin().get("/v1/admin/webhooks").await.expect(200);
    for id in &ids {
        let webhook = listed["data"].as_array().and_then(|all| all.iter().find(|webhook| webhook["id"] == **id)).expect("kept");
        assert_eq!(webhook["status"], "removed", "{webhook}");
    }
    reload(&service, &both());
    assert_eq!([first(&of("shop", "bolt")).await, first(&of("other", "core")).await], ids);
    service.tenant("other", "core").publish_new("order.paid").await;
    service.tenant("shop", "bolt").publish_new("order.paid").await;
    receiver.wait_for("/b", 1, WITHIN).await;
    receiver.wait_for("/c", 1, WITHIN).await;
}

#[tokio::test]
async fn a_removed_tenant_loses_its_keys_for_good() {
    let both = || Config::quick().tenant("bolt");
    let mut service = Service::start(&both()).await;
    let key = made_key(&service, "shop/bolt");
    let status = async |service: &Service| service.stranger().with_key(&key).get("/v1/webhooks").await.status;
    assert_eq!(status(&service).await, 200);
    reload(&service, &Config::quick());
    service.stranger().with_key(&key).get("/v1/webhooks").await.problem(401, &[]);
    service.terminate().await;
    service.start_again().await;
    assert_eq!(status(&service).await, 401, "after a restart");
    reload(&service, &both());
    assert_eq!(status(&service).await, 401, "a revoked key stays revoked");
    service.tenant("shop", "bolt").get("/v1/webhooks").await.expect(200);
}

#[tokio::test]
async fn a_removed_provider_loses_its_keys_for_good() {
    let both = || Config::quick().provider("other", "quick").tenant("core");
    let service = Service::start(&both()).await;
    let keys = [made_key(&service, "other/core"), made_key(&service, "other/never-listed")];
    for config in [Config::quick(), both()] {
        reload(&service, &config);
        for key in &keys {
            service.stranger().with_key(key).get("/v1/webhooks").await.problem(401, &[]);
        }
    }
}

#[tokio::test]
async fn a_removed_tenants_own_webhooks_come_back_with_it() {
    let receiver = Receiver::start().await;
    let both = || Config::retrying(&["1h"]).tenant("bolt");
    let mut service = Service::start(&both()).await;
    let bolt = service.tenant("shop", "bolt");
    receiver.script("/b", [Reply::status(500), Reply::OK]);
    let id = bolt.subscribe(&receiver.url("/b"), &["*"]).await;
    let by_hand = bolt.subscribe(&receiver.url("/c"), &["none"]).await;
    bolt.do_to_webhook(&by_hand, "disable").await;
    let event = bolt.publish_new("order.paid").await;
    bolt.delivery_that(&event, "one attempt was made", |delivery| attempts(delivery).len() == 1).await;

    reload(&service, &Config::retrying(&["1h"]));
    let gone = of(&service, "shop", "bolt").webhook(&id).await;
    assert_eq!((&gone["status"], &gone["disabled_reason"]), (&json!("removed"), &json!("taken out of the config file")));
    of(&service, "shop", "bolt").delivery_when(&event, "held").await;
    let enable = of(&service, "shop", "bolt").post(&format!("/v1/webhooks/{id}/enable"), &json!({})).await;
    enable.problem(409, &["`shop/bolt`", config::FILE]);
    service.kill9();
    service.start_again().await;
    assert_eq!(of(&service, "shop", "bolt").webhook(&id).await["status"], "removed", "after a restart");

    reload(&service, &both());
    let bolt = service.tenant("shop", "bolt");
    assert_eq!(bolt.webhook(&id).await["status"], "active");
    assert_eq!(bolt.webhook(&by_hand).await["status"], "disabled", "what was disabled by hand stays so");
    bolt.delivery_when(&event, "succeeded").await;
    service.stop_and_check().await;
}

/// If the operator's disabling were forgotten when the provider comes back, deliveries would go out again.
#[tokio::test]
async fn a_webhook_disabled_while_its_provider_is_removed_stays_disabled() {
    let both = || Config::quick().provider("other", "quick").tenant("core");
    let service = Service::start(&both()).await;
    let core = service.tenant("other", "core");
    let ids = [core.subscribe("https://example.com/", &["*"]).await, core.subscribe("https://example.com/", &["*"]).await];
    reload(&service, &Config::quick());
    service.admin().do_to_webhook(&ids[0], "disable").await;
    let patch = service.admin().patch(&format!("/v1/webhooks/{}", ids[1]), &json!({ "status": "disabled" })).await;
    assert_eq!(patch.expect(200)["status"], "removed");
    reload(&service, &both());
    for id in &ids {
        let webhook = core.webhook(id).await;
        assert_eq!((&webhook["status"], &webhook["disabled_reason"]), (&json!("disabled"), &json!("disabled by hand")));
    }
}

#[tokio::test]
async fn a_start_finds_tenants_removed_while_the_service_was_stopped() {
    let receiver = Receiver::start().await;
    let mut service = Service::start(&Config::quick().tenant("bolt")).await;
    let key = made_key(&service, "shop/bolt");
    let id = service.tenant("shop", "bolt").subscribe(&receiver.url("/b"), &["*"]).await;
    service.kill9();
    service.start_again_with(&Config::quick()).await;
    service.stranger().with_key(&key).get("/v1/webhooks").await.problem(401, &[]);
    assert_eq!(of(&service, "shop", "bolt").webhook(&id).await["status"], "removed");
}

#[tokio::test]
async fn a_tenant_that_no_file_ever_listed_is_not_taken_out() {
    let mut service = Service::start(&Config::quick().tenant("bolt")).await;
    let free = service.stranger().with_key(&made_key(&service, "shop/free"));
    let id = free.subscribe("https://example.com/", &["*"]).await;
    reload(&service, &Config::quick());
    assert_eq!(free.webhook(&id).await["status"], "active");
    let key = made_key(&service, "shop/free");
    service.terminate().await;
    service.start_again_with(&Config::quick()).await;
    assert_eq!(service.stranger().with_key(&key).webhook(&id).await["status"], "active");
}

#[tokio::test]
async fn the_default_tenant_stays_when_its_last_webhook_goes() {
    let service = Service::start(&Config::quick()).await;
    let top = service.folder().join("conf.d/10-top.toml");
    fs::create_dir(service.folder().join("conf.d")).expect("made");
    fs::write(&top, "[[webhook]]\nname = \"a\"\nurl = \"https://example.com/\"\nevents = [\"*\"]\n").expect("written");
    service.cli(&["reload"]).expect(0);
    let default = service.stranger().with_key(service.cli(&["keys", "new", "k"]).expect(0).stdout.trim_end());
    let id = default.subscribe("https://example.org/", &["*"]).await;
    fs::remove_file(&top).expect("removed");
    service.cli(&["reload"]).expect(0);
    assert_eq!(default.webhook(&id).await["status"], "active");
}

#[tokio::test]
async fn the_secret_is_shown_at_the_admin_socket_alone() {
    let service = Service::start(&Config::quick().webhook("billing", "https://example.com/", &["*"])).await;
    let path = format!("/v1/webhooks/{}/secret", id(&service, "billing").await);
    for client in [service.acme(), service.operator(), service.operator().with_header("hookwheel-tenant", "shop/acme")] {
        client.get(&path).await.problem(403, &[]);
    }
    let shown = service.admin().with_header("hookwheel-tenant", "shop/acme").get(&path).await.expect(200);
    assert_eq!(shown["secret"], secret(&service, "billing"));
    service.cli(&["webhooks", "secret", "none", "--tenant", "shop/acme"]).expect(1).complains(&["no webhook is named `none`"]);
}

#[tokio::test]
async fn a_file_with_a_webhook_and_nothing_else_is_a_config() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let text = "[[webhook]]\nname = \"a\"\nurl = \"https://example.com/\"\nevents = [\"*\"]\n";
    fs::write(folder.path().join("only.toml"), text).expect("written");
    let ran = run(folder.path(), &[], &["check", "-c", "only.toml"]).expect(0);
    assert!(ran.stdout.contains("1 webhook"), "{ran:?}");
}

/// Lets one more delivery fail, and checks the webhook's status after it.
async fn fail_once(service: &Service, receiver: &Receiver, status: &str) {
    for path in ["/a", "/b"] {
        receiver.script(path, [Reply::status(500)]);
    }
    let event = service.acme().publish_new("order.paid").await;
    service.acme().delivery_when(&event, "failed").await;
    assert_eq!(service.acme().webhook(&id(service, "billing").await).await["status"], status);
}

async fn is_billing(service: &Service, id: &str, secret: &str, status: &str) {
    let webhook = service.acme().webhook(id).await;
    assert_eq!((&webhook["name"], &webhook["status"]), (&json!("billing"), &json!(status)), "{webhook}");
    assert_eq!(self::secret(service, "billing"), secret);
    let all = service.acme().get("/v1/webhooks").await.expect(200);
    assert_eq!(all["data"].as_array().map(Vec::len), Some(1), "{all}");
}

/// The id of acme's webhook with this name.
async fn id(service: &Service, name: &str) -> String {
    text(&service.acme().get(&format!("/v1/webhooks?name={name}")).await.expect(200)["data"][0]["id"])
}

/// The text of a new key for a tenant.
#[track_caller]
fn made_key(service: &Service, tenant: &str) -> String {
    service.cli(&["keys", "new", "k", "--tenant", tenant]).expect(0).stdout.trim_end().to_owned()
}

/// A client of the operator for a tenant, which needs no key of the tenant's.
fn of(service: &Service, provider: &str, tenant: &str) -> Client {
    service.admin().with_header("hookwheel-tenant", &format!("{provider}/{tenant}"))
}

async fn first(client: &Client) -> String {
    text(&client.get("/v1/webhooks").await.expect(200)["data"][0]["id"])
}

fn secret(service: &Service, name: &str) -> String {
    service.cli(&["webhooks", "secret", name, "--tenant", "shop/acme"]).expect(0).stdout.trim_end().to_owned()
}

#[track_caller]
fn reload(service: &Service, config: &Config) {
    config.write(service.folder());
    service.cli(&["reload"]).expect(0);
}

/// A config with one attempt for each delivery, where `failures` failures disable.
fn counting(failures: u32) -> Config {
    let keys = format!("extends = \"standard\"\n[dialect.once.disable]\nconsecutive = {failures}\n");
    Config::bare().dialect("once", &keys, &[]).provider("shop", "once").tenant("acme")
}

/// Checks the signature by the `standardwebhooks` crate.
#[track_caller]
fn verify(request: &Received, secret: &str) {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, request.header(name).parse().expect("a header"));
    }
    let judge = standardwebhooks::Webhook::new(secret).expect("a valid secret");
    judge.verify(&request.body, &headers).expect("signed with this secret");
}

const FIRST: &str = "whsec_Zmlyc3QtMzItYnl0ZXMtb2YtYS1zZWNyZXQtMDAwMDE=";
const SECOND: &str = "whsec_c2Vjb25kLTMyLWJ5dGVzLW9mLXNlY3JldC0wMDAwMDI=";
