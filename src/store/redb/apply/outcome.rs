//! An attempt's end, inside the writer: log, state, next due entry and the endpoint's count, in one commit.

use std::sync::Arc;

use crate::domain::delivery::{Delivery, QueuePosition, State};
use crate::domain::dialect::Dialect;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::error::Error;
use crate::store::message::command::Finished;
use crate::store::message::progress::{Attempted, Fact};
use crate::store::redb::batch::Batch;
use crate::store::rules::outcome::{self, Facts, Found, Judged};
use crate::store::{Attempt, Status};

impl Batch<'_, '_> {
    /// Logs an attempt. One whose delivery is gone (its log was removed meanwhile) is dropped.
    pub(in crate::store) fn finish(&mut self, finished: Finished) -> Result<(), Error> {
        let Some(entry) = self.entry_or_tombstone(finished.key.endpoint)? else { return Ok(()) };
        let Some((delivery, earlier)) = self.take_attempted(&finished)? else { return Ok(()) };
        let dialect = self.dialect(&entry.endpoint.provider);
        let facts = self.facts(&finished, &entry.endpoint, &dialect)?;
        let had_failed = matches!(delivery.state, State::Failed { .. });
        let mut judged = outcome::judge(delivery, &facts);
        if judged.delivery.replay.is_some() {
            self.note_replayed(&mut judged, had_failed);
        }
        if let Some(webhook) = judged.webhook.take() {
            self.set_endpoint(Arc::new(webhook))?;
        }
        let started_at = outcome::starts_at(finished.started_at, earlier.as_ref());
        let attempt = Finished { started_at, ..finished }.attempt(judged.delivery.attempts, judged.error);
        self.after.attempts.push((entry.clone(), attempt.end()));
        self.log(&entry.endpoint, judged, earlier, attempt, &dialect)
    }

    /// The delivery as it stands, with its one entry taken out.
    fn take_attempted(&mut self, finished: &Finished) -> Result<Option<(Delivery, Option<Attempt>)>, Error> {
        let (key, position) = (finished.key, finished.position);
        let stood = self.take_entry(key, position)?;
        let row = if outcome::needs_row(stood, finished.first) { self.row(key)? } else { None };
        if let Some(Found { delivery, newest, other }) = outcome::found(key, position, stood, row) {
            if let Some(other) = other {
                self.take_entry(key, other)?;
            }
            return Ok(Some((delivery, newest)));
        }
        let Some(position) = self.position_without_row(key)? else { return Ok(None) };
        self.take_entry(key, position)?;
        Ok(Some((Delivery::published(key, position), None)))
    }

    fn facts<'f>(&self, finished: &'f Finished, endpoint: &'f Endpoint, dialect: &'f Dialect) -> Result<Facts<'f>, Error> {
        let has_failed = outcome::failed(&finished.outcome, dialect).is_some();
        Ok(Facts {
            endpoint,
            dialect,
            outcome: &finished.outcome,
            ended_at: finished.ended_at,
            is_purged: self.is_purged(finished.key),
            has_turn: self.memory.order.has_turn(finished.key),
            draw: if has_failed { crate::store::writer::random::unit()? } else { 0.0 },
            now: self.now,
        })
    }

    /// Writes what the rule made of the delivery, and the attempt.
    fn log(
        &mut self,
        endpoint: &Endpoint,
        judged: Judged,
        earlier: Option<Attempt>,
        attempt: Attempt,
        dialect: &Dialect,
    ) -> Result<(), Error> {
        let delivery = match judged.wait {
            Some(wait) => self.wait(judged.delivery, wait)?,
            None => judged.delivery,
        };
        if let Some(earlier) = earlier {
            self.write_attempt(delivery.key, &earlier)?;
        }
        self.write_row(&delivery, Some(&attempt))?;
        self.list_attempt(attempt.key(delivery.key), endpoint.tenant_no);
        self.changed(&delivery, attempt.error, Some(attempt.key(delivery.key)))?;
        self.mark_attempt(&delivery, &attempt.outcome, judged.ends, judged.at);
        self.measure_attempt(endpoint, &delivery, &attempt, judged.ends.then_some(judged.at));
        if judged.leaves_pending {
            self.leaves_pending(&delivery)?;
        }
        if self.shared.facts.receiver_count() > 0 {
            self.tell(endpoint, &delivery, &attempt, dialect)?;
        }
        Ok(())
    }

    fn tell(&mut self, endpoint: &Endpoint, delivery: &Delivery, attempt: &Attempt, dialect: &Dialect) -> Result<(), Error> {
        let Some(stored) = self.event(delivery.key.event)? else { return Ok(()) };
        let active = self.entry(endpoint.no).is_some_and(|entry| entry.endpoint.is_active());
        let name = if endpoint.definition.name.is_empty() { &endpoint.id } else { &endpoint.definition.name };
        let response = attempt.outcome.result.as_ref().ok();
        let retries = if delivery.is_test() { 0 } else { endpoint.effective(dialect).retry.retries() };
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

fn detail(attempt: &Attempt) -> String {
    attempt.outcome.result.as_ref().err().map(|failure| failure.detail.clone()).unwrap_or_default()
}

fn start(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES)]).into_owned()
}

/// Enough of a response to see what it complains about.
const SHOWN_BYTES: usize = 200;
