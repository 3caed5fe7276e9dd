//! The end of what is held: a disabled webhook's deliveries wait for it no longer than the retention.

use std::time::Duration;

use super::NAMES;
use crate::domain::delivery::{Delivery, End, QueuePosition};
use crate::domain::id::{DeliveryKey, EndpointNo};
use crate::store::error::Error;
use crate::store::redb::batch::Batch;
use crate::store::redb::state::Memory;
use crate::store::rules::retention;

impl Batch<'_, '_> {
    /// Held deliveries that waited as long as the retention end as failed: a slice of the webhooks that have a backlog, and of
    /// their backlogs; true when there are more.
    pub(super) fn expire_held(&mut self, begins: bool) -> Result<bool, Error> {
        let Memory { sweep, backlogs, .. } = &mut *self.memory;
        if begins {
            sweep.held.begin(backlogs.keys().copied());
        }
        let (mut left, piece) = (NAMES, self.piece());
        for endpoint in self.memory.sweep.held.slice() {
            let expired = self.expire_backlog(endpoint, left)?;
            left -= expired;
            if left == 0 || self.is_spent(&piece) {
                return Ok(true);
            }
            self.memory.sweep.held.done(endpoint);
        }
        Ok(self.memory.sweep.held.is_under_way())
    }

    /// How many of a disabled webhook's held deliveries ended, at most `most`.
    fn expire_backlog(&mut self, endpoint: EndpointNo, most: usize) -> Result<usize, Error> {
        let Some(entry) = self.entry(endpoint).filter(|entry| !entry.endpoint.is_active()) else { return Ok(0) };
        let expired = self.expire_oldest(endpoint, self.held_for(entry.endpoint.tenant_no), most)?;
        if expired > 0 && self.memory.notices.expired.is_news(endpoint, self.now) {
            self.notify_failed(&entry.endpoint, u32::try_from(expired).unwrap_or(u32::MAX), End::Expired)?;
        }
        Ok(expired)
    }

    fn expire_oldest(&mut self, endpoint: EndpointNo, age: Duration, most: usize) -> Result<usize, Error> {
        let oldest = retention::oldest_kept(age, self.now);
        let mut found = self.backlog_past(endpoint, 0, most)?;
        found.retain(|(number, _)| *number <= oldest.0);
        let piece = self.piece();
        for (count, (number, key)) in found.iter().enumerate() {
            if self.is_spent(&piece) {
                return Ok(count);
            }
            self.expire(*key, *number)?;
        }
        Ok(found.len())
    }

    fn expire(&mut self, key: DeliveryKey, number: u64) -> Result<(), Error> {
        let position = QueuePosition::Backlog(number);
        let (delivery, newest) = self.row(key)?.unwrap_or_else(|| (Delivery::published(key, position), None));
        // Where its entry stands, whatever its row says.
        self.end_waiting(delivery.placed(position), newest.as_ref(), End::Expired)
    }
}
