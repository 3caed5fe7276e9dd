//! Tells the service manager how the service is, over the socket of sd_notify(3).

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use tracing::warn;

use crate::clock;

pub(super) fn ready(status: &str) {
    send(&format!("READY=1\nSTATUS={status}\n"));
}

pub(super) fn reloading() {
    send(&format!("RELOADING=1\nMONOTONIC_USEC={}\n", clock::monotonic_micros()));
}

pub(super) fn stopping() {
    send("STOPPING=1\nSTATUS=attempts under way get 8 s\n");
}

/// Sends a message; without a service manager nothing happens.
fn send(state: &str) {
    let Some(name) = env::var_os("NOTIFY_SOCKET").filter(|name| !name.is_empty()) else { return };
    let bytes = name.as_bytes();
    let address = match bytes.split_first() {
        Some((b'@', name)) => SocketAddr::from_abstract_name(name),
        _ => SocketAddr::from_pathname(&name),
    };
    let sent = address.and_then(|address| UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address));
    if let Err(cause) = sent {
        warn!("cannot tell the service manager: {cause}");
    }
}
