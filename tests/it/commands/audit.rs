//! The audit log: who changed what, over the API, on the command line and by the config file.

use serde_json::{Value, json};

use crate::harness::client::Client;
use crate::harness::config::{self, Config};
use crate::harness::service::Service;

/// The rows of a list, newest first.
async fn rows(operator: &Client, query: &str) -> Vec<Value> {
    let page = operator.get(&format!("/v1/admin/audit?{query}")).await.expect(200);
    page["data"].as_array().expect("a list").clone()
}

/// What a row is about, by whom and by which call.
fn told(row: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let (actor, object) = (&row["actor"], &row["object"]);
    [&actor["kind"], &actor["name"], &row["call"], &object["kind"]].map(text).join(" ")
}

#[tokio::test]
async fn every_change_is_on_record_with_who_made_it_and_from_where() {
    let config = Config::quick().webhook("of-file", "https://example.com/", &["*"]);
    let mut service = Service::start(&config).await;
    let acme = service.acme();
    let headers = json!({ "Authorization": "Bearer canary-of-a-header" });
    let new = json!({ "name": "w", "url": "https://example.com/a", "events": ["a.*"], "headers": headers });
    let made = acme.post("/v1/webhooks", &new).await.expect(201);
    let path = format!("/v1/webhooks/{}", made["id"].as_str().expect("an id"));
    acme.patch(&path, &json!({ "url": "https://example.com/b", "timeout": "5s" })).await.expect(200);
    let key = service.cli(&["keys", "new", "ci", "--tenant", "shop/acme"]).expect(0).stdout;
    service.cli(&["webhooks", "delete", "w", "--tenant", "shop/acme"]).expect(0);
    config.clone().webhook("more", "https://example.com/", &["*"]).write(service.folder());
    service.operator().post("/v1/admin/reload", &json!({})).await.expect(200);
    service.operator().post("/v1/admin/reload", &json!({})).await.expect(200);
    service.kill9();
    service.start_again().await;

    let all = rows(&service.operator(), "").await;
    let wanted = [
        "key ops POST /v1/admin/reload config",
        "socket admin socket DELETE /v1/webhooks/{id} webhook",
        "socket admin socket POST /v1/admin/keys key",
        "key shop-acme PATCH /v1/webhooks/{id} webhook",
        "key shop-acme POST /v1/webhooks webhook",
        "file config file start config",
    ];
    assert_eq!(all.iter().map(told).collect::<Vec<_>>(), wanted, "{all:#?}");
    let patched = &all[3];
    assert_eq!(patched["before"], json!({ "url": "https://example.com/a" }));
    assert_eq!(patched["after"], json!({ "url": "https://example.com/b", "timeout": "5s" }));
    assert_eq!((&patched["address"], &patched["object"]["tenant"]), (&json!("127.0.0.1"), &json!("shop/acme")));
    assert_eq!(all[0]["after"]["added"], json!(["webhook shop/acme/more"]));
    assert!(all[1]["actor"]["id"].as_str().is_some_and(|id| id.starts_with("uid:")) && all[1]["address"].is_null(), "{}", all[1]);
    let printed = serde_json::to_string(&all).expect("JSON");
    let secret = made["secret"].as_str().expect("it is shown once");
    let secrets = [secret, key.trim(), &config::secret("shop-acme"), "canary-of-a-header"];
    assert!(secrets.iter().all(|secret| !printed.contains(secret)), "{printed}");
    service.stop_and_check().await;
}

#[tokio::test]
async fn the_audit_log_is_looked_through_by_its_filters_and_in_pages() {
    let service = Service::start(&Config::quick()).await;
    let (acme, operator) = (service.acme(), service.operator());
    for name in ["a", "b", "c"] {
        acme.post("/v1/webhooks", &json!({ "name": name, "url": "https://example.com/", "events": ["*"] })).await.expect(201);
    }
    service.cli(&["tenants", "put", "shop/new", "--name", "New"]).expect(0);
    let names = |rows: Vec<Value>| {
        rows.iter().map(|row| row["object"]["name"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names(rows(&operator, "object=shop/acme&actor=key").await), ["c", "b", "a"]);
    assert_eq!(names(rows(&operator, "call=POST%20/v1/webhooks&since=1h").await), ["c", "b", "a"]);
    assert_eq!(rows(&operator, "object=shop/new").await.len(), 1);
    assert_eq!(rows(&operator, "until=1h").await.len(), 0);
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = operator.get(&format!("/v1/admin/audit?object=webhook&limit=2&cursor={cursor}")).await.expect(200);
        seen.extend(names(page["data"].as_array().expect("a list").clone()));
        match page["next"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(seen, ["c", "b", "a"]);
    operator.get("/v1/admin/audit?actors=x").await.problem(422, &["actors"]);
    operator.get("/v1/admin/audit?object=").await.problem(422, &["object"]);
    operator.get("/v1/admin/audit?cursor=x").await.problem(422, &["cursor"]);
    acme.get("/v1/admin/audit").await.problem(403, &["operator"]);

    let listed = service.cli(&["audit", "--object", "webhook", "--limit", "2"]).expect(0);
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("AT") && lines[1].contains("webhook c"), "{listed:?}");
    assert!(
        listed.stderr.contains("there are more") && listed.stderr.contains("audit --object webhook --limit 2 --cursor"),
        "{listed:?}"
    );
    let shown = service.cli(&["audit", "--json", "--actor", "socket"]).expect(0).json();
    assert_eq!(shown["data"][0]["after"]["name"], json!("New"), "{shown}");
    service.cli(&["audit", "--actor", "nobody"]).expect(0).complains(&["no changes match"]);
}
