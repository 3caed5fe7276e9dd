//! A wall clock that is wrong, and one that is put right: nothing stalls, and nothing is sent twice.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::clock::Clock;
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

async fn start(clock: &Clock) -> (Service, Receiver) {
    let environment = clock.environment();
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    (Service::start_with(&Config::retrying(&["500ms"]), &environment).await, Receiver::start().await)
}

#[tokio::test]
async fn a_clock_that_was_ahead_before_a_restart_holds_nothing_up() {
    let clock = Clock::ahead("+1d");
    let (mut service, receiver) = start(&clock).await;
    receiver.script("/a", [Reply::OK, Reply::status(500), Reply::OK]);
    service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    service.acme().publish_new("order.paid").await;
    receiver.wait_for("/a", 1, WITHIN).await;
    service.terminate().await;
    clock.set("+0");
    service.start_again().await;
    let event = service.acme().publish_new("order.paid").await;
    service.acme().delivery_when(&event, "succeeded").await;
    assert_eq!(receiver.wait_for("/a", 3, WITHIN).await.len(), 3, "the retry came too");
    assert!(service.stderr().contains("the wall clock jumped back by"), "{}", service.stderr());
}

#[tokio::test]
async fn a_clock_that_goes_back_holds_nothing_up() {
    let clock = Clock::ahead("+0");
    let (service, receiver) = start(&clock).await;
    receiver.script("/a", [Reply::OK, Reply::status(500), Reply::OK]);
    let webhook = service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    service.acme().publish_new("order.paid").await;
    receiver.wait_for("/a", 1, WITHIN).await;
    clock.set("-1d");
    let event = service.acme().publish_new("order.paid").await;
    service.acme().delivery_when(&event, "succeeded").await;
    service.acme().do_to_webhook(&webhook, "disable").await;
    let held = service.acme().publish_new("order.paid").await;
    service.acme().do_to_webhook(&webhook, "enable").await;
    service.acme().delivery_when(&held, "succeeded").await;
    assert_eq!(receiver.wait_for("/a", 4, WITHIN).await.len(), 4);
}

/// The store holds everything that a clock a month ahead would end: finished events, held deliveries, a retry that waits.
#[tokio::test]
async fn a_clock_that_jumps_a_month_ends_nothing_and_can_be_put_right() {
    let clock = Clock::ahead("+0");
    let environment = clock.environment();
    let environment: Vec<(&str, &str)> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut service = Service::start_with(&Config::retrying(&["1h"]), &environment).await;
    let receiver = Receiver::start().await;
    receiver.script("/waits", [Reply::status(500), Reply::OK]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/done"), &["done"]).await;
    acme.subscribe(&receiver.url("/waits"), &["waits"]).await;
    let holding = acme.subscribe(&receiver.url("/held"), &["held"]).await;
    acme.do_to_webhook(&holding, "disable").await;
    let (done, waits, held) = (acme.publish_new("done").await, acme.publish_new("waits").await, acme.publish_new("held").await);
    acme.delivery_when(&done, "succeeded").await;
    receiver.wait_for("/waits", 1, WITHIN).await;
    let due = |delivery: &Value| text(&delivery["next_attempt_at"]);
    let before = due(&attempted(&acme, &waits).await);

    clock.set("+30d");
    state(&service, "ahead").await;
    assert!(service.stderr().contains("the wall clock jumped ahead by 30d"), "{}", service.stderr());
    // A start looks for what is too old at once, a running service once a minute.
    service.kill9();
    service.start_again().await;
    state(&service, "ahead").await;
    let acme = service.acme();
    let meanwhile = acme.publish_new("waits").await;
    acme.delivery_when(&meanwhile, "succeeded").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    acme.delivery_when(&done, "succeeded").await;
    acme.delivery_when(&held, "held").await;
    assert_eq!(due(&attempted(&acme, &waits).await), before);
    assert_eq!(receiver.wait_for("/waits", 2, WITHIN).await.len(), 2, "the first one is not tried again");

    clock.set("+0");
    state(&service, "trusted").await;
    assert_eq!(due(&attempted(&acme, &waits).await), before);
    let published = text(&acme.get(&format!("/v1/events/{meanwhile}")).await.expect(200)["created_at"]);
    assert!(published < before, "{published}: an event of that time is no month old before it is published");
}

#[tokio::test]
async fn an_operator_can_accept_a_clock_that_rightly_jumped() {
    let clock = Clock::ahead("+0");
    let (service, receiver) = start(&clock).await;
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    service.cli(&["clock", "accept"]).expect(0);
    clock.set("+2h");
    state(&service, "ahead").await;
    let told = service.cli(&["status"]).expect(0);
    assert!(told.stdout.contains("`hookwheel clock accept` if it is right"), "{told:?}");
    let said = service.cli(&["clock", "accept"]).expect(0);
    assert_eq!(said.stdout, "the wall clock is taken as right\n");
    state(&service, "trusted").await;
    let event = acme.publish_new("order.paid").await;
    acme.delivery_when(&event, "succeeded").await;
}

#[tokio::test]
async fn a_start_in_1970_signs_with_the_time_that_the_store_knows() {
    let clock = Clock::ahead("+0");
    let (mut service, receiver) = start(&clock).await;
    service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    service.acme().publish_new("order.paid").await;
    let signed = |received: &crate::harness::receiver::Received| -> u64 {
        received.header("webhook-timestamp").parse().expect("a number")
    };
    let known = signed(&receiver.wait_for("/a", 1, WITHIN).await[0]);
    service.terminate().await;
    clock.set(&format!("-{}d", known / (24 * 3600)));
    service.start_again().await;
    assert!(service.stderr().contains("the wall clock jumped back by"), "{}", service.stderr());
    let event = service.acme().publish_new("order.paid").await;
    service.acme().delivery_when(&event, "succeeded").await;
    let later = signed(&receiver.wait_for("/a", 2, WITHIN).await[1]);
    assert!((known..known + 60).contains(&later), "{known} {later}");
    let printed = text(&service.acme().get(&format!("/v1/events/{event}")).await.expect(200)["created_at"]);
    assert!(!printed.starts_with("1970"), "{printed}");
}

/// Waits until the service reports this state of its wall clock.
async fn state(service: &Service, expected: &str) {
    let operator = service.operator();
    let looks = || async {
        let clock = operator.get("/v1/admin/status").await.expect(200)["clock"].clone();
        (clock["state"] == json!(expected)).then_some(())
    };
    eventually(expected, WITHIN, looks).await;
}

/// The only delivery of an event, once its first attempt is in the log.
async fn attempted(acme: &Client, event: &str) -> Value {
    let logged =
        || async { Some(acme.deliveries_of(event).await[0].clone()).filter(|delivery| delivery["attempts"] == json!(1)) };
    eventually("the attempt is logged", WITHIN, logged).await
}
