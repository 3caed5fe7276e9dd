//! Who comes in, and what a crowd at the entrance costs the others.

use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::harness::api::{WITHIN, text};
use crate::harness::client::Client;
use crate::harness::config::{self, Config};
use crate::harness::receiver::{Receiver, Reply};
use crate::harness::service::Service;
use crate::harness::turn;

/// A user would have seen the load balancer take the service out, and every publish time out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn idle_strangers_and_slow_heads_shut_nobody_out() {
    many_files();
    let service = Service::start_in_turn(&Config::quick(), turn::alone().await).await;
    let mut held = crowd(&service, 2_048, b"").await;
    is_open_to_all(&service).await;
    held.extend(crowd(&service, 5_000, b"GET /readyz HTTP/1.1\r\nhost: a").await);
    is_open_to_all(&service).await;
    let mut publisher = service.acme().connect().await.expect("taken in");
    for number in 0..3 {
        held.extend(crowd(&service, 800, b"G").await);
        let id = format!("kept-{number}");
        let answer = publisher.publish(&json!({ "id": id, "type": "a", "data": 1 })).await.expect("still there");
        assert_eq!(answer.status, 202, "a connection that has shown a key gives way to no stranger");
    }
    let status = service.admin().get("/v1/admin/status").await.expect(200);
    assert!(status["connections"].as_u64() <= Some(2_304 + 64), "{status}");
}

/// A user would have seen the next request on the connection fail, although nobody had said that it closes.
#[tokio::test]
async fn a_refused_call_goes_on_or_says_that_it_closes() {
    let service = Service::start(&Config::quick()).await;
    let key = format!("x-api-key: {}\r\n", config::secret("shop-acme"));
    let large = "x".repeat(300_000);
    for (method, path, key, body, status) in [
        ("POST", "/v1/events", "", "{}", 401),
        ("POST", "/v1/nothing", &*key, "{}", 404),
        ("PUT", "/v1/events", &*key, "{}", 405),
        ("POST", "/v1/admin/reload", &*key, "{}", 403),
        ("POST", "/healthz", "", "{}", 405),
        ("GET", "/healthz", "", "{}", 200),
        ("POST", "/v1/events", "", &*large, 401),
        ("POST", "/v1/webhooks", &*key, &*large, 413),
        ("POST", "/v1/events", &*key, "{}", 422),
    ] {
        for framing in [format!("content-length: {}\r\n\r\n{body}", body.len()), chunks(body)] {
            let mut stream = service.connect().await;
            stream.write_all(format!("{method} {path} HTTP/1.1\r\nhost: a\r\n{key}{framing}").as_bytes()).await.expect("sent");
            let head = read_head(&mut stream).await;
            assert!(head.starts_with(&format!("http/1.1 {status} ")), "{method} {path}: {head}");
            if !head.contains("connection: close") {
                read_body(&mut stream, &head).await;
                stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.expect("sent");
                let next = read_head(&mut stream).await;
                assert!(next.starts_with("http/1.1 200 "), "after {method} {path} with {} bytes: {next:?}", body.len());
            }
        }
    }
}

/// A user would have seen connections break at every restart of the service.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn publishers_hear_of_a_stop_and_none_is_broken_off() {
    let (receiver, config) = (Receiver::start().await, Config::quick());
    receiver.script("/slow", [Reply::OK.after(Duration::from_millis(1_500))]);
    let config = config.webhook("slow", &receiver.url("/slow"), &["slow"]);
    let mut service = Service::start(&config).await;
    let idle = service.acme().connect().await.expect("taken in");
    service.acme().publish_new("slow").await;
    receiver.wait_for("/slow", 1, WITHIN).await;
    let mut publishers = JoinSet::new();
    for _ in 0..16 {
        publishers.spawn(publish_until_gone(service.acme()));
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    service.signal("TERM");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let late = publish_on(idle, "late").await.expect("an idle connection is answered while the service drains");
    assert_eq!((late.status, &late.headers["connection"]), (503, &http::HeaderValue::from_static("close")));
    let (status, took) = service.ended().await;
    assert!(status.success() && took < Duration::from_secs(5), "{status} after {took:?}");
    let (mut taken, mut refused) = (0, 0);
    for heard in publishers.join_all().await {
        let (ours_taken, ours_refused) = heard.expect("no connection breaks off");
        (taken, refused) = (taken + ours_taken, refused + ours_refused);
    }
    assert!(taken > 16 && refused >= 16, "{taken} taken, {refused} refused");
}

/// A user would have seen every delivery fail with "too many open files".
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_take_no_file_from_deliveries_and_the_admin_socket() {
    many_files();
    let receiver = Receiver::start().await;
    let config = Config::quick().webhook("all", &receiver.url("/a"), &["*"]);
    let service = Service::start_with_files(&config, 700).await;
    let _held = crowd(&service, 1_200, b"").await;
    let mut events = Vec::new();
    for _ in 0..20 {
        events.push(service.acme().publish_new("order.paid").await);
    }
    receiver.wait_for("/a", 20, WITHIN).await;
    service.admin().get("/v1/admin/status").await.expect(200);
    for event in &events {
        let delivery = service.acme().delivery_when(event, "succeeded").await;
        assert_eq!(delivery["attempts"].as_array().map(Vec::len), Some(1), "{delivery}");
    }
    assert!(service.stderr().contains("the limit of 700 open files"), "{}", service.stderr());
    assert!(!service.stderr().contains("Too many open files"), "{}", service.stderr());
}

/// A user would have seen 872 guesses a second answered one like the other, and not a word of them.
#[tokio::test]
async fn wrong_keys_have_a_rate_and_right_ones_have_none() {
    let service = Service::start(&Config::quick()).await;
    let (guess, since) = ("a-guess-of-24-characters-or-more", Instant::now());
    let mut guessing = service.stranger().with_key(guess).connect().await.expect("taken in");
    let mut heard = std::collections::BTreeMap::<u16, u32>::new();
    for _ in 0..100 {
        let answer = guessing.get("/v1/webhooks").await.expect("the connection stays");
        *heard.entry(answer.status).or_default() += 1;
        if answer.status == 429 {
            answer.problem(429, &["opens nothing", "keys list"]);
            assert_eq!(answer.headers["retry-after"], "1");
        }
    }
    let most = 10 + u32::try_from(since.elapsed().as_millis() / 100).expect("short") + 1;
    assert!((10..=most).contains(&heard[&401]) && heard[&401] + heard[&429] == 100, "{heard:?}, at most {most}");
    service.acme().publish_new("order.paid").await;
    service.admin().with_key(guess).get("/v1/admin/status").await.expect(200);
    service.stranger().get("/v1/webhooks").await.problem(401, &["no key was given"]);

    let made = service.cli(&["keys", "new", "short-lived", "--tenant", "shop/acme", "--json"]).expect(0).json();
    let (id, key) = (text(&made["id"]), text(&made["key"]));
    service.cli(&["keys", "revoke", &id]).expect(0);
    tokio::time::sleep(Duration::from_millis(150)).await;
    service.stranger().with_key(&key).get("/v1/webhooks").await.expect(401);

    let (said, status) = (service.stderr(), service.admin().get("/v1/admin/status").await.expect(200));
    for words in ["why=\"the key is unknown\"", "why=\"the key was revoked\"", "why=\"no key was given\"", "answered 429"] {
        let lines: Vec<&str> = said.lines().filter(|line| line.contains(words)).collect();
        assert_eq!(lines.len(), 1, "once a minute: {said}");
        assert!(lines[0].contains(" WARN ") && lines[0].contains("address=127.0.0.1") && lines[0].contains("count=1"), "{said}");
    }
    assert!(!said.contains(guess) && !said.contains(&key), "{said}");
    assert_eq!((&status["unauthorized"], &status["wrong_keys_limited"]), (&json!(102), &json!(heard[&429])));
}

/// A user would have seen publishing stand still for half a minute, or 503, because another customer's uploads hung.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_uploads_of_one_tenant_hold_up_no_other() {
    let service = Service::start(&Config::quick().tenant("globex")).await;
    let key = config::secret("shop-acme");
    let head = format!(
        "POST /v1/events HTTP/1.1\r\nhost: a\r\nx-api-key: {key}\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
        16 << 20
    );
    let mut silent = Vec::new();
    for sent in [0, 1, 20 << 10, 100 << 10, 100 << 10, 1 << 20, 4 << 20, 15 << 20] {
        let mut stream = service.connect().await;
        stream.write_all(head.as_bytes()).await.expect("sent");
        // What finds no room stays in the network.
        let _ = timeout(Duration::from_millis(500), stream.write_all(&vec![b'x'; sent])).await;
        silent.push(stream);
    }
    let event = |kib: usize| json!({ "type": "a.b", "data": "x".repeat(kib << 10) });
    for (tenant, kib) in [("globex", 20), ("globex", 1000), ("acme", 20)] {
        // The quickest of some: a machine that is busy otherwise is slow now and then, and silence lasts for 20 s.
        let mut quickest = Duration::MAX;
        for _ in 0..3 {
            let since = Instant::now();
            service.tenant("shop", tenant).publish(&event(kib)).await.expect(202);
            quickest = quickest.min(since.elapsed());
        }
        assert!(quickest < Duration::from_secs(1), "{kib} KiB of {tenant} took {quickest:?}");
    }
}

/// Publishes on and on, each time on a new connection when the last one was closed, until the service is gone. How often it was
/// taken and refused; an error when an answer breaks off.
async fn publish_until_gone(client: Client) -> std::io::Result<(u32, u32)> {
    let (mut taken, mut refused) = (0, 0);
    while let Ok(mut connection) = client.connect().await {
        loop {
            let answer = connection.publish(&json!({ "type": "a", "data": 1 })).await?;
            let closes = answer.headers.get("connection").is_some_and(|value| value == "close");
            match answer.status {
                202 => taken += 1,
                503 => {
                    assert_eq!(answer.headers["retry-after"], "1");
                    assert!(closes, "{answer:?}");
                    refused += 1;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                _ => return Err(std::io::Error::other(answer.text())),
            }
            if closes {
                break;
            }
        }
    }
    Ok((taken, refused))
}

async fn publish_on(
    mut connection: crate::harness::client::Connection,
    id: &str,
) -> std::io::Result<crate::harness::client::Answer> {
    connection.publish(&json!({ "id": id, "type": "a", "data": 1 })).await
}

/// Health within a second, and a publish.
async fn is_open_to_all(service: &Service) {
    let since = Instant::now();
    let asked = timeout(Duration::from_secs(1), service.stranger().get("/readyz")).await;
    asked.expect("ready is answered within a second").expect(200);
    service.acme().publish_new("order.paid").await;
    assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
}

/// Connections that have sent so much and stay; those that are closed meanwhile stay in it too.
async fn crowd(service: &Service, count: usize, sent: &'static [u8]) -> Vec<TcpStream> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let connected = timeout(WITHIN, TcpStream::connect(service.address())).await;
        let mut stream = connected.expect("newcomers are taken in").expect("the service listens");
        // It may have been cut already.
        let _ = stream.write_all(sent).await;
        held.push(stream);
    }
    held
}

/// As many open files as this process may have; the service started by it raises its own limit.
fn many_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("up to the maximum");
}

fn chunks(body: &str) -> String {
    format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len())
}

/// An answer's head in lower case, up to its empty line.
async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let read = async {
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                Err(_) => break,
            }
        }
    };
    timeout(WITHIN, read).await.expect("an answer");
    String::from_utf8_lossy(&head).to_lowercase()
}

async fn read_body(stream: &mut TcpStream, head: &str) {
    let length =
        head.lines().find_map(|line| line.strip_prefix("content-length: ")).map_or(0, |text| text.parse().expect("a number"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.expect("the body");
}
