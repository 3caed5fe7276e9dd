//! Random numbers that can be drawn again: the seed is printed, and can be set by `HOOKWHEEL_TEST_SEED`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// SplitMix64 (Steele, Lea and Flood 2014), which is good enough to choose moments.
pub(crate) struct Random(u64);

impl Random {
    /// Seeds from the environment, or else from the clock. The seed is printed, which shows when the test fails.
    pub(crate) fn new() -> Self {
        let given = std::env::var(VARIABLE).ok().map(|text| text.parse().expect("the seed is a number"));
        let seed = given.unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_micros() as u64);
        eprintln!("to repeat: {VARIABLE}={seed}");
        Self(seed)
    }

    /// A second generator whose numbers follow from this one's.
    pub(crate) fn split(&mut self) -> Self {
        Self(self.below(u64::MAX))
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    pub(crate) fn millis(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

const VARIABLE: &str = "HOOKWHEEL_TEST_SEED";
