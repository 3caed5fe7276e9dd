//! A wall clock that is wrong, and one that is put right: nothing stalls, nothing is sent twice.

use crate::harness::api::WITHIN;
use crate::harness::clock::Clock;
use crate::harness::config::Config;
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
    assert!(service.stderr().contains("behind the newest event"), "{}", service.stderr());
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
