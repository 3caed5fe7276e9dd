//! Recognizes that this machine lacks something for a connection. That is no fault of the endpoint, so no attempt is counted.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;

/// A resource that has run out on this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    ProcessFiles,
    MachineFiles,
    Memory,
    Ports,
}

impl Shortage {
    /// The log's text: the missing resource, and the setting that helps.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::ProcessFiles => "this process has no file descriptor left (EMFILE); raise LimitNOFILE or ulimit -n",
            Self::MachineFiles => "this machine has no file descriptor left (ENFILE); raise fs.file-max",
            Self::Memory => "the kernel has no memory left for a connection (ENOBUFS, ENOMEM)",
            Self::Ports => {
                "this machine has no local port left to connect from (EADDRNOTAVAIL); widen net.ipv4.ip_local_port_range"
            }
        }
    }

    /// The shortage that an error of making a socket stands for, if any.
    pub(crate) fn from_error(error: &io::Error) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::MFILE => Some(Self::ProcessFiles),
            Errno::NFILE => Some(Self::MachineFiles),
            Errno::NOBUFS | Errno::NOMEM => Some(Self::Memory),
            _ => None,
        }
    }

    /// The shortage that a new socket meets now, if any. For errors that do not tell their cause.
    pub(super) fn seen_now() -> Option<Self> {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).err().as_ref().and_then(Self::from_error)
    }

    /// The shortage that an error of connecting to `to` stands for, if any.
    pub(super) fn of_connect(error: &io::Error, to: SocketAddr) -> Option<Self> {
        match Errno::from_io_error(error) {
            // The same error says that this machine has no address of the family at all. No waiting mends that.
            Some(Errno::ADDRNOTAVAIL) => has_address_towards(to).then_some(Self::Ports),
            _ => Self::from_error(error),
        }
    }
}

/// Whether this machine has an address from which `to` can be reached. Connecting a datagram socket chooses such an address and
/// sends nothing.
fn has_address_towards(to: SocketAddr) -> bool {
    let any: SocketAddr = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0_u16; 8], 0).into() };
    UdpSocket::bind(any).and_then(|socket| socket.connect(to)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(errno: Errno, to: &str) -> Option<Shortage> {
        Shortage::of_connect(&errno.into(), to.parse().unwrap())
    }

    #[test]
    fn a_shortage_here_is_told_from_a_failure_of_the_endpoint() {
        assert_eq!(of(Errno::MFILE, "127.0.0.1:80"), Some(Shortage::ProcessFiles));
        assert_eq!(of(Errno::NFILE, "127.0.0.1:80"), Some(Shortage::MachineFiles));
        assert_eq!(of(Errno::NOBUFS, "127.0.0.1:80"), Some(Shortage::Memory));
        assert_eq!(of(Errno::NOMEM, "127.0.0.1:80"), Some(Shortage::Memory));
        assert_eq!(of(Errno::ADDRNOTAVAIL, "127.0.0.1:80"), Some(Shortage::Ports));
        for theirs in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::NETUNREACH, Errno::TIMEDOUT, Errno::CONNRESET] {
            assert_eq!(of(theirs, "127.0.0.1:80"), None);
        }
    }

    /// A link-local address that names no interface can be reached from no machine.
    #[test]
    fn a_machine_without_an_address_of_the_family_has_no_shortage() {
        assert_eq!(of(Errno::ADDRNOTAVAIL, "[fe80::1]:80"), None);
    }
}
