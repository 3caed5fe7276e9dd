//! What passed while a reader was away, read from the log: every attempt that ended since its cursor, and the delivery of each as it
//! stands by then.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::super::whole::space;
use super::cursor::Place;
use super::frame::{Frame, Look};
use crate::api::response::problem::Problem;
use crate::domain::id::{AttemptKey, DeliveryKey};
use crate::store::{AttemptView, EndedAt, Filter, Fit, Of, Reached, Store, View};

/// The reading of one gap.
pub(super) struct Replay {
    of: Of,
    /// How far the reader has seen the log.
    since: Reached,
    /// Where the ring goes on.
    until: Reached,
    step: Step,
    /// Attempts that were found and not printed yet, each with how far the log is read when it was printed.
    found: VecDeque<(AttemptKey, Reached)>,
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

impl Replay {
    pub(super) fn new(of: Of, since: Reached, until: Reached) -> Self {
        let first = AttemptKey::first_at(since.at);
        Self { of, since, until, step: Step::Unsent((since.at, first.delivery)), found: VecDeque::new() }
    }

    pub(super) fn is_over(&self) -> bool {
        self.found.is_empty() && self.step == Step::Done
    }

    /// Where the reader is before anything was printed.
    pub(super) fn place(&self) -> Place {
        Place { reached: self.since, ..Place::default() }
    }

    /// Prints what comes next, and returns how much room the next row needs where there is not enough.
    pub(super) async fn print(
        &mut self,
        store: &Store,
        filter: &Filter,
        look: Look,
        room: usize,
        into: &mut Vec<u8>,
    ) -> Result<Option<usize>, Problem> {
        if let Step::Unsent(after) = self.step {
            return self.print_unsent(after, store, filter, look, into).await.map(|()| None);
        }
        if self.found.is_empty() {
            self.find(store).await?;
        }
        let keys: Vec<AttemptKey> = self.found.iter().take(CHUNK).map(|(key, _)| *key).collect();
        if keys.is_empty() {
            return Ok(None);
        }
        let attempts = match store.attempts_by_key(keys, space(room.saturating_sub(into.len()))).await? {
            Fit::Needs(bytes) => return Ok(Some(bytes + into.len())),
            Fit::Fits(attempts) => attempts,
        };
        let read: Vec<(AttemptKey, Reached)> = self.found.drain(..attempts.len()).collect();
        let views = views(store, &read).await?;
        let rows: Vec<_> = read
            .into_iter()
            .zip(attempts)
            .filter(|((_, _), attempt)| attempt.as_ref().is_some_and(|one| self.is_new(one)))
            .collect();
        let last = last_of_each(&rows);
        for (index, ((key, reached), attempt)) in rows.iter().enumerate() {
            let (Some(view), Some(attempt)) = (views.get(&key.delivery), attempt) else { continue };
            if filter.holds(view) {
                let before =
                    Place { reached: Reached { attempts: reached.attempts.saturating_sub(1), ..*reached }, ..Place::default() };
                into.extend_from_slice(&Frame::attempt(store.node(), view, (*key, &attempt.attempt), &before).text(look));
                if last.contains(&index) {
                    let place = Place { reached: *reached, ..Place::default() };
                    into.extend_from_slice(&Frame::delivery(store.node(), view, &place).text(look));
                }
            }
        }
        Ok(None)
    }

    /// Prints deliveries that ended without an attempt. A reader that breaks off meanwhile begins with them again.
    async fn print_unsent(
        &mut self,
        after: EndedAt,
        store: &Store,
        filter: &Filter,
        look: Look,
        into: &mut Vec<u8>,
    ) -> Result<(), Problem> {
        let unsent = store.unsent_after(self.of.clone(), after, self.until.at, CHUNK / 2).await?;
        self.step = match unsent.looked_to {
            Some(last) => Step::Unsent(last),
            None if self.since.attempts <= self.until.attempts => Step::Numbers(self.since.attempts),
            None => Step::by_starts(self.since),
        };
        let views = store.deliveries_by_key(unsent.deliveries).await?;
        for view in views.into_iter().flatten().filter(|view| filter.holds(view)) {
            into.extend_from_slice(&Frame::delivery(store.node(), &view, &self.place()).text(look));
        }
        Ok(())
    }

    /// Finds the next attempts.
    async fn find(&mut self, store: &Store) -> Result<(), Problem> {
        match self.step {
            Step::Unsent(_) | Step::Done => {}
            Step::Numbers(after) if after >= self.until.attempts => self.step = Step::Done,
            Step::Numbers(after) => match store.ended_after(self.of.clone(), after, self.until.attempts).await? {
                Some(ended) => {
                    let at = self.since.at;
                    self.found.extend(ended.attempts.into_iter().map(|(number, key)| (key, Reached { attempts: number, at })));
                    self.step = Step::Numbers(ended.looked_to);
                }
                None => self.step = Step::by_starts(self.since),
            },
            Step::Starts(after) => {
                let keys = store.started_after(self.of.clone(), after, self.until.at, STARTS).await?;
                self.step = keys.last().map_or(Step::Done, |last| Step::Starts(*last));
                let reached = |key: AttemptKey| Reached { attempts: UNKNOWN, at: key.started_at.max(self.since.at) };
                self.found.extend(keys.into_iter().map(|key| (key, reached(key))));
            }
        }
        Ok(())
    }

    /// Whether an attempt may have ended behind the cursor and before the ring. Those that were found by their numbers have.
    fn is_new(&self, view: &AttemptView) -> bool {
        let ended_at = view.key.started_at + view.attempt.outcome.duration;
        let by_number = matches!(self.step, Step::Numbers(_));
        by_number || ended_at + LATE >= self.since.at
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

/// Longer than an attempt takes, with the token that it may have to fetch first.
const LONGEST: Duration = Duration::from_secs(180);

/// Longer than an outcome waits for the disk.
const LATE: Duration = Duration::from_secs(30);

/// The number of an attempt that was found by its start.
const UNKNOWN: u64 = u64::MAX;
