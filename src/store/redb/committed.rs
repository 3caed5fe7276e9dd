//! What everybody sees once a batch is on disk.

use std::sync::atomic::Ordering::Relaxed;

use super::batch::After;
use super::state::Memory;
use crate::store::Shared;

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
