//! Which webhooks want which event types, and which are called what.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use crate::domain::id::EndpointNo;
use crate::domain::webhook::endpoint::Endpoint;
use crate::domain::webhook::pattern::Pattern;
use crate::store::rules::publish::filters::Narrowing;

/// Which webhooks want which event types, so that an event finds its webhooks among any number.
#[derive(Default)]
pub(super) struct Subscriptions {
    pub(super) all: BTreeSet<EndpointNo>,
    pub(super) by_pattern: HashMap<Box<str>, BTreeSet<EndpointNo>>,
    /// The webhooks that have a name, by their names.
    pub(super) named: HashMap<Box<str>, BTreeSet<EndpointNo>>,
    /// The webhooks that have a uid, by their uids.
    pub(super) uids: HashMap<Box<str>, BTreeSet<EndpointNo>>,
    /// The settings of the webhooks that leave out some events that they subscribe to.
    pub(super) narrowing: Narrowing,
}

impl Subscriptions {
    pub(super) fn add(&mut self, endpoint: &Endpoint) {
        self.all.insert(endpoint.no);
        if !endpoint.definition.name.is_empty() {
            self.named.entry(endpoint.definition.name.clone()).or_default().insert(endpoint.no);
        }
        if let Some(uid) = &endpoint.definition.settings.uid {
            self.uids.entry(uid.as_str().into()).or_default().insert(endpoint.no);
        }
        if endpoint.definition.settings.narrows() {
            self.narrowing.insert(endpoint.no, endpoint.definition.settings.clone());
        }
        let wanted = endpoint.definition.events.iter().filter(|_| endpoint.is_subscribed());
        for pattern in wanted {
            self.by_pattern.entry(pattern.to_string().into()).or_default().insert(endpoint.no);
        }
    }

    pub(super) fn drop(&mut self, endpoint: &Endpoint) {
        self.all.remove(&endpoint.no);
        self.narrowing.remove(&endpoint.no);
        take_out(&mut self.named, &endpoint.definition.name, endpoint.no);
        if let Some(uid) = &endpoint.definition.settings.uid {
            take_out(&mut self.uids, uid.as_str(), endpoint.no);
        }
        for text in endpoint.definition.events.iter().map(Pattern::to_string) {
            take_out(&mut self.by_pattern, &text, endpoint.no);
        }
    }

    pub(super) fn after(&self, after: EndpointNo) -> impl Iterator<Item = EndpointNo> {
        self.all.range((Bound::Excluded(after), Bound::Unbounded)).copied()
    }

    pub(super) fn matching(&self, kind: &str, after: EndpointNo) -> Vec<EndpointNo> {
        let mut found = Vec::new();
        for pattern in patterns_for(kind) {
            let held = self.by_pattern.get(&*pattern);
            found.extend(held.into_iter().flat_map(|held| held.range((Bound::Excluded(after), Bound::Unbounded))));
        }
        found.sort_unstable();
        found.dedup();
        found
    }
}

fn take_out(from: &mut HashMap<Box<str>, BTreeSet<EndpointNo>>, text: &str, no: EndpointNo) {
    let Some(held) = from.get_mut(text) else { return };
    held.remove(&no);
    if held.is_empty() {
        from.remove(text);
    }
}

/// Every pattern that matches an event type: its name, `*`, and `prefix.*` for each of its dots.
fn patterns_for(kind: &str) -> impl Iterator<Item = std::borrow::Cow<'_, str>> {
    let prefixes = kind.match_indices('.').map(|(dot, _)| format!("{}.*", &kind[..dot]).into());
    [kind.into(), "*".into()].into_iter().chain(prefixes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_that_matches_a_type_is_looked_up() {
        let found: Vec<String> = patterns_for("a.b.c").map(|p| p.into_owned()).collect();
        assert_eq!(found, ["a.b.c", "*", "a.*", "a.b.*"]);
        assert!(found.iter().all(|text| Pattern::parse(text).expect("a pattern").matches("a.b.c")));
    }
}
