//! 1,000 events a second for half a minute go to twenty endpoints, of which one hangs and one refuses.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::harness::ack::{Acknowledged, Books, Load};
use crate::harness::config::Config;
use crate::harness::receiver::{Receiver, Reply, refusing_url};
use crate::harness::service::Service;
use crate::harness::turn;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_events_a_second_reach_every_healthy_endpoint() {
    let (receiver, books) = (Receiver::start().await, Arc::<Books>::default());
    receiver.script("/0", [Reply::Hang]);
    let refusing = refusing_url().await;
    let mut config = Config::quick();
    for number in 0..ENDPOINTS {
        let url = if number == 1 { refusing.clone() } else { receiver.url(&format!("/{number}")) };
        config = config.webhook(&format!("w{number}"), &url, &[&format!("load.{number}")]);
    }
    let service = Service::start_in_turn(&config, turn::alone().await).await;
    let load = Load::paced(&service.provider("shop"), &books, 64, PERIOD, kind).await;
    tokio::time::sleep(LASTS).await;
    load.stop().await;

    let acknowledged = books.acknowledged();
    let planned = LASTS.as_millis() / PERIOD.as_millis();
    assert!(acknowledged.len() as u128 * 100 >= planned * 98, "the pace was not kept: {} of {planned}", acknowledged.len());
    let healthy: Vec<_> = acknowledged.iter().filter(|event| event.number % ENDPOINTS > 1).collect();
    let all = receiver.wait_until(Duration::from_secs(15), |received| {
        received.len() >= healthy.len() && received.iter().filter(|request| request.path != "/0").count() >= healthy.len()
    });
    let all = all.await;
    let arrivals = receiver.look(|received| {
        let mut first = HashMap::new();
        for request in received {
            first.entry(request.header("webhook-id").to_owned()).or_insert(request.at);
        }
        first
    });
    report(&acknowledged, &healthy, &arrivals);
    assert!(all, "not every healthy endpoint got everything in time");
    for event in &healthy {
        assert!(arrivals.contains_key(&event.id), "{} never came", event.id);
    }
}

fn report(acknowledged: &[Acknowledged], healthy: &[&Acknowledged], arrivals: &HashMap<String, Instant>) {
    let mut accepted: Vec<_> = acknowledged.iter().map(|event| event.took).collect();
    let mut delivered: Vec<_> = healthy.iter().filter_map(|event| arrivals.get(&event.id).map(|at| *at - event.due)).collect();
    eprintln!(
        "{} events; until 202: {}; until the endpoint had it: {}",
        acknowledged.len(),
        spread(&mut accepted),
        spread(&mut delivered)
    );
}

fn spread(times: &mut [Duration]) -> String {
    times.sort_unstable();
    let at = |percent: usize| times.get(times.len() * percent / 100).or(times.last()).copied().unwrap_or_default();
    format!("p50 {:?}, p99 {:?}, most {:?}", at(50), at(99), times.last())
}

fn kind(number: u64) -> String {
    format!("load.{}", number % ENDPOINTS)
}

const ENDPOINTS: u64 = 20;
const PERIOD: Duration = Duration::from_millis(1);
const LASTS: Duration = Duration::from_secs(30);
