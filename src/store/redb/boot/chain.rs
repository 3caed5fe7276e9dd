//! Whether the audit log is as it was written: each row names the hash of the row before it, so whoever changes, takes out or adds a
//! row has to change all that follow, and what the store says of the newest.

use redb::{ReadOnlyTable, ReadTransaction, TableError};

use super::recovery::twice;
use crate::domain::id::{AuditKey, Node};
use crate::store::error::Error;
use crate::store::record::{self, Chain};
use crate::store::redb::schema::{self, AUDIT, AUDITED, STATE};

/// How the audit log is not as it was written, at the first row where that shows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::store) enum Broken {
    #[error("the audit log is broken at {0}, which is damaged")]
    Damaged(String),
    #[error(
        "the audit log is broken at {0}, which does not follow from the row before it: a row was changed, taken out or put in"
    )]
    Apart(String),
    #[error("the audit log ends too early: its newest rows, behind {0}, are missing")]
    Short(String),
    #[error("the audit log is empty, and should not be")]
    Emptied,
    #[error("the audit log has rows, and nothing says where it begins and ends")]
    Unknown,
}

/// Goes through the whole log, oldest row first.
pub(in crate::store) fn judge(txn: &ReadTransaction, node: Node) -> Result<Option<Broken>, Error> {
    let kept = twice(&schema::read(txn, STATE)?, AUDITED, record::read_chain);
    let (chain, is_known) = kept.ok().flatten().map_or((Chain::default(), false), |chain| (chain, true));
    let (mut expected, mut last) = (chain.anchor, None);
    let Some(table) = rows(txn)? else { return Ok((chain.head != chain.anchor).then_some(Broken::Emptied)) };
    for row in table.range::<u64>(..)? {
        let (key, row) = row?;
        let (key, row) = (AuditKey(key.value()), row.value());
        let id = || node.audit_id(key);
        match record::read_audit(key, row) {
            _ if !is_known => return Ok(Some(Broken::Unknown)),
            Err(_) => return Ok(Some(Broken::Damaged(id()))),
            Ok(read) if read.previous != expected => return Ok(Some(Broken::Apart(id()))),
            Ok(_) => (expected, last) = (record::audit_hash(key, row), Some(key)),
        }
    }
    Ok((expected != chain.head).then(|| last.map_or(Broken::Emptied, |key| Broken::Short(node.audit_id(key)))))
}

/// The table of the log. `None` in a store that was never opened by a release that has the log, or from which somebody took it out.
fn rows(txn: &ReadTransaction) -> Result<Option<ReadOnlyTable<u64, &'static [u8]>>, Error> {
    match schema::read(txn, AUDIT) {
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        table => Ok(Some(table?)),
    }
}
