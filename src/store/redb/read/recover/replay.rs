//! The pieces of a replay's walk: which deliveries match, the oldest event first.

use std::collections::BTreeSet;
use std::ops::Bound;

use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::message::replay::{Replay, ReplayFilter, WalkPiece};
use crate::store::record::key::{IndexKey, Scope, index_key, read_index_key};
use crate::store::redb::read::Reader;
use crate::store::redb::read::snapshot::Snapshot;
use crate::store::redb::schema::{self, INDEX};

/// A walk over deliveries, and where it stands.
#[derive(Clone, Debug)]
pub(in crate::store) struct Way {
    pub(in crate::store) filter: ReplayFilter,
    pub(in crate::store) tenant: TenantNo,
    /// Only what had ended by this time matches.
    pub(in crate::store) asked_at: Timestamp,
    pub(in crate::store) after: DeliveryKey,
    pub(in crate::store) last: EventKey,
}

impl Way {
    pub(in crate::store) fn of(replay: &Replay) -> Self {
        let (filter, asked_at) = (replay.filter.clone(), replay.no.asked_at());
        Self { filter, tenant: replay.tenant, asked_at, after: replay.walk.after, last: replay.walk.last }
    }

    /// The walk of a replay that is not asked for yet, and would be at `asked_at`.
    pub(in crate::store) fn whole(filter: ReplayFilter, tenant: TenantNo, asked_at: Timestamp) -> Self {
        let (before, last) = filter.events();
        let after = DeliveryKey { event: before, endpoint: EndpointNo(u32::MAX) };
        Self { filter, tenant, asked_at, after, last }
    }

    fn scope(&self) -> Scope {
        self.filter.webhook.as_ref().map_or(Scope::Tenant(self.tenant), |(no, _)| Scope::Endpoint(*no))
    }
}

impl Reader {
    /// The next piece of a walk, with at most `limit` deliveries. Deliveries of webhooks that are not active do not match.
    pub(in crate::store) fn to_replay(&self, way: &Way, limit: usize) -> Result<WalkPiece, Error> {
        let scope = way.scope();
        let snapshot = Snapshot::of(self, &[scope])?;
        let (keys, is_last) =
            snapshot.delivery_keys_behind(scope, way.after, way.last, limit.saturating_mul(LOOKED).clamp(LOOK_MIN, LOOK))?;
        let mut piece = WalkPiece { found: Vec::new(), up_to: way.after, is_last: false };
        for key in keys {
            if piece.found.len() == limit {
                return Ok(piece);
            }
            piece.up_to = key;
            if snapshot.is_replayed(key, way)? {
                piece.found.push(key);
            }
        }
        Ok(WalkPiece { is_last, ..piece })
    }
}

impl Snapshot<'_> {
    fn is_replayed(&self, key: DeliveryKey, way: &Way) -> Result<bool, Error> {
        let is_active = self.shared().webhook_no(key.endpoint).is_some_and(|endpoint| endpoint.is_active());
        // The replay of one webhook stops when that is not active; the writer says how.
        if !is_active && way.filter.webhook.is_none() {
            return Ok(false);
        }
        let takes = self.row(key)?.is_some_and(|(delivery, _)| way.filter.takes(&delivery, way.asked_at));
        match &way.filter.kind {
            Some(kind) if takes => Ok(self.event_name(key.event)?.is_some_and(|(_, name)| kind.matches(&name))),
            _ => Ok(takes),
        }
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
