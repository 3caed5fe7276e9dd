//! One HTTP/1.1 connection to an endpoint, with one exchange at a time.
//!
//! ```text
//!   request ──▶ sent while ──▶ head: the status decides ──▶ body: captured, what is wrong with it noted ──▶ kept or closed
//!               bytes come
//! ```
//!
//! This code and not an HTTP library reads the response, since a library gives no status when something behind it is wrong, and
//! an endpoint that said "success" must not get the event again. A connection is used again only after an exchange in which
//! everything was in order. Redirects are not followed, bodies are not decoded, and the meaning of a status is judged elsewhere.

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
use crate::deliver::connect::tunnel::{self, Via};
use crate::deliver::connect::way::Way;
use crate::deliver::cut::Cut;
use crate::domain::delivery::outcome::{Class, Failure, Response};
use crate::domain::webhook::target::Target;
use crate::metrics::Open;

/// The bounds of one exchange.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds<'a> {
    pub(crate) deadline: Deadline,
    /// The most bytes of the response's body that are read and kept.
    pub(crate) capture: usize,
    /// Ends the wait for the rest of a body when a stop runs out of patience.
    pub(crate) cut: &'a Cut,
}

impl Bounds<'_> {
    /// Whether the attempt is over by its own deadline or by a stop, whatever its peers do.
    pub(in crate::deliver) fn are_over(self) -> bool {
        self.cut.is_made() || clock::steady() >= self.deadline.at
    }
}

/// The moment when an attempt must be over, and the time from the attempt's start to it.
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
    /// Whether no byte of a response had come. Then the endpoint may not have seen the request.
    pub(crate) before_first_byte: bool,
    pub(crate) connection_was_reused: bool,
}

impl Failed {
    /// Whether a kept connection was stale. Then the same attempt may be made on a fresh connection (RFC 9112 section 9.3.1).
    pub(crate) fn was_stale(&self) -> bool {
        self.connection_was_reused && self.before_first_byte && self.failure.class == Class::Reset
    }
}

/// A connection to an endpoint, and the state of its last exchange.
pub(crate) struct Connection {
    /// `None` once the connection is closed.
    stream: Option<Stream>,
    /// Bytes that were received and not yet taken.
    received: BytesMut,
    sending: Sending,
    origin: Target,
    way: Way,
    /// What each request says besides, when the other end is a proxy.
    via: Option<Box<Via>>,
    connector: u64,
    opened: Instant,
    used: bool,
    /// False during an exchange, and after an exchange that was not in order. So an exchange that is abandoned half way leaves it
    /// false.
    in_order: bool,
    /// Counts the connection as long as it is there.
    counted: Option<Open>,
}

/// A request that is being sent.
#[derive(Default)]
struct Sending {
    /// The request line and the headers.
    head: Vec<u8>,
    body: Bytes,
    /// How many bytes of the head were sent.
    sent: usize,
    /// Whether the request is sent or sending has failed. After a failure a response may come all the same, so reading goes on.
    over: bool,
    failed: bool,
}

impl Connection {
    /// Speaks HTTP over a stream that was connected by `way`, and ends at a proxy where `via` is given. `connector` is the id of the connector that made it.
    pub(in crate::deliver) fn open(
        stream: Stream,
        target: &Target,
        (way, via): (&Way, Option<Box<Via>>),
        connector: u64,
    ) -> Self {
        Self {
            stream: Some(stream),
            received: BytesMut::new(),
            sending: Sending::default(),
            origin: target.clone(),
            way: way.clone(),
            via,
            connector,
            opened: clock::steady(),
            used: false,
            in_order: true,
            counted: None,
        }
    }

    /// Counts the connection among the open ones until it is dropped.
    pub(in crate::deliver) fn count(&mut self, open: Option<Open>) {
        self.counted = open;
    }

    pub(in crate::deliver) fn connector(&self) -> u64 {
        self.connector
    }

    /// Whether another exchange may be tried. The peer may have closed the connection meanwhile; that shows when it is tried.
    pub(crate) fn is_reusable(&self) -> bool {
        self.in_order && self.stream.is_some() && self.age() < LIFE_MAX
    }

    fn age(&self) -> Duration {
        clock::steady().saturating_duration_since(self.opened)
    }

    /// Whether the connection leads to the origin of the request's target, by the request's way.
    pub(crate) fn serves(&self, request: &Request<'_>) -> bool {
        self.origin.shares_origin(request.target) && self.way == request.way
    }

    /// Waits until the peer closes the idle connection or sends something unasked, and closes it. It may be dropped and called
    /// again.
    pub(crate) async fn until_closed(&mut self) {
        // Bytes, the end of the stream and an error all end the connection.
        let _ = poll_fn(|cx| self.poll_receive(cx)).await;
        self.close();
    }

    /// Sends `request` and reads the response: its head before the deadline, and at most `capture` bytes of its body until the
    /// same moment.
    ///
    /// The connection is closed after a failure, and after a response that was not in order or was longer than `capture`.
    pub(crate) async fn exchange(&mut self, request: &Request<'_>, bounds: Bounds<'_>) -> Result<Response, Failed> {
        let reused = std::mem::replace(&mut self.used, true);
        self.in_order = false;
        let mut scanner = Scanner::default();
        let head = timeout_at(bounds.deadline.at.into(), self.head_of_response(request, reused, &mut scanner)).await;
        let place = self.place(&scanner);
        let head = head.unwrap_or_else(|_| Err(bounds.deadline.missed(place.missing())));
        match head.and_then(|head| self.of_endpoint(head)) {
            Ok(head) => Ok(self.answer(head, bounds).await),
            Err(failure) => {
                self.close();
                Err(Failed { failure, before_first_byte: place == Place::Before, connection_was_reused: reused })
            }
        }
    }

    /// The head, unless it is a proxy's own refusal.
    fn of_endpoint(&self, head: Head) -> Result<Head, Failure> {
        match self.via.as_ref().and_then(|_| tunnel::refused(head.status)) {
            Some(failure) => Err(failure),
            None => Ok(head),
        }
    }

    /// Sends a request and waits for the head of its response.
    async fn head_of_response(&mut self, request: &Request<'_>, reused: bool, scanner: &mut Scanner) -> Result<Head, Failure> {
        if reused {
            self.check_idle().await?;
        }
        self.sending.begin(request, self.via.as_deref());
        let mut large = None;
        loop {
            if self.received.len() > PLAIN_BYTES_MAX && large.is_none() {
                large = LARGE_HEADS.try_acquire().ok();
                // There is no memory for the rest of a large head, so the status that has come decides.
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

    /// Fails if bytes came while no request was out. They must not be taken for the response to the next request.
    async fn check_idle(&mut self) -> Result<(), Failure> {
        match self.look().await {
            None => Ok(()),
            Some(_) => {
                self.received.clear();
                Err(Failure::new(Class::Reset, "the endpoint closed the kept connection before the request was sent"))
            }
        }
    }

    /// The response whose head has come. Its status stands, whatever happens to its body.
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
            // A connection that waits for work keeps no large buffer.
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
            // When nothing more is waited for, one look tells a body that ends at the bound from a longer one.
            let more = if body.is_awaited() { Some(self.more().await) } else { self.look().await };
            match more {
                None => return End::Longer,
                Some(Ok(0)) => return body.close().map_or_else(End::Broken, |()| End::Whole),
                Some(Ok(_)) => {}
                Some(Err(error)) => return End::Broken(words::broken(&error, self.origin.host(), Place::Body).detail),
            }
        }
    }

    /// Receives the next bytes of the response, and meanwhile sends the rest of the request. Returns 0 at the end of the stream.
    async fn more(&mut self) -> io::Result<usize> {
        poll_fn(|cx| {
            self.poll_send(cx);
            self.poll_receive(cx)
        })
        .await
    }

    /// Receives what has come already, without waiting. `None` when nothing has come.
    async fn look(&mut self) -> Option<io::Result<usize>> {
        poll_fn(|cx| match self.poll_receive(cx) {
            Poll::Ready(come) => Poll::Ready(Some(come)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Sends as much of the request as the stream takes. An endpoint may answer and close before it has the whole request, so a
    /// failure to send counts only when reading fails too.
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

    /// How much of the response has come while its head is awaited.
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
    fn begin(&mut self, request: &Request<'_>, via: Option<&Via>) {
        request.write_head(via, &mut self.head);
        self.body = request.body();
        (self.sent, self.over, self.failed) = (0, false, false);
    }

    /// Whether the whole request was sent. Lets go of the body, so that a kept connection does not hold it in memory.
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
    /// The body is longer than what is kept.
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

/// The bytes behind a large head, moved out of the head's buffer.
fn only_what_is_there(received: BytesMut) -> BytesMut {
    if received.capacity() > PLAIN_BYTES_MAX { BytesMut::from(&received[..]) } else { received }
}

fn refused(fault: Fault) -> Failure {
    Failure::new(Class::Response, fault.to_string())
}

/// The longest time that a connection is used. After it the name is resolved again, so that an endpoint that moved is followed.
const LIFE_MAX: Duration = Duration::from_secs(300);

/// The number of heads beyond [`PLAIN_BYTES_MAX`] that are received at once, over all connections. They take at most 16 MiB.
static LARGE_HEADS: Semaphore = Semaphore::const_new(256);

/// The buffer of one read. Most responses fit into it.
const READ_BYTES: usize = 2 * 1024;
