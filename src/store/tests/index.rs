//! The index's tail: it comes into the table while events go on coming, and nobody who lists sees where an event stands.

use super::*;
use crate::store::redb::background::index_flush;

#[test]
fn a_long_tail_comes_into_the_index_while_events_come() {
    a_long_tail_comes_into_the_index("1");
}

/// A commit of so many large events goes into the tables at once, and never through a checkpoint.
#[test]
fn a_long_tail_comes_into_the_index_while_large_events_come() {
    a_long_tail_comes_into_the_index(&format!("{:?}", "x".repeat(1_200)));
}

fn a_long_tail_comes_into_the_index(data: &str) {
    let lab = Lab::open(tempfile::tempdir().unwrap()).unwrap();
    let mut published = 0;
    while published < TAIL || listed_in_memory(&lab.store) >= TAIL {
        published += publish_many(&lab, data);
        assert!(published < 4 * TAIL, "the tail grows on and on");
    }
    assert!(listed_in_memory(&lab.store) < published - TAIL / 2, "the table has the first of them");
    assert_eq!(listed(&lab.store), published);
    lab.settle();
    let killed = lab.killed().write();
    let (again, _unstarted) = look(&killed).unwrap();
    assert_eq!(listed(&again), published, "a kill takes none");
}

fn publish_many(lab: &Lab, data: &str) -> usize {
    let dialect = standard();
    let one =
        |_| Publication::of_type_and_data("shop".into(), "acme".into(), dialect.clone(), "none.hears", data.to_owned().into());
    let accepted = lab.runtime.block_on(lab.store.accept((0..BATCH).map(one).collect()));
    assert!(accepted.iter().all(Result::is_ok));
    BATCH
}

/// Events of the tail.
fn listed_in_memory(store: &Store) -> usize {
    store.shared.tail.lock().unwrap().entries.len()
}

/// Events that a listing shows.
fn listed(store: &Store) -> usize {
    store.reader.event_keys(&owned(), EventKey::MIN, usize::MAX).unwrap().len()
}

/// Entries of a tail that is written out.
const TAIL: usize = index_flush::TAIL;

const BATCH: usize = 2_000;
