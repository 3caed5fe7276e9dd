//! Takes connections in, one task for each. Who has a place when not all can is for [`slots`](super::slots) to say.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;

use super::shutdown::Stop;
use super::slots::{Group, Slot};
use super::{h1, h2};
use crate::api::Api;
use crate::api::request::entrance::Door;
use crate::clock;

/// Where requests come in.
pub(crate) enum Listener {
    /// With TLS while there is an acceptor, whose certificate may be renewed at any time.
    Tcp(TcpListener, watch::Receiver<Option<TlsAcceptor>>),
    /// The admin socket: whoever may open it is the operator.
    Unix(UnixListener),
}

/// Serves until the service closes, also while it drains; then takes in whoever has connected by then, finishes the requests at
/// work and returns when the last connection has ended.
///
/// The caller bounds how long it waits for that.
pub(crate) async fn serve(listener: Listener, api: Arc<Api>, door: Door, mut stop: Stop) {
    let slots = api.slots(door).clone();
    let server = Server { api, door, stop: stop.clone() };
    loop {
        slots.settled().await;
        let accepted = tokio::select! {
            biased;
            accepted = accept(&listener) => accepted,
            () = stop.closing() => break,
        };
        match accepted {
            Ok((accepted, from)) => {
                let slot = slots.admit(from, clock::steady());
                drop(tokio::spawn(server.clone().serve(accepted, Arc::new(slot))));
            }
            Err(error) => pause(&error).await,
        }
    }
    drop(listener);
    slots.empty().await;
}

enum Accepted {
    Plain(tokio::net::TcpStream),
    Tls(tokio::net::TcpStream, TlsAcceptor),
    Unix(tokio::net::UnixStream),
}

async fn accept(listener: &Listener) -> io::Result<(Accepted, Group)> {
    match listener {
        Listener::Unix(listener) => Ok((Accepted::Unix(listener.accept().await?.0), Group::Socket)),
        Listener::Tcp(listener, tls) => {
            let (stream, peer) = listener.accept().await?;
            // An answer is one write; it must not wait for the acknowledgement of the one before. A peer that is gone already
            // needs none.
            let _ = stream.set_nodelay(true);
            let accepted = match tls.borrow().clone() {
                Some(tls) => Accepted::Tls(stream, tls),
                None => Accepted::Plain(stream),
            };
            Ok((accepted, Group::of(peer.ip())))
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
    async fn serve(self, accepted: Accepted, slot: Arc<Slot>) {
        match accepted {
            Accepted::Plain(stream) => self.h1(stream, slot).await,
            Accepted::Unix(stream) => self.h1(stream, slot).await,
            Accepted::Tls(stream, tls) => {
                let handshake = tokio::select! {
                    handshake = timeout(HANDSHAKE_MAX, tls.accept(stream)) => handshake,
                    () = slot.told() => return,
                };
                if let Ok(Ok(mut stream)) = handshake {
                    let tls = stream.get_mut().1;
                    tls.set_buffer_limit(Some(SEALED_BYTES_MAX));
                    if tls.alpn_protocol() == Some(ALPN_H2) { self.h2(stream, slot).await } else { self.h1(stream, slot).await }
                }
            }
        }
    }

    async fn h1<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S, slot: Arc<Slot>) {
        let (api, door) = (self.api, self.door);
        h1::serve(stream, self.stop, slot.clone(), |request| api.clone().answer(door, slot.clone(), request)).await;
    }

    async fn h2<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S, slot: Arc<Slot>) {
        let (api, door) = (self.api, self.door);
        h2::serve(stream, self.stop, slot.clone(), |request| api.clone().answer(door, slot.clone(), request)).await;
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

/// Connections over the network at once.
pub(crate) const CONNECTIONS_MAX: usize = 2_304;

/// Connections to the admin socket at once, which has places of its own.
pub(crate) const SOCKET_CONNECTIONS_MAX: usize = 96;

/// What a listener with TLS offers in its handshake, the best first (RFC 7301).
pub(crate) const ALPN: [&[u8]; 2] = [ALPN_H2, b"http/1.1"];
const ALPN_H2: &[u8] = b"h2";

/// Sealed bytes of one connection that wait for its peer: one record. The library's own bound is four times as much.
const SEALED_BYTES_MAX: usize = 16 * 1024;

/// For a TLS handshake, as for the head of a request.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// After a failed accept, mostly for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
