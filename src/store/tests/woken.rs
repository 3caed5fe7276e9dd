//! A webhook that is enabled again while its attempts are under way.

use super::*;

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
