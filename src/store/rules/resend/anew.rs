//! How an event is published again by a replay that makes new events.

use std::sync::Arc;

use bytes::Bytes;

use crate::domain::dialect::Dialect;
use crate::domain::event::Event;
use crate::domain::template::Facts;
use crate::domain::time::Timestamp;
use crate::store::Owned;
use crate::store::message::publication::Publication;

/// The event as a publication for one tenant, which was published to others too if it was for all. `None`: the dialect, which may have
/// changed since, does not take it.
pub(in crate::store) fn publication(
    event: &Event,
    owned: &Owned,
    dialect: Arc<Dialect>,
    environment: &Arc<str>,
    now: Timestamp,
) -> Option<Publication> {
    let old = event.content.data();
    let data = Bytes::from(dialect.body.data(&old).ok()?.into_owned());
    let attributes = dialect.body.attributes(event.attributes.clone()).ok()?;
    let refusals = dialect.check(&Facts {
        event_id: &event.id,
        kind: &event.kind,
        time: event.occurred_at.unwrap_or(now),
        version: &dialect.version(&event.kind, &attributes),
        attributes: &attributes,
        tenant: Some(&owned.tenant),
        environment,
        data: &data,
    });
    if !refusals.is_empty() {
        return None;
    }
    let (provider, tenant) = (event.provider.clone(), (&*owned.tenant).into());
    let again = Publication::of_type_and_data(provider, tenant, dialect, &event.kind, data);
    Some(Publication {
        environment: environment.clone(),
        occurred_at: event.occurred_at,
        attributes,
        channels: event.channels.clone(),
        schema_errors: event.schema_errors.clone(),
        ..again
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::fixture::publication as fixture;
    use super::*;
    use crate::domain::dialect::EventRules;
    use crate::domain::event::fixture::event;

    fn owned() -> Owned {
        Owned { provider: "acme".into(), tenant: "t1".into() }
    }

    #[test]
    fn what_the_publisher_said_is_said_again_but_for_its_names() {
        let old = Event {
            occurred_at: Some(Timestamp::from_millis(5)),
            attributes: [("plan".to_owned(), "\"gold\"".into())].into(),
            schema_errors: "[{}]".into(),
            connection: Some("c".into()),
            content: crate::domain::event::Content::new(b"{}".to_vec(), None, b"[1]"),
            ..event(7, 0)
        };
        let again = publication(&old, &owned(), fixture("a").dialect, &"Sandbox".into(), Timestamp::EPOCH).expect("it is taken");
        assert_eq!((again.id, again.uid, again.connection, again.link), (None, None, None, None));
        assert_eq!((again.tenant.as_deref(), &*again.environment, &*again.kind), (Some("t1"), "Sandbox", "a.b"));
        assert_eq!((&again.data[..], again.occurred_at, &*again.schema_errors), (&b"[1]"[..], old.occurred_at, "[{}]"));
        assert_eq!(again.attributes, old.attributes);
    }

    #[test]
    fn an_event_that_the_dialect_refuses_by_now_is_left_out() {
        let plain = fixture("a").dialect;
        let rules = EventRules { required_attributes: vec!["plan".into()], ..plain.event.clone() };
        let strict = Arc::new(Dialect { event: rules, ..Dialect::clone(&plain) });
        let old = Event { content: crate::domain::event::Content::new(b"{}".to_vec(), None, b"1"), ..event(7, 0) };
        assert!(publication(&old, &owned(), plain, &"P".into(), Timestamp::EPOCH).is_some());
        assert!(publication(&old, &owned(), strict, &"P".into(), Timestamp::EPOCH).is_none());
    }
}
