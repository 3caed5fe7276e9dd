//! One event goes to thousands of webhooks while the service is killed.

mod channels;
mod filters;
mod ordered;
mod sample;
mod settings;

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_reaches_2500_webhooks_although_the_service_is_killed() {
    let receiver = Receiver::start().await;
    let mut config = Config::bare().dialect("quick", "extends = \"standard\"\n", &["200ms", "1s"]).provider("shop", "quick");
    for tenant in 0..5 {
        config = config.tenant(&format!("t{tenant}"));
        for webhook in 0..500 {
            config = config.webhook(&format!("w{webhook}"), &receiver.url(&format!("/{tenant}/{webhook}")), &["*"]);
        }
    }
    let mut service = Service::start(&config).await;
    let event = json!({ "id": "wide", "type": "order.paid", "data": { "a": 1 }, "tenant": "*" });
    let answer = service.provider("shop").publish(&event).await.expect(202);
    assert_eq!(answer["deliveries"], 2_500);
    service.kill9();
    let before = receiver.look(<[_]>::len);
    assert!(before < 2_500, "the kill came too late to show anything");

    service.start_again().await;
    assert_eq!(service.provider("shop").publish(&event).await.expect(200), answer);
    let everyone = |received: &[_]| paths(received).len() == 2_500;
    let reached = receiver.wait_until(Duration::from_secs(30), everyone).await;
    assert!(reached, "{} of 2500 were reached", receiver.look(paths).len());
    // Some attempts were under way when the service was killed. Only those may come twice.
    assert!(receiver.look(<[_]>::len) <= 2_500 + before + IN_FLIGHT);
    service.stop_and_check().await;
}

fn paths(received: &[crate::harness::receiver::Received]) -> HashSet<String> {
    received.iter().map(|request| request.path.clone()).collect()
}

/// A bound of the attempts that were under way and that the receiver has not seen.
const IN_FLIGHT: usize = 100;
