//! Publishing, inside the writer: ids and idempotency, the body, the webhooks that match, their deliveries.

use redb::ReadableTable;

use crate::domain::event::{Content, Event};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::template::Facts;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::Owned;
use crate::store::error::{Error, intact};
use crate::store::message::progress::Fact;
use crate::store::message::publication::{Accepted, Publication, Refusal, Unwanted};
use crate::store::message::session::Connection;
use crate::store::record::{self, Named, StoredEvent};
use crate::store::redb::batch::Batch;
use crate::store::redb::schema::time_key;
use crate::store::shared::Pressure;
use crate::store::shared::index_tail::Entry as IndexEntry;
use crate::store::shared::registry::{Audience, Listing};

impl Batch<'_, '_> {
    /// Takes one publication, or says why not; either way nothing half done is left.
    pub(in crate::store) fn accept(&mut self, publication: Publication) -> Result<Result<Accepted, Refusal>, Error> {
        if publication.by.as_ref().is_some_and(|key| self.memory.revoked.contains(&key.hash)) {
            return Ok(Err(Refusal::KeyRevoked));
        }
        if let Some(known) = self.known(&publication)? {
            return Ok(known);
        }
        if let Some(refusal) = self.misdirected(&publication) {
            return Ok(Err(refusal));
        }
        match self.shared.pressure() {
            Pressure::Full => Ok(Err(Refusal::Full)),
            Pressure::DiskLow => Ok(Err(Refusal::DiskLow)),
            Pressure::JournalLost => Ok(Err(Refusal::JournalLost)),
            Pressure::None => self.take(publication).map(Ok),
        }
    }

    /// Takes a publication that is new, also when the store is full.
    pub(in crate::store) fn take(&mut self, publication: Publication) -> Result<Accepted, Error> {
        let owner = self.tenant_no(&publication.provider, publication.listed_under())?;
        let matching = self.matching(&publication, owner);
        let key = self.next_key();
        self.name(&publication, key, matching.len());
        let route = Route { linked: publication.link.is_some(), connection: self.connected(&publication)? };
        let stored = self.store_event(publication, key, matching.len())?;
        let unwanted =
            matching.is_empty().then(|| Unwanted { tenant: stored.event.tenant.clone(), kind: stored.event.kind.clone() });
        let accepted = Accepted { id: stored.event.id.clone(), deliveries: stored.deliveries, repeated: false, unwanted };
        self.published(&stored.event, &accepted);
        self.fan_out(stored.event, owner, matching, route)?;
        Ok(accepted)
    }

    /// Why an event would reach nobody, whatever webhooks want: its tenant, or the webhook that it names, does not exist.
    fn misdirected(&self, publication: &Publication) -> Option<Refusal> {
        if publication.makes_tenant && publication.link.is_none() {
            return None;
        }
        let registry = self.shared.registry();
        let named = publication.tenant.as_deref();
        if let Some(tenant) = named.filter(|_| !publication.makes_tenant)
            && let Err(refusal) = registry.existing(&publication.provider, tenant)
        {
            return Some(refusal);
        }
        let link = publication.link.as_deref()?;
        let audience = match named {
            Some(tenant) => registry.tenant(&publication.provider, tenant).map(Audience::Tenant),
            None => Some(Audience::Provider(&publication.provider)),
        };
        let has = |audience| registry.named(audience, link).any(|entry| entry.endpoint.is_subscribed());
        let found = audience.is_some_and(has);
        let attribute = publication.dialect.event.link_attribute.clone().unwrap_or_default();
        (!found).then(|| Refusal::NoLink { attribute, link: link.into() })
    }

    /// Writes the event's row.
    pub(in crate::store) fn store_event(
        &mut self,
        publication: Publication,
        key: EventKey,
        matching: usize,
    ) -> Result<StoredEvent, Error> {
        let event = self.render(publication, key)?;
        let stored = StoredEvent { event, deliveries: count(matching), removed: 0 };
        let mut bytes = std::mem::take(&mut self.memory.scratch);
        record::write_event(&stored, self.shared.node, &mut bytes);
        self.tables.append_event(stored.event.key, &bytes);
        self.shared.space.admit(bytes.len());
        self.memory.counters.events += 1;
        self.memory.scratch = bytes;
        Ok(stored)
    }

    /// Writes an event anew that is there already.
    pub(in crate::store) fn put_event(&mut self, stored: &StoredEvent) -> Result<(), Error> {
        let mut bytes = std::mem::take(&mut self.memory.scratch);
        record::write_event(stored, self.shared.node, &mut bytes);
        self.tables.event()?.insert(stored.event.key.0, &*bytes)?;
        self.memory.scratch = bytes;
        Ok(())
    }

    /// The number of a tenant, given at its first use.
    pub(in crate::store) fn tenant_no(&mut self, provider: &str, tenant: &str) -> Result<TenantNo, Error> {
        if let Some(no) = self.shared.registry().tenant(provider, tenant) {
            return Ok(no);
        }
        self.memory.counters.last_tenant += 1;
        let no = TenantNo(self.memory.counters.last_tenant);
        let owned = Owned { provider: provider.into(), tenant: tenant.into() };
        let mut bytes = Vec::new();
        record::write_tenant(no, &owned, Listing::Never, &mut bytes);
        self.tables.tenant()?.insert(no.0, &*bytes)?;
        self.after.numbered = true;
        // Known before the commit: a number that names nothing yet shows nothing, and a failed commit ends the process.
        self.shared.registry_mut().put_tenant(no, owned, Listing::Never);
        Ok(no)
    }

    fn published(&mut self, event: &Event, accepted: &Accepted) {
        self.after.published = true;
        let at = self.now;
        self.fact(|| Fact::Published {
            at,
            id: accepted.id.to_string(),
            kind: event.kind.to_string(),
            deliveries: accepted.deliveries,
        });
    }

    fn render(&mut self, publication: Publication, key: EventKey) -> Result<Event, Error> {
        let time = self.body_time(&publication)?;
        let id = publication.id.unwrap_or_else(|| self.shared.node.event_id(key).into());
        let dialect = &publication.dialect;
        let version = dialect.version(&publication.kind, &publication.attributes);
        let facts = Facts {
            event_id: &id,
            kind: &publication.kind,
            time,
            version: &version,
            attributes: &publication.attributes,
            tenant: publication.tenant.as_deref(),
            environment: &publication.environment,
            data: &publication.data,
        };
        let rendered = dialect.body.render(&facts);
        Ok(Event {
            key,
            id,
            provider: publication.provider,
            tenant: publication.tenant,
            kind: publication.kind,
            time,
            occurred_at: publication.occurred_at,
            attributes: publication.attributes,
            connection: publication.connection,
            test: publication.test,
            content: Content::new(rendered.bytes, rendered.data, &publication.data),
        })
    }

    /// What `$event.time` prints. With `unique_time`, later than that of every earlier event of the provider and type.
    fn body_time(&mut self, publication: &Publication) -> Result<Timestamp, Error> {
        if !publication.dialect.unique_time {
            return Ok(publication.occurred_at.unwrap_or(self.now));
        }
        let name = [publication.provider.as_bytes(), SEPARATOR, publication.kind.as_bytes()].concat();
        let table = self.tables.last_time()?;
        let last = intact(table.get(&*name)?.map(|row| record::read_number(&name, row.value())))?;
        let time = self.now.unique_after(last.map(Timestamp::from_micros));
        let mut bytes = Vec::new();
        record::write_number(&name, &time.as_micros(), &mut bytes);
        table.insert(&*name, &*bytes)?;
        Ok(time)
    }

    fn matching(&self, publication: &Publication, no: TenantNo) -> Vec<EndpointNo> {
        let audience = match publication.tenant {
            Some(_) => Audience::Tenant(no),
            None => Audience::Provider(&publication.provider),
        };
        let mut found = match &publication.link {
            Some(link) => self.shared.registry().matching_named(audience, link, &publication.kind),
            None => self.shared.registry().matching(audience, &publication.kind, EndpointNo(0)),
        };
        if !self.after.changed.is_empty() {
            let is_linked = |name: &str| publication.link.as_deref().is_none_or(|link| link == name);
            let goes_to = |endpoint: &Endpoint| endpoint.is_subscribed() && is_linked(&endpoint.definition.name);
            found.retain(|no| self.entry(*no).is_some_and(|entry| goes_to(&entry.endpoint)));
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
        if matching.is_empty() {
            return Ok(());
        }
        let known = self.shared.bodies.keep(event);
        let crowded = self.after.index.len() > CROWDED && !route.linked && matching.len() > 1;
        if matching.len() > WIDE || crowded {
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
            && self.now.as_millis() < named.until
        {
            let taken = Refusal::KeyTaken;
            return self.repeated(publication, named, taken).map(Some);
        }
        let Some(id) = &publication.id else { return Ok(None) };
        if self.is_made_here(id)? {
            return Ok(Some(Err(Refusal::IdTaken(id.clone()))));
        }
        let named = self.named_event(publication, id)?;
        named.map(|named| self.repeated(publication, named, Refusal::IdTaken(id.clone()))).transpose()
    }

    /// Whether an event that had no id of its publisher's was given this one, or may still be.
    fn is_made_here(&mut self, id: &str) -> Result<bool, Error> {
        let Some(key) = self.shared.node.event_key(id) else { return Ok(false) };
        Ok(key.0 > self.memory.counters.last_key || self.tables.event_row(key, |_| Ok(()))?.is_some())
    }

    fn repeated(&mut self, publication: &Publication, named: Named, taken: Refusal) -> Result<Result<Accepted, Refusal>, Error> {
        if named.content != publication.content {
            return Ok(Err(taken));
        }
        let key = EventKey(named.event);
        let id = self.event(key)?.map(|kept| kept.event.id);
        let id = id.or_else(|| publication.id.clone()).unwrap_or_else(|| self.shared.node.event_id(key).into());
        let Publication { tenant, kind, .. } = publication;
        let unwanted = (named.deliveries == 0).then(|| Unwanted { tenant: tenant.clone(), kind: kind.clone() });
        Ok(Ok(Accepted { id, deliveries: named.deliveries, repeated: true, unwanted }))
    }

    /// An event with this id among those that its publisher's id must differ from.
    fn named_event(&mut self, publication: &Publication, id: &str) -> Result<Option<Named>, Error> {
        let Some(tenant) = &publication.tenant else { return self.named_of_provider(&publication.provider, id) };
        let own = self.named(&id_name(&publication.provider, id, Some(tenant)))?;
        match own {
            Some(named) => Ok(Some(named)),
            None => self.named(&id_name(&publication.provider, id, None)),
        }
    }

    /// For all tenants: any tenant's event with this id is in the way.
    fn named_of_provider(&mut self, provider: &str, id: &str) -> Result<Option<Named>, Error> {
        let first = id_name(provider, id, None);
        let mut rows = self.tables.name()?.range(&*first..)?;
        match rows.next().transpose()? {
            Some((name, row)) if name.value().starts_with(&first) => intact(Some(record::read_named(name.value(), row.value()))),
            _ => Ok(None),
        }
    }

    fn named(&mut self, name: &[u8]) -> Result<Option<Named>, Error> {
        intact(self.tables.named(name, |row| record::read_named(name, row)).transpose())
    }

    fn name(&mut self, publication: &Publication, event: EventKey, matching: usize) {
        let named = Named { event: event.0, deliveries: count(matching), content: publication.content, until: u64::MAX };
        if let Some(id) = &publication.id {
            self.put_named(&id_name(&publication.provider, id, publication.tenant.as_deref()), named);
        }
        if let Some(key) = &publication.idempotency_key {
            let until = self.now + IDEMPOTENCY_KEPT;
            let name = key_name(publication, key);
            self.put_named(&name, Named { until: until.as_millis(), ..named });
            self.tables.put_name_end(time_key(until, event), &name);
        }
    }

    fn put_named(&mut self, name: &[u8], named: Named) {
        let mut bytes = Vec::new();
        record::write_named(name, &named, &mut bytes);
        self.tables.put_name(name, &bytes);
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

/// Provider first and tenant last, so that one range holds an id over all tenants.
pub(in crate::store) fn id_name(provider: &str, id: &str, tenant: Option<&str>) -> Vec<u8> {
    let tenant = tenant.unwrap_or_default();
    [b"i", provider.as_bytes(), SEPARATOR, id.as_bytes(), SEPARATOR, tenant.as_bytes()].concat()
}

fn key_name(publication: &Publication, key: &str) -> Vec<u8> {
    let tenant = publication.listed_under();
    [b"k", publication.provider.as_bytes(), SEPARATOR, tenant.as_bytes(), SEPARATOR, key.as_bytes()].concat()
}

/// No provider, tenant or id holds it.
const SEPARATOR: &[u8] = &[0];

/// More matching webhooks than this are added in slices between other commits.
pub(in crate::store) const WIDE: usize = 1_000;

/// With so many deliveries in one batch, further events are fanned out after it.
const CROWDED: usize = 4_000;

/// How long an `Idempotency-Key` answers.
const IDEMPOTENCY_KEPT: std::time::Duration = std::time::Duration::from_secs(24 * 3600);
