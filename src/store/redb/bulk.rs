//! Many rows at once, in the order of their keys: rows that follow each other in the table too go in, or out, as one piece.
//!
//! One insert or removal after the other looks its place up each time and changes its leaf each time; a piece does so once a leaf.

use std::cmp::Ordering::{self, Equal, Less};
use std::ops::Bound;

use redb::{CursorError, Key, ReadableTable, Table, Value};

use super::counted::Counted;
use crate::store::error::Error;

/// Upserts `rows`, whose keys ascend.
pub(in crate::store) fn put_sorted<'r, K: Key + 'static, V: Value + 'static>(
    table: &mut Counted<'_, K, V>,
    rows: &[(K::SelfType<'r>, V::SelfType<'r>)],
) -> Result<(), Error> {
    put_pieces(table, rows, PIECE)
}

/// The same for rows that mostly come behind all others: however few there are, they fill the table's last leaf up.
pub(in crate::store) fn append_sorted<'r, K: Key + 'static, V: Value + 'static>(
    table: &mut Counted<'_, K, V>,
    rows: &[(K::SelfType<'r>, V::SelfType<'r>)],
) -> Result<(), Error> {
    put_pieces(table, rows, 1)
}

/// Upserts rows, of which at least `least` go in as a piece.
fn put_pieces<'r, K: Key + 'static, V: Value + 'static>(
    table: &mut Counted<'_, K, V>,
    rows: &[(K::SelfType<'r>, V::SelfType<'r>)],
    least: usize,
) -> Result<(), Error> {
    let mut rest = rows;
    while !rest.is_empty() {
        let piece = if rest.len() < least { 0 } else { put_piece(table, rest)? };
        rest = &rest[piece..];
        // Where the piece ended early, the next rows stand among others.
        let singles = if piece < PIECE { PIECE } else { 1 };
        for (key, value) in rest.iter().take(singles) {
            table.insert(key, value)?;
        }
        rest = &rest[singles.min(rest.len())..];
    }
    Ok(())
}

/// Puts as many of the first rows as stand together, and says how many.
fn put_piece<'r, K: Key + 'static, V: Value + 'static>(
    table: &mut Counted<'_, K, V>,
    rows: &[(K::SelfType<'r>, V::SelfType<'r>)],
) -> Result<usize, Error> {
    let (mut put, mut bytes) = (0, 0);
    let mut cursor = table.bulk().lower_bound_mut(Bound::Included(&rows[0].0))?;
    for (key, value) in rows {
        match cursor.insert_before(key, value) {
            Ok(()) => put += 1,
            Err(CursorError::UnorderedKey) => break,
            Err(broken) => return Err(broken.into()),
        }
        bytes += K::as_bytes(key).as_ref().len() + V::as_bytes(value).as_ref().len();
    }
    cursor.close()?;
    table.note(bytes, 0);
    Ok(put)
}

/// Removes the rows of `keys`, which ascend and which `key` gives as the table takes them. A key without a row is passed over.
pub(in crate::store) fn remove_sorted<K: Key + 'static, V: Value + 'static, O>(
    table: &mut Counted<'_, K, V>,
    keys: &[O],
    key: impl for<'a> Fn(&'a O) -> K::SelfType<'a> + Copy,
) -> Result<(), Error> {
    for piece in keys.chunks(REMOVED) {
        if piece.len() >= PIECE && stand_together(table, piece, key)? {
            remove_piece(table, piece, key)?;
        } else {
            for gone in piece {
                table.remove(key(gone))?;
            }
        }
    }
    Ok(())
}

/// Whether the rows from the first to the last of these keys are mostly theirs, so that looking at all of them costs less than
/// looking theirs up.
fn stand_together<K: Key + 'static, V: Value + 'static, O>(
    table: &Table<'_, K, V>,
    keys: &[O],
    key: impl for<'a> Fn(&'a O) -> K::SelfType<'a>,
) -> Result<bool, Error> {
    let [first, .., last] = keys else { return Ok(false) };
    let beyond = table.range::<K::SelfType<'_>>(key(first)..=key(last))?.nth(2 * keys.len());
    Ok(beyond.transpose()?.is_none())
}

fn remove_piece<K: Key + 'static, V: Value + 'static, O>(
    table: &mut Counted<'_, K, V>,
    keys: &[O],
    key: impl for<'a> Fn(&'a O) -> K::SelfType<'a>,
) -> Result<(), Error> {
    let [first, .., last] = keys else { return Ok(()) };
    let (mut gone, mut bytes) = (keys.iter().peekable(), 0);
    table.bulk().retain_in::<K::SelfType<'_>, _>(key(first)..=key(last), |row, value| {
        while gone.next_if(|gone| compare::<K>(&key(gone), &row) == Less).is_some() {}
        let stays = gone.next_if(|gone| compare::<K>(&key(gone), &row) == Equal).is_none();
        bytes += if stays { 0 } else { K::as_bytes(&row).as_ref().len() + V::as_bytes(&value).as_ref().len() };
        stays
    })?;
    table.note(0, bytes);
    Ok(())
}

/// The order of two keys in their table.
pub(in crate::store) fn compare<K: Key>(a: &K::SelfType<'_>, b: &K::SelfType<'_>) -> Ordering {
    K::compare(K::as_bytes(a).as_ref(), K::as_bytes(b).as_ref())
}

/// Rows from which on a place is looked up once for all of them: finding it for a piece costs about two single rows.
const PIECE: usize = 8;

/// Rows that are removed as one piece.
const REMOVED: usize = 512;

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;
    use redb::backends::InMemoryBackend;
    use redb::{Database, TableDefinition};

    use super::*;
    use crate::store::redb::counted::Grown;

    const TABLE: TableDefinition<'static, &'static [u8; 2], &'static [u8]> = TableDefinition::new("t");

    /// As due entries are: several leaves of bare keys.
    const BARE: TableDefinition<'static, &'static [u8; 20], ()> = TableDefinition::new("b");

    fn bare(key: u16) -> [u8; 20] {
        let mut bytes = [7; 20];
        bytes[..2].copy_from_slice(&key.to_be_bytes());
        bytes
    }

    type Rows = BTreeMap<u16, Vec<u8>>;

    fn bytes(rows: &Rows) -> i64 {
        rows.values().map(|value| value.len() as i64 + 2).sum()
    }

    fn rows(most: usize) -> impl Strategy<Value = Rows> {
        proptest::collection::btree_map(0..600_u16, proptest::collection::vec(any::<u8>(), 0..300), 0..most)
    }

    /// Keys that are there and others, near each other or far apart.
    fn removed() -> impl Strategy<Value = BTreeSet<u16>> {
        prop_oneof![
            proptest::collection::btree_set(0..600_u16, 0..100),
            (0..600_u16, 0..600_u16).prop_map(|(first, count)| (first..first + count).collect()),
        ]
    }

    proptest! {
        #[test]
        fn it_leaves_what_a_map_would_hold(batches in proptest::collection::vec((rows(200), removed()), 1..5)) {
            let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
            let mut model = Rows::new();
            for (batch, removed) in batches {
                let txn = database.begin_write().unwrap();
                {
                    let grown = Grown::default();
                    let mut table = Counted::of(txn.open_table(TABLE).unwrap(), &grown);
                    let before = bytes(&model);
                    let sorted: Vec<([u8; 2], &[u8])> = batch.iter().map(|(key, value)| (key.to_be_bytes(), &**value)).collect();
                    put_sorted(&mut table, &sorted.iter().map(|(key, value)| (key, *value)).collect::<Vec<_>>()).unwrap();
                    model.extend(batch);
                    let gone: Vec<[u8; 2]> = removed.iter().map(|key| key.to_be_bytes()).collect();
                    remove_sorted(&mut table, &gone, |key| key).unwrap();
                    model.retain(|key, _| !removed.contains(key));
                    let held: Rows = table.iter().unwrap().map(|row| {
                        let (key, value) = row.unwrap();
                        (u16::from_be_bytes(*key.value()), value.value().to_vec())
                    }).collect();
                    prop_assert_eq!(&held, &model);
                    prop_assert_eq!(before + grown.by(), bytes(&model));
                }
                txn.commit().unwrap();
            }
        }

        #[test]
        fn bare_keys_go_in_and_out_too(
            batches in proptest::collection::vec((proptest::collection::btree_set(0..900_u16, 0..900), removed()), 1..4),
        ) {
            let database = Database::builder().create_with_backend(InMemoryBackend::new()).unwrap();
            let mut model = BTreeSet::new();
            for (put, removed) in batches {
                let txn = database.begin_write().unwrap();
                {
                    let grown = Grown::default();
                    let mut table = Counted::of(txn.open_table(BARE).unwrap(), &grown);
                    let before = model.len() as i64;
                    let [there, gone] = [&put, &removed].map(|keys| keys.iter().map(|key| bare(*key)).collect::<Vec<_>>());
                    put_sorted(&mut table, &there.iter().map(|key| (key, ())).collect::<Vec<_>>()).unwrap();
                    remove_sorted(&mut table, &gone, |key| key).unwrap();
                    model.extend(put);
                    model.retain(|key| !removed.contains(key));
                    let held: Vec<_> = table.iter().unwrap().map(|row| *row.unwrap().0.value()).collect();
                    prop_assert_eq!(held, model.iter().map(|key| bare(*key)).collect::<Vec<_>>());
                    prop_assert_eq!(grown.by(), (model.len() as i64 - before) * 20);
                }
                txn.commit().unwrap();
            }
        }
    }
}
