//! Ending by hand what waits: one delivery, or all of a webhook.

use std::time::Duration;

use serde_json::json;

use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::ran::Ran;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn one_delivery_is_cancelled_by_its_tenant() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1h"]).tenant("bolt")).await, Receiver::start().await);
    receiver.script("/a", [Reply::status(500), Reply::OK.after(SLOW)]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    let waiting = acme.delivery_that(&event, "one attempt was made", |delivery| attempts(delivery).len() == 1).await;
    let path = format!("/v1/deliveries/{}", text(&waiting["id"]));
    service.tenant("shop", "bolt").delete(&path).await.problem(404, &["delivery"]);
    acme.delete(&path).await.expect(204);
    let cancelled = acme.delivery_when(&event, "failed").await;
    assert_eq!((&cancelled["reason"], &cancelled["next_attempt_at"]), (&json!("cancelled"), &json!(null)));
    acme.delete(&path).await.problem(409, &["ended already"]);

    let under_way = acme.publish_new("order.paid").await;
    receiver.wait_for("/a", 2, WITHIN).await;
    let id = text(&acme.deliveries_of(&under_way).await[0]["id"]);
    assert_eq!(cli(&service, &["deliveries", "cancel", &id]).expect(0).stdout, format!("{id}  cancelled\n"));
    assert_eq!(acme.delivery(&id).await["reason"], "cancelled");
    acme.delivery_when(&under_way, "succeeded").await;
    cli(&service, &["deliveries", "cancel", &id]).expect(1).complains(&["ended already"]);
    assert_eq!(acme.webhook(&webhook).await["status"], "active");
}

/// What waits in memory for a slot needs no look at the store before its attempt.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn nothing_that_is_purged_is_sent() {
    let (service, receiver) = (Service::start(&Config::quick().tenant("bolt")).await, Receiver::start().await);
    receiver.script("/a", [Reply::OK.after(SLOW)]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let line = |_| json!({ "type": "order.paid", "data": {} }).to_string();
    let (published, _) = acme.publish_lines(&(0..EVENTS).map(line).collect::<Vec<_>>().join("\n")).await;
    assert_eq!(published.status, 202);
    receiver.wait_for("/a", AT_ONCE, WITHIN).await;
    let purge = format!("/v1/webhooks/{webhook}/purge");
    acme.post(&purge, &json!({ "status": "all" })).await.problem(422, &["/status", "`held`"]);
    acme.post(&purge, &json!({ "status": "held" })).await.problem(409, &["active", "`pending`"]);
    service.tenant("shop", "bolt").post(&purge, &json!({ "status": "pending" })).await.problem(404, &["webhook"]);
    let answer = acme.post(&purge, &json!({ "status": "pending" })).await.expect(202);
    assert_eq!((&answer["id"], &answer["status"], answer["until"].is_string()), (&json!(webhook), &json!("pending"), true));
    let count = async |status: &str| {
        let list = acme.get(&format!("/v1/deliveries?status={status}&limit=250")).await.expect(200);
        list["data"].as_array().map(Vec::len)
    };
    let all_ended = || async { (count("succeeded").await == Some(AT_ONCE)).then_some(()) };
    eventually("those under way succeed", WITHIN, all_ended).await;
    assert_eq!((count("failed").await, count("pending").await), (Some(EVENTS - AT_ONCE), Some(0)));
    assert_eq!(receiver.received("/a").len(), AT_ONCE);
    acme.publish_new("order.paid").await;
    receiver.wait_for("/a", AT_ONCE + 1, WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn what_is_held_is_dropped_before_its_webhook_is_enabled() {
    let receiver = Receiver::start().await;
    let service = Service::start(&Config::quick().webhook("billing", &receiver.url("/a"), &["*"])).await;
    let acme = service.acme();
    let webhook = text(&acme.get("/v1/webhooks?name=billing").await.expect(200)["data"][0]["id"]);
    receiver.script("/a", [Reply::status(410), Reply::OK]);
    let first = acme.publish_new("order.paid").await;
    acme.delivery_when(&first, "failed").await;
    let held = acme.publish_new("order.paid").await;
    acme.delivery_when(&held, "held").await;
    cli(&service, &["webhooks", "purge", "billing", "--status", "pending"]).expect(1).complains(&["`held`", "(409)"]);
    cli(&service, &["webhooks", "purge", "billing", "--status", "held", "--until", "1h"]).expect(0);
    acme.delivery_when(&held, "held").await;
    let said = cli(&service, &["webhooks", "purge", "billing", "--status", "held"]).expect(0);
    assert_eq!(said.stdout, format!("{webhook}  what is held ends as cancelled\n"));
    said.complains(&["deliveries list --webhook", "--status held"]);
    assert_eq!(acme.delivery_when(&held, "failed").await["reason"], "cancelled");
    acme.do_to_webhook(&webhook, "enable").await;
    let later = acme.publish_new("order.paid").await;
    acme.delivery_when(&later, "succeeded").await;
    assert_eq!(receiver.received("/a").len(), 2);
}

fn cli(service: &Service, args: &[&str]) -> Ran {
    service.cli(&[args, &["--tenant", "shop/acme"]].concat())
}

/// Attempts at once to one endpoint.
const AT_ONCE: usize = 16;

const EVENTS: usize = 60;

/// Long enough to act while an attempt is in flight.
const SLOW: Duration = Duration::from_millis(1_000);
