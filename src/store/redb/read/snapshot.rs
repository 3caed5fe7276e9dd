//! A snapshot: one consistent look at the store, outside the writer.

mod history;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Bound;

use redb::{ReadOnlyTable, ReadTransaction, ReadableDatabase, Value};

use crate::domain::delivery::{Delivery, QueuePosition};
use crate::domain::event::{Content, Event};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::store::error::intact;
use crate::store::message::view::{Attempt, AttemptFilter, Filter, View, status};
use crate::store::record::key::{
    DELIVERY_ROW, IndexKey, LogKey, Scope, backlog_key, due_key, index_key, log_key, read_index_key, read_log_key,
};
use crate::store::record::{self, StoredEvent};
use crate::store::redb::apply::publish::{NameOf, event_name};
use crate::store::redb::journal::unflushed::{Unflushed, journaled};
use crate::store::redb::journaled_table::{self as journaled, Journaled, KeyBytes, TableKey};
use crate::store::redb::read::{Reader, merged};
use crate::store::redb::schema::{self, INDEX, NAME};
use crate::store::shared::Shared;
use crate::store::shared::index_tail::Entry as IndexEntry;
use crate::store::{Error, Owned};

/// One consistent look at the store.
pub(in crate::store) struct Snapshot<'a> {
    txn: ReadTransaction,
    /// What was committed behind the snapshot of the tables.
    unflushed: Unflushed,
    reader: &'a Reader,
    /// What the index does not have yet. An entry leaves the tail after the commit that puts it into the index, so it is in
    /// here or in the snapshot, which is taken later. Of `scopes` alone.
    tail: Vec<IndexEntry>,
    /// What is listed.
    scopes: Vec<Scope>,
}

/// The names of events, of which many are looked up in one snapshot.
pub(super) struct Names<'a> {
    unflushed: &'a Unflushed,
    table: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Names<'_> {
    /// The event of a tenant, or of all tenants of its provider, that has this id or uid.
    pub(super) fn event(&self, of: NameOf, owned: &Owned, id: &str) -> Result<Option<EventKey>, Error> {
        for tenant in [Some(&*owned.tenant), None] {
            if let Some(found) = self.find(&event_name(of, &owned.provider, id, tenant))? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn find(&self, name: &[u8]) -> Result<Option<EventKey>, Error> {
        let read = |row: &[u8]| record::read_named(name, row).map(|named| EventKey(named.event));
        match self.unflushed.find(journaled::Name::TABLE, name) {
            Some(row) => row.map(read).transpose(),
            None => self.table.get(name)?.map(|row| read(row.value())).transpose(),
        }
    }
}

/// An event's id and type.
pub(super) type IdAndType = (Box<str>, Box<str>);

impl<'a> Snapshot<'a> {
    pub(in crate::store) fn txn(&self) -> &ReadTransaction {
        &self.txn
    }

    pub(in crate::store) fn shared(&self) -> &'a Shared {
        &self.reader.shared
    }

    pub(in crate::store) fn of(reader: &'a Reader, scopes: &[Scope]) -> Result<Self, Error> {
        let tail = if scopes.is_empty() { Vec::new() } else { Self::tail_of(reader, scopes) };
        // Taken before the snapshot, of which the newest row says what of it the tables have by now.
        let unflushed = reader.views.unflushed().clone();
        let txn = reader.database.begin_read()?;
        let unflushed = if unflushed.is_empty() { unflushed } else { unflushed.behind(journaled(&txn)?) };
        Ok(Self { txn, unflushed, reader, tail, scopes: scopes.to_vec() })
    }

    /// The writer waits for the tail after each commit: of many scopes each is looked up in a copy.
    fn tail_of(reader: &Reader, scopes: &[Scope]) -> Vec<IndexEntry> {
        let tail = reader.shared.tail_mut();
        if scopes.len() <= SCOPES_COMPARED {
            let theirs = |entry: &&IndexEntry| scopes.iter().any(|scope| entry.is_in(*scope));
            return tail.entries.iter().filter(theirs).copied().collect();
        }
        let mut copy = tail.entries.clone();
        drop(tail);
        let wanted: HashSet<Scope> = scopes.iter().copied().collect();
        copy.retain(|entry| entry.scopes().any(|scope| wanted.contains(&scope)));
        copy
    }

    /// The event with this key, without its content, if that is its id or its uid.
    pub(super) fn bare_event(&self, of: NameOf, key: EventKey, id: &str) -> Result<Option<Event>, Error> {
        let found = self.event(key)?.map(|stored| Event { content: Content::default(), ..stored.event });
        Ok(found.filter(|event| match of {
            NameOf::Id => *event.id == *id,
            NameOf::Uid => event.uid.as_ref().is_some_and(|uid| uid.as_str() == id),
        }))
    }

    pub(in crate::store) fn event(&self, key: EventKey) -> Result<Option<StoredEvent>, Error> {
        self.event_row(key, |row| record::read_event(key, self.reader.shared.node, row))
    }

    /// An event's record, as `read` reads it.
    pub(in crate::store) fn event_row<T>(
        &self,
        key: EventKey,
        read: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.journaled_row::<journaled::Event, _>(&key.0.to_be_bytes(), read)
    }

    pub(in crate::store) fn row(&self, key: DeliveryKey) -> Result<Option<(Delivery, Option<Attempt>)>, Error> {
        let read = |row: &[u8]| record::read_delivery(key, row);
        intact(self.log_row(&log_key(key, DELIVERY_ROW), read).transpose())
    }

    /// A row of the log, as `read` reads it.
    pub(in crate::store) fn log_row<T>(
        &self,
        key: &LogKey,
        read: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        self.journaled_row::<journaled::Log, _>(key, read)
    }

    /// A row of a journaled table, as `read` reads its value: as the journal has it, else as the table does.
    fn journaled_row<T: Journaled, R>(
        &self,
        key: &KeyBytes<T>,
        read: impl FnOnce(&[u8]) -> Result<R, Error>,
    ) -> Result<Option<R>, Error> {
        if let Some(row) = self.unflushed.find(T::TABLE, key.as_ref()) {
            return row.map(read).transpose();
        }
        let row = schema::read(&self.txn, T::DEFINITION)?.get(T::K::of(key.as_ref()))?;
        row.map(|row| read(T::V::as_bytes(&row.value()).as_ref())).transpose()
    }

    /// What was answered under a name of an event.
    pub(super) fn named_row(&self, name: &[u8]) -> Result<Option<record::Named>, Error> {
        self.journaled_row::<journaled::Name, _>(name, |row| record::read_named(name, row))
    }

    /// The deliveries whose rows were written behind the snapshot of the tables.
    pub(super) fn unflushed_deliveries(&self) -> BTreeSet<DeliveryKey> {
        let rows = self.unflushed.changes().flat_map(|changes| changes.rows(journaled::Table::Log));
        let keys = rows.filter_map(|(key, _)| <&LogKey>::try_from(key).ok().map(read_log_key));
        keys.filter(|(_, number)| *number == DELIVERY_ROW).map(|(key, _)| key).collect()
    }

    /// Whether a delivery's entry stands where it is thought to wait.
    pub(in crate::store) fn stands(&self, key: DeliveryKey, position: QueuePosition) -> Result<bool, Error> {
        let row = match position {
            QueuePosition::Due(at) => self.journaled_row::<journaled::Due, _>(&due_key(at, key), |_| Ok(())),
            QueuePosition::Backlog(number) => {
                self.journaled_row::<journaled::Backlog, _>(&backlog_key(key.endpoint, number), |_| Ok(()))
            }
        };
        Ok(row?.is_some())
    }

    /// A delivery by its row, or as published when it has none but waits.
    pub(in crate::store) fn delivery(&self, key: DeliveryKey) -> Result<Option<Delivery>, Error> {
        if let Some((delivery, _)) = self.row(key)? {
            return Ok(Some(delivery));
        }
        for position in [QueuePosition::Due(key.event.time()), QueuePosition::Backlog(key.event.0)] {
            if self.stands(key, position)? {
                return Ok(Some(Delivery::published(key, position)));
            }
        }
        Ok(None)
    }

    pub(super) fn view(&self, key: DeliveryKey) -> Result<Option<View>, Error> {
        let (delivery, newest) = match self.row(key)? {
            Some(found) => found,
            None => match self.delivery(key)? {
                Some(delivery) => (delivery, None),
                None => return Ok(None),
            },
        };
        let error = newest.and_then(|attempt| attempt.error);
        let Some(endpoint) = self.webhook(key.endpoint)? else { return Ok(None) };
        let Some((event_id, kind)) = self.event_name(key.event)? else { return Ok(None) };
        let status = status(&delivery, endpoint.is_active());
        Ok(Some(View { delivery, event_id, kind, endpoint, status, error }))
    }

    /// Whether a delivery's event has a type that a filter wants. The event is read only where the filter asks for that.
    pub(super) fn is_of_kind(&self, key: DeliveryKey, filter: &Filter) -> Result<bool, Error> {
        let Some(wanted) = &filter.kind else { return Ok(true) };
        Ok(self.event_name(key.event)?.is_some_and(|(_, kind)| wanted.matches(&kind)))
    }

    /// An event's id and type. Of a damaged event it is still told what became of its deliveries.
    pub(in crate::store) fn event_name(&self, key: EventKey) -> Result<Option<IdAndType>, Error> {
        match self.event(key) {
            Ok(stored) => Ok(stored.map(|stored| (stored.event.id, stored.event.kind))),
            Err(Error::Damaged { .. }) => Ok(Some((self.reader.shared.node.event_id(key).into(), Box::default()))),
            Err(fault) => Err(fault),
        }
    }

    /// The names of events.
    pub(super) fn names(&self) -> Result<Names<'_>, Error> {
        let table = schema::read(&self.txn, NAME)?;
        Ok(Names { unflushed: &self.unflushed, table })
    }

    /// Event keys of a scope after the first of two and up to the second, oldest first: the index, then what is not in it yet.
    pub(in crate::store) fn event_keys(
        &self,
        scope: Scope,
        (after, last): (EventKey, EventKey),
        limit: usize,
    ) -> Result<Vec<EventKey>, Error> {
        let first_row = index_key(scope, EventKey(after.0.saturating_add(1)), EndpointNo(0));
        let last_row = index_key(scope, last, EndpointNo(u32::MAX));
        let mut found = Vec::new();
        if first_row <= last_row {
            for row in schema::read(&self.txn, INDEX)?.range::<&IndexKey>(&first_row..=&last_row)?.take(limit) {
                found.push(read_index_key(row?.0.value()).event);
            }
        }
        let theirs = self.tail.iter().filter(|entry| entry.is_in(scope)).map(|entry| entry.key.event);
        found.extend(theirs.filter(|key| *key > after && *key <= last));
        Ok(found)
    }

    /// Delivery keys of what is listed, newest first, at most `look`. Of the index one row is read for each scope, and `look` more.
    pub(in crate::store) fn delivery_keys(
        &self,
        filter: &Filter,
        before: Option<DeliveryKey>,
        look: usize,
    ) -> Result<Vec<DeliveryKey>, Error> {
        let (oldest, newest) = filter.window();
        let upper = before.map_or(Bound::Included(ceiling(newest)), |before| Bound::Excluded(before.min(ceiling(newest))));
        let floor = DeliveryKey { event: oldest, endpoint: EndpointNo(0) };
        let table = schema::read(&self.txn, INDEX)?;
        let lists = self.scopes.iter().map(|scope| indexed(&table, *scope, floor, upper));
        let mut found: BTreeSet<DeliveryKey> = merged::newest(lists, look)?.into_iter().collect();
        found.extend(self.in_tail(floor, upper, look));
        Ok(found.into_iter().rev().take(look).collect())
    }

    /// Of each webhook that is listed its newest deliveries, at most `most`, newest first.
    pub(in crate::store) fn newest_of_each(&self, most: usize) -> Result<HashMap<EndpointNo, Vec<DeliveryKey>>, Error> {
        let table = schema::read(&self.txn, INDEX)?;
        let mut found: HashMap<EndpointNo, BTreeSet<DeliveryKey>> = HashMap::new();
        for scope in &self.scopes {
            let Scope::Endpoint(no) = *scope else { continue };
            let floor = DeliveryKey { event: EventKey::MIN, endpoint: no };
            let rows = indexed(&table, *scope, floor, Bound::Included(ceiling(EventKey::MAX)))?;
            found.insert(no, rows.take(most).collect::<Result<_, _>>()?);
        }
        for key in self.tail.iter().map(|entry| entry.key) {
            found.entry(key.endpoint).and_modify(|theirs| {
                theirs.insert(key);
                if theirs.len() > most {
                    theirs.pop_first();
                }
            });
        }
        Ok(found.into_iter().map(|(no, theirs)| (no, theirs.into_iter().rev().collect())).collect())
    }

    /// The deliveries of what is listed that the index does not have yet, in no order.
    pub(in crate::store) fn deliveries_in_tail(&self) -> impl Iterator<Item = DeliveryKey> {
        self.tail.iter().filter(|entry| !entry.is_event()).map(|entry| entry.key)
    }

    fn in_tail(&self, floor: DeliveryKey, upper: Bound<DeliveryKey>, look: usize) -> Vec<DeliveryKey> {
        let mut found: Vec<_> = self.deliveries_in_tail().filter(|key| *key >= floor && is_below(*key, upper)).collect();
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.truncate(look);
        found
    }
}

/// A scope's deliveries in the index, newest first.
fn indexed(
    table: &ReadOnlyTable<&'static IndexKey, ()>,
    scope: Scope,
    floor: DeliveryKey,
    upper: Bound<DeliveryKey>,
) -> Result<impl Iterator<Item = Result<DeliveryKey, Error>>, Error> {
    let first = index_key(scope, floor.event, floor.endpoint);
    let last = upper.map(|key| index_key(scope, key.event, key.endpoint));
    let rows =
        if first <= index_of(&last) { Some(table.range::<&IndexKey>((Bound::Included(&first), last.as_ref()))?) } else { None };
    Ok(rows.into_iter().flat_map(Iterator::rev).map(move |row| {
        let key = read_index_key(row?.0.value());
        Ok(match scope {
            Scope::Endpoint(endpoint) => DeliveryKey { endpoint, ..key },
            Scope::Tenant(_) | Scope::Events(_) => key,
        })
    }))
}

fn is_below(key: DeliveryKey, upper: Bound<DeliveryKey>) -> bool {
    match upper {
        Bound::Excluded(upper) => key < upper,
        Bound::Included(upper) => key <= upper,
        Bound::Unbounded => true,
    }
}

/// Whether an event is a tenant's, or for all tenants of its provider.
pub(super) fn is_of(event: &Event, owned: &Owned) -> bool {
    *event.provider == *owned.provider && event.tenant.as_ref().is_none_or(|tenant| *tenant == owned.tenant)
}

/// Whether an attempt passes a filter, but for its event and its window of time.
pub(super) fn matches_attempt(attempt: &Attempt, filter: &AttemptFilter) -> bool {
    let code = attempt.outcome.result.as_ref().ok().map(|response| response.status);
    filter.succeeded.is_none_or(|succeeded| succeeded == attempt.error.is_none())
        && filter.code.is_none_or(|wanted| Some(wanted) == code)
        && filter.class.is_none_or(|class| class.holds(attempt.error, code))
}

pub(super) fn ceiling(event: EventKey) -> DeliveryKey {
    DeliveryKey { event, endpoint: EndpointNo(u32::MAX) }
}

fn index_of(bound: &Bound<IndexKey>) -> IndexKey {
    match bound {
        Bound::Included(key) | Bound::Excluded(key) => *key,
        Bound::Unbounded => [u8::MAX; 17],
    }
}

/// Rows that one page of a listing looks at, so that a rare filter costs no more than this at once.
pub(in crate::store) const LOOK: usize = 10_000;

/// Scopes that each entry of the tail is compared with one by one: as fast as one look-up.
pub(super) const SCOPES_COMPARED: usize = 4;
