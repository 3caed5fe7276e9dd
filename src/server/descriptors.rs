//! File descriptors: as many as the system allows, and how many of them connections without work may hold.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::warn;

use crate::api::CONNECTIONS_MAX;

/// Raises the limit of this process to what it may be; a shell mostly starts it with 1,024.
pub(super) fn raise() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        warn!("cannot raise the limit of open files: {error}; too many connections at once will fail");
    }
}

/// Connections to endpoints that may be kept without work beside `in_flight` attempts and all that come in.
pub(super) fn kept(in_flight: usize) -> usize {
    let open = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    open.saturating_sub(in_flight + CONNECTIONS_MAX + OTHERS).min(KEPT_MAX)
}

/// The store, the listeners, the log, name servers, and some to spare.
const OTHERS: usize = 128;

/// About 20 KiB of memory each.
const KEPT_MAX: usize = 12_288;
