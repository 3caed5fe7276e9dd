//! What waits for the writer: a commit takes all that came while the last one ran, but of publications no more than make a batch.

use std::collections::VecDeque;
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
    /// Publications, with their bytes.
    publications: VecDeque<(Op, usize)>,
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
        queue.publications.push_back((op, bytes));
        self.ring(queue, true);
        Ok(())
    }

    /// Queues what somebody waits for.
    pub(super) fn ask(&self, op: Op) -> Result<(), Full> {
        let mut queue = self.lock();
        if queue.closed {
            return Err(Full::Closed);
        }
        queue.ops.push(op);
        self.ring(queue, true);
        Ok(())
    }

    /// Queues what nobody waits for: it may wait [`LINGER`] for company. Also taken while closing, since attempts end then.
    pub(super) fn tell(&self, op: Op) {
        let mut queue = self.lock();
        queue.ops.push(op);
        self.ring(queue, false);
    }

    /// Refuses everything that is asked from now on.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_one();
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits for work until `until`, takes all of it into `ops`, of publications as many as make a batch. `ops` is empty and comes
    /// back with the old queue's room. Work that is there before the end of `rest` waits for more until then, as long as more comes.
    /// True when nothing is asked any more: what is then taken is the last, unless an attempt still ends.
    pub(super) fn take(&self, ops: &mut Vec<Op>, until: Instant, rest: Rest) -> bool {
        let mut queue = self.wait(self.lock(), Sleep::Idle, until, |queue| queue.len() > 0 || queue.closed);
        if queue.len() > 0 {
            queue = self.gather(queue, rest);
            let until = until.min(clock::steady() + LINGER);
            queue = self.wait(queue, Sleep::Linger, until, |queue| queue.urgent || queue.closed);
        }
        std::mem::swap(ops, &mut queue.ops);
        queue.take_publications(ops);
        queue.urgent = !queue.publications.is_empty();
        queue.closed
    }

    /// Waits for the end of the rest, or until it is quiet: then all who could send something wait for this commit.
    fn gather<'a>(&'a self, mut queue: MutexGuard<'a, Queue>, rest: Rest) -> MutexGuard<'a, Queue> {
        loop {
            let (had, until) = (queue.len(), rest.until.min(clock::steady() + rest.quiet));
            queue = self.wait(queue, Sleep::Rest, until, |queue| queue.is_full() || queue.closed);
            if queue.is_full() || queue.closed || queue.len() == had || until == rest.until {
                return queue;
            }
        }
    }

    fn ring(&self, mut queue: MutexGuard<'_, Queue>, urgent: bool) {
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

impl Queue {
    fn len(&self) -> usize {
        self.ops.len() + self.publications.len()
    }

    /// Whether publications fill a batch.
    fn is_full(&self) -> bool {
        self.publication_bytes >= BATCH_BYTES
    }

    /// As many publications as make a batch, the first whatever its size.
    fn take_publications(&mut self, ops: &mut Vec<Op>) {
        let mut taken = 0;
        while taken < BATCH_BYTES
            && let Some((op, bytes)) = self.publications.pop_front()
        {
            ops.push(op);
            taken += bytes;
        }
        self.publication_bytes -= taken;
    }
}

/// Bytes of events that one commit takes, and the rest of one publication: those who wait for its answer send on while the next
/// is made, and deliveries that end, or come from a backlog, do not wait for all that was published.
const BATCH_BYTES: usize = 2 << 20;

/// Bytes of events that may wait for the disk; past that publishers are asked to come back.
const PUBLICATION_BYTES: usize = 32 << 20;

/// How long outcomes wait for company. No answer waits for them, and a commit costs the same for one as for fifty.
const LINGER: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::domain::id::EndpointNo;

    fn publication() -> Op {
        Op::AcceptAll(Vec::new(), oneshot::channel().0)
    }

    /// Takes what is there; how many publications that was, how many others, and whether nothing more is asked.
    fn taken(inbox: &Inbox) -> (usize, usize, bool) {
        let (mut ops, now) = (Vec::new(), clock::steady());
        let closed = inbox.take(&mut ops, now, Rest { until: now, quiet: Duration::ZERO });
        let publications = ops.iter().filter(|op| matches!(op, Op::AcceptAll(..))).count();
        (publications, ops.len() - publications, closed)
    }

    #[test]
    fn a_batch_has_no_more_publications_than_fill_it() {
        let inbox = Inbox::default();
        for bytes in [BATCH_BYTES / 2, BATCH_BYTES / 2, 1, 5 * BATCH_BYTES, 1] {
            inbox.publish(publication(), bytes).expect("there is room");
        }
        inbox.tell(Op::Refill(EndpointNo(1)));
        assert_eq!(inbox.len(), 6);
        assert_eq!(taken(&inbox), (2, 1, false));
        inbox.tell(Op::Refill(EndpointNo(1)));
        inbox.close();
        assert_eq!(taken(&inbox), (2, 1, true));
        assert_eq!(taken(&inbox), (1, 0, true));
        assert_eq!(taken(&inbox), (0, 0, true));
        assert_eq!(inbox.lock().publication_bytes, 0);
    }

    #[test]
    fn publications_past_the_bound_are_refused_until_some_were_taken() {
        let inbox = Inbox::default();
        assert_eq!(inbox.publish(publication(), PUBLICATION_BYTES + 1), Ok(()));
        assert_eq!(inbox.publish(publication(), 1), Err(Full::Busy));
        assert_eq!(taken(&inbox), (1, 0, false));
        assert_eq!(inbox.publish(publication(), PUBLICATION_BYTES), Ok(()));
        inbox.close();
        assert_eq!(inbox.publish(publication(), 0), Err(Full::Closed));
    }

    #[test]
    fn a_full_batch_waits_for_no_company() {
        let inbox = Inbox::default();
        inbox.publish(publication(), BATCH_BYTES).expect("there is room");
        let began = clock::steady();
        let never = began + Duration::from_secs(60);
        assert!(!inbox.take(&mut Vec::new(), never, Rest { until: never, quiet: Duration::from_secs(60) }));
        assert!(clock::steady() < began + Duration::from_secs(30));
    }
}
