//! The signals that the service hears.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Error;

/// Signals that the service hears. From the moment this is made, none of them ends the process by itself.
pub(super) struct Signals {
    /// SIGHUP: read the config again.
    pub(super) hangup: Signal,
    /// SIGTERM: stop. A second signal to stop cuts attempts off.
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    /// SIGUSR1: log how things stand.
    pub(super) user1: Signal,
    /// SIGUSR2: heard and ignored, so that it does not end the process.
    _user2: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self, Error> {
        let listen = |kind| signal(kind).map_err(Error::io("listen for signals"));
        Ok(Self {
            hangup: listen(SignalKind::hangup())?,
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            user1: listen(SignalKind::user_defined1())?,
            _user2: listen(SignalKind::user_defined2())?,
        })
    }

    /// Waits until the process is asked to end.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
