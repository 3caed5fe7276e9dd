//! One attempt of a delivery: on a kept connection or a fresh one, under one deadline, to an [`Outcome`].
//!
//! A kept connection may have been closed by the endpoint at the moment it is used. The request is then sent once more on a
//! fresh one, as the same attempt; never after a byte of a response, never on a fresh connection.

#[cfg(test)]
mod tests;

use std::time::Duration;

use tokio::time::timeout_at;

use super::connect::Connector;
use super::connection::{Connection, Deadline, Request};
use crate::clock;
use crate::domain::outcome::{Failure, Outcome, Response};

/// What bounds an attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From DNS to the last byte of the response's body.
    pub(crate) timeout: Duration,
    /// Bytes of the response's body that are read and kept.
    pub(crate) response_capture: usize,
}

/// Sends `request` once. Leaves in `kept` a connection that can be used again, or nothing.
pub(crate) async fn attempt(
    connector: &Connector,
    kept: &mut Option<Box<Connection>>,
    request: &Request<'_>,
    limits: Limits,
) -> Outcome {
    let started = clock::steady();
    let deadline = Deadline { at: started + limits.timeout, after: limits.timeout };
    let usable = kept.take().filter(|kept| kept.is_reusable() && kept.serves(request.target) && connector.made(kept));
    let result = send(connector, usable, kept, request, (deadline, limits.response_capture)).await;
    Outcome { result, duration: clock::steady().saturating_duration_since(started) }
}

async fn send(
    connector: &Connector,
    usable: Option<Box<Connection>>,
    kept: &mut Option<Box<Connection>>,
    request: &Request<'_>,
    (deadline, capture): (Deadline, usize),
) -> Result<Response, Failure> {
    if let Some(mut connection) = usable {
        match connection.exchange(request, deadline, capture).await {
            Err(failed) if failed.was_stale() => {}
            Err(failed) => return Err(failed.failure),
            Ok(response) => {
                *kept = Some(connection).filter(|connection| connection.is_reusable());
                return Ok(response);
            }
        }
    }
    // On the heap: a name, TCP and TLS need much state, which a worker on a kept connection would carry in vain.
    let connecting = timeout_at(deadline.at.into(), Box::pin(connector.connect(request.target)));
    let mut connection = connecting.await.unwrap_or_else(|_| Err(deadline.missed("no connection was made")))?;
    let response = connection.exchange(request, deadline, capture).await.map_err(|failed| failed.failure)?;
    *kept = Some(connection).filter(|connection| connection.is_reusable());
    Ok(response)
}
