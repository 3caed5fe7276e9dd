//! The tables of one write transaction. What a batch adds to those of the hot path is kept back until somebody reads there or the
//! batch ends, and then goes in by one piece, mostly.

use std::ops::Bound;

use redb::{Table, WriteTransaction};

use super::appended::Appended;
use super::bulk::put_sorted;
use super::error::Error;
use super::tables::{
    BACKLOG, BacklogKey, CONNECTION, DUE, DueKey, ENDPOINT, EVENT, EVENT_TYPE, FANOUT, INDEX, IndexKey, JOB, KEY, LAST_TIME, LOG,
    LOG_KEY_BYTES, LogKey, META, NAME, NAME_END, REVISIT, STATE, TENANT, TimeKey,
};
use crate::domain::id::EventKey;

type Writable<'txn, K, V = &'static [u8]> = Table<'txn, K, V>;

/// The tables of one write transaction: those of the hot path are open, the others are opened when first asked for.
pub(super) struct Tables<'txn> {
    txn: &'txn WriteTransaction,
    /// Read through [`Self::event`].
    pub(super) event: Writable<'txn, u64>,
    /// Read through [`Self::log`].
    pub(super) log: Writable<'txn, &'static LogKey>,
    /// Read through [`Self::due`].
    pub(super) due: Writable<'txn, &'static DueKey, ()>,
    pub(super) appended: Appended,
    pub(super) state: Writable<'txn, u8>,
    backlog: Option<Writable<'txn, &'static BacklogKey>>,
    name: Option<Writable<'txn, &'static [u8]>>,
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
}

macro_rules! opened_when_asked {
    ($($name:ident: $key:ty, $value:ty = $definition:expr),* $(,)?) => {
        $(pub(super) fn $name(&mut self) -> Result<&mut Writable<'txn, $key, $value>, Error> {
            if self.$name.is_none() {
                self.$name = Some(self.txn.open_table($definition)?);
            }
            Ok(self.$name.as_mut().expect("opened above"))
        })*
    };
}

impl<'txn> Tables<'txn> {
    pub(super) fn open(txn: &'txn WriteTransaction, appended: Appended) -> Result<Self, Error> {
        Ok(Self {
            txn,
            event: txn.open_table(EVENT)?,
            log: txn.open_table(LOG)?,
            due: txn.open_table(DUE)?,
            appended,
            state: txn.open_table(STATE)?,
            backlog: None,
            name: None,
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
        })
    }

    /// The events, those of this batch among them.
    pub(super) fn event(&mut self) -> Result<&mut Writable<'txn, u64>, Error> {
        self.settle_events()?;
        Ok(&mut self.event)
    }

    /// The due entries, those of this batch among them.
    pub(super) fn due(&mut self) -> Result<&mut Writable<'txn, &'static DueKey, ()>, Error> {
        self.settle_due()?;
        Ok(&mut self.due)
    }

    /// The log, what this batch put there included.
    pub(super) fn log(&mut self) -> Result<&mut Writable<'txn, &'static LogKey>, Error> {
        self.settle_log()?;
        Ok(&mut self.log)
    }

    opened_when_asked! {
        backlog: &'static BacklogKey, &'static [u8] = BACKLOG,
        name: &'static [u8], &'static [u8] = NAME,
        name_end: &'static TimeKey, &'static [u8] = NAME_END,
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
    }
}

impl Tables<'_> {
    /// Adds an event that is newer than all others.
    pub(super) fn append_event(&mut self, key: EventKey, record: &[u8]) {
        self.appended.event_records.extend_from_slice(record);
        self.appended.events.push((key.0, self.appended.event_records.len()));
    }

    /// Adds a due entry that is mostly the last of those that are due by now.
    pub(super) fn append_due(&mut self, key: DueKey) -> Result<(), Error> {
        if self.appended.due.last().is_some_and(|(last, ())| *last >= key) {
            self.settle_due()?;
        }
        self.appended.due.push((key, ()));
        Ok(())
    }

    /// Takes a due entry out; false when it is not there.
    pub(super) fn remove_due(&mut self, key: &DueKey) -> Result<bool, Error> {
        let appended = self.appended.due.first().is_some_and(|(first, ())| first <= key);
        let table = if appended { self.due()? } else { &mut self.due };
        Ok(table.remove(key)?.is_some())
    }

    /// Puts a row into the log, in place of the one that has its key.
    pub(super) fn put_log(&mut self, key: LogKey, record: &[u8]) {
        let begin = self.appended.log_records.len();
        self.appended.log_records.extend_from_slice(record);
        self.appended.log.push((key, (begin, self.appended.log_records.len())));
    }

    /// Writes what was kept back.
    pub(super) fn settle(&mut self) -> Result<(), Error> {
        self.settle_events()?;
        self.settle_due()?;
        self.settle_log()
    }

    pub(super) fn settle_events(&mut self) -> Result<(), Error> {
        let Some(&(first, _)) = self.appended.events.first() else { return Ok(()) };
        let mut cursor = self.event.lower_bound_mut(Bound::Included(first))?;
        let mut begin = 0;
        for &(key, end) in &self.appended.events {
            cursor.insert_before(key, &self.appended.event_records[begin..end])?;
            begin = end;
        }
        cursor.close()?;
        self.appended.events.clear();
        self.appended.event_records.clear();
        Ok(())
    }

    pub(super) fn settle_due(&mut self) -> Result<(), Error> {
        if !self.appended.due.is_empty() {
            put_sorted(&mut self.due, &self.appended.due)?;
            self.appended.due.clear();
        }
        Ok(())
    }

    pub(super) fn settle_log(&mut self) -> Result<(), Error> {
        if self.appended.log.is_empty() {
            return Ok(());
        }
        let (put, put_bytes) = (self.appended.log.len(), self.appended.log_records.len());
        let rows = self.appended.log_rows();
        let bytes: usize = rows.iter().map(|(_, record)| record.len()).sum();
        let replaced = put_sorted(&mut self.log, &rows)?;
        let (gone, gone_bytes) = (replaced.rows + put - rows.len(), replaced.bytes + put_bytes - bytes);
        self.appended.freed += (gone_bytes + gone * LOG_KEY_BYTES) as u64;
        self.appended.log.clear();
        self.appended.log_records.clear();
        Ok(())
    }
}

/// Opens every table once, so that a reader finds each of them.
pub(super) fn create_all(txn: &WriteTransaction) -> Result<(), Error> {
    let mut tables = Tables::open(txn, Appended::default())?;
    txn.open_table(META)?;
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
    Ok(())
}
