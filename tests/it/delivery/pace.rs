//! When an endpoint is attempted: what its answers ask for, its one slot after a failure, and its turns between old and new
//! deliveries.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::{Received, Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test]
async fn a_retry_after_with_a_date_is_obeyed() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let date = (Timestamp::now() + 4.seconds()).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    receiver.script("/a", [Reply::status(503).header("Retry-After", &date), Reply::OK]);
    service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    service.acme().publish_new("order.paid").await;
    let requests = receiver.wait_for("/a", 2, WITHIN).await;
    let waited = requests[1].at - requests[0].at;
    assert!((Duration::from_millis(2_000)..Duration::from_millis(5_000)).contains(&waited), "{waited:?} for {date}");
}

/// These are more deliveries than have permits in memory. The others are written back to disk and come from there.
#[tokio::test]
async fn thousands_of_deliveries_may_name_one_moment_to_come_back() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    let date = (Timestamp::now() + 10.seconds()).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    receiver.script("/a", [Reply::status(503).header("Retry-After", &date).body(&"x".repeat(1_000))]);
    service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    let lines: String =
        (0..THUNDERING).map(|number| json!({ "type": "a", "data": { "number": number } }).to_string() + "\n").collect();
    assert!(service.acme().publish_lines(&lines).await.1.iter().all(|line| line["status"] == 202));
    assert!(receiver.wait_until(Duration::from_secs(9), |received| received.len() == THUNDERING).await, "all were tried before");
    receiver.script("/a", [Reply::OK]);
    assert!(receiver.wait_until(Duration::from_secs(30), |received| received.len() == 2 * THUNDERING).await, "all came back");
    let times = receiver.look(|received| {
        let mut times = HashMap::new();
        received.iter().for_each(|request| *times.entry(request.header("webhook-id").to_owned()).or_insert(0) += 1);
        times
    });
    assert!(times.len() == THUNDERING && times.values().all(|times| *times == 2));
}

#[tokio::test]
async fn a_retry_after_never_shortens_and_never_exceeds_a_day() {
    let (service, receiver) = (Service::start(&Config::retrying(&["1200ms"])).await, Receiver::start().await);
    let acme = service.acme();
    receiver.script("/soon", [Reply::status(429).header("Retry-After", "1")]);
    receiver.script("/late", [Reply::status(429).header("Retry-After", "99999999")]);
    for path in ["/soon", "/late"] {
        acme.subscribe(&receiver.url(path), &[&path[1..]]).await;
    }
    let soon = acme.publish_new("soon").await;
    let late = acme.publish_new("late").await;
    let failed = acme.delivery_when(&soon, "failed").await;
    assert_eq!(attempts(&failed).len(), 2, "it adds no attempt: {failed}");
    let requests = receiver.received("/soon");
    assert!(requests[1].at - requests[0].at >= Duration::from_millis(1_200), "it never shortens the wait");

    let waiting = acme.delivery_that(&late, "one attempt was made", |delivery| attempts(delivery).len() == 1).await;
    let next: Timestamp = text(&waiting["next_attempt_at"]).parse().expect("a time");
    let hours = next.duration_since(Timestamp::now()).as_hours();
    assert!((23..=24).contains(&hours), "{waiting}");
}

#[tokio::test]
async fn a_readable_retry_after_counts_on_429_and_503_alone() {
    let (service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    receiver.script("/status", [Reply::status(500).header("Retry-After", "5"), Reply::OK]);
    receiver.script("/garbage", [Reply::status(503).header("Retry-After", "soon"), Reply::OK]);
    for path in ["/status", "/garbage"] {
        service.acme().subscribe(&receiver.url(path), &["*"]).await;
    }
    service.acme().publish_new("order.paid").await;
    for path in ["/status", "/garbage"] {
        let requests = receiver.wait_for(path, 2, WITHIN).await;
        let waited = requests[1].at - requests[0].at;
        assert!(waited < Duration::from_secs(1), "{path}: {waited:?}");
    }
}

#[tokio::test]
async fn a_dialect_may_ignore_retry_after_and_410() {
    let config = Config::bare().dialect("plain", "extends = \"decisio\"\nevent_type = []\n", &["200ms"]);
    let service = Service::start(&config.provider("shop", "plain").tenant("acme")).await;
    let (receiver, acme) = (Receiver::start().await, service.acme());
    receiver.script("/a", [Reply::status(503).header("Retry-After", "5"), Reply::OK]);
    receiver.script("/b", [Reply::status(410), Reply::OK]);
    let [_, gone] = [acme.subscribe(&receiver.url("/a"), &["a"]).await, acme.subscribe(&receiver.url("/b"), &["b"]).await];
    for kind in ["a", "b"] {
        let event = acme.publish_new(kind).await;
        acme.delivery_when(&event, "succeeded").await;
        let requests = receiver.received(&format!("/{kind}"));
        assert!(requests[1].at - requests[0].at < Duration::from_secs(1), "{kind}");
    }
    assert_eq!(acme.webhook(&gone).await["status"], "active");
}

#[tokio::test]
async fn after_a_timeout_an_endpoint_has_one_slot_until_a_success() {
    has_one_slot_after(Reply::Hang).await;
}

#[tokio::test]
async fn after_a_502_an_endpoint_has_one_slot_until_a_success() {
    has_one_slot_after(Reply::status(502)).await;
}

#[tokio::test]
async fn after_a_504_an_endpoint_has_one_slot_until_a_success() {
    has_one_slot_after(Reply::status(504)).await;
}

#[tokio::test]
async fn an_endpoint_has_as_many_attempts_at_once_as_the_config_gives_it() {
    let config = Config::quick().delivery("in_flight_per_endpoint = 3");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    receiver.script("/a", [Reply::OK.after(SLOW)]);
    service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    for _ in 0..9 {
        service.acme().publish_new("order.paid").await;
    }
    let requests = receiver.wait_for("/a", 9, WITHIN).await;
    for at in 3..9 {
        assert!(requests[at].at - requests[at - 3].at >= SLOW - JITTER, "request {at} came while three were under way");
    }
    assert!(requests[2].at - requests[0].at < SLOW, "three go at once");
}

#[tokio::test]
async fn held_deliveries_alternate_with_new_ones() {
    let config = Config::quick().delivery("in_flight_per_endpoint = 1");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    receiver.script("/a", [Reply::OK.after(Duration::from_millis(800)), Reply::OK]);
    let acme = service.acme();
    let webhook = acme.subscribe(&receiver.url("/a"), &["*"]).await;
    acme.do_to_webhook(&webhook, "disable").await;
    for number in 0..7 {
        publish(&service, "held", number).await;
    }
    acme.do_to_webhook(&webhook, "enable").await;
    receiver.wait_for("/a", 1, WITHIN).await;
    // All are published while the first attempt is under way.
    for number in 0..6 {
        publish(&service, "new", number).await;
    }
    let requests = receiver.wait_for("/a", 13, WITHIN).await;
    let kinds: Vec<_> = requests.iter().map(|request| text(&request.json()["type"])).collect();
    assert_eq!(kinds[0], "held");
    assert!(kinds[1..].chunks(2).all(|pair| pair[0] != pair[1]), "they take turns: {kinds:?}");
    for kind in ["held", "new"] {
        let numbers: Vec<_> = requests.iter().filter(|one| one.json()["type"] == kind).map(number).collect();
        assert!(numbers.is_sorted(), "oldest first: {kind} {numbers:?}");
    }
}

#[tokio::test]
async fn a_wait_for_one_endpoint_does_not_make_the_service_unready() {
    let config = Config::quick().delivery("in_flight_per_endpoint = 1");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    receiver.script("/a", [Reply::Hang]);
    service.acme().subscribe(&receiver.url("/a"), &["*"]).await;
    for number in 0..5 {
        publish(&service, "order.paid", number).await;
    }
    receiver.wait_for("/a", 1, WITHIN).await;
    // This is longer than the 5 s after which lateness counts.
    tokio::time::sleep(Duration::from_millis(6_500)).await;
    let ready = service.stranger().get("/readyz").await;
    assert_eq!((ready.status, ready.json()["status"].clone()), (200, json!("ready")), "{}", ready.text());
    service.stranger().get("/healthz").await.expect(200);
}

#[tokio::test]
async fn a_wait_for_the_common_slots_makes_the_service_unready() {
    let keys = "extends = \"standard\"\n[dialect.patient.delivery]\ntimeout = \"12s\"\n";
    let config = Config::bare().dialect("patient", keys, &["1h"]).provider("shop", "patient").tenant("acme");
    let service = Service::start(&config.delivery("in_flight = 1")).await;
    let (receiver, stranger) = (Receiver::start().await, service.stranger());
    receiver.script("/hung", [Reply::Hang]);
    for kind in ["hung", "waits"] {
        service.acme().subscribe(&receiver.url(&format!("/{kind}")), &[kind]).await;
    }
    publish(&service, "hung", 0).await;
    receiver.wait_for("/hung", 1, WITHIN).await;
    publish(&service, "waits", 0).await;
    let since = Instant::now();
    let unready = || async { Some(stranger.get("/readyz").await).filter(|answer| answer.status != 200) };
    let unready = eventually("the only slot is taken for too long", WITHIN, unready).await;
    assert!(since.elapsed() >= Duration::from_secs(5), "late is what waits for more than 5 s: {:?}", since.elapsed());
    assert_eq!((unready.status, unready.json()["status"].clone()), (503, json!("not ready")));
    assert!(text(&unready.json()["reasons"][0]).contains("a due delivery waits"), "{}", unready.text());
    assert_eq!(service.admin().get("/v1/admin/status").await.expect(200)["ready"], false);
    assert!(receiver.received("/waits").is_empty());

    receiver.wait_for("/waits", 1, WITHIN).await;
    let ready = || async { (stranger.get("/readyz").await.status == 200).then_some(()) };
    eventually("ready again", WITHIN, ready).await;
}

/// The first attempt fails by `trouble`, three fail in another way, and then one succeeds.
async fn has_one_slot_after(trouble: Reply) {
    let keys = "extends = \"standard\"\n[dialect.once.delivery]\ntimeout = \"800ms\"\n";
    let config = Config::bare().dialect("once", keys, &["1h"]).provider("shop", "once").tenant("acme");
    let (service, receiver) = (Service::start(&config).await, Receiver::start().await);
    let failing = Reply::status(500).after(SLOW);
    receiver.script("/a", [trouble, failing.clone(), failing.clone(), failing, Reply::OK.after(SLOW)]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let first = publish(&service, "order.paid", 0).await;
    acme.delivery_that(&first, "one attempt was made", |delivery| attempts(delivery).len() == 1).await;
    for number in 1..5 {
        publish(&service, "order.paid", number).await;
    }
    let requests = receiver.wait_for("/a", 5, WITHIN).await;
    for at in 2..5 {
        assert!(requests[at].at - requests[at - 1].at >= SLOW - JITTER, "request {at} came while another was under way");
    }
    acme.delivery_when("order-paid-4", "succeeded").await;
    for number in 5..9 {
        publish(&service, "order.paid", number).await;
    }
    let requests = receiver.wait_for("/a", 9, WITHIN).await;
    assert!(requests[8].at - requests[5].at < SLOW, "after a success they go at once again");
}

/// Publishes an event whose id is made of its kind and number.
async fn publish(service: &Service, kind: &str, number: u64) -> String {
    let id = format!("{}-{number}", kind.replace('.', "-"));
    let event = json!({ "id": id, "type": kind, "data": { "number": number } });
    service.acme().publish(&event).await.expect(202);
    id
}

fn number(request: &Received) -> u64 {
    let body: Value = request.json();
    body["data"]["number"].as_u64().expect("a number")
}

/// Long enough to see whether attempts overlap, also on a busy machine.
const SLOW: Duration = Duration::from_millis(400);

/// The longest time between the sending of an answer here and its reading in the service.
const JITTER: Duration = Duration::from_millis(5);

const THUNDERING: usize = 6_000;
