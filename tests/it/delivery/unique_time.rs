//! No two events of one type share a time, even when they are published as fast as possible and the service is killed.

use std::collections::HashSet;

use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;
use crate::harness::turn;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_two_aioka_events_of_one_type_share_a_timestamp() {
    let count = std::env::var(COUNT).map_or(20_000, |text| text.parse().expect("a number of events"));
    let config = Config::bare().provider("a", "aioka").tenant("t");
    let mut service = Service::start_in_turn(&config, turn::alone().await).await;
    let receiver = Receiver::start().await;
    service.tenant("a", "t").subscribe(&receiver.url("/a"), &["verdict.new"]).await;
    publish(&service.tenant("a", "t"), count / 2).await;
    service.kill9();
    service.start_again().await;
    publish(&service.tenant("a", "t"), count - count / 2).await;

    let (mut timestamps, mut bodies) = (HashSet::new(), HashSet::new());
    let within = std::time::Duration::from_secs(60 + count as u64 / 200);
    let mut looked = 0;
    let all = receiver.wait_until(within, |received| {
        for request in &received[looked..] {
            if bodies.insert(request.body.clone()) {
                let timestamp = request.json()["timestamp"].as_str().expect("a time").to_owned();
                assert!(timestamps.insert(timestamp.clone()), "{timestamp} twice, in two bodies");
            }
        }
        looked = received.len();
        bodies.len() >= count
    });
    assert!(all.await, "{} of {count} events came within {within:?}", bodies.len());
    assert_eq!(timestamps.len(), count);
}

/// Publishes many events of one type in few requests. Each has a number of its own.
async fn publish(tenant: &Client, count: usize) {
    let numbers: Vec<usize> = (0..count).collect();
    let slices = numbers.chunks(LINES_MAX).map(|slice| {
        let run = if slice.is_empty() { 0 } else { slice[0] };
        let line = |number: &usize| {
            format!("{{\"type\":\"verdict.new\",\"data\":{{\"n\":\"{run}-{number}-{count}\",\"r\":{}}}}}\n", unique())
        };
        slice.iter().map(line).collect::<String>()
    });
    let mut tasks = tokio::task::JoinSet::new();
    for lines in slices {
        let tenant = tenant.clone();
        tasks.spawn(async move {
            let (_, results) = tenant.publish_lines(&lines).await;
            assert!(results.iter().all(|one| one["status"] == 202), "an event was refused");
            results.len()
        });
    }
    let published: usize = tasks.join_all().await.into_iter().sum();
    assert_eq!(published, count);
}

/// A number that no other event of this test has.
fn unique() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
}

const LINES_MAX: usize = 2_500;

/// The environment variable with the number of events, which is 20,000 by default.
const COUNT: &str = "HOOKWHEEL_TEST_EVENTS";
