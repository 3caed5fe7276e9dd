//! A sum over all entries that bring deliveries back: those of the due table and of the backlogs.
//!
//! Such an entry is a bare key. A flipped bit in one makes another key of it, and out of order it hides its neighbours from every
//! look-up. No entry can tell that of itself, so each commit carries the sum over all of them, in whatever order they come: what
//! is put adds to it, what is taken out is subtracted. A start reads all entries anyway and compares.

use crate::store::record::key::{BacklogKey, DueKey};

/// What an entry of the due table adds.
pub(in crate::store) fn of_due(key: &DueKey) -> u64 {
    mixed(key, DUE)
}

/// What an entry of a backlog adds.
pub(in crate::store) fn of_backlog(key: &BacklogKey, value: &[u8]) -> u64 {
    mixed(value, mixed(key, BACKLOG))
}

/// Spreads every bit over the whole (the finalizer of splitmix64, after each word).
fn mixed(bytes: &[u8], from: u64) -> u64 {
    bytes.chunks(size_of::<u64>()).fold(from ^ bytes.len() as u64, |hash, chunk| {
        let word = chunk.iter().fold(0, |word, byte| (word << 8) | u64::from(*byte));
        let hash = (hash ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ (hash >> 31)
    })
}

/// So that no entry of one table adds what one of the other does.
const DUE: u64 = 1;
const BACKLOG: u64 = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bit_of_an_entry_moves_the_sum() {
        let (due, backlog, value) = ([7; 20], [7; 12], [9; 8]);
        for bit in 0..20 * 8 {
            let mut flipped = due;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(of_due(&flipped), of_due(&due), "bit {bit}");
        }
        for bit in 0..8 * 8 {
            let mut flipped = value;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(of_backlog(&backlog, &flipped), of_backlog(&backlog, &value), "bit {bit}");
        }
        assert_ne!(of_backlog(&backlog, &[]), of_backlog(&backlog, &value));
    }
}
