//! Publishing, inside the writer: ids and idempotency, the body, the webhooks that match, their deliveries.

mod history;

use std::ops::Bound;

use redb::ReadableTable;

use crate::domain::event::Event;
use crate::domain::id::uid::Uid;
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::time::Timestamp;
use crate::store::Owned;
use crate::store::error::{Error, intact};
use crate::store::message::progress::Fact;
use crate::store::message::publication::{Accepted, Publication, Refusal};
use crate::store::message::session::Connection;
use crate::store::message::tenant::Tenant;
use crate::store::record::key::time_key;
use crate::store::record::{self, Listing, Named, StoredEvent};
use crate::store::redb::batch::Batch;
use crate::store::redb::journaled_table as journaled;
use crate::store::rules::publish::filters::{self, Facts};
use crate::store::rules::publish::{self, Spread, Target};
use crate::store::shared::index_tail::Entry as IndexEntry;
use crate::store::shared::registry::Audience;

impl Batch<'_, '_> {
    /// Takes one publication, or says why not; either way nothing half done is left.
    pub(in crate::store) fn accept(&mut self, publication: Publication) -> Result<Result<Accepted, Refusal>, Error> {
        if publication.by.as_ref().is_some_and(|key| self.memory.revoked.contains(&key.hash)) {
            return Ok(Err(Refusal::KeyRevoked));
        }
        if let Some(known) = self.known(&publication)? {
            return Ok(known);
        }
        if publication.is_refused {
            return Ok(Err(Refusal::Schema { errors: publication.schema_errors }));
        }
        if let Some(refusal) = self.misdirected(&publication) {
            return Ok(Err(refusal));
        }
        match self.shared.pressure().refusal() {
            Some(refusal) => Ok(Err(refusal)),
            None => self.take(publication).map(Ok),
        }
    }

    /// Takes a publication that is new, also when the store is full.
    pub(in crate::store) fn take(&mut self, publication: Publication) -> Result<Accepted, Error> {
        let owner = self.tenant_no(&publication.provider, publication.listed_under())?;
        let key = self.next_key();
        let matching = self.matching(&publication, owner, key);
        self.name(&publication, key, count(matching.len()));
        let route = Route { linked: publication.link.is_some(), connection: self.connected(&publication)? };
        let stored = self.store_event(publication, key, matching.len())?;
        let accepted = publish::accepted(&stored.event, stored.deliveries);
        self.published(&stored.event, &accepted);
        self.of_provider(&stored.event.provider).events.inc();
        self.fan_out(stored.event, owner, matching, route)?;
        Ok(accepted)
    }

    fn misdirected(&self, publication: &Publication) -> Option<Refusal> {
        if !self.memory.deletions.is_empty() && self.is_for_deleting(publication) {
            return publication.tenant.clone().map(Refusal::NoTenant);
        }
        let target = publish::names_target(publication).then(|| self.target(publication))?;
        publish::misdirected(publication, target)
    }

    /// Whether its tenant is being deleted. Then no publisher makes it again either.
    fn is_for_deleting(&self, publication: &Publication) -> bool {
        let listing = |tenant: &str| self.shared.registry().listing_of(&publication.provider, tenant);
        publication.tenant.as_deref().and_then(listing) == Some(Listing::Deleting)
    }

    /// Whom a publication names, as the registry has them before this batch.
    fn target(&self, publication: &Publication) -> Target {
        let registry = self.shared.registry();
        let tenant = publication.tenant.as_deref().map(|tenant| registry.tenant(&publication.provider, tenant));
        let audience = match tenant {
            Some(no) => no.map(Audience::Tenant),
            None => Some(Audience::Provider(&publication.provider)),
        };
        let has = |(audience, link): (_, &str)| registry.named(audience, link).any(|entry| entry.endpoint.is_subscribed());
        Target {
            tenant: tenant.flatten().map(|no| registry.listing(no)),
            has_link: audience.zip(publication.link.as_deref()).is_some_and(has),
        }
    }

    /// Writes the event's row.
    pub(in crate::store) fn store_event(
        &mut self,
        publication: Publication,
        key: EventKey,
        matching: usize,
    ) -> Result<StoredEvent, Error> {
        let time = self.body_time(&publication)?;
        let event = publish::event(publication, key, self.shared.node, time);
        let stored = StoredEvent { event, deliveries: count(matching), removed: 0 };
        self.add_event(&stored);
        Ok(stored)
    }

    /// Writes the row of an event that is new.
    pub(in crate::store) fn add_event(&mut self, stored: &StoredEvent) {
        let length = self.write_event(stored);
        self.shared.space.admit(length);
        self.memory.counters.events += 1;
    }

    /// Writes an event anew that is there already.
    pub(in crate::store) fn put_event(&mut self, stored: &StoredEvent) {
        let _: usize = self.write_event(stored);
    }

    /// Writes an event's row. Returns its length.
    fn write_event(&mut self, stored: &StoredEvent) -> usize {
        let mut bytes = std::mem::take(&mut self.memory.scratch);
        record::write_event(stored, self.shared.node, &mut bytes);
        self.tables.put::<journaled::Event>(&stored.event.key.0.to_be_bytes(), &bytes);
        let length = bytes.len();
        self.memory.scratch = bytes;
        length
    }

    /// The number of a tenant, given at its first use.
    pub(in crate::store) fn tenant_no(&mut self, provider: &str, tenant: &str) -> Result<TenantNo, Error> {
        let known = self.shared.registry().tenant(provider, tenant);
        known.map_or_else(|| self.new_tenant_no(provider, tenant), Ok)
    }

    /// The next number, under which the name of the tenant is known from here on.
    pub(in crate::store) fn new_tenant_no(&mut self, provider: &str, tenant: &str) -> Result<TenantNo, Error> {
        self.memory.counters.last_tenant += 1;
        let no = TenantNo(self.memory.counters.last_tenant);
        let owned = Owned { provider: provider.into(), tenant: tenant.into() };
        self.after.numbered = true;
        // Known before the commit: a number that names nothing yet shows nothing, and a failed commit ends the process.
        self.put_tenant(no, &Tenant::new(owned, Some(self.now)))?;
        Ok(no)
    }

    pub(in crate::store) fn published(&mut self, event: &Event, accepted: &Accepted) {
        self.after.published = true;
        let at = self.now;
        self.fact(|| Fact::Published {
            at,
            id: accepted.id.to_string(),
            kind: event.kind.to_string(),
            deliveries: accepted.deliveries,
        });
    }

    /// What `$event.time` prints.
    pub(in crate::store) fn body_time(&mut self, publication: &Publication) -> Result<Timestamp, Error> {
        if !publication.dialect.unique_time {
            return Ok(publish::body_time(publication, None, self.now));
        }
        let name = [publication.provider.as_bytes(), SEPARATOR, publication.kind.as_bytes()].concat();
        let table = self.tables.last_time()?;
        let last = intact(table.get(&*name)?.map(|row| record::read_number(&name, row.value())))?;
        let time = publish::body_time(publication, last.map(Timestamp::from_micros), self.now);
        let mut bytes = Vec::new();
        record::write_number(&name, &time.as_micros(), &mut bytes);
        table.insert(&*name, &*bytes)?;
        Ok(time)
    }

    fn matching(&self, publication: &Publication, no: TenantNo, key: EventKey) -> Vec<EndpointNo> {
        let audience = match publication.tenant {
            Some(_) => Audience::Tenant(no),
            None => Audience::Provider(&publication.provider),
        };
        let mut found = self.subscribed(audience, publication, key);
        if !self.after.changed.is_empty() {
            let link = publication.link.as_deref();
            found.retain(|no| self.entry(*no).is_some_and(|entry| publish::goes_to(&entry.endpoint, link)));
        }
        found
    }

    /// The webhooks that want an event by its type and by what is in it, as they were before this batch.
    fn subscribed(&self, audience: Audience<'_>, publication: &Publication, key: EventKey) -> Vec<EndpointNo> {
        let registry = self.shared.registry();
        let mut found = match &publication.link {
            Some(link) => registry.matching_named(audience, link, &publication.kind),
            None => registry.matching(audience, &publication.kind, EndpointNo(0)),
        };
        if let Some(narrowing) = registry.narrowing(audience) {
            filters::keep_matching(&mut found, narrowing, Facts::of(publication, self.shared.node, key));
        }
        found
    }

    /// The connection that the event names, opened if it is not.
    fn connected(&mut self, publication: &Publication) -> Result<Option<Connection>, Error> {
        let Some(id) = &publication.connection else { return Ok(None) };
        let owned = Owned { provider: (&*publication.provider).into(), tenant: publication.listed_under().into() };
        self.connection_of_event(&owned, id).map(Some)
    }

    /// The event's deliveries: all at once, or the first slice of a wide fan-out.
    fn fan_out(&mut self, event: Event, owner: TenantNo, matching: Vec<EndpointNo>, route: Route) -> Result<(), Error> {
        let key = event.key;
        self.after.index.push(IndexEntry::event(key, owner));
        let spread = publish::spread(matching.len(), self.after.index.len(), route.linked);
        if spread == Spread::Nobody {
            return Ok(());
        }
        let known = self.shared.bodies.keep(event);
        if spread == Spread::InSlices {
            return self.start_fanout(key, known, &matching);
        }
        for endpoint in matching {
            self.place_new_in(DeliveryKey { event: key, endpoint }, route.connection.as_ref(), known.as_ref())?;
        }
        Ok(())
    }

    /// The first answer again, or the conflict, when the id or the idempotency key was used before.
    fn known(&mut self, publication: &Publication) -> Result<Option<Result<Accepted, Refusal>>, Error> {
        if let Some(key) = &publication.idempotency_key
            && let Some(named) = self.named(&key_name(publication, key))?
            && !self.is_being_erased(&publication.provider, publication.listed_under(), &named)
            && publish::answers(&named, self.now)
        {
            let taken = Refusal::KeyTaken;
            return self.repeated(publication, named, taken).map(Some);
        }
        if let Some(id) = &publication.id
            && let Some(known) = self.known_by_id(publication, id)?
        {
            return Ok(Some(known));
        }
        let Some(uid) = &publication.uid else { return Ok(None) };
        self.known_by_uid(publication, uid)
    }

    fn known_by_id(&mut self, publication: &Publication, id: &str) -> Result<Option<Result<Accepted, Refusal>>, Error> {
        if self.is_made_here(id)? {
            return Ok(Some(Err(Refusal::IdTaken(id.into()))));
        }
        let taken = Refusal::IdTaken(id.into());
        match self.named_event(NameOf::Id, publication, id)? {
            Some(named) => self.repeated(publication, named, taken).map(Some),
            // By that text the other event was found until now.
            None if self.is_uid(publication, id)? => Ok(Some(Err(taken))),
            None => Ok(None),
        }
    }

    /// Whether an event has a text as its uid. It looks for it only where any event has a uid.
    fn is_uid(&mut self, publication: &Publication, text: &str) -> Result<bool, Error> {
        Ok(self.memory.has_uids && self.named_event(NameOf::Uid, publication, text)?.is_some())
    }

    /// The first answer again, or the conflict, when the uid was used before, or is the id of another event: by its id an event is
    /// found first.
    fn known_by_uid(&mut self, publication: &Publication, uid: &Uid) -> Result<Option<Result<Accepted, Refusal>>, Error> {
        let Some(named) = self.named_event(NameOf::Uid, publication, uid.as_str())? else {
            let is_id = self.named_event(NameOf::Id, publication, uid.as_str())?.is_some();
            let taken = || Refusal::UidTaken { uid: uid.as_str().into(), holder: uid.as_str().into() };
            return Ok(is_id.then(|| Err(taken())));
        };
        let key = EventKey(named.event);
        let holder = self.event(key)?.map_or_else(|| self.shared.node.event_id(key).into(), |kept| kept.event.id);
        Ok(Some(match publish::repeats_uid(publication, uid, &named, &holder) {
            Ok(()) => Ok(publish::repeated(publication, &named, holder)),
            Err(refusal) => Err(refusal),
        }))
    }

    /// Whether an event that had no id of its publisher's was given this one, or may still be.
    fn is_made_here(&mut self, id: &str) -> Result<bool, Error> {
        let Some(key) = self.shared.node.event_key(id) else { return Ok(false) };
        Ok(key.0 > self.memory.counters.last_key
            || self.tables.row::<journaled::Event, _>(&key.0.to_be_bytes(), |_| Ok(()))?.is_some())
    }

    fn repeated(&mut self, publication: &Publication, named: Named, taken: Refusal) -> Result<Result<Accepted, Refusal>, Error> {
        if let Err(refusal) = publish::repeats(publication, &named, taken) {
            return Ok(Err(refusal));
        }
        let key = EventKey(named.event);
        let id = self.event(key)?.map(|kept| kept.event.id);
        let id = id.or_else(|| publication.id.clone()).unwrap_or_else(|| self.shared.node.event_id(key).into());
        Ok(Ok(publish::repeated(publication, &named, id)))
    }

    /// An event with this id or uid among those that its publisher's must differ from.
    fn named_event(&mut self, of: NameOf, publication: &Publication, id: &str) -> Result<Option<Named>, Error> {
        let Some(tenant) = &publication.tenant else { return self.named_of_provider(of, &publication.provider, id) };
        let own = self.named(&event_name(of, &publication.provider, id, Some(tenant)))?;
        match own.filter(|named| !self.is_being_erased(&publication.provider, tenant, named)) {
            Some(named) => Ok(Some(named)),
            None => self.named(&event_name(of, &publication.provider, id, None)),
        }
    }

    /// For all tenants: any tenant's event with this id or uid is in the way, unless it is being erased with its tenant.
    pub(in crate::store) fn named_of_provider(&mut self, of: NameOf, provider: &str, id: &str) -> Result<Option<Named>, Error> {
        let first = event_name(of, provider, id, None);
        let behind = [of.tag(), provider.as_bytes(), SEPARATOR, id.as_bytes(), BEHIND_SEPARATOR].concat();
        let (mut found, memory) = (None, &*self.memory);
        self.tables.each::<journaled::Name>((Bound::Included(&first), Bound::Excluded(&behind)), |name, row| {
            let named = intact(Some(record::read_named(name, row)))?;
            let is_erased =
                |named: &Named| memory.erasing(provider.as_bytes(), &name[first.len()..], EventKey(named.event)).is_some();
            found = named.filter(|named| !is_erased(named));
            Ok(found.is_none())
        })?;
        Ok(found)
    }

    /// Whether the event that has this name goes with its tenant, which is being deleted. Then the name is free: the tenant that the
    /// config file lists under the same name again is another one, and an answer for the erased event would tell of no delivery.
    fn is_being_erased(&self, provider: &str, tenant: &str, named: &Named) -> bool {
        self.memory.erasing(provider.as_bytes(), tenant.as_bytes(), EventKey(named.event)).is_some()
    }

    pub(in crate::store) fn named(&mut self, name: &[u8]) -> Result<Option<Named>, Error> {
        intact(self.tables.row::<journaled::Name, _>(name, |row| record::read_named(name, row)).transpose())
    }

    fn name(&mut self, publication: &Publication, event: EventKey, deliveries: u32) {
        let names = publish::names(publication, event, deliveries, self.now);
        if let Some((id, named)) = publication.id.as_ref().zip(names.id) {
            self.put_named(&event_name(NameOf::Id, &publication.provider, id, publication.tenant.as_deref()), named);
        }
        if let Some((uid, named)) = publication.uid.as_ref().zip(names.uid) {
            self.memory.has_uids = true;
            self.put_named(&event_name(NameOf::Uid, &publication.provider, uid.as_str(), publication.tenant.as_deref()), named);
        }
        if let Some((key, (named, until))) = publication.idempotency_key.as_ref().zip(names.key) {
            let name = key_name(publication, key);
            self.put_named(&name, named);
            self.tables.put::<journaled::NameEnd>(&time_key(until, event), &name);
        }
    }

    pub(in crate::store) fn put_named(&mut self, name: &[u8], named: Named) {
        let mut bytes = Vec::new();
        record::write_named(name, &named, &mut bytes);
        self.tables.put::<journaled::Name>(name, &bytes);
    }
}

/// Where an event's deliveries go.
struct Route {
    /// To the one webhook that an attribute names.
    linked: bool,
    connection: Option<Connection>,
}

fn count(matching: usize) -> u32 {
    u32::try_from(matching).unwrap_or(u32::MAX)
}

/// By which of its names an event is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum NameOf {
    Id,
    Uid,
}

impl NameOf {
    /// What such a name begins with.
    pub(in crate::store) fn tag(self) -> &'static [u8] {
        match self {
            Self::Id => b"i",
            Self::Uid => b"u",
        }
    }
}

/// Provider first and tenant last, so that one range holds an id or a uid over all tenants.
pub(in crate::store) fn event_name(of: NameOf, provider: &str, id: &str, tenant: Option<&str>) -> Vec<u8> {
    let tenant = tenant.unwrap_or_default();
    [of.tag(), provider.as_bytes(), SEPARATOR, id.as_bytes(), SEPARATOR, tenant.as_bytes()].concat()
}

fn key_name(publication: &Publication, key: &str) -> Vec<u8> {
    let tenant = publication.listed_under();
    [b"k", publication.provider.as_bytes(), SEPARATOR, tenant.as_bytes(), SEPARATOR, key.as_bytes()].concat()
}

/// No provider, tenant or id holds it.
const SEPARATOR: &[u8] = &[0];

/// The first text behind all that begin with a separator.
const BEHIND_SEPARATOR: &[u8] = &[1];
