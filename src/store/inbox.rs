//! What waits for the writer: one queue, swapped out whole, so that a commit takes all that came while the last one ran.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::op::Op;
use crate::clock;

/// The queue and the bell.
#[derive(Default)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    bell: Condvar,
}

#[derive(Default)]
struct Queue {
    ops: Vec<Op>,
    publication_bytes: usize,
    /// Somebody waits for the answer to one of them.
    urgent: bool,
    closed: bool,
    /// Whether the writer sleeps, and for what.
    sleep: Sleep,
}

/// How long work waits for company after a commit.
#[derive(Clone, Copy)]
pub(super) struct Rest {
    pub(super) until: Instant,
    /// It ends when nothing came for so long.
    pub(super) quiet: Duration,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Sleep {
    #[default]
    No,
    /// Until anything comes.
    Idle,
    /// Until something urgent comes: outcomes wait for company.
    Linger,
    /// Until a time, whatever comes: all of it waits for company.
    Rest,
}

impl Sleep {
    fn ends_with(self, urgent: bool) -> bool {
        match self {
            Self::No | Self::Rest => false,
            Self::Linger => urgent,
            Self::Idle => true,
        }
    }
}

/// Why an operation was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    Busy,
    Closed,
}

impl Inbox {
    /// Queues publications, or refuses them when too many bytes wait already. A single large batch is taken by an empty queue.
    pub(super) fn publish(&self, op: Op, bytes: usize) -> Result<(), Full> {
        let mut queue = self.lock();
        if queue.publication_bytes > 0 && queue.publication_bytes + bytes > PUBLICATION_BYTES {
            return Err(Full::Busy);
        }
        if queue.closed {
            return Err(Full::Closed);
        }
        queue.publication_bytes += bytes;
        self.push(queue, op, true);
        Ok(())
    }

    /// Queues what somebody waits for.
    pub(super) fn ask(&self, op: Op) -> Result<(), Full> {
        let queue = self.lock();
        if queue.closed {
            return Err(Full::Closed);
        }
        self.push(queue, op, true);
        Ok(())
    }

    /// Queues what nobody waits for: it may wait [`LINGER`] for company. Also taken while closing, since attempts end then.
    pub(super) fn tell(&self, op: Op) {
        self.push(self.lock(), op, false);
    }

    /// Refuses everything that is asked from now on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().ops.len()
    }

    /// Waits for work until `until`, takes all of it into `ops`, which is empty and comes back with the old queue's room. Work
    /// that is there before the end of `rest` waits for more until then, as long as more comes.
    /// True when nothing is asked any more: what is then taken is the last, unless an attempt still ends.
    pub(super) fn take(&self, ops: &mut Vec<Op>, until: Instant, rest: Rest) -> bool {
        let mut queue = self.wait(self.lock(), Sleep::Idle, until, |queue| !queue.ops.is_empty() || queue.closed);
        if !queue.ops.is_empty() {
            queue = self.gather(queue, rest);
            let until = until.min(clock::steady() + LINGER);
            queue = self.wait(queue, Sleep::Linger, until, |queue| queue.urgent || queue.closed);
        }
        std::mem::swap(ops, &mut queue.ops);
        queue.publication_bytes = 0;
        queue.urgent = false;
        queue.closed
    }

    /// Waits for the end of the rest, or until it is quiet: then all who could send something wait for this commit.
    fn gather<'a>(&'a self, mut queue: MutexGuard<'a, Queue>, rest: Rest) -> MutexGuard<'a, Queue> {
        loop {
            let (had, until) = (queue.ops.len(), rest.until.min(clock::steady() + rest.quiet));
            queue = self.wait(queue, Sleep::Rest, until, |queue| queue.closed);
            if queue.closed || queue.ops.len() == had || until == rest.until {
                return queue;
            }
        }
    }

    fn push(&self, mut queue: MutexGuard<'_, Queue>, op: Op, urgent: bool) {
        queue.ops.push(op);
        queue.urgent |= urgent;
        let wake = queue.sleep.ends_with(urgent);
        drop(queue);
        if wake {
            self.bell.notify_one();
        }
    }

    fn wait<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        sleep: Sleep,
        until: Instant,
        ready: impl Fn(&Queue) -> bool,
    ) -> MutexGuard<'a, Queue> {
        while !ready(&queue) {
            let left = until.saturating_duration_since(clock::steady());
            if left.is_zero() {
                break;
            }
            queue.sleep = sleep;
            queue = self.bell.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        queue.sleep = Sleep::No;
        queue
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bytes of events that may wait for the disk; past that publishers are asked to come back.
const PUBLICATION_BYTES: usize = 32 << 20;

/// How long outcomes wait for company. No answer waits for them, and a commit costs the same for one as for fifty.
const LINGER: Duration = Duration::from_millis(5);
