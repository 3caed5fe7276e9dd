//! The tables of one batch. What is put into the journaled tables and taken out of them is kept back, over batches that the journal
//! holds, until a checkpoint comes or the batch needs a write transaction, and then goes in by one piece, mostly. Reading there
//! needs no transaction: each is read as it was before the batch, beneath what was kept back.

use std::cmp::Ordering::{Greater, Less};
use std::ops::Bound;

use redb::{AccessGuard, Cursor, ReadOnlyTable, ReadableDatabase, ReadableTable, Value};

use super::bulk::{append_sorted, compare, put_sorted, remove_sorted};
use super::counted::{Counted, Grown};
use super::journal::entry::Changes;
use super::journal::memtable::Memtable;
use super::journaled_table::{self, Before, Event, Journaled, KeyBytes, TableKey};
use super::lazy_txn::Txn;
use super::schema::{self, COUNTERS, ENDED, FINDING, JOURNALED, SECOND, STATE, every_table, journaled_tables, other_tables};
use crate::domain::id::EventKey;
use crate::store::error::Error;
use crate::store::message::finding::Finding;
use crate::store::record::key::{AttemptIndexKey, DueKey, HourKey, IndexKey, TimeKey};
use crate::store::record::{self, Counters};

/// The tables of one batch, opened when first asked for.
pub(in crate::store) struct Tables<'txn> {
    txn: &'txn Txn<'txn>,
    pub(in crate::store) memtable: Memtable,
    grown: Grown,
    before: Before,
    others: Others<'txn>,
}

macro_rules! opened_when_asked {
    ($($constant:ident $name:ident: $key:ty => $value:ty;)*) => {
        /// Tables that the journal holds no changes of.
        #[derive(Default)]
        struct Others<'txn> {
            $($name: Option<Counted<'txn, $key, $value>>),*
        }

        impl<'txn> Tables<'txn> {
            $(pub(in crate::store) fn $name(&mut self) -> Result<&mut Counted<'txn, $key, $value>, Error> {
                self.begin()?;
                Counted::opened(&mut self.others.$name, self.txn, schema::$constant, &self.grown)
            })*
        }
    };
}

other_tables!(opened_when_asked);

impl<'txn> Tables<'txn> {
    pub(in crate::store) fn of(txn: &'txn Txn<'txn>, memtable: Memtable) -> Self {
        let (grown, before, others) = Default::default();
        Self { txn, memtable, grown, before, others }
    }

    /// Puts a row, in place of the one that has its key.
    pub(in crate::store) fn put<T: Journaled>(&mut self, key: &KeyBytes<T>, value: &[u8]) {
        self.memtable.current.change(T::TABLE, (key.as_ref(), Some(value)));
    }

    /// Takes a row out; false when it is not there.
    pub(in crate::store) fn take<T: Journaled>(&mut self, key: &KeyBytes<T>) -> Result<bool, Error> {
        let stands = self.row::<T, _>(key, |_| Ok(()))?.is_some();
        if stands {
            self.memtable.current.change(T::TABLE, (key.as_ref(), None));
        }
        Ok(stands)
    }

    /// Takes a row out, if it is there, and lets the batch go to the tables: no journal holds that a row of the table was taken out.
    pub(in crate::store) fn remove<T: Journaled>(&mut self, key: &KeyBytes<T>) -> Result<(), Error> {
        self.begin()?;
        self.memtable.current.change(T::TABLE, (key.as_ref(), None));
        Ok(())
    }

    /// A row as `read` reads its value; `None`: there is none.
    pub(in crate::store) fn row<T: Journaled, R>(
        &mut self,
        key: &KeyBytes<T>,
        read: impl FnOnce(&[u8]) -> Result<R, Error>,
    ) -> Result<Option<R>, Error> {
        if let Some(found) = self.memtable.find(T::TABLE, key.as_ref()) {
            return found.map(read).transpose();
        }
        let row = opened::<T>(&mut self.before, self.txn)?.get(T::K::of(key.as_ref()))?;
        row.map(|row| read(T::V::as_bytes(&row.value()).as_ref())).transpose()
    }

    /// Reads the rows with keys between two bounds, in order, as long as `read` says that it wants more.
    pub(in crate::store) fn each<T: Journaled>(
        &mut self,
        (first, last): (Bound<&KeyBytes<T>>, Bound<&KeyBytes<T>>),
        mut read: impl FnMut(<T::K as Value>::SelfType<'_>, &[u8]) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let (first, last) = (first.map(AsRef::as_ref), last.map(AsRef::as_ref));
        let table = opened::<T>(&mut self.before, self.txn)?;
        let mut kept = table.range::<<T::K as Value>::SelfType<'_>>((first.map(T::K::of), last.map(T::K::of)))?.peekable();
        let mut changed = self.memtable.newest(T::TABLE, first, last).peekable();
        loop {
            let order = match (changed.peek(), kept.peek()) {
                (None, None) => return Ok(()),
                (Some((key, _)), Some(Ok((kept, _)))) => compare::<T::K>(&T::K::of(key), &kept.value()),
                (Some(_), None) => Less,
                (_, Some(_)) => Greater,
            };
            let kept = if order == Less { None } else { kept.next().transpose()? };
            let wants_more = match changed.next_if(|_| order != Greater) {
                Some((key, value)) => value.map_or(Ok(true), |value| read(T::K::of(key), value)),
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
        self.put_state(COUNTERS, &counters, record::write_counters)?;
        self.put_twice(JOURNALED, &journaled, record::write_number)?;
        Ok(live_bytes)
    }

    /// By how many bytes the rows of all tables have grown in this batch so far.
    pub(in crate::store) fn grown(&self) -> i64 {
        self.grown.by()
    }

    /// Writes a row of `state` that stands twice.
    pub(in crate::store) fn put_twice<R>(&mut self, key: u8, row: &R, write: Write<R>) -> Result<(), Error> {
        [key, key + SECOND].into_iter().try_for_each(|key| self.put_state(key, row, write))
    }

    fn put_state<R>(&mut self, key: u8, row: &R, write: Write<R>) -> Result<(), Error> {
        self.begin()?;
        let mut bytes = Vec::new();
        write(&[key], row, &mut bytes);
        self.txn.get()?.open_table(STATE)?.insert(key, &*bytes)?;
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

    /// Whether the transaction has begun, so that all that was kept back must go in too.
    pub(in crate::store) fn are_touched(&self) -> bool {
        self.txn.has_begun()
    }

    /// Writes all that was kept back, by this batch and in the journal. No row is read behind it.
    pub(in crate::store) fn flush(&mut self) -> Result<(), Error> {
        self.begin()?;
        let all = &self.memtable.take_all();
        macro_rules! flush {
            ($($constant:ident $name:ident: $k:ty => $v:ty, $table:ident $tags:literal;)*) => {
                $(self.flush_table::<journaled_table::$table>(all)?;)*
            };
        }
        journaled_tables!(flush);
        self.flush_marks(all)
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

    /// Begins the transaction, so that all that was kept back goes in, whatever else the batch does. What a checkpoint has brought in
    /// by then is no longer kept back.
    pub(in crate::store) fn begin(&mut self) -> Result<(), Error> {
        if !self.txn.has_begun() {
            self.memtable.thaw(true)?;
            self.txn.get()?;
            self.before = Before::default();
        }
        Ok(())
    }

    /// Writes the changes of one table.
    fn flush_table<T: Journaled>(&mut self, changes: &Changes) -> Result<(), Error> {
        if changes.count(T::TABLE) == 0 {
            return Ok(());
        }
        let table = &mut Counted::of(self.txn.get()?.open_table(T::DEFINITION)?, &self.grown);
        let (mut put, mut taken) = (Vec::new(), Vec::new());
        for (key, value) in changes.newest(T::TABLE, Bound::Unbounded, Bound::Unbounded) {
            match value {
                Some(value) => put.push((T::K::of(key), T::V::from_bytes(value))),
                None => taken.push(key),
            }
        }
        remove_sorted(table, &taken, |key| T::K::of(key))?;
        if T::TABLE.is_appended() { append_sorted(table, &put) } else { put_sorted(table, &put) }
    }
}

/// How a row is written under its key.
type Write<R> = fn(&[u8], &R, &mut Vec<u8>);

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
