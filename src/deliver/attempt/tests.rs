//! Attempts against a server on this machine that misbehaves on purpose. They run in real time, since they show that a socket
//! that hangs is let go.

mod malformed;
mod reuse;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::*;
use crate::deliver::connect::Options;
use crate::domain::delivery::outcome::{Class, Failure};
use crate::domain::headers::Headers;
use crate::domain::webhook::target::{Guard, Schemes, Target};

static NEVER: Cut = Cut::new();
const LIMITS: Limits<'_> = Limits { timeout: Duration::from_secs(5), response_capture: 1_024, cut: &NEVER, metrics: None };
const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The first attempt at this path panics, in whichever test it is made.
pub(in crate::deliver) const PANICS_ONCE: &str = "/panics-once";

pub(super) fn panic_if_asked(request: &Request<'_>) {
    static LEFT: AtomicUsize = AtomicUsize::new(1);
    let is_asked = request.target.path_and_query() == PANICS_ONCE;
    assert!(!is_asked || LEFT.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_err(), "asked to");
}

/// A server that passes each connection, with its number from 0, to `handle`.
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

    async fn attempt(&self, limits: Limits<'_>) -> Outcome {
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

async fn send(connector: &Connector, kept: &mut Option<Box<Connection>>, target: &Target, limits: Limits<'_>) -> Outcome {
    let headers = [("X-Acme-Delivery", "dlv_1")].into_iter().collect();
    let request = Request::new(target, &headers, Bytes::from_static(b"{\"a\":1}")).unwrap();
    attempt(connector, kept, &request, limits).await.unwrap()
}

/// Reads one whole request. The text is empty when the client closed the connection instead.
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

/// Waits until the client has closed the connection.
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
    assert_eq!(response.headers, [("content-length", "2")].into_iter().collect());
    let host = format!("127.0.0.1:{}", server.port);
    let expected = format!(
        "POST /hook?a=b HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\nuser-agent: hookwheel/{}\r\n\
         accept: */*\r\ncontent-length: 7\r\nx-acme-delivery: dlv_1\r\n\r\n{{\"a\":1}}",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(heard.recv().unwrap(), expected);
}

#[tokio::test]
async fn each_way_to_break_a_connection_has_its_own_failure() {
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
    let (after_request, in_head) = tokio::join!(after_request, in_head);
    for (server, class, text) in [
        (&refused, Class::Connect, "the endpoint refused the connection (nothing listens on this port)"),
        (&after_request, Class::Reset, "the endpoint reset the connection before a response"),
        (&in_head, Class::Reset, "the endpoint reset the connection in the response's headers"),
    ] {
        assert_eq!(server.attempt(LIMITS).await.result, Err(Failure { class, detail: text.to_owned() }));
    }
}

/// The endpoint said "success". If the broken body were an error, the endpoint would get the event again.
#[tokio::test]
async fn a_body_that_breaks_off_changes_no_status() {
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
    for (server, text) in [
        (in_body.await, "the endpoint reset the connection in the response's body"),
        (short_body.await, "the endpoint closed the connection with 7 bytes of the body to come"),
    ] {
        let mut kept = None;
        let response = send(&connector(), &mut kept, &server.target(), LIMITS).await.result.unwrap();
        assert_eq!((response.status, &response.body[..], response.body_error.as_deref()), (200, &b"ok"[..], Some(text)));
        assert!(kept.is_none() && server.count() == 1);
    }
}

#[tokio::test]
async fn a_stop_ends_the_wait_for_a_body_and_the_status_stands() {
    static CUT: Cut = Cut::new();
    let server = Server::answering("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok").await;
    let target = server.target();
    let attempt = tokio::spawn(async move { send(&connector(), &mut None, &target, Limits { cut: &CUT, ..LIMITS }).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!attempt.is_finished());
    CUT.make();
    let response = attempt.await.unwrap().result.unwrap();
    assert_eq!((response.status, response.body_error.as_deref()), (200, Some("the relay stopped before the body ended")));
}

async fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

#[tokio::test]
async fn the_deadline_holds_for_the_head_and_cuts_the_body() {
    let limits = Limits { timeout: Duration::from_millis(400), ..LIMITS };
    let trickle = |head: &'static str| {
        Server::new(move |_, mut stream| async move {
            request(&mut stream).await;
            let _ = stream.write_all(head.as_bytes()).await;
            // Each read succeeds, but the head never ends.
            while stream.write_all(b"a").await.is_ok() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    };
    let servers = [
        (Server::answering("").await, "the endpoint did not answer within 400ms"),
        (trickle("HTTP/1.1 200 OK\r\nx: ").await, "the response's headers did not all come within 400ms"),
    ];
    for (server, text) in &servers {
        let outcome = server.attempt(limits).await;
        assert_eq!((class(&outcome), detail(&outcome)), (Class::Timeout, *text));
        assert!((400..900).contains(&outcome.duration.as_millis()), "{:?}", outcome.duration);
    }
    let outcome = trickle("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n").await.attempt(limits).await;
    assert!((400..900).contains(&outcome.duration.as_millis()), "{:?}", outcome.duration);
    let response = outcome.result.unwrap();
    assert_eq!((response.status, response.body_error.as_deref()), (200, Some("the response's body did not end within 400ms")));
    assert!(response.body.starts_with(b"aaa"));
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
async fn a_body_as_long_as_the_capture_is_whole() {
    let body = "a".repeat(LIMITS.response_capture);
    let sized = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let chunked = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    for answer in [sized, chunked] {
        let response = Server::answering(answer).await.attempt(LIMITS).await.result.unwrap();
        assert_eq!((response.body.len(), response.truncated), (body.len(), false));
    }
}

/// If a server that stops at the bound held the slot until its deadline, other deliveries would wait for it.
#[tokio::test]
async fn reading_stops_at_the_bound() {
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

/// A response may come before the whole request is sent. It counts, and the connection is not used again.
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
    let request = Request::new(&target, &Headers::default(), vec![b'a'; 16 << 20].into()).unwrap();
    let mut kept = None;
    assert_eq!(attempt(&connector(), &mut kept, &request, LIMITS).await.unwrap().result.unwrap().status, 413);
    assert!(kept.is_none());
}
