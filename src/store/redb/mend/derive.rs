//! Derives again what can be: the entries that bring deliveries back, from the log and the events; the counters, from all of it.
//!
//! Every delivery that is not finished has exactly one entry, and its row says where. One without a row waits where its event was
//! published to. A delivery of which nothing is left but that its event counts it gets its entry back where it is certain whose it
//! was: from the index, or since exactly as many webhooks match as are missing. What belongs to no event any more is taken out.
//!
//! The index of attempts is emptied, and made anew from the log while the service runs.
//!
//! This reads the whole log and all events, so it is done where damage was found, never at a usual start.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::iter::Peekable;

use redb::{Database, ReadTransaction, ReadableDatabase, ReadableTable, ReadableTableMetadata};

use super::sums::{sum_of, value};
use crate::domain::delivery::{Delivery, QueuePosition, State};
use crate::domain::id::{ByEndpoint, DeliveryKey, EndpointNo, EventKey, Node};
use crate::domain::time::Timestamp;
use crate::store::error::Error;
use crate::store::record::key::{
    BacklogKey, DELIVERY_ROW, DueKey, LogKey, Scope, TimeKey, backlog_key, due_key, index_key, log_key, read_backlog_key,
    read_due_key, read_log_key, read_time_key, time_key, waiting as waits_for,
};
use crate::store::record::{self, Counters, StoredEvent, Unlisted, WebhookFacts};
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::schema::{
    self, ATTEMPT_INDEX, BACKLOG, DUE, ENDED, ENDPOINT, EVENT, FANOUT, INDEX, LOG, REVISIT, TENANT,
};
use crate::store::redb::tables::Tables;

/// What mending came to.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Mended {
    pub(in crate::store) counters: Counters,
    /// Entries and rows that were put or taken out.
    pub(in crate::store) changed: u64,
}

/// Mends a store whose tables hold everything up to the commit with `number`; `counters` are none when they are damaged.
pub(in crate::store) fn mend(
    database: &Database,
    node: Node,
    counters: Option<Counters>,
    number: u64,
    now: Timestamp,
) -> Result<Mended, Error> {
    let plan = Plan::of(&database.begin_read()?, node, counters, now)?;
    let mended = Mended { counters: plan.counters, changed: plan.changes() };
    plan.carry_out(database, number)?;
    Ok(mended)
}

/// What is to be changed.
#[derive(Default)]
struct Plan {
    put: Vec<(DeliveryKey, QueuePosition)>,
    take: Vec<(DeliveryKey, QueuePosition)>,
    rows: Vec<LogKey>,
    events: Vec<StoredEvent>,
    revisits: Vec<TimeKey>,
    counters: Counters,
    node: Option<Node>,
}

/// What is read once.
struct Facts<'t> {
    txn: &'t ReadTransaction,
    webhooks: ByEndpoint<WebhookFacts>,
    fanning: HashSet<u64>,
    revisited: HashSet<u64>,
    node: Node,
    now: Timestamp,
    swept: u64,
    /// Up to where the index has all; none when nobody knows.
    indexed: u64,
}

/// What is known of the deliveries of one event.
#[derive(Default)]
struct OfEvent {
    rows: BTreeMap<EndpointNo, Result<Delivery, Error>>,
    places: BTreeMap<EndpointNo, Vec<QueuePosition>>,
}

impl Plan {
    fn of(txn: &ReadTransaction, node: Node, counters: Option<Counters>, now: Timestamp) -> Result<Self, Error> {
        let known = counters.unwrap_or_default();
        let facts = Facts {
            txn,
            webhooks: webhooks(txn)?,
            fanning: keys(schema::read(txn, FANOUT)?.range::<u64>(..)?)?,
            revisited: revisited(txn)?,
            node,
            now,
            swept: known.swept,
            indexed: known.indexed,
        };
        let entries = entries(txn)?;
        let mut plan = Self { counters: known, node: Some(node), ..Self::default() };
        plan.walk(&facts, &entries)?;
        plan.count(&facts, &entries)?;
        Ok(plan)
    }

    /// Goes through all events, the log and the entries side by side.
    fn walk(&mut self, facts: &Facts<'_>, entries: &[(DeliveryKey, QueuePosition)]) -> Result<(), Error> {
        let log = schema::read(facts.txn, LOG)?;
        let mut rows = log.range::<&LogKey>(..)?.peekable();
        let mut entries = entries.iter().copied().peekable();
        let mut before = None;
        for row in schema::read(facts.txn, EVENT)?.range::<u64>(..)? {
            let (key, value) = row?;
            let event = EventKey(key.value());
            if before.is_some_and(|before| event <= before) {
                continue;
            }
            before = Some(event);
            self.drop_orphans(&mut rows, &mut entries, event)?;
            let theirs = OfEvent::take(&mut rows, &mut entries, event)?;
            let stored = record::read_event(event, facts.node, value.value()).ok();
            self.settle(facts, event, stored, theirs)?;
        }
        self.drop_orphans(&mut rows, &mut entries, EventKey::MAX)
    }

    /// What stands before `event` belongs to none.
    fn drop_orphans(
        &mut self,
        rows: &mut Peekable<redb::Range<'_, &'static LogKey, &'static [u8]>>,
        entries: &mut Peekable<impl Iterator<Item = (DeliveryKey, QueuePosition)>>,
        event: EventKey,
    ) -> Result<(), Error> {
        while let Some(row) = rows.next_if(|row| row.as_ref().map_or(true, |(key, _)| read_log_key(key.value()).0.event < event))
        {
            self.rows.push(*row?.0.value());
        }
        while let Some(entry) = entries.next_if(|(key, _)| key.event < event) {
            self.take.push(entry);
        }
        Ok(())
    }

    fn settle(&mut self, facts: &Facts<'_>, event: EventKey, stored: Option<StoredEvent>, theirs: OfEvent) -> Result<(), Error> {
        let OfEvent { rows, places } = theirs;
        let mut ended_unknown = 0;
        for (no, row) in &rows {
            let key = DeliveryKey { event, endpoint: *no };
            let at = places.get(no).map_or(&[][..], Vec::as_slice);
            match row {
                Ok(delivery) => self.settle_one(key, at, row_place(delivery)),
                Err(_) => {
                    self.rows.push(log_key(key, DELIVERY_ROW));
                    ended_unknown += u32::from(at.is_empty());
                    self.settle_one(key, at, position_without_row(key, at));
                }
            }
        }
        for (no, at) in places.iter().filter(|(no, _)| !rows.contains_key(no)) {
            let key = DeliveryKey { event, endpoint: *no };
            self.settle_one(key, at, position_without_row(key, at));
        }
        let Some(mut stored) = stored else { return Ok(()) };
        self.find_missing(facts, &stored, &rows, &places, ended_unknown)?;
        if event.0 <= facts.swept && !facts.revisited.contains(&event.0) {
            self.revisits.push(time_key(facts.now, event));
        }
        if ended_unknown > 0 {
            stored.removed = stored.removed.saturating_add(ended_unknown).min(stored.deliveries);
            self.events.push(stored);
        }
        Ok(())
    }

    /// Leaves one entry, at `place`.
    fn settle_one(&mut self, key: DeliveryKey, at: &[QueuePosition], position: Option<QueuePosition>) {
        self.take.extend(at.iter().filter(|at| Some(**at) != position).map(|at| (key, *at)));
        self.put.extend(position.filter(|position| !at.contains(position)).map(|position| (key, position)));
    }

    /// Deliveries that the event counts and of which nothing is left.
    fn find_missing(
        &mut self,
        facts: &Facts<'_>,
        stored: &StoredEvent,
        rows: &BTreeMap<EndpointNo, Result<Delivery, Error>>,
        places: &BTreeMap<EndpointNo, Vec<QueuePosition>>,
        ended_unknown: u32,
    ) -> Result<(), Error> {
        let event = stored.event.key;
        let counted = rows.values().filter(|row| row.as_ref().is_ok_and(|delivery| !delivery.recovered)).count();
        let waiting = places.keys().filter(|no| !rows.get(no).is_some_and(Result::is_ok)).count();
        let said = stored.deliveries.saturating_sub(stored.removed) as usize;
        let missing = said.saturating_sub(counted + waiting + ended_unknown as usize);
        if missing == 0 || facts.fanning.contains(&event.0) {
            return Ok(());
        }
        let unseen = facts.webhooks.iter().filter(|(no, _)| !rows.contains_key(no) && !places.contains_key(no));
        let mut found: Vec<EndpointNo> = Vec::new();
        for (no, webhook) in unseen {
            let had = if event.0 <= facts.indexed { facts.is_indexed(*no, event)? } else { webhook.matched(&stored.event) };
            found.extend(had.then_some(*no));
        }
        if found.len() == missing {
            found.sort_unstable();
            let keys = found.into_iter().map(|endpoint| DeliveryKey { event, endpoint });
            self.put.extend(keys.map(|key| (key, QueuePosition::Due(event.time()))));
        }
        Ok(())
    }

    fn count(&mut self, facts: &Facts<'_>, entries: &[(DeliveryKey, QueuePosition)]) -> Result<(), Error> {
        let txn = facts.txn;
        let (events, tenants) = (schema::read(txn, EVENT)?, schema::read(txn, TENANT)?);
        let mut sum = entries.iter().fold(0, |sum: u64, entry| sum.wrapping_add(sum_of(entry)));
        self.take.iter().for_each(|entry| sum = sum.wrapping_sub(sum_of(entry)));
        self.put.iter().for_each(|entry| sum = sum.wrapping_add(sum_of(entry)));
        let counters = &mut self.counters;
        counters.waiting = Some(sum);
        counters.pending = (entries.len() + self.put.len()).saturating_sub(self.take.len()) as u64;
        counters.events = events.len()?;
        let newest = events.last()?.map_or(0, |(key, _)| key.value());
        let parked = entries
            .iter()
            .filter_map(|(_, position)| if let QueuePosition::Backlog(number) = position { Some(*number) } else { None });
        counters.last_key = parked.chain([newest]).fold(counters.last_key, u64::max);
        let named = entries.iter().map(|(key, _)| key.endpoint.0).chain(facts.webhooks.keys().map(|no| no.0));
        counters.last_endpoint = named.fold(counters.last_endpoint, u32::max);
        counters.last_tenant = tenants.last()?.map_or(0, |(no, _)| no.value()).max(counters.last_tenant);
        // The index of attempts is made anew from the log, in the background.
        (counters.attempts, counters.attempts_indexed) = (0, 0);
        counters.unlisted = Some(Unlisted { after: START, until: EventKey(counters.last_key) });
        Ok(())
    }

    fn changes(&self) -> u64 {
        (self.put.len() + self.take.len() + self.rows.len() + self.revisits.len()) as u64
    }

    fn carry_out(self, database: &Database, number: u64) -> Result<(), Error> {
        let lazy = Txn::of(database);
        let txn = lazy.get()?;
        let mut bytes = Vec::new();
        {
            let (mut due, mut backlog) = (txn.open_table(DUE)?, txn.open_table(BACKLOG)?);
            for (key, position) in &self.take {
                match *position {
                    QueuePosition::Due(at) => drop(due.remove(&due_key(at, *key))?),
                    QueuePosition::Backlog(number) => drop(backlog.remove(&backlog_key(key.endpoint, number))?),
                }
            }
            for (key, position) in &self.put {
                match *position {
                    QueuePosition::Due(at) => drop(due.insert(&due_key(at, *key), ())?),
                    QueuePosition::Backlog(number) => {
                        drop(backlog.insert(&backlog_key(key.endpoint, number), &*value(*key, number))?)
                    }
                }
            }
            let mut log = txn.open_table(LOG)?;
            for row in &self.rows {
                log.remove(row)?;
            }
            txn.delete_table(ATTEMPT_INDEX)?;
            txn.delete_table(ENDED)?;
            txn.open_table(ATTEMPT_INDEX)?;
            txn.open_table(ENDED)?;
            let mut revisits = txn.open_table(REVISIT)?;
            for revisit in &self.revisits {
                revisits.insert(revisit, ())?;
            }
        }
        self.write_events(&lazy, &mut bytes)?;
        let mut tables = Tables::of(&lazy, Default::default());
        tables.put_counters(&self.counters, number)?;
        drop(tables);
        lazy.commit()
    }

    /// Events whose count of removed deliveries changed.
    fn write_events(&self, txn: &Txn<'_>, bytes: &mut Vec<u8>) -> Result<(), Error> {
        let mut events = txn.get()?.open_table(EVENT)?;
        for (stored, node) in self.events.iter().zip(self.node.iter().cycle()) {
            record::write_event(stored, *node, bytes);
            events.insert(stored.event.key.0, &**bytes)?;
        }
        Ok(())
    }
}

impl Facts<'_> {
    fn is_indexed(&self, no: EndpointNo, event: EventKey) -> Result<bool, Error> {
        Ok(schema::read(self.txn, INDEX)?.get(&index_key(Scope::Endpoint(no), event, no))?.is_some())
    }
}

impl OfEvent {
    fn take(
        rows: &mut Peekable<redb::Range<'_, &'static LogKey, &'static [u8]>>,
        entries: &mut Peekable<impl Iterator<Item = (DeliveryKey, QueuePosition)>>,
        event: EventKey,
    ) -> Result<Self, Error> {
        let mut found = Self::default();
        while let Some(row) = rows.next_if(|row| row.as_ref().map_or(true, |(key, _)| read_log_key(key.value()).0.event == event))
        {
            let (key, value) = row?;
            let (key, number) = read_log_key(key.value());
            if number == DELIVERY_ROW {
                found.rows.insert(key.endpoint, record::read_delivery(key, value.value()).map(|(delivery, _)| delivery));
            }
        }
        while let Some((key, position)) = entries.next_if(|(key, _)| key.event == event) {
            found.places.entry(key.endpoint).or_default().push(position);
        }
        Ok(found)
    }
}

fn row_place(delivery: &Delivery) -> Option<QueuePosition> {
    match delivery.state {
        State::Pending(position) => Some(position),
        State::Succeeded { .. } | State::Failed { .. } => None,
    }
}

/// A delivery without a row waits where it was published to, or in the backlog under its event's key.
fn position_without_row(key: DeliveryKey, at: &[QueuePosition]) -> Option<QueuePosition> {
    let published = QueuePosition::Due(key.event.time());
    let natural = [published, QueuePosition::Backlog(key.event.0)];
    let stands = at.iter().find(|at| natural.contains(at)).copied();
    stands.or_else(|| (!at.is_empty()).then_some(published))
}

/// All entries, in the order of their deliveries.
fn entries(txn: &ReadTransaction) -> Result<Vec<(DeliveryKey, QueuePosition)>, Error> {
    let mut found = Vec::new();
    for row in schema::read(txn, DUE)?.range::<&DueKey>(..)? {
        let (at, key) = read_due_key(row?.0.value());
        found.push((key, QueuePosition::Due(at)));
    }
    for row in schema::read(txn, BACKLOG)?.range::<&BacklogKey>(..)? {
        let (key, value) = row?;
        let (endpoint, number) = read_backlog_key(key.value());
        found.push((waits_for(endpoint, number, value.value()), QueuePosition::Backlog(number)));
    }
    found.sort_by_key(|(key, _)| *key);
    Ok(found)
}

pub(in crate::store) fn webhooks(txn: &ReadTransaction) -> Result<ByEndpoint<WebhookFacts>, Error> {
    let mut found: ByEndpoint<WebhookFacts> = HashMap::default();
    for row in schema::read(txn, ENDPOINT)?.range::<u32>(..)? {
        let (no, value) = row?;
        let no = EndpointNo(no.value());
        found.extend(record::read_webhook_facts(no, value.value()).ok().map(|facts| (no, facts)));
    }
    Ok(found)
}

fn revisited(txn: &ReadTransaction) -> Result<HashSet<u64>, Error> {
    let mut found = HashSet::new();
    for row in schema::read(txn, REVISIT)?.range::<&TimeKey>(..)? {
        found.insert(read_time_key(row?.0.value()).1.0);
    }
    Ok(found)
}

fn keys<K>(rows: redb::Range<'_, K, &'static [u8]>) -> Result<HashSet<K>, Error>
where
    K: redb::Key + for<'k> redb::Value<SelfType<'k> = K> + Eq + std::hash::Hash,
{
    let mut found = HashSet::new();
    for row in rows {
        found.insert(row?.0.value());
    }
    Ok(found)
}

/// Before all deliveries.
const START: DeliveryKey = DeliveryKey { event: EventKey::MIN, endpoint: EndpointNo(0) };
