//! What people ask for about deliveries: that they are made again, are tried out, or are ended before they were made.

pub(in crate::store) mod anew;
pub(in crate::store) mod replay;

use crate::domain::delivery::{Cause, Delivery, End, QueuePosition, Replayed, State};
use crate::domain::id::{DeliveryKey, EventKey, ReplayNo};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Endpoint, WebhookState};
use crate::store::Denied;
use crate::store::message::command::Purge;

/// A delivery that is to be made now.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct Restarted {
    /// The entry that it had until now.
    pub(in crate::store) taken: Option<QueuePosition>,
    /// Pending, due at [`Restarted::at`]. Where its webhook's queue has no room it is to be parked.
    pub(in crate::store) delivery: Delivery,
    pub(in crate::store) at: Timestamp,
    /// Whether it was not pending before.
    pub(in crate::store) joins_pending: bool,
}

/// A delivery that ended without an attempt.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct Stopped {
    /// The entry that it had until now.
    pub(in crate::store) taken: Option<QueuePosition>,
    pub(in crate::store) delivery: Delivery,
}

/// What is known of an event whose delivery a webhook never got.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Missed {
    /// Whether its fan-out is under way, which may still make the delivery.
    pub(in crate::store) is_fanning: bool,
    pub(in crate::store) has_delivery: bool,
    pub(in crate::store) has_event: bool,
}

/// Whether deliveries of a webhook can be made again.
pub(in crate::store) fn runs(endpoint: &Endpoint) -> Result<(), Denied> {
    match endpoint.state {
        WebhookState::Active => Ok(()),
        WebhookState::Disabled { .. } => Err(Denied::Disabled),
        WebhookState::Removed { .. } => Err(Denied::Removed),
        WebhookState::Deleted { .. } => Err(Denied::Deleted),
    }
}

/// Runs an ended delivery again, or makes a pending one due now. `None`: it is due already, and asking again changes nothing.
pub(in crate::store) fn retry(
    delivery: Delivery,
    endpoint: &Endpoint,
    is_purged: bool,
    now: Timestamp,
) -> Result<Option<Restarted>, Denied> {
    runs(endpoint)?;
    if is_purged {
        return Err(Denied::BeingPurged);
    }
    let is_due = match delivery.state {
        State::Pending(QueuePosition::Due(at)) => at <= now,
        State::Pending(QueuePosition::Backlog(_)) => true,
        State::Succeeded { .. } | State::Failed { .. } => false,
    };
    Ok((!is_due).then(|| restarted(delivery, now)))
}

/// Whether many deliveries of a webhook can be brought back. While any purge of it runs none is.
pub(in crate::store) fn recover(endpoint: &Endpoint, has_purge: bool) -> Result<(), Denied> {
    runs(endpoint)?;
    if has_purge { Err(Denied::BeingPurged) } else { Ok(()) }
}

/// Runs a delivery again that failed; `None`: it has not, or it is a test, or a person ended it.
pub(in crate::store) fn recover_failed(delivery: Delivery, now: Timestamp) -> Option<Restarted> {
    delivery.is_recoverable().then(|| restarted(delivery, now))
}

/// Runs a delivery again that has ended, for a replay.
pub(in crate::store) fn replayed(delivery: Delivery, no: ReplayNo, now: Timestamp) -> Restarted {
    let at = Timestamp::from_millis(now.as_millis());
    Restarted { taken: None, delivery: delivery.replayed(no, at), at, joins_pending: true }
}

/// Makes the delivery of an event that a replay has made.
pub(in crate::store) fn made_anew(key: DeliveryKey, no: ReplayNo, now: Timestamp) -> Restarted {
    let at = Timestamp::from_millis(now.as_millis());
    let replay = Some(Replayed { no, waits: true });
    let delivery = Delivery { replay, ..Delivery::published(key, QueuePosition::Due(at)) };
    Restarted { taken: None, delivery, at, joins_pending: true }
}

/// Makes the delivery of an event that its webhook never got; `None`: it did, or the event is gone.
pub(in crate::store) fn recover_missed(key: DeliveryKey, missed: Missed, now: Timestamp) -> Option<Restarted> {
    if missed.is_fanning || missed.has_delivery || !missed.has_event {
        return None;
    }
    let restarted = restarted(Delivery::published(key, QueuePosition::Due(now)), now);
    let mut delivery = restarted.delivery;
    delivery.run.cause = Cause::Manual;
    delivery.recovered = true;
    Some(Restarted { taken: None, delivery, joins_pending: true, ..restarted })
}

/// Whether a test can be sent: also to a disabled webhook.
pub(in crate::store) fn test(endpoint: &Endpoint) -> Result<(), Denied> {
    match endpoint.state {
        WebhookState::Active | WebhookState::Disabled { .. } => Ok(()),
        WebhookState::Removed { .. } => Err(Denied::Removed),
        WebhookState::Deleted { .. } => Err(Denied::NoWebhook),
    }
}

/// Ends a delivery that waits, as cancelled.
pub(in crate::store) fn cancel(delivery: Delivery, now: Timestamp) -> Result<Stopped, Denied> {
    if delivery.is_pending() { Ok(stopped(delivery, End::Cancelled, now)) } else { Err(Denied::Ended) }
}

/// Ends a pending delivery without an attempt, wherever it waits.
pub(in crate::store) fn stopped(delivery: Delivery, end: End, now: Timestamp) -> Stopped {
    let taken = position(&delivery);
    Stopped { taken, delivery: delivery.ended(end, now) }
}

/// Up to which event a purge ends what waits for a webhook: its pending deliveries while it is active, else its held ones.
/// `newest` is the newest key that was given.
pub(in crate::store) fn purge(endpoint: &Endpoint, purge: &Purge, newest: EventKey) -> Result<EventKey, Denied> {
    if endpoint.is_deleted() {
        return Err(Denied::NoWebhook);
    }
    match (endpoint.is_active(), purge.held) {
        (true, true) => Err(Denied::NothingHeld),
        (false, false) => Err(Denied::NothingPending),
        (true, false) | (false, true) => Ok(newest.min(purge.until.map_or(EventKey::MAX, EventKey::up_to))),
    }
}

fn restarted(delivery: Delivery, now: Timestamp) -> Restarted {
    // Entries of the due table are in whole milliseconds; a later one would fire after now.
    let at = Timestamp::from_millis(now.as_millis());
    let (taken, joins_pending) = (position(&delivery), !delivery.is_pending());
    Restarted { taken, delivery: delivery.retried_by_hand(at), at, joins_pending }
}

fn position(delivery: &Delivery) -> Option<QueuePosition> {
    match delivery.state {
        State::Pending(position) => Some(position),
        State::Succeeded { .. } | State::Failed { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::EndpointNo;
    use crate::domain::webhook::endpoint::Why;
    use crate::domain::webhook::endpoint::fixture::endpoint;

    const KEY: DeliveryKey = DeliveryKey { event: EventKey(5 << 16), endpoint: EndpointNo(1) };
    const NOW: Timestamp = Timestamp::from_micros(7_500);
    const MILLI: Timestamp = Timestamp::from_millis(7);

    fn due(at: Timestamp) -> Delivery {
        Delivery::published(KEY, QueuePosition::Due(at))
    }

    fn failed() -> Delivery {
        Delivery { attempts: 3, ..due(NOW).ended(End::Exhausted, NOW) }
    }

    fn disabled() -> Endpoint {
        endpoint(&["*"]).disabled(Why::ByHand, NOW)
    }

    #[test]
    fn what_waits_for_later_is_made_due_now() {
        let later = QueuePosition::Due(Timestamp::from_millis(8));
        let found = retry(due(Timestamp::from_millis(8)), &endpoint(&["*"]), false, NOW).expect("the webhook is active");
        let Restarted { taken, delivery, at, joins_pending } = found.expect("it was to wait");
        assert_eq!((taken, at, joins_pending), (Some(later), MILLI, false));
        assert_eq!((delivery.state, delivery.by_hand), (State::Pending(QueuePosition::Due(MILLI)), true));
    }

    #[test]
    fn what_is_due_already_is_left_alone() {
        assert_eq!(retry(due(MILLI), &endpoint(&["*"]), false, NOW), Ok(None));
        let parked = due(NOW).placed(QueuePosition::Backlog(9));
        assert_eq!(retry(parked, &endpoint(&["*"]), false, NOW), Ok(None));
    }

    #[test]
    fn what_has_ended_runs_again_and_is_pending_again() {
        let found = retry(failed(), &endpoint(&["*"]), false, NOW).expect("the webhook is active").expect("it had ended");
        assert_eq!((found.taken, found.joins_pending), (None, true));
        assert_eq!((found.delivery.run.cause, found.delivery.run.before), (Cause::Manual, 3));
    }

    #[test]
    fn only_an_active_webhook_runs_deliveries_again() {
        let states = [disabled(), endpoint(&["*"]).removed(NOW), endpoint(&["*"]).deleted(NOW)];
        let denied = states.map(|webhook| retry(failed(), &webhook, false, NOW));
        assert_eq!(denied, [Err(Denied::Disabled), Err(Denied::Removed), Err(Denied::Deleted)]);
        assert_eq!(recover(&disabled(), false), Err(Denied::Disabled));
    }

    #[test]
    fn nothing_is_brought_back_while_it_is_purged() {
        assert_eq!(retry(failed(), &endpoint(&["*"]), true, NOW), Err(Denied::BeingPurged));
        assert_eq!(recover(&endpoint(&["*"]), true), Err(Denied::BeingPurged));
        assert_eq!(recover(&endpoint(&["*"]), false), Ok(()));
    }

    #[test]
    fn only_failed_deliveries_are_recovered_and_no_tests() {
        assert_eq!(recover_failed(failed(), NOW).map(|found| found.joins_pending), Some(true));
        assert_eq!(recover_failed(due(NOW), NOW), None);
        assert_eq!(recover_failed(due(NOW).ended(End::Cancelled, NOW), NOW), None);
        assert_eq!(recover_failed(Delivery::test(KEY, NOW).ended(End::Exhausted, NOW), NOW), None);
    }

    #[test]
    fn a_missed_event_gets_a_delivery_that_counts_for_no_failure() {
        let missed = Missed { is_fanning: false, has_delivery: false, has_event: true };
        let found = recover_missed(KEY, missed, NOW).expect("it was missed");
        assert_eq!((found.taken, found.joins_pending, found.delivery.recovered), (None, true, true));
        assert_eq!((found.delivery.run.cause, found.delivery.by_hand), (Cause::Manual, true));
        for other in [Missed { is_fanning: true, ..missed }, Missed { has_delivery: true, ..missed }] {
            assert_eq!(recover_missed(KEY, other, NOW), None);
        }
        assert_eq!(recover_missed(KEY, Missed { has_event: false, ..missed }, NOW), None);
    }

    #[test]
    fn a_test_is_sent_to_a_disabled_webhook_and_to_none_that_left() {
        assert_eq!([endpoint(&["*"]), disabled()].map(|webhook| test(&webhook)), [Ok(()), Ok(())]);
        assert_eq!(test(&disabled().removed(NOW)), Err(Denied::Removed));
        assert_eq!(test(&disabled().deleted(NOW)), Err(Denied::NoWebhook));
    }

    #[test]
    fn what_waits_can_be_cancelled_and_what_has_ended_cannot() {
        let Stopped { taken, delivery } = cancel(due(MILLI), NOW).expect("it waits");
        assert_eq!(taken, Some(QueuePosition::Due(MILLI)));
        assert_eq!(delivery.state, State::Failed { at: NOW, end: End::Cancelled });
        assert_eq!(cancel(delivery, NOW), Err(Denied::Ended));
    }

    #[test]
    fn a_purge_is_for_what_the_webhook_has() {
        let purged = |webhook: &Endpoint, held, until| purge(webhook, &Purge { held, until }, EventKey(9 << 16));
        assert_eq!(purged(&endpoint(&["*"]), false, None), Ok(EventKey(9 << 16)));
        assert_eq!(purged(&disabled(), true, Some(Timestamp::from_millis(4))), Ok(EventKey((5 << 16) - 1)));
        assert_eq!(purged(&endpoint(&["*"]), true, None), Err(Denied::NothingHeld));
        assert_eq!(purged(&disabled(), false, None), Err(Denied::NothingPending));
        assert_eq!(purged(&disabled().deleted(NOW), true, None), Err(Denied::NoWebhook));
    }
}
