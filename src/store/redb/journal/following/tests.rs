use proptest::prelude::*;

use super::*;
use crate::store::record::Counters;
use crate::store::redb::journal::entry::Upon;
use crate::store::redb::journaled_table::TableKey;

const STORE: u64 = 7;
const RUN: u64 = 8;

fn tables(number: u64, open: bool) -> Watermark {
    let follows = Some(Follows { run: RUN, before: 6, open });
    Watermark { store: STORE, number, events: number, follows }
}

/// One event in a commit, of which there are then as many as its number says.
fn entry(run: u64, number: u64, upon: Option<Upon>) -> Entry {
    let (mut changes, mut counters) = (Changes::default(), Vec::new());
    changes.change(Table::Event, (&number.to_be_bytes(), Some(b"event")));
    record::write_counters(&[COUNTERS], &Counters { events: number, ..Counters::default() }, &mut counters);
    let head = Head { store: STORE, run, number, upon };
    changes.seal(head, &counters);
    (head, changes)
}

/// What a run writes behind the commit with `base`, its first thing included.
fn written(run: u64, base: u64, count: u64) -> Vec<Entry> {
    let mut first = Changes::default();
    let head = Head { store: STORE, run, number: base, upon: Some(Upon { base, before: 0 }) };
    first.seal(head, &[]);
    let mut all = vec![(head, first)];
    for number in base + 1..=base + count {
        let before = all.last().map_or(0, |(_, changes)| changes.checksum());
        all.push(entry(run, number, Some(Upon { base, before })));
    }
    all
}

/// The number of the event in changes that hold one.
fn number(changes: &Changes) -> u64 {
    changes.rows(Table::Event).map(|(key, _)| u64::of(key)).sum()
}

fn judged(whole: Vec<Entry>, tables: &Watermark) -> (Vec<u64>, Vec<Wrong>) {
    let found = following(Contents { file: Bytes::Some, whole }, tables);
    (found.changes.iter().map(number).collect(), found.wrong)
}

fn stray(batches: u64) -> Wrong {
    Wrong { kind: Kind::Stray, batches, events: batches }
}

fn lost(batches: u64) -> Wrong {
    Wrong { kind: Kind::Lost, batches, events: batches }
}

#[test]
fn what_the_run_wrote_behind_the_tables_goes_on() {
    assert_eq!(judged(written(RUN, 5, 3), &tables(5, true)), (vec![6, 7, 8], vec![]));
    assert_eq!(judged(written(RUN, 5, 3), &tables(7, true)), (vec![8], vec![]));
    assert_eq!(judged(written(RUN, 5, 3), &tables(9, true)), (vec![], vec![]));
}

proptest! {
    /// Whatever is damaged in the midst, what is whole behind it is taken in, and what is missing is counted.
    #[test]
    fn only_what_is_damaged_is_lost(damaged in proptest::collection::btree_set(1..20_usize, 0..19)) {
        let mut whole = written(RUN, 5, 20);
        for at in damaged.iter().rev() {
            whole.remove(*at);
        }
        let expected: Vec<u64> = (1..=20).filter(|at| !damaged.contains(at)).map(|at| at as u64 + 5).collect();
        let wrong = if damaged.is_empty() { vec![] } else { vec![lost(damaged.len() as u64)] };
        prop_assert_eq!(judged(whole, &tables(5, true)), (expected, wrong));
    }
}

/// The last may be torn, and was answered to nobody then.
#[test]
fn a_torn_end_is_no_loss() {
    let mut whole = written(RUN, 5, 3);
    whole.pop();
    assert_eq!(judged(whole, &tables(5, true)), (vec![6, 7], vec![]));
}

/// A store that was stopped and copied; the copy ran and was killed, and the original stands beside the copy's journal.
#[test]
fn what_was_written_on_a_copy_of_the_store_is_another_timelines() {
    let (kept, wrong) = judged(written(99, 5, 3), &tables(5, false));
    assert_eq!((kept, wrong), (vec![], vec![stray(3)]));
    let (kept, wrong) = judged(written(99, 5, 3), &tables(500, false));
    assert_eq!((kept, wrong), (vec![], vec![Wrong::of(Kind::Foreign)]), "the original went on since");
    // The copy was made of a killed one, and wrote over what the run had left.
    let mut whole = written(99, 7, 2);
    whole.extend(written(RUN, 5, 4).split_off(3));
    assert_eq!(judged(whole, &tables(5, true)), (vec![8, 9], vec![lost(2), stray(2)]));
}

/// A backup of the tables that lacks a commit which the journal was written on.
#[test]
fn tables_older_than_the_journal_take_in_what_they_have_the_ground_of() {
    let older = || {
        let mut whole = written(RUN, 5, 2);
        let before = whole.last().map_or(0, |(_, changes)| changes.checksum());
        whole.push(entry(RUN, 9, Some(Upon { base: 8, before })));
        whole
    };
    assert_eq!(judged(older(), &tables(5, true)), (vec![6, 7], vec![stray(1)]));
    assert_eq!(judged(older(), &tables(8, true)), (vec![9], vec![]));
}

/// A machine that was copied while it ran has one run and one number on both sides.
#[test]
fn two_timelines_of_one_run_part_where_they_part() {
    let mut whole = written(RUN, 5, 3);
    let other = entry(RUN, 8, Some(Upon { base: 5, before: 12_345 }));
    *whole.last_mut().unwrap() = other;
    assert_eq!(judged(whole, &tables(5, true)), (vec![6, 7], vec![stray(1)]));
}

#[test]
fn a_journal_that_shows_nothing_of_its_run_is_told() {
    let kinds = [
        (Bytes::NoFile, Kind::Missing),
        (Bytes::None, Kind::Emptied),
        (Bytes::Zeros, Kind::Zeroed),
        (Bytes::Some, Kind::Replaced),
    ];
    for (file, kind) in kinds {
        let found = following(Contents { file, whole: vec![] }, &tables(5, true));
        assert_eq!(found.wrong, [Wrong::of(kind)]);
        assert!(kind.holds_back());
    }
}

#[test]
fn a_closed_store_misses_no_journal_but_tells_of_a_foreign_one() {
    for (file, wrong) in [(Bytes::NoFile, 0), (Bytes::None, 0), (Bytes::Zeros, 0), (Bytes::Some, 1)] {
        let found = following(Contents { file, whole: vec![] }, &tables(5, false));
        assert_eq!(found.wrong.len(), wrong, "{file:?}");
    }
}

/// A crash between the commit that took the journal in and the first thing of the next run in the file.
#[test]
fn what_the_run_before_left_is_no_foreign_file() {
    assert_eq!(judged(written(6, 5, 3), &tables(8, false)), (vec![], vec![]));
    assert_eq!(judged(vec![entry(99, 8, None)], &tables(8, false)), (vec![], vec![]), "of the first form");
    assert_eq!(judged(written(99, 8, 0), &tables(8, false)), (vec![], vec![]), "of a run that wrote nothing yet");
}

#[test]
fn what_earlier_runs_left_behind_is_passed_over() {
    let mut whole = written(RUN, 9, 1);
    whole.extend(written(4, 2, 3));
    assert_eq!(judged(whole, &tables(9, true)), (vec![10], vec![]));
}

#[test]
fn the_first_form_goes_on_without_a_gap_alone() {
    let first = Watermark { follows: None, ..tables(5, true) };
    let of = |numbers: &[u64]| numbers.iter().map(|number| entry(1, *number, None)).collect::<Vec<_>>();
    assert_eq!(judged(of(&[5, 6, 7]), &first), (vec![6, 7], vec![]));
    assert_eq!(judged(of(&[6, 8, 9]), &first), (vec![6], vec![stray(2)]));
    let mut two_runs = of(&[6]);
    two_runs.push(entry(2, 7, None));
    assert_eq!(judged(two_runs, &first), (vec![6], vec![stray(1)]));
}

/// The run before journaled nothing, and what an earlier one wrote stands behind its first entry.
#[test]
fn what_an_earlier_run_left_behind_the_first_entry_of_the_last_is_not_foreign() {
    let left_by = |run: u64| {
        let mut whole = written(3, 5, 3);
        whole[0] = written(run, 8, 0).remove(0);
        judged(whole, &tables(9, false))
    };
    assert_eq!([left_by(6), left_by(RUN)], [(vec![], vec![]), (vec![], vec![])]);
    assert_eq!(left_by(4), (vec![], vec![Wrong::of(Kind::Foreign)]));
}

#[test]
fn another_stores_journal_is_foreign() {
    let whole = || {
        let (head, changes) = entry(RUN, 6, Some(Upon { base: 5, before: 0 }));
        vec![(Head { store: 1, ..head }, changes)]
    };
    assert_eq!(judged(whole(), &tables(5, true)), (vec![], vec![Wrong::of(Kind::Replaced)]));
    assert_eq!(judged(whole(), &tables(5, false)), (vec![], vec![Wrong::of(Kind::Foreign)]));
}
