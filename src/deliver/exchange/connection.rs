//! One HTTP/1.1 connection to an endpoint, one exchange at a time.
//!
//! ```text
//!   request ──▶ sent while ──▶ head: the status decides ──▶ body: captured, what is wrong with it noted ──▶ kept or closed
//!               bytes come
//! ```
//!
//! The response is read here and not by an HTTP library, since a library gives no status where anything behind it is out of
//! order, and an endpoint that said "success" must not get the event again. A connection is used again only after an exchange in
//! which everything was in order. Redirects are not followed, bodies not decoded; what a status means is not judged here.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::{sleep_until, timeout_at};

use super::body::{Body, Step};
use super::head::{Fault, Head, PLAIN_BYTES_MAX, Scanner};
use super::request::Request;
use super::stream::Stream;
use super::words::{self, Place};
use crate::clock;
use crate::deliver::cut::Cut;
use crate::domain::delivery::outcome::{Class, Failure, Response};
use crate::domain::webhook::target::Target;

/// What bounds one exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    pub(crate) deadline: Deadline,
    /// Bytes of the response's body that are read and kept.
    pub(crate) capture: usize,
    /// Ends the wait for the rest of a body early.
    pub(crate) cut: &'a Cut,
}

/// When an attempt must be over, and how long that was from its start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    pub(crate) at: Instant,
    pub(crate) after: Duration,
}

impl Deadline {
    pub(in crate::deliver) fn missed(self, what: &str) -> Failure {
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
    /// `None` once closed.
    stream: Option<Stream>,
    /// What came and was not taken yet.
    received: BytesMut,
    sending: Sending,
    origin: Target,
    connector: u64,
    opened: Instant,
    used: bool,
    /// False only during an exchange and after one that was not in order, so that one that was abandoned half way leaves it false.
    in_order: bool,
}

/// A request on its way out.
#[derive(Default)]
struct Sending {
    /// The request line and the headers.
    head: Vec<u8>,
    body: Bytes,
    /// Bytes of the head that were sent.
    sent: usize,
    /// All of it is sent, or sending failed: whether a response came all the same, reading tells.
    over: bool,
    failed: bool,
}

impl Connection {
    /// Speaks HTTP over a connected stream; `connector` is the number of the connector that made it.
    pub(in crate::deliver) fn open(stream: Stream, target: &Target, connector: u64) -> Self {
        Self {
            stream: Some(stream),
            received: BytesMut::new(),
            sending: Sending::default(),
            origin: target.clone(),
            connector,
            opened: clock::steady(),
            used: false,
            in_order: true,
        }
    }

    pub(in crate::deliver) fn connector(&self) -> u64 {
        self.connector
    }

    /// Whether another exchange may be tried on it. It may have been closed by the peer since; that shows when it is tried.
    pub(crate) fn is_reusable(&self) -> bool {
        self.in_order && self.stream.is_some() && self.age() < LIFE_MAX
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
        // Whatever comes ends it: bytes, the end, or an error.
        let _ = poll_fn(|cx| self.poll_receive(cx)).await;
        self.close();
    }

    /// Sends `request` and reads the response: its head before the deadline, and at most `capture` bytes of its body until then.
    ///
    /// The connection is closed after a failure, and after a response that was not in order or longer than what is kept.
    pub(crate) async fn exchange(&mut self, request: &Request<'_>, bounds: Bounds<'_>) -> Result<Response, Failed> {
        let reused = std::mem::replace(&mut self.used, true);
        self.in_order = false;
        let mut scanner = Scanner::default();
        let asked = timeout_at(bounds.deadline.at.into(), self.ask(request, reused, &mut scanner)).await;
        let place = self.place(&scanner);
        match asked.unwrap_or_else(|_| Err(bounds.deadline.missed(place.missing()))) {
            Ok(head) => Ok(self.answer(head, bounds).await),
            Err(failure) => {
                self.close();
                Err(Failed { failure, before_first_byte: place == Place::Before, connection_was_reused: reused })
            }
        }
    }

    /// Sends a request and waits for the head of its response.
    async fn ask(&mut self, request: &Request<'_>, reused: bool, scanner: &mut Scanner) -> Result<Head, Failure> {
        if reused {
            self.check_idle().await?;
        }
        self.sending.begin(request);
        let mut large = None;
        loop {
            if self.received.len() > PLAIN_BYTES_MAX && large.is_none() {
                large = LARGE_HEADS.try_acquire().ok();
                // Without room for the rest, the status that is there decides.
                if large.is_none()
                    && let Some(head) = scanner.cut_short(&mut self.received)
                {
                    return Ok(head);
                }
            }
            match self.more().await {
                Ok(0) => return Err(words::closed(self.place(scanner))),
                Ok(_) => {}
                Err(error) => return Err(words::broken(&error, self.origin.host(), self.place(scanner))),
            }
            if let Some(head) = scanner.scan(&mut self.received).map_err(refused)? {
                self.received = only_what_is_there(std::mem::take(&mut self.received));
                return Ok(head);
            }
        }
    }

    /// Bytes that came while nobody asked are no response: they must not be taken for one.
    async fn check_idle(&mut self) -> Result<(), Failure> {
        match self.look().await {
            None => Ok(()),
            Some(_) => {
                self.received.clear();
                Err(Failure::new(Class::Reset, "the endpoint closed the kept connection before the request was sent"))
            }
        }
    }

    /// The response whose head is there. It stands, whatever becomes of its body.
    async fn answer(&mut self, head: Head, bounds: Bounds<'_>) -> Response {
        let mut body = Body::new(&head.framing, bounds.capture);
        let end = tokio::select! {
            biased;
            end = self.read(&mut body) => end,
            () = sleep_until(bounds.deadline.at.into()) => End::Broken(bounds.deadline.missed(Place::Body.missing()).detail),
            () = bounds.cut.made() => End::Broken("the relay stopped before the body ended".to_owned()),
        };
        let was_sent = self.sending.end();
        self.in_order = end == End::Whole && head.keeps_alive && self.received.is_empty() && was_sent;
        let behind =
            (end == End::Whole && !self.received.is_empty()).then_some("bytes that nobody asked for follow the response");
        if !self.in_order {
            self.close();
        } else if body.kept() > READ_BYTES {
            // A connection that rests keeps no large buffer.
            self.received = BytesMut::new();
        }
        let truncated = end == End::Longer;
        let body_error = end.error().or_else(|| head.framing.fault().or(behind).map(Into::into));
        Response { status: head.status, headers: head.headers, body: body.into_kept().into(), truncated, body_error }
    }

    async fn read(&mut self, body: &mut Body) -> End {
        loop {
            match body.take(&mut self.received) {
                Step::End => return End::Whole,
                Step::Longer => return End::Longer,
                Step::Malformed(what) => return End::Broken(what.to_owned()),
                Step::More => {}
            }
            // One more look tells an end at the bound from more behind it.
            let more = if body.is_awaited() { Some(self.more().await) } else { self.look().await };
            match more {
                None => return End::Longer,
                Some(Ok(0)) => return body.close().map_or_else(End::Broken, |()| End::Whole),
                Some(Ok(_)) => {}
                Some(Err(error)) => return End::Broken(words::broken(&error, self.origin.host(), Place::Body).detail),
            }
        }
    }

    /// The next bytes of the response, while what is left of the request is sent; 0 at the end of the stream.
    async fn more(&mut self) -> io::Result<usize> {
        poll_fn(|cx| {
            self.poll_send(cx);
            self.poll_receive(cx)
        })
        .await
    }

    /// What has come already; `None` when nothing has.
    async fn look(&mut self) -> Option<io::Result<usize>> {
        poll_fn(|cx| match self.poll_receive(cx) {
            Poll::Ready(come) => Poll::Ready(Some(come)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Sends as much of the request as the stream takes. An endpoint may answer and close before it has all of the request, so a
    /// failure is not one before reading has failed too.
    fn poll_send(&mut self, cx: &mut Context<'_>) {
        let Some(stream) = &mut self.stream else { return };
        if !self.sending.over
            && let Poll::Ready(sent) = self.sending.poll(stream, cx)
        {
            self.sending.over = true;
            self.sending.failed = sent.is_err();
        }
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Some(stream) = &mut self.stream else { return Poll::Ready(Ok(0)) };
        self.received.reserve(READ_BYTES);
        pin!(stream.read_buf(&mut self.received)).poll(cx)
    }

    /// How far the response has come whose head is awaited.
    fn place(&self, scanner: &Scanner) -> Place {
        if self.received.is_empty() && !scanner.has_begun() { Place::Before } else { Place::Head }
    }

    fn close(&mut self) {
        self.stream = None;
        self.received = BytesMut::new();
        self.sending = Sending::default();
    }
}

impl Sending {
    fn begin(&mut self, request: &Request<'_>) {
        request.write_head(&mut self.head);
        self.body = request.body();
        (self.sent, self.over, self.failed) = (0, false, false);
    }

    /// Whether all was sent. The body is let go: a connection that rests must not keep it in memory.
    fn end(&mut self) -> bool {
        self.body = Bytes::new();
        self.over && !self.failed
    }

    fn poll(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.sent < self.head.len() || !self.body.is_empty() {
            let parts = [IoSlice::new(&self.head[self.sent..]), IoSlice::new(&self.body)];
            let parts = if self.sent < self.head.len() { &parts[..] } else { &parts[1..] };
            match ready!(Pin::new(&mut *stream).poll_write_vectored(cx, parts))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                bytes => self.advance(bytes),
            }
        }
        Pin::new(stream).poll_flush(cx)
    }

    fn advance(&mut self, bytes: usize) {
        let of_head = bytes.min(self.head.len() - self.sent);
        self.sent += of_head;
        self.body.advance(bytes - of_head);
    }
}

/// How the body of a response ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Whole,
    /// There was more than is kept.
    Longer,
    Broken(String),
}

impl End {
    fn error(self) -> Option<Box<str>> {
        match self {
            Self::Broken(what) => Some(what.into()),
            Self::Whole | Self::Longer => None,
        }
    }
}

/// Behind a large head, without its room.
fn only_what_is_there(received: BytesMut) -> BytesMut {
    if received.capacity() > PLAIN_BYTES_MAX { BytesMut::from(&received[..]) } else { received }
}

fn refused(fault: Fault) -> Failure {
    Failure::new(Class::Response, fault.to_string())
}

/// Longest a connection is used: past it the name is resolved again, so that an endpoint that moved is followed.
const LIFE_MAX: Duration = Duration::from_secs(300);

/// Heads beyond [`PLAIN_BYTES_MAX`] that are received at once, over all connections: they take 16 MiB.
static LARGE_HEADS: Semaphore = Semaphore::const_new(256);

/// Room for one read: most responses fit.
const READ_BYTES: usize = 2 * 1024;
