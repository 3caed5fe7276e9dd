//! Puts a row right of which one bit was flipped: its checksum tells which bit it was.
//!
//! A CRC32C of a short record is another one for every bit that is flipped in it, or in the key that it covers. So a single flipped
//! bit is found by trying them all, and there is one that fits. Of rows that are damaged otherwise, one in a hundred thousand at
//! most fits by chance; such a row must still decode, and its secrets have a seal of their own.

use super::judge;

/// A row: its key and its value.
pub(in crate::store) type Row = (Vec<u8>, Vec<u8>);

/// The row of a table as it was before one bit was flipped in its key or its value; `None`: no single bit makes it whole, two
/// do, it is too long, or it has no checksum.
pub(in crate::store) fn righted(table: &'static str, key: &[u8], value: &[u8]) -> Option<Row> {
    if value.is_empty() || key.len() + value.len() > BYTES_MAX || WITHOUT_CHECKSUM.contains(&table) {
        return None;
    }
    let (mut row, split) = ([key, value].concat(), key.len());
    let mut found = None;
    for bit in 0..row.len() * 8 {
        row[bit / 8] ^= 1 << (bit % 8);
        let (key, value) = row.split_at(split);
        if judge::row(table, key, value).is_ok() {
            if found.is_some() {
                return None;
            }
            found = Some((key.to_vec(), value.to_vec()));
        }
        row[bit / 8] ^= 1 << (bit % 8);
    }
    found
}

/// Their values are keys of other tables.
const WITHOUT_CHECKSUM: [&str; 2] = ["backlog", "name_end"];

/// Each bit costs a look over the whole row: some 50 ms for one of this length.
const BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::record::{self, Named};

    #[test]
    fn one_flipped_bit_in_key_or_value_is_put_right_and_two_are_not() {
        let (key, mut value) = (b"iacme\0order-1\0t1".to_vec(), Vec::new());
        record::write_named(&key, &Named { event: 5, deliveries: 2, content: [9; 32], until: u64::MAX }, &mut value);
        let row = [&*key, &*value].concat();
        let flipped = |bits: &[usize]| {
            let mut flipped = row.clone();
            bits.iter().for_each(|bit| flipped[bit / 8] ^= 1 << (bit % 8));
            let (key, value) = flipped.split_at(key.len());
            righted("name", key, value)
        };
        for bit in 0..row.len() * 8 {
            assert_eq!(flipped(&[bit]), Some((key.clone(), value.clone())), "bit {bit}");
            assert_eq!(flipped(&[bit, (bit + 77) % (row.len() * 8)]), None, "bit {bit} and another");
        }
    }
}
