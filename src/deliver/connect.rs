//! Connects to a target: resolves the name, judges every address, dials an address that was judged, and shakes hands.
//!
//! This is the only way from the process to an endpoint. The address that is dialled, or that a proxy is asked for, is the very address
//! that was judged. Proxies named in the environment are not used. A connector never changes: a changed setting or file makes a new connector, and
//! connections of the old connector are not used again.

mod lookups;
mod pinned;
mod race;
mod resolve;
mod sources;
mod tls;
pub(crate) mod tls_words;
pub(super) mod tunnel;
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
use crate::domain::webhook::egress::Proxy;
use crate::domain::webhook::target::{Guard, Host, LOCALHOST, OPENED_BY, REFUSED, Refused, Schemes, Target};
use lookups::{Known, Lookups};
pub(crate) use race::DIALLING_MAX;
use race::{Late as _, Race};
use resolve::Resolver;
use sources::Sources;
use tls::Tls;
use tunnel::{Closed, Via};
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
    /// By which a proxy of the operator's is judged: it may be anywhere but here.
    open_guard: Guard,
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
        let open_guard = options.guard.open();
        Ok(Self { id: NEXT_ID.fetch_add(1, Ordering::Relaxed), options, open_guard, sources, resolver, tls })
    }

    /// Makes a fresh connection to `target` by `way`. The lookup, TCP and TLS each end within `connect_timeout`.
    ///
    /// The connection is boxed since it is large and moves with each attempt.
    pub(crate) async fn connect(&self, target: &Target, way: &Way) -> Result<Box<Connection>, Unconnected> {
        let (tcp, via) = match way.proxy() {
            None => (self.reach(&self.options.guard, target).await?, None),
            // The future is boxed since few webhooks need so much state.
            Some(proxy) => Box::pin(self.through(proxy, target)).await?,
        };
        self.judge_ends(&tcp)?;
        let stream = if target.is_tls() {
            let shaking = async { Ok(tls::handshake(&self.tls.connector(way.tls.as_deref())?, target.host(), tcp).await?) };
            Stream::Tls(Box::new(self.stage("the TLS handshake", shaking).await?))
        } else {
            Stream::Plain(tcp)
        };
        Ok(Box::new(Connection::open(stream, target, (way, via), self.id)))
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

    /// Connects to the proxy, and for a target with TLS through it to the target.
    async fn through(&self, proxy: &Proxy, target: &Target) -> Result<(TcpStream, Option<Box<Via>>), Unconnected> {
        let addresses = self.stage("looking up the name", self.judged(target)).await?;
        if !target.is_tls() {
            let address = *addresses.first().ok_or_else(Unconnected::no_address)?;
            let via = Via { address, authorization: proxy.authorization() };
            return Ok((self.reach_proxy(proxy).await?, Some(Box::new(via))));
        }
        let mut unreached = Unconnected::no_address();
        for address in addresses.into_iter().take(ASKED_MAX) {
            let tcp = self.reach_proxy(proxy).await?;
            let opening = async { Ok(tunnel::open(tcp, proxy, address).await) };
            match self.stage("the proxy's answer to CONNECT", opening).await? {
                Ok(tcp) => return Ok((tcp, None)),
                Err(Closed::Failed(failure)) => return Err(failure.into()),
                Err(Closed::Unreached(failure)) => unreached = failure.into(),
            }
        }
        Err(unreached)
    }

    /// All addresses of the target, each judged, those of IPv4 first: a proxy may have no way to the others.
    async fn judged(&self, target: &Target) -> Result<Vec<SocketAddr>, Unconnected> {
        let (guard, port) = (&self.options.guard, target.port());
        let mut found = match target.host() {
            Host::Ip(ip) => {
                let address = SocketAddr::new(*ip, port);
                judge(guard, target, address)?;
                vec![address]
            }
            host if host.is_local_name() => local(guard, target)?,
            Host::Domain(name) => {
                let mut lookups = Lookups::start(&self.resolver, name, port, |address| judge(guard, target, address));
                let mut found = lookups.first().await?;
                while !lookups.is_over() {
                    found.extend(lookups.next().await?);
                }
                found
            }
        };
        found.sort_by_key(SocketAddr::is_ipv6);
        Ok(found)
    }

    /// Connects to the proxy. One that the operator named may be anywhere; any other is judged like an endpoint.
    async fn reach_proxy(&self, proxy: &Proxy) -> Result<TcpStream, Unconnected> {
        let guard = if proxy.is_operators { &self.open_guard } else { &self.options.guard };
        let target =
            Target::parse(proxy.origin(), Schemes { http: true }, guard).map_err(|reason| match reason.can_be_opened() {
                true => Failure::new(Class::Policy, format!("the proxy: {REFUSED}")),
                false => Failure::new(Class::Policy, format!("the proxy: {reason}")),
            })?;
        self.reach(guard, &target).await.map_err(|unconnected| match unconnected {
            // The details are sentences about an endpoint, which the proxy is here.
            Unconnected::Failed(Failure { class, detail }) => {
                Failure::new(class, format!("the proxy: {}", detail.replace("the endpoint", "it"))).into()
            }
            shortage => shortage,
        })
    }

    /// Connects over TCP to the target's own address, or to one that its name leads to. Each address is judged by `guard` before it
    /// is dialled.
    async fn reach(&self, guard: &Guard, target: &Target) -> Result<TcpStream, Unconnected> {
        let (patience, port) = (self.options.connect_timeout, target.port());
        let tcp = match target.host() {
            Host::Ip(ip) => {
                let address = SocketAddr::new(*ip, port);
                judge(guard, target, address)?;
                Race::new(&[address]).run(&mut Known, patience).await?
            }
            host if host.is_local_name() => Race::new(&local(guard, target)?).run(&mut Known, patience).await?,
            Host::Domain(name) => {
                let mut lookups = Lookups::start(&self.resolver, name, port, |address| judge(guard, target, address));
                let first = self.stage("looking up the name", lookups.first()).await?;
                Race::new(&first).run(&mut lookups, patience).await?
            }
        };
        tcp.set_nodelay(true).map_err(|error| unreachable(&error))?;
        Ok(tcp)
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

/// The loopback addresses that the operator opened for `target`. Fails when there are none.
fn local(guard: &Guard, target: &Target) -> Result<Vec<SocketAddr>, Unconnected> {
    let all = LOCALHOST.map(|ip| SocketAddr::new(ip, target.port()));
    let open: Vec<_> = all.into_iter().filter(|address| guard.judge_for(target, *address).is_ok()).collect();
    if open.is_empty() {
        judge(guard, target, all[0])?;
    }
    Ok(open)
}

fn judge(guard: &Guard, target: &Target, address: SocketAddr) -> Result<(), Unconnected> {
    guard.judge_for(target, address).map_err(|refused| refuse(address, refused).into())
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

/// How many of a target's addresses a proxy is asked for.
const ASKED_MAX: usize = 4;

static NEXT_ID: AtomicU64 = AtomicU64::new(0);
