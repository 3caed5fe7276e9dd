//! What is taken over from another relay: whether the same is there already, and what a delivery becomes that had not ended there.

use crate::domain::delivery::{Delivery, End, State};
use crate::domain::event::Event;
use crate::domain::time::Timestamp;

/// Whether two events say and send the same, whatever keys their stores gave them.
pub(in crate::store) fn is_same_event(one: &Event, other: &Event) -> bool {
    let content = |event: &Event| (event.content.body(), event.content.data());
    (&one.id, &one.uid, &one.provider, &one.tenant) == (&other.id, &other.uid, &other.provider, &other.tenant)
        && one.kind == other.kind
        && (one.time, one.occurred_at, one.test) == (other.time, other.occurred_at, other.test)
        && (&one.attributes, &one.connection, &one.channels) == (&other.attributes, &other.connection, &other.channels)
        && one.schema_errors == other.schema_errors
        && content(one) == content(other)
}

/// A delivery as history: one that waited ends as failed, so that nothing is sent before somebody asks for it.
pub(in crate::store) fn ended(delivery: Delivery, now: Timestamp) -> Delivery {
    let state = match delivery.state {
        State::Pending(_) => State::Failed { at: now, end: End::Imported },
        ended => ended,
    };
    Delivery { state, by_hand: false, recovered: false, replay: None, ..delivery }
}

/// Whether a delivery that is kept is the one that came as `history`. When one that waited was taken over does not count.
pub(in crate::store) fn is_same_delivery(kept: &Delivery, history: &Delivery) -> bool {
    let is_imported = |state: State| matches!(state, State::Failed { end: End::Imported, .. });
    let same_state = kept.state == history.state || is_imported(kept.state) && is_imported(history.state);
    same_state
        && (kept.attempts, kept.code, kept.succeeded_at) == (history.attempts, history.code, history.succeeded_at)
        && (kept.run.cause, &kept.url) == (history.run.cause, &history.url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::QueuePosition;
    use crate::domain::event::fixture::event;
    use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};

    const NOW: Timestamp = Timestamp::from_micros(7);
    const LATER: Timestamp = Timestamp::from_micros(8);

    fn pending() -> Delivery {
        let key = DeliveryKey { event: EventKey(1), endpoint: EndpointNo(1) };
        Delivery::published(key, QueuePosition::Due(NOW))
    }

    #[test]
    fn what_waited_elsewhere_waits_here_for_nobody() {
        let taken = ended(Delivery { by_hand: true, ..pending() }, NOW);
        assert_eq!(taken.state, State::Failed { at: NOW, end: End::Imported });
        assert!(!taken.by_hand && taken.is_recoverable(), "it is sent when somebody asks for it");
    }

    #[test]
    fn what_ended_stays_as_it_ended() {
        let failed = pending().ended(End::Exhausted, NOW);
        assert_eq!(ended(failed.clone(), LATER).state, failed.state);
    }

    #[test]
    fn a_second_import_of_what_waited_finds_it() {
        assert!(is_same_delivery(&ended(pending(), NOW), &ended(pending(), LATER)));
        let failed = pending().ended(End::Exhausted, NOW);
        assert!(!is_same_delivery(&failed, &ended(pending(), LATER)));
        assert!(!is_same_delivery(&failed, &failed.clone().ended(End::Gone, NOW)), "it ended otherwise");
    }

    #[test]
    fn events_are_the_same_whatever_their_keys() {
        assert!(is_same_event(&event(1, 10), &event(2, 10)));
        assert!(!is_same_event(&event(1, 10), &event(1, 11)), "another body");
        let tested = Event { test: true, ..event(1, 10) };
        assert!(!is_same_event(&event(1, 10), &tested));
    }
}
