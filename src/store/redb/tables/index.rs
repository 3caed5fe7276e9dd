//! Rows of the index, written in pieces.

use crate::store::error::Error;
use crate::store::record::key::{IndexKey, OWNER_BYTES};
use crate::store::redb::bulk::put_sorted;
use crate::store::redb::counted::Counted;
use crate::store::shared::index_tail::IndexRow;

/// Writes rows of the index, which ascend.
pub(in crate::store) fn put_rows(table: &mut Counted<'_, &'static IndexKey, ()>, rows: &[IndexRow]) -> Result<(), Error> {
    let rows: Vec<_> = rows.iter().map(|(row, ())| (row, ())).collect();
    rows.chunk_by(|a, b| owner(a.0) == owner(b.0)).try_for_each(|owned| put_sorted(table, owned))
}

/// The part of a row that says whose it is.
fn owner(row: &IndexKey) -> &[u8] {
    &row[..OWNER_BYTES]
}
