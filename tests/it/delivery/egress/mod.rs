//! What a webhook says about the way of its attempts: headers and credentials that go out with them and are seen nowhere else.

mod auth;
mod canary;
mod headers;
mod proxy;
mod tls;

use serde_json::{Value, json};

use crate::harness::client::Client;

/// Makes a webhook for all events with these settings.
async fn subscribe(tenant: &Client, url: &str, settings: Value) -> Value {
    let mut hook = json!({ "url": url, "events": ["*"] });
    hook.as_object_mut().expect("an object").extend(settings.as_object().expect("an object").clone());
    tenant.post("/v1/webhooks", &hook).await.expect(201)
}
