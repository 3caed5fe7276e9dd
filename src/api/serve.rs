//! Takes connections in: so many at once, one task for each.
//!
//! With all slots taken, newcomers wait in the system's queue of the listener; a slot is free again after the 10 s that a silent
//! connection has, at the latest after the 60 s of an idle one.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::stop::Stop;
use super::{Api, h1, h2};
use crate::api::door::Door;

/// Where requests come in.
pub(crate) enum Listener {
    /// With TLS while there is an acceptor, whose certificate may be renewed at any time.
    Tcp(TcpListener, watch::Receiver<Option<TlsAcceptor>>),
    /// The admin socket: whoever may open it is the operator.
    Unix(UnixListener),
}

/// Serves until `stop`; then refuses newcomers, finishes the requests at work and returns when the last connection has ended.
///
/// The caller bounds how long it waits for that.
pub(crate) async fn serve(listener: Listener, api: Arc<Api>, door: Door, mut stop: Stop) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let server = Server { api, door, stop: stop.clone() };
    while let Some(slot) = free_slot(&slots, &mut stop).await {
        let accepted = tokio::select! {
            accepted = accept(&listener) => accepted,
            () = stop.pressed() => break,
        };
        match accepted {
            Ok(stream) => drop(tokio::spawn(server.clone().serve(stream, slot))),
            Err(error) => pause(&error).await,
        }
    }
    drop(listener);
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    let _ = slots.acquire_many(all).await;
}

enum Accepted {
    Plain(tokio::net::TcpStream),
    Tls(tokio::net::TcpStream, TlsAcceptor),
    Unix(tokio::net::UnixStream),
}

async fn free_slot(slots: &Arc<Semaphore>, stop: &mut Stop) -> Option<OwnedSemaphorePermit> {
    tokio::select! {
        slot = slots.clone().acquire_owned() => slot.ok(),
        () = stop.pressed() => None,
    }
}

async fn accept(listener: &Listener) -> io::Result<Accepted> {
    match listener {
        Listener::Unix(listener) => Ok(Accepted::Unix(listener.accept().await?.0)),
        Listener::Tcp(listener, tls) => {
            let (stream, _) = listener.accept().await?;
            // An answer is one write; it must not wait for the acknowledgement of the one before.
            stream.set_nodelay(true)?;
            Ok(match tls.borrow().clone() {
                Some(tls) => Accepted::Tls(stream, tls),
                None => Accepted::Plain(stream),
            })
        }
    }
}

/// What every connection is served with.
#[derive(Clone)]
struct Server {
    api: Arc<Api>,
    door: Door,
    stop: Stop,
}

impl Server {
    async fn serve(self, accepted: Accepted, slot: OwnedSemaphorePermit) {
        match accepted {
            Accepted::Plain(stream) => self.h1(stream).await,
            Accepted::Unix(stream) => self.h1(stream).await,
            Accepted::Tls(stream, tls) => match timeout(HANDSHAKE_MAX, tls.accept(stream)).await {
                Ok(Ok(stream)) if stream.get_ref().1.alpn_protocol() == Some(ALPN_H2) => self.h2(stream).await,
                Ok(Ok(stream)) => self.h1(stream).await,
                _ => {}
            },
        }
        drop(slot);
    }

    async fn h1<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        let (api, door) = (self.api, self.door);
        h1::serve(stream, self.stop, |request| api.clone().answer(door, request)).await;
    }

    async fn h2<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S) {
        let (api, door) = (self.api, self.door);
        h2::serve(stream, self.stop, |request| api.clone().answer(door, request)).await;
    }
}

/// A connection that broke before it was taken is its peer's affair; anything else is the machine's, and trying at once would
/// only burn it.
async fn pause(error: &io::Error) {
    let broke = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
    if !broke.contains(&error.kind()) {
        tracing::warn!("cannot take a connection in: {error}; trying again in {ACCEPT_PAUSE:?}");
        sleep(ACCEPT_PAUSE).await;
    }
}

/// Connections at once; see the top for what happens past it.
pub(crate) const CONNECTIONS_MAX: usize = 2_048;

/// What a listener with TLS offers in its handshake, the best first (RFC 7301).
pub(crate) const ALPN: [&[u8]; 2] = [ALPN_H2, b"http/1.1"];
const ALPN_H2: &[u8] = b"h2";

/// For a TLS handshake, as for the head of a request.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// After a failed accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
