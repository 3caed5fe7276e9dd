//! One attempt of a delivery: on a kept connection or a fresh one, under one deadline, to an [`Outcome`].
//!
//! A kept connection may have been closed by the endpoint at the moment it is used. The request is then sent once more on a
//! fresh one, as the same attempt; never after a byte of a response, never on a fresh connection.

#[cfg(test)]
pub(super) mod tests;

use std::time::Duration;

use tokio::time::timeout_at;

use super::connect::{Connector, Unconnected};
use super::cut::Cut;
use super::exchange::connection::{Bounds, Connection, Deadline};
use super::exchange::request::Request;
use super::shortage::Shortage;
use crate::clock;
use crate::domain::delivery::outcome::{Outcome, Response};

/// What bounds an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits<'a> {
    /// From DNS to the end of the response's head. Its body is read until then at most.
    pub(crate) timeout: Duration,
    /// Bytes of the response's body that are read and kept.
    pub(crate) response_capture: usize,
    /// Ends the wait for the rest of a body early.
    pub(crate) cut: &'a Cut,
}

/// Sends `request` once. Leaves in `kept` a connection that can be used again, or nothing. A shortage of this machine is no
/// outcome: nothing was sent.
pub(crate) async fn attempt(
    connector: &Connector,
    kept: &mut Option<Box<Connection>>,
    request: &Request<'_>,
    limits: Limits<'_>,
) -> Result<Outcome, Shortage> {
    #[cfg(test)]
    tests::panic_if_asked(request);
    let started = clock::steady();
    let deadline = Deadline { at: started + limits.timeout, after: limits.timeout };
    let usable = kept.take().filter(|kept| kept.is_reusable() && kept.serves(request.target) && connector.made(kept));
    let bounds = Bounds { deadline, capture: limits.response_capture, cut: limits.cut };
    let result = match send(connector, usable, kept, request, bounds).await {
        Ok(response) => Ok(response),
        Err(Unconnected::Failed(failure)) => Err(failure),
        Err(Unconnected::Shortage(shortage)) => return Err(shortage),
    };
    Ok(Outcome { result, duration: clock::steady().saturating_duration_since(started) })
}

async fn send(
    connector: &Connector,
    usable: Option<Box<Connection>>,
    kept: &mut Option<Box<Connection>>,
    request: &Request<'_>,
    bounds: Bounds<'_>,
) -> Result<Response, Unconnected> {
    if let Some(mut connection) = usable {
        match connection.exchange(request, bounds).await {
            Err(failed) if failed.was_stale() => {}
            Err(failed) => return Err(failed.failure.into()),
            Ok(response) => {
                *kept = Some(connection).filter(|connection| connection.is_reusable());
                return Ok(response);
            }
        }
    }
    // On the heap: a name, TCP and TLS need much state, which a worker on a kept connection would carry in vain.
    let connecting = timeout_at(bounds.deadline.at.into(), Box::pin(connector.connect(request.target)));
    let mut connection = connecting.await.unwrap_or_else(|_| Err(bounds.deadline.missed("no connection was made").into()))?;
    let response = connection.exchange(request, bounds).await.map_err(|failed| failed.failure)?;
    *kept = Some(connection).filter(|connection| connection.is_reusable());
    Ok(response)
}
