//! What the service manager sends and is told: readiness, reload, stop.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::harness::ack::{Books, Load};
use crate::harness::api::{WITHIN, attempts};
use crate::harness::client::{Address, Client};
use crate::harness::config::{self, Config};
use crate::harness::eventually;
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;
use crate::harness::turn;

#[tokio::test]
async fn the_service_manager_hears_of_readiness_reload_and_stop() {
    let manager = Manager::new();
    let first = manager.look_at_readiness_when_told();
    let mut service = Service::start_with(&Config::quick(), &manager.environment()).await;
    let (state, readyz) = first.await.expect("no panic");
    assert_eq!(lines(&state)[0], "READY=1", "{state}");
    assert_eq!(readyz, 200, "/readyz at the moment of READY=1");

    let before = monotonic_micros();
    service.signal("HUP");
    let reloading = manager.next();
    let [first, stamp] = lines(&reloading)[..] else { panic!("{reloading}") };
    assert_eq!(first, "RELOADING=1");
    let stamp: u64 = stamp.strip_prefix("MONOTONIC_USEC=").and_then(|stamp| stamp.parse().ok()).expect("a time");
    assert!((before..=monotonic_micros()).contains(&stamp), "{stamp} is not after {before}");
    assert_eq!(lines(&manager.next())[0], "READY=1");

    fs::write(service.folder().join(config::FILE), "[server]\nlisten = 1\n").expect("written");
    service.signal("HUP");
    assert_eq!(lines(&manager.next())[0], "RELOADING=1");
    let ready = manager.next();
    assert!(ready.starts_with("READY=1\n") && ready.contains("refused"), "{ready}");

    let (status, _) = service.terminate().await;
    assert!(status.success(), "{status}");
    assert_eq!(lines(&manager.next())[0], "STOPPING=1");
}

#[tokio::test]
async fn sigusr1_logs_the_status_and_sigusr2_does_nothing() {
    let service = Service::start(&Config::quick()).await;
    service.acme().subscribe("https://example.com/hooks/private", &["none"]).await;
    service.acme().publish_new("order.paid").await;
    service.signal("USR2");
    service.signal("USR1");
    let told =
        ["state of the store", "state of the queues", "state of the wheel", "in_flight=0", "pending=0", "events=1", "webhooks=1"];
    let all = || async { told.iter().all(|words| service.stderr().contains(words)).then_some(()) };
    eventually("the log says how things stand", WITHIN, all).await;
    assert!(!service.stderr().contains("example.com"), "{}", service.stderr());
    service.admin().get("/readyz").await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sigterm_under_load_ends_within_ten_seconds_and_loses_nothing() {
    let (receiver, books) = (Receiver::start().await, Arc::<Books>::default());
    receiver.script("/slow", [Reply::OK.after(Duration::from_secs(1))]);
    receiver.script("/hangs", [Reply::Hang, Reply::OK]);
    let config = ["quick", "slow", "hangs"].into_iter().fold(Config::quick(), |config, name| {
        config.webhook(name, &receiver.url(&format!("/{name}")), &[&format!("load.{name}")])
    });
    let mut service = Service::start_in_turn(&config, turn::alone().await).await;
    let cut = service.acme().publish_new("load.hangs").await;
    receiver.wait_for("/hangs", 1, WITHIN).await;
    let load = Load::flat_out(&service.provider("shop"), &books, 8, kind).await;
    eventually("there is load", WITHIN, || async { (books.acknowledged().len() > 300).then_some(()) }).await;
    receiver.wait_for("/slow", 1, WITHIN).await;

    let (status, took) = service.terminate().await;
    load.stop().await;
    assert!(status.success(), "{status}\n{}", service.stderr());
    assert!((Duration::from_secs(7)..Duration::from_secs(10)).contains(&took), "a hung attempt gets 8 s: {took:?}");
    assert!(!service.folder().join(config::SOCKET).exists(), "the socket is gone");
    service.check_store();
    let acknowledged = books.acknowledged();

    service.start_again().await;
    let all = || async {
        receiver.look(|received| {
            let came: std::collections::HashSet<_> = received.iter().map(|one| one.header("webhook-id")).collect();
            acknowledged.iter().all(|event| came.contains(event.id.as_str())).then_some(())
        })
    };
    eventually("all that was acknowledged is delivered", Duration::from_secs(30), all).await;
    let requests = receiver.wait_for("/hangs", 2, WITHIN).await;
    assert!(requests.iter().all(|request| request.header("webhook-id") == cut && request.body == requests[0].body));
    let delivery = service.acme().delivery_when(&cut, "succeeded").await;
    assert_eq!(attempts(&delivery).len(), 1, "the attempt that was cut is made again, as the same: {delivery}");
}

#[tokio::test]
async fn a_stopping_service_takes_nothing_and_ends_what_is_under_way() {
    let (mut service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    receiver.script("/a", [Reply::OK.after(Duration::from_secs(2))]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["order.paid"]).await;
    let mut late = HalfSent::start(&service).await;
    let event = acme.publish_new("order.paid").await;
    receiver.wait_for("/a", 1, WITHIN).await;
    service.signal("TERM");

    let stopping = || async { service.stderr().contains("stopping").then_some(()) };
    eventually("it stops", WITHIN, stopping).await;
    let refused = acme.publish(&json!({ "type": "order.paid", "data": {} })).await;
    refused.expect(503);
    let answer = late.finish().await;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1\r\n"), "{answer}");

    let (status, took) = service.ended().await;
    assert!(status.success(), "{status}");
    assert!(took < Duration::from_secs(3), "it ends as soon as the attempt does: {took:?}");
    service.start_again().await;
    let delivery = service.acme().delivery_when(&event, "succeeded").await;
    assert_eq!((attempts(&delivery).len(), receiver.received("/a").len()), (1, 1), "the attempt under way had its time");
    assert_eq!(service.acme().get("/v1/events").await.expect(200)["data"].as_array().map(Vec::len), Some(1), "no late event");
}

#[tokio::test]
async fn a_second_sigterm_cuts_attempts_short_and_they_are_made_again() {
    let (mut service, receiver) = (Service::start(&Config::quick()).await, Receiver::start().await);
    receiver.script("/a", [Reply::Hang, Reply::OK]);
    let acme = service.acme();
    acme.subscribe(&receiver.url("/a"), &["*"]).await;
    let event = acme.publish_new("order.paid").await;
    receiver.wait_for("/a", 1, WITHIN).await;
    service.signal("TERM");
    let stopping = || async { service.stderr().contains("stopping").then_some(()) };
    eventually("it stops", WITHIN, stopping).await;
    let (status, took) = service.terminate().await;
    assert!(status.success() && took < Duration::from_secs(3), "{status} after {took:?}");
    service.start_again().await;
    receiver.wait_for("/a", 2, WITHIN).await;
    assert_eq!(attempts(&service.acme().delivery_when(&event, "succeeded").await).len(), 1);
}

/// A success that came before the stop must be recorded, or the delivery would be made again.
#[tokio::test]
async fn responses_before_the_cut_are_recorded() {
    let endpoint = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/a", endpoint.local_addr().expect("bound"));
    let (mut service, requests) = (Service::start(&Config::quick()).await, Arc::<AtomicUsize>::default());
    let count = Arc::clone(&requests);
    let serving = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = endpoint.accept().await {
            let _ = stream.read(&mut [0; 4_096]).await;
            count.fetch_add(1, SeqCst);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await;
            held.push(stream);
        }
    });
    service.acme().subscribe(&url, &["*"]).await;
    let event = service.acme().publish_new("order.paid").await;
    eventually("it was sent", WITHIN, || async { (requests.load(SeqCst) > 0).then_some(()) }).await;
    service.signal("TERM");
    eventually("it stops", WITHIN, || async { service.stderr().contains("stopping").then_some(()) }).await;
    let (status, took) = service.terminate().await;
    assert!(status.success() && took < Duration::from_secs(3), "{status} after {took:?}");
    service.start_again().await;
    let delivery = service.acme().delivery_when(&event, "succeeded").await;
    let error = &attempts(&delivery)[0]["response"]["body_error"];
    assert_eq!((error, requests.load(SeqCst)), (&"the relay stopped before the body ended".into(), 1), "{delivery}");
    serving.abort();
}

/// An event of which the service has read the head, and for whose rest it waits.
struct HalfSent(TcpStream);

impl HalfSent {
    async fn start(service: &Service) -> Self {
        let mut stream = service.connect().await;
        let key = config::secret("shop-acme");
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {key}\r\ncontent-type: application/json\r\n\
             expect: 100-continue\r\ncontent-length: {}\r\n\r\n",
            LATE.len()
        );
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut buffer = [0; 25];
        let read = tokio::time::timeout(WITHIN, stream.read_exact(&mut buffer)).await.expect("an answer in time");
        read.expect("an answer");
        assert_eq!(&buffer, b"HTTP/1.1 100 Continue\r\n\r\n", "{}", String::from_utf8_lossy(&buffer));
        Self(stream)
    }

    /// Sends the rest and returns the whole answer.
    async fn finish(&mut self) -> String {
        let mut answer = String::new();
        self.0.write_all(LATE).await.expect("sent");
        let read = tokio::time::timeout(WITHIN, self.0.read_to_string(&mut answer)).await.expect("an answer in time");
        read.expect("an answer");
        answer
    }
}

/// A service manager made for the test: the socket, and where to ask for readiness.
struct Manager {
    folder: TempDir,
    socket: Arc<UnixDatagram>,
    paths: [String; 2],
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let paths = ["notify.sock", "admin.sock"].map(|name| folder.path().join(name).to_str().expect("plain").to_owned());
        let socket = UnixDatagram::bind(&paths[0]).expect("bound");
        socket.set_read_timeout(Some(WITHIN)).expect("set");
        Self { folder, socket: Arc::new(socket), paths }
    }

    fn environment(&self) -> [(&str, &str); 2] {
        [("NOTIFY_SOCKET", &self.paths[0]), ("HOOKWHEEL_SERVER_ADMIN_SOCKET", &self.paths[1])]
    }

    fn next(&self) -> String {
        receive(&self.socket)
    }

    /// The first message, and what `/readyz` says at that moment.
    fn look_at_readiness_when_told(&self) -> tokio::task::JoinHandle<(String, u16)> {
        let (socket, admin) = (Arc::clone(&self.socket), self.folder.path().join("admin.sock"));
        tokio::spawn(async move {
            let state = tokio::task::spawn_blocking(move || receive(&socket)).await.expect("no panic");
            (state, Client::new(Address::Unix(admin)).get("/readyz").await.status)
        })
    }
}

fn receive(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 4096];
    let length = socket.recv(&mut buffer).expect("a message within 10 s");
    String::from_utf8(buffer[..length].to_vec()).expect("text")
}

fn lines(state: &str) -> Vec<&str> {
    state.lines().collect()
}

fn monotonic_micros() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    u64::try_from(now.tv_sec * 1_000_000 + now.tv_nsec / 1_000).expect("after the start of the machine")
}

/// The type of an event: mostly for the quick endpoint, one in fifty for the slow one.
fn kind(number: u64) -> String {
    if number.is_multiple_of(50) { "load.slow" } else { "load.quick" }.to_owned()
}

const LATE: &[u8] = br#"{"type":"order.late","data":{}}"#;
