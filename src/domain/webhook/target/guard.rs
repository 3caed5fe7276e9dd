//! Judges which addresses may be dialled: public ones and those that the operator named, but never the relay itself.
//!
//! A socket address is judged when a URL with a literal address is read, and every address is judged at the moment of dialling.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

use super::Target;
use super::range::{Range, range};

/// The operator's policy, and the addresses on which this relay listens.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    /// The networks that may be reached besides public addresses. An IPv4 network includes its IPv4-mapped form.
    pub(crate) allow: Vec<IpNet>,
    /// The relay's own listening addresses. An unspecified address stands for every address of this machine.
    pub(crate) own: Vec<SocketAddr>,
}

impl Guard {
    /// A guard that allows every address but the relay's own: for what the operator named.
    pub(crate) fn open(&self) -> Self {
        let all = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
        let allow = all.into_iter().filter_map(|ip| IpNet::new(ip, 0).ok()).collect();
        Self { allow, own: self.own.clone() }
    }

    /// Judges whether `to` may be dialled.
    pub(crate) fn judge(&self, to: SocketAddr) -> Result<(), Refused> {
        if self.is_own(to) {
            return Err(Refused::Own);
        }
        match range(to.ip()) {
            Range::Public => Ok(()),
            _ if self.allows(to.ip()) => Ok(()),
            range => Err(Refused::Range(range)),
        }
    }

    /// Judges whether `to` may be dialled for `target`. For some hosts and ports the operator must have named the address.
    pub(crate) fn judge_for(&self, target: &Target, to: SocketAddr) -> Result<(), Refused> {
        self.judge(to)?;
        if target.needs_leave() && !self.allows(to.ip()) { Err(Refused::NotNamed) } else { Ok(()) }
    }

    /// Judges a connection by both its ends, after it is made and before anything is sent.
    ///
    /// A machine has more addresses than are known here. A connection to any of them has the same address at both ends.
    pub(crate) fn judge_ends(&self, local: SocketAddr, peer: SocketAddr) -> Result<(), Refused> {
        let here = local.ip().to_canonical() == peer.ip().to_canonical();
        let listens = self.own.iter().any(|own| own.port() == peer.port() && own.ip().is_unspecified());
        if here && listens { Err(Refused::Own) } else { Ok(()) }
    }

    /// Whether `localhost` and the names below it may be used: the operator named one of their addresses.
    pub(crate) fn allows_local_names(&self) -> bool {
        LOCALHOST.into_iter().any(|ip| self.allows(ip))
    }

    /// Whether names that lead to no public address may be used at all. Their addresses are judged when they are dialled.
    pub(in crate::domain) fn allows_private_names(&self) -> bool {
        !self.allow.is_empty()
    }

    pub(in crate::domain) fn allows(&self, ip: IpAddr) -> bool {
        self.allow.iter().any(|net| net.contains(&ip) || net.contains(&ip.to_canonical()))
    }

    fn is_own(&self, to: SocketAddr) -> bool {
        let ip = to.ip().to_canonical();
        // What is sent to 0.0.0.0 or :: arrives at the loopback address.
        let loops = ip.is_loopback() || ip.is_unspecified();
        self.own.iter().filter(|own| own.port() == to.port()).any(|own| match own.ip().to_canonical() {
            own if own.is_unspecified() => loops,
            own if own.is_loopback() => ip == own || ip.is_unspecified(),
            own => ip == own,
        })
    }
}

/// Why an address was refused. It prints the same text for every cause, so that a refusal tells a tenant nothing about the
/// operator's network. [`Refused::cause`] is for the operator's log alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{REFUSED}")]
pub(crate) enum Refused {
    /// One of the relay's own listening addresses. The event would come back.
    Own,
    Range(Range),
    /// A public address, but for a host of a single label or on a port of another protocol.
    NotNamed,
}

impl Refused {
    /// The kind of the address, for the operator's log.
    pub(crate) const fn cause(self) -> &'static str {
        match self {
            Self::Own => "our own listening address",
            Self::Range(range) => range.name(),
            Self::NotNamed => "not among the addresses that a single label or this port needs",
        }
    }
}

/// The addresses that `localhost` stands for (RFC 6761 section 6.3).
pub(crate) const LOCALHOST: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// The text of a refused attempt and of a refused URL.
pub(crate) const REFUSED: &str = "the host's address is not one that this relay sends to";

/// The setting that allows a refused address. It is for operators alone: a tenant cannot set it, and must learn nothing of their
/// network.
pub(crate) const OPENED_BY: &str = "allow_private under [delivery] opens it, unless it is this relay's own";

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(allow: &[&str], own: &[&str]) -> Guard {
        let allow = allow.iter().map(|net| net.parse().unwrap()).collect();
        Guard { allow, own: own.iter().map(|address| address.parse().unwrap()).collect() }
    }

    fn judge(guard: &Guard, to: &str) -> Result<(), Refused> {
        guard.judge(to.parse().unwrap())
    }

    #[test]
    fn allow_private_opens_exactly_what_it_names() {
        let guard = guard(&["10.1.0.0/16", "fd00::/16"], &[]);
        for open in ["10.1.2.3:80", "[::ffff:10.1.2.3]:80", "[fd00::1]:80", "8.8.8.8:80"] {
            assert_eq!(judge(&guard, open), Ok(()), "{open}");
        }
        for shut in
            ["10.2.0.1:80", "127.0.0.1:80", "[fd01::1]:80", "[64:ff9b::10.1.2.3]:80", "[::10.1.2.3]:80", "[2002:a01:203::]:80"]
        {
            assert!(judge(&guard, shut).is_err(), "{shut}");
        }
    }

    #[test]
    fn mapped_addresses_are_refused_even_of_public_hosts() {
        assert_eq!(judge(&Guard::default(), "[::ffff:8.8.8.8]:443"), Err(Refused::Range(Range::Mapped)));
    }

    #[test]
    fn our_own_address_is_refused_however_it_is_written() {
        let guard = guard(&["0.0.0.0/0", "::/0"], &["127.0.0.1:8080", "0.0.0.0:9090", "[2606:4700::1]:7070"]);
        for own in [
            "127.0.0.1:8080",
            "[::ffff:127.0.0.1]:8080",
            "0.0.0.0:8080",
            "[::]:9090",
            "[::1]:9090",
            "127.9.9.9:9090",
            "[2606:4700::1]:7070",
        ] {
            assert_eq!(judge(&guard, own), Err(Refused::Own), "{own}");
        }
        for other in ["127.0.0.1:8081", "127.0.0.2:8080", "10.0.0.1:9090", "[2606:4700::2]:7070"] {
            assert_eq!(judge(&guard, other), Ok(()), "{other}");
        }
    }

    #[test]
    fn a_connection_that_comes_back_to_this_machine_is_refused() {
        let guard = guard(&["10.0.0.0/8"], &["[::]:8080"]);
        let (here, there) = ("10.0.0.1:50000".parse().unwrap(), "10.0.0.2:8080".parse().unwrap());
        assert_eq!(guard.judge_ends(here, "10.0.0.1:8080".parse().unwrap()), Err(Refused::Own));
        assert_eq!(guard.judge_ends(here, there), Ok(()));
        assert_eq!(guard.judge_ends(here, "10.0.0.1:8081".parse().unwrap()), Ok(()));
    }

    #[test]
    fn a_refusal_reads_the_same_for_every_cause() {
        let texts = [Refused::Own, Refused::Range(Range::Loopback), Refused::Range(Range::Mapped)].map(|cause| cause.to_string());
        assert!(texts.iter().all(|text| text == REFUSED));
    }

    #[test]
    fn the_operator_is_told_the_cause_of_a_refusal() {
        assert_eq!(Refused::Own.cause(), "our own listening address");
        assert_eq!(Refused::Range(Range::Loopback).cause(), "loopback");
        assert_eq!(Refused::NotNamed.cause(), "not among the addresses that a single label or this port needs");
    }

    #[test]
    fn an_open_guard_refuses_the_relay_itself_alone() {
        let open = guard(&[], &["127.0.0.1:8080"]).open();
        for to in ["10.0.0.1:80", "127.0.0.1:81", "[fd00::1]:80", "8.8.8.8:443"] {
            assert_eq!(judge(&open, to), Ok(()), "{to}");
        }
        assert_eq!(judge(&open, "127.0.0.1:8080"), Err(Refused::Own));
    }
}
