//! What this machine may lack for a connection: no fault of the endpoint, so no attempt of a delivery.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};

use rustix::io::Errno;

/// Something that ran out here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shortage {
    ProcessFiles,
    MachineFiles,
    Memory,
    Ports,
}

impl Shortage {
    /// What is missing, and what helps.
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

    /// What an error of making a socket says of this machine; `None`: nothing.
    pub(crate) fn of(error: &io::Error) -> Option<Self> {
        match Errno::from_io_error(error)? {
            Errno::MFILE => Some(Self::ProcessFiles),
            Errno::NFILE => Some(Self::MachineFiles),
            Errno::NOBUFS | Errno::NOMEM => Some(Self::Memory),
            _ => None,
        }
    }

    /// What a socket lacks that is made now: for errors that do not tell their cause.
    pub(super) fn seen_now() -> Option<Self> {
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).err().as_ref().and_then(Self::of)
    }

    /// What an error of connecting to `to` says of this machine.
    pub(super) fn of_connect(error: &io::Error, to: SocketAddr) -> Option<Self> {
        match Errno::from_io_error(error) {
            // The same error tells that this machine has no address of that family at all, which no waiting mends.
            Some(Errno::ADDRNOTAVAIL) => has_address_towards(to).then_some(Self::Ports),
            _ => Self::of(error),
        }
    }
}

/// Whether this machine has an address to reach `to` from. Connecting a datagram socket chooses one, and sends nothing.
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
    fn what_ran_out_here_is_told_from_what_fails_there() {
        assert_eq!(of(Errno::MFILE, "127.0.0.1:80"), Some(Shortage::ProcessFiles));
        assert_eq!(of(Errno::NFILE, "127.0.0.1:80"), Some(Shortage::MachineFiles));
        assert_eq!(of(Errno::NOBUFS, "127.0.0.1:80"), Some(Shortage::Memory));
        assert_eq!(of(Errno::NOMEM, "127.0.0.1:80"), Some(Shortage::Memory));
        assert_eq!(of(Errno::ADDRNOTAVAIL, "127.0.0.1:80"), Some(Shortage::Ports));
        for theirs in [Errno::CONNREFUSED, Errno::HOSTUNREACH, Errno::NETUNREACH, Errno::TIMEDOUT, Errno::CONNRESET] {
            assert_eq!(of(theirs, "127.0.0.1:80"), None);
        }
    }

    /// No machine has an address in the documentation's range, so none to reach a link-local peer of it from.
    #[test]
    fn a_machine_without_an_address_of_the_family_has_no_shortage() {
        assert_eq!(of(Errno::ADDRNOTAVAIL, "[fe80::1]:80"), None);
    }
}
