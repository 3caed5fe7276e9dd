//! One attempt of a delivery: on a kept connection or a fresh one, under one deadline, to an [`Outcome`].
//!
//! The endpoint may have closed a kept connection at the moment it is used. The request is then sent once more on a fresh
//! connection, as the same attempt. It is never sent again after a byte of a response, and never after a fresh connection failed.

pub(super) mod authorized;
#[cfg(test)]
pub(super) mod tests;

use std::time::{Duration, Instant};

use tokio::time::timeout_at;

use super::connect::{Connector, Unconnected};
use super::cut::Cut;
use super::exchange::connection::{Bounds, Connection, Deadline};
use super::exchange::request::Request;
use super::shortage::Shortage;
use crate::clock;
use crate::domain::delivery::outcome::{Outcome, Response};
use crate::metrics::Metrics;

/// The bounds of one attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits<'a> {
    /// The time from the start of the name's lookup to the end of the response's head. The body is read until the same moment.
    pub(crate) timeout: Duration,
    /// The most bytes of the response's body that are read and kept.
    pub(crate) response_capture: usize,
    /// Ends the wait for the rest of a body when a stop runs out of patience.
    pub(crate) cut: &'a Cut,
    /// Where connections are counted, if anywhere.
    pub(crate) metrics: Option<&'a Metrics>,
}

/// Makes one attempt with `request`. Afterwards `kept` holds a connection that can be used again, or nothing. A shortage of this
/// machine is an error and no outcome: nothing was sent.
pub(crate) async fn attempt(
    connector: &Connector,
    kept: &mut Option<Box<Connection>>,
    request: &Request<'_>,
    limits: Limits<'_>,
) -> Result<Outcome, Shortage> {
    #[cfg(test)]
    tests::panic_if_asked(request);
    let started = Started::new(limits);
    let result = exchange(connector, kept, request, started.bounds, limits.metrics).await;
    started.ended(result)
}

/// An attempt that has begun.
struct Started<'a> {
    at: Instant,
    bounds: Bounds<'a>,
}

impl<'a> Started<'a> {
    fn new(limits: Limits<'a>) -> Self {
        let at = clock::steady();
        let deadline = Deadline { at: at + limits.timeout, after: limits.timeout };
        Self { at, bounds: Bounds { deadline, capture: limits.response_capture, cut: limits.cut } }
    }

    fn ended(self, result: Result<Response, Unconnected>) -> Result<Outcome, Shortage> {
        let result = match result {
            Ok(response) => Ok(response),
            Err(Unconnected::Failed(failure)) => Err(failure),
            Err(Unconnected::Shortage(shortage)) => return Err(shortage),
        };
        Ok(Outcome { result, duration: clock::steady().saturating_duration_since(self.at) })
    }
}

/// Sends the request on the kept connection if that serves it, else on a fresh one.
async fn exchange(
    connector: &Connector,
    kept: &mut Option<Box<Connection>>,
    request: &Request<'_>,
    bounds: Bounds<'_>,
    metrics: Option<&Metrics>,
) -> Result<Response, Unconnected> {
    let usable = kept.take().filter(|kept| kept.is_reusable() && kept.serves(request) && connector.made(kept));
    send(connector, usable, kept, request, (bounds, metrics)).await
}

async fn send(
    connector: &Connector,
    usable: Option<Box<Connection>>,
    kept: &mut Option<Box<Connection>>,
    request: &Request<'_>,
    (bounds, metrics): (Bounds<'_>, Option<&Metrics>),
) -> Result<Response, Unconnected> {
    if let Some(mut connection) = usable {
        metrics.inspect(|metrics| metrics.connections_reused.inc());
        match connection.exchange(request, bounds).await {
            Err(failed) if failed.was_stale() => {}
            Err(failed) => return Err(failed.failure.into()),
            Ok(response) => {
                *kept = Some(connection).filter(|connection| connection.is_reusable());
                return Ok(response);
            }
        }
    }
    // The future is boxed since names, TCP and TLS need much state, which a worker with a kept connection never uses.
    let connecting = timeout_at(bounds.deadline.at.into(), Box::pin(connector.connect(request.target, &request.way)));
    let mut connection = connecting.await.unwrap_or_else(|_| Err(bounds.deadline.missed("no connection was made").into()))?;
    connection.count(metrics.map(Metrics::opened));
    let response = connection.exchange(request, bounds).await.map_err(|failed| failed.failure)?;
    *kept = Some(connection).filter(|connection| connection.is_reusable());
    Ok(response)
}
