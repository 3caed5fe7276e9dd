//! Tenants that publish at once: what the flood of one costs another, and what a key may still do once it is revoked.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::service::Service;
use crate::harness::turn;

/// A user would have waited 400 ms for each event, and one of five would have been refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_flood_of_one_tenant_holds_up_no_other() {
    let service = Service::start_in_turn(&two_tenants(), turn::alone().await).await;
    let other = service.tenant("shop", "other");
    publish_apart(&other, Duration::from_millis(300)).await;
    let mut alone = publish_apart(&other, Duration::from_secs(1)).await;
    let ends = Arc::new(AtomicBool::new(false));
    let mut floods = JoinSet::new();
    for _ in 0..4 {
        floods.spawn(flood(service.acme(), ends.clone()));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut beside = publish_apart(&other, Duration::from_secs(3)).await;
    ends.store(true, Relaxed);
    let flooded: usize = floods.join_all().await.into_iter().sum();
    let (alone, beside) = (Spread::of(&mut alone), Spread::of(&mut beside));
    eprintln!("alone {alone:?}, beside a flood of {flooded} events {beside:?}");
    assert!(flooded > 1_000, "no flood: {flooded}");
    assert!(beside.p50 <= Duration::from_millis(20), "{beside:?}");
    assert!(beside.p99 <= P99_MOST, "alone {alone:?}, beside the flood {beside:?}");
}

/// The goal is ten times the p99 alone. This bound is wider, because the flood, the service and the receiver share the processors here
/// and the build is not an optimised one; without turns it was 165 ms to seconds.
const P99_MOST: Duration = Duration::from_millis(150);

/// A user would have seen the events of a key that somebody had stolen go on for seconds after it was revoked.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_publishes_nothing_after_the_answer() {
    let service = Service::start(&two_tenants()).await;
    let made = json!({ "name": "ci", "provider": "shop", "tenant": "acme" });
    let key = service.admin().post("/v1/admin/keys", &made).await.expect(201);
    let stolen = service.stranger().with_key(&text(&key["key"]));
    let mut sending = JoinSet::new();
    for _ in 0..UPLOADS {
        let (stolen, lines) = (stolen.clone(), lines(10_000));
        sending.spawn(async move { stolen.publish_lines(&lines).await.1 });
    }
    let begun = || async { (events(&service).await > 100).then_some(()) };
    eventually("some are taken", WITHIN, begun).await;
    service.admin().delete(&format!("/v1/admin/keys/{}", text(&key["id"]))).await.expect(204);
    let at_most = events(&service).await;
    let uploads: Vec<Vec<Value>> = sending.join_all().await;
    // One that had not begun when the key went is refused whole.
    let is_answered = |results: &Vec<Value>| results.len() == 10_000 || (results.len() == 1 && results[0]["status"] == 401);
    assert!(uploads.iter().all(is_answered), "{:?}", uploads.iter().map(Vec::len).collect::<Vec<_>>());
    let results: Vec<Value> = uploads.concat();
    let taken = results.iter().filter(|line| line["status"] == 202).count() as u64;
    let refused = results.iter().filter(|line| line["status"] == 401).count() as u64;
    assert_eq!(taken + refused, results.len() as u64);
    assert!(taken <= at_most && refused > 0, "{taken} taken, {at_most} at the answer");
    assert_eq!(events(&service).await, taken);
}

/// Enough lines that a fast service has not taken all of them when the key is revoked.
const UPLOADS: usize = 8;

/// A user would have seen all publishing slow down because many customers wait for their own events.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_costs_nothing_while_others_publish() {
    let service = Service::start(&two_tenants()).await;
    let mut polls = JoinSet::new();
    for _ in 0..400 {
        let other = service.tenant("shop", "other");
        polls.spawn(async move { other.get("/v1/events?wait=30s").await.expect(200) });
    }
    let connected = || async {
        let status = service.admin().get("/v1/admin/status").await.expect(200);
        (status["connections"].as_u64() >= Some(400)).then_some(())
    };
    eventually("all wait", WITHIN, connected).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    let before = service.cpu_time();
    for _ in 0..30 {
        service.acme().publish_new("order.paid").await;
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let spent = service.cpu_time() - before;
    assert!(spent < Duration::from_millis(300), "{spent:?} for 30 events of another tenant");
    let event = service.tenant("shop", "other").publish_new("order.paid").await;
    for page in polls.join_all().await {
        assert_eq!(page["data"][0]["id"], event, "its own first event wakes each");
    }
}

#[tokio::test]
async fn a_long_poll_hears_of_events_for_all_tenants() {
    let service = Service::start(&two_tenants()).await;
    let other = service.tenant("shop", "other");
    let poll = tokio::spawn(async move { other.get("/v1/events?wait=30s").await.expect(200) });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let event = json!({ "type": "order.paid", "data": 1, "tenant": "*" });
    let id = service.provider("shop").publish(&event).await.expect(202)["id"].clone();
    assert_eq!(poll.await.expect("no panic")["data"][0]["id"], id);
}

fn two_tenants() -> Config {
    Config::quick().tenant("other")
}

/// The same in a thread of its own, so that the work of the flood's own clients is not taken for the service's.
async fn publish_apart(client: &Client, lasts: Duration) -> Vec<Duration> {
    let client = client.clone();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let publishing = move || runtime.block_on(publish_for(&client, lasts));
    tokio::task::spawn_blocking(publishing).await.expect("no panic")
}

/// Publishes one event after the other, and says how long each took.
async fn publish_for(client: &Client, lasts: Duration) -> Vec<Duration> {
    let (since, mut took) = (Instant::now(), Vec::new());
    let mut connection = client.connect().await.expect("the service listens");
    while since.elapsed() < lasts {
        let began = Instant::now();
        let answer = connection.publish(&json!({ "type": "order.paid", "data": { "a": 1 } })).await.expect("an answer");
        took.push(began.elapsed());
        assert_eq!(answer.status, 202, "{}", answer.text());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    took
}

/// Publishes many lines at once on and on; how many.
async fn flood(client: Client, ends: Arc<AtomicBool>) -> usize {
    let (lines, mut count) = (lines(5_000), 0);
    while !ends.load(Relaxed) {
        let (_, results) = client.publish_lines(&lines).await;
        count += results.iter().filter(|line| line["status"] == 202).count();
    }
    count
}

fn lines(count: usize) -> String {
    (0..count).fold(String::new(), |mut lines, number| {
        let _ = writeln!(lines, r#"{{"type":"order.paid","data":{{"number":{number},"text":"{}"}}}}"#, "x".repeat(100));
        lines
    })
}

async fn events(service: &Service) -> u64 {
    let status: Value = service.admin().get("/v1/admin/status").await.expect(200);
    status["events"].as_u64().expect("a count")
}

#[derive(Clone, Copy, Debug)]
struct Spread {
    p50: Duration,
    p99: Duration,
}

impl Spread {
    fn of(times: &mut [Duration]) -> Self {
        times.sort_unstable();
        let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
        Self { p50: at(50), p99: at(99) }
    }
}
