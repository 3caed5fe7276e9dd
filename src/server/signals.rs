//! The signals that the service hears.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::Error;

/// From its making on, none of these ends the process by itself.
pub(super) struct Signals {
    /// Read the config again.
    pub(super) hangup: Signal,
    /// Stop; a second one cuts the patience short.
    pub(super) terminate: Signal,
    pub(super) interrupt: Signal,
    /// Log how things stand.
    pub(super) user1: Signal,
    /// Heard so that it does not end the process, and ignored.
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

    /// Until the process is asked to end.
    pub(super) async fn end(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
