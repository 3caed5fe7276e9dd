//! What is counted of the store: by the writer while it works, and by whoever asks how much there is.

use std::time::{Duration, Instant};

use redb::ReadableDatabase;

use super::Reader;
use crate::domain::delivery::tally::Brought;
use crate::domain::delivery::{Delivery, State};
use crate::domain::id::EndpointNo;
use crate::domain::time::Timestamp;
use crate::domain::webhook::endpoint::{Endpoint, WebhookState, Why};
use crate::metrics::{DisabledFor, Now, OfProvider};
use crate::store::Attempt;
use crate::store::error::Error;
use crate::store::record::key::{BacklogKey, backlog_key};
use crate::store::redb::batch::Batch;
use crate::store::redb::schema::{self, BACKLOG};
use crate::store::shared::Shared;

impl Batch<'_, '_> {
    /// The metrics of a provider.
    pub(in crate::store) fn of_provider(&mut self, name: &str) -> &OfProvider {
        self.memory.metrics.of(name, &self.shared.metrics.providers)
    }

    /// An attempt ended; `end`: with it the delivery, at that time. Tests are not counted.
    pub(in crate::store) fn measure_attempt(
        &mut self,
        endpoint: &Endpoint,
        delivery: &Delivery,
        attempt: &Attempt,
        end: Option<Timestamp>,
    ) {
        if delivery.is_test() {
            return;
        }
        let published = delivery.key.event.time();
        let metrics = self.of_provider(&endpoint.provider);
        metrics.attempt(Brought::from_outcome(&attempt.outcome), attempt.outcome.duration);
        if attempt.number == 1 {
            metrics.first_attempt(attempt.started_at.since(published));
        }
        if let Some(at) = end {
            metrics.ended(attempt.error.is_none());
            if attempt.error.is_none() {
                metrics.success(at.since(published));
            }
        }
    }

    /// A delivery ended without an attempt.
    pub(in crate::store) fn measure_end(&mut self, delivery: &Delivery) -> Result<(), Error> {
        if delivery.is_test() {
            return Ok(());
        }
        let succeeded = matches!(delivery.state, State::Succeeded { .. });
        if let Some(entry) = self.entry_or_tombstone(delivery.key.endpoint)? {
            self.of_provider(&entry.endpoint.provider).ended(succeeded);
        }
        Ok(())
    }
}

impl Shared {
    /// A commit that began then is on disk.
    pub(in crate::store) fn measure_commit(&self, began: Instant, operations: usize) {
        self.metrics.commit_duration.observe(self.took(began).as_secs_f64());
        self.metrics.commit_operations.observe(u32::try_from(operations).unwrap_or(u32::MAX).into());
    }

    /// A checkpoint that began then has ended.
    pub(in crate::store) fn measure_checkpoint(&self, began: Instant) {
        self.metrics.checkpoint_duration.observe(self.took(began).as_secs_f64());
    }

    fn took(&self, began: Instant) -> Duration {
        self.clock.steady().saturating_duration_since(began)
    }

    /// Counts a webhook that was active and is disabled.
    pub(in crate::store) fn measure_disabled(&self, before: WebhookState, after: WebhookState) {
        let (WebhookState::Active, WebhookState::Disabled { why, .. }) = (before, after) else { return };
        self.metrics.gauges.webhook_disabled(match why {
            Why::Failures(_) => DisabledFor::Failures,
            Why::Gone => DisabledFor::Gone,
            Why::Held => DisabledFor::Held,
            Why::ByHand => DisabledFor::ByHand,
        });
    }
}

impl Reader {
    /// How much there is of what metrics show. It reads the backlogs of all webhooks that are not active.
    pub(crate) fn measured(&self) -> Result<Now, Error> {
        let (health, shared) = (self.shared.health(0), &self.shared);
        Ok(Now {
            pending: health.pending,
            held: shared.held.count(|| self.count_held())?,
            oldest_due_age: health.oldest_due_late,
            active: health.webhooks - health.disabled - health.removed,
            disabled: health.disabled,
            removed: health.removed,
            store_bytes: self.file_bytes(),
            disk_free_bytes: shared.space.free_bytes(),
            journal_bytes: shared.space.journal_bytes(),
            ..Now::default()
        })
    }

    /// As the tables have it: what the journal holds comes in a second later.
    fn count_held(&self) -> Result<u64, Error> {
        let off: Vec<EndpointNo> = {
            let registry = self.shared.registry();
            registry.entries().filter(|entry| !entry.endpoint.is_active()).map(|entry| entry.endpoint.no).collect()
        };
        let txn = self.database.begin_read()?;
        let backlogs = schema::read(&txn, BACKLOG)?;
        let mut held = 0;
        for no in off {
            let (first, last) = (backlog_key(no, 0), backlog_key(no, u64::MAX));
            held += backlogs.range::<&BacklogKey>(&first..=&last)?.count() as u64;
        }
        Ok(held)
    }
}
