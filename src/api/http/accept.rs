//! Accepts connections, one task for each. [`slots`](super::slots) decides who keeps a place when all are taken.

use std::io;
use std::net::IpAddr;
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
use crate::api::request::entrance::{Entrance, Way};
use crate::clock;

/// A socket on which connections come in.
pub(crate) enum Listener {
    /// A TCP socket. Connections use TLS while the channel holds an acceptor; its certificate may be renewed at any time.
    Tcp(TcpListener, watch::Receiver<Option<TlsAcceptor>>),
    /// The admin socket. Whoever may open it is the operator.
    Unix(UnixListener),
}

/// Accepts and serves connections until the service closes, also while it drains. Then it finishes the requests at work, and
/// returns when the last connection has ended.
///
/// There is no bound on that wait here: the caller sets one.
pub(crate) async fn serve(listener: Listener, api: Arc<Api>, entrance: Entrance, mut stop: Stop) {
    let slots = api.slots(entrance).clone();
    let server = Server { api, way: Way { entrance, peer: None, user: None }, stop: stop.clone() };
    loop {
        slots.settled().await;
        let accepted = tokio::select! {
            biased;
            accepted = accept(&listener) => accepted,
            () = stop.closing() => break,
        };
        match accepted {
            Ok((accepted, peer)) => {
                let slot = slots.admit(peer.map_or(Group::Socket, Group::from_address), clock::steady());
                let way = Way { peer, user: accepted.user(), ..server.way };
                let server = Server { way, ..server.clone() };
                drop(tokio::spawn(server.serve(accepted, Arc::new(slot))));
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

impl Accepted {
    /// The number of the user who opened a Unix socket.
    fn user(&self) -> Option<u32> {
        match self {
            Self::Plain(_) | Self::Tls(..) => None,
            Self::Unix(stream) => stream.peer_cred().ok().map(|peer| peer.uid()),
        }
    }
}

async fn accept(listener: &Listener) -> io::Result<(Accepted, Option<IpAddr>)> {
    match listener {
        Listener::Unix(listener) => Ok((Accepted::Unix(listener.accept().await?.0), None)),
        Listener::Tcp(listener, tls) => {
            let (stream, peer) = listener.accept().await?;
            // An answer is one write, and must not wait until the peer has acknowledged the write before it. An error means that
            // the peer is gone, which shows soon enough.
            let _ = stream.set_nodelay(true);
            let accepted = match tls.borrow().clone() {
                Some(tls) => Accepted::Tls(stream, tls),
                None => Accepted::Plain(stream),
            };
            Ok((accepted, Some(peer.ip())))
        }
    }
}

/// Everything that serving a connection needs.
#[derive(Clone)]
struct Server {
    api: Arc<Api>,
    way: Way,
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
                    () = slot.until_told_to_leave() => return,
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
        let (api, way) = (self.api, self.way);
        h1::serve(stream, self.stop, slot.clone(), |request| api.clone().answer(way, slot.clone(), request)).await;
    }

    async fn h2<S: AsyncRead + AsyncWrite + Unpin>(self, stream: S, slot: Arc<Slot>) {
        let (api, way) = (self.api, self.way);
        h2::serve(stream, self.stop, slot.clone(), |request| api.clone().answer(way, slot.clone(), request)).await;
    }
}

/// Waits after a failed accept. A connection that broke before it was accepted needs no wait; any other error is this machine's,
/// and trying again at once would only waste its time.
async fn pause(error: &io::Error) {
    let broke = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::Interrupted];
    if !broke.contains(&error.kind()) {
        tracing::warn!("cannot take a connection in: {error}; trying again in {ACCEPT_PAUSE:?}");
        sleep(ACCEPT_PAUSE).await;
    }
}

/// The most connections over the network at once.
pub(crate) const CONNECTIONS_MAX: usize = 2_304;

/// The most connections to the admin socket at once. They are counted apart from those over the network.
pub(crate) const SOCKET_CONNECTIONS_MAX: usize = 96;

/// The protocols that a listener with TLS offers in its handshake, the preferred first (RFC 7301).
pub(crate) const ALPN: [&[u8]; 2] = [ALPN_H2, b"http/1.1"];
const ALPN_H2: &[u8] = b"h2";

/// The most encrypted bytes of one connection that wait for its peer: one record. The library's own bound is four times as much.
const SEALED_BYTES_MAX: usize = 16 * 1024;

/// The most time for a TLS handshake, the same as for the head of a request.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// The wait after a failed accept, which mostly fails for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
