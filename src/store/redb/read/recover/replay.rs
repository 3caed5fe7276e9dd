//! The pieces of a replay's walk: which deliveries match, the oldest event first.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::message::replay::walk::Course;
use crate::store::message::replay::{Replay, ReplayFilter, WalkPiece};
use crate::store::record::key::{IndexKey, Scope, index_key, read_index_key};
use crate::store::redb::read::Reader;
use crate::store::redb::read::snapshot::Snapshot;
use crate::store::redb::schema::{self, INDEX};

/// A course of a walk over deliveries, and where it stands.
#[derive(Clone, Debug)]
pub(in crate::store) struct Way {
    filter: ReplayFilter,
    scope: Scope,
    /// Only what had ended by this time matches.
    asked_at: Timestamp,
    pub(in crate::store) after: DeliveryKey,
    last: EventKey,
    /// Webhooks whose deliveries another course looks at.
    without: BTreeSet<EndpointNo>,
}

impl Way {
    pub(in crate::store) fn of(replay: &Replay, course: Course) -> Self {
        let (filter, (after, last)) = (replay.filter.clone(), replay.walk.stretch(course));
        let scope = course.map_or_else(|| scope_of(&filter, replay.tenant), Scope::Endpoint);
        let without = if course.is_none() { replay.walk.behind.keys().copied().collect() } else { BTreeSet::new() };
        Self { filter, scope, asked_at: replay.asked_at, after, last, without }
    }

    /// The walk of a replay that is not begun yet, and was asked for at `asked_at`.
    pub(in crate::store) fn whole(filter: ReplayFilter, tenant: TenantNo, asked_at: Timestamp) -> Self {
        let (before, last) = filter.events();
        let after = DeliveryKey { event: before, endpoint: EndpointNo(u32::MAX) };
        Self { scope: scope_of(&filter, tenant), filter, asked_at, after, last, without: BTreeSet::new() }
    }
}

fn scope_of(filter: &ReplayFilter, tenant: TenantNo) -> Scope {
    filter.webhook.as_ref().map_or(Scope::Tenant(tenant), |(no, _)| Scope::Endpoint(*no))
}

impl Reader {
    /// The next piece of a walk, with at most `limit` deliveries, up to before the next that matches. Deliveries of webhooks that are
    /// not active do not match.
    pub(in crate::store) fn to_replay(&self, way: &Way, limit: usize) -> Result<WalkPiece, Error> {
        let snapshot = Snapshot::of(self, &[way.scope])?;
        let look = limit.saturating_mul(LOOKED).clamp(LOOK_MIN, LOOK);
        let (keys, is_last) = snapshot.delivery_keys_behind(way.scope, way.after, way.last, look)?;
        let mut piece = WalkPiece { found: Vec::new(), up_to: way.after, is_last: false };
        let mut kinds = Kinds::default();
        for key in keys {
            if kinds.read >= EVENTS_READ {
                return Ok(piece);
            }
            if snapshot.is_replayed(key, way, &mut kinds)? {
                if piece.found.len() == limit {
                    return Ok(piece);
                }
                piece.found.push(key);
            }
            piece.up_to = key;
        }
        Ok(WalkPiece { is_last, ..piece })
    }
}

/// The events whose types a piece has looked at. Keys come by event, so the last one answers for all deliveries of its event.
#[derive(Debug, Default)]
struct Kinds {
    last: Option<(EventKey, bool)>,
    read: usize,
}

impl Kinds {
    /// Whether an event is of the wanted type. `read` is called where the event is not the last one.
    fn has(&mut self, event: EventKey, read: impl FnOnce() -> Result<bool, Error>) -> Result<bool, Error> {
        if let Some((_, is_wanted)) = self.last.filter(|(last, _)| *last == event) {
            return Ok(is_wanted);
        }
        let is_wanted = read()?;
        (self.last, self.read) = (Some((event, is_wanted)), self.read + 1);
        Ok(is_wanted)
    }
}

impl Snapshot<'_> {
    fn is_replayed(&self, key: DeliveryKey, way: &Way, kinds: &mut Kinds) -> Result<bool, Error> {
        let is_active = self.shared().webhook_no(key.endpoint).is_some_and(|endpoint| endpoint.is_active());
        // The replay of one webhook stops with it, so it leaves nothing out.
        if way.without.contains(&key.endpoint) || (!is_active && way.filter.webhook.is_none()) {
            return Ok(false);
        }
        if !self.row(key)?.is_some_and(|(delivery, _)| way.filter.takes(&delivery, way.asked_at)) {
            return Ok(false);
        }
        let Some(kind) = &way.filter.kind else { return Ok(true) };
        kinds.has(key.event, || Ok(self.event_name(key.event)?.is_some_and(|(_, name)| kind.matches(&name))))
    }

    /// Keys of a scope's deliveries behind `after` and up to the event `last`, the oldest event first, and whether no more come. Of the
    /// index at most `look` rows are read.
    fn delivery_keys_behind(
        &self,
        scope: Scope,
        after: DeliveryKey,
        last: EventKey,
        look: usize,
    ) -> Result<(BTreeSet<DeliveryKey>, bool), Error> {
        let seen = if let Scope::Endpoint(_) = scope { EndpointNo(u32::MAX) } else { after.endpoint };
        let (seen, last_row) = (index_key(scope, after.event, seen), index_key(scope, last, EndpointNo(u32::MAX)));
        let mut found = BTreeSet::new();
        if seen < last_row {
            let range = (Bound::Excluded(&seen), Bound::Included(&last_row));
            for row in schema::read(self.txn(), INDEX)?.range::<&IndexKey>(range)?.take(look) {
                found.insert(of_scope(scope, read_index_key(row?.0.value())));
            }
        }
        let is_whole = found.len() < look;
        let reach = found.last().copied().filter(|_| !is_whole);
        let is_here = |key: &DeliveryKey| *key > after && key.event <= last && reach.is_none_or(|reach| *key <= reach);
        found.extend(self.deliveries_in_tail().filter(is_here));
        Ok((found, is_whole))
    }
}

fn of_scope(scope: Scope, key: DeliveryKey) -> DeliveryKey {
    match scope {
        Scope::Endpoint(endpoint) => DeliveryKey { endpoint, ..key },
        Scope::Tenant(_) | Scope::Events(_) => key,
    }
}

/// The most rows of the index that one piece looks at.
const LOOK: usize = 2_000;

/// How many rows a piece looks at for each delivery that it may find, and the least that it looks at.
const LOOKED: usize = 4;
const LOOK_MIN: usize = 256;

/// The most events whose types one piece looks at. Each is read with its content, which may be a megabyte.
const EVENTS_READ: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_an_event_is_read_once_for_all_its_deliveries() {
        let mut kinds = Kinds::default();
        let found: Vec<bool> =
            [1, 1, 1, 2, 2, 3].map(|event| kinds.has(EventKey(event), || Ok(event != 2))).into_iter().flatten().collect();
        assert_eq!((found, kinds.read), (vec![true, true, true, false, false, true], 3));
    }
}
