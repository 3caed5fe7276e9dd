//! What must be true: the book keeps every answer that was given and every outcome that was committed, and says what follows from
//! them by rules of its own, which are written without a look at those of the store.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::domain::delivery::outcome::Outcome;
use crate::domain::delivery::retry::Policy;
use crate::domain::delivery::tally::Brought;
use crate::domain::dialect::{Counted, Dialect};
use crate::domain::id::{AuditKey, DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::WebhookState;

/// All that is known.
#[derive(Default)]
pub(super) struct Book {
    pub(super) hooks: BTreeMap<EndpointNo, Hook>,
    pub(super) deliveries: BTreeMap<DeliveryKey, Known>,
    pub(super) published: Vec<Published>,
    pub(super) events: BTreeMap<EventKey, usize>,
    /// Attempts whose outcomes are committed, without those of tests.
    pub(super) attempts: BTreeMap<(EndpointNo, Brought), u64>,
    /// The newest key of an event that is known.
    pub(super) newest: EventKey,
    /// The rows of the audit log that were seen, with their times.
    pub(super) rows: BTreeMap<AuditKey, Timestamp>,
    /// The names of webhooks that were not made for want of room.
    pub(super) unmade: BTreeSet<Box<str>>,
    /// The time of the writer's last turn in this life.
    pub(super) turned: Timestamp,
    /// The latest time that anything committed bears.
    pub(super) latest: Timestamp,
}

/// A webhook.
pub(super) struct Hook {
    pub(super) id: Box<str>,
    pub(super) provider: usize,
    pub(super) tenant: usize,
    pub(super) kinds: Vec<&'static str>,
    pub(super) is_from_file: bool,
    pub(super) stands: Stands,
    /// Whether it ever was anything but active.
    pub(super) was_off: bool,
    pub(super) failures: u32,
    pub(super) dialect: Arc<Dialect>,
    pub(super) is_ordered: bool,
    /// Whether it was made ordered, or not ordered any more, after it was made. Then attempts that were under way end out of order.
    pub(super) was_switched: bool,
    /// The newest event that was sent to it and not brought back by anybody.
    pub(super) newest_sent: EventKey,
}

/// Whether deliveries go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stands {
    Active,
    Disabled,
    /// Taken out of the config file; whether it was disabled before.
    Removed(bool),
    Deleted,
}

impl Stands {
    pub(super) fn of(state: WebhookState) -> Self {
        match state {
            WebhookState::Active => Self::Active,
            WebhookState::Disabled { .. } => Self::Disabled,
            WebhookState::Removed { disabled, .. } => Self::Removed(disabled.is_some()),
            WebhookState::Deleted { .. } => Self::Deleted,
        }
    }
}

/// An event that somebody asked to be published.
#[derive(Clone)]
pub(super) struct Published {
    pub(super) provider: usize,
    /// `None`: for all tenants.
    pub(super) tenant: Option<usize>,
    pub(super) kind: &'static str,
    pub(super) id: Option<Box<str>>,
    pub(super) idempotency_key: Option<Box<str>>,
    /// What its data says; publications with the same are the same.
    pub(super) content: usize,
    /// The first publication with its id and its key: its own number, unless it is sent once more.
    pub(super) first: usize,
    /// Once it was answered, or was found after a crash.
    pub(super) key: Option<EventKey>,
    pub(super) answer: Option<(Box<str>, u32)>,
    /// Whether it was refused for want of room.
    pub(super) is_refused: bool,
}

/// A delivery.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) state: Is,
    pub(super) attempts: u16,
    /// Attempts before the run that goes on.
    pub(super) before: u16,
    pub(super) cause: Cause,
    /// Its next attempt may not begin earlier.
    pub(super) not_before: Timestamp,
    /// It may have been ended without an attempt, or is about to be.
    pub(super) may_end: bool,
    /// Whether the store was seen to have it: those of a wide event come in slices.
    pub(super) was_seen: bool,
    /// What of it was committed is in doubt since a crash.
    pub(super) is_doubted: bool,
    /// When it ended.
    pub(super) ended_at: Option<Timestamp>,
    /// Retention took it.
    pub(super) is_gone: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Is {
    Pending,
    Succeeded,
    Failed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    Publish,
    Hand,
    Test,
}

/// When the next attempt must lie.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
}

impl Known {
    pub(super) fn new(cause: Cause) -> Self {
        Self {
            state: Is::Pending,
            attempts: 0,
            before: 0,
            cause,
            not_before: Timestamp::EPOCH,
            may_end: false,
            was_seen: false,
            is_doubted: false,
            ended_at: None,
            is_gone: false,
        }
    }
}

impl Book {
    /// The webhooks that an event goes to by what was answered so far.
    pub(super) fn matching(&self, published: &Published) -> Vec<EndpointNo> {
        let wants = |hook: &Hook| {
            hook.provider == published.provider
                && published.tenant.is_none_or(|tenant| hook.tenant == tenant)
                && matches!(hook.stands, Stands::Active | Stands::Disabled)
                && hook.kinds.iter().any(|kind| matches(kind, published.kind))
        };
        self.hooks.iter().filter(|(_, hook)| wants(hook)).map(|(no, _)| *no).collect()
    }

    /// The outcome of an attempt was committed. The window of the next attempt; `None`: there is none.
    pub(super) fn finished(&mut self, key: DeliveryKey, outcome: &Outcome, at: Timestamp) -> Option<Window> {
        let (hook, known) = (self.hooks.get_mut(&key.endpoint)?, self.deliveries.get_mut(&key)?);
        if known.cause != Cause::Test {
            *self.attempts.entry((key.endpoint, Brought::from_outcome(outcome))).or_default() += 1;
        }
        let dialect = hook.dialect.clone();
        known.attempts += 1;
        known.was_seen = true;
        let status = outcome.result.as_ref().ok().map(|response| response.status);
        if status.is_some_and(|status| (200..300).contains(&status)) {
            (known.state, known.ended_at) = (Is::Succeeded, Some(at));
            if hook.stands != Stands::Deleted {
                hook.failures = 0;
            }
            return None;
        }
        if known.state != Is::Pending {
            return None;
        }
        let gone = dialect.delivery.gone && status == Some(410);
        let retry = usize::from(known.attempts - known.before) - 1;
        let window = (!gone && known.cause != Cause::Test).then(|| delays(&dialect, retry)).flatten();
        let window = window.map(|(least, most)| {
            let asked = if dialect.delivery.retry_after { asked_for(outcome) } else { Duration::ZERO };
            Window { from: at + least.max(asked), to: at + most.max(asked) + Duration::from_millis(1) }
        });
        match window {
            Some(window) => known.not_before = window.from,
            None => (known.state, known.ended_at) = (Is::Failed, Some(at)),
        }
        let counts = match dialect.disable.count {
            Counted::Attempts => true,
            Counted::Deliveries => window.is_none(),
        };
        if counts && known.cause == Cause::Publish && hook.stands != Stands::Deleted {
            hook.failures += 1;
            if hook.failures >= FAILURES_MAX {
                hook.disable();
            }
        }
        if gone {
            hook.disable();
        }
        self.wait_freely(key.endpoint);
        window
    }

    /// What waits for a webhook that was switched off comes back when it is enabled, whenever that is.
    pub(super) fn wait_freely(&mut self, no: EndpointNo) {
        let Some(hook) = self.hooks.get_mut(&no).filter(|hook| hook.stands != Stands::Active) else { return };
        hook.was_off = true;
        self.wait_for_nothing(no);
    }

    /// What waits for a webhook that was made ordered comes when it is its turn.
    pub(super) fn switch_order(&mut self, no: EndpointNo, is_ordered: bool) {
        let Some(hook) = self.hooks.get_mut(&no).filter(|hook| hook.is_ordered != is_ordered) else { return };
        (hook.is_ordered, hook.was_switched) = (is_ordered, true);
        self.wait_for_nothing(no);
    }

    fn wait_for_nothing(&mut self, no: EndpointNo) {
        for (key, known) in &mut self.deliveries {
            if key.endpoint == no {
                known.not_before = Timestamp::EPOCH;
            }
        }
    }

    /// All that waits for a webhook, up to an event, may be ended from now on.
    pub(super) fn may_end(&mut self, no: EndpointNo, up_to: EventKey) {
        for (key, known) in &mut self.deliveries {
            if key.endpoint == no && key.event <= up_to && known.state == Is::Pending {
                known.may_end = true;
            }
        }
    }

    /// Nobody waits for a test any more after a crash, so that it may end without an attempt.
    pub(super) fn tests_may_end(&mut self) {
        let tests = self.deliveries.values_mut().filter(|known| known.cause == Cause::Test && known.state == Is::Pending);
        tests.for_each(|known| known.may_end = true);
    }

    /// The publication that was taken with the id or the key of this one.
    pub(super) fn earlier(&self, number: usize) -> Option<&Published> {
        let own = &self.published[number];
        let is_named = own.id.is_some() || own.idempotency_key.is_some();
        let mut all = self.published[own.first..].iter().enumerate();
        let taken =
            |(at, other): &(usize, &Published)| own.first + at != number && other.first == own.first && other.key.is_some();
        // Of two, the newer: the older one has gone with the retention.
        is_named.then(|| all.rfind(taken).map(|(_, other)| other)).flatten()
    }
}

impl Hook {
    /// Whether all that is sent to it must be in order.
    pub(super) fn is_strict(&self) -> bool {
        self.is_ordered && !self.was_switched
    }

    pub(super) fn disable(&mut self) {
        self.stands = match self.stands {
            Stands::Active => Stands::Disabled,
            Stands::Removed(_) => Stands::Removed(true),
            other => other,
        };
    }
}

/// Whether a subscription to `pattern` wants events of a type.
fn matches(pattern: &str, kind: &str) -> bool {
    pattern == "*" || pattern == kind || pattern.strip_suffix('*').is_some_and(|begin| kind.starts_with(begin))
}

/// The least and the most that a retry waits after the attempt before it; `None`: there is no such retry.
fn delays(dialect: &Dialect, retry: usize) -> Option<(Duration, Duration)> {
    let jitter = dialect.retry.jitter;
    let spread = |base: Duration| (base.mul_f64(1.0 - jitter), base.mul_f64(1.0 + jitter));
    match &dialect.retry.policy {
        Policy::Schedule(delays) => delays.get(retry).map(|base| spread(*base)),
        Policy::Exponential { first, factor, retries } => {
            let step = i32::try_from(retry).ok()?;
            (retry < usize::try_from(*retries).ok()?).then(|| spread(first.mul_f64(factor.powi(step))))
        }
        Policy::DecorrelatedJitter { median, retries } => {
            let most = median.mul_f64(4.0 * 2_f64.powi(i32::try_from(retry).ok()? + 1));
            (retry < usize::try_from(*retries).ok()?).then_some((Duration::ZERO, most))
        }
    }
}

/// What a receiver asked for, within its bounds.
fn asked_for(outcome: &Outcome) -> Duration {
    let Ok(response) = &outcome.result else { return Duration::ZERO };
    let secs = response.headers.get("retry-after").and_then(|text| text.parse().ok());
    let asks = matches!(response.status, 429 | 503);
    secs.filter(|_| asks).map_or(Duration::ZERO, |secs: u64| Duration::from_secs(secs.clamp(1, 24 * 3_600)))
}

/// Failures in a row that disable a webhook, in every dialect of the simulation.
const FAILURES_MAX: u32 = 10;
