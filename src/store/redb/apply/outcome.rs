//! An attempt's end, inside the writer: log, state, next due entry and the endpoint's count, in one commit.

use std::sync::Arc;

use crate::domain::delivery::outcome::Class;
use crate::domain::delivery::{Delivery, Effect, End, Ended, QueuePosition, State};
use crate::domain::dialect::Dialect;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Count, Endpoint, Why};
use crate::store::error::Error;
use crate::store::message::command::Finished;
use crate::store::message::progress::{Attempted, Fact};
use crate::store::redb::batch::Batch;
use crate::store::shared::registry::Entry;
use crate::store::{Attempt, Status};

/// What an attempt changed: the delivery before and after, and the attempt that was its newest until now.
struct Change {
    was_pending: bool,
    delivery: Delivery,
    effect: Effect,
    earlier: Option<Attempt>,
    attempt: Attempt,
    /// When the attempt ended.
    at: Timestamp,
}

impl Batch<'_, '_> {
    /// Logs an attempt. One whose delivery is gone (its log was removed meanwhile) is dropped.
    pub(in crate::store) fn finish(&mut self, finished: Finished) -> Result<(), Error> {
        let Some(entry) = self.entry_or_tombstone(finished.key.endpoint)? else { return Ok(()) };
        let Some((delivery, earlier)) = self.take_attempted(&finished)? else { return Ok(()) };
        let dialect = self.dialect(&entry.endpoint.provider);
        let change = self.judge(finished, delivery, earlier, &dialect)?;
        self.count(&entry, &change, &dialect)?;
        self.log(&entry, change, &dialect)
    }

    /// The delivery as it stands, with its one entry taken out. A first attempt whose entry is where it was needs no read.
    fn take_attempted(&mut self, finished: &Finished) -> Result<Option<(Delivery, Option<Attempt>)>, Error> {
        let key = finished.key;
        let undisturbed = self.take_entry(key, finished.position)?;
        if undisturbed && finished.first {
            return Ok(Some((Delivery::published(key, finished.position), None)));
        }
        if let Some((delivery, newest)) = self.row(key)? {
            if let (State::Pending(position), false) = (delivery.state, undisturbed) {
                self.take_entry(key, position)?;
            }
            return Ok(Some((delivery, newest)));
        }
        if undisturbed {
            return Ok(Some((Delivery::published(key, finished.position), None)));
        }
        let Some(position) = self.position_without_row(key)? else { return Ok(None) };
        self.take_entry(key, position)?;
        Ok(Some((Delivery::published(key, position), None)))
    }

    fn judge(
        &mut self,
        finished: Finished,
        delivery: Delivery,
        earlier: Option<Attempt>,
        dialect: &Dialect,
    ) -> Result<Change, Error> {
        let was_pending = delivery.is_pending();
        let draw = if failed(&finished, dialect).is_some() { crate::store::writer::random::unit()? } else { 0.0 };
        // The wall clock may have jumped between the attempt's end and now; then the delay counts from now.
        let jumped = self.now.since(finished.ended_at).max(finished.ended_at.since(self.now)) > CLOCK_JUMP;
        let at = if jumped { self.now } else { finished.ended_at };
        let ended = Ended { outcome: &finished.outcome, at, draw };
        let (delivery, effect) = delivery.attempted(ended, dialect);
        let error = failed(&finished, dialect);
        let number = delivery.attempts;
        Ok(Change { was_pending, delivery, effect, earlier, attempt: finished.attempt(number, error), at })
    }

    /// The endpoint's count of failures, and what follows from it.
    fn count(&mut self, entry: &Entry, change: &Change, dialect: &Dialect) -> Result<(), Error> {
        self.after.attempts.push((entry.clone(), change.attempt.end()));
        let endpoint = &entry.endpoint;
        let unmoved = match change.effect.count {
            Count::Keep => true,
            Count::Reset => endpoint.failures == 0,
            Count::Raise => false,
        };
        if (unmoved && !change.effect.gone) || endpoint.is_deleted() {
            return Ok(());
        }
        let counted = Endpoint::clone(endpoint).counted(change.effect.count, &dialect.disable, self.now);
        let counted = if change.effect.gone { counted.disabled(Why::Gone, self.now) } else { counted };
        self.set_endpoint(Arc::new(counted))
    }

    fn log(&mut self, entry: &Entry, change: Change, dialect: &Dialect) -> Result<(), Error> {
        let Change { was_pending, mut delivery, earlier, attempt, at, .. } = change;
        if let State::Pending(QueuePosition::Due(at)) = delivery.state {
            delivery = self.wait_again(delivery, at)?;
        }
        if let Some(earlier) = earlier {
            self.write_attempt(delivery.key, &earlier)?;
        }
        self.write_row(&delivery, Some(&attempt))?;
        let ends = !delivery.is_pending() && (was_pending || attempt.error.is_none());
        self.mark_attempt(&delivery, &attempt.outcome, ends, at);
        if was_pending && !delivery.is_pending() {
            self.leaves_pending(&delivery)?;
        }
        if self.shared.facts.receiver_count() > 0 {
            self.tell(&entry.endpoint, &delivery, &attempt, dialect)?;
        }
        Ok(())
    }

    /// Where a delivery waits whose attempt failed; one that is being purged does not.
    fn wait_again(&mut self, delivery: Delivery, at: Timestamp) -> Result<Delivery, Error> {
        if self.is_purged(delivery.key) && !delivery.is_test() {
            return Ok(delivery.ended(End::Cancelled, self.now));
        }
        self.place(delivery, at)
    }

    fn tell(&mut self, endpoint: &Endpoint, delivery: &Delivery, attempt: &Attempt, dialect: &Dialect) -> Result<(), Error> {
        let Some(stored) = self.event(delivery.key.event)? else { return Ok(()) };
        let active = self.entry(endpoint.no).is_some_and(|entry| entry.endpoint.is_active());
        let name = if endpoint.definition.name.is_empty() { &endpoint.id } else { &endpoint.definition.name };
        let response = attempt.outcome.result.as_ref().ok();
        let retries = if delivery.is_test() { 0 } else { dialect.retry.retries() };
        let fact = Attempted {
            at: self.now,
            event_id: stored.event.id.to_string(),
            kind: stored.event.kind.to_string(),
            webhook: name.to_string(),
            url: attempt.url.to_string(),
            number: attempt.number,
            of: u16::try_from(retries + 1).unwrap_or(u16::MAX).saturating_add(delivery.run.before),
            status: response.map(|response| response.status),
            error: attempt.error.map(|class| (class, detail(attempt))),
            duration: attempt.outcome.duration,
            next_at: match delivery.state {
                State::Pending(QueuePosition::Due(at)) => Some(at),
                _ => None,
            },
            ended: Some(crate::store::status(delivery, active)).filter(|status| *status != Status::Pending),
            response_start: response.map(|response| start(&response.body)).unwrap_or_default(),
        };
        self.after.facts.push(Fact::Attempted(Box::new(fact)));
        Ok(())
    }
}

/// The class of a failure; a response that the dialect does not count as success is one too.
fn failed(finished: &Finished, dialect: &Dialect) -> Option<Class> {
    match &finished.outcome.result {
        Err(failure) => Some(failure.class),
        Ok(response) => (!dialect.is_success(response.status)).then_some(Class::Status),
    }
}

fn detail(attempt: &Attempt) -> String {
    attempt.outcome.result.as_ref().err().map(|failure| failure.detail.clone()).unwrap_or_default()
}

fn start(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES)]).into_owned()
}

/// Between an attempt's end and its commit lies a fsync, not a minute.
const CLOCK_JUMP: std::time::Duration = std::time::Duration::from_secs(60);

/// Enough of a response to see what it complains about.
const SHOWN_BYTES: usize = 200;
