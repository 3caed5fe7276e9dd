//! An ordered webhook: one delivery at a time, in the order of publication, whatever fails and whoever is killed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::{Received, Receiver, Reply};
use crate::harness::service::Service;

async fn subscribe(acme: &Client, url: &str, more: Value) -> String {
    let mut hook = json!({ "url": url, "events": ["*"], "ordered": true });
    hook.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    text(&acme.post("/v1/webhooks", &hook).await.expect(201)["id"])
}

/// Publishes events with these numbers as their ids.
async fn publish(acme: &Client, numbers: std::ops::Range<usize>) {
    let line = |number| json!({ "id": format!("{number}"), "type": "a", "data": number }).to_string() + "\n";
    let lines: String = numbers.map(line).collect();
    assert!(acme.publish_lines(&lines).await.1.iter().all(|line| line["status"] == 202 || line["status"] == 200));
}

/// The number of the event in a request.
fn number(request: &Received) -> usize {
    request.header("webhook-id").parse().expect("a number")
}

fn numbers(receiver: &Receiver) -> Vec<usize> {
    receiver.look(|all| all.iter().map(number).collect())
}

async fn patch(acme: &Client, id: &str, what: Value) -> Value {
    acme.patch(&format!("/v1/webhooks/{id}"), &what).await.expect(200)
}

#[tokio::test]
async fn events_arrive_in_order_through_failures_and_kills() {
    let config = Config::retrying(&["20ms", "20ms", "20ms"]);
    let (mut service, receiver) = (Service::start(&config).await, Receiver::start().await);
    let replies: Vec<Reply> = (0..20).map(|turn| if turn == 7 { Reply::status(500) } else { Reply::OK }).collect();
    receiver.script_in_turn("/a", replies);
    subscribe(&service.acme(), &receiver.url("/a"), json!({})).await;
    for part in 0..4 {
        publish(&service.acme(), part * 100..part * 100 + 100).await;
        let enough = part * 100 + 30;
        assert!(receiver.wait_until(WITHIN, |all| all.iter().any(|request| number(request) >= enough)).await);
        service.kill9();
        service.start_again().await;
    }
    assert!(receiver.wait_until(WITHIN, |all| all.iter().any(|request| number(request) == 399)).await);
    service.acme().delivery_when("399", "succeeded").await;
    let all = numbers(&receiver);
    assert!(all.windows(2).all(|pair| pair[0] == pair[1] || pair[0] + 1 == pair[1]), "{all:?}");
    assert_eq!((all[0], all.len() > 400), (0, true), "some failed and came again");
    service.stop_and_check().await;
}

#[tokio::test]
async fn a_failing_delivery_holds_back_those_behind_it_until_it_ends() {
    let (service, receiver) = (Service::start(&Config::retrying(&["200ms", "200ms"])).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/a", [Reply::status(500), Reply::status(500), Reply::status(500), Reply::OK]);
    let id = subscribe(&acme, &receiver.url("/a"), json!({})).await;
    publish(&acme, 0..3).await;
    receiver.wait_for("/a", 5, WITHIN).await;
    assert_eq!(numbers(&receiver), [0, 0, 0, 1, 2]);
    let shown = patch(&acme, &id, json!({ "on_failure": "hold" })).await;
    assert_eq!(shown["effective"]["on_failure"], json!({ "value": "hold", "origin": "webhook" }));
    assert_eq!(shown["effective"]["concurrency"], json!({ "value": 1, "origin": "webhook" }));
    receiver.script("/a", [Reply::status(500), Reply::status(500), Reply::status(500), Reply::OK]);
    publish(&acme, 3..6).await;
    acme.delivery_when("4", "held").await;
    let held = acme.webhook(&id).await;
    assert_eq!(held["disabled_reason"], "a delivery failed, and `on_failure` is `hold`");
    assert_eq!(numbers(&receiver)[5..], [3, 3, 3]);
    acme.do_to_webhook(&id, "enable").await;
    receiver.wait_for("/a", 10, WITHIN).await;
    assert_eq!(numbers(&receiver)[8..], [4, 5]);
}

#[tokio::test]
async fn an_older_event_that_is_sent_again_comes_next() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    subscribe(&acme, &receiver.url("/a"), json!({ "concurrency": 8 })).await;
    publish(&acme, 0..2).await;
    let old = acme.delivery_when("0", "succeeded").await;
    acme.delivery_when("1", "succeeded").await;
    receiver.script("/a", [Reply::OK.after(Duration::from_millis(150))]);
    publish(&acme, 2..6).await;
    receiver.wait_for("/a", 3, WITHIN).await;
    acme.retry(&old).await.expect(200);
    receiver.wait_for("/a", 7, WITHIN).await;
    let all = numbers(&receiver);
    assert_eq!(all.iter().filter(|number| **number != 0).copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!(all[3], 0, "before all that wait, behind what is under way: {all:?}");
    let gaps: Vec<Duration> = receiver.look(|all| all.windows(2).skip(2).map(|pair| pair[1].at - pair[0].at).collect());
    assert!(gaps.iter().all(|gap| *gap >= Duration::from_millis(140)), "one at a time: {gaps:?}");
}

#[tokio::test]
async fn an_order_begins_and_ends_while_many_wait() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/a", [Reply::OK.after(Duration::from_millis(20))]);
    let id = subscribe(&acme, &receiver.url("/a"), json!({ "ordered": false, "concurrency": 4 })).await;
    publish(&acme, 0..150).await;
    receiver.wait_for("/a", 10, WITHIN).await;
    assert_eq!(patch(&acme, &id, json!({ "ordered": true })).await["ordered"], true);
    let before = receiver.look(<[_]>::len);
    receiver.wait_for("/a", before + 40, WITHIN).await;
    let behind = numbers(&receiver)[before + 5..before + 40].to_vec();
    assert!(behind.is_sorted(), "{behind:?}");
    assert_eq!(patch(&acme, &id, json!({ "ordered": null })).await.get("ordered"), None);
    receiver.wait_for("/a", 150, WITHIN).await;
    for event in ["0", "75", "149"] {
        assert_eq!(attempts(&acme.delivery_when(event, "succeeded").await).len(), 1);
    }
    let mut all = numbers(&receiver);
    all.sort_unstable();
    assert_eq!(all, (0..150).collect::<Vec<_>>(), "each once");
}

#[tokio::test]
async fn a_disabled_ordered_webhook_goes_on_where_it_was() {
    let (mut service, receiver) = (Service::start(&Config::retrying(&["1h"])).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/a", [Reply::OK, Reply::status(500), Reply::OK]);
    let id = subscribe(&acme, &receiver.url("/a"), json!({})).await;
    publish(&acme, 0..5).await;
    receiver.wait_for("/a", 2, WITHIN).await;
    eventually("the first attempt is on disk", WITHIN, || async {
        let shown = acme.deliveries_of("1").await;
        (shown[0]["last_code"] == 500).then_some(())
    })
    .await;
    service.kill9();
    service.start_again().await;
    let acme = service.acme();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(numbers(&receiver), [0, 1], "it waits for its retry, also behind a restart");
    acme.do_to_webhook(&id, "disable").await;
    acme.delivery_when("1", "held").await;
    acme.do_to_webhook(&id, "enable").await;
    receiver.wait_for("/a", 6, WITHIN).await;
    assert_eq!(numbers(&receiver), [0, 1, 1, 2, 3, 4]);
    service.stop_and_check().await;
}

#[tokio::test]
async fn the_command_line_sets_an_order() {
    let service = Service::start(&Config::quick()).await;
    let cli = |arguments: &[&str]| service.cli(&[arguments, &["--tenant", "shop/acme", "--json"]].concat()).expect(0).json();
    let made = cli(&["webhooks", "add", "https://example.com/", "--name", "one", "--ordered", "true", "--on-failure", "hold"]);
    assert_eq!((&made["ordered"], &made["on_failure"]), (&json!(true), &json!("hold")));
    let edited = cli(&["webhooks", "edit", "one", "--ordered", "false", "--on-failure", "null"]);
    assert_eq!((edited.get("ordered"), edited.get("on_failure")), (None, None));
    let wrong = ["webhooks", "edit", "one", "--on-failure", "stop", "--tenant", "shop/acme"];
    service.cli(&wrong).expect(1).complains(&["/on_failure", "neither `next` nor `hold`"]);
}
