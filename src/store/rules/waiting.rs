//! Where a pending delivery waits: in the due table while its webhook is sent to, else in its webhook's backlog.
//!
//! A pending delivery has exactly one entry that brings it back. Each rule that leaves a delivery pending says by [`Wait`] which
//! entry that is; the engine takes the entry out that the delivery had before.

use crate::domain::delivery::Delivery;
use crate::domain::id::EventKey;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;

/// Where a delivery waits from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Wait {
    /// In the due table until this time, in whole milliseconds.
    Due(Timestamp),
    /// At the end of its webhook's backlog, under a number that the engine gives.
    Backlog,
}

/// How a delivery without a row is kept in a backlog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Parked {
    /// Under the key of its event, where it is found without a row.
    UnderEvent,
    /// Under a number of its own, which stands in a row that is written for it.
    Numbered,
}

/// What becomes of a delivery whose time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum CameDue {
    /// It goes to its webhook's queue, or to the backlog where the queue is full.
    Queue,
    /// It is a test that somebody waits for: it goes to the queue in any case.
    QueueTest,
    /// A purge, or the job of the webhook's disabling, deletion or ordering, comes to it. But a test ends as expired: a restart cut it short, so
    /// nobody waits for it, and the job may have passed it by while somebody did.
    LeaveUnlessTest,
}

/// Whether a new delivery may go to its webhook's queue. One that is being purged waits for the purge to end it, and one of an
/// ordered webhook for its turn.
pub(in crate::store) fn may_start(endpoint: &Endpoint, is_purged: bool) -> bool {
    endpoint.is_active() && !is_purged && !endpoint.definition.settings.ordered
}

/// Whether a purge that takes the deliveries of events up to `up_to` is to end the delivery of this event. `None`: no purge runs.
pub(in crate::store) fn is_purged(event: EventKey, up_to: Option<EventKey>) -> bool {
    up_to.is_some_and(|up_to| event <= up_to)
}

/// Where a delivery waits that is due `at`. `goes_on`: its webhook is active, and where that is ordered it is the delivery's turn. A
/// test waits in the due table in any case, since it is sent to a disabled webhook too, and out of turn.
pub(in crate::store) fn wait(delivery: &Delivery, goes_on: bool, at: Timestamp) -> Wait {
    if goes_on || delivery.is_test() { Wait::Due(at) } else { Wait::Backlog }
}

/// How a delivery without a row is parked. `read_up_to` is the number up to which its webhook's backlog was read, `None` where the
/// webhook has no backlog: what stands before that is not read again, so it needs a number of its own.
pub(in crate::store) fn park_without_row(event: EventKey, read_up_to: Option<u64>) -> Parked {
    if read_up_to.is_some_and(|number| event.0 <= number) { Parked::Numbered } else { Parked::UnderEvent }
}

/// What becomes of a delivery whose due time has come. `is_asked_test`: it is a test that was asked for since the start. `is_left`: a
/// purge is to end it, or its webhook is ordered and another delivery has the turn.
pub(in crate::store) fn came_due(endpoint: &Endpoint, is_asked_test: bool, is_left: bool) -> CameDue {
    match (is_asked_test, endpoint.is_active() && !is_left) {
        (true, _) => CameDue::QueueTest,
        (false, true) => CameDue::Queue,
        (false, false) => CameDue::LeaveUnlessTest,
    }
}

/// Whether a delivery ends as expired that was left by [`CameDue::LeaveUnlessTest`]. One that ended in the same batch has ended.
pub(in crate::store) fn expires(delivery: &Delivery) -> bool {
    delivery.is_test() && delivery.is_pending()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::delivery::{End, QueuePosition};
    use crate::domain::id::{DeliveryKey, EndpointNo};
    use crate::domain::webhook::endpoint::Why;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::domain::webhook::settings::WebhookSettings;

    const AT: Timestamp = Timestamp::from_millis(9);
    const KEY: DeliveryKey = DeliveryKey { event: EventKey(5), endpoint: EndpointNo(1) };

    #[test]
    fn a_delivery_waits_in_the_due_table_while_its_webhook_is_active() {
        let published = Delivery::published(KEY, QueuePosition::Due(AT));
        assert_eq!(wait(&published, true, AT), Wait::Due(AT));
        assert_eq!(wait(&published, false, AT), Wait::Backlog);
        assert_eq!(wait(&Delivery::test(KEY, AT), false, AT), Wait::Due(AT), "a test is sent to a disabled webhook");
    }

    #[test]
    fn only_an_active_webhook_without_a_purge_starts_deliveries() {
        let disabled = endpoint(&["*"]).disabled(Why::ByHand, AT);
        assert!(may_start(&endpoint(&["*"]), false));
        assert!(!may_start(&endpoint(&["*"]), true) && !may_start(&disabled, false));
        let mut ordered = endpoint(&["*"]);
        ordered.definition.settings = Arc::new(WebhookSettings { ordered: true, ..WebhookSettings::default() });
        assert!(!may_start(&ordered, false), "it has its turn when no other is before it");
    }

    #[test]
    fn a_purge_takes_events_up_to_its_call() {
        assert!(is_purged(EventKey(5), Some(EventKey(5))));
        assert!(!is_purged(EventKey(6), Some(EventKey(5))) && !is_purged(EventKey(5), None));
    }

    #[test]
    fn behind_the_reader_of_a_backlog_a_delivery_gets_its_own_number() {
        assert_eq!(park_without_row(EventKey(5), None), Parked::UnderEvent);
        assert_eq!(park_without_row(EventKey(5), Some(4)), Parked::UnderEvent);
        assert_eq!(park_without_row(EventKey(5), Some(5)), Parked::Numbered, "the reader is past it");
    }

    #[test]
    fn what_falls_due_is_queued_or_left_to_its_job() {
        let (active, disabled) = (endpoint(&["*"]), endpoint(&["*"]).disabled(Why::ByHand, AT));
        assert_eq!(came_due(&active, false, false), CameDue::Queue);
        assert_eq!(came_due(&active, false, true), CameDue::LeaveUnlessTest);
        assert_eq!(came_due(&disabled, false, false), CameDue::LeaveUnlessTest);
        assert_eq!(came_due(&disabled, false, true), CameDue::LeaveUnlessTest);
        assert_eq!(came_due(&disabled, true, true), CameDue::QueueTest, "somebody waits for it");
    }

    #[test]
    fn a_test_that_a_restart_cut_short_expires_once() {
        let test = Delivery::test(KEY, AT);
        assert!(expires(&test) && !expires(&test.ended(End::Cancelled, AT)));
        assert!(!expires(&Delivery::published(KEY, QueuePosition::Due(AT))));
    }
}
