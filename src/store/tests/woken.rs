//! A webhook that is enabled again while its attempts are under way.

use super::*;
use crate::clock::{Clock, Hands};
use crate::store::stepped::Stepped;

/// Its backlog is read from the beginning, and an outcome may be on its way to the disk: nothing may be sent a second time.
#[test]
fn what_was_under_way_at_disabling_is_looked_at_before_it_starts() {
    let lab = Lab::new();
    let books = lab.create("books", "order.*");
    lab.publish("order.paid", "1");
    let under_way = lab.ready_of(books, 1);
    lab.runtime.block_on(lab.store.disable_webhook(books)).unwrap();
    lab.publish("order.paid", "2");
    lab.told();
    lab.runtime.block_on(lab.store.enable_webhook(books)).unwrap();
    lab.store.refill(books);
    let mut again = lab.ready_of(books, 2);
    let seen: Vec<_> = again.iter().map(|one| (one.key == under_way[0].key, one.needs_recheck, one.known.is_some())).collect();
    assert_eq!(seen, [(true, true, false), (false, false, true)]);
    lab.finish(&under_way[0], 200);
    lab.store.recheck(again.swap_remove(0));
    let one = lab.ready_of(books, 1);
    assert!(!one[0].needs_recheck && matches!(lab.store.begin(&one[0], None), Ok(Begin::Over)), "its outcome is on disk");
}

/// Its processor would run hot for the day that the doubt lasts.
#[test]
fn a_writer_that_starts_in_doubt_of_the_clock_sleeps() {
    let folder = tempfile::tempdir().unwrap();
    let hands = Hands::at(Timestamp::from_secs(1_780_000_000));
    let clock = Clock::of(hands.clone());
    let machine = Machine { clock: clock.clone(), ..Machine::default() };
    let mut stepped = Stepped::open(&Options { machine, ..options(&path(folder.path())) }, 1).unwrap();
    hands.set_wall(hands.wall() + Duration::from_secs(3_600));
    let turns = (0..100).take_while(|_| {
        hands.advance(Duration::from_millis(1));
        drop(stepped.turn().unwrap());
        stepped.wake_at() <= clock.steady()
    });
    assert!(turns.count() < 10, "it finds something to do again and again");
    assert!(stepped.store.doubted_clock().is_some());
}
