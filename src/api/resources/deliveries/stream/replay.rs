//! What passed while a reader was away, read from the log: every attempt that ended since its cursor, and the delivery of each as it
//! stands by then.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::super::whole::space;
use super::cursor::Place;
use super::frame::{Frame, Look};
use crate::api::response::problem::Problem;
use crate::config::dialect::TIMEOUT_MAX;
use crate::domain::id::{AttemptKey, DeliveryKey};
use crate::store::{AttemptView, EndedAt, Filter, Fit, Of, Reached, Store, View};

/// The reading of one gap.
pub(super) struct Replay {
    of: Of,
    /// How far the reader had seen the log.
    since: Place,
    /// Where the ring goes on.
    until: Reached,
    step: Step,
    /// Attempts that were found and not printed yet, each with how far the log is read when it was printed.
    found: VecDeque<(AttemptKey, Reached)>,
    /// How far the reader has seen the log by now, also of what its filters left out.
    place: Place,
}

/// What is found next, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// First the deliveries that ended without an attempt, behind this place.
    Unsent(EndedAt),
    /// Then the attempts: in the order of commits, behind the attempt with this number.
    Numbers(u64),
    /// In the order of starts, behind this attempt.
    Starts(AttemptKey),
    Done,
}

/// How a reader is shown rows: which, in which form, and how many bytes of memory there are for them.
pub(super) struct Shown<'a> {
    pub(super) filter: &'a Filter,
    pub(super) look: Look,
    pub(super) room: usize,
}

impl Replay {
    pub(super) fn new(of: Of, since: Place, until: Reached) -> Self {
        let first = AttemptKey::first_at(since.unsent).delivery;
        let place = Place { ring: 0, row: 0, ..since };
        Self { of, since, until, step: Step::Unsent((since.unsent, first)), found: VecDeque::new(), place }
    }

    pub(super) fn is_over(&self) -> bool {
        self.found.is_empty() && self.step == Step::Done
    }

    /// Where a reader goes on that breaks off here.
    pub(super) fn place(&self) -> Place {
        self.place
    }

    /// Prints what comes next, and returns how much room the next row needs where there is not enough.
    pub(super) async fn print(&mut self, store: &Store, shown: &Shown<'_>, into: &mut Vec<u8>) -> Result<Option<usize>, Problem> {
        if let Step::Unsent(after) = self.step {
            return self.print_unsent(after, store, shown, into).await.map(|()| None);
        }
        if self.found.is_empty() {
            self.find(store, shown.filter).await?;
        }
        self.print_attempts(store, shown, into).await
    }

    /// Prints deliveries that ended without an attempt.
    async fn print_unsent(
        &mut self,
        after: EndedAt,
        store: &Store,
        shown: &Shown<'_>,
        into: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        let unsent = store.unsent_after(self.of.clone(), after, self.until.at, CHUNK / 2).await?;
        let views = store.deliveries_by_key(unsent.deliveries).await?;
        for view in views.into_iter().flatten().filter(|view| shown.filter.holds(&view.facts())) {
            into.extend_from_slice(&Frame::delivery(store.node(), &view, &self.place).text(shown.look));
        }
        self.place.unsent = unsent.looked_to.map_or(self.until.at, |(at, _)| at);
        self.step = unsent.looked_to.map_or_else(|| self.first_of_attempts(), Step::Unsent);
        Ok(())
    }

    fn first_of_attempts(&self) -> Step {
        let is_known = self.since.reached.attempts <= self.until.attempts;
        if is_known { Step::Numbers(self.since.reached.attempts) } else { Step::by_starts(self.since.reached) }
    }

    /// Prints the attempts that were found, as many as are read at once.
    async fn print_attempts(&mut self, store: &Store, shown: &Shown<'_>, into: &mut Vec<u8>) -> Result<Option<usize>, Problem> {
        let keys: Vec<AttemptKey> = self.found.iter().take(CHUNK).map(|(key, _)| *key).collect();
        if keys.is_empty() {
            return Ok(None);
        }
        let attempts = match store.attempts_by_key(keys, space(shown.room.saturating_sub(into.len()))).await? {
            Fit::Needs(bytes) => return Ok(Some(bytes + into.len())),
            Fit::Fits(attempts) => attempts,
        };
        let read: Vec<(AttemptKey, Reached)> = self.found.drain(..attempts.len()).collect();
        let views = views(store, &read).await?;
        self.place.reached = read.last().map_or(self.place.reached, |(_, reached)| *reached);
        let rows: Vec<_> =
            read.into_iter().zip(attempts).filter(|(_, attempt)| attempt.as_ref().is_some_and(|one| self.is_new(one))).collect();
        let last = last_of_each(&rows);
        for (index, ((key, reached), attempt)) in rows.iter().enumerate() {
            let (Some(view), Some(attempt)) = (views.get(&key.delivery), attempt) else { continue };
            if shown.filter.holds(&view.facts()) {
                let before = Reached { attempts: reached.attempts.saturating_sub(1), ..*reached };
                let [before, place] = [before, *reached].map(|reached| Place { reached, ..self.place });
                let frame = Frame::attempt(store.node(), view, (*key, &attempt.attempt), &before);
                into.extend_from_slice(&frame.text(shown.look));
                if last.contains(&index) {
                    into.extend_from_slice(&Frame::delivery(store.node(), view, &place).text(shown.look));
                }
            }
        }
        Ok(None)
    }

    /// Finds the next attempts, but for those of events that the filter leaves out.
    async fn find(&mut self, store: &Store, filter: &Filter) -> Result<(), Problem> {
        match self.step {
            Step::Unsent(_) | Step::Done => {}
            Step::Numbers(after) if after >= self.until.attempts => self.step = Step::Done,
            Step::Numbers(after) => match store.ended_after(self.of.clone(), after, self.until.attempts).await? {
                Some(ended) => {
                    let at = self.since.reached.at;
                    let reached = |number| Reached { attempts: number, at };
                    self.step = Step::Numbers(ended.looked_to);
                    self.add(ended.attempts.into_iter().map(|(number, key)| (key, reached(number))), filter);
                    self.pass_to(reached(ended.looked_to));
                }
                None => self.step = Step::by_starts(self.since.reached),
            },
            Step::Starts(after) => {
                let since = self.since.reached.at;
                let keys = store.started_after(self.of.clone(), after, self.until.at, STARTS).await?;
                let reached = |key: AttemptKey| Reached { attempts: UNKNOWN, at: key.started_at.max(since) };
                let last = keys.last().copied();
                self.step = last.map_or(Step::Done, Step::Starts);
                self.add(keys.into_iter().map(|key| (key, reached(key))), filter);
                last.into_iter().for_each(|last| self.pass_to(reached(last)));
            }
        }
        Ok(())
    }

    fn add(&mut self, found: impl Iterator<Item = (AttemptKey, Reached)>, filter: &Filter) {
        self.found.extend(found.filter(|(key, _)| filter.has_event(key.delivery.event)));
    }

    /// All up to here was looked at. Where none of it is printed, the reader is there.
    fn pass_to(&mut self, reached: Reached) {
        if self.found.is_empty() {
            self.place.reached = reached;
        }
    }

    /// Whether an attempt may have ended behind the cursor and before the ring. Those that were found by their numbers have.
    fn is_new(&self, view: &AttemptView) -> bool {
        let ended_at = view.key.started_at + view.attempt.outcome.duration;
        let by_number = matches!(self.step, Step::Numbers(_));
        by_number || ended_at + LATE >= self.since.reached.at
    }
}

impl Step {
    /// From so long before a cursor that no attempt which ended behind it began earlier.
    fn by_starts(since: Reached) -> Self {
        Self::Starts(AttemptKey::first_at(since.at - LONGEST))
    }
}

/// The deliveries of attempts as they stand.
async fn views(store: &Store, read: &[(AttemptKey, Reached)]) -> Result<HashMap<DeliveryKey, View>, Problem> {
    let keys: HashSet<DeliveryKey> = read.iter().map(|(key, _)| key.delivery).collect();
    let found = store.deliveries_by_key(keys.into_iter().collect()).await?;
    Ok(found.into_iter().flatten().map(|view| (view.delivery.key, view)).collect())
}

/// The places of the last attempt of each delivery.
fn last_of_each<T>(rows: &[((AttemptKey, Reached), T)]) -> HashSet<usize> {
    let last: HashMap<DeliveryKey, usize> = rows.iter().enumerate().map(|(at, ((key, _), _))| (key.delivery, at)).collect();
    last.into_values().collect()
}

/// So many attempts are read at once.
const CHUNK: usize = 32;

/// So many keys are read of the index at once.
const STARTS: usize = 1_000;

/// Longer than from the start of an attempt to its commit: the longest timeout that a dialect may set, in which the token is fetched too,
/// and the wait for the disk.
const LONGEST: Duration = TIMEOUT_MAX.saturating_add(LATE);

/// Longer than an outcome waits for the disk.
const LATE: Duration = Duration::from_secs(30);

/// The number of an attempt that was found by its start.
const UNKNOWN: u64 = u64::MAX;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::{EndpointNo, EventKey};
    use crate::domain::time::Timestamp;

    fn reached(attempts: u64) -> Reached {
        Reached { attempts, at: Timestamp::from_secs(attempts) }
    }

    fn attempt(event: u64) -> AttemptKey {
        let delivery = DeliveryKey { event: EventKey(event), endpoint: EndpointNo(1) };
        AttemptKey { started_at: Timestamp::from_secs(event), delivery, number: 1 }
    }

    #[test]
    fn a_reader_that_breaks_off_goes_on_behind_what_its_filter_left_out() {
        let mut replay = Replay::new(Of::Tenants([].into()), Place::in_log(reached(3)), reached(90));
        let wanted = Filter { event: Some(EventKey(9)), ..Filter::default() };
        replay.add([(attempt(4), reached(4)), (attempt(5), reached(5))].into_iter(), &wanted);
        replay.pass_to(reached(6));
        assert_eq!((replay.place().reached, replay.found.len()), (reached(6), 0));
        replay.add([(attempt(9), reached(7))].into_iter(), &wanted);
        replay.pass_to(reached(8));
        assert_eq!((replay.place().reached, replay.found.len()), (reached(6), 1), "it is not printed yet");
    }

    #[test]
    fn the_log_is_read_from_before_the_longest_attempt_on() {
        let since = Reached { attempts: 5, at: Timestamp::from_secs(10_000) };
        let Step::Starts(first) = Step::by_starts(since) else { panic!("by starts") };
        let ended_behind = since.at - TIMEOUT_MAX;
        assert!(first.started_at < ended_behind, "an attempt of {TIMEOUT_MAX:?} may end right behind the place");
    }
}
