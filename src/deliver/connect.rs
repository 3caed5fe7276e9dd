//! From a target to a connection: resolve, judge every address, dial one of those judged, shake hands.
//!
//! The only way out of the process to an endpoint. What is dialled is the very address that was judged; proxies named in the
//! environment are not looked at. Immutable: a changed setting makes a new connector, and connections of the old one are not used again.

mod resolve;
mod tls;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::connection::Connection;
use super::wire::Stream;
use crate::clock;
use crate::domain::outcome::{Class, Failure};
use crate::domain::target::{Guard, Host, LOCALHOST, Refused, Target};
use resolve::Resolver;

/// What connecting depends on.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) guard: Guard,
    /// Bound on each of DNS, TCP and TLS.
    pub(crate) connect_timeout: Duration,
    /// Name servers; empty: those of `/etc/resolv.conf`.
    pub(crate) resolvers: Vec<SocketAddr>,
    /// PEM certificates that are trusted besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
}

/// Makes connections to endpoints.
pub(crate) struct Connector {
    id: u64,
    guard: Guard,
    connect_timeout: Duration,
    resolver: Resolver,
    tls: TlsConnector,
}

impl Connector {
    /// Reads certificates and the resolver's configuration from disk, once.
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let Options { guard, connect_timeout, resolvers, ca_file } = options;
        let resolver = Resolver::new(&resolvers, connect_timeout).map_err(Error::Resolver)?;
        let tls = tls::connector(ca_file.as_deref())?;
        Ok(Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), guard, connect_timeout, resolver, tls })
    }

    /// A fresh connection to `target`. Each of the three stages ends within `connect_timeout`.
    ///
    /// On the heap: it is large, and passes from hand to hand with each attempt.
    pub(crate) async fn connect(&self, target: &Target) -> Result<Box<Connection>, Failure> {
        let addresses = self.addresses(target).await?;
        let tcp = self.dial(&addresses).await?;
        self.judge_ends(&tcp)?;
        let stream = if target.is_tls() {
            let shaking = tls::handshake(&self.tls, target.host(), tcp);
            Stream::Tls(Box::new(self.stage("the TLS handshake", shaking).await?))
        } else {
            Stream::Plain(tcp)
        };
        Connection::open(stream, target, self.id).await.map(Box::new)
    }

    /// Whether `connection` was made by this connector, so under its guard and certificates.
    pub(super) fn made(&self, connection: &Connection) -> bool {
        connection.connector() == self.id
    }

    /// The addresses to dial, all of them judged.
    async fn addresses(&self, target: &Target) -> Result<Vec<SocketAddr>, Failure> {
        let found = match target.host() {
            Host::Ip(ip) => vec![*ip],
            host if host.is_local_name() => return self.local(target.port()),
            Host::Domain(name) => self.stage("looking up the name", self.resolver.addresses(name)).await?,
        };
        let addresses: Vec<_> = found.into_iter().map(|ip| SocketAddr::new(ip, target.port())).collect();
        // All, not one that passes: a name with a private address among public ones is a trap or a mistake.
        addresses.iter().try_for_each(|address| self.judge(*address))?;
        Ok(interleave(&addresses))
    }

    /// The loopback addresses that the operator opened.
    fn local(&self, port: u16) -> Result<Vec<SocketAddr>, Failure> {
        let all = LOCALHOST.map(|ip| SocketAddr::new(ip, port));
        let open: Vec<_> = all.into_iter().filter(|address| self.guard.judge(*address).is_ok()).collect();
        if open.is_empty() {
            self.judge(all[0])?;
        }
        Ok(open)
    }

    fn judge(&self, address: SocketAddr) -> Result<(), Failure> {
        self.guard.judge(address).map_err(|refused| refuse(address, refused))
    }

    fn judge_ends(&self, tcp: &TcpStream) -> Result<(), Failure> {
        let (local, peer) =
            tcp.local_addr().and_then(|local| Ok((local, tcp.peer_addr()?))).map_err(|error| unreachable(&error))?;
        self.guard.judge_ends(local, peer).map_err(|refused| refuse(peer, refused))
    }

    /// Dials one address after another. Each gets its share of the time that is left, so that one that swallows packets does not
    /// keep the next from its turn.
    async fn dial(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Failure> {
        let end = clock::steady() + self.connect_timeout;
        let mut failure = Failure::new(Class::Connect, "there is no address to connect to");
        for (done, address) in addresses.iter().enumerate() {
            let left = end.saturating_duration_since(clock::steady());
            let share = left / u32::try_from(addresses.len() - done).unwrap_or(u32::MAX);
            match timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => return tcp.set_nodelay(true).map(|()| tcp).map_err(|error| unreachable(&error)),
                Ok(Err(error)) => failure = unreachable(&error),
                Err(_) => {
                    failure = Failure::new(Class::Timeout, format!("connecting took longer than {:?}", self.connect_timeout))
                }
            }
        }
        Err(failure)
    }

    async fn stage<T>(&self, what: &str, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let late = |_| Failure::new(Class::Timeout, format!("{what} took longer than {:?}", self.connect_timeout));
        timeout(self.connect_timeout, work).await.map_err(late)?
    }
}

/// The operator's log learns the address and the cause; the failure, which a tenant sees, does not.
fn refuse(address: SocketAddr, refused: Refused) -> Failure {
    tracing::debug!(%address, cause = refused.cause(), "refused to connect");
    Failure::new(Class::Policy, refused.to_string())
}

fn unreachable(error: &io::Error) -> Failure {
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => "the endpoint refused the connection (nothing listens on this port)",
        io::ErrorKind::ConnectionReset => "the endpoint reset the connection while it was being made",
        io::ErrorKind::HostUnreachable => "the endpoint's host cannot be reached",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => "there is no route to the endpoint's network",
        io::ErrorKind::TimedOut => return Failure::new(Class::Timeout, "connecting took longer than the system waits"),
        io::ErrorKind::AddrNotAvailable => "no local port is left to connect from",
        _ => return Failure::new(Class::Connect, format!("connecting failed: {error}")),
    };
    Failure::new(Class::Connect, text)
}

/// IPv4 and IPv6 in turn, at most [`DIALLED_MAX`]. IPv4 first: where IPv6 has an address and no route, it would cost every attempt.
fn interleave(addresses: &[SocketAddr]) -> Vec<SocketAddr> {
    let of = |v4: bool| addresses.iter().filter(move |address| address.is_ipv4() == v4);
    let (mut four, mut six) = (of(true), of(false));
    let pairs = std::iter::from_fn(|| match (four.next(), six.next()) {
        (None, None) => None,
        pair => Some([pair.0, pair.1]),
    });
    pairs.flatten().flatten().copied().take(DIALLED_MAX).collect()
}

/// Why a connector cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot set up the resolver: {0}; check resolvers and /etc/resolv.conf")]
    Resolver(hickory_resolver::net::NetError),
    #[error("cannot read certificates from ca_file {path}: {source}", path = path.display())]
    CaFile { path: PathBuf, source: rustls::pki_types::pem::Error },
    #[error("ca_file {path} holds no certificate; it must be PEM", path = path.display())]
    NoCertificate { path: PathBuf },
    #[error("cannot set up TLS: {0}; install the package ca-certificates, or name certificates by ca_file or SSL_CERT_FILE")]
    Roots(rustls::Error),
}

/// Addresses of one name that an attempt tries: enough for two families with a spare, few enough to leave each some time.
const DIALLED_MAX: usize = 4;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);
