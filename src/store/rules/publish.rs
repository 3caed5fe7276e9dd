//! Whether an event is taken, what it is once it is, and how its deliveries are made.
//!
//! The engine asks in this order: a key that was revoked, a name that was used before ([`repeats`]), a target that is not there
//! ([`misdirected`]), want of room ([`Pressure::refusal`]). So a publisher that asks again gets the first answer, also when the
//! store is full.
//!
//! [`Pressure::refusal`]: crate::store::message::publication::Pressure::refusal

pub(in crate::store) mod filters;
pub(in crate::store) mod history;

use std::time::Duration;

use super::tenants;
use crate::domain::event::{Content, Event};
use crate::domain::id::uid::Uid;
use crate::domain::id::{EventKey, Node};
use crate::domain::template::Facts;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::message::publication::{Accepted, Publication, Refusal, Unwanted};
use crate::store::record::{Listing, Named};

/// Whom a publication names, as the registry has them.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Target {
    /// What the config file says of the tenant; `None`: there is none of that name.
    pub(in crate::store) tenant: Option<Listing>,
    /// Whether a webhook has the name that the publication's link says and can be matched by events.
    pub(in crate::store) has_link: bool,
}

/// When the deliveries of an event are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Spread {
    /// Nobody wants the event.
    Nobody,
    /// In the event's own batch.
    AtOnce,
    /// In slices: the first in the event's own batch, the others in later ones.
    InSlices,
}

/// What is written under the names that the publisher gave an event.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::store) struct Names {
    /// Under its id.
    pub(in crate::store) id: Option<Named>,
    /// Under its uid.
    pub(in crate::store) uid: Option<Named>,
    /// Under its `Idempotency-Key`, and until when that answers.
    pub(in crate::store) key: Option<(Named, Timestamp)>,
}

/// Whether an `Idempotency-Key` still answers.
pub(in crate::store) fn answers(named: &Named, now: Timestamp) -> bool {
    now.as_millis() < named.until
}

/// Whether a publication repeats the one that used its name before; `taken` where it has other content.
pub(in crate::store) fn repeats(publication: &Publication, named: &Named, taken: Refusal) -> Result<(), Refusal> {
    if named.content == publication.content { Ok(()) } else { Err(taken) }
}

/// Whether a publication repeats the event `holder` that has its uid: by content, and by its id where that is given. Else the refusal
/// names the holder.
pub(in crate::store) fn repeats_uid(publication: &Publication, uid: &Uid, named: &Named, holder: &str) -> Result<(), Refusal> {
    let is_same_id = publication.id.as_deref().is_none_or(|id| id == holder);
    let taken = || Refusal::UidTaken { uid: uid.as_str().into(), holder: holder.into() };
    if named.content == publication.content && is_same_id { Ok(()) } else { Err(taken()) }
}

/// Whether the registry must be asked for whom a publication names: one that makes its tenant and names no webhook is never
/// misdirected.
pub(in crate::store) fn names_target(publication: &Publication) -> bool {
    !publication.makes_tenant || publication.link.is_some()
}

/// Why an event would reach nobody, whatever webhooks want: its tenant, or the webhook that it names, does not exist.
pub(in crate::store) fn misdirected(publication: &Publication, target: Target) -> Option<Refusal> {
    let tenant = publication.tenant.as_deref().filter(|_| !publication.makes_tenant);
    if let Some(Err(refusal)) = tenant.map(|tenant| tenants::existing(tenant, target.tenant)) {
        return Some(refusal);
    }
    let link = publication.link.as_deref().filter(|_| !target.has_link)?;
    let attribute = publication.dialect.event.link_attribute.clone().unwrap_or_default();
    Some(Refusal::NoLink { attribute, link: link.into() })
}

/// Whether a webhook that changed in this batch still gets an event that matched it before the batch.
pub(in crate::store) fn goes_to(endpoint: &Endpoint, link: Option<&str>) -> bool {
    endpoint.is_subscribed() && link.is_none_or(|link| *link == *endpoint.definition.name)
}

/// How the deliveries of an event are made that `matching` webhooks want, in a batch that has made `made` deliveries and events so
/// far. An event for one webhook by its name is never spread.
pub(in crate::store) fn spread(matching: usize, made: usize, is_linked: bool) -> Spread {
    let is_crowded = made > CROWDED && matching > 1 && !is_linked;
    match matching {
        0 => Spread::Nobody,
        _ if matching > WIDE || is_crowded => Spread::InSlices,
        _ => Spread::AtOnce,
    }
}

/// What `$event.time` prints. With `unique_time`, later than `last`, the time of the last event of the provider and type.
pub(in crate::store) fn body_time(publication: &Publication, last: Option<Timestamp>, now: Timestamp) -> Timestamp {
    if publication.dialect.unique_time { now.unique_after(last) } else { publication.occurred_at.unwrap_or(now) }
}

/// The event that a publication becomes, with its body rendered. `time` is its [`body_time`]; where the publisher gave no id, the
/// id is made of the key.
pub(in crate::store) fn event(publication: Publication, key: EventKey, node: Node, time: Timestamp) -> Event {
    let id = publication.id.unwrap_or_else(|| node.event_id(key).into());
    let dialect = &publication.dialect;
    let version = dialect.version(&publication.kind, &publication.attributes);
    let facts = Facts {
        event_id: &id,
        kind: &publication.kind,
        time,
        version: &version,
        attributes: &publication.attributes,
        tenant: publication.tenant.as_deref(),
        environment: &publication.environment,
        data: &publication.data,
    };
    let rendered = dialect.body.render(&facts);
    Event {
        key,
        id,
        uid: publication.uid,
        provider: publication.provider,
        tenant: publication.tenant,
        kind: publication.kind,
        time,
        occurred_at: publication.occurred_at,
        attributes: publication.attributes,
        connection: publication.connection,
        channels: publication.channels,
        test: publication.test,
        schema_errors: publication.schema_errors,
        links: None,
        content: Content::new(rendered.bytes, rendered.data, &publication.data),
    }
}

/// What is written under the names of a publication that became the event `key` with `deliveries` deliveries.
pub(in crate::store) fn names(publication: &Publication, key: EventKey, deliveries: u32, now: Timestamp) -> Names {
    let named = Named { event: key.0, deliveries, content: publication.content, until: u64::MAX };
    let until = now + IDEMPOTENCY_KEPT;
    Names {
        id: publication.id.is_some().then_some(named),
        uid: publication.uid.is_some().then_some(named),
        key: publication.idempotency_key.is_some().then_some((Named { until: until.as_millis(), ..named }, until)),
    }
}

/// The answer to a publication that became an event.
pub(in crate::store) fn accepted(event: &Event, deliveries: u32) -> Accepted {
    let unwanted = (deliveries == 0).then(|| Unwanted { tenant: event.tenant.clone(), kind: event.kind.clone() });
    Accepted { id: event.id.clone(), deliveries, repeated: false, unwanted }
}

/// The first answer again; `id` is that of the event that was published first.
pub(in crate::store) fn repeated(publication: &Publication, named: &Named, id: Box<str>) -> Accepted {
    let Publication { tenant, kind, .. } = publication;
    let unwanted = (named.deliveries == 0).then(|| Unwanted { tenant: tenant.clone(), kind: kind.clone() });
    Accepted { id, deliveries: named.deliveries, repeated: true, unwanted }
}

/// The deliveries of an event for more webhooks than this are made in slices, one in each batch.
pub(in crate::store) const WIDE: usize = 1_000;

/// With more deliveries and events than this in one batch, further events for more than one webhook are fanned out in slices.
const CROWDED: usize = 4_000;

/// How long an `Idempotency-Key` answers.
const IDEMPOTENCY_KEPT: Duration = Duration::from_secs(24 * 3600);

#[cfg(test)]
mod tests {
    use super::super::fixture::publication;
    use super::*;
    use crate::domain::dialect::{Dialect, EventRules};
    use crate::domain::webhook::endpoint::Definition;
    use crate::domain::webhook::endpoint::fixture::endpoint;
    use crate::store::message::publication::Pressure;

    const KEY: EventKey = EventKey(7 << 16);
    const NODE: Node = Node(3);
    const NOW: Timestamp = Timestamp::from_millis(1_000);
    const NAMED: Named = Named { event: KEY.0, deliveries: 2, content: [1; 32], until: 2_000 };

    fn for_link(link: &str) -> Publication {
        let plain = publication("order.paid");
        let event = EventRules { link_attribute: Some("to".into()), ..plain.dialect.event.clone() };
        let dialect = Dialect { event, ..Dialect::clone(&plain.dialect) };
        Publication { link: Some(link.into()), dialect: dialect.into(), ..plain }
    }

    #[test]
    fn the_same_content_repeats_and_other_content_is_a_conflict() {
        let same = Publication { content: [1; 32], ..publication("a") };
        assert_eq!(repeats(&same, &NAMED, Refusal::KeyTaken), Ok(()));
        let other = Publication { content: [2; 32], ..publication("a") };
        assert_eq!(repeats(&other, &NAMED, Refusal::KeyTaken), Err(Refusal::KeyTaken));
    }

    #[test]
    fn a_uid_repeats_its_own_event_alone() {
        let uid = Uid::parse("u").expect("a uid");
        let same = Publication { uid: Some(uid.clone()), content: [1; 32], ..publication("a") };
        let with_id = |id: &str| Publication { id: Some(id.into()), ..same.clone() };
        let taken = || Err(Refusal::UidTaken { uid: "u".into(), holder: "e1".into() });
        let repeats = |publication: &Publication| repeats_uid(publication, &uid, &NAMED, "e1");
        assert_eq!([repeats(&same), repeats(&with_id("e1"))], [Ok(()), Ok(())]);
        assert_eq!([repeats(&with_id("e2")), repeats(&Publication { content: [2; 32], ..same.clone() })], [taken(), taken()]);
    }

    #[test]
    fn an_idempotency_key_answers_for_a_day_and_an_id_for_ever() {
        let named = Publication { id: Some("e1".into()), idempotency_key: Some("k".into()), ..publication("a") };
        let Names { id: Some(id), uid: None, key: Some((key, until)) } = names(&named, KEY, 2, NOW) else {
            panic!("both were given")
        };
        assert_eq!(until, NOW + Duration::from_secs(86_400));
        assert!(answers(&key, Timestamp::from_millis(86_400_999)) && !answers(&key, until));
        assert!(answers(&id, until + Duration::from_secs(1 << 30)));
        assert_eq!((id.event, id.deliveries, key.event, key.deliveries), (KEY.0, 2, KEY.0, 2));
        assert_eq!(names(&publication("a"), KEY, 2, NOW), Names { id: None, uid: None, key: None });
        let called = Publication { uid: Uid::parse("u").ok(), ..publication("a") };
        assert_eq!(names(&called, KEY, 2, NOW).uid.map(|named| (named.event, named.until)), Some((KEY.0, u64::MAX)));
    }

    #[test]
    fn an_event_for_a_tenant_that_is_not_there_is_refused() {
        let strict = Publication { makes_tenant: false, ..publication("a") };
        let target = |tenant| Target { tenant, has_link: false };
        assert!(names_target(&strict) && !names_target(&publication("a")));
        assert_eq!(misdirected(&strict, target(None)), Some(Refusal::NoTenant("t1".into())));
        assert_eq!(misdirected(&strict, target(Some(Listing::Gone))), Some(Refusal::TenantRemoved("t1".into())));
        assert_eq!(misdirected(&strict, target(Some(Listing::Never))), None);
        assert_eq!(misdirected(&publication("a"), target(None)), None, "it makes its tenant");
        let for_all = Publication { tenant: None, makes_tenant: false, ..publication("a") };
        assert_eq!(misdirected(&for_all, target(None)), None);
    }

    #[test]
    fn an_event_for_a_webhook_that_is_not_there_is_refused() {
        let target = |has_link| Target { tenant: None, has_link };
        let expected = Refusal::NoLink { attribute: "to".into(), link: "till".into() };
        assert!(names_target(&for_link("till")));
        assert_eq!(misdirected(&for_link("till"), target(false)), Some(expected));
        assert_eq!(misdirected(&for_link("till"), target(true)), None);
    }

    #[test]
    fn only_want_of_room_refuses_an_event() {
        let refusals = [Pressure::None, Pressure::Full, Pressure::DiskLow, Pressure::JournalLost].map(Pressure::refusal);
        assert_eq!(refusals, [None, Some(Refusal::Full), Some(Refusal::DiskLow), Some(Refusal::JournalLost)]);
    }

    #[test]
    fn a_webhook_that_left_in_the_same_batch_gets_nothing() {
        let known = endpoint(&["*"]);
        let named = Endpoint { definition: Definition { name: "till".into(), ..known.definition.clone() }, ..known };
        assert!(goes_to(&named, None) && goes_to(&named, Some("till")) && !goes_to(&named, Some("other")));
        assert!(!goes_to(&named.clone().removed(NOW), None) && !goes_to(&named.deleted(NOW), Some("till")));
    }

    #[test]
    fn wide_and_crowded_fan_outs_are_made_in_slices() {
        assert_eq!(spread(0, 0, false), Spread::Nobody);
        assert_eq!([1, WIDE].map(|matching| spread(matching, CROWDED, false)), [Spread::AtOnce; 2]);
        assert_eq!(spread(WIDE + 1, 0, false), Spread::InSlices);
        assert_eq!(spread(2, CROWDED + 1, false), Spread::InSlices);
        assert_eq!(spread(1, CROWDED + 1, false), Spread::AtOnce, "one delivery is no more work than a cursor");
        assert_eq!(spread(2, CROWDED + 1, true), Spread::AtOnce, "a slice would look for the name again");
    }

    #[test]
    fn the_time_of_a_body_is_given_or_now_or_later_than_the_last() {
        let given = Publication { occurred_at: Some(Timestamp::from_millis(5)), ..publication("a") };
        assert_eq!(body_time(&given, None, NOW), Timestamp::from_millis(5));
        assert_eq!(body_time(&publication("a"), None, NOW), NOW);
        let unique = Dialect { unique_time: true, ..Dialect::clone(&given.dialect) };
        let unique = Publication { dialect: unique.into(), ..given };
        assert_eq!(body_time(&unique, None, NOW), NOW);
        let last = NOW + Duration::from_secs(9);
        assert_eq!(body_time(&unique, Some(last), NOW), Timestamp::from_micros(last.as_micros() + 1));
    }

    #[test]
    fn an_event_without_an_id_gets_that_of_its_key() {
        let made = event(publication("order.paid"), KEY, NODE, NOW);
        assert_eq!((&*made.id, made.time, &*made.kind), (&*NODE.event_id(KEY), NOW, "order.paid"));
        assert_eq!(&made.content.data()[..], b"{}");
        let given = event(Publication { id: Some("e1".into()), ..publication("a") }, KEY, NODE, NOW);
        assert_eq!((&*given.id, given.key), ("e1", KEY));
    }

    #[test]
    fn an_answer_says_when_nobody_wants_the_event() {
        let made = event(publication("order.paid"), KEY, NODE, NOW);
        let unwanted = Some(Unwanted { tenant: Some("t1".into()), kind: "order.paid".into() });
        assert_eq!(accepted(&made, 0).unwanted, unwanted);
        assert_eq!((accepted(&made, 2).unwanted, accepted(&made, 2).deliveries), (None, 2));
        let again = repeated(&publication("order.paid"), &NAMED, "e1".into());
        assert_eq!(again, Accepted { id: "e1".into(), deliveries: 2, repeated: true, unwanted: None });
        let nobody = Named { deliveries: 0, ..NAMED };
        assert_eq!(repeated(&publication("order.paid"), &nobody, "e1".into()).unwanted, unwanted);
    }
}
