//! What waits for the writer: a commit takes all that came while the last one ran, but of events no more than make a batch.
//!
//! What somebody asks for is taken in turns by [tenant](super::turns), and of one tenant in the order in which it came. What the
//! relay tells itself overtakes it: deliveries that ended and backlogs that ran low do not wait for all that was published.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

use super::turns::{Crowded, Line, Turns};
use crate::clock::Clock;
use crate::store::message::command::{Op, OutcomeRoom};

/// The queue and the bell.
pub(in crate::store) struct Inbox {
    queue: Mutex<Queue>,
    bell: Condvar,
    /// Room for outcomes, in KiB.
    outcomes: Arc<Semaphore>,
    names: RandomState,
    clock: Clock,
}

#[derive(Default)]
struct Queue {
    /// What somebody waits for.
    asked: Turns,
    /// What nobody waits for.
    told: Vec<Op>,
    closed: bool,
    /// Whether the writer sleeps, and for what.
    sleep: Sleep,
}

/// How long work waits for company after a commit.
#[derive(Clone, Copy)]
pub(in crate::store) struct Rest {
    pub(in crate::store) until: Instant,
    /// It ends when nothing came for so long.
    pub(in crate::store) quiet: Duration,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Sleep {
    #[default]
    No,
    /// Until anything comes.
    Idle,
    /// Until something urgent comes: outcomes wait for company.
    Linger,
    /// Until a time, or a full batch: all of it waits for company.
    Rest,
}

/// Why an operation was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Full {
    Busy,
    Closed,
}

impl Inbox {
    /// An empty one, which waits by this clock.
    pub(in crate::store) fn new(clock: Clock) -> Self {
        let outcomes = Arc::new(Semaphore::new(OUTCOMES_KIB as usize));
        Self { queue: Mutex::default(), bell: Condvar::new(), outcomes, names: RandomState::new(), clock }
    }

    /// Waits until an outcome of so many bytes has room among those that wait for the disk. Its worker keeps its slot
    /// meanwhile, so a disk that stands still stops attempts instead of filling memory.
    pub(in crate::store) async fn outcome_room(&self, bytes: usize) -> Option<OutcomeRoom> {
        let most = OUTCOMES_KIB / 2;
        let kib = u32::try_from(bytes / 1024).unwrap_or(most).min(most - 1) + 1;
        self.outcomes.clone().acquire_many_owned(kib).await.ok()
    }

    /// Where what is about a tenant waits.
    pub(in crate::store) fn line(&self, provider: &str, tenant: &str) -> Line {
        Line(self.names.hash_one((provider, tenant)))
    }

    /// Queues publications, or refuses them when too many bytes wait already, whatever their own.
    pub(in crate::store) fn publish(&self, line: Line, op: Op, bytes: usize) -> Result<(), Full> {
        let mut queue = self.open()?;
        queue.asked.publish(line, op, bytes).map_err(|Crowded| Full::Busy)?;
        self.ring(queue, true);
        Ok(())
    }

    /// Queues what somebody waits for, which holds so many bytes of events.
    pub(in crate::store) fn ask(&self, line: Line, op: Op, bytes: usize) -> Result<(), Full> {
        let mut queue = self.open()?;
        queue.asked.push(line, op, bytes);
        self.ring(queue, true);
        Ok(())
    }

    /// Queues what nobody waits for: it may wait [`LINGER`] for company. Also taken while closing, since attempts end then.
    pub(in crate::store) fn tell(&self, op: Op) {
        let mut queue = self.lock();
        queue.told.push(op);
        self.ring(queue, false);
    }

    /// Refuses everything that is asked from now on.
    pub(in crate::store) fn close(&self) {
        self.lock().closed = true;
        self.bell.notify_one();
    }

    pub(in crate::store) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Waits for work until `until` and takes it into `ops`, which is empty and comes back with an old queue's room. Work that is
    /// there before the end of `rest` waits for more until then, as long as more comes.
    /// True when nothing is asked any more: once nothing is taken, nothing will be, unless an attempt still ends.
    pub(in crate::store) fn take(&self, ops: &mut Vec<Op>, until: Instant, rest: Rest) -> bool {
        let mut queue = self.wait(self.lock(), Sleep::Idle, until, |queue| queue.len() > 0 || queue.closed);
        if queue.len() > 0 {
            queue = self.gather(queue, rest);
            let until = until.min(self.clock.steady() + LINGER);
            queue = self.wait(queue, Sleep::Linger, until, |queue| queue.asked.len() > 0 || queue.closed);
        }
        std::mem::swap(ops, &mut queue.told);
        queue.asked.take(ops, self.clock.steady());
        queue.closed
    }

    /// Waits for the end of the rest, or until it is quiet: then all who could send something wait for this commit.
    fn gather<'a>(&'a self, mut queue: MutexGuard<'a, Queue>, rest: Rest) -> MutexGuard<'a, Queue> {
        loop {
            let (had, until) = (queue.len(), rest.until.min(self.clock.steady() + rest.quiet));
            queue = self.wait(queue, Sleep::Rest, until, |queue| queue.asked.is_full() || queue.closed);
            if queue.asked.is_full() || queue.closed || queue.len() == had || until == rest.until {
                return queue;
            }
        }
    }

    fn open(&self) -> Result<MutexGuard<'_, Queue>, Full> {
        let queue = self.lock();
        if queue.closed { Err(Full::Closed) } else { Ok(queue) }
    }

    fn ring(&self, queue: MutexGuard<'_, Queue>, asked: bool) {
        let wake = queue.ends_sleep(asked);
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
        self.asked.len() + self.told.len()
    }

    /// Whether the writer is to wake up for what has come, which was asked for or not.
    fn ends_sleep(&self, asked: bool) -> bool {
        match self.sleep {
            Sleep::No => false,
            Sleep::Idle => true,
            Sleep::Linger => asked,
            Sleep::Rest => self.asked.is_full(),
        }
    }
}

/// What the outcomes may hold that wait for the disk: past it, attempts end later.
const OUTCOMES_KIB: u32 = 64 << 10;

/// How long outcomes wait for company. No answer waits for them, and a commit costs the same for one as for fifty.
const LINGER: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::clock;
    use crate::domain::id::EndpointNo;

    const LINE: Line = Line(1);

    fn publication() -> Op {
        Op::AcceptAll(Vec::new(), oneshot::channel().0)
    }

    /// Takes what is there: a letter for each, and whether nothing more is asked.
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
    fn a_batch_takes_no_more_events_than_fill_it_and_what_is_told_at_once() {
        let inbox = Inbox::new(Clock::default());
        for bytes in [1 << 20, 1 << 20, 1, 10 << 20, 1] {
            inbox.publish(LINE, publication(), bytes).expect("there is room");
        }
        inbox.tell(Op::Refill(EndpointNo(1)));
        assert_eq!(inbox.len(), 6);
        assert_eq!(taken(&inbox), ("tpp".into(), false));
        inbox.tell(Op::Refill(EndpointNo(1)));
        inbox.close();
        assert_eq!(taken(&inbox), ("tpp".into(), true));
        assert_eq!(taken(&inbox), ("p".into(), true));
        assert_eq!(taken(&inbox), (String::new(), true));
    }

    #[test]
    fn what_is_asked_for_behind_publications_stays_behind_them() {
        let inbox = Inbox::new(Clock::default());
        for _ in 0..2 {
            inbox.publish(LINE, publication(), 2 << 20).expect("there is room");
        }
        inbox.ask(LINE, Op::RevokeKey("k".into(), oneshot::channel().0), 0).expect("it is open");
        inbox.publish(LINE, publication(), 1).expect("there is room");
        assert_eq!(taken(&inbox), ("p".into(), false));
        assert_eq!(taken(&inbox), ("p".into(), false));
        assert_eq!(taken(&inbox), ("rp".into(), false));
    }

    #[test]
    fn publications_past_the_bound_are_refused_until_some_were_taken() {
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
    async fn outcomes_past_the_bound_wait_for_others_to_be_taken_in() {
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
