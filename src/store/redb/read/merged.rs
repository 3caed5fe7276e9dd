//! The newest of many lists at once, each of them newest first.

use std::collections::BTreeMap;

/// The newest keys of all lists, newest first, at most `most`. One key of each list is read, and one more for each key that is
/// taken; at most `most` lists are held open. No key stands in two of them.
pub(in crate::store) fn newest<K, L, E>(lists: impl Iterator<Item = Result<L, E>>, most: usize) -> Result<Vec<K>, E>
where
    K: Ord + Copy,
    L: Iterator<Item = Result<K, E>>,
{
    let mut heads = BTreeMap::new();
    for list in lists {
        let mut list = list?;
        if let Some(head) = list.next().transpose()? {
            heads.insert(head, list);
        }
        if heads.len() > most {
            heads.pop_first();
        }
    }
    let mut found = Vec::new();
    while found.len() < most
        && let Some((key, mut list)) = heads.pop_last()
    {
        found.push(key);
        if let Some(next) = list.next().transpose()? {
            heads.insert(next, list);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::convert::Infallible;

    use super::*;

    /// The newest of lists in which each holds every `lists`-th number below `below`, and how many keys were read.
    fn taken(lists: usize, below: usize, most: usize) -> (Vec<usize>, usize) {
        let read = Cell::new(0);
        let list = |number: usize| {
            let keys = (0..below).rev().filter(move |key| key % lists == number);
            Ok::<_, Infallible>(keys.map(Ok).inspect(|_| read.set(read.get() + 1)))
        };
        let Ok(found) = newest((0..lists).map(list), most);
        (found, read.get())
    }

    #[test]
    fn the_newest_of_all_lists_come_in_order() {
        assert_eq!(taken(3, 10, 4).0, [9, 8, 7, 6]);
        assert_eq!(taken(3, 3, 10).0, [2, 1, 0]);
        assert_eq!(taken(5, 100, 2).0, [99, 98], "with more lists than keys are wanted");
        assert_eq!(taken(1, 0, 5).0, [0; 0]);
    }

    #[test]
    fn no_more_is_read_of_the_lists_than_is_taken() {
        assert!(taken(100, 100_000, 50).1 <= 150);
    }
}
