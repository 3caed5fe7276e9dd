//! Everything that one commit changes: the open tables, the writer's memory, and what must happen once it is on disk.

mod rows;

use std::collections::HashSet;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Instant;

use super::entry_sum;
use super::journaled_table::{Backlog, Due, Ended};
use super::state::Memory;
use super::tables::Tables;
use crate::domain::delivery::{Delivery, QueuePosition};
use crate::domain::dialect::Dialect;
use crate::domain::id::uid::Uid;
use crate::domain::id::{AttemptKey, ByEndpoint, DeliveryKey, EndpointNo, EventKey, TenantNo};
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::Owned;
use crate::store::Shared;
use crate::store::error::Error;
use crate::store::message::audit::consequences::Consequences;
use crate::store::message::cached::CachedEvent;
use crate::store::message::change::Change;
use crate::store::message::command::{Committed, Lane, Ready};
use crate::store::message::last::LastAttempt;
use crate::store::message::permit::QueuePermit;
use crate::store::message::progress::Fact;
use crate::store::record;
use crate::store::record::key::{AttemptIndexKey, DueKey, backlog_key, due_key, read_backlog_key, waiting as delivery_of};
use crate::store::rules::retention;
use crate::store::rules::waiting::{self, Parked, Wait};
use crate::store::shared::index_tail::{EndedAttempt, Entry as IndexEntry};
use crate::store::shared::registry::Entry;
use crate::store::writer::replays::Changed;
use crate::store::writer::schedule::Armed;

/// The changes of one commit, before that. Most batches go to the journal and need no transaction of the tables.
pub(in crate::store) struct Batch<'a, 'txn> {
    pub(in crate::store) tables: Tables<'txn>,
    pub(in crate::store) memory: &'a mut Memory,
    pub(in crate::store) shared: &'a Arc<Shared>,
    /// The service's time: all that is written bears it, and what is due is judged by it.
    pub(in crate::store) now: Timestamp,
    pub(in crate::store) steady: Instant,
    /// The newest key before this batch: everything up to it is in the index or its tail.
    pub(in crate::store) known_key: u64,
    pub(in crate::store) after: After,
}

/// A piece of background work, by how much the batch held when it began.
pub(in crate::store) struct Piece(usize);

/// What a batch notes for its commit, and for what `Writer::tell` does after it.
#[derive(Default)]
pub(in crate::store) struct After {
    /// Whether what the counters say is to last, though no row changes. Rows tell it themselves.
    pub(in crate::store) dirty: bool,
    pub(in crate::store) changed: ByEndpoint<Arc<Endpoint>>,
    /// The uids that were given to tenants.
    pub(in crate::store) called: Vec<(Owned, Uid)>,
    pub(in crate::store) committed: Committed,
    pub(in crate::store) index: Vec<IndexEntry>,
    /// Attempts that ended, in the order of their numbers.
    pub(in crate::store) attempted: Vec<EndedAttempt>,
    /// Rows of the index of attempts that go with what retention took.
    pub(in crate::store) unindexed: Vec<AttemptIndexKey>,
    /// Whether a flush of the index's tail ended.
    pub(in crate::store) flushed: bool,
    /// Rows that retention took.
    pub(in crate::store) removed: usize,
    pub(in crate::store) published: bool,
    /// Keys that were made with keys of providers.
    pub(in crate::store) keys_made: usize,
    /// Bytes of event types that providers added.
    pub(in crate::store) catalogued: usize,
    /// Whether a tenant had its first event.
    pub(in crate::store) numbered: bool,
    pub(in crate::store) attempts: Vec<(Entry, LastAttempt)>,
    /// Due entries of deliveries that ended without an attempt.
    pub(in crate::store) disarmed: HashSet<DueKey>,
    /// Replays that moved.
    pub(in crate::store) replays: Vec<Changed>,
    pub(in crate::store) facts: Vec<Fact>,
    /// The changes of deliveries. `None` while nobody follows them.
    pub(in crate::store) changes: Option<Vec<Change>>,
    /// The last deleted webhook of which a change was noted: many in a row are of the same.
    pub(in crate::store) tombstone: Option<(EndpointNo, Arc<Endpoint>)>,
    /// What the operation that is being applied changed beside what was asked for.
    pub(in crate::store) consequences: Consequences,
    pub(in crate::store) answers: Vec<Box<dyn FnOnce() + Send>>,
}

impl Batch<'_, '_> {
    /// A webhook as this transaction has it. Of the deleted ones, those of this transaction alone.
    pub(in crate::store) fn entry(&self, no: EndpointNo) -> Option<Entry> {
        let mut entry = self.shared.registry().entry(no).cloned();
        if let Some(changed) = self.after.changed.get(&no) {
            match &mut entry {
                Some(entry) => entry.endpoint = changed.clone(),
                None => entry = Some(Entry { endpoint: changed.clone(), live: Arc::default() }),
            }
        }
        entry
    }

    /// Begins a piece of work that writes rows anew.
    pub(in crate::store) fn piece(&self) -> Piece {
        Piece(self.tables.memtable.current.bytes().len())
    }

    /// Whether it has written as much as one batch should, however few rows that were: each holds what was answered last.
    pub(in crate::store) fn is_spent(&self, piece: &Piece) -> bool {
        self.piece().0 - piece.0 > PIECE_BYTES
    }

    pub(in crate::store) fn dialect(&self, provider: &str) -> Arc<Dialect> {
        self.shared.dialect(provider)
    }

    /// The next event key or backlog number.
    pub(in crate::store) fn next_key(&mut self) -> EventKey {
        let key = EventKey::next(EventKey(self.memory.counters.last_key), self.now);
        self.memory.counters.last_key = key.0;
        self.after.dirty = true;
        key
    }

    /// Lets listings find an attempt that ended.
    pub(in crate::store) fn list_attempt(&mut self, key: AttemptKey, owner: TenantNo) {
        self.memory.counters.attempts += 1;
        let (number, mut bytes) = (self.memory.counters.attempts, std::mem::take(&mut self.memory.scratch));
        record::write_ended(number, key, owner, &mut bytes);
        self.tables.put::<Ended>(&number.to_be_bytes(), &bytes);
        self.memory.scratch = bytes;
        self.after.attempted.push(EndedAttempt { key, owner });
    }

    /// A new delivery: due now when there is a permit for it, else in its endpoint's backlog under its event's key.
    pub(in crate::store) fn place_new(&mut self, key: DeliveryKey, known: Option<&Arc<CachedEvent>>) -> Result<(), Error> {
        let Some(entry) = self.entry(key.endpoint) else { return Ok(()) };
        self.memory.counters.pending += 1;
        self.list(key, &entry);
        let permit = self.permit_of_new(key, &entry);
        if self.is_followed() {
            let at = key.event.time();
            let position = if permit.is_some() { QueuePosition::Due(at) } else { QueuePosition::Backlog(key.event.0) };
            self.changed_of(entry.endpoint.clone(), &Delivery::published(key, position), None, None);
        }
        match permit {
            Some(permit) => self.ready_new(key, known, permit),
            None => self.park_new(key)?,
        }
        Ok(())
    }

    /// Lets listings find a new delivery.
    pub(in crate::store) fn list(&mut self, key: DeliveryKey, entry: &Entry) {
        entry.live.list();
        self.after.index.push(IndexEntry::delivery(key, entry.endpoint.tenant_no));
    }

    /// A permit for a new delivery, unless it is to wait for its endpoint, or for the purge that is to end it.
    pub(in crate::store) fn permit_of_new(&self, key: DeliveryKey, entry: &Entry) -> Option<QueuePermit> {
        let may_start = waiting::may_start(&entry.endpoint, self.is_purged(key));
        may_start.then(|| QueuePermit::acquire(&self.shared.queue_budget, &entry.live)).flatten()
    }

    /// Parks a delivery that has no row, under its event's key, where it is looked for. When its endpoint's backlog was read
    /// past that already, it gets a row and a number of its own.
    pub(in crate::store) fn park_new(&mut self, key: DeliveryKey) -> Result<(), Error> {
        let read_up_to = self.memory.backlogs.get(&key.endpoint).map(|cursor| cursor.after);
        if waiting::park_without_row(key.event, read_up_to) == Parked::Numbered {
            let late = self.park(Delivery::published(key, QueuePosition::Backlog(0)))?;
            return self.write_row(&late, None);
        }
        self.put_backlog(key, key.event.0);
        Ok(())
    }

    /// Gives a pending delivery, whose entry was taken out, the entry that a rule says.
    pub(in crate::store) fn wait(&mut self, delivery: Delivery, wait: Wait) -> Result<Delivery, Error> {
        match wait {
            Wait::Due(at) => {
                self.put_due(delivery.key, at);
                self.arm(delivery.key, at);
                Ok(delivery.placed(QueuePosition::Due(at)))
            }
            Wait::Backlog => self.park(delivery),
        }
    }

    /// Puts a pending delivery at the end of its endpoint's backlog, or at the place of its event where that is ordered.
    pub(in crate::store) fn park(&mut self, delivery: Delivery) -> Result<Delivery, Error> {
        let key = delivery.key;
        let number = if self.memory.order.is_ordered(key.endpoint) { key.event.0 } else { self.next_key().0 };
        self.put_backlog(delivery.key, number);
        Ok(delivery.placed(QueuePosition::Backlog(number)))
    }

    /// Takes a delivery's one entry out of the table where it waits; false when it is not there.
    pub(in crate::store) fn take_entry(&mut self, key: DeliveryKey, position: QueuePosition) -> Result<bool, Error> {
        match position {
            QueuePosition::Due(at) => {
                let entry = due_key(at, key);
                let stood = self.tables.take::<Due>(&entry)?;
                self.memory.counters.note_taken(if stood { entry_sum::of_due(&entry) } else { 0 });
                Ok(stood)
            }
            QueuePosition::Backlog(number) => {
                let entry = backlog_key(key.endpoint, number);
                let stood = self.tables.take::<Backlog>(&entry)?;
                let event = key.event.0.to_be_bytes();
                let value: &[u8] = if number == key.event.0 { &[] } else { &event };
                self.memory.counters.note_taken(if stood { entry_sum::of_backlog(&entry, value) } else { 0 });
                Ok(stood)
            }
        }
    }

    pub(in crate::store) fn put_due(&mut self, key: DeliveryKey, at: Timestamp) {
        let entry = due_key(at, key);
        self.memory.counters.note_put(entry_sum::of_due(&entry));
        self.tables.put::<Due>(&entry, &[]);
    }

    /// Queues a delivery for its attempt. One whose due entry is still to be loaded is left to the loading.
    pub(in crate::store) fn ready(&mut self, key: DeliveryKey, position: QueuePosition, lane: Lane, permit: QueuePermit) {
        if let QueuePosition::Due(at) = position
            && !self.loaded(&due_key(at, key))
        {
            return;
        }
        let is_test = self.memory.tests.contains_key(&key);
        self.after.committed.ready.push(Ready {
            key,
            position,
            lane,
            known: None,
            is_test,
            needs_recheck: false,
            permit,
            since: self.steady,
        });
    }

    /// At most `limit` entries of an endpoint's backlog with numbers past `after`, in order.
    pub(in crate::store) fn backlog_past(
        &mut self,
        endpoint: EndpointNo,
        after: u64,
        limit: usize,
    ) -> Result<Vec<(u64, DeliveryKey)>, Error> {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        let (after, last) = (backlog_key(endpoint, after), backlog_key(endpoint, u64::MAX));
        self.tables.each::<Backlog>((Bound::Excluded(&after), Bound::Included(&last)), |key, value| {
            let (endpoint, number) = read_backlog_key(key);
            found.push((number, delivery_of(endpoint, number, value)));
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    /// Where a pending delivery waits that has no row: due when it was published, or in the backlog under its event's key.
    pub(in crate::store) fn position_without_row(&mut self, key: DeliveryKey) -> Result<Option<QueuePosition>, Error> {
        let at = key.event.time();
        if self.tables.row::<Due, _>(&due_key(at, key), |_| Ok(()))?.is_some() {
            return Ok(Some(QueuePosition::Due(at)));
        }
        let parked = self.tables.row::<Backlog, _>(&backlog_key(key.endpoint, key.event.0), |_| Ok(()))?;
        Ok(parked.map(|()| QueuePosition::Backlog(key.event.0)))
    }

    /// A delivery that was pending ended without an attempt.
    pub(in crate::store) fn finished(&mut self, delivery: &Delivery) -> Result<(), Error> {
        self.mark_end(delivery);
        self.measure_end(delivery)?;
        self.leaves_pending(delivery)
    }

    /// A delivery is pending no more: its entry went, and its end is counted.
    pub(in crate::store) fn leaves_pending(&mut self, delivery: &Delivery) -> Result<(), Error> {
        self.memory.counters.pending = self.memory.counters.pending.saturating_sub(1);
        self.memory.order.ended(delivery.key);
        if let Some(replayed) = delivery.replay {
            self.memory.replays.ended(replayed.no, delivery, self.now);
        }
        let (retention, swept) = self.age_of(delivery.key)?;
        if let Some(at) = retention::revisit(delivery, swept, retention) {
            self.revisit(delivery.key.event, at)?;
        }
        self.count_failed(delivery);
        if let Some(Some(watcher)) = self.memory.tests.remove(&delivery.key) {
            // A test whose caller went away is in the log all the same.
            self.answer(move || watcher.send(()).unwrap_or_default());
        }
        Ok(())
    }

    pub(in crate::store) fn answer(&mut self, answer: impl FnOnce() + Send + 'static) {
        self.after.answers.push(Box::new(answer));
    }

    pub(in crate::store) fn fact(&mut self, fact: impl FnOnce() -> Fact) {
        if self.shared.facts.receiver_count() > 0 {
            self.after.facts.push(fact());
        }
    }

    /// Arms the wheel for a due entry, when it lies within what is loaded.
    pub(in crate::store) fn arm(&mut self, key: DeliveryKey, at: Timestamp) {
        let entry = due_key(at, key);
        if self.memory.schedule.is_loaded(&entry) {
            if !self.after.disarmed.is_empty() {
                // One that ended in this batch may have been brought back to the very same time.
                self.after.disarmed.remove(&entry);
            }
            self.memory.schedule.arm(Armed { key, at });
        }
    }

    pub(in crate::store) fn loaded(&self, key: &DueKey) -> bool {
        self.memory.schedule.is_loaded(key)
    }

    pub(in crate::store) fn ready_new(&mut self, key: DeliveryKey, known: Option<&Arc<CachedEvent>>, permit: QueuePermit) {
        let at = key.event.time();
        self.put_due(key, at);
        // Before the table is loaded up to here, the loading will find it.
        if self.loaded(&due_key(at, key)) {
            let position = QueuePosition::Due(at);
            let (known, since) = (known.cloned(), self.steady);
            self.after.committed.ready.push(Ready {
                key,
                position,
                lane: Lane::Due,
                known,
                is_test: false,
                needs_recheck: false,
                permit,
                since,
            });
        }
    }

    fn put_backlog(&mut self, key: DeliveryKey, number: u64) {
        let (entry, event) = (backlog_key(key.endpoint, number), key.event.0.to_be_bytes());
        let value: &[u8] = if number == key.event.0 { &[] } else { &event };
        self.memory.counters.note_put(entry_sum::of_backlog(&entry, value));
        self.tables.put::<Backlog>(&entry, value);
        self.memory.backlogs.entry(key.endpoint).or_default().more = true;
        if self.memory.order.is_ordered(key.endpoint) {
            self.memory.order.parked(key, number);
            return;
        }
        let said = (key.endpoint, true);
        if self.after.committed.backlogs.last() != Some(&said) {
            self.after.committed.backlogs.push(said);
        }
    }
}

/// What a piece of background work adds to a batch at most, but for its last row, which may hold a megabyte.
const PIECE_BYTES: usize = 1 << 20;
