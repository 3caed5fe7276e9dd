//! The tables of one batch. What is put into the journaled tables and taken out of them is kept back, over batches that the journal
//! holds, until a checkpoint comes or the batch needs a write transaction, and then goes in by one piece, mostly. Look-ups there
//! need no transaction.

use std::borrow::Cow;
use std::ops::Bound;

use redb::{AccessGuard, Cursor, ReadableTable, Table, Value};

use super::bulk::{append_sorted, put_sorted, remove_sorted};
use super::counted::{Counted, Grown};
use super::journal::item::{Backlog, Due, EachTable, Event, Journaled, Log, Name, NameEnd, each_journaled};
use super::journal::memtable::{Found, Memtable};
use super::journaled_table::AllTables;
use super::lazy_txn::Txn;
use super::schema::{
    CONNECTION, COUNTERS, ENDPOINT, EVENT_TYPE, FANOUT, FINDING, FOLLOWS, HOUR, INDEX, JOB, JOURNALED, KEY, LAST_TIME, REVISIT,
    SECOND, STATE, TENANT, every_table,
};
use crate::domain::id::{DeliveryKey, EndpointNo, EventKey};
use crate::store::error::Error;
use crate::store::message::finding::Finding;
use crate::store::record::key::{BacklogKey, HourKey, IndexKey, TimeKey, backlog_key, read_backlog_key, waiting};
use crate::store::record::{self, Counters, Follows};

type Writable<'txn, K, V = &'static [u8]> = Counted<'txn, K, V>;

/// The tables of one write transaction, opened when first asked for.
pub(in crate::store) struct Tables<'txn> {
    txn: &'txn Txn<'txn>,
    pub(in crate::store) memtable: Memtable,
    grown: Grown,
    journaled: EachTable<AllTables<'txn>>,
    state: Option<Table<'txn, u8, &'static [u8]>>,
    others: Others<'txn>,
}

macro_rules! opened_when_asked {
    ($($name:ident: $key:ty, $value:ty = $definition:ident),* $(,)?) => {
        /// Tables that the journal holds no changes of.
        #[derive(Default)]
        struct Others<'txn> {
            $($name: Option<Writable<'txn, $key, $value>>),*
        }

        impl<'txn> Tables<'txn> {
            $(pub(in crate::store) fn $name(&mut self) -> Result<&mut Writable<'txn, $key, $value>, Error> {
                self.begin()?;
                Counted::opened(&mut self.others.$name, self.txn, $definition, &self.grown)
            })*
        }
    };
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

macro_rules! flushed_when_asked {
    ($($name:ident: $table:ident),* $(,)?) => {
        /// Journaled tables in the batch's transaction, with what this batch did to them.
        impl<'txn> Tables<'txn> {
            $(pub(in crate::store) fn $name(
                &mut self,
            ) -> Result<&mut Writable<'txn, <$table as Journaled>::K, <$table as Journaled>::V>, Error> {
                self.flush_table::<$table>()?;
                $table::of_mut(&mut self.journaled).open(self.txn, &self.grown)
            })*
        }
    };
}

flushed_when_asked!(event: Event, log: Log, due: Due, backlog: Backlog, name: Name, name_end: NameEnd);

impl<'txn> Tables<'txn> {
    pub(in crate::store) fn of(txn: &'txn Txn<'txn>, memtable: Memtable) -> Self {
        let (grown, journaled, state, others) = Default::default();
        Self { txn, memtable, grown, journaled, state, others }
    }

    fn state(&mut self) -> Result<&mut Table<'txn, u8, &'static [u8]>, Error> {
        self.begin()?;
        if self.state.is_none() {
            self.state = Some(self.txn.get()?.open_table(STATE)?);
        }
        Ok(self.state.as_mut().expect("opened above"))
    }

    /// Puts a row, in place of the one that has its key.
    pub(in crate::store) fn put<T: Journaled>(&mut self, key: &T::Key, value: &[u8]) {
        self.memtable.put::<T>(key, value);
    }

    /// Takes a row out; false when it is not there.
    pub(in crate::store) fn take<T: Journaled>(&mut self, key: &T::Key) -> Result<bool, Error> {
        let (table, txn, grown) = (T::of_mut(&mut self.journaled), self.txn, &self.grown);
        self.memtable.take::<T>(key, || Ok(table.row(txn, grown, key, |_| Ok(()))?.is_some()))
    }

    /// A row as `read` reads its value; `None`: there is none.
    pub(in crate::store) fn row<T: Journaled, R>(
        &mut self,
        key: &T::Key,
        read: impl FnOnce(&[u8]) -> Result<R, Error>,
    ) -> Result<Option<R>, Error> {
        match self.memtable.find::<T>(key) {
            Some(found) => found.map(read).transpose(),
            None => T::of_mut(&mut self.journaled).row(self.txn, &self.grown, key, read),
        }
    }

    /// Reads each of these events that there is. Those that are neighbours in the table, in its order, are read fastest.
    pub(in crate::store) fn each_event<R>(
        &mut self,
        of: impl Iterator<Item = (EventKey, R)>,
        read: impl FnMut(R, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let table = Event::of_mut(&mut self.journaled);
        if self.txn.has_begun() {
            return each_event(&**table.open(self.txn, &self.grown)?, &self.memtable, of, read);
        }
        each_event(table.before(self.txn)?, &self.memtable, of, read)
    }

    /// At most `limit` entries of an endpoint's backlog with numbers past `after`, in order.
    pub(in crate::store) fn backlog_past(
        &mut self,
        endpoint: EndpointNo,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, DeliveryKey)>, Error> {
        let piece = (Bound::Excluded(backlog_key(endpoint, after)), Bound::Included(backlog_key(endpoint, u64::MAX)));
        let table = Backlog::of_mut(&mut self.journaled);
        if self.txn.has_begun() {
            return backlog_of(&**table.open(self.txn, &self.grown)?, &self.memtable, piece, limit);
        }
        backlog_of(table.before(self.txn)?, &self.memtable, piece, limit)
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
        self.grown.is_changed() || !self.memtable.current.is_empty()
    }

    /// Has all that was kept back go in, whatever else the batch does.
    pub(in crate::store) fn touch(&mut self) -> Result<(), Error> {
        self.begin()
    }

    /// Whether any table was read or changed, so that all that was kept back must go in too.
    pub(in crate::store) fn are_touched(&self) -> bool {
        self.txn.has_begun()
    }

    /// Writes all that was kept back. It is called once for what is in the journal, for the marks there are added up.
    pub(in crate::store) fn flush(&mut self) -> Result<(), Error> {
        macro_rules! flush {
            ($table:ty) => {
                self.flush_table::<$table>()?;
            };
        }
        each_journaled!(flush);
        self.flush_marks()
    }

    /// The memtable, once no table is needed any more.
    pub(in crate::store) fn into_memtable(self) -> Memtable {
        self.memtable
    }

    /// Writes at most so many rows of the index's flush under way; false when none were left.
    pub(in crate::store) fn flush_index(&mut self, most: usize) -> Result<bool, Error> {
        self.begin()?;
        let rows = self.memtable.next_of_flush(most);
        if !rows.is_empty() {
            index::put_rows(self.index()?, &rows)?;
        }
        Ok(!rows.is_empty())
    }

    /// Waits for the checkpoint under way, so that its changes are not made again.
    fn begin(&mut self) -> Result<(), Error> {
        if !self.txn.has_begun() {
            self.memtable.thaw()?;
            self.txn.get()?;
        }
        Ok(())
    }

    /// Writes what was kept back of one table.
    fn flush_table<T: Journaled>(&mut self) -> Result<(), Error> {
        self.begin()?;
        let rows = self.memtable.take_newest::<T>();
        if rows.is_empty() {
            return Ok(());
        }
        let table = T::of_mut(&mut self.journaled).open(self.txn, &self.grown)?;
        let taken: Vec<_> = rows.iter().filter(|(_, row)| row.value.is_none()).map(|(key, _)| key.as_ref()).collect();
        remove_sorted(table, &taken, |key| T::table_key(key))?;
        let value = |place| T::V::from_bytes(self.memtable.journaled_record(place));
        let put: Vec<_> = rows.iter().filter_map(|(key, row)| Some((T::table_key(key.as_ref()), value(row.value?)))).collect();
        if T::IS_APPENDED { append_sorted(table, &put) } else { put_sorted(table, &put) }
    }
}

/// Reads events from a table beneath what is not in it yet.
fn each_event<T>(
    table: &impl ReadableTable<u64, &'static [u8]>,
    memtable: &Memtable,
    of: impl Iterator<Item = (EventKey, T)>,
    mut read: impl FnMut(T, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut cursor = None;
    for (EventKey(key), item) in of {
        match memtable.find::<Event>(&key.to_be_bytes()) {
            Some(record) => record.map_or(Ok(()), |record| read(item, record))?,
            None => seek(table, &mut cursor, key)?.map_or(Ok(()), |row| read(item, row.value()))?,
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
    memtable: &Memtable,
    (first, last): (Bound<BacklogKey>, Bound<BacklogKey>),
    limit: usize,
) -> Result<Vec<(u64, DeliveryKey)>, Error> {
    let rows = table.range::<&BacklogKey>((first.as_ref(), last.as_ref()))?.map(|row| -> Result<Found<'_, Backlog>, Error> {
        let (key, value) = row?;
        Ok((*key.value(), Some(Cow::Owned(value.value().into()))))
    });
    let entry = |(key, value): (BacklogKey, Cow<'_, [u8]>)| {
        let (endpoint, number) = read_backlog_key(&key);
        (number, waiting(endpoint, number, &value))
    };
    memtable.over::<Backlog>((first, last), rows).take(limit).map(|row| row.map(entry)).collect()
}

/// Opens every table once, so that a reader finds each of them.
pub(in crate::store) fn create_all(txn: &Txn<'_>) -> Result<(), Error> {
    macro_rules! create {
        ($definition:expr) => {
            txn.get()?.open_table($definition)?;
        };
    }
    every_table!(create);
    Ok(())
}

mod index;
#[cfg(test)]
mod tests;
