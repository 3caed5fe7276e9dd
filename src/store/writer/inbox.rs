//! The queue in front of the writer. A commit takes all that came while the last one ran, but only as many events as make a
//! batch.
//!
//! Requests, which somebody waits for, are taken in turns by [tenant](super::turns), and those of one tenant in the order in
//! which they came. Events, which the relay tells itself, overtake them: deliveries that ended and backlogs that ran low do not
//! wait behind all that was published.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::turns::{Crowded, Line, Turns};
use crate::clock::Clock;
use crate::store::message::command::{Op, OutcomeRoom};

/// The inbox: its queues, and the bell that wakes the writer.
pub(in crate::store) struct Inbox {
    queue: Mutex<Queue>,
    bell: Condvar,
    /// The room of outcomes that wait for the disk, in KiB.
    outcomes: Arc<Semaphore>,
    names: RandomState,
    clock: Clock,
}

#[derive(Default)]
struct Queue {
    /// Commands that somebody waits for, by tenant.
    requests: Turns,
    /// Commands that nobody waits for.
    events: Vec<Op>,
    closed: bool,
    /// Whether the writer sleeps, and for what.
    sleep: Sleep,
}

/// How long work waits for company after a commit.
#[derive(Clone, Copy)]
pub(in crate::store) struct Rest {
    pub(in crate::store) until: Instant,
    /// The wait ends early when nothing has come for this long.
    pub(in crate::store) quiet: Duration,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Sleep {
    #[default]
    No,
    /// It sleeps until anything comes.
    Idle,
    /// It sleeps until a request comes, or outcomes have waited [`LINGER`] for company.
    Linger,
    /// It sleeps until a time, or until there is a full batch. Everything waits for company.
    Rest,
}

/// Why an operation was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Full {
    Busy,
    Closed,
}

impl Inbox {
    /// An empty inbox that measures its waits by `clock`.
    pub(in crate::store) fn new(clock: Clock) -> Self {
        let outcomes = Arc::new(Semaphore::new(OUTCOMES_KIB as usize));
        Self { queue: Mutex::default(), bell: Condvar::new(), outcomes, names: RandomState::new(), clock }
    }

    /// Waits for the room of an outcome of `bytes` among those that wait for the disk. Its worker keeps its slot meanwhile, so a
    /// disk that stands still stops attempts and does not fill memory.
    pub(in crate::store) async fn outcome_room(&self, bytes: usize) -> Option<OutcomeRoom> {
        let most = OUTCOMES_KIB / 2;
        let kib = u32::try_from(bytes / 1024).unwrap_or(most).min(most - 1) + 1;
        self.outcomes.clone().acquire_many_owned(kib).await.ok()
    }

    /// The line in which operations about a tenant wait.
    pub(in crate::store) fn line(&self, provider: &str, tenant: &str) -> Line {
        Line(self.names.hash_one((provider, tenant)))
    }

    /// Queues publications. Fails when too many bytes wait already, whatever their own size.
    pub(in crate::store) fn publish(&self, line: Line, op: Op, bytes: usize) -> Result<(), Full> {
        let mut queue = self.open()?;
        queue.requests.publish(line, op, bytes).map_err(|Crowded| Full::Busy)?;
        self.ring(queue, true);
        Ok(())
    }

    /// Queues a request that holds `bytes` of events. It fails only when the inbox is closed.
    pub(in crate::store) fn request(&self, line: Line, op: Op, bytes: usize) -> Result<(), Full> {
        let mut queue = self.open()?;
        queue.requests.push(line, op, bytes);
        self.ring(queue, true);
        Ok(())
    }

    /// Queues an event. It may wait [`LINGER`] for company. Events are also taken after [`Inbox::close`], since attempts still
    /// end then.
    pub(in crate::store) fn event(&self, op: Op) {
        let mut queue = self.lock();
        queue.events.push(op);
        self.ring(queue, false);
    }

    /// From this moment on every request is refused.
    pub(in crate::store) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_one();
    }

    pub(in crate::store) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits for work until `until`, and moves it into `ops`, which must be empty. Work that comes before the end of `rest` waits
    /// for more until then, as long as more comes.
    ///
    /// Returns true when the inbox is closed. Once it is closed and a call takes nothing, nothing will come except from an
    /// attempt that still ends.
    pub(in crate::store) fn take(&self, ops: &mut Vec<Op>, until: Instant, rest: Rest) -> bool {
        let mut queue = self.wait(self.lock(), Sleep::Idle, until, |queue| queue.len() > 0 || queue.closed);
        if queue.len() > 0 {
            queue = self.gather(queue, rest);
            let until = until.min(self.clock.steady() + LINGER);
            queue = self.wait(queue, Sleep::Linger, until, |queue| queue.requests.len() > 0 || queue.closed);
        }
        std::mem::swap(ops, &mut queue.events);
        queue.requests.take(ops, self.clock.steady());
        queue.closed
    }

    /// Waits until the rest ends, or until nothing came for a while. Then everyone who could send something is waiting for this
    /// commit.
    fn gather<'a>(&'a self, mut queue: MutexGuard<'a, Queue>, rest: Rest) -> MutexGuard<'a, Queue> {
        loop {
            let (had, until) = (queue.len(), rest.until.min(self.clock.steady() + rest.quiet));
            queue = self.wait(queue, Sleep::Rest, until, |queue| queue.requests.is_full() || queue.closed);
            if queue.requests.is_full() || queue.closed || queue.len() == had || until == rest.until {
                return queue;
            }
        }
    }

    fn open(&self) -> Result<MutexGuard<'_, Queue>, Full> {
        let queue = self.lock();
        if queue.closed { Err(Full::Closed) } else { Ok(queue) }
    }

    fn ring(&self, queue: MutexGuard<'_, Queue>, is_request: bool) {
        let wake = queue.ends_sleep(is_request);
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
            let left = until.saturating_duration_since(self.clock.steady());
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
        self.requests.len() + self.events.len()
    }

    /// Whether the writer must wake up for an operation that came. `is_request` says that somebody waits for it.
    fn ends_sleep(&self, is_request: bool) -> bool {
        match self.sleep {
            Sleep::No => false,
            Sleep::Idle => true,
            Sleep::Linger => is_request,
            Sleep::Rest => self.requests.is_full(),
        }
    }
}

/// The room of all outcomes that wait for the disk, in KiB. When it is full, attempts end later.
const OUTCOMES_KIB: u32 = 64 << 10;

/// How long outcomes wait for company. No answer waits for them, and a commit of fifty costs as much as a commit of one.
const LINGER: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::clock;
    use crate::domain::id::EndpointNo;
    use crate::store::Origin;

    const LINE: Line = Line(1);

    fn publication() -> Op {
        Op::AcceptAll(Vec::new(), oneshot::channel().0)
    }

    /// Takes what is there. Returns a letter for each operation, and whether the inbox is closed.
    fn taken(inbox: &Inbox) -> (String, bool) {
        let (mut ops, now) = (Vec::new(), clock::steady());
        let closed = inbox.take(&mut ops, now, Rest { until: now, quiet: Duration::ZERO });
        let letter = |op: &Op| match op {
            Op::AcceptAll(..) => 'p',
            Op::RevokeKey(..) => 'r',
            _ => 't',
        };
        (ops.iter().map(letter).collect(), closed)
    }

    #[test]
    fn a_batch_takes_all_events_and_the_publications_that_fill_it() {
        let inbox = Inbox::new(Clock::default());
        for bytes in [1 << 20, 1 << 20, 1, 10 << 20, 1] {
            inbox.publish(LINE, publication(), bytes).expect("there is room");
        }
        inbox.event(Op::Refill(EndpointNo(1)));
        assert_eq!(inbox.len(), 6);
        assert_eq!(taken(&inbox), ("tpp".into(), false));
        inbox.event(Op::Refill(EndpointNo(1)));
        inbox.close();
        assert_eq!(taken(&inbox), ("tpp".into(), true));
        assert_eq!(taken(&inbox), ("p".into(), true));
        assert_eq!(taken(&inbox), (String::new(), true));
    }

    #[test]
    fn a_request_behind_publications_stays_behind_them() {
        let inbox = Inbox::new(Clock::default());
        for _ in 0..2 {
            inbox.publish(LINE, publication(), 2 << 20).expect("there is room");
        }
        inbox.request(LINE, Op::RevokeKey("k".into(), Origin::test().into(), oneshot::channel().0), 0).expect("it is open");
        inbox.publish(LINE, publication(), 1).expect("there is room");
        assert_eq!(taken(&inbox), ("p".into(), false));
        assert_eq!(taken(&inbox), ("p".into(), false));
        assert_eq!(taken(&inbox), ("rp".into(), false));
    }

    #[test]
    fn publications_past_the_bound_are_refused() {
        let (inbox, half) = (Inbox::new(Clock::default()), 32 << 20);
        assert_eq!(inbox.publish(LINE, publication(), half - 1), Ok(()));
        assert_eq!(inbox.publish(LINE, publication(), half), Ok(()), "a large one finds its way in between small ones");
        assert_eq!(inbox.publish(LINE, publication(), 1), Err(Full::Busy));
        assert_eq!(taken(&inbox), ("p".into(), false));
        assert_eq!(inbox.publish(LINE, publication(), 1), Err(Full::Busy));
        assert_eq!(taken(&inbox), ("p".into(), false));
        assert_eq!(inbox.publish(LINE, publication(), 1), Ok(()));
        inbox.close();
        assert_eq!(inbox.publish(LINE, publication(), 1), Err(Full::Closed));
    }

    #[tokio::test]
    async fn outcomes_past_the_bound_wait_for_room() {
        let inbox = Inbox::new(Clock::default());
        let half = OUTCOMES_KIB as usize * 1024 / 2 - 1024;
        let first = inbox.outcome_room(half).await;
        let _second = inbox.outcome_room(half).await;
        let waits = tokio::time::timeout(Duration::from_millis(20), inbox.outcome_room(0)).await;
        assert!(waits.is_err(), "there is no room");
        drop(first);
        assert!(inbox.outcome_room(usize::MAX).await.is_some(), "the longest has room when it is alone with another");
    }

    #[test]
    fn a_batch_that_fills_up_ends_the_rest() {
        let (inbox, began) = (Inbox::new(Clock::default()), clock::steady());
        let long = Duration::from_secs(60);
        let rest = Rest { until: began + long, quiet: long };
        inbox.publish(LINE, publication(), 1).expect("there is room");
        std::thread::scope(|scope| {
            let writer = scope.spawn(|| inbox.take(&mut Vec::new(), began + long, rest));
            while inbox.lock().sleep != Sleep::Rest {
                std::thread::yield_now();
            }
            inbox.publish(LINE, publication(), 2 << 20).expect("there is room");
            assert!(!writer.join().expect("no panic"));
        });
        assert!(clock::steady() < began + long / 2);
    }
}
