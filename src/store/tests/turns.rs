//! The writer's turns: what waits for one counts by all that it holds in memory, deliveries that were under way at disabling are
//! looked at again, and a writer in doubt of the clock sleeps between them.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::clock::{Clock, Hands};
use crate::domain::event::{ATTRIBUTES_BYTES_MAX, Attributes};
use crate::store::stepped::Stepped;

/// An event with little data and the most bytes of attributes.
fn event() -> Publication {
    let attributes = Attributes::from([("a".to_owned(), "x".repeat(ATTRIBUTES_BYTES_MAX).into())]);
    let plain = Publication::of_type_and_data("shop".into(), "acme".into(), standard(), "order.paid", "1".into());
    Publication { attributes, ..plain }
}

/// How often something is done before it says that there is no more room.
fn tries(mut is_taken: impl FnMut() -> bool) -> usize {
    (0..4_096).take_while(|_| is_taken()).count()
}

/// The store has no writer here, so nothing is taken meanwhile.
#[test]
fn attributes_count_as_what_waits_for_the_writer() {
    let folder = tempfile::tempdir().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let (store, _unstarted) = look(&folder).unwrap();
    let one = tries(|| {
        let refused = matches!(pin!(store.accept_one(event())).poll(&mut context), Poll::Ready(Err(Refusal::Busy)));
        !refused
    });
    let folder = tempfile::tempdir().unwrap();
    let (store, _unstarted) = look(&folder).unwrap();
    let many = tries(|| {
        let before = store.inbox.len();
        drop(store.accept(vec![event()]));
        store.inbox.len() > before
    });
    // A line that is alone may hold half of 64 MiB.
    let room = (32 << 20) / ATTRIBUTES_BYTES_MAX;
    for taken in [one, many] {
        assert!((room / 2..=room).contains(&taken), "{taken} events of 16 KiB");
    }
}

/// Its backlog is read from the beginning, and an outcome may be on its way to the disk: nothing may be sent a second time.
#[test]
fn what_was_under_way_at_disabling_is_looked_at_before_it_starts() {
    let lab = Lab::new();
    let books = lab.create("books", "order.*");
    lab.publish("order.paid", "1");
    let under_way = lab.ready_of(books, 1);
    lab.runtime.block_on(lab.store.by_test().disable_webhook(books)).unwrap();
    lab.publish("order.paid", "2");
    lab.told();
    lab.runtime.block_on(lab.store.by_test().enable_webhook(books)).unwrap();
    lab.store.refill(books);
    let mut again = lab.ready_of(books, 2);
    let seen: Vec<_> = again.iter().map(|one| (one.key == under_way[0].key, one.needs_recheck, one.known.is_some())).collect();
    assert_eq!(seen, [(true, true, false), (false, false, true)]);
    lab.finish(&under_way[0], 200);
    lab.store.recheck(again.swap_remove(0));
    let one = lab.ready_of(books, 1);
    assert!(!one[0].needs_recheck && matches!(lab.store.reader.begin(&one[0], None), Ok(Begin::Over)), "its outcome is on disk");
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
