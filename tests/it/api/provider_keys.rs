//! A provider's key with scopes for its tenants: what it may, and that nothing leads it out of its provider.

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

/// Two providers, so that there is something out of reach.
fn two_providers() -> Config {
    Config::quick().tenant("bolt").provider("other", "quick").tenant("core")
}

/// A new key of provider `shop`.
fn key_of_shop(service: &Service, scopes: &str) -> String {
    let made = service.cli(&["keys", "new", "app", "--provider", "shop", "--scopes", scopes]).expect(0);
    made.stdout.trim_end().to_owned()
}

fn target(client: &Client, tenant: &str) -> Client {
    client.clone().with_header("hookwheel-tenant", tenant)
}

fn ids(list: &Value) -> Vec<String> {
    list["data"].as_array().expect("a list").iter().map(|one| text(&one["id"])).collect()
}

#[tokio::test]
async fn a_provider_that_manages_has_all_that_is_its_tenants() {
    let (mut service, receiver) = (Service::start(&two_providers()).await, Receiver::start().await);
    let key = key_of_shop(&service, "publish,manage");
    service.kill9();
    service.start_again().await;
    let app = service.stranger().with_key(&key);
    let bolt = target(&app, "shop/bolt");
    let id = bolt.subscribe(&receiver.url("/b"), &["*"]).await;
    let event = text(&app.publish(&json!({ "type": "a", "data": 1, "tenant": "bolt" })).await.expect(202)["id"]);
    receiver.wait_for("/b", 1, WITHIN).await;
    bolt.publish(&json!({ "type": "a", "data": 2 })).await.expect(202);
    bolt.publish(&json!({ "type": "a", "data": 2, "tenant": "acme" })).await.problem(403, &["Hookwheel-Tenant"]);
    bolt.delivery_when(&event, "succeeded").await;
    assert_eq!(app.webhook(&id).await["id"], *id, "it needs no target to find its own");
    app.do_to_webhook(&id, "disable").await;
    assert_eq!(ids(&app.get("/v1/admin/webhooks").await.expect(200)), [&*id]);
    assert_eq!(app.get("/v1/admin/deliveries").await.expect(200)["data"].as_array().map(Vec::len), Some(2));
    app.get("/v1/webhooks").await.problem(422, &["Hookwheel-Tenant: shop/TENANT"]);

    let made = app.post("/v1/admin/keys", &json!({ "name": "portal", "tenant": "bolt", "scopes": ["read"] })).await.expect(201);
    let portal = service.stranger().with_key(&text(&made["key"]));
    assert_eq!(ids(&portal.get("/v1/webhooks").await.expect(200)), [&*id]);
    let listed = target(&app, "shop/bolt").get("/v1/admin/keys").await.expect(200);
    assert_eq!(ids(&listed), [&text(&made["id"]), "key_file_shop.bolt.shop-bolt"]);
    app.delete(&format!("/v1/admin/keys/{}", text(&made["id"]))).await.expect(204);
    portal.get("/v1/webhooks").await.problem(401, &[]);
    app.delete("/v1/admin/keys/shop-bolt").await.problem(409, &["config file"]);
    target(&app, "shop/new").subscribe("https://example.com/", &["*"]).await;
    app.publish(&json!({ "type": "a", "data": 1, "tenant": "new" })).await.expect(202);
}

#[tokio::test]
async fn a_key_that_a_provider_makes_goes_no_further_than_its_own() {
    let service = Service::start(&two_providers()).await;
    let end = "2999-01-01T00:00:00Z";
    let new = json!({ "name": "app", "provider": "shop", "scopes": ["manage", "read"], "expires_at": end, "rate_limit": "50/s" });
    let own = service.operator().post("/v1/admin/keys", &new).await.expect(201);
    let app = service.stranger().with_key(&text(&own["key"]));
    let made = app.post("/v1/admin/keys", &json!({ "tenant": "bolt", "scopes": ["read"] })).await.expect(201);
    assert_eq!((&made["expires_at"], &made["rate_limit"]), (&own["expires_at"], &json!("50/s")), "{made}");
    let further = json!({ "tenant": "bolt", "scopes": ["read"], "expires_at": "2999-01-01T00:00:01Z", "rate_limit": "51/s" });
    let refused = app.post("/v1/admin/keys", &further).await;
    refused.problem(422, &["/expires_at", "/rate_limit", "the end of your key", "the limit of your key"]);
}

#[tokio::test]
async fn what_a_provider_makes_says_so_and_is_not_without_end() {
    let service = Service::start(&two_providers()).await;
    let app = service.stranger().with_key(&key_of_shop(&service, "manage"));
    let own = service.admin().get("/v1/admin/keys").await.expect(200);
    let app_id = own["data"].as_array().expect("a list").iter().find(|key| key["name"] == "app").map(|key| text(&key["id"]));
    let one = json!({ "tenant": "bolt", "scopes": ["read"] });
    let made = app.post("/v1/admin/keys", &one).await.expect(201);
    assert_eq!((made["owner"].as_str(), made["made_by"].as_str()), (Some("provider"), app_id.as_deref()));
    let mut calls = 1;
    while app.post("/v1/admin/keys", &one).await.status == 201 {
        calls += 1;
        assert!(calls < 200, "there is no end");
    }
    app.post("/v1/admin/keys", &one).await.problem(429, &["60 times a minute", "try again"]);
    service.cli(&["keys", "new", "more", "--tenant", "shop/bolt"]).expect(0);
    service.cli(&["keys", "revoke", "app"]).expect(0);
    app.post("/v1/admin/keys", &one).await.problem(401, &[]);
}

#[tokio::test]
async fn a_webhook_names_the_key_that_made_it() {
    let service = Service::start(&two_providers()).await;
    let app = service.stranger().with_key(&key_of_shop(&service, "manage"));
    let id = target(&app, "shop/bolt").subscribe("https://example.com/", &["*"]).await;
    let keys = service.admin().get("/v1/admin/keys").await.expect(200);
    let key = keys["data"].as_array().expect("a list").iter().find(|key| key["name"] == "app").map(|key| text(&key["id"]));
    let shown = service.operator().webhook(&id).await;
    let expected = (key.as_deref(), Some("shop"), Some("bolt"));
    assert_eq!((shown["owner"].as_str(), shown["provider"].as_str(), shown["tenant"].as_str()), expected, "{shown}");
    let listed = app.get("/v1/admin/webhooks").await.expect(200);
    assert_eq!(listed["data"][0]["owner"], shown["owner"]);
    let tenants = service.tenant("shop", "bolt").webhook(&id).await;
    assert_eq!((&tenants["owner"], &tenants["tenant"]), (&Value::Null, &Value::Null), "its tenant sees what the dialect shows");
}

#[tokio::test]
async fn nothing_leads_a_provider_out_of_its_own() {
    let service = Service::start(&two_providers()).await;
    let app = service.stranger().with_key(&key_of_shop(&service, "publish,manage"));
    let others = service.tenant("other", "core").subscribe("https://example.com/", &["*"]).await;
    let own_id = text(&service.admin().get("/v1/admin/keys").await.expect(200)["data"][0]["id"]);
    for key in [
        json!({ "operator": true }),
        json!({ "operator": true, "tenant": "acme" }),
        json!({ "provider": "other" }),
        json!({ "provider": "other", "tenant": "core" }),
        json!({ "provider": "shop", "scopes": ["publish", "manage"] }),
        json!({}),
    ] {
        app.post("/v1/admin/keys", &key).await.problem(403, &["tenants of shop"]);
    }
    for named in ["other/core", "other/*", "default/default", "nobody/x"] {
        for path in ["/v1/webhooks", "/v1/admin/keys", "/v1/admin/webhooks"] {
            target(&app, named).get(path).await.problem(403, &["shop"]);
        }
    }
    let body = json!({});
    for act in ["enable", "rotate-secret", "test"] {
        app.post(&format!("/v1/webhooks/{others}/{act}"), &body).await.problem(404, &["no such webhook"]);
    }
    app.delete(&format!("/v1/webhooks/{others}")).await.problem(404, &[]);
    app.get("/v1/admin/webhooks?tenant=other/*").await.problem(404, &["no such provider"]);
    app.get(&format!("/v1/admin/deliveries?webhook={others}")).await.problem(404, &["no such webhook"]);
    for key in [&*own_id, "app", "ops", "other", "key_file_other.core.other-core", "key_file_ops"] {
        app.delete(&format!("/v1/admin/keys/{key}")).await.problem(404, &["no such key"]);
    }
    app.get("/v1/admin/status").await.problem(403, &["operator"]);
    app.post("/v1/admin/reload", &body).await.problem(403, &["operator"]);
    app.get(&format!("/v1/webhooks/{others}/secret")).await.problem(403, &[]);
    let seen = ids(&app.get("/v1/admin/keys").await.expect(200));
    assert_eq!(seen, ["key_file_shop.acme.shop-acme", "key_file_shop.bolt.shop-bolt"]);
    assert_eq!(ids(&app.get("/v1/admin/webhooks").await.expect(200)), [""; 0]);
}

#[tokio::test]
async fn a_key_gives_no_scope_that_it_has_not() {
    let service = Service::start(&two_providers()).await;
    let keeper = service.stranger().with_key(&key_of_shop(&service, "manage"));
    keeper.publish(&json!({ "type": "a", "data": 1, "tenant": "bolt" })).await.problem(403, &["`publish`"]);
    keeper.post("/v1/admin/keys", &json!({ "tenant": "bolt" })).await.problem(403, &["publish", "scopes"]);
    keeper.post("/v1/admin/keys", &json!({ "tenant": "bolt", "scopes": ["publish"] })).await.problem(403, &["publish"]);
    keeper.post("/v1/admin/keys", &json!({ "tenant": "bolt", "scopes": ["manage"] })).await.expect(201);
    let reader = service.stranger().with_key(&key_of_shop(&service, "read"));
    target(&reader, "shop/bolt").get("/v1/webhooks").await.expect(200);
    reader.post("/v1/admin/keys", &json!({ "tenant": "bolt", "scopes": ["read"] })).await.problem(403, &["`manage`"]);
    target(&reader, "shop/bolt").post("/v1/webhooks", &json!({})).await.problem(403, &["`manage`"]);
    let tenant = service.acme();
    tenant.post("/v1/admin/keys", &json!({ "tenant": "acme" })).await.problem(403, &["operator"]);
    tenant.get("/v1/admin/webhooks").await.problem(403, &["operator"]);
}

#[tokio::test]
async fn a_key_that_only_publishes_names_its_tenant_by_the_header() {
    let (service, receiver) = (Service::start(&two_providers()).await, Receiver::start().await);
    service.tenant("shop", "bolt").subscribe(&receiver.url("/b"), &["*"]).await;
    let event = json!({ "type": "a", "data": 1 });
    let app = service.provider("shop");
    target(&app, "shop/bolt").publish(&event).await.expect(202);
    target(&app, "shop/*").publish(&event).await.expect(202);
    receiver.wait_for("/b", 2, WITHIN).await;
    app.publish(&event).await.problem(422, &["/tenant", "Hookwheel-Tenant: shop/TENANT"]);
    target(&app, "other/core").publish(&event).await.problem(403, &["tenants of shop"]);
}

#[tokio::test]
async fn a_providers_key_without_scopes_is_as_it_was() {
    let service = Service::start(&two_providers()).await;
    let made = service.cli(&["keys", "new", "plain", "--provider", "shop"]).expect(0);
    for plain in [service.provider("shop"), service.stranger().with_key(made.stdout.trim_end())] {
        plain.publish(&json!({ "type": "a", "data": 1, "tenant": "bolt" })).await.expect(202);
        plain.get("/v1/event-types").await.expect(200);
        for path in ["/v1/webhooks", "/v1/deliveries", "/v1/admin/keys", "/v1/admin/webhooks"] {
            plain.get(path).await.problem(403, &["`manage`"]);
        }
        target(&plain, "shop/bolt").get("/v1/webhooks").await.problem(403, &["`manage`"]);
        plain.post("/v1/admin/keys", &json!({ "tenant": "bolt" })).await.problem(403, &["`manage`"]);
    }
}

#[tokio::test]
async fn the_config_file_gives_a_providers_key_its_scopes() {
    let scoped =
        "[[provider]]\nname = \"mine\"\nkeys = [{ name = \"app\", secret_file = \"../keys/app\", scopes = [\"manage\"] }]\n";
    let secret = "a-key-that-only-this-test-uses";
    let service = Service::start(&Config::quick().file("conf.d/10-mine.toml", scoped).file("keys/app", secret)).await;
    let app = service.stranger().with_key(secret);
    target(&app, "mine/new").subscribe("https://example.com/", &["*"]).await;
    target(&app, "shop/acme").get("/v1/webhooks").await.problem(403, &["tenants of mine"]);
    let listed = service.cli(&["keys", "list"]).expect(0).stdout;
    assert!(listed.lines().any(|line| line.contains("key_file_mine.app") && line.contains("manage")), "{listed}");
}
