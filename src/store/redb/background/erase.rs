//! What is left of a tenant that is being deleted goes, a slice in each commit: its deliveries and events, its connections and
//! idempotency keys, and what the log needed of its webhooks. At last its own row goes.
//!
//! Deliveries and events are found by the index, so that is whole first: no fan-out may still add to the tenant's events, and the tail
//! is written out. From the commit that deletes a tenant on nothing comes in for it. How far the deletion has come stands in the
//! tenant's row; after a crash it begins anew, and finds what is left.
//!
//! What the audit log says of the tenant stays, and so do the sums of statistics, which name its webhooks by numbers.

use std::ops::Bound;

use redb::ReadableTable;
use tracing::info;

use crate::domain::delivery::End;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::time::Timestamp;
use crate::store::error::{Error, intact};
use crate::store::record::key::{IndexKey, Scope, TimeKey, index_key, read_index_key, time_key};
use crate::store::record::{self, Named};
use crate::store::redb::batch::Batch;
use crate::store::redb::journaled_table::{Name, NameEnd};
use crate::store::redb::state::{Erased, RunningDeletion};
use crate::store::shared::index_tail::Entry as IndexEntry;
use crate::store::{Owned, Tenant};

impl Batch<'_, '_> {
    /// One slice of the deletion whose turn it is; while others wait for this commit, not in every one.
    pub(in crate::store) fn erase(&mut self, is_awaited: bool) -> Result<(), Error> {
        if self.memory.deletions.is_empty() || !self.memory.erase_pace.begin(self.steady, is_awaited) {
            return Ok(());
        }
        let Some(mut running) = self.memory.deletions.pop_front() else { return Ok(()) };
        if self.erase_slice(&mut running)? {
            return self.end_deletion(&running);
        }
        self.memory.deletions.push_back(running);
        Ok(())
    }

    /// True when nothing is left but the tenant's row.
    fn erase_slice(&mut self, running: &mut RunningDeletion) -> Result<bool, Error> {
        let is_done = match running.erased {
            Erased::Nothing => self.is_indexed_for(running),
            Erased::Waits => self.memory.flushing.is_none() && !self.after.flushed,
            Erased::Indexed => self.erase_deliveries(running)?,
            Erased::Deliveries => self.erase_events(running)?,
            Erased::Events => self.erase_names(running)?,
            Erased::Names => return self.erase_tombstones(running),
        };
        if is_done {
            running.erased = running.erased.next();
        }
        Ok(false)
    }

    /// Begins to write the tail of the index out, once no fan-out adds to it any more; true when that has begun.
    fn is_indexed_for(&mut self, running: &RunningDeletion) -> bool {
        let is_fanning = self.memory.fanouts.iter().any(|fanout| fanout.event <= running.until);
        // A flush that began before may lack entries of the tenant's last events.
        if is_fanning || self.memory.flushing.is_some() || self.after.flushed || self.known_key < running.until.0 {
            return false;
        }
        self.hurry_flush();
        true
    }

    /// A slice of the tenant's deliveries; true when there was none.
    fn erase_deliveries(&mut self, running: &mut RunningDeletion) -> Result<bool, Error> {
        let found = self.index_rows(Scope::Tenant(running.no))?;
        // Attempts that were under way may have ended since the tail was written out.
        let unlisted = self.unlisted_of(found.iter().map(|key| key.event));
        if found.iter().any(|key| unlisted.contains(key)) {
            self.hurry_flush();
            return Ok(false);
        }
        let piece = self.piece();
        for keys in found.chunk_by(|one, next| one.event == next.event) {
            if self.has_removed_enough() || self.is_spent(&piece) {
                break;
            }
            self.erase_of_event(running, keys)?;
        }
        self.note_deletion(running)?;
        Ok(found.is_empty())
    }

    /// Erases deliveries of one event, and the event with the last of them if it is the tenant's own.
    fn erase_of_event(&mut self, running: &mut RunningDeletion, keys: &[DeliveryKey]) -> Result<(), Error> {
        let mut counted = 0;
        for key in keys {
            counted += u32::from(self.erase_delivery(*key, running.no)?);
        }
        running.note(|deletion| deletion.deliveries += keys.len() as u64);
        let Some(mut stored) = keys.first().map_or(Ok(None), |key| self.event(key.event))? else { return Ok(()) };
        stored.removed += counted;
        if is_own(&stored.event, &running.tenant.owned) && stored.removed >= stored.deliveries {
            running.note(|deletion| deletion.events += u64::from(!stored.event.test));
            return self.remove_event(&stored, running.no);
        }
        self.put_event(&stored);
        Ok(())
    }

    /// Whether the event counted the delivery among its own.
    fn erase_delivery(&mut self, key: DeliveryKey, no: TenantNo) -> Result<bool, Error> {
        let Some((delivery, newest)) = self.delivery(key)? else {
            return self.unindex(IndexEntry::delivery(key, no)).map(|()| false);
        };
        let counts = !delivery.recovered;
        if delivery.is_pending() {
            self.end_waiting(delivery.clone(), newest.as_ref(), End::WebhookDeleted)?;
        }
        let attempts = self.logged(key, key)?.attempts;
        self.remove_delivery(&delivery, &attempts, no)?;
        Ok(counts)
    }

    /// A slice of the tenant's events; true when there was none.
    fn erase_events(&mut self, running: &mut RunningDeletion) -> Result<bool, Error> {
        let found = self.index_rows(Scope::Events(running.no))?;
        for key in &found {
            if self.has_removed_enough() {
                break;
            }
            let Some(stored) = self.event(key.event)? else {
                self.unindex(IndexEntry::event(key.event, running.no))?;
                continue;
            };
            // Deliveries that no index row names any more.
            let left = self.deliveries_of(key.event)?;
            for delivery in &left.deliveries {
                self.remove_delivery(delivery, &left.attempts, running.no)?;
            }
            self.remove_event(&stored, running.no)?;
            running.note(|deletion| deletion.events += 1);
        }
        self.note_deletion(running)?;
        Ok(found.is_empty())
    }

    /// The first rows of a list in the index.
    fn index_rows(&mut self, scope: Scope) -> Result<Vec<DeliveryKey>, Error> {
        let first = index_key(scope, EventKey::MIN, EndpointNo(0));
        let last = index_key(scope, EventKey::MAX, EndpointNo(u32::MAX));
        let mut found = Vec::new();
        for row in self.tables.index()?.range::<&IndexKey>(&first..=&last)?.take(SLICE) {
            found.push(read_index_key(row?.0.value()));
        }
        Ok(found)
    }

    /// A slice of the connections and idempotency keys under the tenant's name; true when all were looked at.
    fn erase_names(&mut self, running: &mut RunningDeletion) -> Result<bool, Error> {
        let Owned { provider, tenant } = &running.tenant.owned;
        let of_tenant = [provider.as_bytes(), &[0], tenant.as_bytes(), &[0]].concat();
        // Those of a tenant that the config file has made anew under the name stay.
        let is_known_by_name = self.shared.registry().tenant(provider, tenant) == Some(running.no);
        let connections = if is_known_by_name { self.connections_named(&of_tenant)? } else { Vec::new() };
        for name in &connections {
            self.tables.connection()?.remove(&**name)?;
        }
        let are_looked_at = self.erase_keys(running, &[b"k", &*of_tenant].concat())?;
        Ok(connections.is_empty() && are_looked_at)
    }

    /// A slice of the idempotency keys, each with the row that tells its end; true when all were looked at.
    fn erase_keys(&mut self, running: &mut RunningDeletion, first: &[u8]) -> Result<bool, Error> {
        let mut found = Vec::new();
        let (mut looked, mut last) = (0, std::mem::take(&mut running.name));
        let behind = last.clone();
        let from = if behind.is_empty() { Bound::Included(first) } else { Bound::Excluded(&*behind) };
        self.tables.each::<Name>((from, Bound::Unbounded), |name, row| {
            if !name.starts_with(first) {
                return Ok(false);
            }
            // A damaged one is left to retention. One that was used again meanwhile is that of another tenant under the name.
            let named = intact(Some(record::read_named(name, row)))?.filter(|named| named.event <= running.until.0);
            found.extend(named.map(|named| (name.to_vec(), end_of(&named))));
            (looked, last) = (looked + 1, name.to_vec());
            Ok(looked < NAMES && found.len() < SLICE)
        })?;
        for (name, end) in &found {
            self.tables.remove::<Name>(name)?;
            self.tables.remove::<NameEnd>(end)?;
        }
        running.name = last;
        Ok(looked == 0)
    }

    fn connections_named(&mut self, first: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let mut found = Vec::new();
        for row in self.tables.connection()?.range::<&[u8]>(first..)?.take(SLICE) {
            found.push(row?.0.value().to_vec());
        }
        found.retain(|name| name.starts_with(first));
        Ok(found)
    }

    /// Goes through a slice of all webhooks and removes what is left of the tenant's; true when all were looked at.
    fn erase_tombstones(&mut self, running: &mut RunningDeletion) -> Result<bool, Error> {
        let mut theirs = Vec::new();
        let mut last = None;
        for row in self.tables.endpoint()?.range(running.looked_at + 1..)?.take(WEBHOOKS) {
            let (no, row) = row?;
            last = Some(no.value());
            let facts = intact(Some(record::read_webhook_facts(EndpointNo(no.value()), row.value())))?;
            theirs.extend(facts.filter(|facts| facts.tenant_no == running.no).map(|_| no.value()));
        }
        for no in theirs {
            self.tables.endpoint()?.remove(no)?;
            self.memory.backlogs.remove(&EndpointNo(no));
        }
        running.looked_at = last.unwrap_or(running.looked_at);
        Ok(last.is_none())
    }

    /// Writes down how far the deletion has come.
    fn note_deletion(&mut self, running: &RunningDeletion) -> Result<(), Error> {
        self.write_tenant(running.no, &running.tenant)
    }

    fn end_deletion(&mut self, RunningDeletion { no, tenant, .. }: &RunningDeletion) -> Result<(), Error> {
        self.tables.tenant()?.remove(no.0)?;
        let (no, Tenant { owned, deletion, .. }, shared) = (*no, tenant.clone(), self.shared.clone());
        self.answer(move || {
            shared.registry_mut().drop_tenant(no, &owned);
            let (events, deliveries) = deletion.map_or((0, 0), |deletion| (deletion.events, deletion.deliveries));
            info!(tenant = %format_args!("{}/{}", owned.provider, owned.tenant), events, deliveries, "a tenant was deleted");
        });
        Ok(())
    }
}

/// Whether an event is of this tenant alone.
fn is_own(event: &crate::domain::event::Event, owned: &Owned) -> bool {
    *event.provider == *owned.provider && event.tenant.as_deref() == Some(&*owned.tenant)
}

/// The key of the row that tells when an idempotency key ends.
fn end_of(named: &Named) -> TimeKey {
    time_key(Timestamp::from_millis(named.until), EventKey(named.event))
}

/// Deliveries, events or names in one commit.
const SLICE: usize = 500;

/// Idempotency keys looked at in one commit.
const NAMES: usize = 5_000;

/// Webhooks looked at in one commit.
const WEBHOOKS: usize = 2_000;
