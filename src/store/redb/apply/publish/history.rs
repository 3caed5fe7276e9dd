//! History that is taken over from another relay, inside the writer: each event and each delivery whole, or not at all.
//!
//! An event keeps its id and the time of its publishing; where its key is taken it gets the next one. A delivery goes by the keys of its
//! event and its webhook here. Nothing of it is queued, and no statistics count it.

use crate::config::checked::DEFAULT_OWNER;
use crate::domain::delivery::Delivery;
use crate::domain::event::Event;
use crate::domain::id::uid::Uid;
use crate::domain::id::{DeliveryKey, EventKey, TenantNo};
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::error::Error;
use crate::store::message::audit::{Origin, shown};
use crate::store::message::history::{NotTaken, Old, OldDelivery, OldEvent, Taken};
use crate::store::record::{Named, StoredEvent};
use crate::store::redb::apply::publish::{NameOf, event_name};
use crate::store::redb::batch::Batch;
use crate::store::redb::journaled_table as journaled;
use crate::store::rules::publish::history;
use crate::store::rules::{retention, tenants};
use crate::store::shared::index_tail::Entry as IndexEntry;
use crate::store::{Attempt, listed_under};

impl Batch<'_, '_> {
    /// Takes parts of a history in their order, and answers what became of each.
    pub(in crate::store) fn take_history(&mut self, parts: Vec<Old>, by: &Origin) -> Result<Vec<Taken>, Error> {
        let (mut answers, mut added) = (Vec::with_capacity(parts.len()), (0, 0));
        // The event whose deliveries are being added: its row is written once behind them.
        let mut open = None;
        for part in parts {
            let (taken, count) = match part {
                Old::Event(old) => (self.take_event(*old)?, &mut added.0),
                Old::Delivery(old) => (self.take_delivery(*old, &mut open)?, &mut added.1),
            };
            *count += u64::from(taken == Taken::Added);
            answers.push(taken);
        }
        open.iter().for_each(|stored| self.put_event(stored));
        self.audit(by, (added != (0, 0)).then(|| shown::history(added)))?;
        self.audit_consequences(by)?;
        Ok(answers)
    }

    fn take_event(&mut self, OldEvent { event, content, deliveries }: OldEvent) -> Result<Taken, Error> {
        if let Some(found) = self.old_event(&event.provider, event.tenant.as_deref(), &event.id)? {
            let kept = self.event(found)?;
            let is_same = kept.is_some_and(|kept| history::is_same_event(&kept.event, &event));
            return Ok(if is_same { Taken::Left } else { Taken::Refused(NotTaken::OtherEvent(event.id)) });
        }
        if let Some(refused) = self.misplaced(&event)? {
            return Ok(Taken::Refused(refused));
        }
        let owner = self.tenant_no(&event.provider, listed_under(event.tenant.as_deref()))?;
        let key = self.key_of_old(event.key)?;
        self.name_old(&event, key, (content, deliveries));
        self.put_event(&StoredEvent { event: Event { key, ..event }, deliveries: 0, removed: 0 });
        self.memory.counters.events += 1;
        self.index_old(IndexEntry::event(key, owner))?;
        if key.0 <= self.memory.counters.swept {
            self.revisit(key, (key.time() + self.memory.limits.retention).max(self.now))?;
        }
        Ok(Taken::Added)
    }

    /// The event that has this id here.
    fn old_event(&mut self, provider: &str, tenant: Option<&str>, id: &str) -> Result<Option<EventKey>, Error> {
        if let Some(key) = self.shared.node.event_key(id) {
            return Ok(self.has_event(key)?.then_some(key));
        }
        let named = match tenant {
            Some(tenant) => self.named(&event_name(NameOf::Id, provider, id, Some(tenant)))?,
            None => None,
        };
        let named = match named {
            Some(named) => Some(named),
            None => self.named(&event_name(NameOf::Id, provider, id, None))?,
        };
        Ok(named.map(|named| EventKey(named.event)))
    }

    /// Why an event that is new has no place here.
    fn misplaced(&mut self, event: &Event) -> Result<Option<NotTaken>, Error> {
        if let Some(uid) = &event.uid
            && self.has_uid(event, uid)?
        {
            return Ok(Some(NotTaken::UidTaken(uid.as_str().into())));
        }
        let Some(tenant) = &event.tenant else {
            let taken = self.named_of_provider(NameOf::Id, &event.provider, &event.id)?.is_some();
            return Ok(taken.then(|| NotTaken::IdTaken(event.id.clone())));
        };
        let listing = self.shared.registry().listing_of(&event.provider, tenant);
        let is_default = (&*event.provider, &**tenant) == (DEFAULT_OWNER, DEFAULT_OWNER) && listing.is_none();
        let refused = (!is_default).then(|| tenants::existing(tenant, listing).err()).flatten();
        Ok(refused.map(|_| NotTaken::NoTenant(tenant.clone())))
    }

    /// Whether another event that its owner could mean has this uid.
    fn has_uid(&mut self, event: &Event, uid: &Uid) -> Result<bool, Error> {
        let Some(tenant) = &event.tenant else {
            return Ok(self.named_of_provider(NameOf::Uid, &event.provider, uid.as_str())?.is_some());
        };
        let own = self.named(&event_name(NameOf::Uid, &event.provider, uid.as_str(), Some(tenant)))?;
        let of_all = self.named(&event_name(NameOf::Uid, &event.provider, uid.as_str(), None))?;
        Ok(own.or(of_all).is_some())
    }

    /// The key of an event that was published elsewhere: of its own time, and of none that is still to come.
    fn key_of_old(&mut self, wanted: EventKey) -> Result<EventKey, Error> {
        if wanted.time() >= self.now {
            return Ok(self.next_key());
        }
        let mut key = wanted;
        while self.has_event(key)? {
            key = EventKey(key.0.saturating_add(1));
        }
        self.memory.counters.last_key = self.memory.counters.last_key.max(key.0);
        self.after.dirty = true;
        Ok(key)
    }

    fn has_event(&mut self, key: EventKey) -> Result<bool, Error> {
        Ok(self.tables.row::<journaled::Event, _>(&key.0.to_be_bytes(), |_| Ok(()))?.is_some())
    }

    /// Gives an event its uid, and its id unless that is the one that its key has here anyway.
    fn name_old(&mut self, event: &Event, key: EventKey, (content, deliveries): ([u8; 32], u32)) {
        let named = || Named { event: key.0, deliveries, content, until: u64::MAX };
        let tenant = event.tenant.as_deref();
        if self.shared.node.event_key(&event.id) != Some(key) {
            self.put_named(&event_name(NameOf::Id, &event.provider, &event.id, tenant), named());
        }
        if let Some(uid) = &event.uid {
            self.put_named(&event_name(NameOf::Uid, &event.provider, uid.as_str(), tenant), named());
        }
    }

    /// Lets lists find what may be older than what the index holds.
    fn index_old(&mut self, entry: IndexEntry) -> Result<(), Error> {
        if entry.key.event.0 > self.known_key {
            self.after.index.push(entry);
            return Ok(());
        }
        self.index(entry)
    }

    fn take_delivery(&mut self, old: OldDelivery, open: &mut Option<StoredEvent>) -> Result<Taken, Error> {
        let (key, owner) = match self.place_of_old(&old)? {
            Ok(found) => found,
            Err(refused) => return Ok(Taken::Refused(refused)),
        };
        let delivery = history::ended(Delivery { key, ..old.delivery }, self.now);
        if let Some((kept, _)) = self.delivery(key)? {
            let (event, webhook) = (old.event_id, old.webhook_id);
            let is_same = history::is_same_delivery(&kept, &delivery);
            return Ok(if is_same { Taken::Left } else { Taken::Refused(NotTaken::OtherDelivery { event, webhook }) });
        }
        self.count_old(key.event, open)?;
        self.write_old(&delivery, old.attempts, owner)?;
        Ok(Taken::Added)
    }

    /// The key that a delivery has here, and whose it is.
    fn place_of_old(&mut self, old: &OldDelivery) -> Result<Result<(DeliveryKey, TenantNo), NotTaken>, Error> {
        let Some(event) = self.old_event(&old.provider, old.tenant.as_deref(), &old.event_id)? else {
            return Ok(Err(NotTaken::NoEvent(old.event_id.clone())));
        };
        let Some(endpoint) = self.webhook_called(&old.webhook_id) else {
            return Ok(Err(NotTaken::NoWebhook(old.webhook_id.clone())));
        };
        let is_theirs = *endpoint.provider == *old.provider && old.tenant.as_ref().is_none_or(|own| *own == endpoint.tenant);
        if !is_theirs {
            return Ok(Err(NotTaken::OtherTenant(old.webhook_id.clone())));
        }
        Ok(Ok((DeliveryKey { event, endpoint: endpoint.no }, endpoint.tenant_no)))
    }

    /// The webhook with this id as this batch has it.
    pub(in crate::store) fn webhook_called(&self, id: &str) -> Option<std::sync::Arc<Endpoint>> {
        let known = self.shared.registry().by_id(id).map(|entry| entry.endpoint.no);
        let of_batch = || self.after.changed.values().find(|endpoint| *endpoint.id == *id).map(|endpoint| endpoint.no);
        let endpoint = self.entry(known.or_else(of_batch)?)?.endpoint;
        (!endpoint.is_deleted()).then_some(endpoint)
    }

    /// Counts one more delivery of an event, whose row is written when the next one is another's.
    fn count_old(&mut self, event: EventKey, open: &mut Option<StoredEvent>) -> Result<(), Error> {
        if open.as_ref().is_none_or(|stored| stored.event.key != event) {
            open.iter().for_each(|stored| self.put_event(stored));
            *open = self.event(event)?;
        }
        open.iter_mut().for_each(|stored| stored.deliveries += 1);
        Ok(())
    }

    fn write_old(&mut self, delivery: &Delivery, mut attempts: Vec<Attempt>, owner: TenantNo) -> Result<(), Error> {
        let newest = attempts.pop();
        for attempt in &attempts {
            self.write_attempt(delivery.key, attempt)?;
        }
        self.write_row(delivery, newest.as_ref())?;
        attempts.iter().chain(&newest).for_each(|attempt| self.list_attempt(attempt.key(delivery.key), owner));
        self.entry(delivery.key.endpoint).iter().for_each(|entry| entry.live.list());
        self.index_old(IndexEntry::delivery(delivery.key, owner))?;
        let (retention, swept) = self.age_of(delivery.key)?;
        if let Some(at) = retention::revisit(delivery, swept, retention) {
            self.revisit(delivery.key.event, at.max(self.now))?;
        }
        Ok(())
    }
}
