//! Tenants whose events are kept for another time than those of others.
//!
//! The pass over all events ([`sweep`](super::retention)) comes too late for a tenant with a shorter retention, and what it noted before
//! a change would be looked at again too late or too early. So each such tenant has a pass of its own over its part of the index, in
//! the order of its events, from the newest event that it looked at, which its row tells, up to those that are as old as its
//! retention. A changed retention begins the pass anew, so that it counts for what stands; when it was taken away, the pass goes once
//! more over what is as old as everybody's retention. Where no tenant has a retention of its own, nothing of this costs anything.

use std::collections::HashMap;
use std::time::Duration;

use redb::ReadableTable;

use crate::domain::delivery::Delivery;
use crate::domain::event::Event;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::store::error::{Error, intact};
use crate::store::record;
use crate::store::record::key::{IndexKey, Scope, index_key, read_index_key};
use crate::store::redb::batch::Batch;
use crate::store::redb::state::ages::Age;
use crate::store::rules::retention::{self, Removal};
use crate::store::{Tenant, listed_under};

/// How far a slice of one tenant's events came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Came {
    ToTheEnd,
    /// There is more, or the index must first be written up to what is old enough.
    Short,
}

/// Some of a tenant's events, oldest first.
struct Slice {
    events: Vec<EventKey>,
    /// Whether there are more that are old enough.
    more: bool,
}

impl Batch<'_, '_> {
    /// A slice of the pass over the tenants with a retention of their own; true when there is more.
    pub(in crate::store) fn sweep_own_ages(&mut self, begins: bool) -> Result<bool, Error> {
        if begins {
            self.memory.ages.begin();
        }
        let piece = self.piece();
        for _ in 0..TENANTS {
            let Some(no) = self.memory.ages.left.last().copied() else { return Ok(false) };
            if self.has_removed_enough() || self.is_spent(&piece) || self.sweep_tenant(no)? == Came::Short {
                return Ok(true);
            }
            self.memory.ages.left.pop();
        }
        Ok(!self.memory.ages.left.is_empty())
    }

    /// Looks at the next events of a tenant that are as old as its retention.
    fn sweep_tenant(&mut self, no: TenantNo) -> Result<Came, Error> {
        let Some(age) = self.memory.ages.own.get(&no).copied() else { return Ok(Came::ToTheEnd) };
        let newest = retention::oldest_kept(age.retention.unwrap_or(self.memory.limits.retention), self.now);
        let up_to = newest.min(EventKey(self.memory.counters.indexed));
        let Slice { events, more } = self.events_of_tenant(no, age.swept, up_to)?;
        let unlisted = self.unlisted_of(events.iter().copied());
        let is_flushing = self.memory.flushing.is_some();
        if !unlisted.is_empty() && is_flushing {
            self.hurry_flush();
            return Ok(Came::Short);
        }
        let (mut swept, mut left) = (age.swept, events.len());
        for event in events {
            if self.has_removed_enough() {
                break;
            }
            self.look_again(event, &unlisted, Removal::Aged)?;
            (swept, left) = (event, left - 1);
        }
        let waits = newest > up_to && is_flushing;
        let came = if left == 0 && !more && !waits { Came::ToTheEnd } else { Came::Short };
        let is_over = came == Came::ToTheEnd && up_to == newest && age.retention.is_none();
        self.note_age(no, Age { swept, ..age }, is_over)?;
        Ok(came)
    }

    /// Writes down how far a tenant's pass came, if it moved.
    fn note_age(&mut self, no: TenantNo, age: Age, is_over: bool) -> Result<(), Error> {
        let before = self.memory.ages.own.get(&no).copied();
        if before == Some(age) && !is_over {
            return Ok(());
        }
        let row = self.tables.tenant()?.get(no.0)?.map(|row| record::read_tenant(no, row.value()));
        match intact(row)? {
            Some(tenant) => self.write_tenant(no, &Tenant { aged: (!is_over).then_some(age.swept), ..tenant }),
            // A damaged row says nothing of its retention any more.
            None => {
                self.memory.ages.own.remove(&no);
                Ok(())
            }
        }
    }

    /// The next events behind `after` and up to `up_to` that a tenant has, or of which it has deliveries: tests are in no list of events.
    fn events_of_tenant(&mut self, no: TenantNo, after: EventKey, up_to: EventKey) -> Result<Slice, Error> {
        let (mut events, mut whole_to) = (Vec::new(), up_to);
        if after >= up_to {
            return Ok(Slice { events, more: false });
        }
        for scope in [Scope::Events(no), Scope::Tenant(no)] {
            let first = index_key(scope, EventKey(after.0 + 1), EndpointNo(0));
            let last = index_key(scope, up_to, EndpointNo(u32::MAX));
            let before = events.len();
            for row in self.tables.index()?.range::<&IndexKey>(&first..=&last)?.take(SLICE) {
                events.push(read_index_key(row?.0.value()).event);
            }
            if events.len() - before == SLICE {
                whole_to = whole_to.min(events.last().copied().unwrap_or(up_to));
            }
        }
        events.retain(|event| *event <= whole_to);
        events.sort_unstable();
        events.dedup();
        Ok(Slice { events, more: whole_to < up_to })
    }

    /// How long an event and each of these deliveries are kept.
    pub(in crate::store) fn kept_for(&mut self, event: &Event, rows: &[Delivery]) -> Result<KeptFor, Error> {
        let all = self.memory.limits.retention;
        if self.memory.ages.is_empty() {
            return Ok(KeptFor { event: all, deliveries: HashMap::new() });
        }
        let no = self.tenant_no(&event.provider, listed_under(event.tenant.as_deref()))?;
        if event.tenant.is_some() {
            let event = self.memory.ages.of(no).unwrap_or(all);
            return Ok(KeptFor { event, deliveries: HashMap::new() });
        }
        // Of an event for all tenants each delivery is its own tenant's.
        let mut deliveries = HashMap::new();
        for delivery in rows {
            let owner = self.owner(delivery.key.endpoint)?;
            deliveries.extend(self.memory.ages.of(owner).map(|own| (delivery.key.endpoint, own)));
        }
        Ok(KeptFor { event: all, deliveries })
    }

    /// How long a delivery is kept, and the newest event that a pass which takes it has looked at.
    pub(in crate::store) fn age_of(&mut self, delivery: DeliveryKey) -> Result<(Duration, EventKey), Error> {
        let (all, swept) = (self.memory.limits.retention, EventKey(self.memory.counters.swept));
        if self.memory.ages.is_empty() {
            return Ok((all, swept));
        }
        let owner = self.owner(delivery.endpoint)?;
        let own = self.memory.ages.own.get(&owner);
        Ok(own.map_or((all, swept), |own| (own.retention.unwrap_or(all), own.swept.max(swept))))
    }

    /// How long what is held for a tenant waits.
    pub(in crate::store) fn held_for(&self, no: TenantNo) -> Duration {
        self.memory.ages.of(no).unwrap_or(self.memory.limits.retention)
    }
}

/// How long an event is kept, and those of its deliveries for which that is another time.
#[derive(Debug)]
pub(in crate::store) struct KeptFor {
    pub(in crate::store) event: Duration,
    deliveries: HashMap<EndpointNo, Duration>,
}

impl KeptFor {
    pub(in crate::store) fn of(&self, delivery: DeliveryKey) -> Duration {
        self.deliveries.get(&delivery.endpoint).copied().unwrap_or(self.event)
    }
}

/// Tenants looked at in one commit.
const TENANTS: usize = 256;

/// Rows of a list of the index that are looked at in one commit.
const SLICE: usize = 256;
