//! The audit log, inside the writer: each change that somebody asked for has its row in the batch that makes the change.

use crate::domain::id::AuditKey;
use crate::store::error::Error;
use crate::store::message::audit::{Change, Origin, Row};
use crate::store::record;
use crate::store::redb::batch::Batch;
use crate::store::redb::schema::AUDITED;

impl Batch<'_, '_> {
    /// Notes a change that this batch makes. `None`: everything is as it was, so there is nothing to note.
    pub(in crate::store) fn audit(&mut self, by: &Origin, change: Option<Change>) -> Result<(), Error> {
        change.map_or(Ok(()), |change| self.put_audit(by, change))
    }

    /// Notes what else an operation changed, a row for each object, behind the row of what was asked for.
    pub(in crate::store) fn audit_consequences(&mut self, by: &Origin) -> Result<(), Error> {
        let noted = std::mem::take(&mut self.after.consequences);
        noted.into_changes().into_iter().try_for_each(|change| self.put_audit(by, change))
    }

    fn put_audit(&mut self, by: &Origin, change: Change) -> Result<(), Error> {
        let (chain, at) = (self.memory.audit, self.now);
        let key = AuditKey::next(AuditKey(chain.newest), at);
        let [before, after] = [change.before, change.after].map(|shown| shown.map(|document| document.text()));
        let row = Row { key, at, origin: by.clone(), object: change.object, before, after, previous: chain.head };
        let mut bytes = Vec::new();
        record::write_audit(&row, &mut bytes);
        self.tables.audit()?.insert(key.0, &*bytes)?;
        self.shared.space.admit(bytes.len());
        self.memory.audit = chain.with(key, &bytes);
        self.tables.put_twice(AUDITED, &self.memory.audit, record::write_chain)
    }
}
