//! Property tests that compare the wheel with a sorted map, and tests of single cases.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Copy, Debug)]
enum Step {
    /// Inserts an entry that is due so many ticks after now.
    Insert(u64),
    InsertLate(u64),
    Advance(u64),
    /// Advances to the tick until which the wheel says to sleep.
    Sleep,
    /// Truncates what is due more than so many ticks after now.
    Truncate(u64),
    /// Drops every entry whose number is a multiple of this.
    Drop(u64),
}

fn span() -> impl Strategy<Value = u64> {
    let edge = (0_u32..=30, -2_i64..=2).prop_map(|(bits, by)| (1_u64 << bits).saturating_add_signed(by));
    prop_oneof![4 => edge, 2 => 0_u64..200, 1 => 0_u64..1 << 30]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => span().prop_map(Step::Insert),
        1 => (1_u64..5_000).prop_map(Step::InsertLate),
        2 => span().prop_map(Step::Advance),
        3 => Just(Step::Sleep),
        1 => span().prop_map(Step::Truncate),
        1 => (1_u64..9).prop_map(Step::Drop),
    ]
}

fn start() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just((1 << 30) - 3), Just(1_776_000_000_000), (1_u64 << 20)..(1 << 41)]
}

/// What the wheel must do, done with a sorted map: the key is the tick at which an entry fires and its number, the value is the
/// deadline that it was given.
struct Model {
    now: u64,
    entries: BTreeMap<(u64, u64), u64>,
    numbers: u64,
}

impl Model {
    fn insert(&mut self, wheel: &mut Wheel<u64>, deadline: u64) {
        let number = self.numbers;
        self.numbers += 1;
        let taken = wheel.insert(deadline, number);
        assert_eq!(taken, deadline <= wheel.horizon());
        if taken {
            self.entries.insert((deadline.max(self.now), number), deadline);
        }
    }

    fn advance(&mut self, wheel: &mut Wheel<u64>, to: u64) {
        self.now = to;
        let later = self.entries.split_off(&(to + 1, 0));
        let due: Vec<_> = std::mem::replace(&mut self.entries, later).into_iter().map(|((_, number), at)| (at, number)).collect();
        let mut fired = Vec::new();
        wheel.advance(to, |deadline, number| fired.push((deadline, number)));
        assert_eq!(fired, due);
    }

    fn truncate(&mut self, wheel: &mut Wheel<u64>, after: u64) {
        let mut dropped = Vec::new();
        wheel.truncate(after, |entry| dropped.push(entry));
        let mut later: Vec<u64> =
            self.entries.extract_if(.., |_, deadline| *deadline > after).map(|((_, number), _)| number).collect();
        dropped.sort_unstable();
        later.sort_unstable();
        assert_eq!(dropped, later);
    }

    fn drop_each(&mut self, wheel: &mut Wheel<u64>, nth: u64) {
        wheel.drop_where(|number| number % nth == 0);
        self.entries.retain(|(_, number), _| number % nth != 0);
    }

    fn agrees(&self, wheel: &Wheel<u64>) {
        assert_eq!(wheel.len(), self.entries.len());
        let first = self.entries.first_key_value().map(|((tick, _), _)| *tick);
        let sleep = wheel.next_deadline();
        assert_eq!(sleep.is_some(), first.is_some());
        assert!(sleep <= first, "a sleeper wakes at {sleep:?}, after {first:?}");
        assert!(sleep.is_none_or(|tick| tick >= self.now), "a sleeper is sent to the past");
    }
}

proptest! {
    #[test]
    fn the_wheel_does_what_a_sorted_map_does(start in start(), steps in prop::collection::vec(step(), 1..200)) {
        let mut wheel = Wheel::new(start);
        let mut model = Model { now: start, entries: BTreeMap::new(), numbers: 0 };
        for step in steps {
            match step {
                Step::Insert(ahead) => model.insert(&mut wheel, model.now + ahead),
                Step::InsertLate(behind) => model.insert(&mut wheel, model.now.saturating_sub(behind)),
                Step::Advance(by) => model.advance(&mut wheel, model.now + by),
                Step::Sleep => {
                    let tick = wheel.next_deadline().unwrap_or(model.now);
                    model.advance(&mut wheel, tick);
                }
                Step::Truncate(ahead) => model.truncate(&mut wheel, model.now + ahead),
                Step::Drop(nth) => model.drop_each(&mut wheel, nth),
            }
            model.agrees(&wheel);
        }
        model.advance(&mut wheel, model.now + (1 << 31));
        prop_assert_eq!(wheel.len(), 0);
    }

    #[test]
    fn a_sleeper_wakes_a_few_times_for_one_entry(start in start(), ahead in span()) {
        let mut wheel = Wheel::new(start);
        prop_assume!(wheel.insert(start + ahead, ()));
        let mut wakes = 0;
        while let Some(tick) = wheel.next_deadline() {
            wheel.advance(tick, |deadline, ()| assert_eq!(deadline, tick));
            wakes += 1;
        }
        prop_assert!(wakes <= LEVELS, "{} wakes", wakes);
    }
}

#[test]
fn an_entry_costs_sixteen_bytes_besides_itself() {
    assert_eq!(size_of::<Node<[u64; 3]>>(), 24 + 16);
}

#[test]
fn the_horizon_is_twelve_days_and_ends_sharply() {
    for now in [0, 5, (1 << 24) - 1, (1 << 30) - 1, 1_776_000_000_000] {
        let mut wheel = Wheel::new(now);
        assert!(wheel.horizon() - now >= 12 * 24 * 3_600 * 1_000);
        assert!(wheel.insert(wheel.horizon(), ()));
        assert!(!wheel.insert(wheel.horizon() + 1, ()));
    }
}

#[test]
fn a_late_entry_fires_at_the_next_advance_even_to_the_same_tick() {
    let mut wheel = Wheel::new(1_000);
    wheel.insert(3, 'a');
    assert_eq!(wheel.next_deadline(), Some(1_000));
    let mut fired = Vec::new();
    wheel.advance(1_000, |deadline, entry| fired.push((deadline, entry)));
    assert_eq!(fired, [(3, 'a')]);
}

#[test]
fn an_emptied_wheel_gives_its_memory_back() {
    let mut wheel = Wheel::new(0);
    for tick in 0..10_000 {
        wheel.insert(tick, tick);
    }
    let mut dropped = 0;
    wheel.truncate(99, |_| dropped += 1);
    assert_eq!(dropped, 9_900);
    wheel.advance(100, |_, _| ());
    assert_eq!(wheel.slab.nodes.capacity(), 0);
    let mut fired = 0;
    wheel.insert(150, 7);
    wheel.advance(200, |_, _| fired += 1);
    assert_eq!(fired, 1);
}
