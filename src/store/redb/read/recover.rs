//! Finds what failed or was missed in a window of time, a slice at a time. Each slice is read in a snapshot of its own and brought
//! back before the next one is looked for, so that neither memory nor the file grows with the window.

pub(in crate::store) mod replay;

use super::Reader;
use super::snapshot::Snapshot;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::message::command::Recovered;
use crate::store::record::key::Scope;
use crate::store::{Error, Owned};

/// What a walk looks for.
#[derive(Clone, Copy)]
pub(in crate::store) enum Walk {
    Failed,
    Missed,
}

/// A piece of a walk over events, oldest first.
#[derive(Debug, PartialEq)]
pub(in crate::store) struct Piece<T> {
    pub(in crate::store) found: Vec<T>,
    /// The event behind which the next piece begins. `None` when this piece is the last.
    pub(in crate::store) next: Option<EventKey>,
}

impl Reader {
    /// The next piece of what a walk over a window of events finds. The window begins behind its first key.
    pub(in crate::store) fn to_recover(
        &self,
        no: EndpointNo,
        walk: Walk,
        window: (EventKey, EventKey),
    ) -> Result<Piece<Recovered>, Error> {
        let Some(endpoint) = self.shared.webhook_no(no) else { return Ok(Piece { found: Vec::new(), next: None }) };
        let owned = Owned { provider: endpoint.provider.clone(), tenant: endpoint.tenant.clone() };
        let scopes = match walk {
            Walk::Failed => vec![Scope::Endpoint(no)],
            Walk::Missed => self.event_scopes(&owned),
        };
        let snapshot = Snapshot::of(self, &scopes)?;
        let lists = scopes.iter().map(|scope| snapshot.event_keys(*scope, window, SLICE)).collect::<Result<_, _>>()?;
        let Piece { found, next } = merged(lists, SLICE);
        let mut brought = Vec::new();
        for event in found {
            brought.extend(match walk {
                Walk::Failed => snapshot.failed(DeliveryKey { event, endpoint: no })?,
                Walk::Missed => snapshot.missed(event, &endpoint)?,
            });
        }
        Ok(Piece { found: brought, next })
    }
}

impl Snapshot<'_> {
    fn failed(&self, key: DeliveryKey) -> Result<Option<Recovered>, Error> {
        let comes_back = self.row(key)?.is_some_and(|(delivery, _)| delivery.is_recoverable());
        Ok(comes_back.then_some(Recovered::Failed(key)))
    }

    /// An event that the webhook matches now and has no delivery for. One of which some deliveries are gone already may have been
    /// delivered to a webhook as old as it.
    fn missed(&self, key: EventKey, endpoint: &Endpoint) -> Result<Option<Recovered>, Error> {
        let Some(stored) = self.event(key)? else { return Ok(None) };
        let link = self.shared().dialect(&endpoint.provider).link(&stored.event.attributes);
        let routed = link.is_none_or(|link| *link == *endpoint.definition.name);
        let perhaps_had = stored.removed > 0 && endpoint.created_at <= key.time();
        let passes = || endpoint.definition.settings.lets_through(&stored.event);
        let wanted = endpoint.wants(&stored.event.kind) && routed && !perhaps_had && passes();
        let missed = wanted && self.delivery(DeliveryKey { event: key, endpoint: endpoint.no })?.is_none();
        Ok(missed.then_some(Recovered::Missed(key)))
    }
}

/// The keys of several lists in one order, none twice, as far as all of them are known: a list of `limit` or more may go on.
fn merged(lists: Vec<Vec<EventKey>>, limit: usize) -> Piece<EventKey> {
    let mut found = Vec::new();
    let mut next: Option<EventKey> = None;
    for mut list in lists {
        list.sort_unstable();
        list.truncate(limit);
        if list.len() == limit {
            let last = list.last().copied();
            next = next.map_or(last, |next| last.map(|last| last.min(next)));
        }
        found.extend(list);
    }
    found.retain(|key| next.is_none_or(|next| *key <= next));
    found.sort_unstable();
    found.dedup();
    Piece { found, next }
}

/// Events looked at in one transaction.
const SLICE: usize = 1_000;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_walk_in_pieces_sees_each_event_once_and_in_order(
            lists in prop::collection::vec(prop::collection::btree_set(1..200_u64, 0..60), 1..4),
            limit in 1..20_usize,
        ) {
            let (mut seen, mut after) = (Vec::new(), Some(EventKey(0)));
            while let Some(from) = after {
                // As the index gives them, or with all of a tail behind it.
                let behind = |list: &BTreeSet<u64>| list.range(from.0 + 1..).rev().map(|key| EventKey(*key)).collect();
                let piece = merged(lists.iter().map(behind).collect(), limit);
                prop_assert!(piece.found.len() <= limit * lists.len());
                seen.extend(piece.found);
                after = piece.next;
            }
            let all: BTreeSet<u64> = lists.into_iter().flatten().collect();
            prop_assert_eq!(seen, all.into_iter().map(EventKey).collect::<Vec<_>>());
        }
    }
}
