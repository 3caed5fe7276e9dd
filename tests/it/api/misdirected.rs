//! Events that would reach nobody, since what they name does not exist: they are refused, not taken and forgotten.

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

fn to(tenant: &str) -> Value {
    json!({ "type": "order.paid", "tenant": tenant, "data": 1 })
}

#[tokio::test]
async fn an_event_for_a_tenant_that_does_not_exist_is_a_404() {
    let service = Service::start(&Config::quick()).await;
    let (shop, of_operator) = (service.provider("shop"), service.operator().with_header("hookwheel-tenant", "shop/nobody"));
    let words = ["`nobody`", "create_tenants"];
    shop.publish(&to("nobody")).await.problem(404, &words);
    of_operator.publish(&json!({ "type": "order.paid", "data": 1 })).await.problem(404, &words);
    let (answer, results) = shop.publish_lines(&format!("{}\n{}\n", to("nobody"), to("acme"))).await;
    assert_eq!((&results[0]["status"], &results[1]["status"]), (&json!(404), &json!(202)), "{}", answer.text());
    shop.publish(&to("nobody")).await.problem(404, &words);
    assert_eq!(of_operator.get("/v1/events").await.expect(200)["data"], json!([]));
    let run = service.cli(&["send", "order.paid", "--tenant", "shop/nobody"]).expect(1);
    run.complains(&["`nobody`", "webhooks list --all"]);
}

#[tokio::test]
async fn a_key_a_webhook_and_the_file_make_a_tenant() {
    let mut service = Service::start(&Config::quick().tenant("in-file")).await;
    service.cli(&["keys", "new", "k", "--tenant", "shop/by-key"]).expect(0);
    let of_operator = service.operator().with_header("hookwheel-tenant", "shop/by-webhook");
    of_operator.subscribe("https://example.com/", &["other"]).await;
    for again in [false, true] {
        for tenant in ["in-file", "by-key", "by-webhook"] {
            assert_eq!(service.provider("shop").publish(&to(tenant)).await.status, 202, "{tenant} {again}");
        }
        service.kill9();
        service.start_again().await;
    }
}

#[tokio::test]
async fn a_provider_may_let_events_make_tenants() {
    let config = Config::quick().provider("free", "quick").provider_line("create_tenants = true");
    let service = Service::start(&config).await;
    let event = service.provider("free").publish(&to("new")).await.expect(202);
    let of_operator = service.operator().with_header("hookwheel-tenant", "free/new");
    assert_eq!(of_operator.get("/v1/events").await.expect(200)["data"][0]["id"], event["id"]);
}

#[tokio::test]
async fn the_default_tenant_is_always_there() {
    let service = Service::start(&Config::bare()).await;
    service.operator().publish(&json!({ "type": "order.paid", "data": 1 })).await.expect(202);
    service.cli(&["send", "order.paid"]).expect(0);
}

#[tokio::test]
async fn a_tenant_that_was_taken_out_of_the_file_gets_no_events_until_a_key_is_made() {
    let service = Service::start(&Config::quick().tenant("bolt")).await;
    let id = service.tenant("shop", "bolt").subscribe("https://example.com/", &["other"]).await;
    service.provider("shop").publish(&to("bolt")).await.expect(202);
    Config::quick().write(service.folder());
    service.cli(&["reload"]).expect(0);
    service.provider("shop").publish(&to("bolt")).await.problem(404, &["`bolt`", "taken out", "hookwheel reload"]);

    service.cli(&["keys", "new", "k", "--tenant", "shop/bolt"]).expect(0);
    for _ in 0..2 {
        service.provider("shop").publish(&to("bolt")).await.expect(202);
        assert_eq!(service.operator().webhook(&id).await["status"], "active", "the key brought it back");
        service.cli(&["reload"]).expect(0);
    }
}

#[tokio::test]
async fn a_link_that_does_not_exist_is_a_422() {
    let service = Service::start(&Config::bare().provider("deck", "deck").tenant("t").tenant("other")).await;
    let receiver = Receiver::start().await;
    let deck = service.tenant("deck", "t");
    make_link(&deck, "checkout", &receiver.url("/a")).await;
    make_link(&service.tenant("deck", "other"), "others", &receiver.url("/b")).await;
    let event = |link: &str| {
        let attributes = json!({ "job_guid": "a4e67899", "webhook_code": "Pay", "link": link });
        json!({ "type": "Pay", "data": 1, "attributes": attributes })
    };
    for wrong in ["chekout", "others", ""] {
        deck.publish(&event(wrong)).await.problem(422, &["/attributes/link", &format!("`{wrong}`")]);
    }
    let (answer, results) = deck.publish_lines(&format!("{}\n{}\n", event("chekout"), event("checkout"))).await;
    assert_eq!(
        (&results[0]["errors"][0]["pointer"], &results[1]["deliveries"]),
        (&json!("/attributes/link"), &json!(1)),
        "{}",
        answer.text()
    );
    receiver.wait_for("/a", 1, WITHIN).await;

    let id = text(&deck.get("/v1/webhooks?name=checkout").await.expect(200)["data"][0]["id"]);
    deck.delete(&format!("/v1/webhooks/{id}")).await.expect(204);
    deck.publish(&event("checkout")).await.problem(422, &["/attributes/link"]);
    assert!(receiver.received("/b").is_empty());
}

#[tokio::test]
async fn a_connection_of_a_tenant_that_does_not_exist_is_a_404() {
    let service = Service::start(&Config::bare().provider("deck", "deck").tenant("t")).await;
    let deck = service.provider("deck");
    deck.post("/v1/connections", &json!({ "id": "c", "tenant": "nobody" })).await.problem(404, &["`nobody`"]);
    deck.post("/v1/connections", &json!({ "id": "c", "tenant": "t" })).await.expect(201);
}

#[tokio::test]
async fn a_type_near_to_one_that_is_wanted_is_warned_of() {
    let (service, receiver) = (Service::start(&Config::quick().tenant("bolt")).await, Receiver::start().await);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["order.paid", "refund.*"]).await;
    let publish = async |client: &Client, kind: &str| client.publish(&json!({ "type": kind, "data": 1 })).await.expect(202);
    let warned = publish(&acme, "order.piad").await;
    assert!(warned["warnings"][0].as_str().is_some_and(|text| text.contains("did you mean the type `order.paid`")), "{warned}");
    assert_eq!(warned["deliveries"], 0);
    for known in ["order.paid", "refund.made", "something.else"] {
        assert!(publish(&acme, known).await.get("warnings").is_none(), "{known}");
    }
    let all = service.operator().with_header("hookwheel-tenant", "shop/*");
    assert!(publish(&all, "order.piad").await["warnings"].is_array());
    assert!(publish(&service.tenant("shop", "bolt"), "order.piad").await.get("warnings").is_none(), "another tenant's");

    let line = |kind: &str| json!({ "type": kind, "data": 1 }).to_string() + "\n";
    let (_, results) = acme.publish_lines(&[line("order.paid"), line("order.piad"), line("order.piad")].concat()).await;
    let warned: Vec<bool> = results.iter().map(|result| result["warnings"].is_array()).collect();
    assert_eq!((warned, &results[1]["status"]), (vec![false, true, true], &json!(202)));
    let many: String = (0..100).map(|number| line(&format!("order.p{number}aid"))).collect();
    let (_, results) = acme.publish_lines(&many).await;
    let warned = results.iter().filter(|result| result["warnings"].is_array()).count();
    assert_eq!((results.len(), warned), (100, 64), "of one request no more are compared");
    let sent = service.cli(&["send", "order.piad", "--tenant", "shop/acme"]).expect(0);
    assert!(sent.stderr.contains("did you mean the type `order.paid`"), "{sent:?}");
}

#[tokio::test]
async fn a_type_near_to_one_of_the_catalogue_is_warned_of() {
    let (service, receiver) = (Service::start(&Config::bare().provider("a", "aioka").tenant("t")).await, Receiver::start().await);
    let tenant = service.tenant("a", "t");
    tenant.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = |kind: &str| json!({ "type": kind, "data": 1, "id": kind.replace('.', "-") });
    for status in [202, 200] {
        let warned = tenant.publish(&event("verdict.nwe")).await.expect(status);
        assert_eq!(warned["deliveries"], 1);
        assert!(warned["warnings"][0].as_str().is_some_and(|text| text.contains("did you mean `verdict.new`")), "{warned}");
    }
    assert!(tenant.publish(&event("verdict.new")).await.expect(202).get("warnings").is_none());
    service.cli(&["event-types", "put", "verdict.nwe", "--tenant", "a/*"]).expect(0);
    assert!(tenant.publish(&event("verdict.nwe")).await.expect(200).get("warnings").is_none(), "it is known now");
}

async fn make_link(client: &Client, name: &str, url: &str) {
    client.post("/v1/webhooks", &json!({ "name": name, "url": url, "events": ["*"] })).await.expect(201);
}
