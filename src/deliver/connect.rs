//! Connects to a target: resolves the name, judges every address, dials an address that was judged, and shakes hands.
//!
//! This is the only way from the process to an endpoint. The address that is dialled is the very address that was judged, and
//! proxies named in the environment are not used. A connector never changes: a changed setting or file makes a new connector, and
//! connections of the old connector are not used again.

mod lookups;
mod pinned;
mod race;
mod resolve;
mod sources;
mod tls;
pub(crate) mod tls_words;
pub(crate) mod way;

#[cfg(test)]
mod tests;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::exchange::connection::Connection;
use super::exchange::stream::Stream;
use super::seldom::Seldom;
use super::shortage::Shortage;
use crate::clock;
use crate::domain::delivery::outcome::{Class, Failure};
use crate::domain::webhook::target::{Guard, Host, LOCALHOST, OPENED_BY, Refused, Target};
use lookups::{Known, Lookups};
pub(crate) use race::DIALLING_MAX;
use race::Race;
use resolve::Resolver;
use sources::Sources;
use tls::Tls;
use way::Way;

/// The settings that a connector is made of.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) guard: Guard,
    /// The most time for each of the name's lookup, TCP and TLS.
    pub(crate) connect_timeout: Duration,
    /// The name servers to ask. When empty, those of `/etc/resolv.conf` are asked.
    pub(crate) resolvers: Vec<SocketAddr>,
    /// A PEM file with certificates that are trusted besides the system's.
    pub(crate) ca_file: Option<PathBuf>,
}

/// Makes connections to endpoints, under one guard and with one set of trusted certificates.
pub(crate) struct Connector {
    id: u64,
    options: Options,
    sources: Sources,
    resolver: Resolver,
    tls: Tls,
}

/// Why no connection was made.
#[derive(Debug)]
pub(crate) enum Unconnected {
    /// The endpoint cannot be reached, or the guard refuses its address.
    Failed(Failure),
    /// This machine lacks something, so it could connect to nobody.
    Shortage(Shortage),
}

impl Unconnected {
    fn no_address() -> Self {
        Self::Failed(Failure::new(Class::Dns, "the name has no address"))
    }
}

impl From<Failure> for Unconnected {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Connector {
    /// Makes a connector. It reads the certificates and the resolver's configuration from disk, and fails when they cannot be
    /// used.
    pub(crate) fn new(options: Options) -> Result<Self, Error> {
        let sources = Sources::look(options.ca_file.as_deref());
        let resolver = Resolver::new(&options.resolvers, options.connect_timeout).map_err(Error::Resolver)?;
        let tls = Tls::new(options.ca_file.as_deref())?;
        Ok(Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), options, sources, resolver, tls })
    }

    /// Makes a fresh connection to `target` by `way`. The lookup, TCP and TLS each end within `connect_timeout`.
    ///
    /// The connection is boxed since it is large and moves with each attempt.
    pub(crate) async fn connect(&self, target: &Target, way: &Way) -> Result<Box<Connection>, Unconnected> {
        let tcp = self.reach(target).await?;
        self.judge_ends(&tcp)?;
        let stream = if target.is_tls() {
            let shaking = async { Ok(tls::handshake(&self.tls.connector(way.tls.as_deref())?, target.host(), tcp).await?) };
            Stream::Tls(Box::new(self.stage("the TLS handshake", shaking).await?))
        } else {
            Stream::Plain(tcp)
        };
        Ok(Box::new(Connection::open(stream, target, way, self.id)))
    }

    /// Whether this connector made `connection`, so that its guard and certificates applied.
    pub(super) fn made(&self, connection: &Connection) -> bool {
        connection.connector() == self.id
    }

    /// The first file that has changed since this connector read it, among the lists of name servers and hosts and the
    /// certificates.
    pub(super) fn outdated_by(&self) -> Option<&Path> {
        self.sources.changed()
    }

    /// Makes a connector with the same options from the files as they are now. Fails when `/etc/resolv.conf`, if it is used,
    /// names no name server.
    pub(super) fn renewed(&self) -> Result<Self, Error> {
        if self.options.resolvers.is_empty() && !resolve::system_names_servers() {
            return Err(Error::NoNameServer);
        }
        Self::new(self.options.clone())
    }

    /// Connects over TCP to the target's own address, or to one that its name leads to. Each address is judged before it is
    /// dialled.
    async fn reach(&self, target: &Target) -> Result<TcpStream, Unconnected> {
        let (patience, port) = (self.options.connect_timeout, target.port());
        let tcp = match target.host() {
            Host::Ip(ip) => {
                let address = SocketAddr::new(*ip, port);
                self.judge(target, address)?;
                Race::new(&[address]).run(&mut Known, patience).await?
            }
            host if host.is_local_name() => Race::new(&self.local(target)?).run(&mut Known, patience).await?,
            Host::Domain(name) => {
                let mut lookups = Lookups::start(&self.resolver, name, port, |address| self.judge(target, address));
                let first = self.stage("looking up the name", lookups.first()).await?;
                Race::new(&first).run(&mut lookups, patience).await?
            }
        };
        tcp.set_nodelay(true).map_err(|error| unreachable(&error))?;
        Ok(tcp)
    }

    /// The loopback addresses that the operator opened for `target`. Fails when there are none.
    fn local(&self, target: &Target) -> Result<Vec<SocketAddr>, Unconnected> {
        let all = LOCALHOST.map(|ip| SocketAddr::new(ip, target.port()));
        let open: Vec<_> = all.into_iter().filter(|address| self.options.guard.judge_for(target, *address).is_ok()).collect();
        if open.is_empty() {
            self.judge(target, all[0])?;
        }
        Ok(open)
    }

    fn judge(&self, target: &Target, address: SocketAddr) -> Result<(), Unconnected> {
        self.options.guard.judge_for(target, address).map_err(|refused| refuse(address, refused).into())
    }

    fn judge_ends(&self, tcp: &TcpStream) -> Result<(), Failure> {
        let (local, peer) =
            tcp.local_addr().and_then(|local| Ok((local, tcp.peer_addr()?))).map_err(|error| unreachable(&error))?;
        self.options.guard.judge_ends(local, peer).map_err(|refused| refuse(peer, refused))
    }

    async fn stage<T>(&self, what: &str, work: impl Future<Output = Result<T, Unconnected>>) -> Result<T, Unconnected> {
        let patience = self.options.connect_timeout;
        let late = |_| Failure::new(Class::Timeout, format!("{what} took longer than {patience:?}"));
        timeout(patience, work).await.map_err(late)?
    }
}

/// Makes the failure of a refused address. The operator's log gets the address, the cause and the setting that opens it; the
/// failure, which a tenant sees, names none of them.
fn refuse(address: SocketAddr, refused: Refused) -> Failure {
    static SAID: Seldom = Seldom::new();
    if SAID.is_time(clock::steady()) {
        tracing::warn!(%address, cause = refused.cause(), "an address was refused, no other of this minute is told; {OPENED_BY}");
    } else {
        tracing::debug!(%address, cause = refused.cause(), "an address was refused");
    }
    Failure::new(Class::Policy, refused.to_string())
}

fn unreachable(error: &io::Error) -> Failure {
    let text = match error.kind() {
        io::ErrorKind::ConnectionRefused => "the endpoint refused the connection (nothing listens on this port)",
        io::ErrorKind::ConnectionReset => "the endpoint reset the connection while it was being made",
        io::ErrorKind::HostUnreachable => "the endpoint's host cannot be reached",
        io::ErrorKind::NetworkUnreachable | io::ErrorKind::NetworkDown => "there is no route to the endpoint's network",
        io::ErrorKind::TimedOut => return Failure::new(Class::Timeout, "connecting took longer than the system waits"),
        io::ErrorKind::AddrNotAvailable => "this relay has no address to reach the endpoint's network from",
        io::ErrorKind::PermissionDenied => "this machine's firewall does not let connections to the endpoint out",
        _ => return Failure::new(Class::Connect, format!("connecting failed: {error}")),
    };
    Failure::new(Class::Connect, text)
}

/// Why a connector cannot be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("cannot set up the resolver; check resolvers and /etc/resolv.conf")]
    Resolver(#[source] hickory_resolver::net::NetError),
    #[error("/etc/resolv.conf names no name server")]
    NoNameServer,
    #[error("cannot read ca_file {path}: {source}", path = path.display())]
    CaFile { path: PathBuf, source: io::Error },
    #[error("ca_file {path} holds a certificate that cannot be read", path = path.display())]
    BadCertificate { path: PathBuf },
    #[error("ca_file {path} holds no certificate; it must be PEM", path = path.display())]
    NoCertificate { path: PathBuf },
    #[error("found no authority to trust; install the package ca-certificates, or name certificates by ca_file or SSL_CERT_FILE")]
    Roots(#[source] rustls::Error),
}

static NEXT_ID: AtomicU64 = AtomicU64::new(0);
