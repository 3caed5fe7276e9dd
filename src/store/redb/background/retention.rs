//! What is removed, and when: finished deliveries by age, or before it when the store is over its bound.
//!
//! Events are looked at once, oldest first, when they are as old as the retention. Most of their deliveries ended long before
//! and go at once. An event with deliveries that ended late, or have not ended, is noted in `revisit` for the time when the
//! first of them may go. So the hot path writes no row for retention's sake.

mod held;

use std::collections::HashSet;
use std::ops::Bound;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use redb::ReadableTable;

use crate::domain::delivery::Delivery;
use crate::domain::id::{AttemptKey, DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::time::Timestamp;
use crate::store::error::{Error, intact};
use crate::store::record::StoredEvent;
use crate::store::record::key::{DELIVERY_ROW, DueKey, TimeKey, due_key, log_key, read_log_key, read_time_key, time_key};
use crate::store::redb::apply::publish::{NameOf, event_name};
use crate::store::redb::background::relist::attempt_in;
use crate::store::redb::batch::Batch;
use crate::store::redb::journaled_table::{Event, Log, Name, NameEnd};
use crate::store::redb::state::{EVERY, EVERY_WHEN_LOW};
use crate::store::rules::retention::{self, Ages, Kept, Looked, Removal, Then};
use crate::store::shared::index_tail::{EndedAttempt, Entry as IndexEntry, Indexed};
use crate::store::{listed_under, record};

/// What the log holds of one event, in the order of its deliveries.
#[derive(Default)]
pub(in crate::store) struct OfEvent {
    pub(in crate::store) deliveries: Vec<Delivery>,
    pub(in crate::store) attempts: Vec<AttemptKey>,
}

impl Batch<'_, '_> {
    /// A slice of retention, once a minute and as long as there is more.
    pub(in crate::store) fn sweep(&mut self) -> Result<(), Error> {
        let over = self.is_over();
        if self.shared.space.is_low() {
            self.memory.sweep.next = self.memory.sweep.next.min(self.steady + EVERY_WHEN_LOW);
        }
        let minute = self.steady >= self.memory.sweep.next;
        // Nothing goes for its age while nobody knows the time.
        let aging = self.memory.time.doubt().is_none();
        if minute {
            let low = self.shared.space.is_low();
            self.memory.sweep.next = self.steady + if low { EVERY_WHEN_LOW } else { EVERY };
            self.hurry_flush();
        }
        if minute && aging {
            self.close_idle_connections()?;
            self.memory.replays.forget_old(self.now - self.memory.limits.retention);
        }
        if aging && (minute || self.memory.sweep.is_first()) {
            self.forget_tombstones()?;
        }
        let due = aging && (minute || self.memory.sweep.more);
        if due || over {
            let names = due && self.forget_names()?;
            let hours = due && self.forget_hours()?;
            let unsent = due && self.forget_unsent()?;
            let audit = due && self.forget_audit(minute)?;
            let held = due && self.expire_held(minute || self.memory.sweep.is_first())?;
            let aged = due && self.sweep_aged()?;
            let own = due && self.sweep_own_ages(minute || self.memory.sweep.is_first())?;
            let evicted = over && self.evict_in_turn()?;
            self.memory.sweep.more = names || hours || unsent || audit || held || aged || own || evicted;
            self.memory.sweep.begun |= due;
        } else if !aging {
            // What is left waits for the first minute after the doubt: a writer that looked at once again would never sleep.
            self.memory.sweep.more = false;
        }
        if !over {
            self.shared.full.store(false, Relaxed);
        }
        Ok(())
    }

    /// Squeezes until all was gone through in vain: then what is unfinished fills the store, until a later pass frees some.
    fn evict_in_turn(&mut self) -> Result<bool, Error> {
        if self.steady < self.memory.sweep.rests_until {
            return Ok(false);
        }
        let before = self.after.removed;
        let more = self.evict()?;
        if self.after.removed > before {
            self.shared.full.store(false, Relaxed);
        } else if !more || self.is_far_over() {
            self.shared.full.store(true, Relaxed);
        }
        if !more {
            self.memory.sweep.rests_until = self.steady + AFTER_VAIN;
        }
        Ok(more)
    }

    /// What comes in is faster than the look for what may go.
    fn is_far_over(&self) -> bool {
        let most = self.memory.limits.max_bytes;
        retention::is_far_over(self.allocated(), most)
    }

    /// Notes that an event is to be looked at again.
    pub(in crate::store) fn revisit(&mut self, event: EventKey, at: Timestamp) -> Result<(), Error> {
        self.tables.revisit()?.insert(&time_key(at, event), ())?;
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.allocated() > self.memory.limits.max_bytes
    }

    /// The bytes that the store takes of the disk, as this batch leaves it.
    pub(in crate::store) fn allocated(&self) -> u64 {
        let live_bytes = self.memory.counters.live_bytes.saturating_add_signed(self.tables.grown());
        retention::allocated(live_bytes, self.shared.space.journal_bytes(), self.memory.limits.max_bytes)
    }

    /// Looks at the events that have come of age; true when there are more, or the index must first be written up to them.
    fn sweep_aged(&mut self) -> Result<bool, Error> {
        let newest = retention::oldest_kept(self.memory.limits.retention, self.now).0;
        let again = self.due_revisits()?;
        let came = self.next_events(self.memory.counters.swept, newest.min(self.memory.counters.indexed))?;
        let more = came.len() + again.len() >= SLICE || (newest > self.memory.counters.indexed && self.memory.flushing.is_some());
        let unlisted = self.unlisted_of(again.iter().map(|key| read_time_key(key).1).chain(came.iter().copied()));
        if !unlisted.is_empty() && self.memory.flushing.is_some() {
            self.hurry_flush();
            return Ok(true);
        }
        for key in again {
            if self.has_removed_enough() {
                return Ok(true);
            }
            self.tables.revisit()?.remove(&key)?;
            self.look_again(read_time_key(&key).1, &unlisted, Removal::Aged)?;
        }
        for event in came {
            if self.has_removed_enough() {
                return Ok(true);
            }
            self.look_again(event, &unlisted, Removal::Aged)?;
            self.memory.counters.swept = event.0;
        }
        Ok(more)
    }

    /// Removes the oldest finished deliveries before their age; false when there are none left.
    fn evict(&mut self) -> Result<bool, Error> {
        self.hurry_flush();
        let came = self.next_events(self.memory.counters.swept, self.memory.counters.indexed)?;
        let none_came = came.is_empty();
        let unlisted = self.unlisted_of(came.iter().copied());
        for event in came {
            if self.has_removed_enough() {
                return Ok(true);
            }
            self.look_again(event, &unlisted, Removal::Now)?;
            self.memory.counters.swept = self.memory.counters.swept.max(event.0);
        }
        Ok(!none_came || self.memory.flushing.is_some() || self.evict_revisits()?)
    }

    /// Events that ended late are the next to go when nothing newer is left; true until all were gone through in vain.
    fn evict_revisits(&mut self) -> Result<bool, Error> {
        let after = self.memory.sweep.early;
        let mut found = Vec::new();
        for row in self.tables.revisit()?.range::<&TimeKey>((Bound::Excluded(&after), Bound::Unbounded))?.take(SLICE) {
            found.push(*row?.0.value());
        }
        let before = self.after.removed;
        let unlisted = self.unlisted_of(found.iter().map(|key| read_time_key(key).1));
        for key in &found {
            self.memory.sweep.early = *key;
            // What stays keeps its time: a later one would lie before this pass again, and the pass would never end.
            if self.look(read_time_key(key).1, &unlisted, Removal::Now)? == Then::Forget {
                self.tables.revisit()?.remove(key)?;
            }
        }
        if found.is_empty() {
            self.memory.sweep.early = [0; 16];
        }
        Ok(!found.is_empty() || self.after.removed > before)
    }

    pub(in crate::store) fn has_removed_enough(&self) -> bool {
        self.after.removed >= ROWS
    }

    fn next_events(&mut self, after: u64, up_to: u64) -> Result<Vec<EventKey>, Error> {
        let mut found = Vec::new();
        if after < up_to {
            let (after, up_to) = (after.to_be_bytes(), up_to.to_be_bytes());
            self.tables.each::<Event>((Bound::Excluded(&after), Bound::Included(&up_to)), |key, _| {
                found.push(EventKey(key));
                Ok(found.len() < SLICE)
            })?;
        }
        Ok(found)
    }

    fn due_revisits(&mut self) -> Result<Vec<TimeKey>, Error> {
        let last = time_key(self.now, EventKey::MAX);
        let mut found = Vec::new();
        for row in self.tables.revisit()?.range::<&TimeKey>(..=&last)?.take(SLICE) {
            found.push(*row?.0.value());
        }
        Ok(found)
    }

    /// The deliveries of these events and of older ones with an attempt that the index does not hold yet. They stay until it does:
    /// a flush would bring rows of attempts that are gone.
    pub(in crate::store) fn unlisted_of(&self, events: impl Iterator<Item = EventKey>) -> HashSet<DeliveryKey> {
        let Some(newest) = events.max() else { return HashSet::new() };
        let tail = self.shared.tail_mut();
        let deliveries = tail.attempts.iter().chain(&self.after.attempted).map(|ended| ended.key.delivery);
        deliveries.filter(|delivery| delivery.event <= newest).collect()
    }

    pub(in crate::store) fn look_again(
        &mut self,
        event: EventKey,
        unlisted: &HashSet<DeliveryKey>,
        removal: Removal,
    ) -> Result<(), Error> {
        self.after.dirty = true;
        match self.look(event, unlisted, removal)? {
            Then::Forget => Ok(()),
            Then::LookAgain(at) => self.revisit(event, at),
        }
    }

    /// Removes the deliveries of an event that may go, and the event with the last of them.
    fn look(&mut self, event: EventKey, unlisted: &HashSet<DeliveryKey>, removal: Removal) -> Result<Then, Error> {
        let Some(mut stored) = self.event(event)? else { return Ok(Then::Forget) };
        let OfEvent { deliveries: rows, attempts } = self.deliveries_of(event)?;
        let kept = Kept { deliveries: stored.deliveries, removed: stored.removed };
        let (stays, ages) = (|key| unlisted.contains(&key), self.kept_for(&stored.event, &rows)?);
        let ages = Ages { event: ages.event, of: |key| ages.of(key) };
        let Looked { go, removed, then } = retention::look(event, kept, rows, stays, removal, &ages, self.now);
        for delivery in &go {
            let owner = self.owner(delivery.key.endpoint)?;
            self.remove_delivery(delivery, &attempts, owner)?;
        }
        stored.removed = removed;
        match then {
            Then::Forget => {
                let event = &stored.event;
                let owner = self.tenant_no(&event.provider, listed_under(event.tenant.as_deref()))?;
                self.remove_event(&stored, owner)?;
            }
            Then::LookAgain(_) if !go.is_empty() => self.put_event(&stored),
            Then::LookAgain(_) => {}
        }
        Ok(then)
    }

    pub(in crate::store) fn deliveries_of(&mut self, event: EventKey) -> Result<OfEvent, Error> {
        let of = |endpoint| DeliveryKey { event, endpoint: EndpointNo(endpoint) };
        self.logged(of(0), of(u32::MAX))
    }

    /// What the log holds of the deliveries from the first to the last of these, which are of one event.
    pub(in crate::store) fn logged(&mut self, first: DeliveryKey, last: DeliveryKey) -> Result<OfEvent, Error> {
        let (first, last) = (log_key(first, 0), log_key(last, u16::MAX));
        let mut found = OfEvent::default();
        self.tables.each::<Log>((Bound::Included(&first), Bound::Included(&last)), |key, row| {
            match read_log_key(key) {
                (delivery, DELIVERY_ROW) => {
                    let Some((read, newest)) = intact(Some(record::read_delivery(delivery, row)))? else { return Ok(true) };
                    found.deliveries.push(read);
                    found.attempts.extend(newest.map(|newest| newest.key(delivery)));
                }
                _ => found.attempts.extend(attempt_in(key, row)?),
            }
            Ok(true)
        })?;
        Ok(found)
    }

    /// Removes a delivery with its attempts, and its tenant's and its webhook's rows of the index, which must hold them all. `attempts`
    /// are those of the delivery, perhaps among those of others, in the order of the deliveries.
    pub(in crate::store) fn remove_delivery(
        &mut self,
        delivery: &Delivery,
        attempts: &[AttemptKey],
        owner: TenantNo,
    ) -> Result<(), Error> {
        let key = delivery.key;
        self.after.removed += usize::from(delivery.attempts) + 1;
        for number in 0..=delivery.attempts {
            self.tables.remove::<Log>(&log_key(key, number))?;
        }
        let first = attempts.partition_point(|attempt| attempt.delivery < key);
        let own = attempts[first..].iter().take_while(|attempt| attempt.delivery == key);
        own.for_each(|attempt| self.after.unindexed.extend(EndedAttempt { key: *attempt, owner }.rows()));
        self.unindex(IndexEntry::delivery(key, owner))
    }

    /// Removes an event with its id and its uid, which its owner lists under its number.
    pub(in crate::store) fn remove_event(&mut self, stored: &StoredEvent, owner: TenantNo) -> Result<(), Error> {
        let event = &stored.event;
        self.tables.remove::<Event>(&event.key.0.to_be_bytes())?;
        self.after.removed += 1;
        self.memory.counters.events = self.memory.counters.events.saturating_sub(1);
        let tenant = event.tenant.as_deref();
        if self.shared.node.event_key(&event.id) != Some(event.key) {
            self.forget_id(&event_name(NameOf::Id, &event.provider, &event.id, tenant), event.key)?;
        }
        if let Some(uid) = &event.uid {
            self.forget_id(&event_name(NameOf::Uid, &event.provider, uid.as_str(), tenant), event.key)?;
        }
        self.unindex(IndexEntry::event(event.key, owner))
    }

    /// Unless another event was given the id since, as is possible while its tenant is being deleted.
    fn forget_id(&mut self, name: &[u8], event: EventKey) -> Result<(), Error> {
        let named = intact(self.tables.row::<Name, _>(name, |row| Ok(record::read_named(name, row)))?)?;
        if named.is_none_or(|named| EventKey(named.event) == event) {
            self.tables.remove::<Name>(name)?;
        }
        Ok(())
    }

    /// Ends without an attempt that are older than what has ended is kept; true when there are more.
    fn forget_unsent(&mut self) -> Result<bool, Error> {
        let first_kept = AttemptKey::first_at(self.now - self.memory.limits.retention);
        let end = due_key(first_kept.started_at, first_kept.delivery);
        let mut found: Vec<DueKey> = Vec::new();
        for row in self.tables.unsent()?.range::<&DueKey>(..&end)?.take(NAMES) {
            found.push(*row?.0.value());
        }
        for key in &found {
            self.tables.unsent()?.remove(key)?;
        }
        Ok(found.len() == NAMES)
    }

    /// Idempotency keys whose day has passed; true when there are more.
    fn forget_names(&mut self) -> Result<bool, Error> {
        let last = time_key(self.now, EventKey::MAX);
        let mut found = Vec::new();
        self.tables.each::<NameEnd>((Bound::Unbounded, Bound::Included(&last)), |key, name| {
            found.push((*key, name.to_vec()));
            Ok(found.len() < NAMES)
        })?;
        let more = found.len() == NAMES;
        for (key, name) in found {
            self.tables.remove::<NameEnd>(&key)?;
            self.forget_name(&name)?;
        }
        Ok(more)
    }

    /// Unless the key was used again after its day.
    fn forget_name(&mut self, name: &[u8]) -> Result<(), Error> {
        let now = self.now.as_millis();
        let named = intact(self.tables.row::<Name, _>(name, |row| Ok(record::read_named(name, row)))?)?;
        if named.is_some_and(|named| named.until <= now) {
            self.tables.remove::<Name>(name)?;
        }
        Ok(())
    }
}

/// Between two passes that look for something to remove before its age.
const AFTER_VAIN: Duration = Duration::from_secs(1);

/// Rows removed in one commit.
const ROWS: usize = 4_000;

/// Events looked at in one commit.
const SLICE: usize = 256;

/// Names forgotten, or held deliveries ended, in one commit.
const NAMES: usize = 1_000;
