//! Many rows at once, in the order of their keys: rows that follow each other in the table too go in as one piece.
//!
//! One insert after the other looks its place up each time and splits leaves; a piece fills whole ones.

use std::borrow::Borrow;
use std::ops::Bound;

use redb::{CursorError, Table, Value};

use super::error::Error;

/// What stood where rows were put.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Replaced {
    pub(super) rows: usize,
    /// Of their values.
    pub(super) bytes: usize,
}

/// Puts `rows`, whose keys ascend, each in place of what has its key.
pub(super) fn put_sorted<'v, const N: usize, V, B>(
    table: &mut Table<'_, &'static [u8; N], V>,
    rows: &[([u8; N], B)],
) -> Result<Replaced, Error>
where
    V: Value + 'static,
    B: Borrow<V::SelfType<'v>> + Copy,
{
    let mut replaced = Replaced::default();
    let mut rest = rows;
    while !rest.is_empty() {
        let piece = if rest.len() < PIECE { 0 } else { put_piece(table, rest)? };
        rest = &rest[piece..];
        // Where the piece ended early, the next rows stand among others.
        let singles = if piece < PIECE { PIECE } else { 1 };
        for (key, value) in rest.iter().take(singles) {
            replaced.add::<N, V, B>(table, key, *value)?;
        }
        rest = &rest[singles.min(rest.len())..];
    }
    Ok(replaced)
}

/// Puts as many of the first rows as stand together, and says how many.
fn put_piece<'v, const N: usize, V, B>(table: &mut Table<'_, &'static [u8; N], V>, rows: &[([u8; N], B)]) -> Result<usize, Error>
where
    V: Value + 'static,
    B: Borrow<V::SelfType<'v>> + Copy,
{
    let mut put = 0;
    let mut cursor = table.lower_bound_mut(Bound::Included(&rows[0].0))?;
    for (key, value) in rows {
        match cursor.insert_before(key, *value) {
            Ok(()) => put += 1,
            Err(CursorError::UnorderedKey) => break,
            Err(broken) => return Err(broken.into()),
        }
    }
    cursor.close()?;
    Ok(put)
}

impl Replaced {
    fn add<'v, const N: usize, V, B>(
        &mut self,
        table: &mut Table<'_, &'static [u8; N], V>,
        key: &[u8; N],
        value: B,
    ) -> Result<(), Error>
    where
        V: Value + 'static,
        B: Borrow<V::SelfType<'v>>,
    {
        if let Some(old) = table.insert(key, value)? {
            self.rows += 1;
            self.bytes += V::as_bytes(&old.value()).as_ref().len();
        }
        Ok(())
    }
}

/// Rows from which on a place is looked up once for all of them: finding it for a piece costs about two single rows.
const PIECE: usize = 8;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;
    use redb::{Database, ReadableTable, TableDefinition};

    use super::*;

    const TABLE: TableDefinition<'static, &'static [u8; 2], &'static [u8]> = TableDefinition::new("t");

    type Rows = BTreeMap<u16, Vec<u8>>;

    fn rows(most: usize) -> impl Strategy<Value = Rows> {
        proptest::collection::btree_map(0..600_u16, proptest::collection::vec(any::<u8>(), 0..300), 0..most)
    }

    proptest! {
        #[test]
        fn it_leaves_what_a_map_would_hold(batches in proptest::collection::vec(rows(200), 1..5)) {
            let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
            let mut model = Rows::new();
            for batch in batches {
                let txn = database.begin_write().unwrap();
                {
                    let mut table = txn.open_table(TABLE).unwrap();
                    let sorted: Vec<([u8; 2], &[u8])> = batch.iter().map(|(key, value)| (key.to_be_bytes(), &**value)).collect();
                    let replaced = put_sorted(&mut table, &sorted).unwrap();
                    let old: Vec<usize> = batch.keys().filter_map(|key| Some(model.get(key)?.len())).collect();
                    prop_assert_eq!(replaced, Replaced { rows: old.len(), bytes: old.iter().sum() });
                    model.extend(batch);
                    let held: Rows = table.iter().unwrap().map(|row| {
                        let (key, value) = row.unwrap();
                        (u16::from_be_bytes(*key.value()), value.value().to_vec())
                    }).collect();
                    prop_assert_eq!(&held, &model);
                }
                txn.commit().unwrap();
            }
        }
    }
}
