//! One HTTP/1.1 connection to an endpoint, one exchange at a time.
//!
//! The HTTP layer's connection future is polled by whoever uses the connection, never by a task of its own, so an exchange costs
//! no wake-up across tasks. A connection is used again only after an exchange in which everything was in order.
//! Redirects are not followed, bodies not decoded; what a status means is not judged here.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http_body::Body;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::timeout_at;

use super::wire::{End, SharedWatch, Stream, Wire};
use crate::clock;
use crate::domain::headers::Headers;
use crate::domain::outcome::{Class, Failure, Response};
use crate::domain::target::Target;

/// What one attempt sends: a POST.
#[derive(Clone)]
pub(crate) struct Request<'a> {
    pub(crate) target: &'a Target,
    /// The dialect's headers, besides those that every request has.
    pub(crate) headers: Headers,
    pub(crate) body: Bytes,
}

/// When an attempt must be over, and how long that was from its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) after: Duration,
}

impl Deadline {
    pub(super) fn missed(self, what: &str) -> Failure {
        Failure::new(Class::Timeout, format!("{what} within {:?}", self.after))
    }
}

/// Why an exchange gave no response.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) failure: Failure,
    /// No byte of a response had come: the endpoint may not have seen the request.
    pub(crate) before_first_byte: bool,
    pub(crate) connection_was_reused: bool,
}

impl Failed {
    /// Whether a kept connection had gone stale: then the same attempt may be made on a fresh one (RFC 9112 section 9.3.1).
    pub(crate) fn was_stale(&self) -> bool {
        self.connection_was_reused && self.before_first_byte && self.failure.class == Class::Reset
    }
}

/// A connection, and the state of its last exchange.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// The HTTP layer with the stream in it; `None` once closed.
    http: Option<Http>,
    watch: SharedWatch,
    origin: Target,
    connector: u64,
    opened: Instant,
    used: bool,
    /// Set but during an exchange, so that one that was abandoned half way leaves it unset.
    in_order: bool,
}

type Http = http1::Connection<TokioIo<Wire>, Full<Bytes>>;

impl Connection {
    /// Speaks HTTP over a connected stream; `connector` is the number of the connector that made it.
    pub(super) async fn open(stream: Stream, target: &Target, connector: u64) -> Result<Self, Failure> {
        let (wire, watch) = Wire::new(stream);
        let shaken = http1::Builder::new().max_buf_size(BUFFER_BYTES_MAX).handshake(TokioIo::new(wire)).await;
        let (sender, http) = shaken.map_err(|error| Failure::new(Class::Response, format!("HTTP could not begin: {error}")))?;
        let origin = target.clone();
        Ok(Self { sender, http: Some(http), watch, origin, connector, opened: clock::steady(), used: false, in_order: true })
    }

    pub(super) fn connector(&self) -> u64 {
        self.connector
    }

    /// Whether another exchange may be tried on it. It may have been closed by the peer since; that shows when it is tried.
    pub(crate) fn is_reusable(&self) -> bool {
        self.in_order && self.http.is_some() && self.sender.is_ready() && self.age() < LIFE_MAX
    }

    fn age(&self) -> Duration {
        clock::steady().saturating_duration_since(self.opened)
    }

    /// Whether it leads to where `target` is served.
    pub(crate) fn serves(&self, target: &Target) -> bool {
        self.origin.shares_origin(target)
    }

    /// Ends when the peer closes an idle connection, or sends what nobody asked for. Safe to drop and call again.
    pub(crate) async fn until_closed(&mut self) {
        poll_fn(|cx| self.http.as_mut().map_or(Poll::Ready(()), |http| Pin::new(http).poll(cx).map(drop))).await;
        self.http = None;
    }

    /// Sends `request` and reads the response, at most `response_capture` bytes of its body, all before `deadline`.
    ///
    /// The connection is closed after a failure, and after a body that is longer than what is kept.
    pub(crate) async fn exchange(
        &mut self,
        request: &Request<'_>,
        deadline: Deadline,
        response_capture: usize,
    ) -> Result<Response, Failed> {
        let reused = std::mem::replace(&mut self.used, true);
        self.in_order = false;
        self.watch.lock().begin();
        let work = self.run(request, reused, response_capture);
        let done = timeout_at(deadline.at.into(), work).await.unwrap_or_else(|_| Err(self.late(deadline)));
        self.in_order = done.as_ref().is_ok_and(|response| !response.truncated);
        if !self.in_order {
            self.http = None;
        }
        let before_first_byte = !self.watch.lock().received;
        done.map_err(|failure| Failed { failure, before_first_byte, connection_was_reused: reused })
    }

    async fn run(&mut self, request: &Request<'_>, reused: bool, capture: usize) -> Result<Response, Failure> {
        let request = encode(request)?;
        if reused {
            self.check_idle().await?;
        }
        let sent = self.sender.send_request(request);
        let answer = drive(&mut self.http, sent).await.map_err(|error| self.failure(&error))?;
        check_framing(&answer)?;
        let (head, body) = answer.into_parts();
        let (body, truncated) = self.read(body, capture).await?;
        self.settle().await;
        Ok(Response { status: head.status.as_u16(), headers: readable(&head.headers), body, truncated })
    }

    /// Bytes that came while nobody asked are no response: they must not be taken for one.
    async fn check_idle(&mut self) -> Result<(), Failure> {
        self.settle().await;
        // Whatever came then came before this exchange.
        self.watch.lock().begin();
        match self.http {
            Some(_) => Ok(()),
            None => Err(Failure::new(Class::Reset, "the endpoint closed the kept connection before the request was sent")),
        }
    }

    /// Lets the HTTP layer take in what has come, without waiting for more.
    async fn settle(&mut self) {
        poll_fn(|cx| {
            advance(&mut self.http, cx);
            Poll::Ready(())
        })
        .await;
    }

    async fn read(&mut self, mut body: Incoming, capture: usize) -> Result<(Bytes, bool), Failure> {
        let mut kept = Vec::new();
        while !body.is_end_stream() {
            let full = kept.len() >= capture;
            // At the bound one more look tells an end from more, but nothing more is waited for.
            let frame = if full {
                drive_once(&mut self.http, body.frame()).await
            } else {
                Some(drive(&mut self.http, body.frame()).await)
            };
            let data = match frame {
                None => return Ok((kept.into(), true)),
                Some(None) => break,
                Some(Some(frame)) => frame.map_err(|error| self.failure(&error))?.into_data().unwrap_or_default(),
            };
            let fits = data.len().min(capture - kept.len().min(capture));
            kept.extend_from_slice(&data[..fits]);
            if fits < data.len() {
                return Ok((kept.into(), true));
            }
        }
        Ok((kept.into(), false))
    }

    fn late(&self, deadline: Deadline) -> Failure {
        let watch = self.watch.lock();
        let missing = match (watch.received, watch.head_is_done()) {
            (false, _) => "the endpoint did not answer",
            (true, false) => "the response's headers did not all come",
            (true, true) => "the response's body did not end",
        };
        deadline.missed(missing)
    }

    fn failure(&self, error: &hyper::Error) -> Failure {
        let watch = self.watch.lock();
        let place = match (watch.received, watch.head_is_done()) {
            (false, _) => "before a response",
            (true, false) => "in the response's headers",
            (true, true) => "in the response's body",
        };
        match watch.end {
            Some(End::Fault(fault)) => Failure::new(Class::Response, fault.to_string()),
            _ if let Some(what) = malformed(error) => Failure::new(Class::Response, what),
            Some(End::Broken(io::ErrorKind::UnexpectedEof)) | Some(End::Closed) => {
                Failure::new(Class::Reset, format!("the endpoint closed the connection {place}"))
            }
            Some(End::Broken(_)) => Failure::new(Class::Reset, format!("the endpoint reset the connection {place}")),
            None => Failure::new(Class::Response, format!("the exchange ended {place}: {error}")),
        }
    }
}

/// Polls the HTTP layer and `work`, which waits for it, until `work` is done.
async fn drive<F: Future>(http: &mut Option<Http>, work: F) -> F::Output {
    let mut work = pin!(work);
    poll_fn(|cx| {
        // First `work`, which tells the layer what it waits for; then the layer; then what the layer made of it.
        if let Poll::Ready(done) = work.as_mut().poll(cx) {
            return Poll::Ready(done);
        }
        advance(http, cx);
        work.as_mut().poll(cx)
    })
    .await
}

/// As [`drive`], but gives `None` rather than wait.
async fn drive_once<F: Future>(http: &mut Option<Http>, work: F) -> Option<F::Output> {
    let mut driven = pin!(drive(http, work));
    poll_fn(|cx| match driven.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Polls the HTTP layer once. One that has ended is dropped, which ends whatever still waits for it.
fn advance(http: &mut Option<Http>, cx: &mut std::task::Context<'_>) {
    if http.as_mut().is_some_and(|layer| Pin::new(layer).poll(cx).is_ready()) {
        *http = None;
    }
}

fn encode(request: &Request<'_>) -> Result<http::Request<Full<Bytes>>, Failure> {
    let mut built = http::Request::new(Full::new(request.body.clone()));
    *built.method_mut() = http::Method::POST;
    *built.uri_mut() = request.target.path_and_query().parse().map_err(|_| unsendable("the URL's path"))?;
    let host = HeaderValue::from_str(request.target.authority()).map_err(|_| unsendable("the URL's host"))?;
    let headers = built.headers_mut();
    headers.reserve(FIXED_HEADERS + request.headers.iter().count());
    headers.insert(header::HOST, host);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
    headers.insert(header::CONTENT_LENGTH, request.body.len().into());
    add(headers, &request.headers)?;
    Ok(built)
}

fn add(headers: &mut HeaderMap, more: &Headers) -> Result<(), Failure> {
    for (name, value) in more.iter() {
        let refused = || unsendable(&format!("the header {name}"));
        let key = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| refused())?;
        if OURS.contains(&key) {
            return Err(refused());
        }
        headers.insert(key, value);
    }
    Ok(())
}

/// Not to be reached: URLs are checked when set, headers when an event is published.
fn unsendable(what: &str) -> Failure {
    Failure::new(Class::Policy, format!("{what} cannot be sent over HTTP; nothing was sent"))
}

/// Refuses what two readers could take for two different responses (RFC 9112 section 6.3).
fn check_framing(response: &http::Response<Incoming>) -> Result<(), Failure> {
    let headers = response.headers();
    let refuse = |what: &str| Err(Failure::new(Class::Response, what));
    if response.status() == http::StatusCode::SWITCHING_PROTOCOLS {
        return refuse("the endpoint switched protocols without being asked");
    }
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(_), None) if headers.contains_key(header::CONTENT_LENGTH) => {
            refuse("the response has both a content-length and a transfer-encoding")
        }
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        _ => refuse("the response has a transfer-encoding other than chunked"),
    }
}

/// What is wrong with the bytes of a response, if that is what the error says.
fn malformed(error: &hyper::Error) -> Option<String> {
    if error.is_parse() {
        return Some(format!("what the endpoint sent is not HTTP: {error}"));
    }
    let cause = std::error::Error::source(error)?.downcast_ref::<io::Error>()?;
    let ours = matches!(cause.kind(), io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput);
    ours.then(|| format!("the response's body is malformed: {cause}"))
}

fn readable(headers: &HeaderMap) -> Headers {
    headers.iter().map(|(name, value)| (name, String::from_utf8_lossy(value.as_bytes()))).collect()
}

/// Headers that say how the message is framed and where it goes: nobody's to choose.
const OURS: &[HeaderName] = &[
    header::HOST,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::CONNECTION,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::EXPECT,
];

const FIXED_HEADERS: usize = 4;

/// The sender's name, on every request.
pub(crate) const USER_AGENT: &str = concat!("hookwheel/", env!("CARGO_PKG_VERSION"));

/// Longest a connection is used: past it the name is resolved again, so that an endpoint that moved is followed.
const LIFE_MAX: Duration = Duration::from_secs(300);

/// Bound on the read buffer of one connection; a head larger than it is refused earlier.
const BUFFER_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::target::{Guard, Schemes};

    proptest! {
        #[test]
        fn every_target_makes_a_request_line(rest in "[/?]([!-~éß]|%[0-9a-f]{2}){0,40}") {
            if let Ok(target) = Target::parse(&format!("https://example.com{rest}"), Schemes { http: false }, &Guard::default()) {
                let request = encode(&Request { target: &target, headers: Headers::default(), body: Bytes::new() }).unwrap();
                prop_assert_eq!(request.uri().to_string(), target.path_and_query());
            }
        }
    }
}
