//! `kill -9` at random moments under load: every event that was answered with 202 is delivered, and no other.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::ack::{Books, Load};
use crate::harness::config::Config;
use crate::harness::eventually;
use crate::harness::receiver::{Received, Receiver, Reply};
use crate::harness::seed::Random;
use crate::harness::service::Service;
use crate::harness::turn;
use crate::store::faults::count;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_under_load_lose_nothing_and_invent_nothing() {
    let (mut random, books, receiver) = (Random::new(), Arc::<Books>::default(), Receiver::start().await);
    let kills = count(25, 50);
    let mut service = Service::start_in_turn(&config(&receiver), turn::alone().await).await;
    let mut slowest_start = Duration::ZERO;
    for kill in 1..=kills {
        let load = Load::flat_out(&service.provider("shop"), &books, 16, kind).await;
        tokio::time::sleep(random.millis(20, 400)).await;
        service.kill9();
        load.stop().await;
        if kill % 10 == 0 {
            service.check_store();
        }
        let since = Instant::now();
        service.start_again().await;
        slowest_start = slowest_start.max(since.elapsed());
    }
    let acknowledged = books.acknowledged();
    assert!(acknowledged.len() > kills, "too little load to show anything: {}", acknowledged.len());
    let missing = || async {
        let came = receiver.look(deliveries);
        acknowledged.iter().all(|event| came.contains_key(event.id.as_str())).then_some(came)
    };
    let came = eventually("all that was acknowledged is delivered", Duration::from_secs(90), missing).await;
    let repeated = came.values().filter(|times| **times > 1).count();
    for id in came.keys() {
        assert!(books.was_sent(id), "{id} was delivered, but nobody published it");
    }
    receiver.look(|received| received.iter().for_each(is_what_was_published));
    service.stop_and_check().await;
    eprintln!("{kills} kills, {} acknowledged, {} delivered, {repeated} of them more than once", acknowledged.len(), came.len());
    eprintln!("slowest start after a kill: {slowest_start:?}");
}

/// Events without ids, whose deliveries do not fail, go through the journal alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_that_stood_in_the_journal_alone() {
    let (mut random, books, receiver) = (Random::new(), Arc::new(Books::nameless()), Receiver::start().await);
    let kills = count(15, 30);
    let urls = Config::bare().provider("shop", "standard").tenant("acme");
    let mut service = Service::start_in_turn(&urls.webhook("w", &receiver.url("/w"), &["load.*"]), turn::alone().await).await;
    for kill in 1..=kills {
        let load = Load::flat_out(&service.provider("shop"), &books, CONNECTIONS, kind).await;
        tokio::time::sleep(random.millis(20, 400)).await;
        service.kill9();
        load.stop().await;
        if kill % 10 == 0 {
            service.check_store();
        }
        service.start_again().await;
    }
    let acknowledged = books.acknowledged();
    assert!(acknowledged.len() > 50 * kills, "too little load to show anything: {}", acknowledged.len());
    let missing = || async {
        let came = receiver.look(deliveries);
        acknowledged.iter().all(|event| came.contains_key(event.id.as_str())).then_some(came)
    };
    let came = eventually("all that was acknowledged is delivered", Duration::from_secs(30), missing).await;
    let again: usize = came.values().map(|times| times - 1).sum();
    assert!(again <= kills * IN_FLIGHT, "{again} deliveries were made again");
    receiver.look(|received| {
        let mut ids = HashMap::new();
        for request in received {
            let number = request.json()["data"]["number"].as_u64().expect("a number");
            assert!(number < books.sent(), "nobody published {number}");
            let id = request.header("webhook-id").to_owned();
            assert_eq!(*ids.entry(id).or_insert(number), number, "one id for two events");
        }
    });
    service.stop_and_check().await;
    eprintln!("{kills} kills, {} acknowledged, {} delivered, {again} made again", acknowledged.len(), came.len());
}

/// Four endpoints of one tenant. One of them fails every other time.
fn config(receiver: &Receiver) -> Config {
    receiver.script("/3", (0..100_000).map(|number| Reply::status(if number % 2 == 0 { 500 } else { 200 })).collect::<Vec<_>>());
    let base = Config::bare().dialect("quick", "extends = \"standard\"\n[dialect.quick.disable]\nconsecutive = 0\n", &RETRIES);
    let config = base.provider("shop", "quick").tenant("acme");
    (0..4).fold(config, |config, number| {
        config.webhook(&format!("w{number}"), &receiver.url(&format!("/{number}")), &[&format!("load.{number}")])
    })
}

fn kind(number: u64) -> String {
    format!("load.{}", number % 4)
}

/// How often each event came.
fn deliveries(received: &[Received]) -> HashMap<String, usize> {
    let mut came = HashMap::new();
    for request in received {
        *came.entry(request.header("webhook-id").to_owned()).or_insert(0) += 1;
    }
    came
}

/// Checks that the id, the number in the body and the endpoint belong together.
fn is_what_was_published(request: &Received) {
    let number = request.json()["data"]["number"].as_u64().expect("a number");
    assert_eq!(request.header("webhook-id"), format!("load-{number}"));
    assert_eq!(request.path, format!("/{}", number % 4));
}

const CONNECTIONS: usize = 16;

/// The most deliveries whose outcome was not on disk when a kill came: those of events that the connections waited for, and those
/// of events that were committed before.
const IN_FLIGHT: usize = 10 * CONNECTIONS;

/// More retries than the endpoint that fails every other time can use up.
const RETRIES: [&str; 12] = ["50ms"; 12];
