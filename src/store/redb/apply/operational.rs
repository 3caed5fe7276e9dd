//! The relay's own events for its operator, inside the writer. None is about the operator's own webhook, so none causes another.

use crate::domain::delivery::{Delivery, End};
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::error::Error;
use crate::store::message::publication::{Pressure, Publication, Refusal};
use crate::store::redb::batch::Batch;

impl Batch<'_, '_> {
    /// Tells that a webhook was enabled, or why nothing is sent to it any more.
    pub(in crate::store) fn notify_standing(&mut self, endpoint: &Endpoint) -> Result<(), Error> {
        let mut data = described(endpoint);
        let kind = match endpoint.stopped() {
            None => "webhook.enabled",
            Some((_, why)) => {
                data["reason"] = why.into();
                "webhook.disabled"
            }
        };
        self.notify(endpoint, kind, &data)
    }

    /// Tells that deliveries of a webhook ended as failed.
    pub(in crate::store) fn notify_failed(&mut self, endpoint: &Endpoint, count: u32, end: End) -> Result<(), Error> {
        let mut data = described(endpoint);
        data["count"] = count.into();
        data["reason"] = end.name().into();
        self.notify(endpoint, "delivery.failed", &data)
    }

    /// Counts a delivery that ended as failed. What expired is told of by the sweep, and a test by its answer; who cancels one knows.
    pub(in crate::store) fn count_failed(&mut self, delivery: &Delivery, end: End) {
        if !matches!(end, End::Expired | End::Cancelled) && !delivery.is_test() && self.shared.notifies() {
            self.memory.notices.failed.add(delivery.key.endpoint, end);
        }
    }

    /// Tells of the failures that were counted, when it is time. While events are refused they go on being counted.
    pub(in crate::store) fn notify_of_failures(&mut self) -> Result<(), Error> {
        if self.shared.pressure() != Pressure::None {
            return Ok(());
        }
        for failures in self.memory.notices.failed.due(self.steady) {
            if let Some(entry) = self.entry_or_tombstone(failures.endpoint)? {
                self.notify_failed(&entry.endpoint, failures.count, failures.end)?;
            }
        }
        Ok(())
    }

    /// Tells that events are refused for want of room. This one is taken all the same: it is small, and comes but once.
    pub(in crate::store) fn notify_of_pressure(&mut self) -> Result<(), Error> {
        let (reason, cause) = match self.shared.pressure() {
            Pressure::None | Pressure::JournalLost => return Ok(()),
            Pressure::Full => ("max_bytes", Refusal::Full),
            Pressure::DiskLow => ("disk", Refusal::DiskLow),
        };
        if !self.shared.notifies() || !self.memory.notices.storage.is_news(self.steady) {
            return Ok(());
        }
        let data = serde_json::json!({
            "reason": reason,
            "detail": cause.to_string(),
            "allocated_bytes": self.allocated(),
            "max_bytes": self.memory.limits.max_bytes,
        });
        let publication = self.operational("storage.low", &data);
        self.take(publication).map(drop)
    }

    fn notify(&mut self, about: &Endpoint, kind: &str, data: &serde_json::Value) -> Result<(), Error> {
        if *about.provider == *crate::store::OPERATOR_PROVIDER || !self.shared.notifies() {
            return Ok(());
        }
        let publication = self.operational(kind, data);
        // Refused only when the store is full: then the log line has to do.
        drop(self.accept(publication)?);
        Ok(())
    }

    fn operational(&self, kind: &str, data: &serde_json::Value) -> Publication {
        Publication::operational(self.dialect(crate::store::OPERATOR_PROVIDER), kind, data)
    }
}

fn described(endpoint: &Endpoint) -> serde_json::Value {
    serde_json::json!({
        "webhook_id": endpoint.id,
        "provider": endpoint.provider,
        "tenant": endpoint.tenant,
        "url": endpoint.definition.url,
    })
}
