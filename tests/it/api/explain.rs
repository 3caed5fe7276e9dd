//! Why an event went to a webhook or did not.

use serde_json::{Value, json};

use crate::harness::api::text;
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[tokio::test]
async fn a_webhook_is_judged_by_what_it_is_now_and_a_change_after_the_event_is_said() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let acme = service.acme();
    let changing = acme.subscribe(&receiver.url("/a"), &["order.paid"]).await;
    let steady = acme.subscribe(&receiver.url("/b"), &["order.*"]).await;
    let before = acme.publish_new("order.sent").await;
    judged(&acme, &before, &changing, (false, false), "`order.sent` is none of its event types: order.paid").await;

    a_moment().await;
    acme.patch(&format!("/v1/webhooks/{changing}"), &json!({ "events": ["order.*"] })).await.expect(200);
    let after = acme.publish_new("order.sent").await;
    let changed = judged(&acme, &before, &changing, (false, true), "changed after the event").await;
    assert!(text(&changed["why"]).starts_with("it matches now, but"), "{changed}");
    judged(&acme, &after, &changing, (true, false), "it matches").await;
    for event in [&before, &after] {
        let delivery = acme.deliveries_of(event).await.into_iter().find(|one| one["webhook_id"] == steady).expect("sent");
        let sent = judged(&acme, event, &steady, (true, false), "it matches").await;
        assert_eq!(sent["delivery_id"], delivery["id"]);
    }
    a_moment().await;
    acme.patch(&format!("/v1/webhooks/{steady}"), &json!({ "events": ["other"] })).await.expect(200);
    judged(&acme, &after, &steady, (true, true), "it matched when it was sent, and does no more; ").await;
}

#[tokio::test]
async fn what_an_event_came_to_is_told_for_each_webhook_of_the_tenant() {
    let service = Service::start(&Config::retrying(&[]).tenant("bolt")).await;
    let (receiver, acme) = (Receiver::start().await, service.acme());
    receiver.script("/failed", [crate::harness::receiver::Reply::status(500)]);
    let [sent, failed, held] = [
        acme.subscribe(&receiver.url("/sent"), &["*"]).await,
        acme.subscribe(&receiver.url("/failed"), &["*"]).await,
        acme.subscribe(&receiver.url("/held"), &["*"]).await,
    ];
    acme.do_to_webhook(&held, "disable").await;
    service.tenant("shop", "bolt").subscribe(&receiver.url("/bolt"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    a_moment().await;
    let later = acme.subscribe(&receiver.url("/later"), &["*"]).await;
    for path in ["/sent", "/failed"] {
        receiver.wait_for(path, 1, crate::harness::api::WITHIN).await;
    }
    for (webhook, status) in [(&sent, "succeeded"), (&failed, "failed"), (&held, "held")] {
        let ended = async || acme.explained(&event, webhook).await;
        let said = crate::harness::eventually(status, crate::harness::api::WITHIN, || async {
            Some(ended().await).filter(|said| said["delivery_status"] == status)
        });
        assert_eq!(said.await["sent"], true);
    }
    judged(&acme, &event, &held, (true, false), "held until the webhook is enabled").await;
    judged(&acme, &event, &later, (false, false), "made after the event; `recover`").await;

    let first = acme.get(&format!("/v1/events/{event}/explain?limit=3")).await.expect(200);
    let rest = format!("/v1/events/{event}/explain?limit=3&cursor={}", text(&first["next"]));
    let rest = acme.get(&rest).await.expect(200);
    let webhooks = [&first, &rest].map(|page| page["data"].as_array().expect("a list").clone()).concat();
    let webhooks: Vec<_> = webhooks.iter().map(|one| text(&one["webhook_id"])).collect();
    assert_eq!((webhooks, &rest["next"]), (vec![sent, failed, held, later], &Value::Null));
}

/// Until the next millisecond, to which an event's time is known.
async fn a_moment() {
    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
}

/// Asserts whether it was sent, whether the webhook was changed since, and words of the reason.
async fn judged(acme: &Client, event: &str, webhook: &str, sent_and_changed: (bool, bool), why: &str) -> Value {
    let said = acme.explained(event, webhook).await;
    assert_eq!((&said["sent"], &said["changed_since"]), (&json!(sent_and_changed.0), &json!(sent_and_changed.1)), "{said}");
    assert!(text(&said["why"]).contains(why), "no {why:?} in {said}");
    assert_eq!(text(&said["why"]).contains("changed after the event"), sent_and_changed.1, "{said}");
    said
}
