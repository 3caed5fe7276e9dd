//! A shortage of this machine is no fault of an endpoint.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;

use crate::harness::api::{WITHIN, attempts, text};
use crate::harness::config::Config;
use crate::harness::dns::NameServer;
use crate::harness::eventually;
use crate::harness::receiver::Receiver;
use crate::harness::service::Service;

/// If "too many open files" counted as an attempt, deliveries would fail without being sent.
#[tokio::test]
async fn without_a_file_descriptor_deliveries_wait_and_no_attempt_is_counted() {
    let (names, receiver) = (NameServer::start().await, Receiver::start().await);
    names.script("app.example.com", &[&["127.0.0.1"]]);
    let resolver = format!("resolvers = [\"{}\"]", names.address());
    let service = Service::start(&Config::retrying(&[]).delivery(&resolver)).await;
    service.acme().subscribe(&receiver.url("/a"), &["address"]).await;
    service.acme().subscribe(&format!("http://app.example.com:{}/b", receiver.address().port()), &["name"]).await;
    let mut api = service.acme().connect().await.expect("a connection that needs no new descriptor");
    api.get("/readyz").await.expect("an answer").expect(200);
    let pid = Pid::from_raw(service.pid().try_into().expect("a pid")).expect("not 0");
    let limit = |files: Option<u64>| {
        let maximum = getrlimit(Resource::Nofile).maximum;
        prlimit(Some(pid), Resource::Nofile, Rlimit { current: files.or(maximum), maximum }).expect("a child of ours")
    };
    limit(Some(lowest_free(service.pid())));

    let mut events = Vec::new();
    for kind in ["address", "name"] {
        let published = api.publish(&json!({ "type": kind, "data": {} })).await.expect("an answer");
        events.push(text(&published.expect(202)["id"]));
    }
    let deadline = tokio::time::Instant::now() + WITHIN;
    let told = loop {
        let answer = api.get("/readyz").await.expect("an answer");
        if answer.status == 503 {
            break answer.text();
        }
        assert!(tokio::time::Instant::now() < deadline, "it is ready without descriptors");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(told.contains("no file descriptor left"), "{told}");
    assert!(service.stderr().contains("no file descriptor left"), "{}", service.stderr());

    limit(None);
    for (event, path) in events.iter().zip(["/a", "/b"]) {
        let delivery = service.acme().delivery_that(event, path, |delivery| delivery["status"] != "pending").await;
        assert_eq!((attempts(&delivery).len(), receiver.received(path).len()), (1, 1), "{delivery}");
    }
    let ready = || async { (service.stranger().get("/readyz").await.status == 200).then_some(()) };
    eventually("it is ready again", WITHIN, ready).await;
}

/// The number below which a process uses every file descriptor.
fn lowest_free(pid: u32) -> u64 {
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("a child of ours").flatten();
    let numbers: std::collections::BTreeSet<u64> = open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    (0..).find(|number| !numbers.contains(number)).expect("some number is free")
}
