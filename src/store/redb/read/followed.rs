//! What is shown of changes, and what passed since a reader was here last.
//!
//! The newest attempts are in the tail of the index in the order of commits, across restarts too. Older ones are found by the index,
//! which has them in the order of their starts.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use super::Reader;
use super::snapshot::{IdAndType, LOOK, Snapshot};
use crate::domain::id::{AttemptKey, DeliveryKey, EndpointNo, EventKey};
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::message::change::{Advance, Change, Ended, EndedAt, Missed, Passed, Unsent};
use crate::store::message::view::{Of, View, status};
use crate::store::record::key::{
    AttemptIndexKey, DueKey, Scope, attempt_index_key, due_key, read_attempt_index_key, read_due_key,
};
use crate::store::redb::schema::{self, ATTEMPT_INDEX, UNSENT};
use crate::store::shared::index_tail::EndedAttempt;

impl Reader {
    /// The first of these changes with all that is shown of them, and how many they are. What they kept of responses takes little more
    /// than [`BYTES_MAX`]. A row is missed of which the log does not hold the event or the attempt any more.
    pub(in crate::store) fn passed(&self, changes: &[Change]) -> Result<(Advance, usize), Error> {
        let snapshot = Snapshot::of(self, &[])?;
        let (mut names, mut taken, mut count, mut bytes) = (HashMap::new(), Advance::default(), 0, 0);
        for change in changes {
            if bytes > BYTES_MAX {
                break;
            }
            let passed = snapshot.passed(change, &mut names)?;
            let shown = passed.as_ref().map_or(0, Passed::rows);
            bytes += passed.as_ref().map_or(0, Passed::bytes);
            taken.passed.extend(passed);
            if shown < change.rows() {
                taken.missed.push(Missed { endpoint: change.endpoint.clone(), rows: change.rows() - shown });
            }
            taken.reached = Some(change.reached);
            count += 1;
        }
        Ok((taken, count))
    }

    /// The attempts with numbers past `after`, up to `up_to`, that lists of `of` show, in the order of commits. A call looks at a
    /// bounded number. `None`: not all of them are known by their numbers any more.
    pub(crate) fn ended_after(&self, of: &Of, after: u64, up_to: u64) -> Option<Ended> {
        let scopes: HashSet<Scope> = self.delivery_scopes(of).into_iter().collect();
        let most = usize::try_from(up_to.saturating_sub(after)).unwrap_or(usize::MAX).min(LOOK);
        let looked = self.shared.tail_mut().ended_after(after, most)?.to_vec();
        let is_theirs = |ended: &EndedAttempt| ended.scopes().iter().any(|scope| scopes.contains(scope));
        let numbered = (after + 1..).zip(&looked).filter(|(_, ended)| is_theirs(ended));
        let attempts = numbered.map(|(number, ended)| (number, ended.key)).collect();
        Some(Ended { attempts, looked_to: after + looked.len() as u64 })
    }

    /// At most `limit` attempts that lists of `of` show and that started past `after` and before `end`, in the order of their starts.
    pub(crate) fn started_after(
        &self,
        of: &Of,
        after: AttemptKey,
        end: Timestamp,
        limit: usize,
    ) -> Result<Vec<AttemptKey>, Error> {
        let scopes = self.delivery_scopes(of);
        // An attempt leaves the tail after the commit that puts it into the index, so it is here or in the snapshot.
        let in_tail = self.ended_in(&scopes);
        let snapshot = Snapshot::of(self, &[])?;
        let table = schema::read(snapshot.txn(), ATTEMPT_INDEX)?;
        let mut found: BTreeSet<AttemptKey> = in_tail.into_iter().filter(|key| *key > after && key.started_at < end).collect();
        for scope in scopes {
            let first = attempt_index_key(scope, after);
            let last = attempt_index_key(scope, AttemptKey { started_at: end, ..LEAST });
            if first >= last {
                continue;
            }
            let rows = table.range::<&AttemptIndexKey>((Bound::Excluded(&first), Bound::Excluded(&last)))?;
            for row in rows {
                let key = read_attempt_index_key(row?.0.value());
                // Those behind it in this scope are later still.
                if found.len() >= limit && found.last().is_none_or(|latest| key > *latest) {
                    break;
                }
                found.insert(key);
                if found.len() > limit {
                    found.pop_last();
                }
            }
        }
        Ok(found.into_iter().take(limit).collect())
    }

    /// At most `limit` deliveries that lists of `of` show and that ended without an attempt behind `after` and up to `last`, in the order
    /// of their ends. A call looks at a bounded number.
    pub(crate) fn unsent_after(&self, of: &Of, after: EndedAt, last: Timestamp, limit: usize) -> Result<Unsent, Error> {
        let scopes: HashSet<Scope> = self.delivery_scopes(of).into_iter().collect();
        let snapshot = Snapshot::of(self, &[])?;
        let mut unsent = Unsent::default();
        let (first, last) = (due_key(after.0, after.1), due_key(last, MOST));
        if first >= last {
            return Ok(unsent);
        }
        let table = schema::read(snapshot.txn(), UNSENT)?;
        for row in table.range::<&DueKey>((Bound::Excluded(&first), Bound::Included(&last)))?.take(LOOK) {
            let (at, key) = read_due_key(row?.0.value());
            let owner = snapshot.webhook(key.endpoint)?.map(|endpoint| Scope::Tenant(endpoint.tenant_no));
            let is_theirs = scopes.contains(&Scope::Endpoint(key.endpoint)) || owner.is_some_and(|owner| scopes.contains(&owner));
            unsent.deliveries.extend(is_theirs.then_some(key));
            unsent.looked_to = Some((at, key));
            if unsent.deliveries.len() == limit {
                break;
            }
        }
        Ok(unsent)
    }
}

impl Snapshot<'_> {
    /// A change with all that is shown of it. `None`: its event is gone. `names` keeps what was read of events.
    fn passed(&self, change: &Change, names: &mut HashMap<EventKey, IdAndType>) -> Result<Option<Passed>, Error> {
        let Some((event_id, kind)) = self.known_name(change.delivery.key.event, names)? else { return Ok(None) };
        let attempt = match change.attempt {
            Some(key) => self.whole_attempt(key)?.map(|attempt| (key, attempt)),
            None => None,
        };
        let status = status(&change.delivery, change.endpoint.is_active());
        let (delivery, endpoint, error) = (change.delivery.clone(), change.endpoint.clone(), change.error);
        let view = View { delivery, event_id, kind, endpoint, status, error };
        Ok(Some(Passed { view, attempt, reached: change.reached }))
    }

    fn known_name(&self, event: EventKey, names: &mut HashMap<EventKey, IdAndType>) -> Result<Option<IdAndType>, Error> {
        if let Some(known) = names.get(&event) {
            return Ok(Some(known.clone()));
        }
        let name = self.event_name(event)?;
        name.iter().for_each(|name| drop(names.insert(event, name.clone())));
        Ok(name)
    }
}

/// When responses of so many bytes were read, the rest is left for the next time.
const BYTES_MAX: usize = 1 << 20;

/// The last delivery that there could be.
const MOST: DeliveryKey = DeliveryKey { event: EventKey::MAX, endpoint: EndpointNo(u32::MAX) };

/// The first attempt that there could be.
pub(in crate::store) const LEAST: AttemptKey = AttemptKey::first_at(Timestamp::EPOCH);
