//! Random numbers from the operating system.

use crate::store::error::Error;

/// A number in [0, 1) made of 53 random bits.
#[expect(clippy::cast_precision_loss, reason = "53 bits are what an f64 holds exactly")]
pub(in crate::store) fn unit() -> Result<f64, Error> {
    let bits = bits()? >> 11;
    Ok(bits as f64 / (1_u64 << 53) as f64)
}

/// The random part of a new id.
pub(in crate::store) fn tail() -> Result<[u8; 10], Error> {
    let mut bytes = [0; 10];
    let (first, last) = bytes.split_at_mut(8);
    first.copy_from_slice(&bits()?.to_le_bytes());
    last.copy_from_slice(&bits()?.to_le_bytes()[..2]);
    Ok(bytes)
}

#[cfg(not(test))]
fn bits() -> Result<u64, Error> {
    Ok(getrandom::u64()?)
}

#[cfg(test)]
use seeded::bits;
#[cfg(test)]
pub(crate) use seeded::seed;

#[cfg(test)]
mod seeded {
    //! Draws that a simulation can have again.

    use std::cell::Cell;

    use super::*;

    thread_local! {
        static SEED: Cell<Option<u64>> = const { Cell::new(None) };
    }

    /// Lets this thread's draws follow from a seed; `None`: from the operating system again.
    pub(crate) fn seed(seed: Option<u64>) {
        SEED.set(seed);
    }

    /// SplitMix64 (Steele, Lea and Flood, 2014).
    pub(super) fn bits() -> Result<u64, Error> {
        let Some(seed) = SEED.get() else { return Ok(getrandom::u64()?) };
        let next = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        SEED.set(Some(next));
        let mixed = (next ^ (next >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        Ok(mixed ^ (mixed >> 31))
    }
}
