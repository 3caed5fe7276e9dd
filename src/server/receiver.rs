//! The receiver inside `dev`: it answers every delivery, so that deliveries can be seen without an application.

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// How the receiver behaves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Manners {
    /// The share of deliveries that it answers with 500, from 0 to 1.
    pub(super) fail_rate: f64,
    /// The pause before each answer.
    pub(super) latency: Duration,
}

/// Answers until the task is dropped.
pub(super) async fn serve(listener: TcpListener, manners: Manners) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(move |request| answer(request, manners));
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            // The relay reports a connection that breaks.
            tokio::spawn(async move { drop(connection.await) });
        } else {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

async fn answer(request: Request<Incoming>, manners: Manners) -> Result<Response<Full<Bytes>>, Infallible> {
    // The body is read so that the connection can be kept.
    drop(request.into_body().collect().await);
    tokio::time::sleep(manners.latency).await;
    let fails = draw() < manners.fail_rate;
    let (status, text) =
        if fails { (StatusCode::INTERNAL_SERVER_ERROR, "failing on purpose: --fail-rate") } else { (StatusCode::OK, "ok") };
    let mut response = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    Ok(response)
}

/// A number in [0, 1); without randomness nothing fails on purpose.
fn draw() -> f64 {
    getrandom::u32().map_or(1.0, |bits| f64::from(bits) / (f64::from(u32::MAX) + 1.0))
}
