//! Counts how full the queues are, for a person who asks.

use super::{Queue, Queues};

/// The queues' counts at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) in_flight: usize,
    /// Endpoints that have anything in the queues.
    pub(crate) endpoints: usize,
    /// Deliveries that wait in memory for a slot.
    pub(crate) queued: usize,
    /// Endpoints that have one slot until an attempt succeeds.
    pub(crate) slow: usize,
    /// Endpoints whose next delivery waits for their rate limit.
    pub(crate) paced: usize,
    /// Endpoints whose backlog goes on on disk.
    pub(crate) on_disk: usize,
    /// Connections that are kept without work.
    pub(crate) idle: usize,
}

impl<W> Queues<W> {
    /// Counts by going through all endpoints.
    pub(crate) fn state(&self) -> State {
        let (in_flight, idle, paced) = (self.in_flight, self.idle, self.paced.len());
        let start = State { in_flight, idle, paced, endpoints: self.endpoints.len(), ..State::default() };
        self.endpoints.values().fold(start, |state, queue| State {
            queued: state.queued + queue.waiting(),
            slow: state.slow + usize::from(queue.slow),
            on_disk: state.on_disk + usize::from(queue.on_disk),
            ..state
        })
    }
}

impl<W> Queue<W> {
    fn waiting(&self) -> usize {
        self.len() + self.repeated.len()
    }
}
