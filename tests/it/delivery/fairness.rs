//! Endpoints that hang cost other endpoints nothing.

use std::time::{Duration, Instant};

use crate::harness::api::WITHIN;
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;
use crate::harness::turn;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_hung_endpoints_do_not_delay_the_others() {
    let keys = "extends = \"standard\"\n[dialect.hasty.delivery]\ntimeout = \"5s\"\n";
    // There are fewer slots than the hung endpoints would take, so only the rule can keep some free.
    let config =
        Config::bare().dialect("hasty", keys, &["1s"]).provider("shop", "hasty").tenant("acme").delivery("in_flight = 200");
    let service = Service::start_in_turn(&config, turn::alone().await).await;
    let (receiver, acme) = (Receiver::start().await, service.acme());
    for number in 0..50 {
        let path = format!("/hung/{number}");
        receiver.script(&path, [Reply::Hang]);
        acme.subscribe(&receiver.url(&path), &["hung"]).await;
    }
    acme.subscribe(&receiver.url("/healthy"), &["healthy"]).await;
    let alone = slowest(&service, &receiver, 0).await;
    for _ in 0..20 {
        acme.publish_new("hung").await;
    }
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let beside = slowest(&service, &receiver, ROUNDS).await;
    eprintln!("slowest of {ROUNDS}: {alone:?} alone, {beside:?} beside fifty hung endpoints");
    assert!(beside < Duration::from_secs(1), "{beside:?}");
}

#[tokio::test]
async fn an_endpoint_that_timed_out_has_one_slot_until_a_success() {
    let keys = "extends = \"standard\"\n[dialect.hasty.delivery]\ntimeout = \"500ms\"\n";
    let service = Service::start(&Config::bare().dialect("hasty", keys, &["1h"]).provider("shop", "hasty").tenant("acme")).await;
    let (receiver, acme) = (Receiver::start().await, service.acme());
    receiver.script("/a", [Reply::Hang]);
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.publish_new("order.paid").await;
    receiver.wait_for("/a", 1, WITHIN).await;
    tokio::time::sleep(Duration::from_millis(800)).await;
    for _ in 0..4 {
        acme.publish_new("order.paid").await;
    }
    let requests = receiver.wait_for("/a", 3, WITHIN).await;
    assert!(
        requests[2].at - requests[1].at >= Duration::from_millis(450),
        "one at a time: {:?}",
        requests[2].at - requests[1].at
    );
}

/// The longest time that one event took from its publishing to the endpoint.
async fn slowest(service: &Service, receiver: &Receiver, before: usize) -> Duration {
    let mut slowest = Duration::ZERO;
    for round in 1..=ROUNDS {
        let since = Instant::now();
        service.acme().publish_new("healthy").await;
        let requests = receiver.wait_for("/healthy", before + round, WITHIN).await;
        slowest = slowest.max(requests[before + round - 1].at - since);
    }
    slowest
}

const ROUNDS: usize = 40;
