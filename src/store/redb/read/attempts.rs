//! Attempts by their ids, and lists of attempts in the order of their starts.
//!
//! A list is found by the index of attempts and its tail. The list of one event goes over its deliveries, unless those are very many.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use redb::ReadOnlyTable;

use super::Reader;
use super::merged;
use super::rows::Left;
use super::snapshot::{LOOK, SCOPES_COMPARED, Snapshot, matches_attempt};
use crate::domain::id::{AttemptKey, DeliveryKey, EventKey};
use crate::domain::time::Timestamp;
use crate::store::Error;
use crate::store::error::intact;
use crate::store::message::view::{Attempt, AttemptFilter, AttemptPage, AttemptView, Filter, Fit, Of, Space};
use crate::store::record;
use crate::store::record::key::{AttemptIndexKey, DELIVERY_ROW, Scope, attempt_index_key, log_key, read_attempt_index_key};
use crate::store::redb::schema::{self, ATTEMPT_INDEX, EVENT};

impl Reader {
    /// An attempt by its id, and whose it is.
    pub(crate) fn attempt_key(&self, id: &str) -> Result<Option<AttemptKey>, Error> {
        let Some(id) = self.shared.node.read_attempt_id(id) else { return Ok(None) };
        let snapshot = Snapshot::of(self, &[])?;
        if snapshot.webhook(id.endpoint())?.is_none() {
            return Ok(None);
        }
        let (oldest, newest) = snapshot.events_span()?;
        for delivery in id.deliveries(oldest, newest) {
            let found = snapshot.attempts_of(delivery)?.into_iter().find(|attempt| id.is_of(attempt.started_at));
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    /// A piece of a list, newest first, before `before`.
    pub(crate) fn attempt_keys(
        &self,
        of: &Of,
        filter: &AttemptFilter,
        before: Option<AttemptKey>,
        limit: usize,
    ) -> Result<AttemptPage, Error> {
        let look = if filter.needs_look() { LOOK } else { limit + 1 };
        let (snapshot, keys) = match filter.event {
            Some(event) => self.attempts_of_event(of, filter, event, before, look)?,
            None => self.listed_attempts(of, filter, before, look)?,
        };
        let mut page = AttemptPage::default();
        let (whole, last) = (keys.len() < look, keys.last().copied());
        for key in keys {
            if page.keys.len() == limit {
                return Ok(page);
            }
            page.next = Some(key);
            if snapshot.passes(key, filter)? {
                page.keys.push(key);
            }
        }
        page.next = if whole { None } else { last };
        Ok(page)
    }

    /// The first of these attempts, in their order, as many as there is room for. `None` for an attempt that is gone, or damaged.
    pub(crate) fn attempts_by_key(&self, keys: &[AttemptKey], space: Space) -> Result<Fit<Vec<Option<AttemptView>>>, Error> {
        let snapshot = Snapshot::of(self, &[])?;
        Left::of(space).fill(keys.iter().copied(), |left, key| match snapshot.attempt(key.delivery, key.number, left)? {
            Some(Fit::Fits(attempt)) => Ok(snapshot.attempt_view(key, attempt)?.map(Fit::Fits)),
            Some(Fit::Needs(bytes)) => Ok(Some(Fit::Needs(bytes))),
            None => Ok(None),
        })
    }

    /// An attempt as the log holds it.
    #[cfg(test)]
    pub(crate) fn whole_attempt(&self, key: AttemptKey) -> Result<Option<Attempt>, Error> {
        Snapshot::of(self, &[])?.whole_attempt(key)
    }

    fn listed_attempts(
        &self,
        of: &Of,
        filter: &AttemptFilter,
        before: Option<AttemptKey>,
        look: usize,
    ) -> Result<(Snapshot<'_>, Vec<AttemptKey>), Error> {
        let scopes = self.delivery_scopes(of);
        // An attempt leaves the tail after the commit that puts it into the index, so it is here or in the snapshot.
        let tail = self.attempts_in_tail(&scopes, filter, before, look);
        let snapshot = Snapshot::of(self, &[])?;
        let table = schema::read(snapshot.txn(), ATTEMPT_INDEX)?;
        let lists = scopes.iter().map(|scope| indexed(&table, *scope, filter, before));
        let mut found: BTreeSet<AttemptKey> = merged::newest(lists, look)?.into_iter().collect();
        found.extend(tail);
        drop(table);
        Ok((snapshot, found.into_iter().rev().take(look).collect()))
    }

    fn attempts_in_tail(
        &self,
        scopes: &[Scope],
        filter: &AttemptFilter,
        before: Option<AttemptKey>,
        look: usize,
    ) -> Vec<AttemptKey> {
        let is_wanted = |key: AttemptKey| filter.holds(key.started_at) && before.is_none_or(|before| key < before);
        let mut found = self.ended_in(scopes);
        found.retain(|key| is_wanted(*key));
        found.sort_unstable_by(|a, b| b.cmp(a));
        found.truncate(look);
        found
    }

    /// The attempts in the tail that listings of these scopes show. The writer waits for the tail after each commit: of many scopes
    /// each is looked up in a copy.
    pub(super) fn ended_in(&self, scopes: &[Scope]) -> Vec<AttemptKey> {
        let tail = self.shared.tail_mut();
        if scopes.len() <= SCOPES_COMPARED {
            let theirs = tail.attempts.iter().filter(|ended| ended.scopes().iter().any(|scope| scopes.contains(scope)));
            return theirs.map(|ended| ended.key).collect();
        }
        let copy = tail.attempts.clone();
        drop(tail);
        let wanted: HashSet<Scope> = scopes.iter().copied().collect();
        let theirs = copy.iter().filter(|ended| ended.scopes().iter().any(|scope| wanted.contains(scope)));
        theirs.map(|ended| ended.key).collect()
    }

    /// The attempts of one event: of its deliveries, where those have no more attempts than one page may look at, else of the index.
    fn attempts_of_event(
        &self,
        of: &Of,
        filter: &AttemptFilter,
        event: EventKey,
        before: Option<AttemptKey>,
        look: usize,
    ) -> Result<(Snapshot<'_>, Vec<AttemptKey>), Error> {
        let snapshot = Snapshot::of(self, &self.delivery_scopes(of))?;
        let deliveries = snapshot.delivery_keys(&Filter { event: Some(event), ..Filter::default() }, None, LOOK)?;
        let mut found = BTreeSet::new();
        for delivery in deliveries.iter().take(LOOK - 1) {
            found.extend(snapshot.attempts_of(*delivery)?);
            if found.len() >= LOOK {
                break;
            }
        }
        if deliveries.len() < LOOK && found.len() < LOOK {
            found.retain(|key| filter.holds(key.started_at) && before.is_none_or(|before| *key < before));
            return Ok((snapshot, found.into_iter().rev().take(look).collect()));
        }
        self.listed_attempts(of, filter, before, LOOK)
    }
}

impl Snapshot<'_> {
    /// Between which keys all events are. Events that no table holds yet are of this moment, or follow the newest of the tables.
    fn events_span(&self) -> Result<(EventKey, EventKey), Error> {
        let events = schema::read(self.txn(), EVENT)?;
        let mut kept = events.range::<u64>(..)?;
        let oldest = kept.next().transpose()?.map(|(key, _)| EventKey(key.value()));
        let newest = kept.next_back().transpose()?.map(|(key, _)| EventKey(key.value())).or(oldest);
        let soon = self.shared().dial.now().max(newest.map_or(Timestamp::EPOCH, EventKey::time)) + NEW_FOR;
        Ok((oldest.unwrap_or(EventKey::MIN), EventKey::at(soon)))
    }

    /// All attempts of a delivery that are kept.
    fn attempts_of(&self, delivery: DeliveryKey) -> Result<Vec<AttemptKey>, Error> {
        let Some((kept, newest)) = self.row(delivery)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for number in 1..kept.attempts {
            let row = log_key(delivery, number);
            let started_at = intact(self.log_row(&row, |bytes| record::read_attempt_start(&row, bytes)).transpose())?;
            found.extend(started_at.map(|started_at| AttemptKey { started_at, delivery, number }));
        }
        found.extend(newest.map(|newest| newest.key(delivery)));
        Ok(found)
    }

    /// Whether an attempt is there and passes a filter, but for its window of time.
    fn passes(&self, key: AttemptKey, filter: &AttemptFilter) -> Result<bool, Error> {
        if filter.event.is_some_and(|event| event != key.delivery.event) {
            return Ok(false);
        }
        if !filter.needs_row() {
            return Ok(true);
        }
        Ok(self.whole_attempt(key)?.is_some_and(|attempt| matches_attempt(&attempt, filter)))
    }

    pub(super) fn whole_attempt(&self, key: AttemptKey) -> Result<Option<Attempt>, Error> {
        let position = log_key(key.delivery, key.number);
        let older = self.log_row(&position, |row| record::read_attempt(&position, row));
        if let Some(older) = intact(older.transpose())? {
            return Ok(Some(older));
        }
        let newest = self.log_row(&log_key(key.delivery, DELIVERY_ROW), |row| record::read_delivery(key.delivery, row));
        let newest = intact(newest.transpose())?.and_then(|(_, newest)| newest);
        Ok(newest.filter(|newest| newest.number == key.number))
    }

    /// What is shown of an attempt beside itself. `None`: its event or its webhook is gone.
    fn attempt_view(&self, key: AttemptKey, attempt: Attempt) -> Result<Option<AttemptView>, Error> {
        let Some(endpoint) = self.webhook(key.delivery.endpoint)? else { return Ok(None) };
        let Some((event_id, kind)) = self.event_name(key.delivery.event)? else { return Ok(None) };
        Ok(Some(AttemptView { key, attempt, event_id, kind, endpoint }))
    }
}

/// The attempts of a scope in the index that lie in a filter's window and before `before`, newest first.
fn indexed(
    table: &ReadOnlyTable<&'static AttemptIndexKey, ()>,
    scope: Scope,
    filter: &AttemptFilter,
    before: Option<AttemptKey>,
) -> Result<impl Iterator<Item = Result<AttemptKey, Error>>, Error> {
    let first_at = AttemptKey::first_at;
    let first = first_at(filter.since.unwrap_or(Timestamp::EPOCH));
    let end = filter.until.map(first_at).into_iter().chain(before).min().unwrap_or(first_at(Timestamp::from_micros(u64::MAX)));
    let [first, end] = [first, end].map(|key| attempt_index_key(scope, key));
    let rows = if first < end { Some(table.range::<&AttemptIndexKey>(&first..&end)?) } else { None };
    Ok(rows.into_iter().flat_map(Iterator::rev).map(|row| Ok(read_attempt_index_key(row?.0.value()))))
}

/// Longer than events wait until they stand in a table.
const NEW_FOR: Duration = Duration::from_secs(3600);
