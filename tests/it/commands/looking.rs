//! How a command finds what it is about: ids in every tenant, names in one, and what is said of a slip.

use crate::harness::api::text;
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_id_is_found_in_every_tenant_and_a_name_in_its_own() {
    let (service, receiver) = (Service::start(&Config::retrying(&[]).tenant("other")).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500)]);
    let made = service.cli(&["webhooks", "add", &receiver.url("/a"), "--name", "billing", "--tenant", "shop/acme", "--json"]);
    let webhook = text(&made.expect(0).json()["id"]);
    let event = service.acme().publish_new("order.paid").await;
    let delivery = text(&service.acme().delivery_when(&event, "failed").await["id"]);

    for filter in [["--event", &event], ["--webhook", &webhook]] {
        let listed = service.cli(&["deliveries", "list", filter[0], filter[1]]).expect(0);
        assert!(listed.stdout.contains(&delivery) && listed.stdout.contains("shop/acme"), "{listed:?}");
    }
    let elsewhere = service.cli(&["deliveries", "list", "--event", &event, "--tenant", "shop/other"]).expect(0);
    elsewhere.complains(&["no deliveries match"]);
    service.cli(&["deliveries", "show", &delivery, "--tenant", "shop/other"]).expect(0);
    service.cli(&["deliveries", "retry", &delivery, "--tenant", "shop/other"]).expect(0);
    service.cli(&["webhooks", "show", &webhook, "--tenant", "shop/other"]).expect(0);
    let named = service.cli(&["webhooks", "disable", "billing"]).expect(1);
    named.complains(&[
        "no webhook of default/default is named `billing`, but one of shop/acme is",
        "try: ",
        "--tenant shop/acme",
    ]);
}

#[tokio::test]
async fn a_misspelt_tenant_or_provider_is_told_the_one_that_was_meant() {
    let service = Service::start(&Config::quick()).await;
    for command in [&["webhooks", "list"][..], &["deliveries", "list"], &["send", "order.paid"]] {
        let with = |tenant: &'static str| service.cli(&[command, &["--tenant", tenant]].concat()).expect(1);
        with("shop/acmee").complains(&["there is no tenant `acmee`; did you mean `acme`? (404)"]);
        with("shpo/acme").complains(&["there is no provider `shpo`; did you mean `shop`? (404)"]);
    }
    service
        .cli(&["webhooks", "list", "--tenant", "shop/quite-another"])
        .expect(1)
        .complains(&["there is no tenant `quite-another`"]);
    let path = "/v1/admin/webhooks?tenant=shop/acmee";
    service.operator().get(path).await.problem(404, &["there is no tenant `acmee`", r#""missing":"tenant""#]);
}

#[tokio::test]
async fn a_tenant_that_its_first_event_makes_can_be_waited_for() {
    let config = Config::quick().provider("open", "quick").provider_line("create_tenants = true");
    let service = Service::start(&config).await;
    let sent = service.cli(&["send", "order.paid", "--tenant", "open/new", "--wait"]).expect(0);
    assert!(sent.stdout.contains("queued -> 0 endpoints"), "{sent:?}");
}

#[tokio::test]
async fn a_misspelt_type_subscribes_nobody_to_the_slip() {
    let service = Service::start(&Config::quick()).await;
    service.acme().subscribe("https://example.com/", &["invoice.paid"]).await;
    let sent = service.cli(&["send", "invoce.paid", "--tenant", "shop/acme"]).expect(0);
    sent.complains(&["did you mean the type `invoice.paid`", "webhooks list"]);
    assert!(!sent.stderr.contains("webhooks add"), "{sent:?}");
}

#[tokio::test]
async fn what_is_of_one_tenant_is_not_made_for_all_of_a_provider() {
    let service = Service::start(&Config::quick()).await;
    let refused = service.cli(&["webhooks", "add", "https://example.com/", "--tenant", "shop/*"]).expect(2);
    refused.complains(&["`--tenant shop/*` names all tenants of a provider"]);
    assert!(!refused.stderr.contains("Hookwheel-Tenant"), "a person types options, not headers: {refused:?}");
}
