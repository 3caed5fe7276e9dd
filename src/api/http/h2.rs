//! HTTP/2 over a TLS stream that agreed on it: many requests at once on one connection.
//!
//! No request may hold up the others or keep memory without end. So a body is read at once or refused, and an answer is handed
//! over in parts as its peer takes them, each part before the deadline of its stream.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};

use super::drive::{Ends, GIVES_WAY_WITHIN, drive};
use super::h1::{HEAD_BYTES_MAX, HEADERS_MAX};
use super::leaving::{Leaving, PART_BYTES};
use super::shutdown::Stop;
use super::slots::Slot;
use super::streams::Streams;
use crate::clock;

/// Serves requests until the peer goes, a deadline passes, the connection must leave, or the service stops. Requests at work are
/// finished first.
///
/// At a stop the peer is told at once which requests will be answered: those it had sent by then (RFC 9113, section 6.8).
pub(crate) async fn serve<S, A, F, B>(stream: S, stop: Stop, slot: Arc<Slot>, answer: A)
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: Fn(Request<Incoming>) -> F,
    F: Future<Output = Response<B>> + Send + 'static,
    B: Body<Data = Bytes, Error: Error + Send + Sync> + Default + Unpin + Send + 'static,
{
    let streams = Streams::new(slot.clone(), clock::steady());
    let service = service_fn(|request: Request<Incoming>| {
        let under_way = streams.begin(clock::steady());
        let answered = (request.headers().len() <= HEADERS_MAX).then(|| answer(request));
        async move {
            let response = match answered {
                Some(answered) => answered.await,
                None => too_many_headers(),
            };
            under_way.answered(clock::steady());
            Ok::<_, Infallible>(response.map(|body| Leaving::ending_small(body, under_way)))
        }
    });
    let mut connection = pin!(builder().serve_connection(TokioIo::new(stream), service));
    let ends = Ends {
        deadline: || streams.deadline(),
        stopped: pressed(stop.clone()),
        stop,
        slot: &slot,
        gives_way_within: GIVES_WAY_WITHIN,
    };
    drive(connection.as_mut(), |connection| connection.graceful_shutdown(), ends).await;
}

async fn pressed(mut stop: Stop) {
    stop.pressed().await;
}

fn builder() -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(STREAMS_MAX).max_header_list_size(u32::try_from(HEAD_BYTES_MAX).unwrap_or(u32::MAX));
    builder.initial_stream_window_size(WINDOW_BYTES).initial_connection_window_size(WINDOW_BYTES);
    builder.max_send_buf_size(SEND_BYTES);
    builder
}

fn too_many_headers<B: Default>() -> Response<B> {
    let mut response = Response::default();
    *response.status_mut() = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
    response
}

/// The most requests of one connection at once; further ones are refused unread. Clients assume that at least 100 are allowed
/// until they know the number (RFC 9113, section 6.5.2).
const STREAMS_MAX: u32 = 128;

/// How many bytes a peer may send before they are read, over all its requests: enough for 16 MiB in 30 s over a path of 400 ms.
const WINDOW_BYTES: u32 = 256 * 1024;

/// How many bytes of one answer may wait in the library for its peer. It is one part, since bytes that wait there are counted
/// nowhere.
const SEND_BYTES: usize = PART_BYTES;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::{BodyExt, Full};
    use hyper::client::conn::http2 as client;
    use tokio::sync::watch;
    use tokio::time::{sleep, timeout};

    use super::super::shutdown::Stage;
    use super::*;

    type Sender = client::SendRequest<Full<Bytes>>;

    /// A peer of a connection that answers with the path, after 50 ms for `/late`, and with a large body for `/large`.
    async fn peer() -> (Sender, watch::Sender<Stage>) {
        let (peer, ours) = tokio::io::duplex(1 << 20);
        let (press, pressed) = watch::channel(Stage::Serving);
        tokio::spawn(serve(ours, Stop::new(pressed), Slot::alone(), |request| async move {
            Response::new(Full::new(match request.uri().path() {
                "/large" => Bytes::from(vec![b'x'; LARGE]),
                "/late" => {
                    sleep(Duration::from_millis(50)).await;
                    Bytes::from_static(b"/late")
                }
                path => Bytes::from(path.to_owned()),
            }))
        }));
        let (sender, connection) = client::handshake(TokioExecutor::new(), TokioIo::new(peer)).await.unwrap();
        tokio::spawn(connection);
        (sender, press)
    }

    fn get(sender: &mut Sender, path: &str) -> impl Future<Output = Response<Incoming>> + use<> {
        let request = Request::get(format!("https://relay{path}")).body(Full::default()).unwrap();
        let answer = sender.send_request(request);
        async { timeout(Duration::from_secs(10), answer).await.unwrap().unwrap() }
    }

    async fn text(response: Response<Incoming>) -> Bytes {
        response.into_body().collect().await.unwrap().to_bytes()
    }

    #[tokio::test]
    async fn a_late_answer_holds_up_no_other() {
        let (mut sender, _press) = peer().await;
        let late = tokio::spawn(get(&mut sender, "/late"));
        assert_eq!(text(get(&mut sender, "/at-once").await).await, "/at-once");
        assert!(!late.is_finished());
        assert_eq!(text(late.await.unwrap()).await, "/late");
    }

    #[tokio::test]
    async fn an_unread_answer_holds_up_no_other_and_comes_whole() {
        let (mut sender, _press) = peer().await;
        let large = get(&mut sender, "/large").await;
        assert_eq!(large.headers()["content-length"], LARGE.to_string());
        assert_eq!(text(get(&mut sender, "/other").await).await, "/other");
        assert_eq!(text(large).await.len(), LARGE);
        assert_eq!(text(get(&mut sender, "/").await).await, "/");
    }

    #[tokio::test]
    async fn too_many_headers_are_431() {
        let (mut sender, _press) = peer().await;
        for (count, status) in [(HEADERS_MAX, 200), (HEADERS_MAX + 1, 431)] {
            let request = (0..count).fold(Request::get("https://relay/"), |request, at| request.header(format!("a-{at}"), "b"));
            assert_eq!(sender.send_request(request.body(Full::default()).unwrap()).await.unwrap().status(), status);
        }
    }

    #[tokio::test]
    async fn a_stop_finishes_what_is_at_work_and_closes() {
        let (mut sender, press) = peer().await;
        let late = tokio::spawn(get(&mut sender, "/late"));
        assert_eq!(text(get(&mut sender, "/").await).await, "/");
        press.send(Stage::Draining).unwrap();
        assert_eq!(text(late.await.unwrap()).await, "/late");
        let closed = async {
            while !sender.is_closed() {
                tokio::task::yield_now().await
            }
        };
        timeout(Duration::from_secs(10), closed).await.expect("closed");
    }

    const LARGE: usize = 3 << 20;
}
