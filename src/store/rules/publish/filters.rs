//! Which of the webhooks that subscribe to an event get it, by their payload filters.

use std::sync::Arc;

use crate::domain::event::Attributes;
use crate::domain::id::{ByEndpoint, EndpointNo};
use crate::domain::webhook::filter::{Filter, Judge, Subject, Verdict};

/// Filters by their webhooks.
pub(in crate::store) type Filters = ByEndpoint<Arc<Filter>>;

/// What of an event filters see. `data` is as the dialect prints it.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Facts<'a> {
    pub(in crate::store) kind: &'a str,
    pub(in crate::store) data: &'a [u8],
    pub(in crate::store) attributes: &'a Attributes,
}

/// Leaves the webhooks in `found` that get an event: those without a filter, and those whose filter matches. The event is read
/// once, and only when some webhook in `found` has a filter. A filter that cannot judge the event lets it through.
pub(in crate::store) fn keep_matching(found: &mut Vec<EndpointNo>, filters: &Filters, event: Facts<'_>) {
    let count = if filters.is_empty() { 0 } else { found.iter().filter(|no| filters.contains_key(no)).count() };
    if count == 0 {
        return;
    }
    let Ok(subject) = Subject::read(event.kind, event.data, event.attributes) else { return };
    let mut judge = Judge::of_many(&subject, count);
    found.retain(|no| filters.get(no).is_none_or(|filter| judge.verdict(filter) != Verdict::Differs));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(filters: &[(u32, &str)], data: &str) -> Vec<u32> {
        let parsed = filters.iter().map(|(no, text)| (EndpointNo(*no), Arc::new(Filter::parse(text).expect("a filter"))));
        let mut found = vec![EndpointNo(1), EndpointNo(2), EndpointNo(3)];
        let (attributes, filters) = (Attributes::from([("n".into(), "7".into())]), parsed.collect());
        keep_matching(&mut found, &filters, Facts { kind: "a.b", data: data.as_bytes(), attributes: &attributes });
        found.into_iter().map(|no| no.0).collect()
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
}
