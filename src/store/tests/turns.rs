//! What waits for the writer counts by all that it holds in memory. The store has no writer here, so nothing is taken meanwhile.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::domain::event::{ATTRIBUTES_BYTES_MAX, Attributes};

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
