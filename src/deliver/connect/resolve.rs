//! Resolves names to addresses. Names are absolute, and every address of an answer is returned. Which of them may be dialled is
//! judged elsewhere.
//!
//! The system's resolver is not used: it blocks a thread for each lookup, and takes `0x7f.1` for an address.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::system_conf::read_system_conf;

use super::Unconnected;
use crate::deliver::shortage::Shortage;
use crate::domain::delivery::outcome::{Class, Failure};

/// The address family of a lookup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Six,
    Four,
}

/// Looks up names over UDP and TCP, with a cache.
#[derive(Debug)]
pub(super) struct Resolver {
    inner: TokioResolver,
}

impl Resolver {
    /// A resolver that asks `servers`, or the name servers of `/etc/resolv.conf` when there are none. Timeouts are set so that a
    /// lookup, with one repeated query, ends within `timeout`.
    pub(super) fn new(servers: &[SocketAddr], timeout: Duration) -> Result<Self, NetError> {
        let config = if servers.is_empty() { system() } else { named(servers) };
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options(timeout);
        Ok(Self { inner: builder.build()? })
    }

    /// All addresses of one family of `name`. The name is absolute, so no search list is tried. The hosts file answers for the
    /// names in it.
    pub(super) async fn addresses(&self, name: &str, family: Family) -> Result<Vec<IpAddr>, Unconnected> {
        let kind = match family {
            Family::Six => RecordType::AAAA,
            Family::Four => RecordType::A,
        };
        let found = self.inner.lookup(absolute(name)?, kind).await.map_err(|error| failure(name, &error))?;
        let addresses: Vec<_> = found.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
        if addresses.is_empty() { Err(no_address(name).into()) } else { Ok(addresses) }
    }
}

fn absolute(name: &str) -> Result<Name, Failure> {
    let invalid = |_| Failure::new(Class::Dns, format!("{name} is not a name that DNS can hold"));
    let mut name = Name::from_ascii(name).map_err(invalid)?;
    name.set_fqdn(true);
    Ok(name)
}

/// Whether `/etc/resolv.conf` names a name server. It may be empty for a moment while it is rewritten.
pub(super) fn system_names_servers() -> bool {
    read_system_conf().is_ok_and(|(config, _)| !config.name_servers().is_empty())
}

/// The name servers of `/etc/resolv.conf`, without its search list. When it names none, this machine is asked (resolv.conf(5)).
fn system() -> ResolverConfig {
    let servers = match read_system_conf() {
        Ok((config, _)) => config.name_servers().to_vec(),
        Err(error) => {
            tracing::warn!(%error, "/etc/resolv.conf names no name server; asking 127.0.0.1");
            vec![NameServerConfig::udp_and_tcp(std::net::Ipv4Addr::LOCALHOST.into())]
        }
    };
    ResolverConfig::from_parts(None, Vec::new(), servers)
}

fn named(servers: &[SocketAddr]) -> ResolverConfig {
    let server = |at: &SocketAddr| {
        let mut server = NameServerConfig::udp_and_tcp(at.ip());
        server.connections.iter_mut().for_each(|connection| connection.port = at.port());
        server
    };
    ResolverConfig::from_parts(None, Vec::new(), servers.iter().map(server).collect())
}

fn options(timeout: Duration) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.use_hosts_file = ResolveHosts::Always;
    options.cache_size = CACHE_ANSWERS_MAX;
    options.positive_max_ttl = Some(TTL_MAX);
    options.negative_max_ttl = Some(NEGATIVE_TTL_MAX);
    // A query whose datagram was lost is sent again while there is still time for an answer.
    options.timeout = timeout * 2 / 5;
    options.attempts = 1;
    options.max_active_requests = TCP_QUERIES_MAX;
    options
}

fn failure(name: &str, error: &NetError) -> Unconnected {
    let shortage = match error {
        NetError::Io(io) => Shortage::from_error(io),
        // The resolver does not keep the cause, so a new socket is tried to see it.
        NetError::NoConnections => Shortage::seen_now(),
        _ => None,
    };
    shortage.map_or_else(|| explain(name, error).into(), Unconnected::Shortage)
}

fn explain(name: &str, error: &NetError) -> Failure {
    let text = match error {
        _ if error.is_nx_domain() => format!("the name {name} does not exist (NXDOMAIN)"),
        NetError::Dns(DnsError::NoRecordsFound(_)) => return no_address(name),
        NetError::Dns(DnsError::ResponseCode(code)) => format!("the name server answered \"{code}\" for {name}"),
        NetError::Timeout => return Failure::new(Class::Timeout, format!("no name server answered for {name} in time")),
        NetError::NoConnections | NetError::Io(_) => format!("no name server could be reached to look up {name}"),
        NetError::Busy => format!("too many lookups wait for the name server to look up {name}"),
        _ => format!("the name server's answer for {name} cannot be used"),
    };
    Failure::new(Class::Dns, text)
}

fn no_address(name: &str) -> Failure {
    Failure::new(Class::Dns, format!("the name {name} has no address (no A or AAAA record)"))
}

/// How long an answer is cached at most, whatever its TTL: an endpoint that moves is found again within a minute.
const TTL_MAX: Duration = Duration::from_secs(60);

/// How long "no such name" is cached at most: a name that was just made should work at the next retry.
const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(5);

/// How many answers are cached. Beyond it the least used are dropped.
const CACHE_ANSWERS_MAX: u64 = 16_384;

/// How many queries may wait on one TCP connection to a name server. A further query fails as busy.
const TCP_QUERIES_MAX: usize = 1_024;
