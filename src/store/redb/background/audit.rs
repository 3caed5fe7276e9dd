//! The rows of the audit log that are removed: those that are too old, and the oldest when the log takes more than its share of the
//! store. Where they stood, the chain keeps the hash of the last of them as its anchor.

use redb::ReadableTable;
use tracing::warn;

use crate::domain::id::AuditKey;
use crate::store::error::Error;
use crate::store::record;
use crate::store::redb::batch::Batch;
use crate::store::redb::schema::AUDITED;
use crate::store::rules::retention;

impl Batch<'_, '_> {
    /// Removes a slice of the audit log; true when there is more. `begins` says that the pass of a new minute begins.
    pub(in crate::store) fn forget_audit(&mut self, begins: bool) -> Result<bool, Error> {
        let limits = self.memory.limits;
        let oldest = AuditKey::at(self.now - limits.audit_retention);
        let bytes_max = retention::audit_bytes_max(limits.max_bytes);
        if begins && self.memory.audit.bytes > bytes_max {
            warn!(bytes_max, "the audit log takes more than its share of `max_bytes`; its oldest rows go before their age");
        }
        let found = self.oldest_audit()?;
        for (key, row) in &found {
            if *key >= oldest && self.memory.audit.bytes <= bytes_max {
                return Ok(false);
            }
            self.forget_audit_row(*key, row)?;
        }
        Ok(found.len() == SLICE)
    }

    fn forget_audit_row(&mut self, key: AuditKey, row: &[u8]) -> Result<(), Error> {
        self.tables.audit()?.remove(key.0)?;
        self.memory.audit = self.memory.audit.without(key, row);
        self.tables.put_twice(AUDITED, &self.memory.audit, record::write_chain)
    }

    fn oldest_audit(&mut self) -> Result<Vec<(AuditKey, Vec<u8>)>, Error> {
        let mut found = Vec::new();
        for row in self.tables.audit()?.range::<u64>(..)?.take(SLICE) {
            let (key, row) = row?;
            found.push((AuditKey(key.value()), row.value().to_vec()));
        }
        Ok(found)
    }
}

/// Rows that are looked at in one commit: a few hundred KiB, mostly.
const SLICE: usize = 500;
