//! The audit log as lists show it, newest first.

use std::time::Duration;

use redb::ReadableDatabase;

use super::Reader;
use super::snapshot::LOOK;
use crate::domain::id::AuditKey;
use crate::store::error::{Error, intact};
use crate::store::message::audit::{AuditFilter, AuditPage};
use crate::store::record;
use crate::store::redb::schema::{self, AUDIT};

impl Reader {
    /// The rows that a filter leaves, before one of them. It looks at [`LOOK`] at most, then says where it came to.
    pub(crate) fn audit(&self, filter: &AuditFilter, before: Option<AuditKey>, limit: usize) -> Result<AuditPage, Error> {
        let (txn, mut page) = (self.database.begin_read()?, AuditPage::default());
        let first = filter.since.map_or(AuditKey(0), AuditKey::at);
        // Keys may run ahead of the time of their rows, by a fraction of this second.
        let until = filter.until.map_or(AuditKey(u64::MAX), |until| AuditKey::at(until + Duration::from_secs(1)));
        let last = before.unwrap_or(until).min(until);
        if first >= last {
            return Ok(page);
        }
        let mut looked_at = last;
        for (looked, row) in schema::read(&txn, AUDIT)?.range(first.0..last.0)?.rev().enumerate() {
            if page.rows.len() == limit || looked == LOOK {
                page.next = Some(looked_at);
                break;
            }
            let (key, row) = row?;
            looked_at = AuditKey(key.value());
            let read = intact(Some(record::read_audit(looked_at, row.value())))?;
            page.rows.extend(read.filter(|row| filter.takes(row)));
        }
        Ok(page)
    }
}
