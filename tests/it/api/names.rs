//! What is named by its id or its name: a blank name means nothing, and one that two have means neither.

mod uids;

use serde_json::json;

use crate::harness::api::text;
use crate::harness::config::{self, Config};
use crate::harness::pretended::Pretended;
use crate::harness::service::Service;

#[tokio::test]
async fn what_is_blank_is_wrong_usage_and_changes_nothing() {
    let service = Service::start(&Config::quick()).await;
    let acme = service.acme();
    let unnamed = acme.subscribe("https://example.com/", &["*"]).await;
    service.cli(&["keys", "new", "ci"]).expect(0);
    let keys = service.cli(&["keys", "list"]).expect(0).stdout;
    for verb in ["show", "enable", "disable", "delete", "rotate-secret", "test", "secret"] {
        for blank in ["", " "] {
            service.cli(&["webhooks", verb, blank, "--tenant", "shop/acme"]).expect(2).complains(&["<WEBHOOK>", "it is blank"]);
        }
    }
    for arguments in [
        &["keys", "revoke", ""][..],
        &["keys", "new", ""],
        &["webhooks", "add", "https://example.com/", "--name", ""],
        &["webhooks", "add", "https://example.com/", "--events", "a,"],
        &["webhooks", "list", "--tenant", ""],
        &["webhooks", "test", &unnamed, "--type", ""],
        &["deliveries", "list", "--webhook", ""],
        &["deliveries", "list", "--event", ""],
        &["deliveries", "list", "--type", ""],
        &["deliveries", "show", ""],
        &["send", ""],
        &["send", "order.paid", "--connection", ""],
        &["send", "order.paid", "--idempotency-key", ""],
        &["send", "order.paid", "--idempotency-key", "é"],
    ] {
        let ran = service.cli(arguments).expect(2);
        assert!(ran.stdout.is_empty() && ran.stderr.contains("error: "), "{arguments:?}: {ran:?}");
    }
    let listed = acme.get("/v1/webhooks").await.expect(200);
    assert_eq!((&listed["data"][0]["id"], &listed["data"][0]["status"]), (&json!(unnamed), &json!("active")), "{listed}");
    assert_eq!(listed["data"].as_array().map(Vec::len), Some(1), "{listed}");
    assert_eq!(acme.get("/v1/events").await.expect(200)["data"], json!([]));
    assert_eq!(service.cli(&["keys", "list"]).expect(0).stdout, keys);
    let hook = |name: &str| json!({ "url": "https://example.com/", "events": ["*"], "name": name });
    acme.post("/v1/webhooks", &hook(" ")).await.problem(422, &["/name: is blank"]);
    acme.patch(&format!("/v1/webhooks/{unnamed}"), &json!({ "name": "  " })).await.problem(422, &["/name: is blank"]);
    service.operator().post("/v1/admin/keys", &json!({ "name": "" })).await.problem(422, &["/name: is blank"]);
    for path in ["/v1/webhooks?name=", "/v1/admin/webhooks?name="] {
        service.operator().get(path).await.problem(422, &["?name: is blank"]);
    }
}

/// Names are unique among new webhooks; a store of an earlier release may hold two of one name.
#[test]
fn of_two_webhooks_with_one_name_none_is_touched() {
    let service = Pretended::start(|_| (200, r#"{"data":[{"id":"wh_1"},{"id":"wh_2"}],"next":null}"#));
    let ran = service.cli(&["webhooks", "delete", "twice"]).expect(2);
    ran.complains(&["2 webhooks are named `twice`: wh_1, wh_2", "webhooks list"]);
    assert_eq!(service.heard(), ["GET /v1/admin/webhooks?tenant=default%2Fdefault&name=twice&limit=250"]);
}

#[tokio::test]
async fn a_name_is_looked_for_where_the_list_looks() {
    let service = Service::start(&Config::quick().tenant("other").provider("more", "quick").tenant("third")).await;
    let mut ids = Vec::new();
    for (provider, tenant, name) in [("shop", "acme", "same"), ("shop", "other", "same"), ("more", "third", "lone")] {
        let hook = json!({ "url": "https://example.com/", "events": ["*"], "name": name });
        ids.push(text(&service.tenant(provider, tenant).post("/v1/webhooks", &hook).await.expect(201)["id"]));
        service.tenant(provider, tenant).do_to_webhook(ids.last().expect("one"), "disable").await;
        service.tenant(provider, tenant).publish_new("order.paid").await;
    }
    let listed = |arguments: &[&str]| {
        let ran = service.cli(&[&["deliveries", "list", "--json"], arguments].concat()).expect(0).json();
        ran["data"].as_array().expect("a list").iter().map(|row| text(&row["webhook_id"])).collect::<Vec<_>>()
    };
    assert_eq!(listed(&["--all", "--webhook", "lone"]), [ids[2].clone()]);
    assert_eq!(listed(&["--tenant", "shop/other", "--webhook", "same"]), [ids[1].clone()]);
    let both = format!("2 webhooks are named `same`: {}, {}", ids[0], ids[1]);
    for whose in [&["--all"][..], &["--tenant", "shop/*"]] {
        let ran = service.cli(&[&["deliveries", "list", "--webhook", "same"], whose].concat()).expect(2);
        assert!(ran.stderr.contains(&both) && ran.stderr.contains("webhooks list --all"), "{ran:?}");
    }
    assert_eq!(service.cli(&["webhooks", "show", "lone", "--tenant", "more/*", "--json"]).expect(0).json()["id"], *ids[2]);
    service.cli(&["webhooks", "delete", "same", "--tenant", "shop/*"]).expect(2).complains(&[&both]);
}

#[tokio::test]
async fn a_key_is_revoked_by_its_name_over_the_api() {
    let service = Service::start(&Config::quick()).await;
    let operator = service.operator();
    let mut ids = Vec::new();
    for name in ["ci", "twice", "twice", "a/b ä"] {
        ids.push(text(&operator.post("/v1/admin/keys", &json!({ "name": name })).await.expect(201)["id"]));
    }
    operator.delete("/v1/admin/keys/ci").await.expect(204);
    operator.delete("/v1/admin/keys/ci").await.problem(404, &["key"]);
    operator.delete("/v1/admin/keys/twice").await.problem(409, &["2 keys have this name", &ids[1], &ids[2]]);
    operator.delete(&format!("/v1/admin/keys/{}", ids[1])).await.expect(204);
    operator.delete("/v1/admin/keys/twice").await.expect(204);
    operator.delete("/v1/admin/keys/a%2Fb%20%C3%A4").await.expect(204);
    operator.delete(&format!("/v1/admin/keys/{}", config::OPERATOR)).await.problem(409, &["belongs to the config file"]);
    let left = operator.get("/v1/admin/keys").await.expect(200);
    let made = left["data"].as_array().expect("a list").iter().filter(|key| key["owner"] == "operator").count();
    assert_eq!(made, 0, "{left}");
}

#[tokio::test]
async fn an_id_is_found_in_every_tenant_whichever_is_named() {
    let service = Service::start(&Config::quick().tenant("other")).await;
    let webhook = service.acme().subscribe("https://example.com/", &["*"]).await;
    service.acme().do_to_webhook(&webhook, "disable").await;
    service.acme().publish_new("order.paid").await;
    let listed = service.cli(&["deliveries", "list", "--all", "--json"]).expect(0).json();
    let delivery = text(&listed["data"][0]["id"]);
    for (noun, id) in [("deliveries", &delivery), ("webhooks", &webhook)] {
        assert_eq!(service.cli(&[noun, "show", id, "--json"]).expect(0).json()["id"], **id);
        assert_eq!(service.cli(&[noun, "show", id, "--json", "--tenant", "shop/*"]).expect(0).json()["id"], **id);
        assert_eq!(service.cli(&[noun, "show", id, "--json", "--tenant", "shop/other"]).expect(0).json()["id"], **id);
    }
}
