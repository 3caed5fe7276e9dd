//! File descriptors: as many as the system allows, and what they are kept for, so that no crowd takes another's.
//!
//! The store, the log and the admin socket come first. Of the rest, attempts and connections that come in get half each where it
//! is short; what one of them does not need is the other's.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::api::{CONNECTIONS_MAX, LEAVING_MAX, SOCKET_CONNECTIONS_MAX};
use crate::deliver::connect::DIALLING_MAX;

/// What this process may have open at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    /// Attempts under way, each of which may dial two addresses at once.
    pub(super) attempts: usize,
    /// Connections that come in over the network.
    pub(super) connections: usize,
    /// Connections to endpoints that are kept without work.
    pub(super) kept: usize,
}

/// Raises the limit of this process to what it may be; a shell mostly starts it with 1,024.
pub(super) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        warn!("cannot raise the limit of open files: {error}; too many connections at once will fail");
    }
}

/// What the limit of this process allows beside `in_flight` attempts, which it may make fewer.
pub(super) fn plan(in_flight: usize) -> Plan {
    Plan::of(open_max(), in_flight)
}

/// Says so when there are fewer of something than the config or the service would have.
pub(super) fn warn_if_few(in_flight: usize) {
    let Plan { attempts, connections, .. } = plan(in_flight);
    if attempts < in_flight || connections < CONNECTIONS_MAX {
        warn!(
            "the limit of {} open files allows {attempts} attempts and {connections} connections at once, \
             not {in_flight} and {CONNECTIONS_MAX}; raise it with LimitNOFILE= or ulimit -n",
            open_max()
        );
    }
}

fn open_max() -> usize {
    getrlimit(Resource::Nofile).current.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX))
}

impl Plan {
    fn of(open: usize, in_flight: usize) -> Self {
        let left = open.saturating_sub(OTHERS + SOCKET_CONNECTIONS_MAX);
        let incoming = left.saturating_sub(in_flight * DIALLING_MAX).max(left / 2).min(CONNECTIONS_MAX + LEAVING);
        let attempts = in_flight.min(((left - incoming) / DIALLING_MAX).max(LEAST));
        let kept = left.saturating_sub(incoming + attempts * DIALLING_MAX).min(KEPT_MAX);
        Self { attempts, connections: incoming.saturating_sub(LEAVING).max(LEAST), kept }
    }
}

/// The store, the listeners, the log, name servers, and some to spare.
const OTHERS: usize = 128;

/// Strangers and known connections on their way out.
const LEAVING: usize = 2 * LEAVING_MAX;

/// About 20 KiB of memory each.
const KEPT_MAX: usize = 12_288;

/// With a limit below some 500 nothing is sure any more, but the service works.
const LEAST: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_limit_has_room_for_all() {
        let plan = Plan::of(65_536, 4_096);
        assert_eq!(plan, Plan { attempts: 4_096, connections: CONNECTIONS_MAX, kept: KEPT_MAX });
    }

    #[test]
    fn a_small_limit_is_shared_and_never_exceeded() {
        for (open, in_flight) in [(600, 4_096), (1_024, 4_096), (1_024, 100), (4_096, 4_096), (8_192, 4_096), (1_024, 1)] {
            let plan = Plan::of(open, in_flight);
            let all = plan.attempts * DIALLING_MAX + plan.connections + plan.kept + LEAVING + SOCKET_CONNECTIONS_MAX + OTHERS;
            assert!(all <= open, "{open}: {plan:?}");
            assert!(plan.attempts >= in_flight.min(open / 8) && plan.connections >= 50, "{open}: {plan:?}");
            assert!(plan.attempts <= in_flight, "never more than the config allows: {plan:?}");
        }
        assert_eq!(Plan::of(0, 4_096), Plan { attempts: LEAST, connections: LEAST, kept: 0 });
    }
}
