//! What is named by its id or its name: a blank name means nothing, and one that two have means neither.

use serde_json::json;

use crate::harness::config::Config;
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
    acme.get("/v1/webhooks?name=").await.problem(422, &["?name: is empty"]);
}

/// Names are unique among new webhooks; a store of an earlier release may hold two of one name.
#[test]
fn of_two_webhooks_with_one_name_none_is_touched() {
    let service = Pretended::start(|_| (200, r#"{"data":[{"id":"wh_1"},{"id":"wh_2"}],"next":null}"#));
    let ran = service.cli(&["webhooks", "delete", "twice"]).expect(2);
    ran.complains(&["2 webhooks are named `twice`: wh_1, wh_2", "webhooks list"]);
    assert_eq!(service.heard(), ["GET /v1/webhooks?name=twice"]);
}
