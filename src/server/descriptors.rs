//! File descriptors: how many the system allows, and how they are divided, so that no crowd of connections takes those that
//! something else needs.
//!
//! The store, the log and the admin socket come first. The rest is for attempts and for connections that come in over the network.
//! Where it is short each gets half, and each may use what the other does not need.

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
    /// Connections to endpoints that are kept open while they have no work.
    pub(super) kept: usize,
}

/// Raises the limit of open files of this process to the most that the system allows it. A shell mostly starts it with 1,024.
pub(super) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        warn!("cannot raise the limit of open files: {error}; too many connections at once will fail");
    }
}

/// Divides the limit of open files when `in_flight` attempts are wanted. Where the limit is too low there are fewer attempts.
pub(super) fn plan(in_flight: usize) -> Plan {
    Plan::of(open_max(), in_flight)
}

/// Logs a warning when the limit of open files allows fewer attempts than `in_flight`, or fewer connections than the service
/// takes otherwise.
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

/// Files of the store, the listeners, the log and name servers, and some to spare.
const OTHERS: usize = 128;

/// Connections that are being closed: those of strangers, and those of callers with a key.
const LEAVING: usize = 2 * LEAVING_MAX;

/// The most connections that are kept open without work: each takes about 20 KiB of memory.
const KEPT_MAX: usize = 12_288;

/// The fewest attempts and the fewest connections. With a limit below some 500 files there may be no file for one of them, but the
/// service works.
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
