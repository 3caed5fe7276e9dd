//! Attempts against a server on this machine that misbehaves on purpose. Times are real: what is tested is that a socket that
//! hangs is let go.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::deliver::connect::Options;
use crate::domain::outcome::Class;
use crate::domain::target::{Guard, Schemes, Target};

const LIMITS: Limits = Limits { timeout: Duration::from_secs(5), response_capture: 1_024 };
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A server that gives each connection, with its number from 0, to `handle`.
struct Server {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Server {
    async fn new<W: Future<Output = ()> + Send + 'static>(handle: impl Fn(usize, TcpStream) -> W + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(handle(count.fetch_add(1, Ordering::SeqCst), stream));
            }
        });
        Self { port, connections }
    }

    /// A server that reads a request, sends `answer`, and then waits for the client to close.
    async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = Arc::new(answer.into());
        Self::new(move |_, mut stream| {
            let answer = Arc::clone(&answer);
            async move {
                request(&mut stream).await;
                let _ = stream.write_all(&answer).await;
                gone(stream).await;
            }
        })
        .await
    }

    fn count(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn target(&self) -> Target {
        Target::parse(&format!("http://127.0.0.1:{}/hook?a=b", self.port), Schemes { http: true }, &open().guard).unwrap()
    }

    async fn attempt(&self, limits: Limits) -> Outcome {
        send(&connector(), &mut None, &self.target(), limits).await
    }
}

fn open() -> Options {
    let guard = Guard { allow: vec!["127.0.0.0/8".parse().unwrap()], own: Vec::new() };
    Options { guard, connect_timeout: Duration::from_secs(2), resolvers: vec!["127.0.0.1:9".parse().unwrap()], ca_file: None }
}

fn connector() -> Connector {
    Connector::new(open()).unwrap()
}

async fn send(connector: &Connector, kept: &mut Option<Connection>, target: &Target, limits: Limits) -> Outcome {
    let headers = vec![("X-Acme-Delivery", "dlv_1".to_owned())];
    attempt(connector, kept, &Request { target, headers, body: Bytes::from_static(b"{\"a\":1}") }, limits).await
}

/// Reads one request whole; empty when the client closed instead.
async fn request(stream: &mut TcpStream) -> String {
    let mut read = Vec::new();
    while !read.ends_with(b"{\"a\":1}") {
        match stream.read_buf(&mut read).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    String::from_utf8(read).unwrap()
}

/// Waits until the client has closed.
async fn gone(mut stream: TcpStream) {
    let mut rest = [0; 1_024];
    while stream.read(&mut rest).await.is_ok_and(|bytes| bytes > 0) {}
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
}

fn class(outcome: &Outcome) -> Class {
    outcome.result.as_ref().unwrap_err().class
}

fn detail(outcome: &Outcome) -> &str {
    &outcome.result.as_ref().unwrap_err().detail
}

#[tokio::test]
async fn a_request_has_its_headers_and_its_body() {
    let (said, heard) = std::sync::mpsc::channel();
    let server = Server::new(move |_, mut stream| {
        let said = said.clone();
        async move {
            said.send(request(&mut stream).await).unwrap();
            stream.write_all(OK.as_bytes()).await.unwrap();
            gone(stream).await;
        }
    })
    .await;
    let response = server.attempt(LIMITS).await.result.unwrap();
    assert_eq!((response.status, &response.body[..], response.truncated), (200, &b"ok"[..], false));
    assert_eq!(response.headers, [("content-length".to_owned(), "2".to_owned())]);
    let host = format!("127.0.0.1:{}", server.port);
    let expected = format!(
        "POST /hook?a=b HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nuser-agent: hookwheel/{}\r\n\
         content-length: 7\r\nx-acme-delivery: dlv_1\r\n\r\n{{\"a\":1}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(heard.recv().unwrap(), expected);
}

/// Answers every request on a connection.
async fn keep_answering(mut stream: TcpStream) {
    while !request(&mut stream).await.is_empty() {
        stream.write_all(OK.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn a_connection_is_kept_and_used_again() {
    let server = Server::new(|_, stream| keep_answering(stream)).await;
    let (connector, mut kept) = (connector(), None);
    for _ in 0..50 {
        assert_eq!(send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap().status, 200);
        assert!(kept.is_some());
    }
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn bodies_of_every_framing_leave_the_connection_usable() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n1;x=y\r\no\r\n1\r\nk\r\n0\r\na: b\r\n\r\n",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 500 Oops\r\ncontent-length: 2\r\n\r\nno",
    ] {
        let server = Server::answering(answer).await;
        let mut kept = None;
        send(&connector(), &mut kept, &server.target(), LIMITS).await.result.unwrap();
        assert!(kept.is_some_and(|kept| kept.is_reusable()), "{answer:?}");
    }
}

#[tokio::test]
async fn a_connection_that_asks_to_close_is_not_kept() {
    for answer in
        ["HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok", "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok"]
    {
        let server = Server::answering(answer).await;
        let mut kept = None;
        assert_eq!(&send(&connector(), &mut kept, &server.target(), LIMITS).await.result.unwrap().body[..], b"ok");
        assert!(kept.is_none(), "{answer:?}");
    }
}

#[tokio::test]
async fn a_connection_of_another_connector_or_origin_is_not_used() {
    let server = Server::new(|_, stream| keep_answering(stream)).await;
    let other = Server::new(|_, stream| keep_answering(stream)).await;
    let (first, second) = (connector(), connector());
    let mut kept = None;
    for (connector, server) in [(&first, &server), (&second, &server), (&second, &other)] {
        assert_eq!(send(connector, &mut kept, &server.target(), LIMITS).await.result.unwrap().status, 200);
    }
    assert_eq!((server.count(), other.count()), (2, 1));
}

/// A receiver that closes idle connections as a request comes: every second request found a dead connection.
#[tokio::test]
async fn a_stale_connection_costs_no_attempt() {
    let server = Server::new(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        // The next request is read, and the connection ends without a byte.
        request(&mut stream).await;
    })
    .await;
    let (connector, mut kept) = (connector(), None);
    for _ in 0..300 {
        assert_eq!(send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap().status, 200);
    }
    // Each request but the first was sent twice: once on the stale connection, once on a fresh one.
    assert_eq!(server.count(), 300);
}

#[tokio::test]
async fn a_connection_closed_while_idle_costs_no_attempt() {
    let server = Server::new(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let (connector, mut kept) = (connector(), None);
    for _ in 0..100 {
        assert_eq!(send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap().status, 200);
    }
    assert_eq!(server.count(), 100);
}

#[tokio::test]
async fn nothing_is_sent_again_after_a_byte_of_a_response() {
    let server = Server::new(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(OK.as_bytes()).await.unwrap();
        request(&mut stream).await;
        stream.write_all(b"H").await.unwrap();
    })
    .await;
    let (connector, mut kept) = (connector(), None);
    send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap();
    let outcome = send(&connector, &mut kept, &server.target(), LIMITS).await;
    assert_eq!(outcome.result.unwrap_err().to_string(), "reset: the endpoint closed the connection in the response's headers");
    assert!(kept.is_none());
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn nothing_is_sent_again_on_a_fresh_connection() {
    let server = Server::new(|_, mut stream| async move { drop(request(&mut stream).await) }).await;
    let outcome = server.attempt(LIMITS).await;
    assert_eq!((class(&outcome), detail(&outcome)), (Class::Reset, "the endpoint closed the connection before a response"));
    assert_eq!(server.count(), 1);
}

#[tokio::test]
async fn an_idle_connection_tells_when_it_is_closed() {
    for farewell in ["", "HTTP/1.1 408 Request Timeout\r\n\r\n"] {
        let server = Server::new(move |_, mut stream| async move {
            request(&mut stream).await;
            stream.write_all(OK.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
            stream.write_all(farewell.as_bytes()).await.unwrap();
        })
        .await;
        let mut kept = None;
        send(&connector(), &mut kept, &server.target(), LIMITS).await.result.unwrap();
        let mut connection = kept.unwrap();
        tokio::time::timeout(Duration::from_secs(3), connection.until_closed()).await.unwrap();
        assert!(!connection.is_reusable());
    }
}

#[tokio::test]
async fn breaks_are_told_apart() {
    let refused = Server { port: free_port().await, connections: Arc::default() };
    let after_request = Server::new(|_, mut stream| async move {
        request(&mut stream).await;
        reset(stream);
    });
    let in_head = Server::new(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-le").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        reset(stream);
    });
    let in_body = Server::new(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await.unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        reset(stream);
    });
    let short_body = Server::new(|_, mut stream| async move {
        request(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await.unwrap();
    });
    let (after_request, in_head, in_body, short_body) = tokio::join!(after_request, in_head, in_body, short_body);
    for (server, class, text) in [
        (&refused, Class::Connect, "the endpoint refused the connection (nothing listens on this port)"),
        (&after_request, Class::Reset, "the endpoint reset the connection before a response"),
        (&in_head, Class::Reset, "the endpoint reset the connection in the response's headers"),
        (&in_body, Class::Reset, "the endpoint reset the connection in the response's body"),
        (&short_body, Class::Reset, "the endpoint closed the connection in the response's body"),
    ] {
        assert_eq!(server.attempt(LIMITS).await.result, Err(Failure { class, detail: text.to_owned() }));
    }
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn one_deadline_covers_head_and_body() {
    let limits = Limits { timeout: Duration::from_millis(400), ..LIMITS };
    let trickle = |head: &'static str| {
        Server::new(move |_, mut stream| async move {
            request(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            // A byte now and then: each read succeeds, the whole never does.
            while stream.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    let servers = [
        (Server::answering("").await, "the endpoint did not answer within 400ms"),
        (trickle("HTTP/1.1 200 OK\r\nx: ").await, "the response's headers did not all come within 400ms"),
        (trickle("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n").await, "the response's body did not end within 400ms"),
    ];
    for (server, text) in &servers {
        let outcome = server.attempt(limits).await;
        assert_eq!((class(&outcome), detail(&outcome)), (Class::Timeout, *text));
        assert!((400..900).contains(&outcome.duration.as_millis()), "{:?}", outcome.duration);
    }
}

#[tokio::test]
async fn a_hung_kept_connection_is_not_retried_past_the_deadline() {
    let server = Server::answering(OK).await;
    let (connector, mut kept) = (connector(), None);
    send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap();
    let outcome = send(&connector, &mut kept, &server.target(), Limits { timeout: Duration::from_millis(200), ..LIMITS }).await;
    assert_eq!(class(&outcome), Class::Timeout);
    assert_eq!((server.count(), kept.is_none()), (1, true));
}

#[tokio::test]
async fn an_endless_body_is_cut_and_its_connection_closed() {
    for head in
        ["content-length: 1000000000\r\n\r\n", "connection: close\r\n\r\n", "transfer-encoding: chunked\r\n\r\nffffffff\r\n"]
    {
        let (closed, when_closed) = tokio::sync::mpsc::unbounded_channel();
        let server = Server::new(move |_, mut stream| {
            let closed = closed.clone();
            async move {
                request(&mut stream).await;
                let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\n{head}").as_bytes()).await;
                while stream.write_all(&[b'a'; 4_096]).await.is_ok() {}
                let _ = closed.send(());
            }
        })
        .await;
        let (mut when_closed, mut kept) = (when_closed, None);
        let response = send(&connector(), &mut kept, &server.target(), LIMITS).await.result.unwrap();
        assert_eq!((response.body.len(), response.truncated), (LIMITS.response_capture, true));
        assert!(kept.is_none());
        tokio::time::timeout(Duration::from_secs(3), when_closed.recv()).await.unwrap();
    }
}

#[tokio::test]
async fn a_body_of_exactly_what_is_kept_is_whole() {
    let body = "a".repeat(LIMITS.response_capture);
    let sized = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for answer in [sized, chunked] {
        let response = Server::answering(answer).await.attempt(LIMITS).await.result.unwrap();
        assert_eq!((response.body.len(), response.truncated), (body.len(), false));
    }
}

/// A server that stops at the bound must not hold the slot until the deadline.
#[tokio::test]
async fn nothing_is_waited_for_past_the_bound() {
    let part = "a".repeat(LIMITS.response_capture);
    let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{part}", part.len() + 1);
    let outcome = Server::answering(answer).await.attempt(LIMITS).await;
    assert!(outcome.duration < Duration::from_secs(2));
    assert!(outcome.result.unwrap().truncated);
}

#[tokio::test]
async fn a_capture_of_nothing_reads_no_body() {
    let limits = Limits { response_capture: 0, ..LIMITS };
    let response = Server::answering(OK).await.attempt(limits).await.result.unwrap();
    assert_eq!((response.status, response.body.len(), response.truncated), (200, 0, true));
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let trap = Server::answering(OK).await;
    for status in [300, 301, 302, 303, 304, 307, 308] {
        let head =
            format!("HTTP/1.1 {status} Over There\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\n\r\n", trap.port);
        assert_eq!(Server::answering(head).await.attempt(LIMITS).await.result.unwrap().status, status);
    }
    assert_eq!(trap.count(), 0);
}

#[tokio::test]
async fn compressed_bodies_are_kept_as_they_came() {
    let answer = b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\n\x1f\x8b\x08\x00";
    let response = Server::answering(*answer).await.attempt(LIMITS).await.result.unwrap();
    assert_eq!(&response.body[..], b"\x1f\x8b\x08\x00");
}

#[tokio::test]
async fn hundreds_of_interim_responses_are_bounded() {
    let some = "HTTP/1.1 102 Processing\r\n\r\n".repeat(300);
    assert_eq!(Server::answering(format!("{some}{OK}")).await.attempt(LIMITS).await.result.unwrap().status, 200);
    let outcome = Server::answering(some.repeat(1_000)).await.attempt(LIMITS).await;
    assert_eq!(class(&outcome), Class::Response, "{}", detail(&outcome));
}

#[tokio::test]
async fn what_is_not_a_response_is_a_failure_and_ends_the_connection() {
    for answer in not_responses() {
        let server = Server::answering(answer.clone()).await;
        let mut kept = None;
        let outcome = send(&connector(), &mut kept, &server.target(), LIMITS).await;
        assert_eq!(
            outcome.result.as_ref().map_err(|failure| failure.class),
            Err(Class::Response),
            "{:?}",
            answer.escape_ascii().to_string()
        );
        assert!(kept.is_none());
    }
}

fn not_responses() -> Vec<Vec<u8>> {
    let status_lines = [
        "garbage\r\n\r\n",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/1.1\r\n\r\n",
        "HTTP/1.1 \r\n\r\n",
        "HTTP/1.1 2\r\n\r\n",
        "HTTP/1.1 20 OK\r\n\r\n",
        "HTTP/1.1 2000 OK\r\n\r\n",
        "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 099 Low\r\n\r\n",
        "HTTP/1.1 -20 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/9.9 200 OK\r\n\r\n",
        "http/1.1 200 OK\r\n\r\n",
        "HTTP /1.1 200 OK\r\n\r\n",
        "HTTP/1.1  200 OK\r\n\r\n",
        " HTTP/1.1 200 OK\r\n\r\n",
        "\r\nHTTP/1.1 200 OK\r\n\r\n",
        "\nHTTP/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\n\n",
        "HTTP/1.1 200 OK\r\r\n\r\n",
        "HTTP/1.1 200 \0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        "<html>hello</html>\r\n\r\n",
        "{\"ok\":true}\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "\u{16}\u{3}\u{1}",
        "220 smtp ready\r\n\r\n",
        "ICY 200 OK\r\n\r\n",
    ];
    let headers = [
        "no colon\r\n",
        ": no name\r\n",
        "a b: c\r\n",
        "a : b\r\n",
        "a: b\r\n c: folded\r\n",
        " a: b\r\n",
        "\ta: b\r\n",
        "a: b\nc: d\r\n",
        "a: b\rc: d\r\n",
        "a: \0\r\n",
        "\0: a\r\n",
        "a\u{7f}: b\r\n",
        "a: \u{1b}[2J\r\n",
        "é: a\r\n",
        "a(b): c\r\n",
        "content-length: x\r\n",
        "content-length: -1\r\n",
        "content-length: +2\r\n",
        "content-length: 1 2\r\n",
        "content-length: 2, 3\r\n",
        "content-length: 2\r\ncontent-length: 3\r\n",
        "content-length: 99999999999999999999999\r\n",
        "content-length: 0x2\r\n",
        "content-length:\r\n",
        "content-length: 2\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: chunked\r\ncontent-length: 2\r\n",
        "transfer-encoding: xchunked\r\n",
        "transfer-encoding: gzip\r\n",
        "transfer-encoding: identity\r\n",
        "transfer-encoding: chunked, gzip\r\n",
        "transfer-encoding: gzip, chunked\r\n",
        "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
        "transfer-encoding: \u{b}chunked\r\n",
        "transfer-encoding:\r\n",
    ];
    let chunks = [
        "x\r\nok\r\n0\r\n\r\n",
        "-2\r\nok\r\n0\r\n\r\n",
        "2\nok\r\n0\r\n\r\n",
        "2\r\nokk\r\n0\r\n\r\n",
        "2 2\r\nok\r\n0\r\n\r\n",
        "fffffffffffffffff\r\nok",
        "\r\nok\r\n",
        "0x2\r\nok\r\n0\r\n\r\n",
        ";\r\nok\r\n",
        "2;a\nb\r\nok\r\n0\r\n\r\n",
    ];
    let large = [format!("a: {}\r\n", "b".repeat(17_000)), "a: b\r\n".repeat(65), format!("{}: b\r\n", "a".repeat(17_000))];
    let with = |headers: &str| format!("HTTP/1.1 200 OK\r\n{headers}\r\nok");
    let chunked = |body: &&str| format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{body}");
    let all =
        status_lines.iter().map(ToString::to_string).chain(headers.iter().map(|h| with(h))).chain(large.iter().map(|h| with(h)));
    all.chain(chunks.iter().map(chunked)).map(String::into_bytes).collect()
}

/// A second response hidden behind the first must never answer the next request.
#[tokio::test]
async fn a_smuggled_second_response_answers_nothing() {
    let evil = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil";
    for first in [
        OK,
        "HTTP/1.1 204 No Content\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    ] {
        for together in [true, false] {
            let server = Server::new(move |number, mut stream| async move {
                request(&mut stream).await;
                let answers = if number == 0 { [first, evil] } else { [OK, ""] };
                if together {
                    stream.write_all(answers.concat().as_bytes()).await.unwrap();
                } else {
                    stream.write_all(answers[0].as_bytes()).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    let _ = stream.write_all(answers[1].as_bytes()).await;
                }
                gone(stream).await;
            })
            .await;
            let (connector, mut kept) = (connector(), None);
            send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap();
            // Bytes that arrive after the next request was sent cannot be told from its response; before, they can.
            tokio::time::sleep(Duration::from_millis(60)).await;
            assert_eq!(&send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap().body[..], b"ok", "{first:?}");
            assert_eq!(server.count(), 2);
        }
    }
}

#[tokio::test]
async fn an_abandoned_exchange_leaves_no_connection() {
    let server = Server::answering(OK).await;
    let (connector, mut kept) = (connector(), None);
    send(&connector, &mut kept, &server.target(), LIMITS).await.result.unwrap();
    let target = server.target();
    let abandoned = tokio::time::timeout(Duration::from_millis(50), send(&connector, &mut kept, &target, LIMITS)).await;
    assert!(abandoned.is_err());
    assert!(kept.is_none());
}

#[tokio::test]
async fn headers_that_frame_a_message_cannot_be_set() {
    let server = Server::answering(OK).await;
    let target = server.target();
    for (name, value) in
        [("Host", "x"), ("Content-Length", "1"), ("transfer-encoding", "chunked"), ("x", "a\r\nb: c"), ("a b", "c"), ("", "c")]
    {
        let request = Request { target: &target, headers: vec![(name, value.to_owned())], body: Bytes::new() };
        assert_eq!(class(&attempt(&connector(), &mut None, &request, LIMITS).await), Class::Policy, "{name}");
    }
}

/// A response that comes before the whole request is sent is a response; the connection is not used again.
#[tokio::test]
async fn an_early_response_is_taken() {
    let server = Server::new(|_, mut stream| async move {
        let mut first = [0; 64];
        stream.read_exact(&mut first).await.unwrap();
        stream.write_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        let mut rest = vec![0; 1 << 16];
        while let Ok(1..) = stream.read(&mut rest).await {}
    })
    .await;
    let target = server.target();
    let request = Request { target: &target, headers: Vec::new(), body: vec![b'a'; 16 << 20].into() };
    let mut kept = None;
    assert_eq!(attempt(&connector(), &mut kept, &request, LIMITS).await.result.unwrap().status, 413);
    assert!(kept.is_none());
}

#[tokio::test]
async fn proxies_of_the_environment_are_not_asked() {
    // The variables are read once by those who read them, so the test runs itself again with them set.
    let proxy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.set_nonblocking(true).unwrap();
    let url = format!("http://{}", proxy.local_addr().unwrap());
    let mut again = std::process::Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "deliver::attempt::tests::a_connection_is_kept_and_used_again"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        again.env(name, &url);
    }
    let ran = tokio::task::spawn_blocking(move || again.output().unwrap()).await.unwrap();
    assert!(ran.status.success() && String::from_utf8_lossy(&ran.stdout).contains("1 passed"));
    assert_eq!(proxy.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}
