//! Bringing deliveries back: what the wheel fires, what the due table holds next, what an endpoint's backlog holds next.

use std::collections::HashSet;
use std::ops::Bound;

use crate::domain::delivery::{End, QueuePosition};
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::domain::time::Timestamp;
use crate::store::error::{Error, intact};
use crate::store::message::command::{Lane, Ready};
use crate::store::message::permit::QueuePermit;
use crate::store::record;
use crate::store::record::key::{DELIVERY_ROW, DueKey, due_key, log_key, read_due_key};
use crate::store::redb::batch::Batch;
use crate::store::redb::journaled_table::{Due, Log};
use crate::store::rules::waiting::{self, CameDue};
use crate::store::writer::schedule::Armed;

impl Batch<'_, '_> {
    /// Queues what is due by now, or a piece of it: what finds no permit is written anew.
    pub(in crate::store) fn fire(&mut self) -> Result<(), Error> {
        self.memory.schedule.advance(self.now);
        let piece = self.piece();
        for _ in 0..SLICE {
            if self.is_spent(&piece) {
                break;
            }
            let Some(armed) = self.memory.schedule.take_expired() else { break };
            self.fall_due(armed.key, armed.at)?;
        }
        Ok(())
    }

    /// One slice of the due table towards the horizon.
    pub(in crate::store) fn load(&mut self) -> Result<(), Error> {
        self.announce();
        let Some((after, up_to)) = self.memory.schedule.to_load(self.now) else { return Ok(()) };
        let mut keys: Vec<DueKey> = Vec::new();
        self.tables.each::<Due>((Bound::Excluded(&after), Bound::Included(&up_to)), |key, _| {
            keys.push(*key);
            Ok(keys.len() < SLICE)
        })?;
        let more = keys.len() == SLICE;
        let last = if more { keys.last().copied().unwrap_or(up_to) } else { up_to };
        self.memory.schedule.loaded(last, more);
        for key in keys {
            let (at, key) = read_due_key(&key);
            if at <= self.now {
                self.memory.schedule.expire(Armed { key, at });
            } else if self.loaded(&due_key(at, key)) {
                self.memory.schedule.arm(Armed { key, at });
            }
        }
        Ok(())
    }

    /// The backlogs that were found at the start are asked for like all others.
    fn announce(&mut self) {
        if !std::mem::replace(&mut self.memory.announced, true) {
            let found: Vec<EndpointNo> = self.memory.backlogs.keys().copied().collect();
            found.into_iter().for_each(|no| self.announce_backlog(no));
        }
    }

    /// Queues a delivery whose attempt looks whether it is still due. One of an ordered webhook that has lost its turn comes back by
    /// its entry.
    pub(in crate::store) fn recheck(&mut self, ready: Ready) {
        if ready.is_test || self.memory.order.has_turn(ready.key) {
            self.after.committed.ready.push(ready);
        }
    }

    /// Queues the next piece of an endpoint's backlog, as much as has permits. Of an ordered one each delivery is released by itself.
    pub(in crate::store) fn refill(&mut self, endpoint: EndpointNo) -> Result<(), Error> {
        let Some(entry) = self.entry(endpoint).filter(|entry| entry.endpoint.is_active()) else { return Ok(()) };
        let Some(mut cursor) = self.memory.backlogs.get(&endpoint).copied() else { return Ok(()) };
        if self.memory.order.is_ordered(endpoint) {
            return Ok(());
        }
        if self.memory.purges.contains_key(&endpoint) {
            // Asked for again when the purge has come to its end.
            return Ok(());
        }
        let free = QueuePermit::available(&self.shared.queue_budget, &entry.live).min(REFILL);
        let found = self.backlog_past(endpoint, cursor.after, free)?;
        cursor.more = found.len() == free;
        let (mut ready, since) = (Vec::with_capacity(found.len()), self.steady);
        for (number, key) in found {
            let Some(permit) = QueuePermit::acquire(&self.shared.queue_budget, &entry.live) else {
                cursor.more = true;
                break;
            };
            cursor.after = number;
            ready.push(Ready {
                key,
                position: QueuePosition::Backlog(number),
                lane: self.lane_of(key, entry.endpoint.tenant_no, Lane::Backlog)?,
                known: None,
                is_test: false,
                needs_recheck: key.event.0 <= cursor.doubted,
                permit,
                since,
            });
        }
        self.read_ahead(&mut ready, cursor.unsure)?;
        self.after.committed.ready.append(&mut ready);
        self.memory.backlogs.insert(endpoint, cursor);
        self.after.committed.backlogs.push((endpoint, cursor.more));
        Ok(())
    }

    /// Reads the events of deliveries that have no row, in the order of the table, so that their attempts need not. Such a delivery
    /// stands in its backlog under its event's key. So may one with a row, if its event is none after `unsure`.
    pub(in crate::store) fn read_ahead(&mut self, ready: &mut [Ready], unsure: u64) -> Result<(), Error> {
        let stands_under_event = |ready: &Ready| ready.position == QueuePosition::Backlog(ready.key.event.0);
        let mut with_row = HashSet::new();
        for key in ready.iter().filter(|ready| ready.key.event.0 <= unsure && stands_under_event(ready)).map(|ready| ready.key) {
            let has_row = self.tables.row::<Log, _>(&log_key(key, DELIVERY_ROW), |_| Ok(()))?.is_some();
            with_row.extend(has_row.then_some(key));
        }
        let (node, bodies) = (self.shared.node, &self.shared.bodies);
        let is_fresh = |ready: &&mut Ready| {
            stands_under_event(ready) && !ready.needs_recheck && (with_row.is_empty() || !with_row.contains(&ready.key))
        };
        let fresh = ready.iter_mut().filter(is_fresh);
        self.tables.each_event(fresh.map(|ready| (ready.key.event, ready)), |ready, record| {
            ready.known = bodies.find_fresh(ready.key.event);
            if ready.known.is_none() && bodies.fits(record.len()) {
                let event = intact(Some(record::read_event(ready.key.event, node, record)))?;
                ready.known = event.and_then(|stored| bodies.keep(stored.event));
            }
            Ok(())
        })
    }

    /// A due delivery goes to its endpoint's queue, or to its backlog when there is no permit. One whose webhook is disabled,
    /// deleted or being purged, or was not ordered when it came to the due table, is left to the job that settles it; a test that was
    /// asked for is not.
    fn fall_due(&mut self, key: DeliveryKey, at: Timestamp) -> Result<(), Error> {
        let Some(entry) = self.entry(key.endpoint) else { return Ok(()) };
        let is_asked_test = self.memory.tests.contains_key(&key);
        let is_left = self.is_purged(key) || !self.memory.order.has_turn(key);
        match waiting::came_due(&entry.endpoint, is_asked_test, is_left) {
            CameDue::QueueTest => {
                let permit = QueuePermit::acquire_beyond(&self.shared.queue_budget, &entry.live);
                self.ready(key, QueuePosition::Due(at), Lane::Manual, permit);
            }
            CameDue::Queue => match QueuePermit::acquire(&self.shared.queue_budget, &entry.live) {
                Some(permit) => {
                    let lane = self.lane_of(key, entry.endpoint.tenant_no, Lane::Due)?;
                    self.ready(key, QueuePosition::Due(at), lane, permit);
                }
                None => self.overflow(key, at)?,
            },
            CameDue::LeaveUnlessTest => self.expire_test(key, at)?,
        }
        Ok(())
    }

    /// The due entry of a delivery that ended is not to fire, if it is in memory.
    pub(in crate::store) fn disarm(&mut self, key: DeliveryKey, at: Timestamp) {
        let entry = due_key(at, key);
        if self.loaded(&entry) {
            self.after.disarmed.insert(entry);
        }
    }

    /// Takes what ended out of the wheel: one pass a batch, however many there are.
    pub(in crate::store) fn disarm_ended(&mut self) {
        let gone = std::mem::take(&mut self.after.disarmed);
        if !gone.is_empty() {
            self.memory.schedule.disarm(&gone);
        }
    }

    /// A test that a crash cut short ends: nobody waits for it any more.
    fn expire_test(&mut self, key: DeliveryKey, at: Timestamp) -> Result<(), Error> {
        let Some((delivery, newest)) = self.row(key)? else { return Ok(()) };
        if !waiting::expires(&delivery) {
            return Ok(());
        }
        self.end_waiting(delivery.placed(QueuePosition::Due(at)), newest.as_ref(), End::Expired)
    }

    fn overflow(&mut self, key: DeliveryKey, at: Timestamp) -> Result<(), Error> {
        if !self.take_entry(key, QueuePosition::Due(at))? {
            return Ok(());
        }
        match self.row(key)? {
            None => self.park_new(key),
            Some((delivery, newest)) => {
                let parked = self.park(delivery)?;
                self.write_row(&parked, newest.as_ref())
            }
        }
    }
}

/// The most due entries that a batch loads, and the most that it queues.
const SLICE: usize = 4_096;

/// Backlog entries brought back at once.
const REFILL: usize = 1_024;
