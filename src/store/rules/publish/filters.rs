//! Which of the webhooks that subscribe to an event get it, by their channels, samples and payload filters.

use std::sync::Arc;

use crate::domain::channels::Channels;
use crate::domain::event::{Attributes, Event};
use crate::domain::id::{ByEndpoint, EndpointNo, EventKey, Node};
use crate::domain::webhook::filter::{Filter, Judge, Subject, Verdict};
use crate::domain::webhook::sample::{Place, Sample};
use crate::domain::webhook::settings::WebhookSettings;
use crate::store::message::publication::Publication;

/// The settings of the webhooks that leave out some events that they subscribe to.
pub(in crate::store) type Narrowing = ByEndpoint<Arc<WebhookSettings>>;

/// What of an event channels, samples and filters see. `data` is as the dialect prints it.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Facts<'a> {
    pub(in crate::store) id: Id<'a>,
    pub(in crate::store) kind: &'a str,
    pub(in crate::store) data: &'a [u8],
    pub(in crate::store) attributes: &'a Attributes,
    pub(in crate::store) channels: &'a Channels,
}

/// The id of an event, which is printed only where a sample asks for it.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) enum Id<'a> {
    Given(&'a str),
    /// The id that a store makes of the event's key.
    Made(Node, EventKey),
}

impl Id<'_> {
    fn place(self) -> Place {
        match self {
            Self::Given(id) => Place::of(id),
            Self::Made(node, key) => Place::of(&node.event_id(key)),
        }
    }
}

impl<'a> Facts<'a> {
    /// The facts of a publication that becomes the event `key`.
    pub(in crate::store) fn of(publication: &'a Publication, node: Node, key: EventKey) -> Self {
        let Publication { kind, data, attributes, channels, .. } = publication;
        let id = publication.id.as_deref().map_or(Id::Made(node, key), Id::Given);
        Self { id, kind, data, attributes, channels }
    }

    /// The facts of an event that was published; `data` is its content's.
    pub(in crate::store) fn of_event(event: &'a Event, data: &'a [u8]) -> Self {
        Self { id: Id::Given(&event.id), kind: &event.kind, data, attributes: &event.attributes, channels: &event.channels }
    }
}

/// Leaves the webhooks in `found` that get an event: by their channels and samples, and then by their filters. The event is read once,
/// and only when some webhook that is left has a filter. A filter that cannot judge the event lets it through.
pub(in crate::store) fn keep_matching(found: &mut Vec<EndpointNo>, narrowing: &Narrowing, event: Facts<'_>) {
    if narrowing.is_empty() {
        return;
    }
    found.retain(|no| narrowing.get(no).is_none_or(|settings| settings.takes(event.channels)));
    keep_sampled(found, |no| narrowing.get(no).and_then(|settings| settings.sample), event.id);
    let filter = |no: &EndpointNo| narrowing.get(no).and_then(|settings| settings.filter.as_deref());
    keep_by_filter(found, filter, event);
}

fn keep_sampled(found: &mut Vec<EndpointNo>, sample: impl Fn(&EndpointNo) -> Option<Sample>, id: Id<'_>) {
    if found.iter().any(|no| sample(no).is_some()) {
        let place = id.place();
        found.retain(|no| sample(no).is_none_or(|sample| sample.takes(place)));
    }
}

fn keep_by_filter<'f>(found: &mut Vec<EndpointNo>, filter: impl Fn(&EndpointNo) -> Option<&'f Filter>, event: Facts<'_>) {
    let count = found.iter().filter(|no| filter(no).is_some()).count();
    if count == 0 {
        return;
    }
    let Ok(subject) = Subject::read(event.kind, event.data, event.attributes) else { return };
    let mut judge = Judge::of_many(&subject, count);
    found.retain(|no| filter(no).is_none_or(|filter| judge.verdict(filter) != Verdict::Differs));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::event::fixture::event;
    use crate::store::rules::fixture::publication;

    fn kept(filters: &[(u32, &str)], data: &str) -> Vec<u32> {
        let filter = |text: &str| Some(Arc::new(Filter::parse(text).expect("a filter")));
        let settings = |text: &str| WebhookSettings { filter: filter(text), ..WebhookSettings::default() };
        kept_by(filters.iter().map(|(no, text)| (*no, settings(text))).collect(), data, &[])
    }

    /// Of the webhooks 1, 2 and 3 those that get an event of these channels.
    fn kept_by(settings: Vec<(u32, WebhookSettings)>, data: &str, channels: &[&str]) -> Vec<u32> {
        let narrowing = settings.into_iter().map(|(no, settings)| (EndpointNo(no), Arc::new(settings))).collect();
        let mut found = vec![EndpointNo(1), EndpointNo(2), EndpointNo(3)];
        let attributes = Attributes::from([("n".into(), "7".into())]);
        let channels = Channels::new(channels.iter().copied());
        let facts =
            Facts { id: Id::Given("evt_1"), kind: "a.b", data: data.as_bytes(), attributes: &attributes, channels: &channels };
        keep_matching(&mut found, &narrowing, facts);
        found.into_iter().map(|no| no.0).collect()
    }

    #[test]
    fn channels_leave_out_webhooks_before_data_is_read() {
        let of = |names: &[&str]| Channels::new(names.iter().copied());
        let filter = Some(Arc::new(Filter::parse("{\"data\":1}").expect("a filter")));
        let elsewhere = WebhookSettings { channels: of(&["b"]), filter, ..WebhookSettings::default() };
        let here = WebhookSettings { channels: of(&["a", "b"]), ..WebhookSettings::default() };
        assert_eq!(kept_by(vec![(1, elsewhere.clone()), (2, here.clone())], "this is no JSON", &["a"]), [2, 3]);
        assert_eq!(kept_by(vec![(1, elsewhere), (2, here)], "2", &[]), [3]);
    }

    #[test]
    fn a_sample_leaves_out_what_the_id_says() {
        let sampled = |share| WebhookSettings { sample: Sample::new(share), ..WebhookSettings::default() };
        let place =
            (0..100).find(|place| Sample::new(f64::from(*place) / 100.0).is_some_and(|sample| sample.takes(Place::of("evt_1"))));
        let above = f64::from(place.expect("a place"));
        let (less, more) = ((above - 1.0) / 100.0, above / 100.0);
        assert_eq!(kept_by(vec![(1, sampled(less)), (3, sampled(more))], "null", &[]), [2, 3]);
    }

    #[test]
    fn an_id_that_is_made_of_the_key_counts_as_the_same_id_given() {
        let (node, key) = (Node(7), EventKey(5 << 16));
        assert_eq!(Id::Made(node, key).place(), Id::Given(&node.event_id(key)).place());
    }

    #[test]
    fn webhooks_without_a_filter_and_with_one_that_matches_are_kept() {
        let filters = [(1, r#"{"data":{"x":1}}"#), (3, r#"{"data":{"x":2}}"#)];
        assert_eq!(kept(&filters, r#"{"x":2}"#), [2, 3]);
        assert_eq!(kept(&[(2, r#"{"type":"a.c"}"#), (3, r#"{"attributes":{"n":7}}"#)], "null"), [1, 3]);
        assert_eq!(kept(&[], "null"), [1, 2, 3]);
    }

    #[test]
    fn data_is_not_read_where_no_matching_webhook_has_a_filter() {
        assert_eq!(kept(&[(9, r#"{"data":1}"#)], "this is no JSON"), [1, 2, 3]);
    }

    #[test]
    fn a_filter_that_would_take_too_long_lets_the_event_through() {
        // Each operator goes through the whole list, and none matches.
        let list = format!("[{}]", vec!["0"; 100_000].join(","));
        let nodes = vec!["{\"$gt\":1}"; 100].join(",");
        let filter = format!("{{\"data\":{{\"$or\":[{nodes}]}}}}");
        assert_eq!(kept(&[(1, &filter), (2, r#"{"data":{"$gt":1}}"#)], &list), [1, 3]);
    }

    #[test]
    fn an_event_is_judged_as_its_publication_was() {
        let mut publication = publication("a.b");
        let key = EventKey(5 << 16);
        publication.channels = Channels::new(["a"]);
        let facts = Facts::of(&publication, Node(7), key);
        let published = Event { id: Node(7).event_id(key).into(), channels: Channels::new(["a"]), ..event(key.0, 0) };
        let again = Facts::of_event(&published, b"{}");
        assert_eq!((facts.id.place(), facts.kind, facts.data), (again.id.place(), again.kind, again.data));
        assert_eq!((facts.attributes, facts.channels), (again.attributes, again.channels));
        publication.id = Some("evt_1".into());
        assert_eq!(Facts::of(&publication, Node(7), key).id.place(), Id::Given("evt_1").place(), "an id that was given");
    }
}
