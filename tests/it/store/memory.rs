//! How much memory the service takes when others try to fill it: bodies for endpoints that hang, attributes, answers that nobody
//! reads, and many uploads at once.
//!
//! With `HOOKWHEEL_TEST_MEMORY=full` each comes at its full size, which takes minutes on a small machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::JoinHandle;

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::{self, Config};
use crate::harness::eventually;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_for_endpoints_that_hang_are_in_memory_once() {
    let (webhooks, events) = if full() { (250, 40) } else { (60, 20) };
    let (hole, receiver) = (BlackHole::start().await, Receiver::start().await);
    let mut config = Config::quick();
    for number in 0..webhooks {
        config = config.webhook(&format!("w{number}"), &hole.url(), &["large"]);
    }
    let mut service = Service::start(&config.webhook("healthy", &receiver.url("/healthy"), &["small"])).await;
    for number in 0..events {
        service.acme().publish(&large(&number.to_string())).await.expect(202);
    }
    let under_way = webhooks * events.min(SLOTS);
    hole.wait_for(under_way).await;
    is_within_bound(&service, "bodies under way");

    // After a restart the bodies are read back from disk.
    let before = hole.connections();
    service.kill9();
    service.start_again().await;
    hole.wait_for(before + under_way).await;
    is_within_bound(&service, "bodies under way after a restart");
    service.acme().publish_new("small").await;
    receiver.wait_for("/healthy", 1, WITHIN).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_hang_leave_room_for_endpoints_that_answer() {
    let (hole, receiver) = (BlackHole::start().await, Receiver::start().await);
    // Of 64 MiB, 4 are for fresh events and 16 for large bodies of any endpoint.
    let mut config = Config::quick().delivery("memory = \"64MiB\"").webhook("healthy", &receiver.url("/healthy"), &["healthy"]);
    for number in 0..8 {
        config = config.webhook(&format!("w{number}"), &hole.url(), &[&format!("hung.{number}")]);
    }
    let service = Service::start(&config).await;
    for number in 0..80 {
        let mut event = large(&number.to_string());
        event["type"] = json!(format!("hung.{}", number % 8));
        service.acme().publish(&event).await.expect(202);
    }
    // These are under way. The others wait for room.
    eventually("its part is full", WITHIN, || async { (hole.connections() >= 16).then_some(()) }).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(hole.connections() <= 30, "{} bodies of a megabyte are under way in 20 MiB", hole.connections());
    for round in 1..=20 {
        service.acme().publish_new("healthy").await;
        receiver.wait_for("/healthy", round, Duration::from_secs(2)).await;
    }
    let mut event = large("for one that answers");
    event["type"] = json!("healthy");
    service.acme().publish(&event).await.expect(202);
    receiver.wait_for("/healthy", 21, Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_with_the_most_attributes_take_little() {
    let (hole, mut config) = (BlackHole::start().await, Config::quick());
    for number in 0..10 {
        config = config.webhook(&format!("w{number}"), &hole.url(), &["*"]);
    }
    let service = Service::start(&config).await;
    let attributes: serde_json::Map<String, Value> = (0..64).map(|at| (format!("a{at:02}"), json!("x".repeat(251)))).collect();
    let event = json!({ "type": "a.b", "data": {}, "attributes": attributes });
    for _ in 0..160 {
        service.acme().publish(&event).await.expect(202);
    }
    hole.wait_for(160).await;
    is_within_bound(&service, "attributes");
    let mut more = event.clone();
    more["attributes"]["one_more"] = json!(1);
    service.acme().publish(&more).await.problem(422, &["/attributes", "64"]);
    more["attributes"] = json!({ "a": "x".repeat(16 << 10) });
    service.acme().publish(&more).await.problem(422, &["/attributes", "16 KiB"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_that_nobody_reads_share_their_part() {
    let (receiver, pages) = (Receiver::start().await, if full() { 400 } else { 200 });
    let service = Service::start(&Config::quick().webhook("healthy", &receiver.url("/healthy"), &["small"])).await;
    let acme = service.acme();
    for number in 0..6 {
        acme.publish(&large(&number.to_string())).await.expect(202);
    }
    let page = acme.get("/v1/events?limit=250").await.expect(200);
    let shown = page["data"].as_array().expect("a list").len();
    assert!((3..=4).contains(&shown), "a page ends at 4 MiB: {shown}");
    let rest = acme.get(&format!("/v1/events?cursor={}", text(&page["next"]))).await.expect(200);
    assert_eq!((rest["data"].as_array().map(Vec::len), rest["next"].is_null()), (Some(6 - shown), true));

    let mut unread = Vec::new();
    for _ in 0..pages {
        unread.push(ask(&service, "/v1/events?limit=250").await);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    is_within_bound(&service, "unread pages");
    acme.publish_new("small").await;
    receiver.wait_for("/healthy", 1, WITHIN).await;
    service.stranger().get("/healthz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_at_once_share_their_part() {
    let uploads = if full() { 64 } else { 12 };
    let service = Service::start(&Config::quick()).await;
    let line = json!({ "type": "a.b", "data": "x".repeat(1000 << 10) }).to_string() + "\n";
    let body: bytes::Bytes = line.repeat(16).into();
    let mut under_way = tokio::task::JoinSet::new();
    for _ in 0..uploads {
        let (acme, body) = (service.acme(), body.clone());
        under_way.spawn(async move { acme.send(http::Method::POST, "/v1/events", "application/x-ndjson", body).await });
    }
    let mut taken = 0;
    while let Some(answer) = under_way.join_next().await {
        let answer = answer.expect("no panic");
        assert!(
            answer.status == 202 || (answer.status == 503 && answer.headers.contains_key("retry-after")),
            "{}",
            answer.text()
        );
        taken += usize::from(answer.status == 202);
    }
    assert!(taken >= 4, "as many as fit at once were taken: {taken}");
    is_within_bound(&service, "uploads");
}

#[tokio::test]
async fn a_body_of_nothing_but_line_ends_takes_little_more_than_itself() {
    let service = Service::start(&Config::quick()).await;
    let body = bytes::Bytes::from(vec![b'\n'; 16 << 20]);
    let answer = service.acme().send(http::Method::POST, "/v1/events", "application/x-ndjson", body).await;
    answer.problem(413, &["16777216 lines", "10000"]);
    is_within_bound(&service, "line ends");
}

#[tokio::test]
async fn a_delivery_shows_its_body_once_however_often_it_was_sent() {
    let receiver = Receiver::start().await;
    receiver.script("/a", [Reply::status(500)]);
    let service = Service::start(&Config::quick().webhook("w", &receiver.url("/a"), &["*"])).await;
    let acme = service.acme();
    let id = text(&acme.publish(&large("once")).await.expect(202)["id"]);
    let delivery = acme.delivery_when(&id, "failed").await;
    assert_eq!(delivery["attempts"].as_array().map(Vec::len), Some(3));
    assert_eq!(text(&delivery["request"]["body"]).into_bytes(), receiver.received("/a")[0].body);
    let answer = acme.get(&format!("/v1/deliveries/{}", text(&delivery["id"]))).await;
    assert!(answer.body.len() < 2 << 20, "{} bytes", answer.body.len());
}

/// If a deleted webhook stayed in memory, it would do so for two retentions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn deleted_webhooks_leave_nothing_in_memory() {
    let service = Service::start(&Config::quick()).await;
    let mut keys = Vec::new();
    for number in 0..KEYS {
        let new = json!({ "name": format!("k{number}"), "provider": "shop", "tenant": "acme", "scopes": ["manage"] });
        keys.push(text(&service.admin().post("/v1/admin/keys", &new).await.expect(201)["key"]));
    }
    let before = service.peak_bytes();
    let mut makers = tokio::task::JoinSet::new();
    for (number, key) in keys.iter().enumerate() {
        let client = service.stranger().with_key(key);
        makers.spawn(async move { come_and_go(&client, number).await });
    }
    makers.join_all().await;
    let grown = service.peak_bytes() - before;
    eprintln!("webhooks that come and go: {} MiB", grown >> 20);
    assert!(grown <= COME_AND_GONE_BYTES, "{} MiB stay of them", grown >> 20);
    let acme = service.acme();
    assert_eq!(acme.get("/v1/webhooks").await.expect(200)["data"], json!([]));
}

async fn come_and_go(client: &Client, maker: usize) {
    for number in 0..WEBHOOKS {
        let made = client.post("/v1/webhooks", &webhook(&format!("w{maker}-{number}"))).await.expect(201);
        client.delete(&format!("/v1/webhooks/{}", text(&made["id"]))).await.expect(204);
    }
}

/// A large webhook.
fn webhook(name: &str) -> Value {
    let events: Vec<String> = (0..200).map(|kind| format!("kind-{kind:0>100}")).collect();
    json!({ "url": "https://example.com/", "name": name, "events": events, "description": "d".repeat(1_000) })
}

/// An event of a megabyte that holds `what`.
fn large(what: &str) -> Value {
    json!({ "type": "large", "data": { "what": what, "filler": "x".repeat(1000 << 10) } })
}

#[track_caller]
fn is_within_bound(service: &Service, what: &str) {
    let peak = service.peak_bytes();
    eprintln!("{what}: at most {} MiB", peak >> 20);
    assert!(peak <= BOUND_BYTES, "{what} took {} MiB", peak >> 20);
}

/// Sends a request on a connection from which nothing will be read.
async fn ask(service: &Service, path: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(SMALL_BUFFER).expect("a size");
    let mut stream = socket.connect(service.address()).await.expect("the service listens");
    let key = config::secret("shop-acme");
    let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    stream
}

/// Accepts connections and reads only the first bytes, so that the rest stays with its sender.
struct BlackHole {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    accept: JoinHandle<()>,
}

impl BlackHole {
    async fn start() -> Self {
        raise_descriptors();
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(SMALL_BUFFER).expect("a size");
        socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
        let listener = socket.listen(4096).expect("it listens");
        let address = listener.local_addr().expect("bound");
        let connections = Arc::<AtomicUsize>::default();
        let accept = tokio::spawn(swallow(listener, connections.clone()));
        Self { address, connections, accept }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// The number of connections on which a request has begun.
    fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    async fn wait_for(&self, count: usize) {
        let there = || async { (self.connections() >= count).then_some(()) };
        eventually(&format!("{count} requests began"), Duration::from_secs(60), there).await;
    }
}

impl Drop for BlackHole {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn swallow(listener: TcpListener, connections: Arc<AtomicUsize>) {
    let mut held = tokio::task::JoinSet::new();
    while let Ok((mut stream, _)) = listener.accept().await {
        let connections = connections.clone();
        held.spawn(async move {
            if stream.read_u8().await.is_ok() {
                connections.fetch_add(1, Relaxed);
                std::future::pending::<()>().await;
            }
            drop(stream);
        });
    }
}

/// Thousands of connections, with both ends in this process, need more descriptors than a process has by default.
fn raise_descriptors() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the hard limit is allowed");
}

fn full() -> bool {
    std::env::var_os("HOOKWHEEL_TEST_MEMORY").is_some_and(|size| size == "full")
}

/// The most memory that the service may take, whatever others do.
const BOUND_BYTES: u64 = 512 << 20;

/// The number of keys that make webhooks, each as many as it may in a minute.
const KEYS: usize = 20;
const WEBHOOKS: usize = 60;

/// The most memory that 1,200 deleted webhooks may still take: for those under way, and for pages of the store, in which the audit
/// log has some 16 KiB of each. The webhooks themselves would take about as much again.
const COME_AND_GONE_BYTES: u64 = 32 << 20;

/// The buffer is small, so that the system keeps little of what is not read.
const SMALL_BUFFER: u32 = 4 << 10;

/// The attempts of one endpoint at once.
const SLOTS: usize = 16;
