//! Delivered requests as the log keeps them, for tests that verify their signatures.

use serde_json::{Value, json};

use super::api::{attempts, text};
use super::client::Client;

/// A delivered request as the log keeps it.
#[derive(Clone)]
pub(crate) struct Sent {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Sent {
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        &found.unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).1
    }

    pub(crate) fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        let found = changed.headers.iter_mut().find(|(given, _)| given.eq_ignore_ascii_case(name));
        value.clone_into(&mut found.expect("it is there").1);
        changed
    }
}

/// Makes a webhook for all events, and returns its secret.
pub(crate) async fn subscribe_for_all(tenant: &Client, url: &str, more: Value) -> String {
    let mut hook = json!({ "url": url, "events": ["*"] });
    hook.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    let made = tenant.post("/v1/webhooks", &hook).await.expect(201);
    text(made.get("data").unwrap_or(&made).get("secret").expect("shown once"))
}

pub(crate) async fn accepted(tenant: &Client, event: Value) -> Sent {
    accepted_bytes(tenant, &event.to_string()).await
}

/// Publishes an event, and checks that the only receiver accepts it at the first attempt.
pub(crate) async fn accepted_bytes(tenant: &Client, event: &str) -> Sent {
    let answer = tenant.send(http::Method::POST, "/v1/events", "application/json", event.to_owned().into()).await;
    let id = text(&answer.expect(202)["id"]);
    let delivery =
        tenant.delivery_that(&id, &format!("{event} is delivered"), |delivery| delivery["attempts"] != json!([])).await;
    let attempt = &attempts(&delivery)[0];
    assert_eq!(attempt["response"]["status"], 200, "{event} was refused: {attempt}");
    let headers = attempt["request"]["headers"].as_object().expect("headers").iter();
    Sent { headers: headers.map(|(name, value)| (name.clone(), text(value))).collect(), body: text(&delivery["request"]["body"]) }
}
