//! A small HTTP/1.1 client for the API, over TCP and over the admin socket. Each answer is held against the description of the API.

mod described;
pub(crate) mod stream;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A client of one service with one key. It makes a connection for every request.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    address: Address,
    headers: Vec<(String, String)>,
    /// Whether it asks another program than the relay, whose answers nobody has described.
    is_of_another: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Client {
    pub(crate) fn new(address: Address) -> Self {
        Self { address, headers: Vec::new(), is_of_another: false }
    }

    /// A client of another program than the relay.
    pub(crate) fn of_another(address: Address) -> Self {
        Self { is_of_another: true, ..Self::new(address) }
    }

    pub(crate) fn with_key(self, key: &str) -> Self {
        self.with_header("authorization", &format!("Bearer {key}"))
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, JSON, Bytes::new()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, JSON, Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::POST, path, JSON, body.to_string().into()).await
    }

    pub(crate) async fn patch(&self, path: &str, body: &Value) -> Answer {
        self.send(Method::PATCH, path, JSON, body.to_string().into()).await
    }

    pub(crate) async fn publish(&self, event: &Value) -> Answer {
        self.post("/v1/events", event).await
    }

    /// Publishes lines of NDJSON. Returns the answer, and the answers of the lines in order.
    pub(crate) async fn publish_lines(&self, lines: &str) -> (Answer, Vec<Value>) {
        let answer = self.send(Method::POST, "/v1/events", NDJSON, Bytes::copy_from_slice(lines.as_bytes())).await;
        let results = answer.text().lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        (answer, results)
    }

    pub(crate) async fn send(&self, method: Method, path: &str, content_type: &str, body: Bytes) -> Answer {
        let sent = self.try_send(method.clone(), path, content_type, body).await;
        sent.unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    /// Like `send`, but a service that cannot be reached is an error and does not fail the test.
    pub(crate) async fn try_send(&self, method: Method, path: &str, content_type: &str, body: Bytes) -> io::Result<Answer> {
        self.connect().await?.send(method, path, content_type, body).await
    }

    /// Makes a connection that serves one request after another.
    pub(crate) async fn connect(&self) -> io::Result<Connection> {
        let sender = match &self.address {
            Address::Tcp(address) => handshake(TcpStream::connect(address).await?).await,
            Address::Unix(path) => handshake(UnixStream::connect(path).await?).await,
        };
        let sender = sender.map_err(io::Error::other)?;
        Ok(Connection { sender, headers: self.headers.clone(), is_of_another: self.is_of_another })
    }
}

pub(crate) struct Connection {
    sender: SendRequest<Full<Bytes>>,
    headers: Vec<(String, String)>,
    is_of_another: bool,
}

impl Connection {
    pub(crate) async fn publish(&mut self, event: &Value) -> io::Result<Answer> {
        self.send(Method::POST, "/v1/events", JSON, event.to_string().into()).await
    }

    pub(crate) async fn get(&mut self, path: &str) -> io::Result<Answer> {
        self.send(Method::GET, path, JSON, Bytes::new()).await
    }

    async fn send(&mut self, method: Method, path: &str, content_type: &str, body: Bytes) -> io::Result<Answer> {
        let mut request = Request::builder().method(method.clone()).uri(path).header("host", "127.0.0.1");
        if !body.is_empty() {
            request = request.header("content-type", content_type);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(body)).map_err(io::Error::other)?;
        self.sender.ready().await.map_err(io::Error::other)?;
        let (head, body) = self.sender.send_request(request).await.map_err(io::Error::other)?.into_parts();
        let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
        let answer = Answer { status: head.status.as_u16(), headers: head.headers, body };
        if !self.is_of_another {
            described::check(&method, path, &answer);
        }
        Ok(answer)
    }
}

async fn handshake<S: AsyncRead + AsyncWrite + Send + Unpin + 'static>(stream: S) -> hyper::Result<SendRequest<Full<Bytes>>> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Checks the status and returns the body as JSON, or null when there is none.
    #[track_caller]
    pub(crate) fn expect(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        self.json()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        if self.body.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// Checks that the answer is problem+json (RFC 9457) with this status, and that it holds all the words.
    #[track_caller]
    pub(crate) fn problem(&self, status: u16, words: &[&str]) {
        let problem = self.expect(status);
        assert_eq!(self.headers["content-type"], "application/problem+json");
        assert_eq!(problem["status"], status);
        for word in words {
            assert!(self.text().contains(word), "no {word:?} in {problem}");
        }
    }
}

const JSON: &str = "application/json";
const NDJSON: &str = "application/x-ndjson";
