//! One event for one webhook: its state, and what every input makes of it.
//!
//! ```text
//!             attempt failed, retries left
//!                   ┌───────┐
//!                   ▼       │
//! publish ──▶ pending ──────┴──▶ succeeded ──┐
//!               │ ▲ └─ spent, 410 ─▶ failed ─┤
//!   webhook     │ │ enabled                  │ retry by hand
//!   disabled    ▼ │                          ▼
//!              held (pending, parked)     pending, a run of its own
//! ```
//!
//! `held` is no state of its own: it is a pending delivery that waits in its endpoint's backlog while the endpoint is disabled,
//! so enabling moves nothing. What waits, held or not, fails without an attempt when it is cancelled or its webhook is deleted. The
//! machine consumes the delivery and returns the next one and what it means for the endpoint.

pub(crate) mod outcome;
pub(crate) mod retry;
pub(crate) mod tally;
#[cfg(test)]
mod tests;

use std::time::Duration;

use super::delivery::outcome::{Outcome, Response};
use super::dialect::Counted;
use super::id::{DeliveryKey, ReplayNo};
use super::time::Timestamp;
use super::webhook::effective::Effective;
use super::webhook::endpoint::Count;

/// A delivery as the store keeps it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Delivery {
    pub(crate) key: DeliveryKey,
    pub(crate) state: State,
    /// Attempts made so far, over all runs.
    pub(crate) attempts: u16,
    pub(crate) run: Run,
    /// Whether the next attempt was asked for by hand.
    pub(crate) by_hand: bool,
    /// The URL of the connection it was made in, where the dialect pins it.
    pub(crate) url: Option<Box<str>>,
    /// The first success stays shown through later runs.
    pub(crate) succeeded_at: Option<Timestamp>,
    /// Of the newest response.
    pub(crate) code: Option<u16>,
    /// Made by `recover` after its event's fan-out, so not among the deliveries that the event counts.
    pub(crate) recovered: bool,
    /// The replay that started its run, if one did.
    pub(crate) replay: Option<Replayed>,
}

/// That a replay sent a delivery again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Replayed {
    pub(crate) no: ReplayNo,
    /// Whether no attempt of the run has ended yet, so that the replay waits for it.
    pub(crate) waits: bool,
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Pending(QueuePosition),
    Succeeded { at: Timestamp },
    Failed { at: Timestamp, end: End },
}

/// The one entry that brings a pending delivery back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueuePosition {
    /// In the due table, in whole milliseconds.
    Due(Timestamp),
    /// In its endpoint's backlog, at this number.
    Backlog(u64),
}

/// Why a delivery failed for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The last attempt of the schedule failed.
    Exhausted,
    /// The endpoint answered 410 in a dialect that obeys it.
    Gone,
    WebhookDeleted,
    /// Held until its age passed the retention.
    Expired,
    /// Ended by hand before it was delivered.
    Cancelled,
    /// It had not ended in the relay from which it was imported, and is sent when somebody asks for it.
    Imported,
}

impl End {
    pub(crate) const ALL: [Self; 6] =
        [Self::Exhausted, Self::Gone, Self::WebhookDeleted, Self::Expired, Self::Cancelled, Self::Imported];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Exhausted => "exhausted",
            Self::Gone => "gone",
            Self::WebhookDeleted => "webhook_deleted",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Imported => "imported",
        }
    }
}

/// One pass through the retry schedule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Run {
    pub(crate) cause: Cause,
    /// Attempts made before this run.
    pub(crate) before: u16,
    /// The random draw of the last delay: decorrelated jitter builds on it.
    pub(crate) draw: Option<f64>,
}

/// What started a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    Publish,
    /// Retry or recover: does not raise the count of failures.
    Manual,
    /// A test: one attempt, whatever the schedule says, sent also when the webhook is disabled.
    Test,
}

/// Why an attempt was made, as the log shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trigger {
    Schedule,
    Manual,
    Test,
}

/// What an outcome means beyond the delivery itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effect {
    pub(crate) count: Count,
    /// The endpoint said that it is gone, and the dialect obeys.
    pub(crate) gone: bool,
}

/// An attempt that ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended<'a> {
    pub(crate) outcome: &'a Outcome,
    pub(crate) at: Timestamp,
    /// A random number in [0, 1) for the next delay.
    pub(crate) draw: f64,
}

impl Delivery {
    /// As published, due at once.
    pub(crate) fn published(key: DeliveryKey, position: QueuePosition) -> Self {
        let run = Run { cause: Cause::Publish, before: 0, draw: None };
        Self {
            key,
            state: State::Pending(position),
            attempts: 0,
            run,
            by_hand: false,
            url: None,
            succeeded_at: None,
            code: None,
            recovered: false,
            replay: None,
        }
    }

    /// One attempt, outside every schedule.
    pub(crate) fn test(key: DeliveryKey, now: Timestamp) -> Self {
        let published = Self::published(key, QueuePosition::Due(now));
        Self { run: Run { cause: Cause::Test, ..published.run }, ..published }
    }

    pub(crate) fn is_test(&self) -> bool {
        self.run.cause == Cause::Test
    }

    /// Whether `recover` brings it back: it failed, it is no test, and nobody ended it by hand, as a purge does. One of those comes
    /// back by a retry of its own alone.
    pub(crate) fn is_recoverable(&self) -> bool {
        match self.state {
            State::Failed { end, .. } => end != End::Cancelled && !self.is_test(),
            State::Pending(_) | State::Succeeded { .. } => false,
        }
    }

    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Pending(_))
    }

    /// When it ended; `None` while pending.
    pub(crate) fn ended_at(&self) -> Option<Timestamp> {
        match self.state {
            State::Pending(_) => None,
            State::Succeeded { at } | State::Failed { at, .. } => Some(at),
        }
    }

    /// Why its next attempt is made.
    pub(crate) fn trigger(&self) -> Trigger {
        match self.run.cause {
            Cause::Test => Trigger::Test,
            _ if self.by_hand => Trigger::Manual,
            _ => Trigger::Schedule,
        }
    }

    /// The attempt that was under way ended.
    ///
    /// A success counts whatever happened meanwhile; a failure of a delivery that was ended meanwhile (cancelled, or its webhook
    /// deleted) changes nothing but the number of attempts.
    pub(crate) fn attempted<'r>(mut self, ended: Ended<'_>, rules: impl Into<Effective<'r>>) -> (Self, Effect) {
        let rules = rules.into();
        self.attempts = self.attempts.saturating_add(1);
        self.by_hand = false;
        let response = ended.outcome.result.as_ref().ok();
        self.code = response.map(|response| response.status).or(self.code);
        if response.is_some_and(|response| rules.dialect.is_success(response.status)) {
            return self.succeeded(ended.at);
        }
        if self.is_pending() { self.failed(response, ended, &rules) } else { (self, Effect::NONE) }
    }

    /// Due now, or in a run of its own when it had ended; to the webhook's URL of now, whatever connection it was made in.
    pub(crate) fn retried_by_hand(mut self, now: Timestamp) -> Self {
        if !self.is_pending() {
            let cause = if self.is_test() { Cause::Test } else { Cause::Manual };
            self.run = Run { cause, before: self.attempts, draw: None };
            self.replay = None;
        }
        self.by_hand = true;
        self.url = None;
        self.state = State::Pending(QueuePosition::Due(now));
        self
    }

    /// As [`Self::retried_by_hand`], for a delivery that has ended and that a replay sends again.
    pub(crate) fn replayed(self, no: ReplayNo, now: Timestamp) -> Self {
        Self { replay: Some(Replayed { no, waits: true }), ..self.retried_by_hand(now) }
    }

    /// Fails for good without an attempt.
    pub(crate) fn ended(mut self, end: End, now: Timestamp) -> Self {
        self.state = State::Failed { at: now, end };
        self
    }

    /// Waits elsewhere.
    pub(crate) fn placed(mut self, position: QueuePosition) -> Self {
        self.state = State::Pending(position);
        self
    }

    fn succeeded(mut self, at: Timestamp) -> (Self, Effect) {
        self.state = State::Succeeded { at };
        self.succeeded_at = self.succeeded_at.or(Some(at));
        (self, Effect { count: Count::Reset, gone: false })
    }

    fn failed(mut self, response: Option<&Response>, ended: Ended<'_>, rules: &Effective<'_>) -> (Self, Effect) {
        let gone = rules.dialect.delivery.gone && response.is_some_and(|response| response.status == GONE);
        let delay = if gone { None } else { self.next_delay(response, ended, rules) };
        let effect = Effect { count: self.failure_counts(delay, rules), gone };
        self.state = match delay {
            Some(delay) => State::Pending(QueuePosition::Due((ended.at + delay).up_to_millis())),
            None => State::Failed { at: ended.at, end: if gone { End::Gone } else { End::Exhausted } },
        };
        self.run.draw = Some(ended.draw);
        (self, effect)
    }

    /// The wait before the next attempt, `None` when the schedule is spent.
    fn next_delay(&self, response: Option<&Response>, ended: Ended<'_>, rules: &Effective<'_>) -> Option<Duration> {
        if self.is_test() {
            return None;
        }
        let retry = u32::from(self.attempts - self.run.before).saturating_sub(1);
        let scheduled = rules.retry.delay(retry, ended.draw, self.run.draw)?;
        let asked = response.filter(|_| rules.dialect.delivery.retry_after).and_then(|response| retry_after(response, ended.at));
        Some(asked.map_or(scheduled, |asked| asked.max(scheduled)))
    }

    fn failure_counts(&self, next: Option<Duration>, rules: &Effective<'_>) -> Count {
        let counts = match rules.disable.count {
            Counted::Deliveries => next.is_none(),
            Counted::Attempts => true,
        };
        if counts && self.run.cause == Cause::Publish { Count::Raise } else { Count::Keep }
    }
}

impl Effect {
    const NONE: Self = Self { count: Count::Keep, gone: false };
}

/// What `Retry-After` on 429 and 503 asks for (RFC 9110 section 10.2.3), clamped to 1 s … 24 h; `None` when it is absent or
/// unreadable.
fn retry_after(response: &Response, now: Timestamp) -> Option<Duration> {
    if !matches!(response.status, TOO_MANY_REQUESTS | UNAVAILABLE) {
        return None;
    }
    let text = response.headers.get("retry-after")?.trim();
    let asked = if text.bytes().all(|b| b.is_ascii_digit()) && !text.is_empty() {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        http_date(text)?.since(now)
    };
    Some(asked.clamp(RETRY_AFTER_MIN, RETRY_AFTER_MAX))
}

/// An IMF-fixdate (RFC 9110 section 5.6.7), the one form that senders may make.
fn http_date(text: &str) -> Option<Timestamp> {
    let time = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
    u64::try_from(time.as_microsecond()).ok().map(Timestamp::from_micros)
}

const GONE: u16 = 410;
const TOO_MANY_REQUESTS: u16 = 429;
const UNAVAILABLE: u16 = 503;

const RETRY_AFTER_MIN: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3600);
