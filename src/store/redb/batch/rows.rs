//! The rows of deliveries and attempts, as a batch reads and writes them.

use crate::domain::delivery::Delivery;
use crate::domain::id::DeliveryKey;
use crate::store::Attempt;
use crate::store::error::{Error, intact};
use crate::store::record;
use crate::store::record::key::{DELIVERY_ROW, log_key};
use crate::store::redb::batch::Batch;
use crate::store::redb::journaled_table::Log;

impl Batch<'_, '_> {
    /// A delivery's row; `None`: it is as published, without an attempt. A damaged row is as good as none: what is sent is
    /// the event's, and its own checksum guards that.
    pub(in crate::store) fn row(&mut self, key: DeliveryKey) -> Result<Option<(Delivery, Option<Attempt>)>, Error> {
        let row = self.tables.row::<Log, _>(&log_key(key, DELIVERY_ROW), |row| Ok(record::read_delivery(key, row)))?;
        intact(row)
    }

    pub(in crate::store) fn write_row(&mut self, delivery: &Delivery, newest: Option<&Attempt>) -> Result<(), Error> {
        let mut bytes = std::mem::take(&mut self.memory.scratch);
        record::write_delivery(delivery, newest, &mut bytes);
        self.put_log(delivery.key, DELIVERY_ROW, &bytes);
        self.memory.scratch = bytes;
        Ok(())
    }

    pub(in crate::store) fn write_attempt(&mut self, key: DeliveryKey, attempt: &Attempt) -> Result<(), Error> {
        let mut bytes = std::mem::take(&mut self.memory.scratch);
        record::write_attempt(key, attempt, &mut bytes);
        self.put_log(key, attempt.number, &bytes);
        self.memory.scratch = bytes;
        Ok(())
    }

    /// A delivery in whatever form it is kept; `None` when there is none.
    pub(in crate::store) fn delivery(&mut self, key: DeliveryKey) -> Result<Option<(Delivery, Option<Attempt>)>, Error> {
        if let Some(found) = self.row(key)? {
            return Ok(Some(found));
        }
        let position = self.position_without_row(key)?;
        Ok(position.map(|position| (Delivery::published(key, position), None)))
    }

    fn put_log(&mut self, key: DeliveryKey, number: u16, bytes: &[u8]) {
        self.tables.put::<Log>(&log_key(key, number), bytes);
        self.shared.space.admit(bytes.len());
    }
}
