//! Tenants that are described while the service runs: on the command line, over the API, and in what is published for them.

use http::Method;
use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

/// A dialect whose bodies name the tenant's environment.
fn config() -> Config {
    let keys = "extends = \"standard\"\n[dialect.loud.body]\ntemplate = '{\"in\":$tenant.environment,\"data\":$data}'\n";
    Config::quick().dialect("loud", keys, &["200ms"]).provider("deck", "loud").tenant("core").environment("Sandbox")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_tenant_is_described_and_stays_so() {
    let (mut service, receiver) = (Service::start(&config()).await, Receiver::start().await);
    let put = ["tenants", "put", "deck/new", "--name", "Neue Kunden", "--environment", "Staging", "--metadata", "plan=gold"];
    let made = service.cli(&put).expect(0);
    assert!(made.stdout.lines().any(|line| line.starts_with("environment") && line.ends_with("Staging")), "{made:?}");
    service.kill9();
    service.start_again().await;

    let shown = service.cli(&["tenants", "show", "deck/new", "--json"]).expect(0).json();
    let expected = json!({
        "id": "new", "uid": null, "retention": null, "provider": "deck", "name": "Neue Kunden", "environment": "Staging", "metadata": { "plan": "gold" },
        "rate_limit": null, "owner": "api", "removed": false, "created_at": shown["created_at"], "updated_at": shown["updated_at"],
    });
    assert_eq!(shown, expected);
    assert!(shown["created_at"].is_string() && shown["updated_at"].is_string(), "{shown}");
    let found = service.cli(&["tenants", "list", "--search", "KUNDEN"]).expect(0);
    assert!(found.stdout.lines().count() == 2 && found.stdout.contains("deck/new"), "{found:?}");
    service.cli(&["tenants", "list", "--search", "nobody"]).expect(0).complains(&["no tenants match"]);

    let new = service.admin().with_header("hookwheel-tenant", "deck/new");
    new.subscribe(&receiver.url("/new"), &["*"]).await;
    new.publish(&json!({ "type": "a", "data": 1 })).await.expect(202);
    assert_eq!(receiver.wait_for("/new", 1, WITHIN).await[0].json(), json!({ "in": "Staging", "data": 1 }));

    service.cli(&["tenants", "put", "deck/core", "--name", "x"]).expect(1).complains(&[
        "(409)",
        "config file",
        ".toml",
        "reload",
    ]);
    let core = service.cli(&["tenants", "show", "deck/core", "--json"]).expect(0).json();
    assert_eq!((&core["owner"], &core["environment"]), (&json!("file"), &json!("Sandbox")));
    service.cli(&["tenants", "show", "deck/corf"]).expect(1).complains(&["did you mean `core`?", "(404)"]);
    service.cli(&["tenants", "put", "dock/new"]).expect(1).complains(&["did you mean `deck`?"]);
}

#[tokio::test]
async fn a_tenants_uid_is_taken_wherever_its_id_is() {
    let mut service = Service::start(&config()).await;
    let put = ["tenants", "put", "deck/new", "--uid", "crm.4711", "--retention", "36h"];
    let made = service.cli(&put).expect(0);
    assert!(made.stdout.lines().any(|line| line.starts_with("retention") && line.ends_with("36h")), "{made:?}");
    service.kill9();
    service.start_again().await;
    let json = service.cli(&["tenants", "show", "deck/crm.4711", "--json"]).expect(0).json();
    assert_eq!((&json["id"], &json["uid"], &json["retention"]), (&json!("new"), &json!("crm.4711"), &json!("36h")));
    let operator = service.operator();
    let put = async |path: &str, body: &str| operator.send(Method::PUT, path, "application/json", body.to_owned().into()).await;
    put("/v1/admin/tenants/deck/other", r#"{"uid":"crm.4711"}"#).await.problem(409, &["`crm.4711`", "new"]);
    put("/v1/admin/tenants/deck/other", r#"{"uid":"new"}"#).await.problem(409, &["`new`", "the id of another tenant"]);
    put("/v1/admin/tenants/deck/other", r#"{"retention":"3651d"}"#).await.problem(422, &["/retention", "3650d"]);
    put("/v1/admin/tenants/shop/other", r#"{"uid":"crm.4711"}"#).await.expect(201);
    let found = service.cli(&["tenants", "list", "--search", "CRM.", "--provider", "deck"]).expect(0);
    assert!(found.stdout.lines().count() == 2 && found.stdout.contains("deck/new"), "{found:?}");

    let called = service.admin().with_header("hookwheel-tenant", "deck/crm.4711");
    let hook = called.subscribe("https://example.com/", &["*"]).await;
    let event = called.publish(&json!({ "type": "a", "data": 1 })).await.expect(202);
    assert_eq!(event["deliveries"], 1);
    service.provider("deck").publish(&json!({ "type": "a", "data": 1, "tenant": "crm.4711" })).await.expect(202);
    service.cli(&["send", "a", "--tenant", "deck/crm.4711"]).expect(0);
    let new = service.admin().with_header("hookwheel-tenant", "deck/new");
    assert_eq!(new.get(&format!("/v1/webhooks/{hook}")).await.expect(200)["id"], json!(hook));
    let listed = operator.get("/v1/admin/deliveries?tenant=deck/crm.4711").await.expect(200);
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(3), "{listed}");
    let unknown = service.admin().with_header("hookwheel-tenant", "deck/crm.1");
    unknown.get("/v1/webhooks").await.problem(404, &["crm.1"]);
    service.provider("deck").publish(&json!({ "type": "a", "data": 1, "tenant": "crm.1" })).await.problem(422, &["/tenant"]);

    put("/v1/admin/tenants/deck/crm.4711", r#"{"name":"n"}"#).await.expect(200);
    operator.get("/v1/admin/tenants/deck/crm.4711").await.problem(404, &[]);
    put("/v1/admin/tenants/deck/other", r#"{"uid":"crm.4711"}"#).await.expect(201);
    operator.delete("/v1/admin/tenants/deck/crm.4711").await.expect(202);
    put("/v1/admin/tenants/deck/new", r#"{"uid":"crm.4711"}"#).await.expect(200);
}

#[tokio::test]
async fn a_list_of_tenants_goes_on_where_it_ended() {
    let service = Service::start(&config()).await;
    for number in 0..7 {
        let path = format!("/v1/admin/tenants/deck/t{number}");
        service.operator().send(Method::PUT, &path, "application/json", "{}".into()).await.expect(201);
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.operator().get(&format!("/v1/admin/tenants?provider=deck&limit=3&cursor={cursor}")).await.expect(200);
        let rows = page["data"].as_array().expect("a list");
        assert!(rows.len() <= 3, "{page}");
        seen.extend(rows.iter().map(|row| text(&row["id"])));
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["core", "t0", "t1", "t2", "t3", "t4", "t5", "t6"]);
    service.operator().get("/v1/admin/tenants?serch=x").await.problem(422, &["search"]);
}

#[tokio::test]
async fn a_provider_describes_its_own_tenants_alone() {
    let service = Service::start(&config()).await;
    let key = service.cli(&["keys", "new", "app", "--provider", "deck", "--scopes", "publish,manage"]).expect(0).stdout;
    let app = service.stranger().with_key(key.trim_end());
    let put = async |path: &str| app.send(Method::PUT, path, "application/json", r#"{"name":"n"}"#.into()).await;
    put("/v1/admin/tenants/deck/own").await.expect(201);
    put("/v1/admin/tenants/deck/own").await.expect(200);
    put("/v1/admin/tenants/shop/own").await.problem(404, &[]);
    app.get("/v1/admin/tenants/shop/acme").await.problem(404, &[]);
    let listed = app.get("/v1/admin/tenants").await.expect(200);
    let ids: Vec<String> = listed["data"].as_array().expect("a list").iter().map(|row| text(&row["id"])).collect();
    assert_eq!(ids, ["core", "own"]);
    service.acme().get("/v1/admin/tenants").await.problem(403, &[]);
}

#[tokio::test]
async fn a_tenant_gets_no_more_events_than_its_rate_whoever_publishes() {
    let service = Service::start(&config()).await;
    let put = json!({ "rate_limit": "3/h" }).to_string();
    service.admin().send(Method::PUT, "/v1/admin/tenants/deck/few", "application/json", put.into()).await.expect(201);
    let few = service.admin().with_header("hookwheel-tenant", "deck/few");
    few.publish(&json!({ "type": "a", "data": 1 })).await.expect(202);
    few.publish(&json!({ "type": "a" })).await.problem(422, &["/data"]);

    let deck = service.provider("deck");
    let lines: String = (0..4).map(|data| json!({ "type": "a", "data": data, "tenant": "few" }).to_string() + "\n").collect();
    let (answer, results) = deck.publish_lines(&lines).await;
    assert_eq!(answer.status, 202);
    let statuses: Vec<&Value> = results.iter().map(|result| &result["status"]).collect();
    assert_eq!(statuses, [202, 202, 429, 429], "each line counts");

    let refused = deck.publish(&json!({ "type": "a", "data": 1, "tenant": "few" })).await;
    refused.problem(429, &["3/h", "try again in"]);
    let header = |name: &str| refused.headers[name].to_str().expect("text").to_owned();
    let wait = header("retry-after");
    assert!(wait.parse::<u64>().is_ok_and(|seconds| (1_100..=1_200).contains(&seconds)), "{wait}");
    assert_eq!(
        (header("ratelimit-policy"), header("ratelimit")),
        ("\"tenant\";q=3;w=3600".into(), format!("\"tenant\";r=0;t={wait}"))
    );
    deck.publish(&json!({ "type": "a", "data": 1, "tenant": "core" })).await.expect(202);

    let raised = json!({ "rate_limit": "1000/s" }).to_string();
    service.admin().send(Method::PUT, "/v1/admin/tenants/deck/few", "application/json", raised.into()).await.expect(200);
    deck.publish(&json!({ "type": "a", "data": 1, "tenant": "few" })).await.expect(202);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_deleted_tenant_is_gone_with_all_that_was_its() {
    let (mut service, receiver) = (Service::start(&config()).await, Receiver::start().await);
    service.cli(&["tenants", "put", "deck/new", "--name", "New"]).expect(0);
    let key = service.cli(&["keys", "new", "app", "--tenant", "deck/new"]).expect(0).stdout;
    let app = service.stranger().with_key(key.trim_end());
    let new = service.admin().with_header("hookwheel-tenant", "deck/new");
    let webhook = new.subscribe(&receiver.url("/new"), &["*"]).await;
    for number in 0..50 {
        new.publish(&json!({ "type": "a", "data": number })).await.expect(202);
    }
    receiver.wait_for("/new", 50, WITHIN).await;

    let said = service.cli(&["tenants", "delete", "deck/new"]).expect(0);
    assert!(said.stdout.starts_with("deck/new  deleted"), "{said:?}");
    app.get("/v1/webhooks").await.problem(401, &["revoked"]);
    service.operator().get(&format!("/v1/webhooks/{webhook}")).await.expect(404);
    new.publish(&json!({ "type": "a", "data": 1 })).await.problem(404, &["tenant"]);
    service.kill9();
    service.start_again().await;
    eventually("the tenant is gone", WITHIN, || async {
        (service.operator().get("/v1/admin/tenants/deck/new").await.status == 404).then_some(())
    })
    .await;
    assert_eq!(service.operator().get("/v1/admin/deliveries").await.expect(200)["data"], json!([]));
    service.cli(&["tenants", "delete", "deck/new"]).expect(1).complains(&["(404)"]);
    service.cli(&["tenants", "delete", "deck/core"]).expect(1).complains(&["(409)", "config file", ".toml"]);
    service.cli(&["tenants", "delete", "default/default"]).expect(1).complains(&["(409)", "always there"]);
    let provider = service.provider("deck");
    provider.delete("/v1/admin/tenants/deck/core").await.problem(403, &["manage"]);
    let told = service.cli(&["audit", "--object", "tenant", "--json"]).expect(0).json();
    assert_eq!((&told["data"][0]["before"]["webhooks"], &told["data"][0]["after"]), (&json!(1), &Value::Null), "{told}");
    service.cli(&["tenants", "put", "deck/new"]).expect(0);
    service.stop_and_check().await;
}

#[tokio::test]
async fn a_provider_is_changed_where_the_file_says_nothing() {
    let mut service = Service::start(&config().provider_line("validate = \"warn\"")).await;
    let (operator, deck) = (service.operator(), service.provider("deck"));
    let event = json!({ "type": "a", "data": 1, "tenant": "unheard-of" });
    deck.publish(&event).await.problem(404, &["unheard-of"]);
    let path = "/v1/admin/providers/deck";
    let changed = operator.patch(path, &json!({ "create_tenants": true, "unknown_types": "refuse" })).await.expect(200);
    let expected = json!({
        "name": "deck", "dialect": "loud", "validate": "warn", "unknown_types": "refuse", "create_tenants": true,
        "set_by_file": ["validate"],
    });
    assert_eq!(changed, expected);
    deck.publish(&event).await.problem(422, &["/type"]);
    operator.patch(path, &json!({ "unknown_types": null })).await.expect(200);
    service.kill9();
    service.start_again().await;

    let (operator, deck) = (service.operator(), service.provider("deck"));
    deck.publish(&event).await.expect(202);
    assert_eq!(operator.get("/v1/admin/tenants/deck/unheard-of").await.expect(200)["owner"], json!("api"));
    operator.patch(path, &json!({ "validate": "off" })).await.problem(409, &["validate", ".toml", "reload"]);
    operator
        .patch(path, &json!({ "unknown_types": "pass", "create_tenants": 1 }))
        .await
        .problem(422, &["/unknown_types", "/create_tenants"]);
    operator.patch("/v1/admin/providers/dock", &json!({})).await.problem(404, &["deck"]);
    deck.get("/v1/admin/providers").await.problem(403, &["operator"]);
    let listed = operator.get("/v1/admin/providers?limit=1").await.expect(200);
    assert_eq!((&listed["data"][0]["name"], listed["next"].is_string()), (&json!("deck"), true), "{listed}");
    operator.patch(path, &json!({ "create_tenants": null })).await.expect(200);
    deck.publish(&json!({ "type": "a", "data": 1, "tenant": "another" })).await.problem(404, &["another"]);
    let told = operator.get("/v1/admin/audit?object=provider").await.expect(200);
    assert_eq!(
        (&told["data"][0]["before"], &told["data"][0]["after"]),
        (&json!({ "create_tenants": true }), &json!({})),
        "{told}"
    );
    service.stop_and_check().await;
}
