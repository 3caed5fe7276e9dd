//! The relay's own events for its operator, inside the writer. None is about the operator's own webhook, so none causes another.

use crate::domain::delivery::{Delivery, End};
use crate::domain::webhook::endpoint::Endpoint;
use crate::store::OPERATOR_PROVIDER;
use crate::store::error::Error;
use crate::store::message::publication::{Pressure, Publication};
use crate::store::redb::batch::Batch;
use crate::store::rules::operational::{self, Notice};

impl Batch<'_, '_> {
    /// Tells that a webhook was enabled, or why nothing is sent to it any more.
    pub(in crate::store) fn notify_state(&mut self, endpoint: &Endpoint) -> Result<(), Error> {
        let notice = self.shared.notifies().then(|| operational::state(endpoint)).flatten();
        self.notify(notice)
    }

    /// Tells that deliveries of a webhook ended as failed.
    pub(in crate::store) fn notify_failed(&mut self, endpoint: &Endpoint, count: u32, end: End) -> Result<(), Error> {
        let notice = self.shared.notifies().then(|| operational::failed(endpoint, count, end)).flatten();
        self.notify(notice)
    }

    /// Counts a delivery that ended as failed, where nobody else tells of it.
    pub(in crate::store) fn count_failed(&mut self, delivery: &Delivery) {
        if let Some(end) = operational::counts(delivery)
            && self.shared.notifies()
        {
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
        let Some(shortage) = operational::shortage(self.shared.pressure()) else { return Ok(()) };
        if !self.shared.notifies() || !self.memory.notices.storage.is_news(self.steady) {
            return Ok(());
        }
        let notice = operational::storage_low(shortage, self.allocated(), self.memory.limits.max_bytes);
        let publication = self.operational(&notice);
        self.take(publication).map(drop)
    }

    fn notify(&mut self, notice: Option<Notice>) -> Result<(), Error> {
        let Some(notice) = notice else { return Ok(()) };
        let publication = self.operational(&notice);
        // Refused only when the store is full: then the log line has to do.
        drop(self.accept(publication)?);
        Ok(())
    }

    fn operational(&self, Notice { kind, data }: &Notice) -> Publication {
        Publication::operational(self.dialect(OPERATOR_PROVIDER), kind, data)
    }
}
