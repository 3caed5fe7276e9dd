//! HTTP/1.1 over any stream: its limits, and how its connections end.

use std::cell::Cell;
use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;

use super::ahead::Length;
use super::drive::{Ends, GIVES_WAY_WITHIN, drive};
use super::leaving::{Leaving, Watch};
use super::pace::Pace;
use super::shutdown::Stop;
use super::slots::Slot;
use crate::clock;

/// Serves requests until the peer goes, a deadline passes, the connection must leave, or the service closes. A request at work is
/// finished first.
pub(crate) async fn serve<S, A, F, B>(stream: S, stop: Stop, slot: Arc<Slot>, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>>,
    B: Body<Data = Bytes, Error: Error + Send + Sync> + Unpin + 'static,
{
    let pace = Arc::new(Pace::new(clock::steady()));
    let service = service_fn(|request: Request<Incoming>| {
        pace.began(length(request.body()));
        slot.works();
        let (pace, slot, has_body) = (pace.clone(), slot.clone(), !request.body().is_end_stream());
        let answered = answer(request);
        async move {
            let (response, now) = (answered.await, clock::steady());
            pace.answered(now, has_body && !response.status().is_success());
            slot.rests(now);
            Ok::<_, Infallible>(response.map(|body| Leaving::new(body, OnItsWay { pace, slot, works: Cell::new(false) })))
        }
    });
    let io = TokioIo::new(Paced { stream, pace: pace.clone(), drained: 0 });
    let mut connection = pin!(builder().serve_connection(io, service));
    let ends = Ends {
        deadline: || pace.deadline(),
        stopped: last_call(stop.clone()),
        stop,
        slot: &slot,
        gives_way_within: GIVES_WAY_WITHIN,
    };
    drive(connection.as_mut(), |connection| connection.graceful_shutdown(), ends).await;
}

/// Waits until the service closes, and [`LAST_CALL`] longer, so that requests sent by then are answered. Earlier, while the
/// service drains, each answer already closes its connection.
async fn last_call(mut stop: Stop) {
    stop.closing().await;
    sleep(LAST_CALL).await;
}

fn length(body: &Incoming) -> Length {
    body.size_hint().exact().map_or(Length::Chunks, Length::Known)
}

/// Watches an answer on its way to the peer.
struct OnItsWay {
    pace: Arc<Pace>,
    slot: Arc<Slot>,
    /// Whether the slot counts the answer as a request at work. However many parts the answer has, it is counted once.
    works: Cell<bool>,
}

impl OnItsWay {
    fn work(&self) {
        if !self.works.replace(true) {
            self.slot.works();
        }
    }
}

impl Watch for OnItsWay {
    fn taken(&self) {
        self.work();
        self.pace.taken(clock::steady());
    }

    fn waits(&self) {
        self.work();
        self.pace.waits(clock::steady());
    }

    fn over(&self) {
        let now = clock::steady();
        self.pace.sent(now);
        if self.works.replace(false) {
            self.slot.rests(now);
        }
    }
}

fn builder() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // [`Pace`] times heads. The library's own timer would need a timer for each request.
    builder.header_read_timeout(None).max_headers(HEADERS_MAX).max_header_size(HEAD_BYTES_MAX).max_buf_size(BUFFER_BYTES_MAX);
    builder
}

/// A stream that reports the bytes that come in to [`Pace`], and at its end reads what is still on its way.
struct Paced<S> {
    stream: S,
    pace: Arc<Pace>,
    /// How many bytes were read after the end.
    drained: usize,
}

impl<S: AsyncRead + Unpin> AsyncRead for Paced<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        if into.filled().len() > before {
            self.pace.received(&into.filled()[before..], clock::steady);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Paced<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_shutdown(cx))?;
        if self.pace.closing(clock::steady) { self.poll_drain(cx) } else { Poll::Ready(Ok(())) }
    }
}

impl<S: AsyncRead + Unpin> Paced<S> {
    /// Reads to the peer's end, but at most [`DRAINED_BYTES_MAX`]: as much of a refused body as may have been on its way.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut scrap = [0; 4096];
        while self.drained < DRAINED_BYTES_MAX {
            let mut into = ReadBuf::new(&mut scrap);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut into))?;
            match into.filled().len() {
                0 => break,
                count => self.drained += count,
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// The most headers of a request. A request with more is answered with 431.
pub(in crate::api) const HEADERS_MAX: usize = 64;

/// The most bytes of a request line and its headers. A request with more is answered with 431.
pub(in crate::api) const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The most bytes that are read at once from one connection. A longer body comes in parts.
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// The time from the end of accepting to the closing of connections that have sent nothing.
const LAST_CALL: Duration = Duration::from_millis(100);

/// The most bytes that are read and thrown away behind a refused body.
const DRAINED_BYTES_MAX: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use http_body_util::Full;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio::sync::watch;

    use super::super::body::BodyBudget;
    use super::super::carrier::Carrier;
    use super::super::shutdown::Stage;
    use super::*;
    use crate::budget::{BYTES_LEAST, Budget};

    /// A peer of a connection that answers each body with its length, or with 413 past 100 bytes.
    fn peer() -> (DuplexStream, watch::Sender<Stage>) {
        let (peer, ours) = tokio::io::duplex(1 << 20);
        let (press, pressed) = watch::channel(Stage::Serving);
        tokio::spawn(served(ours, Stop::new(pressed), |request| async {
            let length = request.into_body().size_hint().exact().unwrap_or_default();
            let mut response = Response::new(Full::new(Bytes::from(length.to_string())));
            if length > 100 {
                *response.status_mut() = http::StatusCode::PAYLOAD_TOO_LARGE;
                response.headers_mut().insert(http::header::CONNECTION, http::HeaderValue::from_static("close"));
            }
            response
        }));
        (peer, press)
    }

    async fn served<F>(stream: DuplexStream, stop: Stop, answer: impl Fn(Request<Incoming>) -> F)
    where
        F: Future<Output = Response<Full<Bytes>>>,
    {
        serve(stream, stop, Slot::alone(), answer).await;
    }

    async fn exchange(sent: &str) -> String {
        let (mut peer, _press) = peer();
        peer.write_all(sent.as_bytes()).await.unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn a_connection_is_idle_again_after_an_answer_of_many_parts() {
        const ANSWER: usize = 100_000;
        let (mut peer, ours) = tokio::io::duplex(1 << 20);
        let (_press, pressed) = watch::channel(Stage::Serving);
        let slot = Slot::alone();
        tokio::spawn(serve(ours, Stop::new(pressed), slot.clone(), |_| async {
            Response::new(Full::new(Bytes::from(vec![b'x'; ANSWER])))
        }));
        for _ in 0..2 {
            peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
            let mut answer = Vec::new();
            while !answer.ends_with(&[b'x'; ANSWER]) {
                peer.read_buf(&mut answer).await.unwrap();
            }
            sleep(Duration::from_millis(10)).await;
            assert!(!slot.is_at_work());
        }
    }

    #[tokio::test]
    async fn requests_follow_each_other_on_one_connection() {
        let answer = exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\nGET / HTTP/1.1\r\nconnection: close\r\n\r\n").await;
        assert_eq!(answer.matches("HTTP/1.1 200 OK").count(), 2);
    }

    #[tokio::test]
    async fn too_many_or_too_large_headers_are_431() {
        let many = "a: b\r\n".repeat(HEADERS_MAX + 1);
        assert!(exchange(&format!("GET / HTTP/1.1\r\n{many}\r\n")).await.starts_with("HTTP/1.1 431 "));
        let large = "x".repeat(HEAD_BYTES_MAX);
        assert!(exchange(&format!("GET / HTTP/1.1\r\na: {large}\r\n\r\n")).await.starts_with("HTTP/1.1 431 "));
        let just = "a: b\r\n".repeat(HEADERS_MAX - 1);
        assert!(exchange(&format!("GET / HTTP/1.1\r\nconnection: close\r\n{just}\r\n")).await.starts_with("HTTP/1.1 200 "));
    }

    #[tokio::test]
    async fn a_request_is_one_request_however_it_is_framed() {
        for (framing, status) in [
            ("content-length: 1\r\ncontent-length: 2", "400"),
            ("content-length: -1", "400"),
            ("content-length: 99999999999999999999", "400"),
            ("transfer-encoding: xchunked", "400"),
            ("transfer-encoding: chunked, identity", "400"),
            ("a: b\r\n c", "400"),
            ("a : b", "400"),
            ("a: b\rc: d", "400"),
        ] {
            let answer = exchange(&format!("POST / HTTP/1.1\r\nhost: a\r\n{framing}\r\n\r\nGET /2 HTTP/1.1\r\n\r\n")).await;
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{framing}: {answer}");
            assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{framing}: {answer}");
        }
    }

    #[tokio::test]
    async fn a_refused_body_is_not_taken_for_a_request() {
        let smuggled = "GET /2 HTTP/1.1\r\n\r\n";
        let answer = exchange(&format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5000\r\n\r\n{smuggled}")).await;
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1);
    }

    #[tokio::test]
    async fn a_stop_closes_an_idle_connection() {
        let (mut peer, press) = peer();
        peer.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        let mut first = [0; 12];
        peer.read_exact(&mut first).await.unwrap();
        press.send(Stage::Closing).unwrap();
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).await.unwrap();
        assert_eq!(&first, b"HTTP/1.1 200");
    }

    #[tokio::test]
    async fn a_body_that_comes_with_its_head_is_read_at_once() {
        let (mut peer, ours) = tokio::io::duplex(1 << 20);
        let (_press, pressed) = watch::channel(Stage::Serving);
        tokio::spawn(served(ours, Stop::new(pressed), |request| async {
            let room = BodyBudget::new(Arc::new(Budget::new(BYTES_LEAST)));
            let taken = room.take(request.into_body(), 1000, Carrier::One, || 1).await.unwrap();
            Response::new(Full::new(Bytes::from(format!("waited: {}", taken.waited))))
        }));
        let head = "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 3\r\n\r\n";
        peer.write_all(format!("{head}abc").as_bytes()).await.unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("waited: false"), "{answer}");
    }
}
