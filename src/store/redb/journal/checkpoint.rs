//! Checkpoints: what the journal holds comes into the tables, in a thread beside the writer, which goes on with the journal
//! meanwhile. There is one at a time.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;
use std::thread::JoinHandle;

use redb::Database;

use super::item::Table;
use super::job::Job;
use super::memtable::Memtable;
use super::unflushed::Unflushed;
use crate::store::error::Error;
use crate::store::record;
use crate::store::redb::abort::PanicEndsAll;
use crate::store::redb::background::index_flush::slice_rows;
use crate::store::redb::lazy_txn::Txn;
use crate::store::redb::schema::COUNTERS;
use crate::store::redb::tables::Tables;
use crate::store::redb::tables::index::Rows;
use crate::store::shared::Shared;

/// The thread that makes them, as long as this is kept.
pub(in crate::store) struct Checkpoints {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    #[cfg(test)]
    beside: (Arc<Database>, Arc<Shared>),
}

impl Checkpoints {
    pub(in crate::store) fn start(database: Arc<Database>, shared: Arc<Shared>) -> Self {
        let (jobs, todo) = mpsc::channel::<Job>();
        #[cfg(test)]
        let beside = (database.clone(), shared.clone());
        let run = move || {
            let _guard = PanicEndsAll;
            todo.into_iter().for_each(|job| make(&database, &shared, job));
        };
        let thread = std::thread::Builder::new().name("store-checkpoint".into()).spawn(run);
        let thread = thread.expect("a thread can be started at the start of the process");
        Self {
            jobs: Some(jobs),
            thread: Some(thread),
            #[cfg(test)]
            beside,
        }
    }

    pub(in crate::store) fn begin(&self, job: Job) {
        #[cfg(test)]
        let Some(job) = by_hand::keep(&self.beside, job) else { return };
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(job).is_ok());
        debug_assert!(sent, "the thread takes jobs as long as this is kept");
    }
}

impl Drop for Checkpoints {
    /// The store's file is free again when the writer has ended.
    fn drop(&mut self) {
        self.jobs = None;
        // A thread that panicked has ended the process.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn make(database: &Database, shared: &Shared, job: Job) {
    let began = shared.clock.steady();
    let Job { unflushed, index, done } = job;
    let made = bring_in(database, unflushed, index);
    shared.commit_count.fetch_add(u64::from(made.is_ok()), Relaxed);
    shared.measure_checkpoint(began);
    // The writer waits for it before it ends.
    drop(done.send(made));
}

/// Brings journaled changes into the tables, in one transaction, and so many rows of the flush under way, and gives the bytes of all
/// rows then. The counters stay those of the journal: the index stands further than they say until the flush is over.
pub(in crate::store) fn bring_in(database: &Database, unflushed: Unflushed, index: Option<(Rows, usize)>) -> Result<u64, Error> {
    let (counters, number) = (unflushed.counters().map(|row| record::read_counters(&[COUNTERS], row)), unflushed.number());
    let ended = unflushed.changes().map(|changes| changes.count(Table::Ended)).sum();
    let txn = Txn::of(database);
    let mut tables = Tables::of(&txn, Memtable::of(unflushed));
    tables.flush()?;
    if let Some((rows, most)) = index {
        rows.write(&mut tables, most)?;
    }
    let counters = counters.transpose()?.unwrap_or_default();
    tables.forget_ended(counters.attempts_indexed, slice_rows(ended))?;
    let live_bytes = tables.put_counters(&counters, number)?;
    drop(tables);
    txn.commit()?;
    Ok(live_bytes)
}

#[cfg(test)]
pub(in crate::store) mod by_hand {
    //! Checkpoints of a simulation: each is made by its own thread when it says so, or when the writer can wait no longer.

    use std::cell::RefCell;

    use super::*;

    type Beside = (Arc<Database>, Arc<Shared>);

    thread_local! {
        static KEPT: RefCell<Option<Option<(Beside, Job)>>> = const { RefCell::new(None) };
    }

    /// Whether the writers of this thread keep their checkpoints from now on. Forgets the one that is kept.
    pub(in crate::store) fn set(by_hand: bool) {
        KEPT.replace(by_hand.then_some(None));
    }

    /// Keeps a checkpoint, where they are made by hand.
    pub(super) fn keep(beside: &Beside, job: Job) -> Option<Job> {
        KEPT.with_borrow_mut(|kept| match kept {
            Some(kept) => {
                *kept = Some((beside.clone(), job));
                None
            }
            None => Some(job),
        })
    }

    pub(in crate::store) fn is_kept() -> bool {
        KEPT.with_borrow(|kept| matches!(kept, Some(Some(_))))
    }

    /// Makes the one that is kept.
    pub(in crate::store) fn make_kept() {
        if let Some(((database, shared), job)) = KEPT.with_borrow_mut(|kept| kept.as_mut().and_then(Option::take)) {
            make(&database, &shared, job);
        }
    }
}
