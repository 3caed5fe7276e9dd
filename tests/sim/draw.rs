//! The draws of a simulation: every choice that it makes follows from its seed.

use std::time::Duration;

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) struct Draw(u64);

impl Draw {
    pub(super) fn new(seed: u64) -> Self {
        let mut draw = Self(seed);
        // Neighbouring seeds begin with unlike numbers.
        draw.bits();
        draw
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is more than 0.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.bits() % bound
    }

    /// A number of `from..=to`.
    pub(super) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    /// True in so many of a thousand cases.
    pub(super) fn chance(&mut self, in_thousand: u64) -> bool {
        self.below(1_000) < in_thousand
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        let count = u64::try_from(of.len()).expect("a short list");
        of[usize::try_from(self.below(count)).expect("below its length")]
    }

    /// A time up to `most`, in whole microseconds.
    pub(super) fn time(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(u64::try_from(most.as_micros()).expect("less than a year") + 1))
    }

    /// A wait with this mean, seldom more than four times as long.
    pub(super) fn wait(&mut self, mean: Duration) -> Duration {
        (self.time(mean) + self.time(mean)) * 2 / (1 + u32::try_from(self.below(3)).expect("a small number"))
    }
}
