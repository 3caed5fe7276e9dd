//! What the end of an attempt makes of its delivery and of its webhook.

use std::time::Duration;

use super::waiting::{self, Wait};
use crate::domain::delivery::outcome::{Class, Outcome};
use crate::domain::delivery::{Delivery, Effect, End, Ended, QueuePosition, State};
use crate::domain::dialect::{Dialect, Disable};
use crate::domain::id::DeliveryKey;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Count, Endpoint, Why};
use crate::store::message::view::Attempt;

/// A delivery whose attempt ended, as it stands.
#[derive(Debug)]
pub(in crate::store) struct Found {
    pub(in crate::store) delivery: Delivery,
    /// Its newest attempt before this one.
    pub(in crate::store) newest: Option<Attempt>,
    /// The entry that is still to be taken out: the delivery was moved while the attempt was under way.
    pub(in crate::store) other: Option<QueuePosition>,
}

/// What is known when an attempt has ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Facts<'a> {
    /// The delivery's webhook; of a deleted one, what is left of it.
    pub(in crate::store) endpoint: &'a Endpoint,
    pub(in crate::store) dialect: &'a Dialect,
    pub(in crate::store) outcome: &'a Outcome,
    pub(in crate::store) ended_at: Timestamp,
    /// Whether a purge is to end the delivery.
    pub(in crate::store) is_purged: bool,
    /// Whether the delivery may wait for a further attempt in the due table: its webhook is not ordered, or it is its turn.
    pub(in crate::store) has_turn: bool,
    /// A random number in [0, 1) for the next delay; only read when the attempt failed.
    pub(in crate::store) draw: f64,
    pub(in crate::store) now: Timestamp,
}

/// What an attempt that ended changes.
#[derive(Debug)]
pub(in crate::store) struct Judged {
    /// As the attempt leaves it.
    pub(in crate::store) delivery: Delivery,
    /// Where it waits for its next attempt; `None`: it has ended.
    pub(in crate::store) wait: Option<Wait>,
    /// Its webhook, where the count of failures moved or the endpoint said that it is gone.
    pub(in crate::store) webhook: Option<Endpoint>,
    /// The class of the failure; `None`: a success.
    pub(in crate::store) error: Option<Class>,
    /// When the attempt ended.
    pub(in crate::store) at: Timestamp,
    /// Whether the delivery was pending and is no more.
    pub(in crate::store) leaves_pending: bool,
    /// Whether the statistics count an end of the delivery: a success after a cancellation is one too.
    pub(in crate::store) ends: bool,
}

/// Whether the delivery's row must be read. A first attempt whose entry stood where it was taken from needs no read.
pub(in crate::store) fn needs_row(stood: bool, is_first: bool) -> bool {
    !(stood && is_first)
}

/// The delivery whose attempt ended. `position` is the entry that the attempt was taken from, `stood` whether it was still there,
/// and `row` the delivery's row where it has one that was read. `None`: without a row it does not wait there any more; where it
/// waits now is still to be looked up.
pub(in crate::store) fn found(
    key: DeliveryKey,
    position: QueuePosition,
    stood: bool,
    row: Option<(Delivery, Option<Attempt>)>,
) -> Option<Found> {
    let Some((delivery, newest)) = row else {
        return stood.then(|| Found { delivery: Delivery::published(key, position), newest: None, other: None });
    };
    let other = match delivery.state {
        State::Pending(other) if !stood => Some(other),
        _ => None,
    };
    Some(Found { delivery, newest, other })
}

/// The class of a failure. A response that the dialect does not count as success is a failure too; `None`: a success.
pub(in crate::store) fn failed(outcome: &Outcome, dialect: &Dialect) -> Option<Class> {
    match &outcome.result {
        Err(failure) => Some(failure.class),
        Ok(response) => (!dialect.is_success(response.status)).then_some(Class::Status),
    }
}

/// When an attempt counts as started. No two attempts of a delivery start in one millisecond, nor in another order than that of their
/// numbers, since their ids tell them apart by their starts alone. So an attempt that began earlier, since the clock went back, counts
/// from the millisecond behind the start of the newest one before it.
pub(in crate::store) fn starts_at(started_at: Timestamp, newest: Option<&Attempt>) -> Timestamp {
    let next = newest.map(|newest| Timestamp::from_millis(newest.started_at.as_millis() + 1));
    next.map_or(started_at, |next| started_at.max(next))
}

/// What the end of an attempt makes of its delivery, whose entry was taken out, and of its webhook.
pub(in crate::store) fn judge(delivery: Delivery, facts: &Facts<'_>) -> Judged {
    let was_pending = delivery.is_pending();
    let at = counts_from(facts.ended_at, facts.now);
    let ended = Ended { outcome: facts.outcome, at, draw: facts.draw };
    let rules = facts.endpoint.effective(facts.dialect);
    let (delivery, effect) = delivery.attempted(ended, rules);
    let counted = counted(facts.endpoint, effect, &rules.disable, facts.now);
    let webhook = if was_pending { held(counted, &delivery, facts) } else { counted };
    let is_active = webhook.as_ref().unwrap_or(facts.endpoint).is_active();
    let (delivery, wait) = waits(delivery, is_active, facts);
    let error = failed(facts.outcome, facts.dialect);
    let is_ended = !delivery.is_pending();
    let (leaves_pending, ends) = (is_ended && was_pending, is_ended && (was_pending || error.is_none()));
    Judged { delivery, wait, webhook, error, at, leaves_pending, ends }
}

/// When an attempt ended, for all that follows. Where the wall clock jumped between its end and now, that is now.
fn counts_from(ended_at: Timestamp, now: Timestamp) -> Timestamp {
    let jumped = now.since(ended_at).max(ended_at.since(now)) > CLOCK_JUMP;
    if jumped { now } else { ended_at }
}

/// The webhook with its count of failures, and what follows from it; `None`: nothing changes. A deleted one stays as it is.
fn counted(endpoint: &Endpoint, effect: Effect, disable: &Disable, now: Timestamp) -> Option<Endpoint> {
    let unmoved = match effect.count {
        Count::Keep => true,
        Count::Reset => endpoint.failures == 0,
        Count::Raise => false,
    };
    if (unmoved && !effect.gone) || endpoint.is_deleted() {
        return None;
    }
    let counted = endpoint.clone().counted(effect.count, disable, now);
    Some(if effect.gone { counted.disabled(Why::Gone, now) } else { counted })
}

/// The webhook that `counted` is, or that stands, disabled where it is to hold what comes behind a delivery that failed.
fn held(counted: Option<Endpoint>, delivery: &Delivery, facts: &Facts<'_>) -> Option<Endpoint> {
    let has_failed = matches!(delivery.state, State::Failed { .. }) && !delivery.is_test();
    if !has_failed || !facts.endpoint.definition.settings.holds_behind_failures() || facts.endpoint.is_deleted() {
        return counted;
    }
    let endpoint = counted.unwrap_or_else(|| facts.endpoint.clone());
    Some(endpoint.disabled(Why::Held, facts.now))
}

/// Where a delivery waits whose attempt failed. One that is being purged ends instead, unless it is a test.
fn waits(delivery: Delivery, is_active: bool, facts: &Facts<'_>) -> (Delivery, Option<Wait>) {
    let State::Pending(QueuePosition::Due(at)) = delivery.state else { return (delivery, None) };
    if facts.is_purged && !delivery.is_test() {
        return (delivery.ended(End::Cancelled, facts.now), None);
    }
    let wait = waiting::wait(&delivery, is_active && facts.has_turn, at);
    (delivery, Some(wait))
}

/// Between an attempt's end and its commit lies a sync of the disk, not a minute.
const CLOCK_JUMP: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::fixture::{answered, dialect, refused};
    use super::*;
    use crate::domain::dialect::Counted;
    use crate::domain::id::{EndpointNo, EventKey};
    use crate::domain::webhook::endpoint::WebhookState;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::domain::webhook::settings::{OnFailure, WebhookSettings};

    const KEY: DeliveryKey = DeliveryKey { event: EventKey(5 << 16), endpoint: EndpointNo(1) };
    const NOW: Timestamp = Timestamp::from_secs(100);
    const POSITION: QueuePosition = QueuePosition::Due(NOW);

    fn published() -> Delivery {
        Delivery::published(KEY, POSITION)
    }

    fn judged(delivery: Delivery, endpoint: &Endpoint, outcome: &Outcome) -> Judged {
        let dialect = dialect();
        judge(
            delivery,
            &Facts { endpoint, dialect: &dialect, outcome, ended_at: NOW, is_purged: false, has_turn: true, draw: 0.5, now: NOW },
        )
    }

    /// Judges failed attempts until the delivery has ended.
    fn fail(endpoint: &mut Endpoint) -> Delivery {
        let mut delivery = published();
        while delivery.is_pending() {
            let judged = judged(delivery, endpoint, &answered(500));
            delivery = judged.delivery;
            if let Some(changed) = judged.webhook {
                *endpoint = changed;
            }
        }
        delivery
    }

    #[test]
    fn attempts_of_a_delivery_start_in_milliseconds_of_their_own() {
        let newest = Attempt {
            number: 1,
            trigger: crate::domain::delivery::Trigger::Schedule,
            started_at: Timestamp::from_micros(5_999),
            url: "https://example.com/".into(),
            request_headers: crate::domain::headers::Headers::default(),
            outcome: answered(500),
            error: Some(Class::Status),
        };
        let starts = |micros| starts_at(Timestamp::from_micros(micros), Some(&newest)).as_micros();
        assert_eq!([starts(5_000), starts(5_999), starts(1), starts(6_000), starts(9_001)], [6_000, 6_000, 6_000, 6_000, 9_001]);
        assert_eq!(starts_at(Timestamp::from_micros(7), None), Timestamp::from_micros(7));
    }

    #[test]
    fn a_first_attempt_whose_entry_stood_needs_no_read() {
        assert!(!needs_row(true, true));
        assert!(needs_row(true, false) && needs_row(false, true));
        let found = found(KEY, POSITION, true, None).expect("it stood");
        assert_eq!((found.delivery, found.other), (published(), None));
    }

    #[test]
    fn a_delivery_that_was_moved_meanwhile_loses_the_entry_it_has() {
        let other = |stood, row: &Delivery| found(KEY, POSITION, stood, Some((row.clone(), None))).expect("it has a row").other;
        let parked = published().placed(QueuePosition::Backlog(9));
        assert_eq!((other(false, &parked), other(true, &parked)), (Some(QueuePosition::Backlog(9)), None));
        assert_eq!(other(false, &published().ended(End::Cancelled, NOW)), None, "an ended one has no entry");
        assert!(found(KEY, POSITION, false, None).is_none());
    }

    #[test]
    fn a_success_ends_the_delivery_and_the_count_of_failures() {
        let judged = judged(published(), &Endpoint { failures: 4, ..endpoint(&["*"]) }, &answered(200));
        assert_eq!(judged.delivery.state, State::Succeeded { at: NOW });
        assert_eq!((judged.wait, judged.error, judged.leaves_pending, judged.ends), (None, None, true, true));
        assert_eq!(judged.webhook.map(|webhook| webhook.failures), Some(0));
    }

    #[test]
    fn a_success_of_a_webhook_without_failures_changes_no_webhook() {
        assert!(judged(published(), &endpoint(&["*"]), &answered(204)).webhook.is_none());
    }

    #[test]
    fn a_failure_waits_for_the_next_attempt() {
        let judged = judged(published(), &endpoint(&["*"]), &refused());
        assert_eq!(judged.wait, Some(Wait::Due(NOW + Duration::from_secs(1))));
        assert_eq!((judged.error, judged.leaves_pending, judged.ends), (Some(Class::Connect), false, false));
        assert!(judged.delivery.is_pending() && judged.webhook.is_none());
    }

    #[test]
    fn a_failure_of_a_disabled_webhook_waits_in_the_backlog() {
        let disabled = endpoint(&["*"]).disabled(Why::ByHand, NOW);
        assert_eq!(judged(published(), &disabled, &answered(500)).wait, Some(Wait::Backlog));
    }

    #[test]
    fn the_last_failure_ends_the_delivery() {
        let delivery = fail(&mut endpoint(&["*"]));
        assert_eq!(delivery.state, State::Failed { at: NOW, end: End::Exhausted });
        assert_eq!(delivery.attempts, 3, "the first and two retries");
    }

    #[test]
    fn the_tenth_failed_delivery_in_a_row_disables_and_none_before() {
        assert_eq!(dialect().disable, Disable { consecutive: 10, count: Counted::Deliveries });
        let mut webhook = endpoint(&["*"]);
        for failures in 1..10 {
            fail(&mut webhook);
            assert_eq!((webhook.failures, webhook.is_active()), (failures, true));
        }
        fail(&mut webhook);
        assert_eq!(webhook.state, WebhookState::Disabled { at: NOW, why: Why::Failures(10) });
    }

    #[test]
    fn a_success_between_failures_starts_the_count_anew() {
        let mut webhook = Endpoint { failures: 9, ..endpoint(&["*"]) };
        webhook = judged(published(), &webhook, &answered(200)).webhook.expect("the count moved");
        fail(&mut webhook);
        assert_eq!((webhook.failures, webhook.is_active()), (1, true));
    }

    #[test]
    fn the_failure_that_disables_parks_the_next_attempt() {
        let dialect = Dialect { disable: Disable { consecutive: 1, count: Counted::Attempts }, ..dialect() };
        let (endpoint, outcome) = (endpoint(&["*"]), refused());
        let facts = Facts {
            endpoint: &endpoint,
            dialect: &dialect,
            outcome: &outcome,
            ended_at: NOW,
            is_purged: false,
            has_turn: true,
            draw: 0.0,
            now: NOW,
        };
        let judged = judge(published(), &facts);
        assert!(judged.webhook.is_some_and(|webhook| !webhook.is_active()));
        assert_eq!(judged.wait, Some(Wait::Backlog));
    }

    fn ordered(on_failure: Option<OnFailure>) -> Endpoint {
        let mut ordered = endpoint(&["*"]);
        ordered.definition.settings = Arc::new(WebhookSettings { ordered: true, on_failure, ..WebhookSettings::default() });
        ordered
    }

    #[test]
    fn a_failed_delivery_disables_an_ordered_webhook_that_is_to_hold() {
        let mut webhook = ordered(Some(OnFailure::Hold));
        let judged = judged(published(), &webhook, &answered(500));
        assert!(judged.webhook.is_none() && judged.wait.is_some(), "it has not failed yet");
        fail(&mut webhook);
        assert_eq!((webhook.failures, webhook.state), (1, WebhookState::Disabled { at: NOW, why: Why::Held }));
        for on_failure in [None, Some(OnFailure::Next)] {
            let mut webhook = ordered(on_failure);
            fail(&mut webhook);
            assert!(webhook.is_active());
        }
        let settings = WebhookSettings { on_failure: Some(OnFailure::Hold), ..WebhookSettings::default() };
        let mut webhook = endpoint(&["*"]);
        webhook.definition.settings = Arc::new(settings);
        fail(&mut webhook);
        assert!(webhook.is_active(), "it is not ordered");
    }

    #[test]
    fn a_failure_out_of_turn_waits_in_the_backlog() {
        let (endpoint, outcome, dialect) = (ordered(None), refused(), dialect());
        let facts = Facts {
            endpoint: &endpoint,
            dialect: &dialect,
            outcome: &outcome,
            ended_at: NOW,
            is_purged: false,
            has_turn: false,
            draw: 0.0,
            now: NOW,
        };
        assert_eq!(judge(published(), &facts).wait, Some(Wait::Backlog));
    }

    #[test]
    fn gone_ends_the_delivery_and_disables_the_webhook() {
        let judged = judged(published(), &endpoint(&["*"]), &answered(410));
        assert_eq!(judged.delivery.state, State::Failed { at: NOW, end: End::Gone });
        assert_eq!(judged.webhook.map(|webhook| webhook.state), Some(WebhookState::Disabled { at: NOW, why: Why::Gone }));
        assert!(judged.leaves_pending && judged.ends);
    }

    #[test]
    fn what_a_deleted_webhook_answers_changes_no_webhook() {
        let deleted = Endpoint { failures: 3, ..endpoint(&["*"]) }.deleted(NOW);
        for status in [200, 410, 500] {
            assert!(judged(published(), &deleted, &answered(status)).webhook.is_none(), "{status}");
        }
    }

    #[test]
    fn a_failure_of_what_is_being_purged_ends_it_but_for_a_test() {
        let (endpoint, outcome, dialect) = (endpoint(&["*"]), refused(), dialect());
        let facts = Facts {
            endpoint: &endpoint,
            dialect: &dialect,
            outcome: &outcome,
            ended_at: NOW,
            is_purged: true,
            has_turn: true,
            draw: 0.0,
            now: NOW,
        };
        let purged = judge(published(), &facts);
        assert_eq!(purged.delivery.state, State::Failed { at: NOW, end: End::Cancelled });
        assert_eq!((purged.wait, purged.leaves_pending), (None, true));
        let test = judge(Delivery::test(KEY, NOW), &facts);
        assert_eq!(test.delivery.state, State::Failed { at: NOW, end: End::Exhausted });
    }

    #[test]
    fn a_success_after_a_cancellation_counts_and_a_failure_does_not() {
        let cancelled = || published().ended(End::Cancelled, NOW);
        let late = judged(cancelled(), &endpoint(&["*"]), &answered(200));
        assert_eq!(late.delivery.state, State::Succeeded { at: NOW });
        assert_eq!((late.leaves_pending, late.ends), (false, true), "it left when it was cancelled");
        let failed = judged(cancelled(), &endpoint(&["*"]), &answered(500));
        assert_eq!(failed.delivery.state, State::Failed { at: NOW, end: End::Cancelled });
        assert_eq!((failed.leaves_pending, failed.ends, failed.delivery.attempts), (false, false, 1));
    }

    #[test]
    fn where_the_clock_jumped_the_delay_counts_from_now() {
        let near = NOW - CLOCK_JUMP;
        assert_eq!(counts_from(near, NOW), near);
        assert_eq!(counts_from(NOW + CLOCK_JUMP, NOW), NOW + CLOCK_JUMP);
        assert_eq!(counts_from(near - Duration::from_micros(1), NOW), NOW);
        assert_eq!(counts_from(NOW + CLOCK_JUMP + Duration::from_micros(1), NOW), NOW);
    }
}
