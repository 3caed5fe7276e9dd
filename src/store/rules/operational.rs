//! What the relay tells its operator by events of its own. None is about the operator's own webhook, so none causes another.

use serde_json::{Value, json};

use crate::domain::delivery::{Delivery, End, State};
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::OPERATOR_PROVIDER;
use crate::store::message::publication::{Pressure, Refusal};

/// An event of the relay itself.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::store) struct Notice {
    /// The event's type.
    pub(in crate::store) kind: &'static str,
    pub(in crate::store) data: Value,
}

/// That a webhook was enabled, or why nothing is sent to it any more; `None`: it is the operator's own.
pub(in crate::store) fn state(endpoint: &Endpoint) -> Option<Notice> {
    let mut data = described(endpoint)?;
    let kind = match endpoint.stopped() {
        None => "webhook.enabled",
        Some((_, why)) => {
            data["reason"] = why.into();
            "webhook.disabled"
        }
    };
    Some(Notice { kind, data })
}

/// That `count` deliveries of a webhook ended as failed, the last of them so; `None`: it is the operator's own.
pub(in crate::store) fn failed(endpoint: &Endpoint, count: u32, end: End) -> Option<Notice> {
    let mut data = described(endpoint)?;
    data["count"] = count.into();
    data["reason"] = end.name().into();
    Some(Notice { kind: "delivery.failed", data })
}

/// Why events are refused for want of room, and in which words; `None`: they are not, or for another reason.
pub(in crate::store) fn shortage(pressure: Pressure) -> Option<(&'static str, Refusal)> {
    match pressure {
        Pressure::None | Pressure::JournalLost => None,
        Pressure::Full => Some(("max_bytes", Refusal::Full)),
        Pressure::DiskLow => Some(("disk", Refusal::DiskLow)),
    }
}

/// That events are refused for want of room.
pub(in crate::store) fn storage_low((reason, cause): (&str, Refusal), allocated: u64, max_bytes: u64) -> Notice {
    let detail = cause.to_string();
    let data = json!({ "reason": reason, "detail": detail, "allocated_bytes": allocated, "max_bytes": max_bytes });
    Notice { kind: "storage.low", data }
}

/// How a delivery ended that counts as failed; `None`: it did not, or others tell of it. What expired is told of by the sweep, and a
/// test by its answer; who cancels a delivery knows.
pub(in crate::store) fn counts(delivery: &Delivery) -> Option<End> {
    match delivery.state {
        State::Failed { end: End::Expired | End::Cancelled | End::Imported, .. }
        | State::Pending(_)
        | State::Succeeded { .. } => None,
        State::Failed { end, .. } => (!delivery.is_test()).then_some(end),
    }
}

fn described(endpoint: &Endpoint) -> Option<Value> {
    let is_operators = *endpoint.provider == *OPERATOR_PROVIDER;
    (!is_operators).then(|| {
        json!({
            "webhook_id": endpoint.id,
            "provider": endpoint.provider,
            "tenant": endpoint.tenant,
            "url": endpoint.definition.url,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::delivery::QueuePosition;
    use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
    use crate::domain::time::Timestamp;
    use crate::domain::webhook::endpoint::Why;
    use crate::domain::webhook::endpoint::fixture::endpoint;

    const NOW: Timestamp = Timestamp::from_secs(9);

    #[test]
    fn a_change_of_state_is_told_with_its_reason() {
        let told = state(&endpoint(&["*"]).disabled(Why::Failures(10), NOW)).expect("it is a tenant's");
        let expected = json!({
            "webhook_id": "wh_1", "provider": "acme", "tenant": "t1", "url": "https://example.com/",
            "reason": "10 consecutive failures",
        });
        assert_eq!(told, Notice { kind: "webhook.disabled", data: expected });
        let enabled = state(&endpoint(&["*"])).expect("it is a tenant's");
        assert_eq!((enabled.kind, enabled.data.get("reason")), ("webhook.enabled", None));
    }

    #[test]
    fn failures_are_told_with_their_number() {
        let told = failed(&endpoint(&["*"]), 7, End::Exhausted).expect("it is a tenant's");
        assert_eq!((told.kind, &told.data["count"], &told.data["reason"]), ("delivery.failed", &json!(7), &json!("exhausted")));
    }

    #[test]
    fn nothing_is_told_of_the_operators_own_webhook() {
        let own = Endpoint { provider: OPERATOR_PROVIDER.into(), ..endpoint(&["*"]) };
        assert_eq!((state(&own), failed(&own, 1, End::Gone)), (None, None));
    }

    #[test]
    fn a_store_without_room_is_told_of() {
        let told = shortage(Pressure::Full).map(|shortage| storage_low(shortage, 9, 8)).expect("it is full");
        assert_eq!(told.kind, "storage.low");
        assert_eq!([&told.data["reason"], &told.data["allocated_bytes"]], [&json!("max_bytes"), &json!(9)]);
        assert_eq!(shortage(Pressure::DiskLow), Some(("disk", Refusal::DiskLow)));
        assert_eq!([Pressure::None, Pressure::JournalLost].map(shortage), [None, None]);
    }

    #[test]
    fn what_nobody_else_tells_of_counts_as_a_failure() {
        let key = DeliveryKey { event: EventKey(1), endpoint: EndpointNo(1) };
        let pending = Delivery::published(key, QueuePosition::Due(NOW));
        let ended = |end| counts(&pending.clone().ended(end, NOW));
        let told = [End::Exhausted, End::Gone, End::WebhookDeleted];
        assert_eq!(told.map(ended), told.map(Some));
        assert_eq!([End::Expired, End::Cancelled, End::Imported].map(ended), [None, None, None]);
        assert_eq!(counts(&pending), None);
        assert_eq!(counts(&Delivery::test(key, NOW).ended(End::Exhausted, NOW)), None, "its caller has the answer");
    }
}
