//! The tables of one batch. What is added to those of the hot path is kept back, over batches that the journal holds, until a
//! checkpoint comes or the batch needs a write transaction, and then goes in by one piece, mostly. Look-ups there need none.

use std::ops::Bound;

use redb::{AccessGuard, Cursor, ReadableTable, Table};

use super::background::index_flush;
use super::boot::findings::Finding;
use super::bulk::{put_sorted, remove_sorted};
use super::counted::{Counted, Grown};
use super::journal::entry::Due;
use super::journal::memtable::Appended;
use super::journaled_table::Hot;
use super::lazy_txn::Txn;
use super::schema::{
    BACKLOG, BacklogKey, CONNECTION, COUNTERS, DUE, Def, DueKey, ENDPOINT, EVENT, EVENT_TYPE, FANOUT, FINDING, FOLLOWS, HOUR,
    HourKey, INDEX, IndexKey, JOB, JOURNALED, KEY, LAST_TIME, LOG, LogKey, META, NAME, NAME_END, QUARANTINE, REVISIT, SECOND,
    STATE, TENANT, TimeKey, backlog_key, read_backlog_key, waiting,
};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::store::error::Error;
use crate::store::record::{self, Counters, Follows};

type Writable<'txn, K, V = &'static [u8]> = Counted<'txn, K, V>;

/// The tables of one write transaction, opened when first asked for.
pub(in crate::store) struct Tables<'txn> {
    txn: &'txn Txn<'txn>,
    pub(in crate::store) appended: Appended,
    grown: Grown,
    event: Hot<'txn, u64, &'static [u8]>,
    log: Hot<'txn, &'static LogKey, &'static [u8]>,
    due: Hot<'txn, &'static DueKey, ()>,
    backlog: Hot<'txn, &'static BacklogKey, &'static [u8]>,
    name: Hot<'txn, &'static [u8], &'static [u8]>,
    state: Option<Table<'txn, u8, &'static [u8]>>,
    name_end: Option<Writable<'txn, &'static TimeKey>>,
    fanout: Option<Writable<'txn, u64>>,
    job: Option<Writable<'txn, u32>>,
    revisit: Option<Writable<'txn, &'static TimeKey, ()>>,
    index: Option<Writable<'txn, &'static IndexKey, ()>>,
    endpoint: Option<Writable<'txn, u32>>,
    tenant: Option<Writable<'txn, u32>>,
    key: Option<Writable<'txn, &'static [u8; 32]>>,
    last_time: Option<Writable<'txn, &'static [u8]>>,
    connection: Option<Writable<'txn, &'static [u8]>>,
    event_type: Option<Writable<'txn, &'static [u8]>>,
    hour: Option<Writable<'txn, &'static HourKey>>,
}

macro_rules! opened_when_asked {
    ($($name:ident: $key:ty, $value:ty = $definition:expr),* $(,)?) => {
        $(pub(in crate::store) fn $name(&mut self) -> Result<&mut Writable<'txn, $key, $value>, Error> {
            self.begin()?;
            opened(&mut self.$name, self.txn, $definition, &self.grown)
        })*
    };
}

impl<'txn> Tables<'txn> {
    pub(in crate::store) fn of(txn: &'txn Txn<'txn>, appended: Appended) -> Self {
        let grown = Grown::default();
        Self {
            txn,
            appended,
            event: Hot::of(EVENT, &grown),
            log: Hot::of(LOG, &grown),
            due: Hot::of(DUE, &grown),
            backlog: Hot::of(BACKLOG, &grown),
            name: Hot::of(NAME, &grown),
            state: None,
            name_end: None,
            fanout: None,
            job: None,
            revisit: None,
            index: None,
            endpoint: None,
            tenant: None,
            key: None,
            last_time: None,
            connection: None,
            event_type: None,
            hour: None,
            grown,
        }
    }

    /// The events, those of this batch among them.
    pub(in crate::store) fn event(&mut self) -> Result<&mut Writable<'txn, u64>, Error> {
        self.settle_events()?;
        self.event.open(self.txn)
    }

    /// The due entries, those of this batch among them.
    pub(in crate::store) fn due(&mut self) -> Result<&mut Writable<'txn, &'static DueKey, ()>, Error> {
        self.settle_due()?;
        self.due.open(self.txn)
    }

    /// The log, what this batch put there included.
    pub(in crate::store) fn log(&mut self) -> Result<&mut Writable<'txn, &'static LogKey>, Error> {
        self.settle_log()?;
        self.log.open(self.txn)
    }

    /// The backlogs, those of this batch among them.
    pub(in crate::store) fn backlog(&mut self) -> Result<&mut Writable<'txn, &'static BacklogKey>, Error> {
        self.settle_backlog()?;
        self.backlog.open(self.txn)
    }

    /// What was answered for ids and idempotency keys, in this batch too.
    pub(in crate::store) fn name(&mut self) -> Result<&mut Writable<'txn, &'static [u8]>, Error> {
        self.settle_names()?;
        self.name.open(self.txn)
    }

    pub(in crate::store) fn name_end(&mut self) -> Result<&mut Writable<'txn, &'static TimeKey>, Error> {
        self.settle_names()?;
        opened(&mut self.name_end, self.txn, NAME_END, &self.grown)
    }

    opened_when_asked! {
        fanout: u64, &'static [u8] = FANOUT,
        job: u32, &'static [u8] = JOB,
        revisit: &'static TimeKey, () = REVISIT,
        index: &'static IndexKey, () = INDEX,
        endpoint: u32, &'static [u8] = ENDPOINT,
        tenant: u32, &'static [u8] = TENANT,
        key: &'static [u8; 32], &'static [u8] = KEY,
        last_time: &'static [u8], &'static [u8] = LAST_TIME,
        connection: &'static [u8], &'static [u8] = CONNECTION,
        event_type: &'static [u8], &'static [u8] = EVENT_TYPE,
        hour: &'static HourKey, &'static [u8] = HOUR,
    }

    fn state(&mut self) -> Result<&mut Table<'txn, u8, &'static [u8]>, Error> {
        self.begin()?;
        if self.state.is_none() {
            self.state = Some(self.txn.get()?.open_table(STATE)?);
        }
        Ok(self.state.as_mut().expect("opened above"))
    }
}

impl Tables<'_> {
    /// Adds an event that is newer than all others.
    pub(in crate::store) fn append_event(&mut self, key: EventKey, record: &[u8]) {
        self.appended.put_event(key.0, record);
    }

    /// An event, if there is one.
    pub(in crate::store) fn event_row<T>(
        &mut self,
        key: EventKey,
        read: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        match self.appended.event(key.0) {
            Some(record) => read(record).map(Some),
            None => self.event.row(self.txn, key.0, read),
        }
    }

    /// Reads each of these events that there is. Those that are neighbours in the table, in its order, are read fastest.
    pub(in crate::store) fn each_event<T>(
        &mut self,
        of: impl Iterator<Item = (EventKey, T)>,
        read: impl FnMut(T, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.txn.has_begun() {
            return each_event(&**self.event.open(self.txn)?, &self.appended, of, read);
        }
        each_event(self.event.before(self.txn)?, &self.appended, of, read)
    }

    pub(in crate::store) fn put_due(&mut self, key: DueKey) {
        self.appended.put_due(key);
    }

    /// Takes a due entry out; false when it is not there.
    pub(in crate::store) fn take_due(&mut self, key: &DueKey) -> Result<bool, Error> {
        let (table, txn) = (&mut self.due, self.txn);
        self.appended.take_due(*key, || Ok(table.row(txn, key, |()| Ok(()))?.is_some()))
    }

    pub(in crate::store) fn put_backlog(&mut self, key: BacklogKey, value: &[u8]) {
        self.appended.put_backlog(key, value);
    }

    /// At most `limit` entries of an endpoint's backlog with numbers past `after`, in order.
    pub(in crate::store) fn backlog_past(
        &mut self,
        endpoint: EndpointNo,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, DeliveryKey)>, Error> {
        let piece = (Bound::Excluded(backlog_key(endpoint, after)), Bound::Included(backlog_key(endpoint, u64::MAX)));
        if self.txn.has_begun() {
            return backlog_of(&**self.backlog.open(self.txn)?, &self.appended, piece, limit);
        }
        backlog_of(self.backlog.before(self.txn)?, &self.appended, piece, limit)
    }

    /// Takes an entry out of a backlog; false when it is not there.
    pub(in crate::store) fn take_backlog(&mut self, key: &BacklogKey) -> Result<bool, Error> {
        let (table, txn) = (&mut self.backlog, self.txn);
        self.appended.take_backlog(*key, || Ok(table.row(txn, key, |_| Ok(()))?.is_some()))
    }

    pub(in crate::store) fn put_name(&mut self, name: &[u8], record: &[u8]) {
        self.appended.put_name(name, record);
    }

    pub(in crate::store) fn put_name_end(&mut self, key: TimeKey, name: &[u8]) {
        self.appended.put_name_end(key, name);
    }

    /// The record of a name.
    pub(in crate::store) fn named<T>(
        &mut self,
        name: &[u8],
        read: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        if let Some(record) = self.appended.named(name) {
            return read(record).map(Some);
        }
        self.name.row(self.txn, name, read)
    }

    /// A row of the log.
    pub(in crate::store) fn log_row<T>(
        &mut self,
        key: &LogKey,
        read: impl FnOnce(&[u8]) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        if self.txn.has_begun() {
            return self.log()?.get(key)?.map(|row| read(row.value())).transpose();
        }
        match self.appended.log_row(key) {
            Some(record) => read(record).map(Some),
            None => self.log.row(self.txn, key, read),
        }
    }

    /// Puts a row into the log, in place of the one that has its key.
    pub(in crate::store) fn put_log(&mut self, key: LogKey, record: &[u8]) {
        self.appended.put_log(key, record);
    }

    /// Writes the counters, and up to which number the tables hold what the journal holds. The bytes of all rows, which are given
    /// back, go on from what the tables say themselves: what a journal holds of them is older.
    pub(in crate::store) fn put_counters(&mut self, counters: &Counters, journaled: u64) -> Result<u64, Error> {
        let kept = self.state()?.get(COUNTERS)?.and_then(|row| record::read_counters(&[COUNTERS], row.value()).ok());
        let before = kept.map_or(counters.live_bytes, |kept| kept.live_bytes);
        let live_bytes = before.saturating_add_signed(self.grown.take());
        let mut bytes = Vec::new();
        record::write_counters(&[COUNTERS], &Counters { live_bytes, ..*counters }, &mut bytes);
        self.state()?.insert(COUNTERS, &*bytes)?;
        for row in [JOURNALED, JOURNALED + SECOND] {
            record::write_number(&[row], &journaled, &mut bytes);
            self.state()?.insert(row, &*bytes)?;
        }
        Ok(live_bytes)
    }

    /// By how many bytes the rows of all tables have grown in this batch so far.
    pub(in crate::store) fn grown(&self) -> i64 {
        self.grown.by()
    }

    /// Writes which run the journal is of.
    pub(in crate::store) fn put_follows(&mut self, follows: &Follows) -> Result<(), Error> {
        let mut bytes = Vec::new();
        for row in [FOLLOWS, FOLLOWS + SECOND] {
            record::write_follows(&[row], follows, &mut bytes);
            self.state()?.insert(row, &*bytes)?;
        }
        Ok(())
    }

    /// Notes what was found wrong.
    pub(in crate::store) fn put_finding(&mut self, finding: &Finding) -> Result<(), Error> {
        self.begin()?;
        let table = &mut self.txn.get()?.open_table(FINDING)?;
        let key = table.last()?.map_or(1, |(key, _)| key.value().saturating_add(1));
        let mut bytes = Vec::new();
        record::write_finding(key, finding, &mut bytes);
        table.insert(key, &*bytes)?;
        Ok(())
    }

    /// Whether this batch has changed anything that is to last.
    pub(in crate::store) fn are_changed(&self) -> bool {
        self.grown.is_changed() || !self.appended.current.is_empty()
    }

    /// Whether any table was read or changed, so that all that was kept back must go in too.
    pub(in crate::store) fn are_touched(&self) -> bool {
        self.txn.has_begun()
    }

    /// Writes what was kept back. Once for what is in the journal: the marks among it are added up.
    pub(in crate::store) fn settle(&mut self) -> Result<(), Error> {
        self.settle_events()?;
        self.settle_due()?;
        self.settle_backlog()?;
        self.settle_names()?;
        self.settle_marks()?;
        self.settle_log()
    }

    /// What is left to do, once no table is needed any more.
    pub(in crate::store) fn into_appended(self) -> Appended {
        self.appended
    }

    /// Writes at most so many rows of the flush under way; false when none were left.
    pub(in crate::store) fn flush(&mut self, most: usize) -> Result<bool, Error> {
        self.begin()?;
        let rows = self.appended.next_of_flush(most);
        if !rows.is_empty() {
            index_flush::put_rows(self.index()?, &rows)?;
        }
        Ok(!rows.is_empty())
    }

    /// Waits for the checkpoint under way, so that its changes are not made again.
    fn begin(&mut self) -> Result<(), Error> {
        if !self.txn.has_begun() {
            self.appended.thaw()?;
            self.txn.get()?;
        }
        Ok(())
    }

    fn settle_events(&mut self) -> Result<(), Error> {
        self.begin()?;
        let Some(&(first, _)) = self.appended.events.first() else { return Ok(()) };
        let table = self.event.open(self.txn)?;
        let mut cursor = table.bulk().lower_bound_mut(Bound::Included(first))?;
        let mut put = 0;
        for &(key, place) in &self.appended.events {
            let record = self.appended.record(place);
            cursor.insert_before(key, record)?;
            put += size_of::<u64>() + record.len();
        }
        cursor.close()?;
        table.note(put, 0);
        self.appended.events.clear();
        Ok(())
    }

    fn settle_due(&mut self) -> Result<(), Error> {
        self.begin()?;
        let changed = std::mem::take(&mut self.appended.due);
        if changed.is_empty() {
            return Ok(());
        }
        let table = self.due.open(self.txn)?;
        let taken: Vec<_> = changed.iter().filter(|(_, due)| **due == Due::Taken).map(|(key, _)| *key).collect();
        remove_sorted(table, &taken)?;
        let put: Vec<_> = changed.iter().filter(|(_, due)| **due == Due::Put).map(|(key, _)| (*key, ())).collect();
        put_sorted(table, &put)?;
        Ok(())
    }

    fn settle_backlog(&mut self) -> Result<(), Error> {
        self.begin()?;
        let changed = std::mem::take(&mut self.appended.backlog);
        if changed.is_empty() {
            return Ok(());
        }
        let table = self.backlog.open(self.txn)?;
        let taken: Vec<_> = changed.iter().filter(|(_, parked)| parked.is_none()).map(|(key, _)| *key).collect();
        remove_sorted(table, &taken)?;
        let put: Vec<(BacklogKey, &[u8])> =
            changed.iter().filter_map(|(key, parked)| parked.as_ref().map(|value| (*key, &**value))).collect();
        put_sorted(table, &put)?;
        Ok(())
    }

    fn settle_names(&mut self) -> Result<(), Error> {
        self.begin()?;
        let names = std::mem::take(&mut self.appended.names);
        for (name, record) in &*names {
            self.name.open(self.txn)?.insert(&**name, &**record)?;
        }
        for (key, name) in std::mem::take(&mut self.appended.name_ends) {
            opened(&mut self.name_end, self.txn, NAME_END, &self.grown)?.insert(&key, &*name)?;
        }
        Ok(())
    }

    fn settle_log(&mut self) -> Result<(), Error> {
        self.begin()?;
        let rows = self.appended.log_rows();
        if rows.is_empty() {
            return Ok(());
        }
        put_sorted(self.log.open(self.txn)?, &rows)
    }
}

/// A table, opened now if it was not.
fn opened<'t, 'txn, K: redb::Key + 'static, V: redb::Value + 'static>(
    table: &'t mut Option<Writable<'txn, K, V>>,
    txn: &'txn Txn<'_>,
    definition: Def<K, V>,
    grown: &Grown,
) -> Result<&'t mut Writable<'txn, K, V>, Error> {
    if table.is_none() {
        *table = Some(Counted::of(txn.get()?.open_table(definition)?, grown));
    }
    Ok(table.as_mut().expect("opened above"))
}

/// Reads events from a table beneath what is not in it yet.
fn each_event<T>(
    table: &impl ReadableTable<u64, &'static [u8]>,
    appended: &Appended,
    of: impl Iterator<Item = (EventKey, T)>,
    mut read: impl FnMut(T, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut cursor = None;
    for (EventKey(key), item) in of {
        if let Some(record) = appended.event(key) {
            read(item, record)?;
        } else if let Some(row) = seek(table, &mut cursor, key)? {
            read(item, row.value())?;
        }
    }
    Ok(())
}

/// The row of a key. Where it is the one behind that looked at last, nothing is looked up from the root.
fn seek<'t>(
    table: &'t impl ReadableTable<u64, &'static [u8]>,
    cursor: &mut Option<Cursor<'t, u64, &'static [u8]>>,
    key: u64,
) -> Result<Option<AccessGuard<'t, &'static [u8]>>, Error> {
    if let Some(cursor) = cursor
        && let Some((found, row)) = cursor.next()?
        && found.value() == key
    {
        return Ok(Some(row));
    }
    let next = cursor.insert(table.lower_bound(Bound::Included(key))?).next()?;
    Ok(next.filter(|(found, _)| found.value() == key).map(|(_, row)| row))
}

fn backlog_of(
    table: &impl ReadableTable<&'static BacklogKey, &'static [u8]>,
    appended: &Appended,
    (first, last): (Bound<BacklogKey>, Bound<BacklogKey>),
    limit: usize,
) -> Result<Vec<(u64, DeliveryKey)>, Error> {
    let rows = table.range::<&BacklogKey>((first.as_ref(), last.as_ref()))?.map(|row| {
        let (key, value) = row?;
        Ok((*key.value(), Some(value.value().into())))
    });
    let entry = |(key, value): (BacklogKey, Box<[u8]>)| {
        let (endpoint, number) = read_backlog_key(&key);
        (number, waiting(endpoint, number, &value))
    };
    appended.over_backlog((first, last), rows).take(limit).map(|row| row.map(entry)).collect()
}

/// Opens every table once, so that a reader finds each of them.
pub(in crate::store) fn create_all(txn: &Txn<'_>) -> Result<(), Error> {
    let mut tables = Tables::of(txn, Appended::default());
    txn.get()?.open_table(META)?;
    txn.get()?.open_table(QUARANTINE)?;
    txn.get()?.open_table(FINDING)?;
    tables.state()?;
    tables.event()?;
    tables.due()?;
    tables.log()?;
    tables.backlog()?;
    tables.name()?;
    tables.name_end()?;
    tables.fanout()?;
    tables.job()?;
    tables.revisit()?;
    tables.index()?;
    tables.endpoint()?;
    tables.tenant()?;
    tables.key()?;
    tables.last_time()?;
    tables.connection()?;
    tables.event_type()?;
    tables.hour()?;
    Ok(())
}

#[cfg(test)]
mod tests;
