//! Calls of the API that many tests make.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::Client;
use super::eventually;

impl Client {
    /// Makes a webhook and returns its id.
    pub(crate) async fn subscribe(&self, url: &str, events: &[&str]) -> String {
        let made = self.post("/v1/webhooks", &json!({ "url": url, "events": events })).await.expect(201);
        text(&made["id"])
    }

    pub(crate) async fn webhook(&self, id: &str) -> Value {
        self.get(&format!("/v1/webhooks/{id}")).await.expect(200)
    }

    /// Makes a call such as `enable` or `disable` for a webhook.
    pub(crate) async fn do_to_webhook(&self, id: &str, act: &str) -> Value {
        self.post(&format!("/v1/webhooks/{id}/{act}"), &json!({})).await.expect(200)
    }

    /// Publishes a small event of a type and returns its id.
    pub(crate) async fn publish_new(&self, kind: &str) -> String {
        text(&self.publish(&json!({ "type": kind, "data": { "a": 1 } })).await.expect(202)["id"])
    }

    /// What `explain` says about one webhook.
    pub(crate) async fn explained(&self, event: &str, webhook: &str) -> Value {
        let all = self.get(&format!("/v1/events/{event}/explain")).await.expect(200);
        let found = all["data"].as_array().and_then(|all| all.iter().find(|one| one["webhook_id"] == webhook));
        found.unwrap_or_else(|| panic!("no {webhook} in {all}")).clone()
    }

    /// The deliveries of an event, as the log lists them.
    pub(crate) async fn deliveries_of(&self, event: &str) -> Vec<Value> {
        let list = self.get(&format!("/v1/deliveries?event={event}")).await.expect(200);
        list["data"].as_array().expect("a list").clone()
    }

    /// One delivery with its attempts.
    pub(crate) async fn delivery(&self, id: &str) -> Value {
        let one = self.get(&format!("/v1/deliveries/{id}")).await.expect(200);
        // A dialect may wrap its answers.
        one.get("data").unwrap_or(&one).clone()
    }

    /// Waits until an event's only delivery has a status, and returns it with its attempts.
    pub(crate) async fn delivery_when(&self, event: &str, status: &str) -> Value {
        self.delivery_that(event, &format!("the delivery of {event} is {status}"), |delivery| delivery["status"] == status).await
    }

    /// Waits until an event's only delivery satisfies `wanted`, and returns it with its attempts.
    pub(crate) async fn delivery_that(&self, event: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let ask = || async {
            let all = self.deliveries_of(event).await;
            assert!(all.len() <= 1, "{event} has {} deliveries", all.len());
            let one = self.delivery(all.first()?["id"].as_str()?).await;
            wanted(&one).then_some(one)
        };
        eventually(what, WITHIN, ask).await
    }

    pub(crate) async fn retry(&self, delivery: &Value) -> super::client::Answer {
        self.post(&format!("/v1/deliveries/{}/retry", text(&delivery["id"])), &json!({})).await
    }
}

/// A value of an answer that must be a string.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}")).to_owned()
}

/// The attempts of a delivery.
#[track_caller]
pub(crate) fn attempts(delivery: &Value) -> &[Value] {
    delivery["attempts"].as_array().unwrap_or_else(|| panic!("no attempts in {delivery}"))
}

/// A deadline that is far longer than anything here takes on an idle machine.
pub(crate) const WITHIN: Duration = Duration::from_secs(10);
