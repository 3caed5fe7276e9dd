//! One flipped bit anywhere in a store's file.

use std::io::Write as _;

use super::*;
use crate::domain::id::EventKey;

/// Whatever bit of the file is flipped: a start works or is refused with the file as it was, and nobody reads a wrong body. A start
/// that works shows every event and delivery but the rows that the bit belongs to.
#[test]
fn a_flipped_bit_is_never_read_as_somebodys_event() {
    let (mut random, (mut image, published)) = (Random::seeded(), filled());
    let before = look(&image.write()).map(|(store, _)| deliveries(&store)).unwrap();
    let bits = image.file("").len() * 8;
    let (mut refused, mut hurt) = (0, 0);
    for flip in 0..FLIPS {
        let bit = random.below(bits);
        image.file("")[bit / 8] ^= 1 << (bit % 8);
        let folder = image.write();
        match look(&folder) {
            Err(fault) => {
                refused += 1;
                assert!(image.is_still(folder.path()), "bit {bit}: the files were changed: {fault}");
            }
            Ok((store, _)) => {
                hurt += usize::from(has_lost_few(&store, &published, before, bit));
                drop(store);
                if flip % GOES_ON == 0 {
                    goes_on(folder);
                }
            }
        }
        image.file("")[bit / 8] ^= 1 << (bit % 8);
    }
    assert!(refused < FLIPS / 2 && hurt < FLIPS / 2, "{refused} refused, {hurt} cost a row");
}

fn has_lost_few(store: &Store, published: &[Published], before: [usize; 4], bit: usize) -> bool {
    let seen = events(store);
    for event in &seen {
        assert!(published.contains(event), "bit {bit}: nobody published {event:?}");
    }
    let now = deliveries(store);
    let (all, left) = (before.iter().sum::<usize>(), now.iter().sum::<usize>());
    let lost = published.len() - seen.len();
    assert!(lost <= LOST_MOST, "bit {bit}: {lost} events are gone: {:?}", store.findings());
    assert!(left + 2 * LOST_MOST >= all, "bit {bit}: of {before:?} deliveries {now:?} are left: {:?}", store.findings());
    assert!(store.reader.event_keys(&owned(), EventKey::MIN, 1).is_ok());
    lost > 0 || now != before
}

/// A service on it takes events, and the next start finds nothing more to mend.
fn goes_on(folder: TempDir) {
    let lab = Lab::open(folder).unwrap();
    let found = lab.store.findings().len();
    lab.publish("order.paid", "{}");
    let folder = lab.stopped().write();
    assert_eq!(look(&folder).map(|(store, _)| store.findings().len()).unwrap(), found);
}

/// A store that was stopped, with something in every table.
fn filled() -> (Image, Vec<Published>) {
    let lab = Lab::new();
    lab.add_more();
    let mut published = lab.publish_each(20);
    lab.deliver();
    lab.settle();
    published.extend(lab.publish_each(20));
    (lab.stopped(), published)
}

/// SplitMix64 (Steele, Lea and Flood 2014).
struct Random {
    seed: u64,
    state: u64,
}

impl Drop for Random {
    fn drop(&mut self) {
        if std::thread::panicking() {
            drop(writeln!(std::io::stderr(), "to repeat: {SEED}={}", self.seed));
        }
    }
}

impl Random {
    /// From `HOOKWHEEL_TEST_SEED`, else always the same, so that a change is judged by the change; printed when the test fails.
    fn seeded() -> Self {
        let given = std::env::var(SEED).ok().map(|text| text.parse().unwrap());
        let seed = given.unwrap_or(1);
        Self { seed, state: seed }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound as u64).unwrap()
    }
}

const SEED: &str = "HOOKWHEEL_TEST_SEED";

/// Events that one bit may cost, each with at most two deliveries: a bit in the place where a row ends and the next begins hurts both.
const LOST_MOST: usize = 2;

/// Each takes some 20 ms.
const FLIPS: usize = 200;

/// How many flips there are for each after which a service goes on.
const GOES_ON: usize = 20;
