//! The tables of one batch. What is put into the journaled tables and taken out of them is kept back, over batches that the journal
//! holds, until a checkpoint comes or the batch needs a write transaction, and then goes in by one piece, mostly. Reading there
//! needs no transaction: each is read as it was before the batch, beneath what was kept back.

use std::cmp::Ordering::{Greater, Less};
use std::ops::Bound;

use redb::{AccessGuard, Cursor, ReadOnlyTable, ReadableDatabase, ReadableTable, Value};

use super::bulk::{append_sorted, compare, put_sorted, remove_sorted};
use super::counted::{Counted, Grown};
use super::journal::memtable::Memtable;
use super::journaled_table::{Before, Event, Journaled, each_journaled};
use super::lazy_txn::Txn;
use super::schema::{
    self, ATTEMPT_INDEX, AUDIT, AUDITED, CONNECTION, COUNTERS, ENDED, ENDPOINT, EVENT_TYPE, FANOUT, FINDING, FOLLOWS, HOUR,
    INDEX, JOB, JOURNALED, KEY, LAST_TIME, PROVIDER, REVISIT, SECOND, STATE, TENANT, every_table,
};
use crate::domain::id::EventKey;
use crate::store::error::Error;
use crate::store::message::finding::Finding;
use crate::store::record::key::{AttemptIndexKey, HourKey, IndexKey, TimeKey};
use crate::store::record::{self, Chain, Counters, Follows};

/// The tables of one batch, opened when first asked for.
pub(in crate::store) struct Tables<'txn> {
    txn: &'txn Txn<'txn>,
    pub(in crate::store) memtable: Memtable,
    grown: Grown,
    before: Before,
    others: Others<'txn>,
}

macro_rules! opened_when_asked {
    ($($name:ident: $key:ty, $value:ty = $definition:ident),* $(,)?) => {
        /// Tables that the journal holds no changes of.
        #[derive(Default)]
        struct Others<'txn> {
            $($name: Option<Counted<'txn, $key, $value>>),*
        }

        impl<'txn> Tables<'txn> {
            $(pub(in crate::store) fn $name(&mut self) -> Result<&mut Counted<'txn, $key, $value>, Error> {
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
    attempt_index: &'static AttemptIndexKey, () = ATTEMPT_INDEX,
    endpoint: u32, &'static [u8] = ENDPOINT,
    tenant: u32, &'static [u8] = TENANT,
    key: &'static [u8; 32], &'static [u8] = KEY,
    last_time: &'static [u8], &'static [u8] = LAST_TIME,
    connection: &'static [u8], &'static [u8] = CONNECTION,
    event_type: &'static [u8], &'static [u8] = EVENT_TYPE,
    hour: &'static HourKey, &'static [u8] = HOUR,
    audit: u64, &'static [u8] = AUDIT,
    provider: &'static [u8], &'static [u8] = PROVIDER,
}

impl<'txn> Tables<'txn> {
    pub(in crate::store) fn of(txn: &'txn Txn<'txn>, memtable: Memtable) -> Self {
        let (grown, before, others) = Default::default();
        Self { txn, memtable, grown, before, others }
    }

    /// Puts a row, in place of the one that has its key.
    pub(in crate::store) fn put<T: Journaled>(&mut self, key: &T::Key, value: &[u8]) {
        self.memtable.current.change(T::TABLE, (key.as_ref(), Some(value)));
    }

    /// Takes a row out; false when it is not there.
    pub(in crate::store) fn take<T: Journaled>(&mut self, key: &T::Key) -> Result<bool, Error> {
        let stands = self.row::<T, _>(key, |_| Ok(()))?.is_some();
        if stands {
            self.memtable.current.change(T::TABLE, (key.as_ref(), None));
        }
        Ok(stands)
    }

    /// Takes a row out, if it is there, and lets the batch go to the tables: no journal holds that a row of the table was taken out.
    pub(in crate::store) fn remove<T: Journaled>(&mut self, key: &T::Key) -> Result<(), Error> {
        self.begin()?;
        self.memtable.current.change(T::TABLE, (key.as_ref(), None));
        Ok(())
    }

    /// A row as `read` reads its value; `None`: there is none.
    pub(in crate::store) fn row<T: Journaled, R>(
        &mut self,
        key: &T::Key,
        read: impl FnOnce(&[u8]) -> Result<R, Error>,
    ) -> Result<Option<R>, Error> {
        if let Some(found) = self.memtable.find(T::TABLE, key.as_ref()) {
            return found.map(read).transpose();
        }
        let row = opened::<T>(&mut self.before, self.txn)?.get(T::table_key(key.as_ref()))?;
        row.map(|row| read(T::V::as_bytes(&row.value()).as_ref())).transpose()
    }

    /// Reads the rows with keys between two bounds, in order, as long as `read` says that it wants more.
    pub(in crate::store) fn each<T: Journaled>(
        &mut self,
        (first, last): (Bound<&T::Key>, Bound<&T::Key>),
        mut read: impl FnMut(<T::K as Value>::SelfType<'_>, &[u8]) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let (first, last) = (first.map(AsRef::as_ref), last.map(AsRef::as_ref));
        let table = opened::<T>(&mut self.before, self.txn)?;
        let mut kept =
            table.range::<<T::K as Value>::SelfType<'_>>((first.map(T::table_key), last.map(T::table_key)))?.peekable();
        let mut changed = self.memtable.newest(T::TABLE, first, last).peekable();
        loop {
            let order = match (changed.peek(), kept.peek()) {
                (None, None) => return Ok(()),
                (Some((key, _)), Some(Ok((kept, _)))) => compare::<T::K>(&T::table_key(key), &kept.value()),
                (Some(_), None) => Less,
                (_, Some(_)) => Greater,
            };
            let kept = if order == Less { None } else { kept.next().transpose()? };
            let wants_more = match changed.next_if(|_| order != Greater) {
                Some((key, value)) => value.map_or(Ok(true), |value| read(T::table_key(key), value)),
                None => kept.map_or(Ok(true), |(key, value)| read(key.value(), T::V::as_bytes(&value.value()).as_ref())),
            };
            if !wants_more? {
                return Ok(());
            }
        }
    }

    /// Reads each of these events that there is. Those that are neighbours in the table, in its order, are read fastest: nothing is
    /// looked up from the root for them.
    pub(in crate::store) fn each_event<R>(
        &mut self,
        of: impl Iterator<Item = (EventKey, R)>,
        mut read: impl FnMut(R, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let table = opened::<Event>(&mut self.before, self.txn)?;
        let mut cursor: Option<Cursor<'_, u64, &'static [u8]>> = None;
        for (EventKey(key), item) in of {
            if let Some(found) = self.memtable.find(Event::TABLE, &key.to_be_bytes()) {
                found.map_or(Ok(()), |row| read(item, row))?;
                continue;
            }
            let is_it = |(found, _): &(AccessGuard<'_, u64>, AccessGuard<'_, &'static [u8]>)| found.value() == key;
            let next = cursor.as_mut().map_or(Ok(None), Cursor::next)?.filter(is_it);
            let row =
                if next.is_some() { next } else { cursor.insert(table.lower_bound(Bound::Included(key))?).next()?.filter(is_it) };
            row.map_or(Ok(()), |(_, row)| read(item, row.value()))?;
        }
        Ok(())
    }

    /// Writes the counters, and up to which number the tables hold what the journal holds. The bytes of all rows, which are given
    /// back, go on from what the tables say themselves: what a journal holds of them is older.
    pub(in crate::store) fn put_counters(&mut self, counters: &Counters, journaled: u64) -> Result<u64, Error> {
        self.begin()?;
        let kept = self.txn.get()?.open_table(STATE)?.get(COUNTERS)?.map(|row| record::read_counters(&[COUNTERS], row.value()));
        let before = kept.and_then(Result::ok).map_or(counters.live_bytes, |kept| kept.live_bytes);
        let live_bytes = before.saturating_add_signed(self.grown.take());
        let counters = Counters { live_bytes, ..*counters };
        self.put_state(&[COUNTERS], |key, bytes| record::write_counters(key, &counters, bytes))?;
        self.put_state(&[JOURNALED, JOURNALED + SECOND], |key, bytes| record::write_number(key, &journaled, bytes))?;
        Ok(live_bytes)
    }

    /// By how many bytes the rows of all tables have grown in this batch so far.
    pub(in crate::store) fn grown(&self) -> i64 {
        self.grown.by()
    }

    /// Writes which run the journal is of.
    pub(in crate::store) fn put_follows(&mut self, follows: &Follows) -> Result<(), Error> {
        self.put_state(&[FOLLOWS, FOLLOWS + SECOND], |key, bytes| record::write_follows(key, follows, bytes))
    }

    /// Writes where the chain of the audit log begins and ends.
    pub(in crate::store) fn put_chain(&mut self, chain: &Chain) -> Result<(), Error> {
        self.put_state(&[AUDITED, AUDITED + SECOND], |key, bytes| record::write_chain(key, chain, bytes))
    }

    fn put_state(&mut self, keys: &[u8], write: impl Fn(&[u8], &mut Vec<u8>)) -> Result<(), Error> {
        self.begin()?;
        let (mut table, mut bytes) = (self.txn.get()?.open_table(STATE)?, Vec::new());
        for key in keys {
            write(&[*key], &mut bytes);
            table.insert(key, &*bytes)?;
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

    /// Whether the transaction has begun, so that all that was kept back must go in too.
    pub(in crate::store) fn are_touched(&self) -> bool {
        self.txn.has_begun()
    }

    /// Writes all that was kept back, by this batch and in the journal. No row is read behind it.
    pub(in crate::store) fn flush(&mut self) -> Result<(), Error> {
        self.begin()?;
        macro_rules! flush {
            ($table:ty) => {
                self.flush_table::<$table>()?;
            };
        }
        each_journaled!(flush);
        self.flush_marks()?;
        drop(self.memtable.take_current());
        Ok(())
    }

    /// Writes at most so many of the rows of each table that are left of a flush of the index.
    pub(in crate::store) fn flush_index(&mut self, rows: &index::Rows, most: usize) -> Result<(), Error> {
        rows.write(self, most)
    }

    /// Forgets at most so many of the attempts that ended and that the index holds: those up to the number `indexed`, of which 0 means
    /// none. All that was kept back must have been written.
    pub(in crate::store) fn forget_ended(&mut self, indexed: u64, most: usize) -> Result<(), Error> {
        if indexed == 0 {
            return Ok(());
        }
        self.begin()?;
        let table = &mut Counted::of(self.txn.get()?.open_table(ENDED)?, &self.grown);
        let gone = table.range(..=indexed)?.take(most).map(|row| Ok(row?.0.value())).collect::<Result<Vec<u64>, Error>>()?;
        remove_sorted(table, &gone, |number| *number)
    }

    /// Begins the transaction. Whatever the journal holds is part of it, but for what a checkpoint has brought in by then.
    fn begin(&mut self) -> Result<(), Error> {
        if !self.txn.has_begun() {
            self.memtable.thaw()?;
            self.txn.get()?;
            self.memtable.gather();
            self.before = Before::default();
        }
        Ok(())
    }

    /// Writes what was kept back of one table.
    fn flush_table<T: Journaled>(&mut self) -> Result<(), Error> {
        let changes = &mut self.memtable.current;
        if changes.count(T::TABLE) == 0 {
            return Ok(());
        }
        changes.sort(T::TABLE);
        let table = &mut Counted::of(self.txn.get()?.open_table(T::DEFINITION)?, &self.grown);
        let (mut put, mut taken) = (Vec::new(), Vec::new());
        for (key, value) in changes.newest(T::TABLE, Bound::Unbounded, Bound::Unbounded) {
            match value {
                Some(value) => put.push((T::table_key(key), T::V::from_bytes(value))),
                None => taken.push(key),
            }
        }
        remove_sorted(table, &taken, |key| T::table_key(key))?;
        if T::TABLE.is_appended() { append_sorted(table, &put) } else { put_sorted(table, &put) }
    }
}

/// A table as it was before the batch.
fn opened<'t, T: Journaled>(before: &'t mut Before, txn: &Txn<'_>) -> Result<&'t ReadOnlyTable<T::K, T::V>, Error> {
    let table = T::before(before);
    if table.is_none() {
        *table = Some(schema::read(&txn.database().begin_read()?, T::DEFINITION)?);
    }
    Ok(table.as_ref().expect("opened above"))
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

pub(in crate::store) mod index;
#[cfg(test)]
mod tests;
