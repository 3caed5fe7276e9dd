//! Rows that are not in their table yet, merged with those of the table into one sequence in the order of the keys.

use std::cmp::Ordering::{Equal, Greater, Less};
use std::iter::Peekable;

use crate::store::error::Error;

/// An iterator over two sequences, each in the order of its keys, as one. Of two rows with one key it gives the newer. It reads no
/// more than one row of each sequence ahead.
pub(in crate::store) struct Merge<N: Iterator, O: Iterator> {
    newer: Peekable<N>,
    older: Peekable<O>,
}

impl<N: Iterator, O: Iterator> Merge<N, O> {
    pub(in crate::store) fn of(newer: N, older: O) -> Self {
        Self { newer: newer.peekable(), older: older.peekable() }
    }
}

impl<K: Ord, V, N: Iterator<Item = (K, V)>, O: Iterator<Item = Result<(K, V), Error>>> Iterator for Merge<N, O> {
    type Item = Result<(K, V), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let order = match (self.newer.peek(), self.older.peek()) {
            (Some((newer, _)), Some(Ok((older, _)))) => newer.cmp(older),
            (Some(_), None) => Less,
            (None, _) | (_, Some(Err(_))) => Greater,
        };
        if order == Equal {
            self.older.next();
        }
        if order == Greater { self.older.next() } else { self.newer.next().map(Ok) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(newer: &[(u8, char)], older: &[(u8, char)]) -> Vec<(u8, char)> {
        let rows = Merge::of(newer.iter().copied(), older.iter().copied().map(Ok));
        rows.collect::<Result<_, _>>().expect("no row fails")
    }

    #[test]
    fn of_two_rows_with_one_key_the_newer_is_seen() {
        let seen = merged(&[(1, 'n'), (3, 'n'), (7, 'n')], &[(2, 'o'), (3, 'o'), (5, 'o'), (6, 'o')]);
        assert_eq!(seen, [(1, 'n'), (2, 'o'), (3, 'n'), (5, 'o'), (6, 'o'), (7, 'n')]);
        assert_eq!(merged(&[], &[(1, 'o'), (2, 'o')]), [(1, 'o'), (2, 'o')]);
        assert_eq!(merged(&[(1, 'n'), (2, 'n')], &[]), [(1, 'n'), (2, 'n')]);
    }

    #[test]
    fn a_row_that_cannot_be_read_is_not_passed_over() {
        let broken = [Ok((1, 'o')), Err(Error::Damaged { table: "backlog", why: "a test" })];
        let mut rows = Merge::of([(5, 'n')].into_iter(), broken.into_iter());
        assert!(matches!(rows.next(), Some(Ok((1, 'o')))));
        assert!(rows.next().is_some_and(|row| row.is_err()));
    }
}
