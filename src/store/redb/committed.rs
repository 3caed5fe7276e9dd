//! What everybody sees once a batch is on disk.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use tokio::sync::oneshot;

use super::batch::{After, Batch};
use super::state::Memory;
use crate::domain::delivery::Delivery;
use crate::domain::delivery::outcome::Class;
use crate::domain::id::{AttemptKey, EndpointNo};
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::Shared;
use crate::store::error::Error;
use crate::store::message::change::{Change, Reached};

impl Shared {
    /// Shows readers what is now on disk.
    pub(super) fn committed(&self, after: &After, memory: &Memory) {
        if !after.changed.is_empty() {
            let mut registry = self.registry_mut();
            after.changed.values().for_each(|endpoint| registry.put(endpoint.clone()));
        }
        if !(after.index.is_empty() && after.attempted.is_empty()) {
            let mut tail = self.tail_mut();
            tail.entries.extend_from_slice(&after.index);
            tail.attempts.extend_from_slice(&after.attempted);
            tail.ended = memory.counters.attempts;
        }
        if !after.replays.is_empty() {
            self.replays.show(&after.replays);
        }
        after.attempts.iter().for_each(|(entry, attempt)| entry.live.last.note(*attempt));
        self.pending.store(memory.counters.pending, Relaxed);
        self.events.store(memory.counters.events, Relaxed);
        self.live_bytes.store(memory.counters.live_bytes, Relaxed);
        self.armed.store(memory.schedule.armed(), Relaxed);
        self.behind.store(memory.schedule.is_behind(), Relaxed);
        self.loaded_ms.store(memory.schedule.loaded_up_to().as_millis(), Relaxed);
        self.turned.store(self.micros(self.clock.steady()), Relaxed);
    }
}

impl After {
    /// What a batch begins with. `is_followed` says whether it notes the changes of deliveries.
    pub(super) fn noting(is_followed: bool) -> Self {
        Self { changes: is_followed.then(Vec::new), ..Self::default() }
    }
}

impl Batch<'_, '_> {
    /// Whether anybody follows the changes of deliveries.
    pub(super) fn is_followed(&self) -> bool {
        self.after.changes.is_some()
    }

    /// Notes a change of a delivery for those who follow. `error` says why its newest attempt was no success, and `attempt` is the
    /// attempt that ended, where that is the change.
    pub(super) fn changed(
        &mut self,
        delivery: &Delivery,
        error: Option<Class>,
        attempt: Option<AttemptKey>,
    ) -> Result<(), Error> {
        if !self.is_followed() {
            return Ok(());
        }
        if let Some(endpoint) = self.known_or_deleted(delivery.key.endpoint)? {
            self.changed_of(endpoint, delivery, error, attempt);
        }
        Ok(())
    }

    /// A webhook as this transaction has it, also a deleted one.
    fn known_or_deleted(&mut self, no: EndpointNo) -> Result<Option<Arc<Endpoint>>, Error> {
        if let Some(entry) = self.entry(no) {
            return Ok(Some(entry.endpoint));
        }
        if self.after.tombstone.as_ref().is_none_or(|(last, _)| *last != no) {
            self.after.tombstone = self.entry_or_tombstone(no)?.map(|entry| (no, entry.endpoint));
        }
        Ok(self.after.tombstone.as_ref().map(|(_, endpoint)| endpoint.clone()))
    }

    /// The same where the webhook is at hand.
    pub(super) fn changed_of(
        &mut self,
        endpoint: Arc<Endpoint>,
        delivery: &Delivery,
        error: Option<Class>,
        attempt: Option<AttemptKey>,
    ) {
        let reached = Reached { attempts: self.memory.counters.attempts, at: self.now };
        if let Some(changes) = &mut self.after.changes {
            changes.push(Change { delivery: delivery.clone(), error, endpoint, attempt, reached });
        }
    }

    /// Answers when everything that was committed up to this batch is in the log, and nothing of it waits for the follower.
    pub(super) fn begin_following(&mut self, to: oneshot::Sender<Reached>) {
        let (shared, at) = (self.shared.clone(), self.now);
        self.answer(move || {
            shared.followed.clear();
            // A follower that went away needs no answer.
            to.send(Reached { attempts: shared.tail_mut().ended, at }).unwrap_or_default();
        });
    }
}
