use std::time::Duration;

use super::*;
use crate::clock;

/// The places of a listener, with a clock of its own.
struct Hall {
    slots: Slots,
    began: Instant,
}

impl Hall {
    fn new(all: usize, known: usize) -> Self {
        let began = clock::steady();
        Self { slots: Slots::new(Limits { all, known }, began), began }
    }

    fn at(&self, second: u64) -> Instant {
        self.began + Duration::from_secs(second)
    }

    fn stranger(&self, from: u32, second: u64) -> Slot {
        self.slots.admit(Group::V4(from), self.at(second))
    }

    /// A connection that has shown a key of `party` at `second` and has been idle since.
    fn known(&self, party: u64, second: u64) -> Slot {
        let slot = self.stranger(0, second);
        slot.show(|| Group::Party(party)).expect("there is room");
        slot
    }
}

fn told(slots: &[Slot]) -> Vec<usize> {
    (0..slots.len()).filter(|at| slots[*at].must_leave()).collect()
}

#[test]
fn with_all_taken_the_oldest_stranger_gives_way() {
    let hall = Hall::new(4, 3);
    let mut slots: Vec<_> = (0..4).map(|second| hall.stranger(u32::try_from(second).unwrap(), second)).collect();
    slots[0].works();
    slots[0].rests(hall.at(10));
    assert_eq!(told(&slots), [0; 0]);
    slots.push(hall.stranger(9, 11));
    assert_eq!(told(&slots), [1], "the first one was used since");
    slots.extend([hall.stranger(9, 12), hall.stranger(9, 13)]);
    assert_eq!(told(&slots), [1, 2, 3]);
    slots.push(hall.stranger(9, 14));
    assert_eq!(told(&slots), [0, 1, 2, 3]);
    drop(slots);
    assert_eq!(hall.slots.len(), 0);
}

#[test]
fn an_address_above_its_share_gives_way_before_others() {
    let hall = Hall::new(STRANGERS_SHARE + 10, 5);
    let honest: Vec<_> = (0..9).map(|from| hall.stranger(100 + from, 0)).collect();
    let mut crowd: Vec<_> = (0..STRANGERS_SHARE + 1).map(|_| hall.stranger(7, 1)).collect();
    let late = hall.stranger(200, 2);
    assert_eq!((told(&honest), told(&crowd), late.must_leave()), (vec![], vec![0], false));
    // A crowded address makes room for its own new connections.
    crowd.extend((0..100).map(|_| hall.stranger(7, 3)));
    assert_eq!(told(&honest), [0; 0]);
    assert_eq!(told(&crowd).len(), 101);
}

#[test]
fn a_known_connection_gives_way_to_no_stranger() {
    let hall = Hall::new(4, 3);
    let known = [hall.known(1, 0), hall.known(1, 0), hall.known(1, 0)];
    let strangers: Vec<_> = (0..50).map(|from| hall.stranger(from, 1)).collect();
    assert_eq!(told(&known), [0; 0]);
    assert_eq!(told(&strangers).len(), 49, "the last one has the place that is left to strangers");
}

#[test]
fn among_the_known_the_longest_idle_gives_way() {
    let hall = Hall::new(20, 4);
    let known = [hall.known(1, 3), hall.known(2, 1), hall.known(3, 2), hall.known(4, 0)];
    known[3].works();
    let fifth = hall.known(5, 9);
    assert_eq!((told(&known), fifth.must_leave()), (vec![1], false), "the oldest of all is at work");
}

#[test]
fn a_tenant_with_half_gives_way_first_and_takes_from_none() {
    let hall = Hall::new(20, 5);
    let known = [hall.known(2, 0), hall.known(1, 1), hall.known(1, 2), hall.known(1, 3), hall.known(1, 4)];
    let _other = hall.known(3, 5);
    assert_eq!(told(&known), [1], "tenant 1 holds four of five");
    let own = hall.known(1, 6);
    assert_eq!(told(&known), [1, 2], "its own");
    for busy in [&known[3], &known[4], &own] {
        busy.works();
    }
    assert_eq!(hall.stranger(0, 7).show(|| Group::Party(1)), Err(Full), "the others are idle and stay");
    assert_eq!(told(&known), [1, 2]);
}

#[test]
fn a_crowded_tenant_gives_way_when_all_are_at_work() {
    let hall = Hall::new(20, 4);
    let known = [hall.known(1, 0), hall.known(1, 1), hall.known(1, 2), hall.known(2, 0)];
    known.iter().for_each(Slot::works);
    let another = hall.known(2, 3);
    another.works();
    assert_eq!(told(&known), [0], "the longest at work of the tenant that holds most");
    assert_eq!(hall.stranger(0, 4).show(|| Group::Party(1)), Err(Full));

    let hall = Hall::new(2_000, 400);
    let known: Vec<_> = (0..400).map(|second| hall.known(1, second)).collect();
    known.iter().for_each(Slot::works);
    let mut others = Vec::new();
    for _ in 0..LEAVING_AT_WORK_MAX {
        others.push(hall.known(2, 500));
        others.last().expect("just come").works();
    }
    assert_eq!(told(&known).len(), LEAVING_AT_WORK_MAX);
    assert_eq!(hall.stranger(0, 501).show(|| Group::Party(3)), Err(Full), "until they are gone");
    others.iter().for_each(|other| other.rests(hall.at(501)));
    for _ in LEAVING_AT_WORK_MAX..LEAVING_MAX {
        others.push(hall.stranger(0, 502));
        assert_eq!(others.last().expect("just come").show(|| Group::Party(3)), Ok(()), "an idle one goes at once");
    }
    assert_eq!(hall.stranger(0, 502).show(|| Group::Party(3)), Err(Full), "but not all of them");
    drop((known, others));
    assert_eq!(hall.stranger(0, 502).show(|| Group::Party(3)), Ok(()));
}

#[test]
fn a_cut_stranger_cannot_become_known() {
    let hall = Hall::new(2, 1);
    let slots = [hall.stranger(1, 0), hall.stranger(2, 1), hall.stranger(3, 2)];
    assert_eq!(told(&slots), [0]);
    assert_eq!(slots[0].show(|| Group::Party(1)), Err(Full));
}

#[test]
fn an_address_counts_once_however_it_is_written() {
    let group = |text: &str| Group::from_address(text.parse().unwrap());
    assert_eq!(group("192.0.2.1"), group("::ffff:192.0.2.1"));
    assert_eq!(group("2001:db8::1"), group("2001:db8::ffff:1"));
    assert_ne!(group("2001:db8::1"), group("2001:db8:0:1::1"));
    assert_ne!(group("192.0.2.1"), group("192.0.2.2"));
    let shown = |text| group(text).to_string();
    assert_eq!([shown("::ffff:192.0.2.1"), shown("2001:db8::1")], ["192.0.2.1", "2001:db8::/64"]);
}

#[tokio::test]
async fn newcomers_wait_only_while_too_many_cut_strangers_remain() {
    let hall = Hall::new(2, 1);
    let mut slots: Vec<_> = (0..LEAVING_MAX + 2).map(|_| hall.stranger(1, 0)).collect();
    let waits = tokio::time::timeout(Duration::from_millis(10), hall.slots.settled());
    assert!(waits.await.is_err());
    slots.remove(0);
    hall.slots.settled().await;
    slots.clear();
    hall.slots.empty().await;
}

#[tokio::test]
async fn a_connection_told_before_it_listens_still_leaves() {
    let hall = Hall::new(1, 0);
    let first = hall.stranger(1, 0);
    let _second = hall.stranger(2, 1);
    first.until_told_to_leave().await;
}
